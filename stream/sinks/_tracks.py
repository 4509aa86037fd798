"""Streams of the output that are not the picture and whose packets stay as they are."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from fractions import Fraction

import av
from av.bitstream import BitStreamFilterContext
from av.stream import Stream

from stream.pictures.references import packet_copy
from stream.sinks._muxer import Muxer
from stream.sinks._scratch import Scratch
from stream.types import AnyPacket

_log = logging.getLogger(__name__)

# Seconds that nobody hears sound to be off its time by.
_UNHEARD = Fraction(1, 25)
_ROUNDING = Fraction(1, 1000)
# Seconds that encoders put before the sound at most, which are no sound.
_WARM = Fraction(1, 10)
# FFmpeg's AVFMT_TS_NONSTRICT: Matroska and the like, of which packets may have the same time.
_SAME_TIMES = 0x20000
# How a packet of AC-3 begins (ETSI TS 102 366, 4.3.1).
_SYNC = b"\x0b\x77"


class Track(ABC):
    """One stream of the output that is not the picture.

    Attributes:
        lost: packets that were damaged and left out.
    """

    lost = 0

    @abstractmethod
    def write(self, packet: AnyPacket) -> None:
        """Takes one packet of the input's stream, to do with as it likes."""

    def advance(self, now: Fraction) -> None:
        """Says that the pictures have come to `now`, in seconds."""
        return

    def finish(self) -> None:
        """Writes what is still inside."""
        return

    @property
    def remarks(self) -> list[str]:
        """What was changed on the way, a sentence each; complete after `finish`."""
        return []


class Copied(Track):
    """A stream whose packets are handed on byte for byte."""

    def __init__(self, muxer: Muxer, stream: Stream, scratch: Scratch | None = None) -> None:
        self._muxer = muxer
        self._stream = stream
        self._scratch = scratch
        self._last: int | None = None

    @property
    def empty(self) -> bool:
        """Whether no packet has come so far."""
        return self._last is None

    def write(self, packet: AnyPacket) -> None:
        if self._scratch is not None and self._scratch.refuses(packet):
            self.lost += 1
            return
        last = put_on_clock(packet, self._stream, self._last)
        try:
            self._muxer.mux(packet)
        except (av.InvalidDataError, av.ArgumentError) as error:
            self.lost += 1
            _log.debug("a packet of stream %d is not taken: %s", self._stream.index, error)
            return
        self._last = last


class Dolby(Copied):
    """AC-3 and E-AC-3, of which every packet begins with a word that is known."""

    def write(self, packet: AnyPacket) -> None:
        if bytes(packet)[:2] == _SYNC:
            super().write(packet)
        else:
            self.lost += 1


class Headed(Copied):
    """AAC whose packets each carry a header, as in broadcasts.

    Muxers that take headers off look at the first packet alone for whether there are any: behind
    one of another codec, as where a stream changed it, all sound would be lost.
    """

    def write(self, packet: AnyPacket) -> None:
        begin = bytes(packet)[:2]
        if len(begin) == 2 and begin[0] == 0xFF and begin[1] & 0xF0 == 0xF0:
            super().write(packet)
        else:
            self.lost += 1


class Keyed(Copied):
    """Further video, which begins with a picture that needs no other."""

    def __init__(self, muxer: Muxer, stream: Stream) -> None:
        super().__init__(muxer, stream)
        self._begun = False

    def write(self, packet: AnyPacket) -> None:
        self._begun = self._begun or packet.is_keyframe
        if self._begun:
            super().write(packet)


class Filled(Copied):
    """Sound in a container that has no times for it: gaps are filled with silence.

    Attributes:
        filled: packets of silence that were put in.
        late: seconds by which the sound is early at most, as there is no silence in its codec.
        early: seconds of before the first picture that are left out.
    """

    def __init__(
        self,
        muxer: Muxer,
        stream: Stream,
        silence: list[AnyPacket],
        scratch: Scratch | None = None,
        longest: Fraction | None = None,
    ) -> None:
        """Takes the stream.

        Args:
            muxer: the output.
            stream: of the output.
            silence: packets in the stream's codec, with their durations.
            scratch: says which packets would be refused.
            longest: seconds of sound in a packet at most; None where any number may be.
        """
        super().__init__(muxer, stream, scratch)
        self.filled = 0
        self.late = self.early = Fraction(0)
        # The encoder's first packet may be shorter.
        self._silence = silence[1] if len(silence) > 1 else None
        self._longest = longest
        self._reached = Fraction(0)

    def write(self, packet: AnyPacket) -> None:
        length = (packet.duration or 0) * packet.time_base
        if self._longest is not None and length > self._longest + _ROUNDING:
            length = self._longest  # MP4 counts the pause behind a packet as the packet's
        hush = self._silence
        if packet.pts is not None:
            if self.empty and packet.pts * packet.time_base + length / 2 <= _ROUNDING:
                # Of before the first picture, or what an encoder puts before the sound. Packets
                # are whole: one that lies half before it is as far off with as without.
                self.early = max(self.early, -packet.pts * packet.time_base)
                return
            missing = packet.pts * packet.time_base - self._reached
            step = Fraction(0) if hush is None else (hush.duration or 0) * hush.time_base
            # Coarse clocks round lengths, and many roundings add up to a gap.
            length = step if abs(length - step) < _ROUNDING else length
            if hush is not None and step and missing > max(_UNHEARD, step):
                for _ in range(int(missing / step)):
                    self._put(packet_copy(hush), step)
                    self.filled += 1
            elif missing > _UNHEARD:
                self.late = max(self.late, missing)
        self._put(packet, length)

    def _put(self, packet: AnyPacket, length: Fraction) -> None:
        packet.pts = packet.dts = round(self._reached / packet.time_base)
        self._reached += length
        super().write(packet)

    @property
    def remarks(self) -> list[str]:
        said = []
        if self.early > _WARM:
            said.append(said_early(float(self.early)))
        if self.filled:
            said.append("gaps were filled with silence, as the container has no times for it")
        elif self.late:
            said.append(
                f"gaps of up to {float(self.late):.2f} s are lost, as the container has no times "
                "for it; .mkv and .mp4 have"
            )
        return [f"in stream {self._stream.index}, sound, {one}" for one in said]


def said_early(seconds: float) -> str:
    """What is said of sound that is left out where a file begins with its first picture."""
    return (
        f"{seconds:.2f} s from before the first picture were left out, as the container has no "
        "times for it"
    )


def put_on_clock(packet: AnyPacket, stream: Stream, last: int | None) -> int:
    """Gives a packet to a stream of a file that is begun, at a time not before the last one's.

    Most muxers refuse times that do not grow. Those of damaged files do not, nor do good ones where
    the output's clock is coarser than the input's, or is as coarse as packets are short.

    Args:
        packet: of the input; changed.
        stream: of the output, whose clock is known.
        last: the decoding time given to the packet before it, None for the first.

    Returns:
        The packet's decoding time in ticks of the output's clock.
    """
    own, given = stream.time_base, packet.time_base
    packet.stream = stream
    if own and given and own != given:
        ratio = given / own
        packet.pts = None if packet.pts is None else round(packet.pts * ratio)
        packet.dts = None if packet.dts is None else round(packet.dts * ratio)
        packet.duration = round((packet.duration or 0) * ratio)
        packet.time_base = own
    if packet.dts is None:
        packet.dts = packet.pts if packet.pts is not None else (last or 0) + (packet.duration or 1)
    if last is not None:
        container = stream.container.format
        packet.dts = max(packet.dts, last if container.flags & _SAME_TIMES else last + 1)
    if packet.pts is None or packet.pts < packet.dts:
        packet.pts = packet.dts
    # Muxing may change it.
    return packet.dts


class Unwrapped(Track):
    """AAC whose packets each carry a header that other containers keep once for the whole track.

    FFmpeg would take the headers off for MP4 by itself, but not while it delays the file's header.
    """

    def __init__(self, bare: Copied, template: Stream) -> None:
        """Goes before another track.

        Args:
            bare: takes the packets without headers.
            template: the input's stream.
        """
        self._bare = bare
        self._unwrap = BitStreamFilterContext("aac_adtstoasc", template)

    def write(self, packet: AnyPacket) -> None:
        time_base = packet.time_base
        try:
            unwrapped = self._unwrap.filter(packet)
        except av.FFmpegError as error:
            self._bare.lost += 1
            _log.debug("a packet of sound has no header: %s", error)
            return
        for bare in unwrapped:
            bare.time_base = time_base
            self._bare.write(bare)

    @property
    def lost(self) -> int:  # type: ignore[override]
        """Packets that were damaged and left out."""
        return self._bare.lost

    @property
    def remarks(self) -> list[str]:
        return self._bare.remarks
