"""Several sources at once: what counts as failed where all are told to end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from stream.errors import SourceError
from stream.options import InputOptions
from stream.run.awaited import Company
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.run.turns import Turns
from stream.run.wall import Part

GONE = "cannot read udp://127.0.0.1:9: nothing came in time"


def part_of(said: list[str]) -> Part:
    plan = RunPlan(SourcePlan("udp://127.0.0.1:9", InputOptions()), (OutputPlan("take.mkv"),))
    model = cast("Any", SimpleNamespace(name="model", provider="CPU"))
    company = Company(["door"])
    return Part("door", plan, model, Turns(1), None, company, console=None, say=said.append)


def test_a_source_that_was_just_being_opened_when_all_ended_has_not_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    part = part_of(said)

    def opened() -> None:
        part.stop()
        raise SourceError(GONE)

    monkeypatch.setattr(part, "_opened", opened)
    part.start()
    assert part.join(60)
    assert part.problem is None and part.fault is None and not said
    assert part.report is not None


def test_a_source_that_was_never_there_has_failed_however_all_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where it is left alone while it is tried once more."""
    said: list[str] = []
    part = part_of(said)
    part._missing(SourceError(GONE))
    part.stop()
    assert part.problem == GONE

    def opened() -> None:
        raise SourceError(GONE)

    monkeypatch.setattr(part, "_opened", opened)
    part.start()
    assert part.join(60)
    assert part.problem == GONE and len(said) == 1
