"""Video on standard output, and what holds pictures alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream import sinks
from stream.errors import UsageError
from stream.frame import Frame
from stream.settings.options import OutputOptions
from stream.sinks.base import Gone
from stream.sinks.ndjson import NdjsonSink
from stream.sinks.standard import StandardSink
from stream.sinks.video import VideoSink
from tests.sinks.receivers import flashes
from tests.sinks.running import info, run

HEAD = b"YUV4MPEG2 W64 H48 F25:1"


def frame(at: int, luma: int, tick: Fraction = Fraction(1, 25)) -> Frame:
    planes = np.full((72, 64), 128, np.uint8)
    planes[:48] = luma
    return Frame(av.VideoFrame.from_ndarray(planes, "yuv420p"), at, at, tick)


class Piped:
    """What is read from the other end of a pipe that stands for standard output."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.end, start = os.pipe()
        monkeypatch.setattr("stream.sinks._standard._NUMBER", start)
        self._start = start
        self.data = b""
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        while piece := os.read(self.end, 65536):
            self.data += piece

    def __enter__(self) -> Piped:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._start)
        self._thread.join(30)
        os.close(self.end)


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Piped:
    return Piped(monkeypatch)


def lumas(y4m: bytes) -> list[int]:
    head, _, body = y4m.partition(b"\n")
    assert head.startswith(HEAD)
    size = len(b"FRAME\n") + 64 * 48 * 3 // 2
    assert len(body) % size == 0
    return [body[at + 6] for at in range(0, len(body), size)]


def test_standard_output_is_records_unless_a_format_is_asked_for() -> None:
    assert sinks.find("-") is NdjsonSink
    assert sinks.find("-", form="y4m") is StandardSink
    assert sinks.find("film.mp4", form="y4m") is VideoSink


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (OutputOptions(format="y4m", crf=3), "no quality setting"),
        (OutputOptions(format="nut", codec="libx264"), "is raw frames"),
        (OutputOptions(format="rawvideo", preset="fast"), "has no presets"),
        (OutputOptions(format="mkv", codec="nonsense"), "no encoder 'nonsense'"),
    ],
)
def test_what_a_format_cannot_be_is_refused(options: OutputOptions, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        StandardSink.check("-", options)


@pytest.mark.parametrize("form", ["y4m", "rawvideo", "nut", "ts"])
def test_transparency_goes_to_matroska_alone(form: str) -> None:
    with pytest.raises(UsageError, match="holds no transparency"):
        StandardSink.check_alpha("-", OutputOptions(format=form))
    StandardSink.check_alpha("-", OutputOptions(format="mkv"))


def test_frames_go_out_as_they_are(piped: Piped) -> None:
    with piped, StandardSink(info(), OutputOptions(format="y4m")) as sink:
        for place in range(5):
            sink.write(frame(place, 20 + place))
    assert lumas(piped.data) == [20, 21, 22, 23, 24]


def test_rawvideo_is_samples_and_nothing_else(piped: Piped) -> None:
    with piped, StandardSink(info(), OutputOptions(format="rawvideo")) as sink:
        for place in range(3):
            sink.write(frame(place, 20 + place))
    picture = np.frombuffer(piped.data, np.uint8).reshape(3, 72, 64)
    assert [int(one[0, 0]) for one in picture] == [20, 21, 22]
    assert (picture[:, 48:] == 128).all()
    assert "frames of 64x48 samples in yuv420p, 25 a second" in " ".join(sink.remarks)


def test_nut_keeps_times(piped: Piped, tmp_path: Path) -> None:
    with piped, StandardSink(info(), OutputOptions(format="nut")) as sink:
        for place in (0, 1, 5, 6):
            sink.write(frame(place, 20 + place))
    path = tmp_path / "piped.nut"
    path.write_bytes(piped.data)
    with av.open(str(path)) as container:
        seen = [
            (round(float(one.time) * 25), int(one.to_ndarray()[0, 0]))
            for one in container.decode(video=0)
        ]
    assert seen == [(0, 20), (1, 21), (5, 25), (6, 26)]


def test_a_late_frame_is_preceded_by_the_last_and_a_long_pause_is_left_out(piped: Piped) -> None:
    with piped, StandardSink(info(live=True), OutputOptions(format="y4m")) as sink:
        for place in (7, 8, 11, 12, 12 + 25 * 3600, 13 + 25 * 3600):
            sink.write(frame(place, 20 + place % 25))
    assert lumas(piped.data) == [27, 28, 28, 28, 31, 32, 32, 33]
    said = " ".join(sink.remarks)
    assert "2 pictures are there twice" in said and "a pause of 3600.0 s is left out" in said


def test_a_reader_that_goes_ends_it_without_a_word(piped: Piped) -> None:
    os.close(piped.end)
    sink = StandardSink(info(), OutputOptions(format="y4m"))
    with pytest.raises(Gone):
        for place in range(3):
            sink.write(frame(place, 20))
    sink.abort()
    os.close(piped._start)


@pytest.mark.parametrize("ending", [".y4m"])
def test_sound_is_left_out_of_what_holds_pictures_alone(tmp_path: Path, ending: str) -> None:
    clip, output = flashes(tmp_path / "clip.mp4", 1), tmp_path / f"out{ending}"
    ran = run(clip, output)
    assert any("sound, is left out" in one for one in ran.remarks)
    assert output.read_bytes().count(b"FRAME\n") == len(ran.times) == 25


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flashes(tmp_path_factory.mktemp("film") / "film.mp4", 3)


def _streaming(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "stream", *map(str, arguments)]


def _into(command: list[str], *reader: str) -> Iterator[subprocess.Popen[bytes]]:
    ours = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    theirs = subprocess.Popen(reader, stdin=ours.stdout, stdout=subprocess.PIPE)
    assert ours.stdout is not None
    ours.stdout.close()
    try:
        yield from (ours, theirs)
    finally:
        for one in (ours, theirs):
            with suppress(OSError):
                one.kill()
            one.wait()


def pipe(command: list[str], *reader: str) -> tuple[int, str, int, bytes]:
    """Our exit code and words, and the reader's exit code and output."""
    both = _into(command, *reader)
    ours, theirs = next(both), next(both)
    got = theirs.communicate(timeout=120)[0]
    assert ours.stderr is not None
    said = ours.stderr.read().decode()
    ours.stderr.close()
    code = ours.wait(60)
    both.close()
    return code, said, theirs.returncode, got


def need(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not here: apt-get install ffmpeg")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("form", ["y4m", "rawvideo", "nut", "mkv", "ts"])
def test_ffmpeg_makes_a_film_of_it(form: str, film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "320x240", "-r", "25")
    code, said, theirs, _ = pipe(
        _streaming("file", film, "--every", 10, "-o", "-", "--format", form),
        *(need("ffmpeg"), "-v", "error"),
        *(raw if form == "rawvideo" else ()),
        *("-i", "-", "-c:v", "ffv1", "-c:a", "copy", str(target)),
    )
    assert (code, theirs) == (0, 0), said
    assert "75 frames in, 75 out" in said
    with av.open(str(target)) as container:
        assert len(list(container.decode(video=0))) == 75
        assert len(container.streams.audio) == (form not in ("y4m", "rawvideo"))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["y4m", "nut", "mkv"])
@pytest.mark.parametrize("source", ["film", "camera"])
def test_a_reader_that_has_enough_is_no_error(form: str, source: str, film: Path) -> None:
    asked = ("file", film) if source == "film" else ("webcam", "pattern", "--no-display")
    enough = 5_000 if form == "mkv" else 100_000  # of what is encoded there is not much
    code, said, theirs, got = pipe(
        _streaming(*asked, "-o", "-", "--format", form), need("head"), "-c", str(enough)
    )
    assert (code, theirs, len(got)) == (0, 0, enough), said
    assert "could not" not in said and "Error" not in said and "fault of" not in said


@pytest.mark.slow
def test_a_camera_plays_at_its_own_pace(tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    code, said, theirs, _ = pipe(
        _streaming(
            *("webcam", "pattern", "--no-display", "--seconds", 4, "--size", "160x120"),
            *("-o", "-", "--format", "y4m"),
        ),
        *(need("ffmpeg"), "-v", "error", "-i", "-", "-c:v", "ffv1", str(target)),
    )
    assert (code, theirs) == (0, 0), said
    with av.open(str(target)) as container:
        times = [float(one.time) for one in container.decode(video=0)]
    assert 3.0 < times[-1] < 5.0


@pytest.mark.slow
def test_ffplay_shows_it(film: Path) -> None:
    env = ("env", "SDL_VIDEODRIVER=dummy", "SDL_AUDIODRIVER=dummy")
    code, said, theirs, _ = pipe(
        _streaming("file", film, "--every", 10, "-o", "-", "--format", "y4m"),
        *(*env, need("ffplay"), "-v", "error", "-autoexit", "-"),
    )
    assert (code, theirs) == (0, 0), said


@pytest.mark.slow
def test_a_format_without_standard_output_is_refused(film: Path, tmp_path: Path) -> None:
    for asked in (("-o", tmp_path / "a.mp4"), ("-o", "-", "--records", "-")):
        ran = subprocess.run(
            _streaming("file", film, *asked, "--format", "y4m"),
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert ran.returncode == 2
        assert "--format y4m is about standard output" in ran.stderr or "named twice" in ran.stderr
