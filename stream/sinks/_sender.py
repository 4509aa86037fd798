"""The process that sends a stream on; run as a script, with nothing of ours loaded.

FFmpeg gives no way to let go of a receiver that neither takes data nor goes away. This process can
be ended. It reads NUT from standard input and sends it on as it comes: what was encoded stays as it
is. It says "connected" on standard output once the receiver has taken the header, "failed" with
FFmpeg's words where something went wrong, and "lost" where a live stream goes on without a file.

Environment:
    STREAM_SENDER: JSON with `address`, `format` and the muxer's `options`. An argument would stand
        in the list of processes, with the address's passwords.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.bitstream import BitStreamFilterContext
from av.stream import Stream

if TYPE_CHECKING:
    from av.packet import Packet

    AnyPacket = Packet[Stream]

_PAUSE = 1
"""Seconds that a live packet waits at most for the next of its stream."""
_IN_BAND = {"h264", "hevc"}
"""Codecs whose headers receivers of MPEG-TS, who may join at any time, look for at key frames."""


def main() -> int:
    """Sends until standard input ends; returns the process's exit code."""
    asked = json.loads(os.environ.pop("STREAM_SENDER"))
    try:
        _send(asked["address"], asked["format"], asked["options"])
    except (av.FFmpegError, OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        print("failed", " ".join(words.split()), flush=True)  # noqa: T201
        return 1
    return 0


def _send(address: str, form: str, options: dict[str, str]) -> None:
    # All is said in the header and the first picture: whoever probes for longer only waits.
    read = {"probesize": "32", "analyzeduration": "0", "fpsprobesize": "0"}
    with (
        open(0, "rb", buffering=0, closefd=False) as pipe,
        av.open(pipe, "r", format="nut", container_options=read, buffer_size=4096) as source,
    ):
        files, patience = None, math.inf
        if form == "hls":
            # FFmpeg puts numbers into paths in which there is a `%d`, and knows `/` alone.
            folder, called = os.path.split(address)
            os.chdir(folder or os.curdir)
            address = "playlist.m3u8"
            files = _Files({address: called}, whole="hls_playlist_type" in options)
            # A film's sound may come long before its pictures.
            patience = math.inf if files.whole else _PAUSE
        target = av.open(
            address,
            "w",
            format=form,
            container_options=options,
            io_open=None if files is None else files.open,
        )
        # A session's description is lines.
        lines = form != "rtsp"
        target.metadata.update(
            {
                key: said if lines else " ".join(said.split())
                for key, said in source.metadata.items()
            }
        )
        copies: dict[int, Stream] = {}
        filters: dict[int, BitStreamFilterContext] = {}
        for stream in source.streams:
            copy = target.add_stream_from_template(stream, opaque=True)
            copy.metadata.update(stream.metadata)
            copy.disposition = stream.disposition
            copies[stream.index] = copy
            if form == "mpegts" and stream.codec_context.codec.canonical_name in _IN_BAND:
                filters[stream.index] = BitStreamFilterContext("dump_extra", stream, copy)
        target.start_encoding()
        print("connected", flush=True)  # noqa: T201
        for packet in source.demux() if files is None else _with_lengths(source.demux(), patience):
            if not packet.size:
                continue  # the end
            if packet.dts is None:
                packet.dts = packet.pts
            at = packet.stream_index
            for one in filters[at].filter(packet) if at in filters else [packet]:
                one.stream = copies[at]
                target.mux_one(one)
                if files is not None:
                    files.check()
        target.close()
        if files is not None:
            files.check()


def _with_lengths(packets: Iterable[AnyPacket], patience: float) -> Iterator[AnyPacket]:
    """Packets that last until the next of their stream, for which each waits.

    NUT has no lengths, and FFmpeg's guess would be where the next piece of fragmented MP4 begins:
    its first picture was shown at another time than its own.

    Args:
        packets: in the order of a file.
        patience: seconds that one waits at most while others come.
    """
    held: dict[int, tuple[AnyPacket, float]] = {}
    for packet in packets:
        if packet.pts is None:  # the end
            continue
        before, _ = held.pop(packet.stream_index, (None, 0))
        if before is not None and before.pts is not None:
            before.duration = max(1, packet.pts - before.pts)
            yield before
        now = time.monotonic()
        held[packet.stream_index] = packet, now
        late = [at for at, (_, since) in held.items() if now - since > patience]
        yield from (held.pop(at)[0] for at in late)
    yield from (packet for packet, _ in held.values())


class _Files:
    """The files of a playlist, as FFmpeg's muxer tells nobody that one could not be written.

    One that is not whole is removed. Of a film nothing more is written then.
    """

    def __init__(self, called: dict[str, str], *, whole: bool) -> None:
        self._called, self.whole = called, whole
        self._error: OSError | None = None

    def open(self, name: str, _flags: int, _options: dict[str, str]) -> _File:
        """Begins a file, for FFmpeg to write."""
        # It renames what it has written, which is in its place by then.
        name = name.removesuffix(".tmp")
        name = self._called.get(name, name)
        return _File(None if self._error is not None else Path(name), self._failed)

    def check(self) -> None:
        """Raises what went wrong with a film's files."""
        if self._error is not None:
            raise self._error

    def _failed(self, error: OSError) -> None:
        if self.whole:
            self._error = self._error or error
        else:
            print("lost", error.strerror, flush=True)  # noqa: T201


class _File:
    """A file that takes everything, and is there once it holds all of that."""

    def __init__(self, path: Path | None, failed: Callable[[OSError], None]) -> None:
        self._path, self._failed = path, failed
        self._file: int | None = None
        if path is None:
            return
        self._beside = path.with_name(f"{path.name}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        try:
            self._file = os.open(self._beside, flags, 0o666)
        except OSError as error:
            failed(error)

    def write(self, data: bytes) -> int:
        """Writes all of it, or removes the file."""
        left = memoryview(data)
        try:
            while left and self._file is not None:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            self._lose(error)
        return len(data)

    def close(self) -> None:
        """Puts the file into its place."""
        if self._file is None or self._path is None:
            return
        try:
            os.close(self._file)
            self._file = None
            self._beside.replace(self._path)
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
        self._file = None
        with suppress(OSError):
            self._beside.unlink()
        self._failed(error)


if __name__ == "__main__":
    sys.exit(main())
