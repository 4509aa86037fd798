"""Broadcasts whose tracks get other numbers (PIDs) in the middle, read as if they kept theirs.

FFmpeg can go on in the same streams with what a new table of a programme (its PMT) lists, each in
its place there, whatever it is stored in. So it may only be asked to where that stays the same.
"""

from __future__ import annotations

from collections.abc import Callable

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream

from stream.sources._services import BROADCAST

AS_ONE = {"merge_pmt_versions": "1"}
"""What asks FFmpeg for it."""


def as_one(
    container: InputContainer, again: Callable[[dict[str, str]], InputContainer]
) -> InputContainer:
    """A broadcast with one stream for each track that goes on in others of the same kind.

    Args:
        container: the open file.
        again: opens it once more, with these options.

    Returns:
        The same where there is no such track, or not all of them go on as they were; it is closed
        where another is returned.
    """
    if container.format.name != BROADCAST or not any(map(_begins_later, container.streams)):
        return container
    merged = again(AS_ONE)
    kept = {one.id for one in merged.streams}
    later = [_kind(one) for one in container.streams if one.id not in kept]
    tracks = [_kind(one) for one in merged.streams]
    # Each table lists all of them, or some of which one is like the other.
    whole = len(later) % len(tracks) == 0 and later == tracks * (len(later) // len(tracks))
    if later and (whole or all(_alike(kind, [*tracks, *later]) for kind, _ in later)):
        container.close()
        return merged
    merged.close()
    return container


def _begins_later(stream: Stream) -> bool:
    """Whether no more than a table tells of a stream, where the file begins."""
    if stream.type == "video":
        return not getattr(stream, "average_rate", None)
    return isinstance(stream, AudioStream) and not stream.codec_context.channels


def _kind(stream: Stream) -> tuple[str, str]:
    context = stream.codec_context
    return stream.type, "" if context is None else context.name


def _alike(kind: str, tracks: list[tuple[str, str]]) -> bool:
    return len({codec for one, codec in tracks if one == kind}) == 1
