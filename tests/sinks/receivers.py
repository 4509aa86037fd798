"""Receivers of what is sent, for tests: what came, with its times.

    python -m tests.sinks.receivers ADDRESS [--again]

is one in a process of its own, which can be killed. It writes a line of JSON for each frame and
block of samples; with --again it asks until there is something.
"""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np

from tests.sources.serving import ROOT

RATE = 25
_RECORDER = Path(__file__).with_name("rtsp_recorder.py")


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


def receive(address: str, into: Received) -> None:
    """Takes what comes from an address until it ends."""
    with av.open(address, timeout=(60, 10)) as source:
        into.codecs += [stream.codec_context.name for stream in source.streams]
        with suppress(av.FFmpegError):  # it went away
            for kind, at, value in _frames(source):
                (into.frames if kind == "video" else into.sound).append((at, value))


def _frames(source) -> Iterator[tuple[str, float, float]]:
    for packet in source.demux():
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue  # the first after a key frame that was missed
        for frame in frames:
            at = float(frame.pts * frame.time_base)
            if isinstance(frame, av.VideoFrame):
                yield "video", at, float(frame.reformat(format="gray").to_ndarray().mean())
            elif isinstance(frame, av.AudioFrame):
                yield "audio", at, float(abs(frame.to_ndarray()).max())


@contextmanager
def receiving(address: str) -> Iterator[Received]:
    """Receives beside the test; what came is complete once the block is left."""
    received = Received()
    thread = threading.Thread(target=receive, args=(address, received), daemon=True)
    thread.start()
    try:
        yield received
    finally:
        thread.join(100)
    assert not thread.is_alive()


class Listener:
    """A TCP receiver that can go away, come back, and stop taking anything."""

    def __init__(self, port: int = 0, *, takes: bool = True) -> None:
        self.data = bytearray()
        self.came = threading.Event()
        self.over = threading.Event()
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
        finally:
            self.over.set()

    def close(self) -> None:
        for one in (self._taken, self._server):
            if one is not None:
                # Wakes the thread that waits in it.
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._thread.join(60)


def flashes(clip: Path, seconds: int) -> Path:
    """A film that flashes and beeps at every full second."""
    with av.open(str(clip), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "bf": "0"})
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        sound = out.add_stream("aac", rate=48000, layout="mono")
        for index in range(seconds * RATE):
            frame = frame_of(0, 220 if index % RATE < 3 else 30)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        at = np.arange(seconds * 48000)
        wave = 0.5 * np.sin(at * 2 * np.pi * 1000 / 48000) * (at % 48000 < 5760)
        for start in range(0, len(at), 960):
            part = av.AudioFrame.from_ndarray(
                wave[None, start : start + 960].astype(np.float32), "fltp", "mono"
            )
            part.sample_rate, part.pts, part.time_base = 48000, start, Fraction(1, 48000)
            out.mux(sound.encode(part))
        out.mux(sound.encode(None))
    return clip


def frame_of(index: int, luma: int = 60) -> av.VideoFrame:
    """A grey picture with a white square that moves."""
    planes = np.full((360, 320), 128, np.uint8)
    planes[:240] = luma
    planes[20:60, (8 * index) % 280 :][:, :40] = 235
    return av.VideoFrame.from_ndarray(planes, "yuv420p")


def apart(received: Received) -> list[float]:
    """Seconds from each flash to its beep."""
    lit = _rises([(at, luma > 120) for at, luma in received.frames])
    beeps = _rises([(at, loud > 0.1) for at, loud in received.sound])
    pairs = [min((beep - flash for beep in beeps), key=abs, default=9.0) for flash in lit]
    return [one for one in pairs if abs(one) < 0.5]


def _rises(seen: list[tuple[float, bool]]) -> list[float]:
    return [at for (_, before), (at, now) in itertools.pairwise(seen) if now and not before]


@cache
def gstreamer_records() -> bool:
    """Whether `recorder` works here."""
    python = Path("/usr/bin/python3")
    check = [python, _RECORDER, "--check"]
    return (
        python.exists() and not subprocess.run(check, check=False, capture_output=True).returncode
    )


def recorder(port: int, taken: Path) -> subprocess.Popen[bytes]:
    """GStreamer's RTSP server, which records what is sent to it; it listens already."""
    server = subprocess.Popen(
        ["/usr/bin/python3", _RECORDER, str(port), str(taken)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert server.stdout is not None and server.stdout.readline() == b"ready\n"
    return server


class Process:
    """A Python program of the tests' that says in lines of JSON what comes to it."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.said: list[dict] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith(b"\n"):
                self.said.append(json.loads(line))

    def wait_for(self, key: str, seconds: float = 60.0) -> None:
        wait(lambda: any(key in one for one in list(self.said)), seconds)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join(60)
        assert self.process.stdout is not None
        self.process.stdout.close()


def wait(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.05)


def by_the_senders_clock(said: list[dict]) -> Received:
    """What a WHIP receiver said, at the times that the sender's reports give its timestamps."""
    found = Received()
    clocks = {one["clock"]: (one["ntp"], one["rtp"]) for one in said if "clock" in one}
    if len(clocks) < 2:
        return found
    start = min(ntp for ntp, _ in clocks.values())
    for one in said:
        if "kind" in one:
            ntp, rtp = clocks[one["kind"]]
            rate = 90_000 if one["kind"] == "video" else 48_000
            steps = (one["rtp"] - rtp + 2**31) % 2**32 - 2**31
            into = found.frames if one["kind"] == "video" else found.sound
            into.append((ntp - start + steps / rate, one["value"]))
    return found


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def _opened(address: str, again: bool):
    """What comes from an address; known before there is anything where it listens itself."""
    _say(ready=True)
    quick = {"probesize": "100000", "analyzeduration": "1500000"}
    while True:
        try:
            return av.open(address, options=quick, timeout=(60, 60))
        except (av.FFmpegError, OSError):
            if not again:
                raise
            time.sleep(0.2)


def main(address: str, again: bool) -> None:
    while True:
        with suppress(av.FFmpegError), _opened(address, again) as source:
            for kind, at, value in _frames(source):
                _say(kind=kind, at=at, value=value)
        if not again:
            return


if __name__ == "__main__":
    main(sys.argv[1], "--again" in sys.argv)
