"""A video encoded in parts, each by itself, and the parts' packets put together again."""

from __future__ import annotations

import json
import struct
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from av import VideoFrame
from av.packet import Packet

from stream.errors import SinkError, StreamError
from stream.frame import Frame, Item, VideoInfo
from stream.settings.options import OutputOptions
from stream.sinks.video import VideoSink
from stream.types import AnyPacket

_MAGIC = b"stream packets 1\n"
_LENGTH = struct.Struct("<Q")


class NotJoinableError(StreamError):
    """Parts that were encoded apart do not make one video."""


@dataclass(slots=True)
class Part:
    """What came of encoding a part.

    Attributes:
        encoder: its name and all that was asked of it.
        extradata: what the encoder says once for all pictures.
        tick: seconds per tick of packets, as a fraction in words.
        times: of the frames in presentation order, and how long each lasts, in the source's ticks.
        packets: pts, whether it is a key frame, and how many bytes, in decoding order.
    """

    encoder: str
    extradata: bytes
    tick: str
    times: list[tuple[int, int | None]] = field(default_factory=list)
    packets: list[tuple[int, bool, int]] = field(default_factory=list)


class PartSink(VideoSink):
    """Encodes as the whole file's sink would, and keeps the packets in a file of our own.

    The container beside it is only opened, so that the encoder is asked the very same.
    """

    def keep(self, path: Path) -> None:
        """Says where the packets go, before the first frame."""
        self._kept = path
        self._file = path.open("wb")
        self._about = Part(
            repr(self.encoder), bytes(self._stream.codec_context.extradata or b""), str(self._tick)
        )

    def write(self, item: Item) -> None:
        """Encodes a frame; nothing else belongs to a part."""
        if isinstance(item, Frame):
            self._about.times.append((item.pts, item.duration))
            super().write(item)

    def _mux(self, packets: list[AnyPacket], *, final: bool = False) -> None:
        for packet in packets:
            if packet.pts is None:
                raise NotJoinableError("the encoder gives packets without times")
            data = bytes(packet)
            self._file.write(data)
            self._about.packets.append((packet.pts, packet.is_keyframe, len(data)))

    def close(self) -> None:
        """Flushes the encoder, and completes the file of packets."""
        if self._done:
            return
        self._mux(self._encoded(None), final=True)
        # Some encoders know it only now.
        self._about.extradata = bytes(self._stream.codec_context.extradata or b"")
        about = self._about
        end = zlib.compress(
            json.dumps(
                [about.encoder, about.extradata.hex(), about.tick, about.times, about.packets]
            ).encode()
        )
        self._file.write(end + _LENGTH.pack(len(end)) + _MAGIC)
        self._file.close()
        self._discard()

    def abort(self) -> None:
        """Lets go."""
        self._file.close()
        super().abort()


def read_part(path: Path) -> Part:
    """What a file of packets holds, but for the packets' data.

    Raises:
        NotJoinableError: it is not there or not whole.
    """
    try:
        encoder, extradata, tick, times, packets = json.loads(_tail(path))
    except (OSError, ValueError, struct.error, zlib.error) as error:
        raise NotJoinableError(f"{path.name}, which an earlier step wrote, is not whole") from error
    return Part(
        encoder,
        bytes.fromhex(extradata),
        tick,
        [(pts, duration) for pts, duration in times],
        [(pts, key, count) for pts, key, count in packets],
    )


def _tail(path: Path) -> bytes:
    """What is said of the packets, behind them.

    Raises:
        ValueError: it is not there.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        tail = _LENGTH.size + len(_MAGIC)
        file.seek(max(0, size - tail))
        (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
        if file.read() != _MAGIC:
            raise ValueError("it is cut short")
        file.seek(size - tail - length)
        return zlib.decompress(file.read(length))


class SplicedSink(VideoSink):
    """Writes a file of which the pictures were encoded in parts; all else is as in any file.

    It is given a frame for each, whose picture is not looked at, and the copied packets.
    """

    @classmethod
    def of_parts(
        cls, target: str, info: VideoInfo, options: OutputOptions, paths: Sequence[Path]
    ) -> SplicedSink:
        """Opens the file.

        Args:
            target: the file.
            info: of the whole, as the painter gives it.
            options: how it is written.
            paths: the parts, one behind the other.

        Raises:
            NotJoinableError: a part is not whole, or another encoder made it.
        """
        parts = [read_part(path) for path in paths]
        sink = cls.from_target(target, info, options)
        try:
            sink._begin(parts, paths)
        except BaseException:
            sink.abort()
            raise
        return sink

    def _begin(self, parts: Sequence[Part], paths: Sequence[Path]) -> None:
        asked, tick = repr(self.encoder), str(self._tick)
        if any((one.encoder, one.tick) != (asked, tick) for one in parts):
            raise NotJoinableError("its parts were encoded in another way than the whole would be")
        if len({one.extradata for one in parts}) > 1:
            raise NotJoinableError("its parts' encoders say different things of their pictures")
        self._shown_at = sorted(pts for one in parts for pts, _, _ in one.packets)
        count = sum(len(one.times) for one in parts)
        if len(set(self._shown_at)) != count or len(self._shown_at) != count:
            raise NotJoinableError("an encoder gave more or fewer packets than pictures")
        self._delay = max(map(_depth, parts))
        self._packets = _packets_of(parts, paths)
        self._waiting: deque[AnyPacket] = deque()
        self._given = self._seen = 0

    def _encoded(self, picture: VideoFrame | None) -> list[AnyPacket]:
        """The packets that belong before or at a picture; all that are left, after the last."""
        if picture is not None:
            if picture.pts != self._shown_at[self._seen]:
                raise NotJoinableError("its parts' pictures are not at the whole's times")
            self._seen += 1
        found: list[AnyPacket] = []
        last = self._seen == len(self._shown_at)
        while self._given < len(self._shown_at) and not (picture is not None and last):
            if not self._waiting:
                self._waiting.append(next(self._packets))
            first = self._waiting[0]
            if picture is not None and (first.pts or 0) > (picture.pts or 0):
                break
            found.append(self._waiting.popleft())
            first.dts = self._decoded_at(self._given)
            first.time_base = self._tick
            first.stream = self._stream
            self._given += 1
        return found

    def _decoded_at(self, place: int) -> int:
        """When a packet is decoded: as many pictures before it is shown as any of them needs."""
        shown, delay = self._shown_at, self._delay
        if place >= delay:
            return shown[place - delay]
        step = shown[1] - shown[0] if len(shown) > 1 else 1
        return shown[0] - (delay - place) * step


def _depth(part: Part) -> int:
    """How many packets later than its place among the pictures shown one comes at most."""
    places = {pts: place for place, pts in enumerate(sorted(pts for pts, _, _ in part.packets))}
    return max((came - places[pts] for came, (pts, _, _) in enumerate(part.packets)), default=0)


def _packets_of(parts: Sequence[Part], paths: Sequence[Path]) -> Iterator[AnyPacket]:
    for part, path in zip(parts, paths, strict=True):
        with path.open("rb") as file:
            for pts, key, count in part.packets:
                data = file.read(count)
                if len(data) != count:
                    raise SinkError(f"{path.name}, which an earlier step wrote, is not whole")
                packet: AnyPacket = Packet(data)
                packet.pts, packet.is_keyframe = pts, key
                yield packet
