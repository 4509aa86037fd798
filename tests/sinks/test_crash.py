"""Whatever happens to the program or the disk, what was written plays."""

from __future__ import annotations

import errno
import gc
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import weakref
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

import stream
from stream.errors import SinkError, UsageError
from stream.frame import Frame, VideoInfo
from stream.sinks.video import VideoSink
from tests import media
from tests.media import make_clip

ROOT = Path(__file__).resolve().parents[2]
TICK = Fraction(1, 25)

# Writes pictures and sound without end, saying how far it is.
ENDLESS = """
    import sys
    from fractions import Fraction
    from stream.frame import Frame, Passthrough, VideoInfo
    from stream.sinks.video import VideoSink
    from stream.sources.file import FileSource
    from tests import media
    output, sound, overwrite = sys.argv[1:]
    with FileSource(sound) as source:
        heard = [item for item in source if isinstance(item, Passthrough)]
    source = FileSource(sound)
    info = VideoInfo(
        "x", 160, 120, "yuv420p", Fraction(1, 25), Fraction(25), copied=source.info.copied
    )
    sink = VideoSink(output, info, overwrite=overwrite == "yes")
    for index in range(1000000):
        picture = media.make_picture(index, 160, 120, "yuv420p")
        while heard and heard[0].packets[0].pts * heard[0].packets[0].time_base <= index / 25:
            sink.write(heard.pop(0))
        sink.write(Frame(picture, index, index, Fraction(1, 25), 1))
        print(index + 1, flush=True)
"""


def killed(tmp_path: Path, output: Path, frames: int, overwrite: str = "no") -> int:
    """Starts writing, kills the writer without warning after so many frames; frames written."""
    sound = make_clip(tmp_path / "sound.mp4", audio="aac", frames=300)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(ENDLESS), str(output), str(sound), overwrite],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as child:
        done = 0
        for line in child.stdout:
            done = int(line)
            if done >= frames:
                child.send_signal(signal.SIGKILL)
                break
        done = max([done, *map(int, child.stdout.read().split())])
    assert child.returncode == -signal.SIGKILL
    return done


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize(
    "ending",
    [
        ".mp4",
        ".mkv",
        *(pytest.param(e, marks=pytest.mark.slow) for e in (".mov", ".webm", ".ts", ".avi")),
    ],
)
def test_after_kill_9_all_but_the_last_fragment_plays(tmp_path, ending):
    output = tmp_path / f"out{ending}"
    written = killed(tmp_path, output, 200)

    after = media.decode(output)
    # A fragment of two seconds, and what the encoder looks ahead.
    assert written - len(after.pts) <= 50 + 30
    # In MPEG-TS the last picture may be one that is shown before others that are missing.
    shown = after.pts[:-1]
    steps = {b - a for a, b in itertools.pairwise(shown)}
    assert all(abs(step - TICK) <= Fraction(1, 1000) for step in steps)
    if ending != ".avi":
        sound = media.packets(output, "audio")
        assert sound[-1][0] >= 2
        # Picture and sound began together.
        assert abs(after.pts[0] - sound[0][0]) <= Fraction(1, 40)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_something_plays_soon_after_the_start(tmp_path):
    output = tmp_path / "out.mp4"
    killed(tmp_path, output, 50)
    assert len(media.decode(output).pts) >= 10


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_after_kill_9_a_file_that_was_to_be_replaced_is_as_it_was(tmp_path):
    output = make_clip(tmp_path / "out.mp4", frames=7)
    before = output.read_bytes()
    killed(tmp_path, output, 150, "yes")
    assert output.read_bytes() == before
    assert len(media.decode(tmp_path / "out.partial.mp4").pts) > 50


def write(sink: VideoSink, frames: int, first: int = 0) -> None:
    for index in range(first, first + frames):
        picture = media.make_picture(index, 320, 240, "yuv420p")
        sink.write(Frame(picture, index, index, TICK, 1))


def plain() -> VideoInfo:
    return VideoInfo("x", 320, 240, "yuv420p", TICK, Fraction(25))


def boxes(path: Path) -> list[bytes]:
    """The kinds of an MP4's outermost boxes."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : at + 8])
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        at += size or len(data)
    return found


def test_a_normal_end_leaves_a_normal_file(tmp_path):
    with VideoSink(tmp_path / "out.mp4", plain()) as sink:
        write(sink, 150)
    found = boxes(tmp_path / "out.mp4")
    assert b"moov" in found
    assert b"moof" not in found
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].frames == 150


class Full:
    """A disk with room for so many bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self.given = os.write
        monkeypatch.setattr("os.write", self.write)

    def write(self, file: int, data: memoryview) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = self.given(file, data[: self.room])
        self.room -= done
        return done


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm", ".ts", ".avi"])
def test_a_full_disk_is_one_sentence_and_what_was_saved_plays(tmp_path, monkeypatch, ending):
    output = tmp_path / f"out{ending}"
    Full(monkeypatch, 250_000)
    sink = VideoSink(output, plain())
    with pytest.raises(SinkError) as told:
        write(sink, 2000)
    monkeypatch.undo()
    sink.abort()

    words = str(told.value)
    assert told.value.by_place, "another file may be written later"
    assert words.startswith("the disk is full, so ")
    assert "frames (" in words
    assert "\n" not in words
    saved = int(words.split("about ")[1].split(" ", maxsplit=1)[0])
    playing = len(media.decode(output).pts)
    assert saved > 10 and told.value.frames == saved
    assert saved * 0.75 <= playing <= saved * 1.25 + 30


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts"])
def test_a_full_disk_leaves_no_encoder_behind(tmp_path, monkeypatch, ending):
    """A live recording tries again every half minute, for days."""
    gc.collect()
    gc.disable()
    before = psutil.Process().num_threads()
    try:
        Full(monkeypatch, 100_000)
        sink = VideoSink(tmp_path / f"out{ending}", plain())
        with pytest.raises(SinkError, match="the disk is full"):
            write(sink, 2000)
        monkeypatch.undo()
        left = weakref.ref(sink)
        del sink
        assert left() is None and psutil.Process().num_threads() <= before
    finally:
        gc.enable()


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm"])
def test_a_full_disk_prints_nothing(tmp_path, monkeypatch, capfd, ending):
    """PyAV prints the traceback of an error that it is told while it holds another."""
    random = np.random.default_rng(0)  # what an encoder finds again needs less room
    codec = "libvpx-vp9" if ending == ".webm" else "libx264"
    for room in (75_000, 95_000):
        disk = Full(monkeypatch, room)
        with (
            pytest.raises(SinkError, match="the disk is full"),
            stream.VideoWriter(tmp_path / f"{room}{ending}", codec=codec) as writer,
        ):
            for _ in range(30):
                writer.write(random.integers(0, 256, (120, 160, 3), np.uint8))
        assert disk.room <= 0
        monkeypatch.undo()
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_a_disk_that_fills_at_the_very_end_keeps_what_plays(tmp_path, monkeypatch):
    disk = Full(monkeypatch, 10**9)
    given = disk.write

    def write_no_second_index(file: int, data: memoryview) -> int:
        # The first is that of the fragments; there is room for half of the other.
        if b"moov" in bytes(data) and disk.room < 10**9 - 10_000:
            disk.room = len(data) // 2
        return given(file, data)

    monkeypatch.setattr("os.write", write_no_second_index)
    sink = VideoSink(tmp_path / "out.mp4", plain())
    with pytest.raises(SinkError, match="the disk is full"):
        write(sink, 150)
        sink.close()
    monkeypatch.undo()
    assert len(media.decode(tmp_path / "out.mp4").pts) >= 100


def test_a_disk_that_is_full_from_the_start_leaves_nothing(tmp_path, monkeypatch):
    # With room for no more than a head, too.
    for room in (0, 200, 1500):
        Full(monkeypatch, room)
        with pytest.raises(SinkError, match="nothing was saved"):
            sink = VideoSink(tmp_path / "out.mp4", plain())
            write(sink, 200)
            sink.close()
        monkeypatch.undo()
        assert list(tmp_path.iterdir()) == [], room


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_real_device_without_room(tmp_path):
    (tmp_path / "out.ts").symlink_to("/dev/full")
    sink = VideoSink(tmp_path / "out.ts", plain())
    with pytest.raises(SinkError, match="the disk is full"):
        write(sink, 300)


def test_a_file_size_limit_of_the_system(tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    sink = VideoSink(tmp_path / "out.mkv", plain())
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(SinkError, match="File too large"):
            write(sink, 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert len(media.decode(tmp_path / "out.mkv").pts) > 20


def test_letting_go_keeps_what_was_written(tmp_path):
    sink = VideoSink(tmp_path / "out.mp4", plain())
    write(sink, 120)
    sink.abort()
    assert len(media.decode(tmp_path / "out.mp4").pts) >= 80


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts"])
def test_letting_go_before_the_first_picture_leaves_no_file(tmp_path, ending):
    VideoSink(tmp_path / f"out{ending}", plain()).abort()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists already; add --overwrite"):
        VideoSink(tmp_path / "out.mp4", plain())
    assert (tmp_path / "out.mp4").read_bytes() == b"precious"


def test_a_file_is_replaced_when_the_new_one_is_complete(tmp_path):
    output = tmp_path / "out.mp4"
    output.write_bytes(b"precious")
    output.chmod(0o640)
    with VideoSink(output, plain(), overwrite=True) as sink:
        write(sink, 30)
        assert output.read_bytes() == b"precious"
    assert len(media.decode(output).pts) == 30
    assert output.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [output]


def test_an_error_elsewhere_leaves_the_file_that_was_to_be_replaced(tmp_path):
    output = tmp_path / "out.mp4"
    output.write_bytes(b"precious")
    with pytest.raises(RuntimeError), VideoSink(output, plain(), overwrite=True) as sink:
        write(sink, 60)
        raise RuntimeError
    assert output.read_bytes() == b"precious"
    assert len(media.decode(tmp_path / "out.partial.mp4").pts) > 20
