"""One connection, from its opening until nothing of it is left."""

from __future__ import annotations

import gc
import io
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import av
import pytest

from stream.errors import SourceError
from stream.sources.stream_reader import Ended, StreamReader
from tests.sources.serving import make_clip


class _Cable(io.BytesIO):
    """Bytes that come from a network, until they break off."""

    def __init__(self, data: bytes, broken: BaseException | None) -> None:
        super().__init__(data)
        self._broken = broken

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data and self._broken is not None:
            raise self._broken
        return data

    def seekable(self) -> bool:
        return False


@contextmanager
def _without_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "broken", [None, ConnectionResetError(104, "reset"), ValueError("no"), RuntimeError("no")]
)
def test_nothing_of_a_connection_that_is_over_waits_for_the_collector(tmp_path, broken):
    path = make_clip(tmp_path / "clip.ts", 1)
    cables: list[weakref.ref[_Cable]] = []

    def connect():
        cable = _Cable(path.read_bytes(), broken)
        cables.append(weakref.ref(cable))
        return av.open(cable)

    with _without_collector():
        reader = StreamReader(connect, lambda error: SourceError(str(error)), audio=True)
        while not isinstance(event := reader.events.take(60), Ended):
            assert event is not None
        assert (event.error is None) == (broken is None)
        reader.stop(patience=60)
        del event, reader
        assert cables[0]() is None
