"""Pictures and packets of one's own, made from those that others may hold too.

Several outputs are handed the same pictures and packets in several threads, while encoding,
converting and muxing all write to what they are given (times, types, colour tags). So each output
works on its own: references to pictures, whose samples FFmpeg shares, and copies of packets, which
are small.
"""

from __future__ import annotations

from fractions import Fraction

import av
from av.filter import Graph
from av.filter.context import FilterContext
from av.packet import Packet
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame

from stream.types import AnyPacket

# The graph leaves times as they are; it only wants to be told some clock.
_ANY_CLOCK = Fraction(1, av.time_base)


class Referencer:
    """Makes references to pictures; one for each thread.

    A picture's way through an empty filter graph gives a second reference to the same samples, with
    the same times, tags and side data, in about two microseconds. Painting on it needs
    `make_writable` first, as on every picture that is shared.
    """

    def __init__(self) -> None:
        self._for: tuple[int, int, str] | None = None
        self._buffer: FilterContext
        self._sink: FilterContext
        self._graph: Graph

    def __call__(self, picture: VideoFrame) -> VideoFrame:
        """A new reference to a picture's samples; nothing is written on the one that is given."""
        wanted = (picture.width, picture.height, picture.format.name)
        if wanted != self._for:
            self._build(picture)
            self._for = wanted
        self._buffer.push(picture)
        return self._sink.pull()  # type: ignore[return-value]  # a picture for a picture

    def _build(self, picture: VideoFrame) -> None:
        graph = Graph()
        # There is nothing to compute; by default every graph starts a thread for each processor.
        graph.threads = 1
        self._buffer = graph.add_buffer(
            width=picture.width,
            height=picture.height,
            format=picture.format,
            time_base=_ANY_CLOCK,
        )
        self._sink = graph.add("buffersink")
        self._buffer.link_to(self._sink)
        graph.configure()
        self._graph = graph


def packet_copy(packet: AnyPacket, offset: Fraction = Fraction(0)) -> AnyPacket:
    """A packet with the same bytes and side data, that belongs to no stream yet.

    Args:
        packet: is left as it is.
        offset: seconds to take off its times.
    """
    own: AnyPacket = Packet(packet.size)
    if packet.size:
        own.update(packet)  # type: ignore[arg-type]  # any buffer will do
    ticks = round(offset / packet.time_base) if offset else 0
    own.pts = None if packet.pts is None else packet.pts - ticks
    own.dts = None if packet.dts is None else packet.dts - ticks
    own.duration = packet.duration
    own.time_base = packet.time_base
    own.is_keyframe, own.is_corrupt = packet.is_keyframe, packet.is_corrupt
    for side_data in packet.iter_sidedata():
        own.set_sidedata(side_data, move=True)
    return own


def side_data(picture: VideoFrame) -> SideDataContainer:
    """What lies beside a picture, looked up anew each time.

    PyAV's own `picture.side_data` keeps pointers into what the picture had when it was first asked,
    which making it writable gives back; and it ties both into a ring, which keeps the picture's
    memory until Python's collector comes by.

    Raises:
        ValueError: there is a kind of data that is new to PyAV, such as multi-view HEVC's.
    """
    return SideDataContainer(picture)  # type: ignore[call-arg]  # PyAV's types leave it out


def has_captions(picture: VideoFrame) -> bool:
    """Whether a picture carries closed captions (ATSC A/53)."""
    try:
        return any(one.type is SideDataType.A53_CC for one in side_data(picture))
    except ValueError:
        return False
