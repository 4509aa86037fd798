"""Sources for the network tests, run as processes that can be killed.

    python -m tests.sources.serving KIND ADDRESS PORT [--grow] [--gop=N]

sends an endless H.264 picture with a tone: over HTTP, TCP and UDP as MPEG-TS, to an RTMP server,
into a folder as HLS, or as MJPEG over HTTP without sound. With --grow the picture becomes larger
after a second; --gop=N sets how many pictures lie between key frames, 10 by default. SIGUSR1 asks
for one more. It says `ready` before it waits for a reader; where it waits for none, after some
pictures.
"""

from __future__ import annotations

import io
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import psutil
from av.container import OutputContainer
from av.video.frame import PictureType

if TYPE_CHECKING:  # a server starts sooner without
    from stream.sources.network import NetworkSource

RATE = 25
ROOT = Path(__file__).resolve().parents[2]


# Below the ports that the system gives out by itself, to connections of all processes: nobody else
# takes one between its choice and its use. Each process begins at another place.
_FIRST, _LAST = 10_000, 32_000
_ports = itertools.count(os.getpid() * 97)


def free_port() -> int:
    """A port on which nothing listens; never the same one twice."""
    for number in _ports:
        port = _FIRST + number % (_LAST - _FIRST)
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(type=kind) as probe:
                    probe.bind(("", port))
        except OSError:
            continue
        return port
    raise AssertionError("no port is free")


class Server:
    """A source in a process of its own."""

    def __init__(self, kind: str, *options: str, address: str = "") -> None:
        self.kind, self.port, self._options = kind, free_port(), options
        places = {
            "http": f"http://127.0.0.1:{self.port}/live.ts",
            "tcp": f"tcp://127.0.0.1:{self.port}",
            "udp": f"udp://127.0.0.1:{self.port}",
            "mjpeg": f"http://127.0.0.1:{self.port}/cam.mjpg",
        }
        self.address = address or places[kind]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.sources.serving",
                self.kind,
                self.address,
                str(self.port),
                *self._options,
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 60
        while self.kind in {"http", "tcp", "mjpeg"} and not self._listens():
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.01)

    def _listens(self) -> bool:
        assert self.process is not None
        return any(
            connection.status == psutil.CONN_LISTEN
            for connection in psutil.Process(self.process.pid).net_connections()
        )

    def key_frame(self) -> None:
        """Its next picture needs no other."""
        assert self.process is not None
        self.process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None


@contextmanager
def serving(kind: str, *options: str, address: str = "") -> Iterator[Server]:
    server = Server(kind, *options, address=address)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def let_go(source: NetworkSource) -> None:
    """Waits until a source that was closed has read its last packet.

    UDP has no end: of a server that is gone it waits for one for as long as its patience lasts.
    """
    deadline = time.monotonic() + 60
    while source._reader is not None and source._reader.alive:
        assert time.monotonic() < deadline, "it reads on"
        time.sleep(0.01)


def picture(width: int, height: int, index: int) -> av.VideoFrame:
    """A grey ramp with a bright square that moves; each picture differs."""
    luma = np.tile(np.linspace(40, 120, width, dtype=np.uint8), (height, 1))
    left = (8 * index) % (width - 32)
    luma[20:52, left : left + 32] = 235
    full = np.concatenate([luma, np.full((height // 2, width), 128, np.uint8)])
    return av.VideoFrame.from_ndarray(full, format="yuv420p")


def make_clip(path: Path, seconds: int, gop: int = 10) -> Path:
    """An MP4 of H.264 and AAC, `picture` after `picture`, a key frame in every `gop`."""
    with av.open(str(path), "w", container_options={"movflags": "faststart"}) as out:
        video = out.add_stream(
            "libx264", rate=RATE, options={"preset": "ultrafast", "bf": "0", "threads": "1"}
        )
        # One slice per picture: GStreamer would put parameter sets before each slice of a key frame
        # and so make two pictures of one.
        video.width, video.height, video.pix_fmt, video.gop_size = 320, 240, "yuv420p", gop
        sound = out.add_stream("aac", rate=44100, layout="mono")
        for index in range(seconds * RATE):
            frame = picture(320, 240, index)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for start in range(0, seconds * 44100, 1024):
            out.mux(sound.encode(tone(start)))
        out.mux(sound.encode(None))
    return path


def tone(start: int) -> av.AudioFrame:
    """1024 samples of 440 Hz from this sample on."""
    wave = 0.2 * np.sin(2 * np.pi * 440 * np.arange(start, start + 1024) / 44100)
    part = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
    part.sample_rate, part.pts, part.time_base = 44100, start, Fraction(1, 44100)
    return part


class _Response(io.RawIOBase):
    """An HTTP response as a file that PyAV writes to."""

    def __init__(self, port: int, content_type: str) -> None:
        with socket.create_server(("127.0.0.1", port)) as listening:
            self._connection, _ = listening.accept()
        self._connection.recv(65536)
        head = f"HTTP/1.0 200 OK\r\nContent-Type: {content_type}\r\n\r\n"
        self._connection.sendall(head.encode())

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self._connection.sendall(data)
        return len(data)


def _output(kind: str, address: str, port: int):
    if kind == "http":
        return av.open(_Response(port, "video/mp2t"), "w", format="mpegts")
    if kind == "mjpeg":
        content_type = "multipart/x-mixed-replace;boundary=ffmpeg"
        return av.open(_Response(port, content_type), "w", format="mpjpeg")
    if kind == "tcp":
        return av.open(f"{address}?listen=1", "w", format="mpegts")
    if kind == "udp":
        return av.open(address, "w", format="mpegts")
    if kind == "rtmp":
        return av.open(address, "w", format="flv")
    if kind == "hls":
        options = {"hls_time": "1", "hls_list_size": "4", "hls_flags": "delete_segments"}
        return av.open(address, "w", format="hls", options=options)
    raise ValueError(kind)


def _encoder(codec: str, pixel_format: str, width: int, height: int, gop: int):
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = width, height, pixel_format
    context.time_base, context.framerate = Fraction(1, RATE), Fraction(RATE)
    context.gop_size = gop
    if codec == "libx264":
        context.options = {"preset": "ultrafast", "tune": "zerolatency"}
    return context


def serve(kind: str, address: str, port: int, grow: bool, gop: int) -> None:
    """Sends until nobody reads any more."""
    waits = kind in {"http", "tcp", "mjpeg"}
    if waits:
        print("ready", flush=True)
    wanted: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: wanted.append(number))
    send(_output(kind, address, port), kind, _in_time(says=not waits), grow, gop, wanted)


def _in_time(*, says: bool) -> Iterator[int]:
    """The numbers of pictures, each when it is due."""
    start = time.perf_counter()
    for index in range(10**9):
        time.sleep(max(0.0, start + index / RATE - time.perf_counter()))
        if says and index == 5:
            print("ready", flush=True)
        yield index


def send(
    out: OutputContainer,
    kind: str,
    indices: Iterable[int],
    grow: bool = False,
    gop: int = 10,
    wanted: list[int] | None = None,
) -> None:
    """Sends pictures and their sound; a key frame more for whatever comes to be wanted."""
    codec, pixel_format = ("mjpeg", "yuvj420p") if kind == "mjpeg" else ("libx264", "yuv420p")
    video = out.add_stream(codec, rate=RATE)
    video.width, video.height, video.pix_fmt = 320, 240, pixel_format
    if kind != "mjpeg":
        video.options = {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1"}
    video.gop_size = gop
    if gop > RATE:
        video.options |= {"x264-params": "scenecut=0:open-gop=0"}
    sound = None if kind == "mjpeg" else out.add_stream("aac", rate=44100, layout="mono")
    # Small pictures in an encoder of their own, so that a larger one can take over.
    encoders = {
        size: _encoder(codec, pixel_format, *size, gop) for size in ((320, 240), (480, 360))
    }
    samples = 0
    for index in indices:
        size = (480, 360) if grow and index >= RATE else (320, 240)
        frame = picture(*size, index)
        frame.pts, frame.time_base = index, Fraction(1, RATE)
        if wanted:
            wanted.clear()
            frame.pict_type = PictureType.I
        if kind == "mjpeg":
            frame = frame.reformat(format="yuvj420p")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
        for packet in encoders[size].encode(frame) if grow else video.encode(frame):
            packet.stream, packet.time_base = video, Fraction(1, RATE)
            out.mux(packet)
        while sound is not None and samples < (index + 1) / RATE * 44100:
            out.mux(sound.encode(tone(samples)))
            samples += 1024


if __name__ == "__main__":
    try:
        gops = [int(one.removeprefix("--gop=")) for one in sys.argv if one.startswith("--gop=")]
        serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), "--grow" in sys.argv, *(gops or [10]))
    except (av.FFmpegError, OSError):
        os._exit(0)  # the reader is gone
