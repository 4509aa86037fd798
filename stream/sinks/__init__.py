"""Where frames and records go: each kind of sink is a module of this package.

`find` asks each whether it accepts a target; other distributions register theirs in the
entry-point group `stream.sinks`.
"""

from __future__ import annotations

from pathlib import Path

from stream.errors import UsageError, check_no_zero_byte
from stream.plugins import Kind
from stream.settings.options import STANDARD_OUTPUT
from stream.sinks._containers import ENDINGS
from stream.sinks.base import Sink

KIND = Kind("stream.sinks", Sink)  # type: ignore[type-abstract]


def find(target: str, *, photos: bool = False, form: str | None = None) -> type[Sink]:
    """The kind of sink that a target stands for.

    Args:
        target: a path, an address, a word.
        photos: whether frames are photos, which have nothing to do with each other.
        form: of the video on standard output; None for records.

    Raises:
        UsageError: none accepts it.
    """
    check_no_zero_byte(target)
    if target == STANDARD_OUTPUT and form is not None and not photos:
        from stream.sinks.standard import StandardSink

        return StandardSink
    video = "://" not in target and target.lower().endswith(ENDINGS)
    if video and not Path(target).is_dir():
        # The usual one, without loading what all the others need.
        from stream.sinks.video import VideoSink

        return VideoSink
    accepting = KIND.that(lambda kind: (kind.photos or not photos) and kind.accepts(target))
    if not accepting:
        raise UsageError(
            f"{target} cannot be written: no kind of output takes it; name a video file such as "
            "out.mp4, out.mkv or out.webm, a folder for pictures, or records such as found.ndjson"
        )
    found = max(accepting, key=lambda kind: kind.priority)
    if (
        photos
        and found.priority < 0
        and KIND.that(lambda kind: kind.accepts(target) and not kind.photos)
    ):
        raise UsageError(
            f"{target} is an animated picture, which is made of footage; name a picture such as "
            "out.png, or a folder for those of several photos"
        )
    return found


def is_records(target: str) -> bool:
    """Whether some kind of records takes a target."""
    return bool(KIND.that(lambda kind: kind.records and kind.accepts(target)))


def record_endings() -> list[str]:
    """The endings of all formats of records, sorted, each with its dot."""
    kinds = KIND.that(lambda kind: kind.records)
    return sorted({ending for kind in kinds for ending in getattr(kind, "endings", ())})


def check_records(target: str) -> None:
    """Makes sure that a target is one of records.

    Raises:
        UsageError: no kind of records takes it; the sentence says which there are.
    """
    if is_records(target):
        return
    raise UsageError(
        f"records cannot be written to {target}: its ending says the format, and there are "
        f"{', '.join(record_endings())}, and - for lines of JSON on standard output"
    )
