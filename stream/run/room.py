"""How much memory pictures that wait for others may take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from stream.run.figures import Job, Work

MOST_HELD = 80_000_000
"""Bytes of pictures that wait for what follows them at most: six of 4K."""


class Waiting(Protocol):
    """A frame that waits, and what came after it."""

    job: Job
    after: list[Work]


def bytes_waiting(held: Iterable[Waiting]) -> int:
    """How much memory the pictures of frames take that wait, with those between them."""
    waiting = 0
    for one in held:
        waiting += one.job.size
        if one.after:
            waiting += sum(item.size for item in one.after if isinstance(item, Job))
    return waiting
