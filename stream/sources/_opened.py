"""What a connection to a live source brings, as it shows with the first picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from stream.pictures.colour_tags import ColourTags
from stream.sources._connecting import UNTIMED
from stream.sources._film import Extent, Following, extent_of
from stream.sources._tags import as_stored
from stream.sources.live import likely_rate
from stream.system.channels import let_be


class Templates:
    """Streams like those of a connection, which stay valid when it is closed.

    A sink that copies packets makes its stream from such a template, perhaps long after the
    connection that it came from is gone.
    """

    def __init__(self, streams: Sequence[AudioStream]) -> None:
        self.streams: tuple[AudioStream, ...] = ()
        if streams:
            self._holder: OutputContainer = av.open(os.devnull, "w", format="null")
            self.streams = tuple(self._holder.add_stream_from_template(one) for one in streams)
            for one in self.streams:
                let_be(one.codec_context)
        self.kinds = tuple(kind_of(stream) for stream in streams)


def kind_of(stream: AudioStream) -> tuple[str, int, int]:
    """What a stream's packets are: codec, samples per second, channels."""
    context = stream.codec_context
    return context.name, context.sample_rate, context.channels


@dataclass(frozen=True, slots=True)
class Opened:
    """The connection stands; what it brings.

    Attributes:
        width: of the pictures, in pixels.
        height: of the pictures, in pixels.
        pixel_format: FFmpeg's name of the pictures' format.
        rate: pictures per second, where known.
        sample_aspect_ratio: width over height of one sample.
        colour: how sample values mean colours.
        codec: the video's codec, for people.
        container: FFmpeg's name of the container format.
        audio: templates of the audio streams; they outlive the connection.
        extent: what is known of it where it has an end, so that this is no loss.
        resumed: whether it is read on from where the connection before had come to.
    """

    width: int
    height: int
    pixel_format: str
    rate: Fraction | None
    sample_aspect_ratio: Fraction
    colour: ColourTags
    codec: str
    container: str
    audio: Templates
    extent: Extent | None = None
    resumed: bool = False

    @property
    def finite(self) -> bool:
        """Whether it has an end that is known."""
        return self.extent is not None


def opened_as(
    container: InputContainer,
    video: VideoStream,
    audio: Templates,
    first: av.VideoFrame,
    following: Following,
) -> Opened:
    """What a connection brings.

    Args:
        container: open.
        video: its stream that is read.
        audio: templates of its sound.
        first: its first picture.
        following: by which its packets come.
    """
    context = video.codec_context
    rates = [video.average_rate, video.guessed_rate, context.framerate]
    if container.format.name in UNTIMED[1:]:
        rates = []  # what is said there is what was asked for
    shape = context.sample_aspect_ratio or video.sample_aspect_ratio
    return Opened(
        width=first.width,
        height=first.height,
        pixel_format=first.format.name,
        rate=next((rate for rate in map(likely_rate, rates) if rate), None),
        sample_aspect_ratio=shape or Fraction(1),
        colour=as_stored(
            ColourTags(
                first.color_primaries,
                first.color_trc,
                first.colorspace,
                None if first.color_range not in {1, 2} else first.color_range == 2,
            ),
            video,
        ),
        codec=context.name,
        container=container.format.name,
        audio=audio,
        extent=extent_of(container, following.mark),
        resumed=following.resumed,
    )
