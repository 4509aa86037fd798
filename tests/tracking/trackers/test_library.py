"""What is asked of the library `trackers` before and while it is imported."""

import importlib.util
from concurrent.futures import Future

import numpy as np
import pytest

from stream import tracking
from stream.errors import UsageError
from stream.tracking.trackers import _library
from tests.tracking.objects import LEFT, RIGHT, THRESHOLD, Fed, found, moved

NAMES = ["bytetrack", "botsort", "cbiou", "ocsort"]


@pytest.mark.parametrize("name", NAMES)
def test_where_the_library_is_missing_it_is_said_before_anything_begins(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    with pytest.raises(
        UsageError, match=rf"{name} needs the library trackers; install .*'\.\[trackers\]'"
    ):
        tracking.make(name)


def test_where_it_cannot_be_imported_the_reason_is_said(monkeypatch):
    broken = Future()
    broken.set_exception(ImportError("no module named scipy.special"))
    monkeypatch.setattr(_library, "_imported", lambda: broken)
    tracker = tracking.make("bytetrack")
    with pytest.raises(UsageError, match=r"needs the library trackers.*scipy\.special"):
        tracker.update(found((LEFT, 0.9)), 0.0, THRESHOLD)


def test_making_one_does_not_wait_for_the_import(monkeypatch):
    monkeypatch.setattr(_library, "_imported", Future)
    assert tracking.make("cbiou").floor < 1


@pytest.mark.parametrize("name", NAMES)
def test_each_follows_two_who_walk(name):
    pytest.importorskip("trackers")
    fed = Fed(tracking.make(name))
    seen = [
        fed((moved(LEFT, step), 0.95), (moved(RIGHT, step / 2), 0.9)).get(moved(LEFT, step))
        for step in range(12)
    ]
    numbers = [one for one in seen if one is not None]
    assert len(numbers) >= 8
    assert len(set(numbers)) == 1
    assert np.array(numbers).min() >= 1
