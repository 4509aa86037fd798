"""Several sources at once: what counts as failed where all are told to end."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stream import sources
from stream.errors import SourceError
from stream.run.awaited import Company
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.run.tiles import Tile
from stream.run.turns import Turns
from stream.run.wall import Part
from stream.settings.options import InputOptions
from stream.sources import _first
from stream.sources._connecting import Way
from stream.sources.stream_reader import Ended

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


class Sender:
    """A connection by which packets come and no picture; it ends at the second look."""

    opened = None
    alive = True

    def __init__(self, seen: list[tuple[str, ...]], tile: Tile) -> None:
        self.heard = time.monotonic()
        self.events = self
        self._seen, self._tile = seen, tile

    def take(self, _seconds: float) -> Ended | None:
        self._seen.append(self._tile.lines)
        return None if len(self._seen) % 2 else Ended(SourceError(GONE))


def test_a_tile_says_what_its_source_waits_for_while_it_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And again that it is not there, where it ends before anything can be shown."""
    monkeypatch.setattr(_first, "HINT_SECONDS", -1.0)
    part = part_of([])
    tile = part._tile = Tile("door", threading.Condition())
    seen: list[tuple[str, ...]] = []

    def opened(*_: object) -> None:
        def connect(_way: Way) -> Any:
            return Sender(seen, tile)

        ended = _first.First("door", Way("udp"), connect, opening=60, reading=60).outcome()
        assert isinstance(ended, Ended) and ended.error is not None
        raise ended.error

    monkeypatch.setattr(sources, "open", opened)
    for missing in (("opening",), (GONE, "waiting for it")):
        if missing != ("opening",):
            part._missing(SourceError(GONE))
        with pytest.raises(SourceError):
            part._try("udp://127.0.0.1:9", InputOptions())
        assert seen[-2] == missing and seen[-1] == (_first.KEY_FRAME,)
    assert tile.lines == (GONE, "waiting for it")
    assert _first._TELLS.get() is None
