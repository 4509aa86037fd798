"""Streams that are joined in the middle, and cameras and lists with habits of their own."""

from __future__ import annotations

import http.server
import itertools
import logging
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from av import ExitError, InvalidDataError

from stream.errors import SourceError
from stream.frame import Frame, VideoInfo
from stream.sources._connecting import NoVideoError, SlowError, Way
from stream.sources.network import NetworkSource, Patience
from tests import media
from tests.sources.parts import Answering, answering, rtmp_server, rtsp
from tests.sources.serving import let_go, make_clip, serving

# Servers in processes of their own: what is measured here is real.
pytestmark = pytest.mark.real_time

PATIENT = Patience(opening=60, reading=30)
FAR_APART = 90
"""Pictures between two key frames: 3.6 seconds, longer than a stream is analysed for."""


def first_frames(source: NetworkSource, count: int = 5) -> list[Frame]:
    frames = (item for item in source if isinstance(item, Frame))
    taken = list(itertools.islice(frames, count))
    source.close()
    let_go(source)
    assert len(taken) == count
    times = [frame.pts_seconds for frame in taken]
    assert all(b > a for a, b in itertools.pairwise(times))
    return taken


def check_joined(source: NetworkSource) -> None:
    info = source.info
    assert (info.width, info.height, info.pixel_format) == (320, 240, "yuv420p")
    assert [frame.image.format.name for frame in first_frames(source)] == ["yuv420p"] * 5
    assert source.corrupt == 0 and source.reconnects == 0
    assert len(info.copied) == 1


def test_a_broadcast_is_joined_between_two_key_frames(caplog):
    # The next one comes when it is asked for, however long the rest takes.
    with serving("udp", f"--gop={10**6}") as server, caplog.at_level(logging.WARNING):
        said = threading.Event()

        def ask() -> None:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and not said.is_set():
                if any("waiting for its next key frame" in one for one in caplog.messages):
                    said.set()
                time.sleep(0.02)
            server.key_frame()

        asking = threading.Thread(target=ask)
        asking.start()
        check_joined(NetworkSource(server.address, patience=PATIENT))
        asking.join()
    assert said.is_set()


@pytest.mark.slow
def test_rtmp_is_joined_between_two_key_frames(tmp_path):
    with rtmp_server(tmp_path) as port:
        address = f"rtmp://127.0.0.1:{port}/app/live"
        with serving("rtmp", f"--gop={FAR_APART}", address=address):
            time.sleep(0.5)
            check_joined(NetworkSource(address, patience=PATIENT))


def test_rtsp_is_joined_between_two_key_frames(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", 10, gop=FAR_APART)
    with rtsp(clip) as server:
        early = NetworkSource(server.address, patience=PATIENT)
        seen = iter(early)
        next(seen)
        time.sleep(1)
        check_joined(NetworkSource(server.address, patience=PATIENT))
        early.close()


def test_what_comes_back_in_the_middle_of_a_try_is_not_taken_for_slow():
    proven = Way("rtmp")
    late = proven.again(proven, SlowError())
    assert (late.analysed, late.late) == (proven.analysed, True) and late.settled == proven
    assert proven.again(late, SlowError()).analysed > proven.analysed
    assert proven.again(late, ExitError(1, "nothing came")) == proven
    # What was never seen is looked at for longer at once.
    first = proven.after(SlowError())
    assert first is not None and first.analysed > proven.analysed


def _jpeg(number: int) -> bytes:
    pixels = np.full((48, 64, 3), 20 * (number % 10) + 20, np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


class _Camera(http.server.BaseHTTPRequestHandler):
    """A camera whose motion JPEG has a habit; the path says which."""

    server: Answering

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        habit = self.path.removeprefix("/").replace("%20", " ")
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
        self.end_headers()
        try:
            for number in itertools.count():
                data = _jpeg(number)
                head = {
                    "nothing": f"Content-Length: {len(data)}\r\n",
                    "no boundary": None,
                    "no line end": "Content-Type: image/jpeg\r\n",
                    "short line ends": "Content-Type: image/jpeg\r\n",
                }.get(habit, f"Content-Type: {habit}\r\nContent-Length: {len(data)}\r\n")
                if head is None:
                    self.wfile.write(data)
                elif "line end" in habit:
                    part = f"--part\r\n{head}\r\n".encode()
                    short = habit.startswith("short")
                    part = part.replace(b"\r\n", b"\n") if short else part
                    self.wfile.write(part + data + (b"\n" if short else b""))
                else:
                    self.wfile.write(f"--part\r\n{head}\r\n".encode() + data + b"\r\n")
                if self.server.ended.wait(0.05):
                    return
        except OSError:
            return  # nobody reads any more


@pytest.fixture(scope="module")
def whole_list(tmp_path_factory) -> Path:
    """A folder with a list of HLS and its segments, `live0.ts` and so on."""
    folder = tmp_path_factory.mktemp("hls")
    media.make_clip(
        folder / "live.m3u8",
        frames=75,
        options={"g": "25", "preset": "ultrafast"},
        muxer={"hls_time": "1"},
    )
    assert len(list(folder.glob("live?.ts"))) == 3
    return folder


HABITS = (
    *("image/jpeg", "image/jpg", "image/jpeg;charset=utf-8", "application/octet-stream", "nothing"),
    *("no boundary", "no line end", "short line ends"),
)
"""What cameras say of the parts of their motion JPEG."""


def test_motion_jpeg_whatever_it_says_of_its_parts():
    def seen(place: str, habit: str) -> tuple[VideoInfo, set[float], int]:
        source = NetworkSource(f"{place}/{habit.replace(' ', '%20')}", patience=PATIENT)
        frames = first_frames(source, 10)
        levels = {round(float(media.planes(frame.image)[0].mean()), -1) for frame in frames}
        return source.info, levels, source.corrupt

    # At once, as each waits for most of its time.
    with answering(_Camera) as place, ThreadPoolExecutor(len(HABITS)) as pool:
        found = dict(zip(HABITS, pool.map(partial(seen, place), HABITS), strict=True))
    for habit, (info, levels, corrupt) in found.items():
        assert (info.width, info.height) == (64, 48), habit
        assert len(levels) > 3, f"{habit}: one picture again and again"
        assert corrupt == 0, habit


def test_a_way_that_is_tried_beside_gives_up_where_the_first_one_goes_on():
    """A broadcast that takes long to show what it brings; asked beside, it breaks off."""
    asked: list[str] = []
    held = threading.Event()

    class Slow(_Camera):
        def do_GET(self) -> None:
            asked.append(self.path)
            if len(asked) > 1:
                held.set()
                self.send_error(503)
                return
            held.wait(60)
            super().do_GET()

    with answering(Slow) as place:
        source = NetworkSource(f"{place}/image/jpeg", patience=PATIENT)
        assert len(first_frames(source, 3)) == 3 and source._way.container is None
    assert asked == ["/image/jpeg"] * 2


def test_what_is_no_video_is_told_and_not_asked_for_ever():
    answers = {
        "page": (b"<html>please log in</html>" * 100, "web page"),
        "comment": (b"\n<!-- v1 -->\n<!DOCTYPE html><head></head>", "web page"),
        "channels": (b"#EXTM3U\n#EXTINF:-1,One\nhttp://x/y.ts\n", "list of addresses"),
        "json": (b'{"error": "no such camera"}', "data"),
        "else": (b"not allowed\n" * 100, "not video|breaks off"),
    }
    asked: list[str] = []

    class Answers(_Camera):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers[self.path[1:]][0])

    with answering(Answers) as place:
        for name, (_, words) in answers.items():
            with pytest.raises(SourceError, match=words):
                NetworkSource(f"{place}/{name}", patience=PATIENT)
    assert len(asked) <= 5 * len(answers)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "the server refuses what it is asked for"),
        (401, "the user name or password was refused"),
        (403, "access is forbidden"),
        (404, "there is no stream at this path"),
        (410, "the server refuses what it is asked for"),
        (429, "asked too often"),
        (503, "the server answers that it cannot"),
        (200, "it ended before anything came"),
    ],
)
def test_what_a_server_answers_instead_is_said(status, words):
    class Refusing(_Camera):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
            self.send_header("Content-Length", "0")
            self.end_headers()

    with answering(Refusing) as place, pytest.raises(SourceError) as raised:
        NetworkSource(f"{place.replace('//', '//me:hunter2@')}/cam?token=t0ken", patience=PATIENT)
    assert words in str(raised.value)
    assert raised.value.lasting == (status in (401, 403)), "to try again may lock the user out"
    assert not re.search("hunter2|t0ken", str(raised.value))


def test_an_address_of_a_single_picture_is_asked_for_one_after_the_other():
    asked = itertools.count()

    class Snapshots(_Camera):
        def do_GET(self) -> None:
            data = _jpeg(next(asked))
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with answering(Snapshots) as place:
        source = NetworkSource(f"{place}/snapshot.jpg", patience=PATIENT)
        frames = first_frames(source, 4)
    levels = {round(float(media.planes(one.image)[0].mean())) for one in frames}
    assert len(levels) == 4, "each is another one"
    # How long an answer may take on a busy machine is not asked here.
    assert source.reconnects < 3 and [one.notes for one in frames].count(()) >= 2


def test_a_first_connection_that_breaks_off_is_tried_again():
    asked: list[str] = []

    class Waking(_Camera):
        def do_GET(self) -> None:
            asked.append(self.path)
            if len(asked) == 1:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(_jpeg(0)[:50])
                return
            super().do_GET()

    with answering(Waking) as place:
        first_frames(NetworkSource(f"{place}/image/jpeg", patience=PATIENT))
    assert len(asked) >= 2


def test_what_is_decoded_to_nothing_for_too_long_is_opened_anew(monkeypatch):
    with answering(_Camera) as place:
        source = NetworkSource(f"{place}/image/jpeg", patience=Patience(opening=60, reading=1))
        frames = (item for item in source if isinstance(item, Frame))
        next(frames)
        reader = source._reader
        # For the first connection only: the second may take its time.
        seconds = property(lambda way: 1.0 if source._reader is reader else 60.0)
        monkeypatch.setattr(Way, "for_a_picture", seconds)
        reader.silence = lambda: 0.0
        reader._decode = lambda *given: []
        closing = threading.Timer(60, source.close)
        closing.start()
        next(one for one in frames if source.reconnects)
        assert source._reader is not reader and source.reconnects == 1
        closing.cancel()
        source.close()
        closing.join()


@pytest.mark.parametrize(
    "nonsense",
    [InvalidDataError(1094995529, ""), pytest.param(NoVideoError(False), marks=pytest.mark.slow)],
)
def test_after_nonsense_it_is_opened_as_it_was_when_it_brought_pictures(monkeypatch, nonsense):
    """A camera that starts again answers with a page, or with sound alone, before its pictures."""
    tried: list[Way] = []
    really = Way.open

    def opening(way: Way, *given):
        tried.append(way)
        if len(tried) == 2:
            raise nonsense
        if way != tried[0]:
            raise ExitError(1414092869, "nothing came in time")
        return really(way, *given)

    with answering(_Camera) as place:
        source = NetworkSource(f"{place}/image/jpeg", patience=PATIENT)
        monkeypatch.setattr(Way, "open", opening)
        tried.append(source._way)
        frames = (item for item in source if isinstance(item, Frame))
        next(frames)
        source._reader._stop.set()
        closing = threading.Timer(60, source.close)
        closing.start()
        assert next((one for one in frames if source.reconnects), None) is not None
        closing.cancel()
        source.close()
        closing.join()
    assert [way == tried[0] for way in tried] == [True, True, False, True]


def test_while_a_key_frame_is_waited_for_the_source_is_not_gone():
    """What comes can be read and shows nothing for longer than a source may be silent."""
    with answering(_Camera) as place:
        patience = Patience(opening=60, reading=3)
        source = NetworkSource(f"{place}/image/jpeg", patience=patience)
        frames = (item for item in source if isinstance(item, Frame))
        next(frames)
        reader = source._reader
        held = threading.Event()
        reader.silence = lambda: 0.0
        decode = reader._decode
        reader._decode = lambda *given: [] if not held.is_set() else decode(*given)
        notes: list[str] = []

        def watch() -> None:
            deadline = time.monotonic() + 60
            while not notes and time.monotonic() < deadline:
                time.sleep(0.02)
                notes.extend(note for note in source.notes if "key frame" in note)
            held.set()

        thread = threading.Thread(target=watch)
        thread.start()
        frame = next(one for one in frames if held.is_set())
        thread.join()
        assert notes == ["waiting for the source's next key frame"]
        assert frame.notes == () and source.reconnects == 0
        source.close()


@pytest.mark.parametrize(
    "name",
    [
        "seg{}.jpg",
        "get.php?n={}",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("seg{}", "SEG{}.TS", "seg{}.bin")),
    ],
)
def test_segments_of_hls_may_have_any_name(whole_list, name):
    class Lists(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(whole_list))

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            if not self.path.endswith(".m3u8"):
                number = re.findall(r"\d+", self.path)[-1]
                self.path = f"/live{number}.ts"
                super().do_GET()
                return
            told = (whole_list / "live.m3u8").read_text()
            told = re.sub(r"live(\d+)\.ts", lambda match: name.format(match[1]), told)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(told.encode())

    with answering(Lists) as place:
        first_frames(NetworkSource(f"{place}/live.m3u8", patience=PATIENT))


def test_a_list_from_the_network_reads_no_file_of_this_machine(whole_list):
    told = (whole_list / "live.m3u8").read_text()
    told = re.sub(r"(live\d+\.ts)", lambda match: f"file://{whole_list}/{match[1]}", told)

    class Lists(_Camera):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.apple.mpegurl")
            self.end_headers()
            self.wfile.write(told.encode())

    with answering(Lists) as place, pytest.raises(SourceError):
        NetworkSource(f"{place}/live.m3u8", patience=Patience(1, 1))


def test_a_broadcast_whose_list_has_ended_is_waited_for_and_not_shown_again(whole_list):
    told = (whole_list / "live.m3u8").read_text().replace("#EXT-X-ENDLIST", "")
    ended = threading.Event()
    asked: list[bool] = []

    class Lists(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(whole_list))

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            if not self.path.endswith(".m3u8"):
                super().do_GET()
                return
            over = ended.is_set()
            self.send_response(200)
            self.end_headers()
            self.wfile.write((told + "#EXT-X-ENDLIST\n" * over).encode())
            asked.append(over)

    with answering(Lists) as place:
        source = NetworkSource(f"{place}/live.m3u8", patience=PATIENT)
        seen: list[float] = []

        def watch() -> None:
            seen.extend(item.pts_seconds for item in source if isinstance(item, Frame))

        watching = threading.Thread(target=watch)
        watching.start()
        ended.set()
        deadline = time.monotonic() + 60
        while not (asked.count(True) > 1 and source.notes) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert "reconnecting" in source.notes[0] and watching.is_alive()
        count = len(seen)
        ended.clear()
        while len(seen) == count and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(seen) > count and source.reconnects == 1
        source.close()
        watching.join()
        let_go(source)
    seconds = len(list(whole_list.glob("*.ts")))
    assert count <= 25 * (seconds + 1), "no picture of the ended list"


def test_a_source_of_so_few_pictures_that_it_shows_late_what_it_brings_is_waited_for(tmp_path):
    """FFmpeg lets go of a connection whose first pictures take longer than opening may."""
    data = make_clip(tmp_path / "clip.ts", 1).read_bytes()
    over = threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            begun.append(time.monotonic())
            step = len(data) // 25
            for at in range(0, len(data), step):
                try:
                    self.wfile.write(data[at : at + step])
                except OSError:
                    return
                if over.wait(0.3):
                    return

    begun: list[float] = []
    with answering(Slow) as place:
        source = NetworkSource(f"{place}/cam", patience=Patience(opening=0.8, reading=30))
        try:
            assert len(begun) > 1 and source._way.longer, "the first was given up"
            first_frames(source, 2)
        finally:
            over.set()
            source.close()
