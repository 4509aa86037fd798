"""What is said when a run is over: what `auto` chose only where it is asked for, and advice."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from stream.cli import _common as common
from stream.cli._after import advice, report_clip, report_run, summary
from stream.cli._runs import run_served
from stream.run.figures import Counts, Outcome
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.run.report import RunReport, run_report
from stream.settings.options import ModelOptions, RunOptions
from stream.timing import StageFigures


def report(
    fps: float, rate: float, infer_ms: float, model: str = "default", precision: str = "int8"
) -> RunReport:
    frames = 100
    made = run_report(
        source="in.mp4",
        output="out.mp4",
        model=model,
        precision=precision,
        provider="CPU",
        outcome=Outcome(
            Counts(frames_in=frames, written=frames, media_seconds=(frames - 1) / rate),
            frames / fps,
            0.1,
            interrupted=False,
        ),
        stages={"infer": StageFigures(frames, infer_ms, infer_ms, infer_ms, infer_ms)},
        remarks=["auto chose CPU (int8); not CUDA: there is no NVIDIA driver", "the sound is odd"],
    )
    return replace(made, fps=fps)


@pytest.mark.parametrize(
    ("given", "live", "model", "said", "unsaid"),
    [
        ((3, 30, 300, "default"), False, {}, ["--every auto", "30"], ["quantize", "--size"]),
        ((3, 30, 300, "mine.onnx", "float32"), False, {},
         ["--every auto", "stream export quantize", "--size"], []),
        ((3, 30, 300, "mine.onnx", "int8"), False, {}, ["--every auto", "--size"], ["quantize"]),
        ((30, 30, 400, "mine.onnx", "float32"), True, {},
         ["2.5 times a second", "quantize", "--size"], ["--every"]),
    ],
)  # fmt: skip
def test_a_model_far_below_the_sources_rate_gets_advice(given, live, model, said, unsaid):
    hint = advice(report(*given), ModelOptions(**model), live=live)
    assert "\n" not in hint
    for words in said:
        assert words in hint
    for words in unsaid:
        assert words not in hint


def test_the_rate_in_advice_is_the_video_s_own_for_few_frames_too():
    few = replace(report(10, 30, 300), frames_out=30, media_seconds=29 / 30)
    assert advice(few, ModelOptions(), live=False).startswith(
        "10.0 frames a second are far below the video's 30;"
    )


def test_what_ctrl_z_paused_is_no_slowness(capsys):
    outcome = Outcome(Counts(frames_in=100, written=100), 34.0, 0.1, interrupted=False)
    for paused, fps, said in (
        (30.0, 25.0, "34.0 s (30.0 s of them paused)"),
        (0.0, 2.9, "34.0 s\n"),
    ):
        outcome.paused_seconds = paused
        made = run_report(
            source="in.mp4", output="out.mp4", model="default", precision="int8", provider="CPU",
            outcome=outcome, stages={}, remarks=(),
        )  # fmt: skip
        assert round(made.fps, 1) == fps
        report_run(made, ModelOptions())
        assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "live", "model"),
    [
        ((20, 30, 50), False, {}),
        ((3, 30, 300), False, {"every": 6}),
        ((3, 30, 300), False, {"every": "auto"}),
        ((30, 30, 60, "mine.onnx"), True, {}),
        ((30, 30, 400), True, {}),  # nothing but another model would help
    ],
)
def test_where_nothing_is_slow_or_nothing_helps_nothing_is_said(given, live, model):
    assert advice(report(*given), ModelOptions(**model), live=live) == ""


@pytest.mark.parametrize("verbose", [False, True])
def test_what_auto_chose_is_said_where_more_is_asked_for(capsys, monkeypatch, verbose):
    monkeypatch.setattr(common.verbosity, "verbose", verbose)
    common.results.cache_clear()
    try:
        report_run(report(30, 30, 10), ModelOptions())
    finally:
        common.results.cache_clear()
    out = capsys.readouterr().out
    assert ("auto chose" in out) == verbose
    assert "the sound is odd" in out


def test_of_many_that_failed_the_first_are_named():
    lines = summary(1, 0, [f"{number}.mp4" for number in range(3000)], 3001)
    assert lines[1].startswith("3000 of 3001 inputs failed: 0.mp4, 1.mp4, ")
    assert lines[1].endswith("19.mp4 and 2980 more")
    assert summary(1, 1, ["a.mp4"], 3) == [
        "1 of 3 written, 1 there already",
        "1 of 3 inputs failed: a.mp4",
    ]


def test_of_footage_that_was_stopped_it_is_said_how_far_it_came(capsys):
    whole = report(30, 30, 10)
    for said, given, live in (
        ("", whole, False),
        ("", replace(whole, interrupted=True), True),
        ("", replace(whole, interrupted=True, error="the disk is full"), False),
        (
            "stopped after 15 frames (0.6 s)\n",
            replace(whole, interrupted=True, frames_out=15, media_seconds=0.56),
            False,
        ),
        (
            "stopped after 1 frame\n",
            replace(whole, interrupted=True, frames_out=1, media_seconds=0.0),
            False,
        ),
    ):
        report_run(given, ModelOptions(), live=live)
        assert capsys.readouterr().err == said


def test_of_several_runs_those_that_failed_say_so_and_what_there_is_of_them(capsys):
    good = report(30, 30, 10)
    for made, said in (
        (replace(good, error="gone"), "in.mp4 → out.mp4, failed"),
        (replace(good, error="gone", output=""), "in.mp4, failed"),
        (good, "in.mp4 → out.mp4, 100 frames in"),
    ):
        report_clip(made, 2, 3, ModelOptions())
        assert f"2 of 3: {said}" in capsys.readouterr().out.splitlines()[0]


def test_a_page_says_of_each_of_several_sources_what_was_done(capsys, monkeypatch):
    made = replace(report(30, 30, 10), interrupted=True)
    rooms = [
        SimpleNamespace(report=made),
        SimpleNamespace(report=None),
        SimpleNamespace(report=made),
    ]
    # The second goes meanwhile, and has not come back.
    monkeypatch.setattr(
        "stream.serve.serving.serve",
        lambda *_, on_away, **__: [on_away(1, replace(made, error="gone")), *rooms][1:],
    )
    plan = RunPlan(SourcePlan("pattern"), (OutputPlan("browser"),))
    run_served([plan] * 3)
    said = capsys.readouterr()
    lines = [line for line in said.out.splitlines() if line[1:5] == " of "]
    assert [line[:6] for line in lines] == ["2 of 3", "1 of 3", "3 of 3"]
    assert "100 frames in" in lines[0]
    assert not said.err, "a page has no other end"
    run_served([replace(plan, run=RunOptions(quiet=True))] * 3)
    assert not capsys.readouterr().out
