"""Streams like those of an input, for outputs that begin once that may be closed."""

from __future__ import annotations

import os
from collections.abc import Sequence

import av
from av.container import OutputContainer
from av.stream import Stream


def is_open(stream: Stream) -> bool:
    """Whether a stream's file is open; of one that is closed nothing may be read any more."""
    try:
        _ = stream.container.flags
    except AssertionError:
        return False
    return True


class Outliving:
    """Streams like those of an input, at the same places, which stay valid when it is closed.

    A film's last pictures wait to be sent when it was read to its end. Where its receiver is called
    again then, streams are made anew.

    Args:
        streams: of an input that is open.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        self.streams: tuple[Stream, ...] = tuple(map(self._copy, streams))

    def _copy(self, stream: Stream) -> Stream:
        holder: OutputContainer = av.open(os.devnull, "w", format="null")
        copy = holder.add_stream_from_template(stream, opaque=True)
        while copy.index < stream.index:  # packets say by its number whose they are
            copy = holder.add_stream_from_template(stream, opaque=True)
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        return copy
