"""What travels through the pipeline, and what is known about where it came from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

from stream.pictures.colour_tags import ColourTags
from stream.pictures.mastering import Mastering
from stream.types import AnyPacket
from stream.wording.words import kinds

if TYPE_CHECKING:
    import av
    import numpy as np
    from av.stream import Stream
    from numpy.typing import NDArray

    from stream.instances import Instances
    from stream.tally import Tally


@dataclass(slots=True, repr=False)
class Frame:
    """One picture on its way from source to sink.

    Attributes:
        image: the decoded frame, upright, in its native pixel format and size. It is painted in
            place by compositing, which makes it writable first.
        index: 0-based count of pictures that the source has delivered.
        pts: presentation time in ticks of `time_base`.
        time_base: seconds per tick.
        duration: in ticks of `time_base`; None where the source does not say.
        stages: seconds spent in each stage so far, by stage name.
        captured_at: `time.perf_counter()` when the picture came into the house.
        instances: what was found, once inference has run.
        notes: lines for the timing panel that a source wants shown (reconnecting, ...).
        alpha: how opaque each pixel is, uint8 of the picture's size, 0 (not at all) to 255, where
            a layer says so; colours are not multiplied by it. None where all are wholly opaque.
            Not to be written to.
        tally: what was counted at lines and zones up to it, where any are asked for.
    """

    image: av.VideoFrame
    index: int
    pts: int
    time_base: Fraction
    duration: int | None = None
    stages: dict[str, float] = field(default_factory=dict)
    captured_at: float = field(default_factory=time.perf_counter)
    instances: Instances | None = None
    notes: tuple[str, ...] = ()
    alpha: NDArray[np.uint8] | None = None
    tally: Tally | None = None

    @property
    def pts_seconds(self) -> float:
        """Presentation time in seconds."""
        # Rounded once, as a fraction is; asked for some twenty times a frame.
        return self.pts * self.time_base.numerator / self.time_base.denominator

    def rgb(self) -> NDArray[np.uint8]:
        """The picture in RGB, uint8 [H, W, 3], converted anew at every call."""
        from stream.pictures.pixels import rgb_from_picture

        return rgb_from_picture(self.image)

    def seen(self) -> av.VideoFrame:
        """The picture as it is seen: itself, or on black where it is clear in parts."""
        from stream.pictures.on_black import on_black

        return on_black(self.image, self.alpha)

    def __copy__(self) -> Self:
        return replace(self)

    def __repr__(self) -> str:
        picture, found = self.image, self.instances
        what = "" if found is None else f", {kinds(found.names)}"
        return (
            f"Frame({self.index}, at {self.pts_seconds:.3f} s, {picture.width}x{picture.height} "
            f"{picture.format.name}{what})"
        )

    def __reduce__(self) -> NoReturn:
        from stream.system.one_process import stays

        stays("a frame", "hand frame.rgb() and frame.instances over")


if TYPE_CHECKING:

    class SegmentedFrame(Frame):
        """A frame as programs get it, to type checkers: what was found is always there."""

        instances: Instances
else:
    SegmentedFrame = Frame


@dataclass(slots=True)
class Passthrough:
    """Packets of streams that are copied, in the order they were read.

    Attributes:
        packets: as the source gave them; others may hold them too.
        offset: seconds to take off their times, where an output's time line begins later than
            the source's.
        begun: the streams that the source copies from here on, where it had none at first; else
            none.
    """

    packets: Sequence[AnyPacket]
    offset: Fraction = Fraction(0)
    begun: tuple[Stream, ...] = ()


Item = Frame | Passthrough


@dataclass(frozen=True, slots=True)
class Chapter:
    """A named part of a file.

    Attributes:
        start: in seconds, on the clock of the frames.
        end: in seconds.
        metadata: its tags (title, ...).
    """

    start: Fraction
    end: Fraction
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cover:
    """A picture that stands for a file, as in a library of films.

    Attributes:
        codec: what it is stored in: mjpeg, png, ...
        data: the stored picture.
        name: of its file, "" where it has none.
    """

    codec: str
    data: bytes = field(repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a source knows of its video before the first picture.

    Attributes:
        name: for people: a file name, a camera's name, an address without its password.
        width: of the upright picture, in pixels.
        height: of the upright picture, in pixels.
        pixel_format: FFmpeg's name of the pictures' format, such as yuv420p10le.
        time_base: seconds per tick of the pictures' timestamps.
        rate: average pictures per second, where known.
        frames: how many pictures will come, where known or well estimated.
        duration: seconds, where known.
        sample_aspect_ratio: width over height of one (upright) sample.
        colour: how sample values mean colours.
        siting: where chroma samples of 4:2:0 lie in the upright pictures, by FFmpeg's name such as
            "topleft"; "" where that is not said.
        mastering: what the film says of the display that it was made on, and of its light.
        rotation: degrees by which the source turns its pictures clockwise to make them upright.
        codec: the video's codec, for people.
        copied: streams of which the source hands packets through, for the sink to copy.
        metadata: the container's tags (title, creation time, ...).
        track: the tags of the video's own track (language, title, timecode, ...).
        roles: what the video's own track is for, as FFmpeg's AV_DISPOSITION.
        fastest: pictures per second where they come fastest, as far as known.
        chapters: its named parts.
        covers: the pictures that stand for it.
        live: whether pictures come at their own pace and cannot wait.
        camera: whether it is a camera of this machine, which mostly faces who watches.
        pictures: the file that each frame comes from, by its index, where each is one; of frames
            that have not come yet some may turn out unreadable and be taken out.
        numbers: of frames that come from numbered files these numbers, by index, as `pictures`.
        places: of `pictures` that do not lie in the folder that was asked for but below it, where.
        namesakes: of `pictures` those that nothing but their ending tells from another, whose
            results have whole names where they lose it.
        alpha: whether frames say how opaque their pixels are, and an output is to keep it.
        exact: whether every sample has a meaning, so that an output should not change one.
        grey: whether frames have no colour, whatever their format, so that an output can do
            without.
        conceals: whether parts of frames are not to be seen, so that an output leaves out other
            pictures of the same.
    """

    name: str
    width: int
    height: int
    pixel_format: str
    time_base: Fraction
    rate: Fraction | None = None
    frames: int | None = None
    duration: Fraction | None = None
    sample_aspect_ratio: Fraction = Fraction(1)
    colour: ColourTags = ColourTags()
    siting: str = ""
    mastering: Mastering = Mastering()
    rotation: int = 0
    codec: str = ""
    copied: tuple[Stream, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    track: dict[str, str] = field(default_factory=dict)
    roles: int = 0
    fastest: Fraction | None = None
    chapters: tuple[Chapter, ...] = ()
    covers: tuple[Cover, ...] = ()
    live: bool = False
    camera: bool = False
    pictures: Sequence[Path] = ()
    numbers: Sequence[int] = ()
    places: Mapping[Path, Path] = field(default_factory=dict)
    namesakes: frozenset[Path] = frozenset()
    alpha: bool = False
    exact: bool = False
    grey: bool = False
    conceals: bool = False


def tells_place(tag: str) -> bool:
    """Whether a tag of this name says where a film was taken, as phones' do."""
    return "location" in tag.lower()
