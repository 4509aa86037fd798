"""What is known of objects over time."""

from __future__ import annotations

from stream.plugins import Kind
from stream.settings.groups import unknown
from stream.tracking.base import Tracker

NONE = "none"
"""The name under which nothing tracks."""

KIND = Kind("stream.tracking.trackers", Tracker)  # type: ignore[type-abstract]


def make(name: str) -> Tracker | None:
    """A new tracker for one run, by its name; None for "none".

    Raises:
        UsageError: there is no such tracker, or it cannot be loaded.
    """
    if name == NONE:
        return None
    if name not in KIND:
        raise unknown("tracker", name, names())
    return KIND.get(name)()


def names() -> list[str]:
    """What `make` takes."""
    return [NONE, *KIND.names()]
