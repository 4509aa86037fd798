"""What is known of a stream before its first packet."""

from __future__ import annotations

from fractions import Fraction

import av
from av.audio.codeccontext import AudioCodecContext
from av.codec.context import CodecContext
from av.stream import Stream


def is_short(stream: Stream, seconds: int) -> bool:
    """Whether a stream of the source is known to last less than so many seconds."""
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base < seconds
    whole: int | None = getattr(stream.container, "duration", None)
    return whole is not None and 0 < whole < seconds * av.time_base


def longest_packet(stream: Stream) -> Fraction | None:
    """Seconds of sound in each of a stream's packets; None where they may hold any number."""
    context: CodecContext | None = stream.codec_context
    if not isinstance(context, AudioCodecContext) or not context.sample_rate:
        return None
    if context.codec.canonical_name.startswith(("pcm_", "adpcm_")) or not context.frame_size:
        return None
    return Fraction(context.frame_size, context.sample_rate)


def codec_name(stream: Stream) -> str:
    """The name of its codec; "unknown" where nobody knows."""
    # PyAV's types do not say that there is none where nothing can decode the stream, nor that some
    # streams then have no name either.
    context: CodecContext | None = stream.codec_context
    # The codec's name: the decoder's may be another, such as mp3float.
    return context.codec.canonical_name if context else getattr(stream, "name", None) or "unknown"


def carries_headers(stream: Stream) -> bool:
    """Whether a stream is AAC as in MPEG-TS, with a header in every packet."""
    context: CodecContext | None = stream.codec_context
    return context is not None and context.name == "aac" and not context.extradata_size


def is_text(stream: Stream) -> bool:
    """Whether it is subtitles in words, not in pictures."""
    context: CodecContext | None = stream.codec_context
    # FFmpeg's AV_CODEC_PROP_TEXT_SUB.
    return context is not None and bool(context.codec.properties & 0x20000)
