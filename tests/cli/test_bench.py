"""`stream bench`: what was measured is told, whatever else could not be."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from stream.bench import compositing, speed
from stream.bench.figures import Figure
from stream.cli.bench import PARTS, _value
from stream.errors import UsageError
from stream.run.interrupt import Ended


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    def measure():
        yield Figure("painting [one]", 1.5, "ms", at_most=1.0, detail="pip install '.[export]'")

    monkeypatch.setattr(compositing, "measure", measure)


def test_figures_are_told_and_written_with_what_they_depend_on(stream):
    result = stream("bench", "--part", "compositing", "--json", "figures.json")
    assert result.code == 0, result.err
    assert "painting [one]" in result.out and "'.[export]'" in result.out
    told = json.loads(Path("figures.json").read_text())
    assert told["figures"][0]["met"] is False
    assert {"processor", "cores"} <= set(told["machine"])
    assert {"av", "numpy"} <= set(told["packages"])
    # They may be measured anew.
    assert stream("bench", "--part", "compositing", "--json", "figures.json").code == 0


def test_small_figures_keep_digits_that_say_something():
    values = {12.345: "12.35 s", 0.1: "0.10 s", 0.0042: "0.0042 s", 0.0: "0.00 s", 3: "3 s"}
    for value, told in values.items():
        assert _value(Figure("one", value, "s")) == told
    assert _value(Figure("one", None, "s")) == "did not run"


def test_a_part_that_cannot_be_measured_loses_no_other(stream):
    parts = ("--part", "peers", "--part", "compositing")
    result = stream("bench", *parts, "--clips", "no.mp4", "--json", "figures.json")
    assert result.code == 2
    assert "painting [one]" in result.out and "did not run" in result.out
    assert result.err.strip().splitlines() == ["stream: no.mp4 does not exist; check the name"]
    first, second = json.loads(Path("figures.json").read_text())["figures"]
    assert first["value"] is None and "no.mp4" in first["detail"]
    assert second["value"] == 1.5


def test_a_part_alone_that_cannot_be_measured_is_one_sentence(stream, tmp_path):
    result = stream("bench", "--part", "peers", "--clips", "no.mp4", "--json", "figures.json")
    assert (result.code, result.out) == (2, "")
    assert len(result.err.strip().splitlines()) == 1
    assert not (tmp_path / "figures.json").exists()


@pytest.mark.parametrize("part", ["cost", "edges", "identity"])
def test_what_is_measured_on_clips_asks_for_them_before_a_model_is_opened(
    stream, monkeypatch, part
):
    monkeypatch.setattr(speed.Segmenter, "load", lambda *told, **how: pytest.fail("it is opened"))
    result = stream("bench", "--part", part)
    assert (result.code, result.out) == (2, "")
    assert "--clips" in result.err and len(result.err.strip().splitlines()) == 1


@pytest.mark.parametrize(("pressed", "code"), [(KeyboardInterrupt(), 130), (Ended(15), 143)])
def test_who_has_seen_enough_sees_what_there_is(stream, monkeypatch, pressed, code):
    def stopped(folder):
        raise pressed
        yield

    monkeypatch.setattr(speed, "measure_pipeline", stopped)
    result = stream("bench", "--part", "compositing", "--part", "pipeline")
    assert result.code == code, "of the signal that it was"
    assert "painting [one]" in result.out


def test_all_is_every_part_that_can_be_measured_here(stream, monkeypatch):
    def refused(*told):
        raise UsageError("this needs clips")
        yield

    modules = {"pipeline": "speed", "speed": "speed"}
    for part in set(PARTS) - {"compositing"}:
        module = import_module(f"stream.bench.{modules.get(part, part)}")
        for name in ("measure", "measure_pipeline", "measure_model"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, refused)
    result = stream("bench", "--part", "all")
    assert result.code == 0, result.err
    assert result.out.count("did not run") == len(PARTS) - 1
    assert result.out.count("this needs clips") == len(PARTS) - 1


@pytest.mark.parametrize("size", ["641x480", "640x481", "99998x10"])
@pytest.mark.parametrize("part", ["speed", "gpu"])
def test_a_size_that_no_clip_has_is_refused_at_once(stream, part, size):
    result = stream("bench", "--part", part, "--provider", "cpu", "--size", size)
    assert (result.code, result.out) == (2, "")
    assert size in result.err and "even sides" in result.err
