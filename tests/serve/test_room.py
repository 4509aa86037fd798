"""A room: whether it begins again after its source's end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stream.count_options import CountOptions
from stream.options import LiveOptions
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.run.turns import Turns
from stream.serve.models import Models
from stream.serve.room import Room
from stream.sinks.browser import BROWSER


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
