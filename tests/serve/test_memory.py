"""Free memory goes back to the system."""

from __future__ import annotations

import gc
import weakref

import psutil
import pytest

from stream.serve import memory


def test_what_is_free_goes_back():
    if not memory.share_arenas():
        pytest.skip("the C library is not glibc")
    process = psutil.Process()
    # Small enough to come from the heap; every tenth stays, so that nothing ends at its top.
    pieces = [bytearray(20_000) for _ in range(5000)]
    kept = pieces[::10]
    full = process.memory_info().rss
    del pieces
    kept.append(bytearray(20_000))
    memory.give_back()
    assert full - process.memory_info().rss > 50 * 2**20
    assert len(kept) == 501


class Viewer:
    """One that holds itself."""

    def __init__(self) -> None:
        self.connection = self


def test_viewers_who_hold_themselves_go_too_and_what_was_loaded_is_not_looked_at(monkeypatch):
    frozen: list[bool] = []
    before = gc.isenabled()
    gc.disable()
    try:
        loaded, late = weakref.ref(Viewer()), None
        # For good, where other tests are in the same process.
        monkeypatch.setattr(gc, "freeze", lambda: frozen.append(loaded() is None))
        memory.keep_what_is_loaded()
        assert frozen == [True], "what is garbage by then is not kept"
        late = weakref.ref(Viewer())
        assert late() is not None, "nothing but the collector ends it"
        memory.give_back()
        assert late() is None
    finally:
        if before:
            gc.enable()


def test_where_there_is_no_such_library_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory, "_library", lambda: None)
    assert not memory.share_arenas()
    memory.give_back()
