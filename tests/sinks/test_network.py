"""Sending: what arrives, and what a receiver that goes away or takes nothing costs."""

from __future__ import annotations

import gc
import io
import itertools
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from av.stream import Disposition

from stream import sinks
from stream.errors import SinkError, UsageError
from stream.frame import Frame, VideoInfo
from stream.settings.options import OutputOptions
from stream.sinks import _transmission, network
from stream.sinks._pipe import Pipe
from stream.sinks._transmission import for_receivers
from stream.sinks.network import NetworkSink
from stream.sources._services import broadcast
from stream.sources.file import FileSource
from stream.system.srt import TOOL, told_of_target
from tests.media import make_clip
from tests.sinks.receivers import (
    RATE,
    Listener,
    Received,
    apart,
    flashes,
    frame_of,
    gstreamer_records,
    receive,
    receiving,
    recorder,
)
from tests.sources.parts import rtmp_server
from tests.sources.serving import free_port

INFO = VideoInfo("made", 320, 240, "yuv420p", Fraction(1, RATE), Fraction(RATE), live=True)
FAST = OutputOptions(preset="ultrafast")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sending process begins late on a busy machine, which is no receiver's silence."""
    for module in (network, _transmission):
        monkeypatch.setattr(module, "PATIENCE", 60.0)


def _frame(index: int, luma: int = 60) -> Frame:
    return Frame(frame_of(index, luma), index, index, Fraction(1, RATE))


def _send(sink: NetworkSink, start: int, until, *, patience: float = 120.0) -> int:
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
    [
        "rtmp://a/b",
        "RTMPS://a/b",
        "rtsp://a/b",
        "srt://a:1",
        "udp://a:1",
        "tcp://a:1?listen=1",
        "whip://a/live",
        "whips://token@a/live",
    ],
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
        (
            "whip://127.0.0.1:9/a",
            OutputOptions(codec="libx265"),
            "do not take what libx265 encodes",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(
    address: str, options: OutputOptions, why: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        NetworkSink.check(address, options)


def test_nobody_at_home_is_said_without_the_secrets() -> None:
    address = f"rtmp://user:hunter2@127.0.0.1:{free_port()}/app/panther?token=tiger"
    with pytest.raises(SinkError) as caught:
        NetworkSink.from_target(address, INFO, FAST)
    assert "refused" in str(caught.value).lower()
    assert "/app/***" in str(caught.value)
    assert not any(one in str(caught.value) for one in ("hunter2", "panther", "tiger"))


def test_what_arrives_is_what_was_sent() -> None:
    listener = Listener()
    try:
        with NetworkSink(f"tcp://127.0.0.1:{listener.port}", INFO, FAST) as sink:
            last = _send(sink, 100, lambda: len(listener.data) > 4_000)
            last = _send(sink, last, _after(10))
        assert listener.over.wait(60)
    finally:
        listener.close()
    pictures = _pictures(bytes(listener.data))
    times = [round(float(one.time) * RATE) for one in pictures]
    assert times[0] == 0 and times[-1] == last - 101  # counted from the first that was sent
    for at, one in zip(times, pictures, strict=True):
        expected = np.asarray(_frame(at + 100).image.to_ndarray()[:240], float)
        assert np.abs(one.to_ndarray()[:240] - expected).mean() < 3


def _after(frames: int):
    """Holds once so many more are sent."""
    counted = itertools.count()
    return lambda: next(counted) >= frames


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
def test_the_end_waits_for_no_receiver_that_went_away_and_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "_FIRST_WAIT", 0.1)
    listener = Listener()
    sink = NetworkSink(f"tcp://127.0.0.1:{listener.port}", INFO, FAST)
    try:
        at = _send(sink, 0, lambda: len(listener.data) > 4_000)
        listener.close()
        _send(sink, at, lambda: sink._tries == 2)
        assert sink._connection is not None
        sink._connection.pipe._patience = 600.0
        sink.close()
        assert "went away once and did not come back" in " ".join(sink.remarks)
    finally:
        sink.abort()
        listener.close()


@pytest.mark.real_time
def test_a_connection_that_is_lost_leaves_no_encoder_behind() -> None:
    """Each waited for Python's collector with its threads, as a receiver may go every minute."""
    listener = Listener()
    gc.collect()
    gc.disable()
    before = psutil.Process().num_threads()
    sink = NetworkSink(f"tcp://127.0.0.1:{listener.port}", INFO, FAST)
    try:
        at = _send(sink, 0, lambda: len(listener.data) > 4_000)
        connection = weakref.ref(sink._connection)
        listener.close()
        _send(sink, at, lambda: sink._connection is None)
        assert connection() is None and psutil.Process().num_threads() <= before
    finally:
        gc.enable()
        sink.abort()
        listener.close()


def test_who_asks_for_a_key_frame_gets_one() -> None:
    listener = Listener()
    try:
        with NetworkSink(f"tcp://127.0.0.1:{listener.port}", INFO, FAST) as sink:
            last = _send(sink, 0, lambda: len(listener.data) > 8_000)
            assert sink._connection is not None and sink._answered
            sink._connection.pipe.key_wanted.set()
            asked = last
            _send(sink, last, _after(8))
        assert listener.over.wait(60)
    finally:
        listener.close()
    keys = [
        round(float(one.time) * RATE) for one in _pictures(bytes(listener.data)) if one.key_frame
    ]
    assert asked in keys


@pytest.mark.real_time
def test_a_receiver_that_takes_nothing_holds_nobody_up(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_transmission, "PATIENCE", 0.5)
    listener = Listener(takes=False)
    noise = np.random.default_rng(1)
    sink = NetworkSink(
        f"tcp://127.0.0.1:{listener.port}", INFO, OutputOptions(crf=1, preset="ultrafast")
    )
    longest, deadline = 0.0, time.monotonic() + 120
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
    assert longest < 30
    assert "trying again" in caplog.text and "took nothing for 0.5 s" in caplog.text


def test_one_that_never_answers_is_given_up() -> None:
    now = [0.0]
    # On a busy machine it is the wait for an answer that ends first.
    words = r"tcp://127\.0\.0\.1:\d+ cannot be sent to: .*(refused|no answer for 60 s)"
    # A port that is taken and not listened at refuses; one that is free may be another test's soon.
    with socket.socket() as taken, pytest.raises(SinkError, match=words):
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        sink = NetworkSink(address, INFO, FAST, clock=lambda: now[0])
        for index in range(1000):
            sink.write(_frame(index))
            if sink._connection is None:
                now[0] += 60  # the wait for the next try
            time.sleep(0.02)
    assert sink._connection is None


def test_what_a_process_said_last_is_heard_where_it_is_gone() -> None:
    def late(line: str) -> tuple[str, str]:
        time.sleep(0.2)
        return "failed", line

    program = "import sys; sys.stderr.write('nobody is there')"
    pipe = Pipe([sys.executable, "-c", program], "a receiver", patience=5, told=late)
    try:
        while not pipe.ended:
            time.sleep(0.01)
        assert pipe.reason == "nobody is there"
    finally:
        pipe.abandon()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("SRT target connected", ("connected", "")),
        ("Accepted SRT target connection", ("connected", "")),
        ("SRT target disconnected", ("", "")),
        ("Media path: 'file://con' --> 'srt://a:1?passphrase=hunter2pass'", ("", "")),
        (
            "18:53:41.389832/SRT:RcvQ:w1!W:SRT.cn: processAsyncConnectRequest: REJECT reported "
            "from HS processing: Incorrect passphrase - not processing further",
            ("failed", "incorrect passphrase"),
        ),
        (
            "ERROR: error: srt_connect: Operation not supported: Bad parameters",
            ("failed", "there is no such host, or it cannot be reached"),
        ),
    ],
)
def test_what_the_srt_tool_says_of_a_receiver(line: str, said: tuple[str, str]) -> None:
    assert told_of_target(line) == said


@pytest.mark.skipif(shutil.which(TOOL) is None, reason="srt-live-transmit is not here")
def test_a_receiver_of_srt_that_is_not_there_is_an_error() -> None:
    """It was taken for there as soon as the tool was started, and for gone when that ended."""
    now = [0.0]
    address = f"srt://127.0.0.1:{free_port()}?passphrase=hunter2pass"
    sink = NetworkSink(address, INFO, FAST, clock=lambda: now[0])
    with pytest.raises(SinkError, match=r"cannot be sent to: .*no answer") as raised:
        for index in range(1000):
            sink.write(_frame(index))
            now[0] += 5
    assert "hunter2" not in str(raised.value)
    assert not any("went away" in one for one in sink.remarks)


@pytest.mark.parametrize(("ending", "sound"), [("mp4", "aac"), ("mkv", "flac")])
def test_a_receiver_that_is_called_when_the_film_was_read_gets_its_sound(
    tmp_path: Path, ending: str, sound: str
) -> None:
    """It was refused, as the input was closed already, in place of why there was no receiver."""
    listener = Listener()
    try:
        with FileSource(make_clip(tmp_path / f"in.{ending}", frames=50, audio=sound)) as source:
            address = f"tcp://127.0.0.1:{listener.port}"
            sink = NetworkSink(address, source.info, FAST, sleep=lambda seconds: None)
            items = list(source)
        for item in items:
            sink.write(item)
            if isinstance(item, Frame) and item.pts * item.time_base > 0.4:
                assert sink._connection is not None and sink._connection.pipe.connected.wait(60)
        sink.close()
        assert listener.over.wait(60)
    finally:
        listener.close()
    with av.open(io.BytesIO(bytes(listener.data)), format="mpegts") as container:
        heard = list(container.decode(audio=0))
        assert container.streams.audio[0].codec_context.name == "aac"
    assert heard[-1].time - heard[0].time > 1.5
    assert not [said for said in sink.remarks if "empty" in said or "left out" in said]


def test_a_film_that_ends_before_its_receiver_was_given_up_was_not_sent() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        sink = NetworkSink(f"tcp://127.0.0.1:{taken.getsockname()[1]}", INFO, FAST)
        index = itertools.count()
        while sink._tries < 1 or sink._connection is not None:
            sink.write(_frame(next(index)))
            time.sleep(0.01)
        with pytest.raises(SinkError, match=r"cannot be sent to: .*refused"):
            sink.close()
        sink.close()


@pytest.mark.parametrize("encoder", ["libmp3lame", "mp2", "ac3"])
def test_sound_that_receivers_take_is_sent_as_it_is(tmp_path: Path, encoder: str) -> None:
    with FileSource(make_clip(tmp_path / "in.mkv", frames=10, audio=encoder)) as source:
        sink = _transmission.Transmission(f"udp://127.0.0.1:{free_port()}", source.info, FAST)
        for item in source:
            sink.write(item)
        sink.close()
    assert sink.remarks == []


@pytest.mark.parametrize(("scheme", "ending"), [("rtmp", "flv"), ("udp", "ts")])
def test_every_word_is_sent_or_named(tmp_path: Path, scheme: str, ending: str) -> None:
    """None was sent, and none named."""
    film = {"title": "A day out", "artist": "Ann", "location": "+52.5+13.4/"}
    sound = {"language": "fra", "title": "Talk"}
    clip = make_clip(tmp_path / "in.mkv", frames=10, audio="aac", metadata=film)
    taken = tmp_path / f"taken.{ending}"
    with FileSource(clip) as source:
        source.info.copied[0].metadata.update(sound)
        told = replace(source.info, track={"language": "deu"}, roles=Disposition.comment)
        told, left = for_receivers(told, "sent")
        way = _transmission.WAYS[scheme]
        sink = _transmission.Transmission(str(taken), told, FAST, way=way)
        for item in source:
            sink.write(item)
        sink.close()
    assert left == ["where the film was taken is not sent, as strangers may receive it"]
    said = " ".join(sink.remarks)
    with av.open(str(taken)) as made:
        tags = dict(made.metadata)
        if ending == "ts":
            tags["title"] = broadcast(made, taken)[0].name
        streams = [dict(one.metadata) for one in made.streams]
        assert Disposition.comment not in made.streams[0].disposition
    assert "location" not in tags and "the video's role (comment)" in said
    for name in ("title", "artist"):
        assert (tags.get(name) == film[name]) != (
            re.search(f"film's [^:]*{name}", said) is not None
        )
    assert tags["title"] == film["title"]
    assert "language" not in streams[0] and "the video's language (deu)" in said
    for name, value in sound.items():
        assert (streams[1].get(name) == value) != (f"stream 1's {name} ({value})" in said)


def test_an_rtsp_session_has_the_films_name_and_no_line_of_its_own() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    told: list[str] = []

    def answer() -> None:
        taken, _ = server.accept()
        with taken, taken.makefile("rb") as asked:
            while not told:
                head = b"".join(iter(lambda: asked.readline().strip() + b"\n", b"\n")).decode()
                length = re.search(r"Content-Length: (\d+)", head)
                if length is not None:
                    told.append(asked.read(int(length[1])).decode())
                number = re.search(r"CSeq: \d+", head)
                assert number is not None
                taken.sendall(f"RTSP/1.0 200 OK\r\n{number[0]}\r\n\r\n".encode())

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    address = f"rtsp://127.0.0.1:{server.getsockname()[1]}/live"
    info = replace(INFO, metadata={"title": "A day\na=control:other", "artist": "Ann"})
    sink = _transmission.Transmission(address, info, FAST)
    for index in range(5):
        sink.write(_frame(index))
    thread.join(60)
    sink.abort()
    server.close()
    assert "s=A day a=control:other" in told[0].splitlines()
    assert sink.remarks == ["the film's artist is left out: RTSP has no place for it"]


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


@pytest.mark.slow
def test_rtmp_with_sound_in_step(tmp_path: Path) -> None:
    clip = flashes(tmp_path / "clip.mp4", 8)
    with rtmp_server(tmp_path) as port:
        address = f"rtmp://127.0.0.1:{port}/app/key"
        with receiving(address) as received:
            _stream_file(clip, address)
    assert received.codecs == ["h264", "aac"]
    assert len(received.frames) > 4 * RATE
    found = apart(received)
    assert len(found) >= 3 and max(map(abs, found)) <= 0.04


def _stream_file(clip: Path, address: str) -> str:
    """Sends a file as users do; returns what was said."""
    command = [sys.executable, "-m", "stream", "file", str(clip), "-o", address, "--every", "10"]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.slow
@pytest.mark.real_time
def test_rtsp_with_sound_in_step(tmp_path: Path) -> None:
    if not gstreamer_records():
        pytest.skip("GStreamer's RTSP server is not here; .ci/run lists its packages")
    clip, taken = flashes(tmp_path / "clip.mp4", 6), tmp_path / "taken.mkv"
    port = free_port()
    with recorder(port, taken) as server:
        try:
            _stream_file(clip, f"rtsp://127.0.0.1:{port}/live")
        finally:
            server.terminate()
    received = Received()
    receive(str(taken), received)
    assert received.codecs == ["h264", "aac"]
    # Until the first report of the sender's clock the server goes by what arrives when.
    found = apart(received)[1:]
    assert len(found) >= 3 and max(map(abs, found)) <= 0.04


@pytest.mark.slow
def test_srt_encrypted_with_sound_in_step(tmp_path: Path) -> None:
    tool = shutil.which(TOOL)
    if tool is None:
        pytest.skip("srt-live-transmit is not here: apt-get install srt-tools")
    clip = flashes(tmp_path / "clip.mp4", 6)
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
    found = apart(received)
    assert len(found) >= 3 and max(map(abs, found)) <= 0.04
