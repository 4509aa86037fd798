"""Films on servers, which have an end: how far one was read, and how it is read on from there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from stream.sources._connecting import UNTIMED
from stream.sources._pacing import is_hls
from stream.sources._services import BROADCAST
from stream.types import AnyPacket

_SHORT, _SHARE = 1.0, 50
"""Seconds, or so much of the whole, by which a film that is cut short ends before it said."""

_BEYOND = 0.25
"""Seconds for which more has come than was declared, where that was not of all."""

_MARGIN = 15
"""Seconds before a place from which a broadcast is read on, as no list says where its key frames
are."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What is known of something that has an end.

    Attributes:
        mark: what its first packet is known by.
        began: seconds of its beginning, by its own clock.
        lasts: seconds that it says it lasts; None where it does not.
        sized: whether its server says how many bytes it has.
    """

    mark: bytes
    began: Fraction
    lasts: Fraction | None
    sized: bool


def is_finite(container: InputContainer) -> bool:
    """Whether what an open container brings has an end that is known."""
    return bool(container.duration and container.duration > 0) or is_sized(container)


def is_sized(container: InputContainer) -> bool:
    """Whether a server says how many bytes there are of what it sends.

    A list has a size too, and so has one picture of a camera that is asked for the next; servers
    of endless streams that have to say one say a round one.
    """
    name, size = container.format.name, container.size
    other = is_hls(name) or name in {*UNTIMED, "dash", "gif"} or name.endswith("_pipe")
    return size > 0 and not other and not _is_round(size)


def _is_round(size: int) -> bool:
    binary = size.bit_length() >= 31 and (size & (size + 1) == 0 or size & (size - 1) == 0)
    return binary or (len(str(size)) > 8 and len(set(str(size)[-8:])) == 1)


def in_bursts(container: InputContainer) -> bool:
    """Whether what an open container brings comes in bursts: a list of pieces, or a whole file."""
    return is_finite(container) or is_hls(container.format.name)


def extent_of(container: InputContainer, mark: bytes) -> Extent | None:
    """What is known of it where what an open container brings has an end.

    Args:
        container: open.
        mark: what its first packet is known by.
    """
    if not is_finite(container):
        return None
    lasts = Fraction(container.duration, av.time_base) if container.duration else None
    began = Fraction(container.start_time or 0, av.time_base)
    return Extent(mark, began, lasts, is_sized(container))


@dataclass(frozen=True, slots=True)
class Place:
    """How far a film was read, by its own clock.

    Attributes:
        mark: what its first packet is known by.
        seconds: of its last picture that was taken; None where pictures have no times.
        pictures: how many were taken.
        sounds: seconds of the last packet of each stream of sound.
        seeks: whether what lies before may be left out unread.
    """

    mark: bytes
    seconds: Fraction | None
    pictures: int
    sounds: dict[int, Fraction] = field(default_factory=dict)
    seeks: bool = True


class IndexBehindError(ValueError):
    """An MP4's index is behind its pictures, where nobody comes who may read no parts of it."""

    def __init__(self) -> None:
        super().__init__(
            "its index is at its end, and the server gives no parts of a file (ranges); download "
            "it, or write it anew with `ffmpeg -i IN -c copy -movflags +faststart OUT`"
        )


class Following:
    """Reads a connection from a place on, if it brings the film that the place is in.

    Without parts of files (ranges) from its server a film is read from its beginning again. What
    was taken before is not decoded, but for what the first new picture is made from.

    Args:
        container: open.
        video: its stream that is decoded.
        audio: its streams of sound.
        place: from where on it is read; None from the beginning.

    Attributes:
        mark: what the connection's first packet is known by; empty before it has come.
        resumed: whether it is the film that was read before.
        reached: whether it has come to the place.
    """

    def __init__(
        self,
        container: InputContainer,
        video: VideoStream,
        audio: Sequence[AudioStream],
        place: Place | None,
    ) -> None:
        self._container, self._video, self._audio = container, video, audio
        self._place = place
        self._pictures, self._news = 0, False
        self.mark = b""
        self.resumed = self.reached = False

    def on(self, packets: Iterable[AnyPacket]) -> Iterator[AnyPacket]:
        """The packets that are to be decoded or handed on."""
        if is_finite(self._container):
            packets = self._drained(_whole(packets))
        packets = iter(packets)
        first = next(packets, None)
        if first is None:
            return
        self.mark = _mark_of(first)
        place = self._place
        self.resumed = place is not None and place.mark == self.mark
        if place is None or not self.resumed or place.seconds is None:
            yield first
            yield from packets
            return
        sought = place.seeks and self._seek(place.seconds)
        yield from self._behind(place.seconds, packets if sought else _chain(first, packets))

    def is_new(self, picture: av.VideoFrame) -> bool:
        """Whether a decoded picture was not taken before."""
        place = self._place
        if place is None or not self.resumed:
            return True
        self._pictures += 1
        if place.seconds is None or picture.pts is None or not picture.time_base:
            new = self._pictures > place.pictures
        else:
            new = picture.pts * picture.time_base > place.seconds
        self.reached |= new or self._pictures == place.pictures
        self._news |= new
        return new

    def _drained(self, packets: Iterator[AnyPacket]) -> Iterator[AnyPacket]:
        """Packets, and what gives out the decoder's last pictures where it breaks off there again.

        That is how a film ends of which no length is said.
        """
        try:
            yield from packets
        except av.FFmpegError:
            if not self.mark and self._container.format.name.startswith("mov"):
                raise IndexBehindError from None
            if self.resumed and not self._news and not is_sized(self._container):
                last: AnyPacket = av.Packet()
                last.stream, last.time_base = self._video, self._video.time_base or Fraction(1)
                yield last
            raise

    def _behind(self, seconds: Fraction, packets: Iterator[AnyPacket]) -> Iterator[AnyPacket]:
        """What the first new picture is made from, and what comes after it."""
        held: list[AnyPacket] = []
        keyed = False
        for packet in packets:
            if packet.stream is not self._video:
                held += [packet] if self._is_new_sound(packet) else []
                continue
            at = packet.pts * packet.time_base if packet.pts is not None else None
            if packet.is_keyframe and at is not None and at <= seconds:
                held = [packet, *(one for one in held if one.stream is not self._video)]
                keyed = True
            else:
                held.append(packet)
            self.reached |= at is not None and at >= seconds
            if at is None and not packet.size:
                break  # the end
            if at is not None and at > seconds:
                if keyed or not self._begin():
                    break
                held, keyed = [], True
        yield from held
        held.clear()
        for packet in packets:
            if packet.stream is self._video or self._is_new_sound(packet):
                yield packet

    def _is_new_sound(self, packet: AnyPacket) -> bool:
        position = next((i for i, one in enumerate(self._audio) if one is packet.stream), None)
        last = None if self._place is None else self._place.sounds.get(position or 0)
        at = packet.dts if packet.dts is not None else packet.pts
        if position is None or last is None or at is None or not packet.time_base:
            return True
        return at * packet.time_base > last

    def _seek(self, seconds: Fraction) -> bool:
        """Leaves out what lies before a place, where that is possible; whether it did.

        Others than these look for their index at the end, which without ranges is all of the film.
        """
        broadcast = self._container.format.name in {BROADCAST, "mpeg"}
        indexed = broadcast or self._container.format.name.startswith("mov")
        if not indexed or not self._container.duration or not self._video.time_base:
            return False
        margin = _MARGIN if broadcast else 0
        began = Fraction(self._container.start_time or 0, av.time_base)
        if seconds - margin <= began:
            return False
        wanted = int((seconds - margin) / self._video.time_base)
        self._container.seek(wanted, stream=self._video)
        return True

    def _begin(self) -> bool:
        """Goes back to the beginning, as no key frame lay before the place; whether it did."""
        if not self._container.duration:
            return False
        self._container.seek(self._container.start_time or 0)
        return True


def _chain(first: AnyPacket, packets: Iterator[AnyPacket]) -> Iterator[AnyPacket]:
    yield first
    yield from packets


def _whole(packets: Iterable[AnyPacket]) -> Iterator[AnyPacket]:
    """Packets, without the one in the middle of which a connection broke."""
    damaged: AnyPacket | None = None
    for packet in packets:
        if damaged is not None:
            yield damaged
        damaged = packet if packet.is_corrupt else None
        if damaged is None:
            yield packet
    if damaged is not None:
        yield damaged


def _mark_of(packet: AnyPacket) -> bytes:
    """What a packet is known by: its time and its bytes."""
    told = f"{packet.stream_index} {packet.pts} {packet.size}".encode()
    return hashlib.sha256(told + bytes(packet)).digest()


class Film:
    """How far a source was read that has an end, over all its connections.

    A connection that breaks off looks like an end where a server says no length, and an end like
    that. It is told by reading on from there: where nothing more comes it was the end.
    """

    _TRIES = 3
    """Connections that break off where the last one did, after which nothing more is expected of
    a film whose server says how large it is."""

    def __init__(self) -> None:
        self._extent: Extent | None = None
        self._seconds: Fraction | None = None
        self._sounds: dict[int, Fraction] = {}
        self._pictures = self._new = self._stuck = 0
        self._seeks = True
        self._stops: str | None = None

    def began(self, extent: Extent | None) -> None:
        """A connection stands that is read from its beginning."""
        self.__dict__.update(Film().__dict__)
        self._extent = extent

    def picture(self, pts: int | None, time_base: Fraction | None) -> None:
        """A picture was taken."""
        self._pictures += 1
        self._new += 1
        self._stuck, self._seeks = 0, True
        if pts is not None and time_base:
            self._seconds = max(pts * time_base, self._seconds or pts * time_base)

    def sound(self, position: int, packet: AnyPacket) -> None:
        """A packet of the sound at `position` was taken; it has its own time still."""
        at = packet.dts if packet.dts is not None else packet.pts
        if at is not None and packet.time_base:
            self._sounds[position] = at * packet.time_base

    @property
    def place(self) -> Place | None:
        """From where on the next connection is read; None from its beginning."""
        if self._extent is None or not self._pictures:
            return None
        sounds = dict(self._sounds)
        return Place(self._extent.mark, self._seconds, self._pictures, sounds, self._seeks)

    def is_over(self, following: Following | None, *, broke: bool) -> bool:
        """Whether nothing more is to be expected, now that a connection is over.

        Args:
            following: by which it was read; None where it never stood.
            broke: whether it was not over by itself, as far as FFmpeg knows.
        """
        resumed = following is not None and following.resumed
        reached = following is not None and following.reached
        new, self._new = self._new, 0
        if self._extent is None:
            return False
        if not resumed or new:
            return not broke and self._missing is None and not self._goes_beyond
        if broke:
            self._stuck += reached
            over = self._stuck >= (self._TRIES if self._extent.sized else 1)
        else:
            over = reached or not self._seeks
            self._seeks = False
        if over and broke and self._extent.sized:
            self._stops = "breaks off there each time, and what follows is missing"
        elif over:
            self._stops = self._missing
        return over

    @property
    def _missing(self) -> str | None:
        """What is said where it ends before it declares to."""
        assert self._extent is not None
        declared = self._extent.lasts
        lasted = self._lasted
        if declared is None or declared - lasted <= max(_SHORT, float(declared) / _SHARE):
            return None
        return f"is cut short: it declares {float(declared):.1f} seconds"

    @property
    def _goes_beyond(self) -> bool:
        """Whether it said less than has come, as of a first fragment, so that nothing is known."""
        assert self._extent is not None
        declared = self._extent.lasts
        known = self._extent.sized or declared is None
        return not known and self._lasted - (declared or 0) > _BEYOND

    @property
    def _lasted(self) -> Fraction:
        began = self._extent.began if self._extent is not None else Fraction(0)
        known = [one for one in (self._seconds, *self._sounds.values()) if one is not None]
        return max(known, default=began) - began

    def remarks(self, name: str) -> list[str]:
        """That something of it is missing.

        Args:
            name: the source's, for people.
        """
        if self._stops is None:
            return []
        return [f"{name} {self._stops}; it ended after {float(self._lasted):.1f} seconds"]
