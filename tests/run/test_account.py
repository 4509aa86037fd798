"""What is told of a run at its end, and when it is told to end."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from stream.errors import SinkError
from stream.run import account as module
from stream.run.account import Account
from stream.run.counting import Counting
from stream.run.plan import RunPlan, SourcePlan
from stream.settings.count_options import CountOptions
from stream.settings.options import LiveOptions, RunOptions
from tests.run.parts import Grey, Hands, Kept, make_run

TOLD = SimpleNamespace(
    threshold=0.5, name="m", names=("person",), precision="", views=1, provider="p", remarks=()
)


def account_of(run, tmp_path, **options) -> Account:
    plan = RunPlan(
        SourcePlan("grey"),
        run=RunOptions(report=tmp_path / "r.json"),
        counts=CountOptions(plot=tmp_path / "p.png"),
        **options,
    )
    counting = Counting(plan.counts, run.source.info, keep_series=True)
    return Account(run, TOLD, plan, counting, console=None)


@pytest.mark.parametrize("before", [None, SinkError("the disk is full")])
def test_a_plot_that_cannot_be_written_costs_no_report(before, tmp_path, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise SinkError("the plot cannot be written")

    monkeypatch.setattr(module, "write_plot", fails)
    run = make_run(Grey(3, live=True), Kept())
    told = account_of(run, tmp_path)
    outcome = run.run()
    outcome.error = before
    report = told.finish(outcome)
    said = "the plot cannot be written"
    assert str(outcome.error) == report.error == (said if before is None else str(before))
    assert before is None or said in report.remarks
    (written,) = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert written["frames_out"] == report.frames_out == 3
    assert written["error"] == report.error and written["live"]["finished"]
    assert written["remarks"] == report.remarks
    assert report.output == f"sink 0, {tmp_path / 'p.png'}"


def test_footage_has_no_report_of_its_own_and_no_time_that_is_up(tmp_path, monkeypatch):
    drawn: list[object] = []
    monkeypatch.setattr(module, "write_plot", lambda path, *_, **__: drawn.append(path))
    run = make_run(Grey(3), Kept())
    told = account_of(run, tmp_path, live=LiveOptions(seconds=0.0))
    told.tick()
    report = told.finish(run.run())
    assert not report.interrupted and report.frames_out == 3
    assert drawn == [tmp_path / "p.png"] and not (tmp_path / "r.json").exists()


def test_a_live_run_ends_when_its_seconds_are_over_and_not_before(tmp_path):
    now = Hands()
    source = Grey(3, live=True)
    run = make_run(source, Kept(), now=now)
    told = account_of(run, tmp_path, live=LiveOptions(seconds=2.0))
    now.at += 1.9
    told.tick()
    assert not source.closed.is_set()
    now.at += 0.1
    told.tick()
    assert source.closed.is_set()
    run.run()
