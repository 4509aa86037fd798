"""How much memory pictures that wait for others may take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from stream.run.figures import Job, Work

if TYPE_CHECKING:
    import av

MOST_HELD = 80_000_000
"""Bytes of pictures that wait for what follows them at most: six of 4K."""


def bytes_of(picture: av.VideoFrame) -> int:
    """How much memory a picture takes."""
    return sum(plane.buffer_size for plane in picture.planes)


class Waiting(Protocol):
    """A frame that waits, and what came after it."""

    job: Job
    after: list[Work]


def bytes_waiting(held: Iterable[Waiting]) -> int:
    """How much memory the pictures of frames take that wait, with those between them."""
    jobs = (item for one in held for item in (one.job, *one.after) if isinstance(item, Job))
    return sum(bytes_of(job.frame.image) for job in jobs)
