"""Which of a connection's streams are read: of variants or programmes one, and not the others."""

from __future__ import annotations

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard
from av.video.stream import VideoStream

from stream.sources._pacing import is_hls

_BITRATE = "variant_bitrate"
_NAME = "comment"
"""Where FFmpeg puts the name of sound that has a list of its own, which several variants share, or
have of each quality one."""


def chosen(container: InputContainer) -> tuple[VideoStream | None, tuple[AudioStream, ...]]:
    """The video to be read, None where there is none, and all sound that goes with it.

    A master playlist of HLS offers the same at several sizes, each with its own sound. The largest
    is read; FFmpeg would go on fetching all. A transport stream may carry several programmes, and
    radio beside them; the first picture is read, with the sound of its own programme.

    Args:
        container: open; its streams that belong to another size or programme are discarded.
    """
    offered = container.streams.video
    sounds = container.streams.audio
    if not offered:
        return None, sounds
    if not is_hls(container.format.name):
        return _of_one_programme(container, offered[0])
    if len(offered) < 2:
        return offered[0], sounds
    video = max(offered, key=_worth)
    own = container.streams.best("audio", related=video)
    assert own is None or isinstance(own, AudioStream)
    named = {one.metadata[_NAME]: one for one in sounds if _NAME in one.metadata}
    if own is not None:
        named[own.metadata.get(_NAME, "")] = own
    heard = tuple(one for one in sounds if one in named.values())
    for one in (*offered, *sounds):
        if one is not video and one not in heard:
            one.discard = Discard.all
    return video, heard


def _of_one_programme(
    container: InputContainer, video: VideoStream
) -> tuple[VideoStream, tuple[AudioStream, ...]]:
    """A picture with the sound of its programme; all sound where there are no programmes.

    PyAV does not show programmes. FFmpeg's choice of a picture beside a stream is one of the same
    programme, none beside radio.
    """
    best = container.streams.best
    ours = best("video", related=video)
    sounds = container.streams.audio
    heard = tuple(one for one in sounds if best("video", related=one) is ours)
    for one in (*container.streams.video, *sounds):
        if one not in heard and best("video", related=one) is not ours:
            one.discard = Discard.all
    return video, heard


def _worth(video: VideoStream) -> tuple[int, int]:
    """How large pictures are, and how many bits a second they are given."""
    context = video.codec_context
    size = context.width * context.height if context else 0
    bits = video.metadata.get(_BITRATE, "")
    return size, int(bits) if bits.isdecimal() else 0
