"""Decoders for streams that are converted."""

from __future__ import annotations

import io
from typing import Any

import av
from av.stream import Stream


def own_decoder(stream: Stream) -> Any:
    """A decoder for a stream's packets that no other output shares, not open yet."""
    # PyAV makes a context with all of a stream's parameters for a stream of an output only; the
    # null format takes every codec.
    nowhere = av.open(io.BytesIO(), "w", format="null")
    context = nowhere.add_stream_from_template(stream, opaque=True).codec_context
    context.options = {"pkt_timebase": str(stream.time_base)}
    return context
