"""Network sources with real servers: they come, go away, hang, trickle and change."""

from __future__ import annotations

import functools
import http.server
import io
import itertools
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import av
import psutil
import pytest

from stream.errors import SourceError, UsageError
from stream.frame import Frame, Passthrough
from stream.sources._pacing import Pacer
from stream.sources.network import NetworkSource, Patience
from tests.sources.clocks import HandClock
from tests.sources.parts import SRT_PHRASE, RtspServer, rtmp_server, rtsp, srt
from tests.sources.serving import RATE, Server, free_port, let_go, make_clip, send, serving

# Servers in processes of their own: what is measured here is real.
pytestmark = pytest.mark.real_time

QUICK = Patience(opening=60, reading=1)
"""For sources that fall silent: a server that has no processor for a second counts as gone."""
CALM = Patience(opening=60, reading=30)
"""For sources that are there, or go away with their connection."""
SOON = 60.0
"""Seconds. A guard against hanging, not a measure of speed."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 20)


@dataclass
class Taken:
    frames: list[Frame]
    packets: list[Passthrough]
    dropped: int


def take(source: NetworkSource, count: int) -> Taken:
    """So many frames, and the packets that came between them; closes the source."""
    dropped = 0
    frames: list[Frame] = []
    packets: list[Passthrough] = []
    for item in source:
        if isinstance(item, Passthrough):
            packets.append(item)
            continue
        frames.append(item)
        if len(frames) == count:
            dropped = source.dropped
            source.close()
            let_go(source)
    return Taken(frames, packets, dropped)


def check(taken: Taken, *, sound: bool = True) -> None:
    frames, packets = taken.frames, taken.packets
    times = [frame.pts_seconds for frame in frames]
    assert all(later > earlier for earlier, later in itertools.pairwise(times))
    # What was dropped may have been so before the first frame was taken, or between.
    least = (len(times) - 1) / RATE
    # A busy machine may take a frame or two fewer between the first and the last.
    assert least - 0.25 < times[-1] - times[0] < least + taken.dropped / RATE + 1
    assert frames[-1].stages["decode"] > 0
    assert time.perf_counter() - frames[-1].captured_at < SOON
    assert [frame.index for frame in frames] == list(range(len(frames)))
    if not sound:
        assert not packets
        return
    stamps = [packet.dts for one in packets for packet in one.packets]
    assert len(stamps) > 15 and all(b > a for a, b in itertools.pairwise(stamps))
    last = packets[-1].packets[-1]
    assert abs(float(last.pts * last.time_base) - times[-1]) < 1


@pytest.mark.parametrize("kind", ["http", "tcp", "udp", "mjpeg"])
def test_it_comes_in_real_time_with_its_sound(kind):
    with serving(kind) as server, NetworkSource(server.address, patience=CALM) as source:
        info = source.info
        assert (info.width, info.height, info.live, info.frames) == (320, 240, True, None)
        assert info.name == server.address and float(info.rate or 0) == RATE
        check(take(source, RATE), sound=kind != "mjpeg")
        assert len(info.copied) == (kind != "mjpeg")
        assert source.reconnects == 0 and not source.remarks


def test_rtsp_with_its_login(clip):
    with rtsp(clip, "viewer", "hunter2pass") as server:
        place = f"127.0.0.1:{server.port}/stream"
        for login, words in (("", "asks for a user"), ("viewer:wrong@", "password was refused")):
            with pytest.raises(SourceError, match=words) as caught:
                NetworkSource(f"rtsp://{login}{place}", patience=CALM)
            assert "wrong" not in str(caught.value)
        source = NetworkSource(f"rtsp://viewer:hunter2pass@{place}", patience=CALM)
        assert source.info.name == f"rtsp://{place}"
        check(take(source, RATE))


@pytest.mark.parametrize("password", ["a#b/c?d", "1234#", "p@ss:w/rd%#1"])
def test_a_password_may_be_pasted_as_it_is(clip, password):
    with rtsp(clip, "viewer", password) as server:
        address = f"RTSP://viewer:{password}@127.0.0.1:{server.port}/stream"
        source = NetworkSource(address, patience=CALM)
        assert source.info.name == f"RTSP://127.0.0.1:{server.port}/stream"
        take(source, 3)


def test_sound_that_only_cameras_send_comes_along(clip):
    with rtsp(clip, "--g711") as server:
        source = NetworkSource(server.address, patience=CALM)
        assert [stream.codec_context.name for stream in source.info.copied] == ["pcm_mulaw"]
        taken = take(source, RATE)
    stamps = [packet.dts for one in taken.packets for packet in one.packets]
    assert stamps and stamps == sorted(stamps)


def test_a_call_that_hangs_is_given_up(monkeypatch):
    """FFmpeg's time-outs do not hold while it asks a name server."""
    released = threading.Event()

    def hang(*args, **options):
        released.wait(2 * SOON)
        raise OSError("at last")

    monkeypatch.setattr(av, "open", hang)
    began = time.monotonic()
    with pytest.raises(SourceError, match="nothing came from rtsp://camera/x within"):
        NetworkSource("rtsp://camera/x", patience=Patience(0.1, 0.1))
    assert time.monotonic() - began < SOON
    released.set()


def test_rtmp(tmp_path):
    with rtmp_server(tmp_path) as port:
        address = f"rtmp://127.0.0.1:{port}/app/live"
        with serving("rtmp", address=address):
            check(take(NetworkSource(address, patience=CALM), RATE))


@contextmanager
def calling(port: int, clip: Path) -> Iterator[None]:
    """Sends a clip to who listens, as MPEG-TS."""
    written = io.BytesIO()
    with av.open(str(clip)) as read, av.open(written, "w", format="mpegts") as made:
        tracks = {one.index: made.add_stream_from_template(one) for one in read.streams}
        for packet in read.demux():
            if packet.dts is not None:
                packet.stream = tracks[packet.stream.index]
                made.mux(packet)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(written.getvalue())
        yield


@pytest.mark.parametrize("scheme", ["rtmp", pytest.param("tcp", marks=pytest.mark.slow)])
def test_a_sender_that_calls_is_waited_for(clip, scheme, caplog):
    """Nobody calls within the time in which who is called has to answer."""
    port = free_port()
    address = f"{scheme}://127.0.0.1:{port}/app/live"
    opened: list[NetworkSource] = []

    def wait() -> None:
        patience = Patience(opening=0.1, reading=30)
        opened.append(NetworkSource(f"{address}?listen=1", patience=patience))

    waiting = threading.Thread(target=wait)
    waiting.start()
    until_said(caplog, "waiting for somebody to send there")
    with serving("rtmp", address=address) if scheme == "rtmp" else calling(port, clip):
        waiting.join(SOON)
    (source,) = opened
    assert (source.info.width, source.info.height) == (320, 240)
    source.close()
    let_go(source)


def until_said(caplog, words: str) -> None:
    deadline = time.monotonic() + SOON
    while words not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_where_nobody_calls_it_is_given_up_when_asked():
    with pytest.raises(SourceError, match=r"nobody has sent to tcp://127\.0\.0\.1:\d+\?\*\*\* for"):
        NetworkSource(f"tcp://127.0.0.1:{free_port()}?listen=1", patience=Patience(0.1, 0.1, 0.3))


def test_a_port_at_which_somebody_else_listens_is_refused_at_once():
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(SourceError, match="already in use"),
    ):
        NetworkSource(f"tcp://127.0.0.1:{taken.getsockname()[1]}?listen=1", patience=CALM)


def test_srt_through_the_relay():
    with serving("udp") as server, srt(server.port) as address:
        source = NetworkSource(f"{address}?latency=50&passphrase={SRT_PHRASE}", patience=CALM)
        assert source.info.name == f"{address}?***"
        relays = [one.cmdline() for one in psutil.Process().children()]
        check(take(source, RATE))
    (relay,) = [one for one in relays if "-autoreconnect:yes" in one]
    assert any(one.startswith(f"{address}?xxx") for one in relay), f"{address} stands in {relay}"
    assert not [one for one in psutil.Process().children() if "srt" in one.name()]


@pytest.mark.slow
def test_srt_comes_back():
    port = free_port()
    with serving("udp") as server:
        with srt(server.port, port) as address:
            source = NetworkSource(f"{address}?passphrase={SRT_PHRASE}", patience=QUICK)
            frames = (item for item in source if isinstance(item, Frame))
            first = next(frames)
        with srt(server.port, port):
            began = time.monotonic()
            later = next(frame for frame in frames if source.reconnects)
            assert time.monotonic() - began < SOON
            assert later.pts_seconds > first.pts_seconds
            source.close()
            assert list(frames) == []


def test_srt_without_its_tool_says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SourceError, match="apt-get install srt-tools") as caught:
        NetworkSource("srt://127.0.0.1:9?passphrase=hunter2pass", patience=CALM)
    assert "hunter2pass" not in str(caught.value)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_hls_is_shown_at_its_own_pace(tmp_path):
    with serving("hls", address=str(tmp_path / "live.m3u8")), _folder(tmp_path) as port:
        deadline = time.monotonic() + SOON
        while len(list(tmp_path.glob("*.ts"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        began = time.perf_counter()
        source = NetworkSource(f"http://127.0.0.1:{port}/live.m3u8", patience=CALM)
        check(take(source, RATE))
        # Segments come in bursts; the frames must not.
        assert time.perf_counter() - began > 0.75


@contextmanager
def _folder(folder: Path) -> Iterator[int]:
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_file_on_a_server_is_played_at_its_own_pace(clip):
    with _folder(clip.parent) as port:
        began = time.perf_counter()
        source = NetworkSource(f"http://127.0.0.1:{port}/{clip.name}", patience=CALM)
        frames = take(source, RATE + 1).frames
        assert time.perf_counter() - began > 0.99
        assert frames[-1].pts_seconds - frames[0].pts_seconds == pytest.approx(1)


def outages(server: Server | RtspServer, times: int) -> None:
    """A source that is killed and brought back so many times."""
    source = NetworkSource(server.address, patience=CALM)
    last, came_back, since = -1.0, 0, time.monotonic()
    frames = 0
    memory: list[int] = []
    for item in source:
        if not isinstance(item, Frame):
            continue
        assert item.pts_seconds > last
        if source.reconnects > came_back:
            came_back = source.reconnects
            assert time.monotonic() - since < SOON, "it took too long to come back"
            assert item.pts_seconds - last > 0.3, "the outage is missing in the timestamps"
            assert item.notes == (f"reconnected {came_back} time{'s' * (came_back > 1)}",)
            frames = 0
        last = item.pts_seconds
        frames += 1
        if frames == 5:
            memory.append(psutil.Process().memory_info().rss)
            if came_back == times:
                break
            server.kill()
            time.sleep(0.5)
            server.start()
            since = time.monotonic()
    source.close()
    assert source.reconnects == times
    assert f"{times} times" in source.remarks[0]
    if times > 10:
        assert memory[-1] - memory[5] < 8 * 2**20


def test_it_comes_back_after_an_outage():
    with serving("http") as server:
        outages(server, 2)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_it_comes_back_after_twenty_outages(kind):
    with serving(kind) as server:
        outages(server, 20)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_rtsp_comes_back_after_twenty_outages(clip):
    with rtsp(clip) as server:
        outages(server, 20)


def test_while_it_is_gone_it_says_so():
    with serving("http") as server:
        source = NetworkSource(server.address, patience=CALM)
        seen: list[tuple[str, ...]] = []
        frames = iter(source)
        next(frames)
        server.kill()
        thread = threading.Thread(target=lambda: list(frames))
        thread.start()
        deadline = time.monotonic() + SOON
        while not seen and time.monotonic() < deadline:
            time.sleep(0.05)
            if source.notes:
                seen.append(source.notes)
        source.close()
        thread.join()
    assert seen and seen[0][0].startswith("no picture for")


def test_it_gives_up_when_it_is_told_to():
    with serving("http") as server:
        source = NetworkSource(server.address, patience=Patience(60, 0.5, giving_up=0.4))
        server.kill()
        with pytest.raises(SourceError, match=r"has been gone for 0\.4 s"):
            list(source)
        source.close()


@contextmanager
def listening(send: bytes | None) -> Iterator[int]:
    """A server that accepts and sends nothing, or a byte now and then; yields its port."""
    stop = threading.Event()
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def serve() -> None:
            while not stop.is_set():
                with suppress(TimeoutError):
                    accepted.append(server.accept()[0])
                for connection in accepted if send else ():
                    try:
                        connection.send(send or b"")
                    except OSError:
                        accepted.remove(connection)
                        break

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            thread.join()
            for connection in accepted:
                connection.close()


@pytest.mark.parametrize("send", [None, b"\x47"], ids=["silent", "trickling"])
@pytest.mark.parametrize("scheme", ["rtsp", "http", "rtmp", "tcp"])
def test_a_source_that_never_gets_going_is_given_up_in_time(scheme, send):
    with listening(send) as port:
        began = time.monotonic()
        why = r"nothing came (in time|from)|is not video"
        with pytest.raises(SourceError, match=why) as caught:
            NetworkSource(
                f"{scheme}://admin:hunter2pass@127.0.0.1:{port}/x"
                if scheme != "tcp"
                else f"tcp://127.0.0.1:{port}",
                patience=Patience(0.35, 0.35),
            )
        assert time.monotonic() - began < SOON
    assert "hunter2pass" not in str(caught.value) and "admin" not in str(caught.value)


def test_a_source_that_falls_silent_counts_as_gone():
    with serving("http") as server:
        source = NetworkSource(server.address, patience=QUICK)
        frames = iter(source)
        for _ in range(20):
            next(frames)
        assert server.process is not None
        began = time.monotonic()
        psutil.Process(server.process.pid).suspend()
        thread = threading.Thread(target=lambda: list(frames))
        thread.start()
        seen: list[str] = []
        while not (seen and "reconnecting" in seen[-1]) and time.monotonic() - began < SOON:
            time.sleep(0.02)
            seen += source.notes
        gone = time.monotonic() - began
        assert 0.5 < gone < SOON
        source.close()
        thread.join()
    assert all(one.startswith("no picture for") for one in seen), seen
    counted = int(seen[-1].split()[3])
    assert counted >= int(gone), "it counts from the last picture, not from when that was noticed"


def test_the_picture_may_change_its_size():
    with serving("http", "--grow") as server:
        source = NetworkSource(server.address, patience=CALM)
        taken = take(source, RATE + RATE // 2)
    sizes = [(frame.image.width, frame.image.height) for frame in taken.frames]
    assert sizes[0] == (320, 240) and sizes[-1] == (480, 360)
    assert source.reconnects == 0
    check(taken)


def test_rtsp_may_change_the_size_of_its_picture(tmp_path):
    """As servers do whose encoder is given another size: the connection, and the sound, go on."""
    clip = tmp_path / "grows.ts"
    with av.open(str(clip), "w") as kept:
        send(kept, "file", range(4 * RATE), grow=True)
    with rtsp(clip) as server:
        source = NetworkSource(server.address, patience=CALM)
        taken = take(source, 2 * RATE)
    sizes = [(frame.image.width, frame.image.height) for frame in taken.frames]
    assert sizes[0] == (320, 240) and sizes[-1] == (480, 360)
    assert (source.reconnects, source.corrupt) == (0, 0)
    check(taken)


def test_who_does_not_take_pictures_finds_the_newest_and_no_more_memory():
    with serving("http") as server:
        source = NetworkSource(server.address, patience=CALM)
        frames = (item for item in source if isinstance(item, Frame))
        first = next(frames)
        deadline = time.monotonic() + SOON
        while source.dropped < RATE // 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        late = [next(frames) for _ in range(5)]
        source.close()
    assert late[0].pts_seconds - first.pts_seconds > 0.4


def test_closing_ends_the_iteration_at_once():
    with serving("http") as server:
        source = NetworkSource(server.address, patience=CALM)
        threading.Timer(0.3, source.close).start()
        began = time.monotonic()
        list(source)
        source.close()
        assert time.monotonic() - began < SOON


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("file:///etc/passwd", UsageError, "not an address that can be streamed"),
        ("/dev/null", UsageError, "not an address that can be streamed"),
        ("concat:a|b", UsageError, "not an address that can be streamed"),
        ("rtsp://u:hunter2pass@127.0.0.1:{port}/x", SourceError, "connection was refused"),
        ("http://u:hunter2pass@[::1", UsageError, "ends with a bracket"),
        ("http://u:hunter2pass@nowhere.invalid/x", SourceError, "no host called nowhere.invalid;"),
    ],
)
def test_what_cannot_be_opened_is_said_in_a_sentence(address, error, words):
    with pytest.raises(error, match=words) as caught:
        NetworkSource(address.format(port=free_port()), patience=CALM)
    assert "hunter2pass" not in str(caught.value)
    assert caught.value.__cause__ is None, "FFmpeg's own error names the password"


def test_the_pacer_holds_bursts_and_forgives_stalls():
    stop, clock = threading.Event(), HandClock()
    pacer = Pacer(stop, clock)
    assert [pacer.wait(media) for media in (5.0, 5.05, 5.1)] == pytest.approx([100, 100.05, 100.1])
    assert pacer.wait(5.2, decode_seconds=0.03) == pytest.approx(100.17)
    # This machine was late by less than a second: what is due comes at once.
    clock.time += 0.5
    assert pacer.wait(5.3) == pytest.approx(100.7)
    # A stall of the source: what comes after it is not raced through.
    clock.time += 20
    assert [pacer.wait(media) for media in (5.4, 5.5)] == pytest.approx([120.7, 120.8])
    # A picture that stands for long, in a recording.
    assert [pacer.wait(media) for media in (30.5, 30.6)] == pytest.approx([145.8, 145.9])
    # The source was gone.
    births = [pacer.wait(media, connection=1) for media in (90.0, 90.1)]
    assert births == pytest.approx([145.9, 146.0])
    stop.set()
    pacer.wait(1000.0)
    assert clock.time < 147


def test_the_pacer_takes_no_outage_for_a_time_to_wait():
    """It is over when the next picture comes, whoever was stopped meanwhile."""
    clock = HandClock()
    pacer = Pacer(threading.Event(), clock, outages=True)
    for index in range(20):
        pacer.wait(index / 10)
    clock.time += 30
    at = clock.time
    assert [pacer.wait(media) for media in (2.0, 32.0, 32.1)] == pytest.approx([at, at, at + 0.1])


def test_the_pacer_keeps_pictures_apart_that_are_always_far_apart():
    clock = HandClock()
    pacer = Pacer(threading.Event(), clock, outages=True)
    births = [pacer.wait(8.0 * index) for index in range(6)]
    assert births[1] == births[0], "which might be an outage"
    steps = [later - one for one, later in itertools.pairwise(births)]
    assert steps[1:] == pytest.approx([8.0] * 4)
