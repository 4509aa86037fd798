"""Receivers of what is sent, for tests: what came, with its times."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import av


@dataclass(slots=True)
class Received:
    """What came to a receiver.

    Attributes:
        frames: of the video: times in seconds and the mean luma.
        sound: times in seconds of each block of samples, and its loudest sample, 0..1.
        codecs: of the streams.
    """

    frames: list[tuple[float, float]] = field(default_factory=list)
    sound: list[tuple[float, float]] = field(default_factory=list)
    codecs: list[str] = field(default_factory=list)


def receive(address: str, into: Received, *, options: dict[str, str] | None = None) -> None:
    """Takes what comes from an address until it ends."""
    with av.open(address, options=options or {}, timeout=(30, 10)) as source:
        into.codecs += [stream.codec_context.name for stream in source.streams]
        try:
            for packet in source.demux():
                for frame in packet.decode():
                    at = float(frame.pts * frame.time_base)
                    if isinstance(frame, av.VideoFrame):
                        luma = frame.reformat(format="gray").to_ndarray()
                        into.frames.append((at, float(luma.mean())))
                    elif isinstance(frame, av.AudioFrame):
                        into.sound.append((at, float(abs(frame.to_ndarray()).max())))
        except av.FFmpegError:
            return  # it went away


@contextmanager
def receiving(address: str) -> Iterator[Received]:
    """Receives beside the test; what came is complete once the block is left."""
    received = Received()
    thread = threading.Thread(target=receive, args=(address, received), daemon=True)
    thread.start()
    try:
        yield received
    finally:
        thread.join(40)
    assert not thread.is_alive()


class Listener:
    """A TCP receiver that can go away, come back, and stop taking anything."""

    def __init__(self, port: int = 0, *, takes: bool = True) -> None:
        self.data = bytearray()
        self.came = threading.Event()
        self._takes = takes
        self._server = socket.socket()
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._server.bind(("127.0.0.1", port))
        self._server.listen(1)
        self.port: int = self._server.getsockname()[1]
        self._taken: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._taken, _ = self._server.accept()
            self.came.set()
            while self._takes and (data := self._taken.recv(65536)):
                self.data += data
        except OSError:
            return

    def close(self) -> None:
        for one in (self._taken, self._server):
            if one is not None:
                # Wakes the thread that waits in it.
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._thread.join(5)
