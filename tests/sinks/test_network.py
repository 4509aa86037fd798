"""Sending: what arrives, and what a receiver that goes away or takes nothing costs."""

from __future__ import annotations

import io
import itertools
import re
import shutil
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream import sinks
from stream.errors import SinkError, UsageError
from stream.frame import Frame, VideoInfo
from stream.options import OutputOptions
from stream.sinks import _transmission, network
from stream.sinks.network import NetworkSink
from tests.sinks.receivers import Listener, Received, receive, receiving
from tests.sources.parts import rtmp_server
from tests.sources.serving import free_port

RATE = 25
INFO = VideoInfo("made", 320, 240, "yuv420p", Fraction(1, RATE), Fraction(RATE), live=True)
_RECORDER = Path(__file__).with_name("rtsp_recorder.py")
FAST = OutputOptions(preset="ultrafast")


def _frame(index: int, luma: int = 60) -> Frame:
    planes = np.full((360, 320), 128, np.uint8)
    planes[:240] = luma
    planes[20:60, (8 * index) % 280 :][:, :40] = 235
    return Frame(av.VideoFrame.from_ndarray(planes, "yuv420p"), index, index, Fraction(1, RATE))


def _send(sink: NetworkSink, start: int, until, *, patience: float = 30.0) -> int:
    """Writes frames as a camera would until something holds; returns the next index."""
    index, deadline = start, time.monotonic() + patience
    while not until():
        assert time.monotonic() < deadline
        sink.write(_frame(index))
        index += 1
        time.sleep(1 / RATE)
    return index


def _pictures(data: bytes) -> list[av.VideoFrame]:
    with av.open(io.BytesIO(data), format="mpegts") as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize(
    "address",
    ["rtmp://a/b", "RTMPS://a/b", "rtsp://a/b", "srt://a:1", "udp://a:1", "tcp://a:1?listen=1"],
)
def test_its_addresses(address: str) -> None:
    assert sinks.find(address) is NetworkSink


@pytest.mark.parametrize(
    ("address", "options", "why"),
    [
        ("rtmp:///key", OutputOptions(), "names no receiver, such as rtmp://host/name"),
        ("udp://127.0.0.1", OutputOptions(), "needs a port, such as udp://host:5000"),
        ("rtmp://host:port/key", OutputOptions(), "names no receiver"),
        ("udp://127.0.0.1:9", OutputOptions(codec="ffv1"), "do not take what ffv1 encodes"),
        ("udp://127.0.0.1:9", OutputOptions(preset="quick"), "not 'quick'"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(
    address: str, options: OutputOptions, why: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        NetworkSink.check(address, options)


def test_nobody_at_home_is_said_without_the_secrets() -> None:
    address = f"rtmp://user:hunter2@127.0.0.1:{free_port()}/app/key?token=tiger"
    with pytest.raises(SinkError) as caught:
        NetworkSink.from_target(address, INFO, FAST)
    assert "refused" in str(caught.value).lower()
    assert "hunter2" not in str(caught.value) and "tiger" not in str(caught.value)


def test_what_arrives_is_what_was_sent() -> None:
    listener = Listener()
    try:
        with NetworkSink(f"tcp://127.0.0.1:{listener.port}", INFO, FAST) as sink:
            last = _send(sink, 100, lambda: len(listener.data) > 4_000)
            last = _send(sink, last, _after(0.4))
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and not _ends_with(listener.data, last - 101):
            time.sleep(0.05)
    finally:
        listener.close()
    pictures = _pictures(bytes(listener.data))
    times = [round(float(one.time) * RATE) for one in pictures]
    assert times[0] == 0 and times[-1] == last - 101  # counted from the first that was sent
    for at, one in zip(times, pictures, strict=True):
        expected = np.asarray(_frame(at + 100).image.to_ndarray()[:240], float)
        assert np.abs(one.to_ndarray()[:240] - expected).mean() < 3


def _after(seconds: float):
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline


def _ends_with(data: bytearray, at: int) -> bool:
    try:
        pictures = _pictures(bytes(data))
    except av.FFmpegError:
        return False
    return bool(pictures) and round(float(pictures[-1].time) * RATE) == at


@pytest.mark.real_time
def test_a_receiver_that_comes_back_gets_pictures_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_FIRST_WAIT", 0.1)
    first = Listener()
    sink = NetworkSink(f"tcp://127.0.0.1:{first.port}", INFO, FAST)
    try:
        at = _send(sink, 0, lambda: len(first.data) > 4_000)
        first.close()
        second = Listener(first.port)
        try:
            _send(sink, at, lambda: len(second.data) > 8_000)
            sink.close()
            assert "went away once and was connected to again" in " ".join(sink.remarks)
            assert "frames were not sent" in " ".join(sink.remarks)
            assert "trying again in 0.1 s" in caplog.text
            # A new connection begins with a picture that needs no other.
            assert _pictures(bytes(second.data))[0].key_frame
        finally:
            second.close()
    finally:
        sink.abort()
        first.close()


@pytest.mark.real_time
def test_a_receiver_that_takes_nothing_holds_nobody_up(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transmission, "PATIENCE", 1.0)
    listener = Listener(takes=False)
    noise = np.random.default_rng(1)
    sink = NetworkSink(f"tcp://127.0.0.1:{listener.port}", INFO, OutputOptions(crf=1))
    longest, deadline = 0.0, time.monotonic() + 40
    try:
        index = 0
        while not sink._gone:
            assert time.monotonic() < deadline
            frame = _frame(index)
            # What no encoder makes small fills everything on the way.
            planes = noise.integers(0, 255, (360, 320), np.uint8)
            frame.image = av.VideoFrame.from_ndarray(planes, "yuv420p")
            start = time.monotonic()
            sink.write(frame)
            longest = max(longest, time.monotonic() - start)
            index += 1
    finally:
        sink.abort()
        listener.close()
    assert longest < 5
    assert "trying again" in caplog.text and "took nothing for 1 s" in caplog.text


def test_one_that_never_answers_is_given_up() -> None:
    now = [0.0]
    sink = NetworkSink(f"tcp://127.0.0.1:{free_port()}", INFO, FAST, clock=lambda: now[0])
    with pytest.raises(SinkError, match=r"tcp://127\.0\.0\.1:\d+ cannot be sent to: .*refused"):
        for index in range(1000):
            sink.write(_frame(index))
            if sink._connection is None:
                now[0] += 60  # the wait for the next try
            time.sleep(0.02)
    assert sink._connection is None


def test_a_file_is_sent_at_its_own_pace() -> None:
    now, slept = [5.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    footage = VideoInfo("film", 320, 240, "yuv420p", Fraction(1, RATE), Fraction(RATE))
    address = f"tcp://127.0.0.1:{free_port()}"
    sink = NetworkSink(address, footage, FAST, clock=lambda: now[0], sleep=sleep)
    sink._not_before = 1e9  # nothing is connected to
    for index in range(4):
        sink.write(_frame(index))
    assert slept == pytest.approx([0.04, 0.04, 0.04])
    now[0] += 10  # too slow for a while: what follows is not hurried through
    for index in range(4, 7):
        sink.write(_frame(index))
    assert slept[3:] == pytest.approx([0.04, 0.04])


def _flashes(clip: Path, seconds: int) -> Path:
    """A film that flashes and beeps at every full second."""
    with av.open(str(clip), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "bf": "0"})
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        sound = out.add_stream("aac", rate=48000, layout="mono")
        for index in range(seconds * RATE):
            frame = _frame(0, 220 if index % RATE < 3 else 30).image
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


def _apart(received: Received) -> list[float]:
    """Seconds from each flash to its beep."""
    flashes = _rises([(at, luma > 120) for at, luma in received.frames])
    beeps = _rises([(at, loud > 0.1) for at, loud in received.sound])
    pairs = [min((beep - flash for beep in beeps), key=abs) for flash in flashes]
    return [apart for apart in pairs if abs(apart) < 0.5]


def _rises(seen: list[tuple[float, bool]]) -> list[float]:
    return [at for (_, before), (at, now) in itertools.pairwise(seen) if now and not before]


@pytest.mark.slow
def test_rtmp_with_sound_in_step(tmp_path: Path) -> None:
    clip = _flashes(tmp_path / "clip.mp4", 8)
    with rtmp_server(tmp_path) as port:
        address = f"rtmp://127.0.0.1:{port}/app/key"
        with receiving(address) as received:
            _stream_file(clip, address)
    assert received.codecs == ["h264", "aac"]
    assert len(received.frames) > 4 * RATE
    apart = _apart(received)
    assert len(apart) >= 3 and max(map(abs, apart)) <= 0.04


def _stream_file(clip: Path, address: str) -> str:
    """Sends a file as users do; returns what was said."""
    command = [sys.executable, "-m", "stream", "file", str(clip), "-o", address, "--every", "10"]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.slow
def test_rtsp_with_sound_in_step(tmp_path: Path) -> None:
    if not _gstreamer_records():
        pytest.skip("GStreamer's RTSP server is not here; .ci/run lists its packages")
    clip, taken = _flashes(tmp_path / "clip.mp4", 6), tmp_path / "taken.mkv"
    port = free_port()
    with subprocess.Popen(
        ["/usr/bin/python3", _RECORDER, str(port), str(taken)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        try:
            _stream_file(clip, f"rtsp://127.0.0.1:{port}/live")
        finally:
            server.terminate()
    received = Received()
    receive(str(taken), received)
    assert received.codecs == ["h264", "aac"]
    # Until the first report of the sender's clock the server goes by what arrives when.
    apart = _apart(received)[1:]
    assert len(apart) >= 3 and max(map(abs, apart)) <= 0.04


def _gstreamer_records() -> bool:
    python = Path("/usr/bin/python3")
    return (
        python.exists()
        and not subprocess.run(
            [python, _RECORDER, "--check"], check=False, capture_output=True
        ).returncode
    )


@pytest.mark.slow
def test_srt_encrypted_with_sound_in_step(tmp_path: Path) -> None:
    tool = shutil.which(_transmission.SRT_TOOL)
    if tool is None:
        pytest.skip("srt-live-transmit is not here: apt-get install srt-tools")
    clip = _flashes(tmp_path / "clip.mp4", 6)
    port, onwards = free_port(), free_port()
    heard = f"srt://127.0.0.1:{port}?mode=listener&passphrase=hunter2pass"
    with (
        receiving(f"udp://127.0.0.1:{onwards}") as received,
        subprocess.Popen(
            [tool, "-quiet", "-chunk:1316", heard, f"udp://127.0.0.1:{onwards}"]
        ) as relay,
    ):
        try:
            said = _stream_file(clip, f"srt://127.0.0.1:{port}?passphrase=hunter2pass")
        finally:
            relay.terminate()
    assert "hunter2pass" not in said
    assert received.codecs == ["h264", "aac"]
    apart = _apart(received)
    assert len(apart) >= 3 and max(map(abs, apart)) <= 0.04
