"""Decoders for streams that are converted."""

from __future__ import annotations

import io
from typing import overload

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.stream import SubtitleStream

from stream.system.channels import let_be


@overload
def own_decoder(stream: AudioStream) -> AudioCodecContext: ...
@overload
def own_decoder(stream: SubtitleStream) -> SubtitleCodecContext: ...
def own_decoder(stream: AudioStream | SubtitleStream) -> CodecContext:
    """A decoder for a stream's packets that no other output shares, not open yet."""
    # PyAV makes a context with all of a stream's parameters for a stream of an output only; the
    # null format takes every codec.
    nowhere = av.open(io.BytesIO(), "w", format="null")
    context: CodecContext = nowhere.add_stream_from_template(stream, opaque=True).codec_context
    if isinstance(context, AudioCodecContext):
        let_be(context)
    context.options = {"pkt_timebase": str(stream.time_base)}
    return context
