"""What a live run says of itself: a line a minute, and a report that is kept up to date."""

from __future__ import annotations

import io
import json
import re

from rich.console import Console

from stream.errors import SinkError
from stream.run import status as module
from stream.run.output import Output
from stream.run.status import Status
from tests.live.helpers import live_run, scene, segmenter
from tests.run.parts import Kept


def test_lines_and_report_come_while_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STATUS_SECONDS", 0.5)
    monkeypatch.setattr(module, "REPORT_SECONDS", 0.2)
    model = segmenter(tmp_path)
    run, _ = live_run(scene(), model)
    text = io.StringIO()
    report = tmp_path / "live.json"
    console = Console(file=text, width=300)
    status = Status(run, model, console=console, report=report)
    seen: list[bool] = []

    def tick() -> None:
        status.tick()
        if report.exists():
            seen.append(json.loads(report.read_text())["runs"][0]["live"]["finished"])
        if text.getvalue().count("\n") >= 2:
            run.stop()

    status.write(run.run(on_tick=tick))
    line = re.compile(
        r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d scene: \d+\.\d fps, latency \d+ ms, "
        r"\d+ dropped, 0 reconnects, \d+ MiB$"
    )
    lines = text.getvalue().splitlines()
    assert len(lines) >= 2 and all(line.match(one) for one in lines)
    assert seen and not any(seen)
    assert json.loads(report.read_text())["runs"][0]["live"]["finished"]


def test_to_a_terminal_no_lines_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STATUS_SECONDS", 0.0)
    model = segmenter(tmp_path)
    run, _ = live_run(scene(frames=1), model)
    text = io.StringIO()
    console = Console(file=text, force_terminal=True)
    status = Status(run, model, console=console, report=None)
    status.tick()
    assert text.getvalue() == ""
    run.stop()
    run.run()


class Hindered(Kept):
    """Cannot write for now."""

    why: str | None = None

    @property
    def problem(self) -> str | None:
        return self.why


def test_an_output_that_failed_is_told_of_as_long_as_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STATUS_SECONDS", 0.0)
    model = segmenter(tmp_path)
    run, _ = live_run(scene(frames=1), model)
    lost = Output(Kept(), "out.mp4")
    lost.error = SinkError("the disk is full, so out.mp4 could not be written to the end")
    run.add(lost)
    said: list[str] = []
    monkeypatch.setattr(run, "say", said.append)
    text = io.StringIO()
    status = Status(run, model, console=Console(file=text, width=300), report=tmp_path / "r.json")
    for _ in range(2):
        status.tick()
    assert [one.endswith(f"MiB; {lost.error}") for one in text.getvalue().splitlines()] == [
        True
    ] * 2
    assert said == [str(lost.error)] * 2, "displays show it once a minute"
    status.write()
    recordings = json.loads((tmp_path / "r.json").read_text())["runs"][0]["live"]["recordings"]
    assert [one["error"] for one in recordings if one["path"] == "out.mp4"] == [str(lost.error)]
    run.stop()
    run.run()


def test_what_keeps_an_output_from_writing_is_shown_as_soon_as_it_begins(tmp_path, monkeypatch):
    model = segmenter(tmp_path)
    run, _ = live_run(scene(frames=1), model)
    sink = Hindered()
    run.add(Output(sink, "out.mp4"))
    said: list[str] = []
    monkeypatch.setattr(run, "say", said.append)
    status = Status(run, model, console=None, report=None)
    for sink.why in (None, "full", "full", None, "full"):
        status.tick()
    assert said == ["full", "full"]
    run.stop()
    run.run()


def test_a_report_that_cannot_be_written_is_said_once_and_ends_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "REPORT_SECONDS", 0.0)
    model = segmenter(tmp_path)
    run, _ = live_run(scene(frames=1), model)
    text = io.StringIO()
    console = Console(file=text, width=300)
    report = tmp_path / "missing" / "live.json"
    status = Status(run, model, console=console, report=report)
    status.tick()
    status.tick()
    assert text.getvalue().count("cannot write the report") == 1
    run.stop()
    run.run()


def test_where_the_last_report_cannot_be_written_what_the_run_came_to_is_told_all_the_same(
    tmp_path,
):
    model = segmenter(tmp_path)
    for before in (None, SinkError("the disk is full")):
        run, _ = live_run(scene(frames=1), model)
        run.stop()
        outcome = run.run()
        outcome.error = before
        status = Status(run, model, console=None, report=tmp_path / "missing" / "live.json")
        status.finish(outcome)
        assert "cannot write the report" in f"{outcome.error} {status.figures(outcome).remarks}"
        assert before is None or outcome.error is before


def test_what_a_model_says_of_itself_on_the_way_is_in_the_report(tmp_path):
    class Remarking:
        """A model that has something to say from the beginning, and more later."""

        def __init__(self) -> None:
            self._model = segmenter(tmp_path)
            self.remarks: tuple[str, ...] = ("runs on a toaster",)

        def __getattr__(self, name: str):
            return getattr(self._model, name)

    model = Remarking()
    run, _ = live_run(scene(frames=1), model._model)
    status = Status(run, model, console=None, report=None, remarks=["said before"])
    model.remarks += ("the toast is burnt", "said before")
    run.stop()
    run.run()
    assert status.figures().remarks[:2] == ["said before", "the toast is burnt"]
    assert "runs on a toaster" not in status.figures().remarks, "whoever opened it has said that"
