"""A room: whether it begins again after its source's end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av

from stream import sources
from stream.errors import SourceError
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.run.turns import Turns
from stream.serve import room as room_module
from stream.serve.models import Models
from stream.serve.room import Room
from stream.settings.count_options import CountOptions
from stream.settings.options import LiveOptions, RunOptions
from stream.sinks.browser import BROWSER
from stream.sources import _first, camera
from stream.sources.modes import Camera
from tests.run.parts import until
from tests.serve.served import bright
from tests.sources.serving import make_clip


def test_a_camera_that_is_back_under_another_number_is_opened_there(monkeypatch, tmp_path):
    """Its own number is another camera's by then; the report tells of both times."""
    clip = make_clip(tmp_path / "clip.mp4", 1)
    mine, other = (Camera("/dev/video0", "Cam", lasting="/dev/v4l/by-id/mine"),
                   Camera("/dev/video1", "Cam", lasting="/dev/v4l/by-id/other"))  # fmt: skip
    swapped = [replace(other, device="/dev/video0"), replace(mine, device="/dev/video1")]
    real, opened = av.open, []

    def fake(name, **options):
        if not str(name).startswith("/dev/"):
            return real(name, **options)
        opened.append(str(name))
        return real(str(clip))

    monkeypatch.setattr(av, "open", fake)
    monkeypatch.setattr(room_module, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(camera, "find_cameras", lambda: swapped if opened else [mine, other])
    report = tmp_path / "report.json"
    plan = RunPlan(SourcePlan("0"), (OutputPlan(BROWSER),), run=RunOptions(report=report))
    models = Models(plan.model, (), bright(tmp_path))
    room = Room("0", "cam", plan, models, Turns(), console=None)
    room.start()
    try:
        until(lambda: len(opened) > 2)
    finally:
        room.stop()
        assert room.join(60)
    assert opened[:2] == ["/dev/video0", "/dev/video1"]
    times = json.loads(report.read_text())["runs"]
    assert len(times) >= 2 and all(one["live"]["finished"] for one in times)
    assert times[0]["frames_in"] > 0


def test_the_page_says_what_a_source_waits_for_while_it_is_opened(monkeypatch, tmp_path):
    """And why it went away, where it is not there any more."""
    monkeypatch.setattr(room_module, "_FIRST_PAUSE", 0.01)
    seen = []

    def opened(*_):
        seen.append(room.state()["problem"])
        _first._tell(_first.KEY_FRAME)
        seen.append(room.state()["problem"])
        raise SourceError("it is gone")

    monkeypatch.setattr(sources, "open", opened)
    plan = RunPlan(SourcePlan("udp://127.0.0.1:9"), (OutputPlan(BROWSER),))
    room = Room("0", "door", plan, Models(plan.model, (), bright(tmp_path)), Turns(), console=None)
    room.start()
    try:
        until(lambda: len(seen) >= 4)
    finally:
        room.stop()
        assert room.join(60)
    assert seen[:4] == ["opening", _first.KEY_FRAME, "it is gone", _first.KEY_FRAME]


def once(*targets: str, part_minutes: float | None = None, **how) -> bool:
    outputs = tuple(map(OutputPlan, (BROWSER, *targets)))
    live = LiveOptions(BROWSER, part_minutes=part_minutes)
    plan = replace(RunPlan(SourcePlan("pattern"), outputs, live=live), **how)
    return Room("0", "pattern", plan, Models(plan.model), Turns(), console=None).once


def test_files_that_are_named_by_their_moment_are_begun_again_with_the_source():
    assert not once()
    assert once("take.mp4") and once("take.ndjson")
    assert not once("take.mp4", "take.ndjson", part_minutes=60)
    assert once("take.mp4", "rtmp://server/app/key", part_minutes=60), "that one is no file"
    assert once("take.mp4", part_minutes=60, counts=CountOptions(plot=Path("plot.png")))
