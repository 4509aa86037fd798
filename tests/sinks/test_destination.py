"""A video is written where it was asked for, and nothing else is touched."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from fractions import Fraction
from pathlib import Path

import pytest

from stream import sinks
from stream.errors import SinkError, UsageError
from stream.frame import Frame
from stream.settings.options import OutputOptions
from stream.sinks._destination import Destination, check_destination
from stream.sinks.video import VideoSink
from tests import media
from tests.media import make_clip
from tests.settling import DURABLE, Disk
from tests.sinks.running import info, run


def test_the_input_may_have_the_name_of_an_unfinished_output(tmp_path):
    original = make_clip(tmp_path / "movie.partial.mp4", frames=30)
    (tmp_path / "movie.mp4").write_bytes(b"old")
    before = original.read_bytes()
    run(original, tmp_path / "movie.mp4", overwrite=True)
    assert original.read_bytes() == before
    assert len(media.decode(tmp_path / "movie.mp4").pts) == 30
    assert sorted(p.name for p in tmp_path.iterdir()) == ["movie.mp4", "movie.partial.mp4"]


@pytest.mark.parametrize("frames", [0, 60])
def test_a_bystander_stays_whatever_becomes_of_the_output(tmp_path, frames):
    output, bystander = tmp_path / "movie.mp4", tmp_path / "movie.partial.mp4"
    output.write_bytes(b"old")
    bystander.write_bytes(b"precious")
    sink = VideoSink(output, info(), overwrite=True)
    for index in range(frames):
        picture = media.make_picture(index, 64, 48, "yuv420p")
        sink.write(frame(picture, index))
    sink.abort()
    assert (output.read_bytes(), bystander.read_bytes()) == (b"old", b"precious")
    left = sorted(p.name for p in tmp_path.iterdir())
    # What was begun plays and is kept under a name of its own; of nothing, nothing stays.
    assert left == ["movie.mp4", *(["movie.partial-2.mp4"] if frames else []), "movie.partial.mp4"]


@pytest.mark.skipif(os.name == "nt", reason="Windows opens no folders")
def test_a_video_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    disk = Disk(monkeypatch, tmp_path)
    for expected in (["file", "folder"], DURABLE):  # a new one is written under its name
        disk.events.clear()
        file = Destination(tmp_path / "film.mp4", overwrite=True)
        file.write(b"film")
        file.commit()
        assert disk.events == expected


def frame(picture, index):
    return Frame(picture, index, index, Fraction(1, 25), 1)


def test_a_link_keeps_pointing_to_the_video_that_is_replaced(tmp_path):
    original = make_clip(tmp_path / "in.mp4", frames=10)
    (tmp_path / "store").mkdir()
    target = tmp_path / "store" / "film.mp4"
    target.write_bytes(b"old")
    link = tmp_path / "out.mp4"
    link.symlink_to(target)
    run(original, link, overwrite=True)
    assert link.is_symlink()
    assert len(media.decode(target).pts) == 10
    assert [p.name for p in (tmp_path / "store").iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("stem", ["x" * 251, "é" * 125])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path, stem, overwrite):
    original = make_clip(tmp_path / "in.mp4", frames=10)
    output = tmp_path / f"{stem}.mp4"
    if overwrite:
        output.write_bytes(b"old")
    run(original, output, overwrite=overwrite)
    assert len(media.decode(output).pts) == 10
    assert len(list(tmp_path.iterdir())) == 2


def test_a_name_that_is_too_long_is_one_sentence(tmp_path):
    with pytest.raises(SinkError, match=r"cannot be written: File name too long"):
        VideoSink(tmp_path / ("x" * 300 + ".mp4"), info())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm", ".ts", ".avi"])
@pytest.mark.parametrize("source", [".mp4", ".ts"])
def test_a_named_pipe_takes_a_video_that_plays(tmp_path, ending, source):
    original = make_clip(tmp_path / f"in{source}", frames=25, audio="aac")
    pipe = tmp_path / f"pipe{ending}"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    run(original, pipe)
    reader.join(60)
    (tmp_path / f"read{ending}").write_bytes(read[0])
    assert len(media.decode(tmp_path / f"read{ending}").pts) == 25
    assert media.packets(tmp_path / f"read{ending}", "audio")
    assert Path(pipe).is_fifo()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_reader_that_goes_is_one_sentence(tmp_path):
    pipe = tmp_path / "pipe.ts"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: pipe.open("rb").close(), daemon=True)
    reader.start()
    sink = VideoSink(pipe, info())
    reader.join(60)
    with pytest.raises(SinkError, match="Broken pipe"):
        for index in range(500):
            sink.write(frame(media.make_picture(index, 64, 48, "yuv420p"), index))


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a file that is written stays")
@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ndjson", ".csv", ".json", ".webp"])
@pytest.mark.parametrize("early", [True, False])
def test_a_file_that_somebody_removes_is_missed(tmp_path, monkeypatch, ending, early):
    """By a clean-up of old files, or with its folder: the system itself says nothing."""
    monkeypatch.setattr("stream.sinks._syncing._EVERY", -1)
    path = tmp_path / "day" / f"out{ending}"
    path.parent.mkdir()
    kind = sinks.find(str(path))
    sink = kind.from_target(str(path), info(), OutputOptions())

    def write(many: int) -> None:
        for index in range(many):
            picture = media.make_picture(index, 64, 48, "yuv420p")
            sink.write(frame(picture, index))

    write(3)
    shutil.rmtree(path.parent)
    with pytest.raises(SinkError, match=f"out{ending} was removed while it was written") as caught:
        if early:
            write(60)
        sink.close()
    assert "can be played" not in str(caught.value)
    sink.abort()
    assert not path.parent.exists()


def test_what_is_open_elsewhere_on_windows_is_said_and_the_result_is_kept(tmp_path, monkeypatch):
    target = tmp_path / "out.mkv"
    target.write_bytes(b"shown by a player")

    def refuse(self: Path, other: Path) -> None:
        raise PermissionError(errno.EACCES, "Access is denied", str(other))

    monkeypatch.setattr(Path, "replace", refuse)
    made = Destination(target, overwrite=True)
    made.write(b"a film")
    with pytest.raises(PermissionError) as caught:
        made.commit()
    made.abandon(keep=True)
    said = made.explain(caught.value)
    assert "could not be replaced (Access is denied), perhaps as another program has it" in said
    assert said.endswith(f"whole in {made.working}") and made.working.read_bytes() == b"a film"
    assert target.read_bytes() == b"shown by a player"


def test_a_write_that_fails_takes_back_what_was_begun_and_nothing_more_is_written(
    tmp_path, monkeypatch
):
    path = tmp_path / "out.bin"
    place = Destination(path)
    place.write(b"head")
    place.seek(0)
    place.write(b"HE")
    assert place.tell() == 2
    place.checkpoint()  # as long as it ever was
    place.seek(4)
    place.write(b"more")
    assert place.written == 10 and place.error is None and not place.removed
    real = os.write

    def full(file, data):
        if bytes(data) == b"half":
            real(file, b"ha")
            raise OSError(errno.ENOSPC, "no space")
        return real(file, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="no space"):
        place.write(b"half")
    assert path.read_bytes() == b"HEad"
    for again in (lambda: place.write(b"x"), lambda: place.seek(0)):
        with pytest.raises(OSError, match="no space"):
            again()
    assert place.written == 10 and not place.removed
    assert place.explain(place.error).startswith("the disk is full")
    place.abandon()
    assert path.read_bytes() == b"HEad"


def test_of_what_never_was_whole_nothing_stays(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space")

    place = Destination(tmp_path / "out.bin")
    place.write(b"begun")
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="no space"):
        place.write(b"half")
    place.abandon()
    place.abandon()
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_without_a_fault_stays_unless_it_is_not_to_be_kept(tmp_path):
    for keep, left in ((False, []), (True, ["out.bin"])):
        place = Destination(tmp_path / "out.bin")
        place.write(b"begun")
        place.abandon(keep=keep)
        assert [one.name for one in tmp_path.iterdir()] == left
    Destination(tmp_path / "empty.bin").abandon()
    assert [one.name for one in tmp_path.iterdir()] == ["out.bin"]


class SlowDisk:
    """A disk that takes what is pushed when it is told to; and a clock."""

    def __init__(self, monkeypatch):
        self.now, self.pushed, self.error = 100.0, [], None
        self.taken, self.begun = threading.Semaphore(0), threading.Semaphore(0)
        monkeypatch.setattr("stream.sinks._syncing.time.monotonic", lambda: self.now)
        for name in ("fdatasync", "fsync"):
            monkeypatch.setattr(os, name, self.push, raising=False)

    def push(self, file):
        self.pushed.append(os.fstat(file).st_size)
        if threading.current_thread() is threading.main_thread():
            return
        self.begun.release()
        assert self.taken.acquire(timeout=30)
        if self.error is not None:
            raise self.error


def settled():
    """Waits until nothing is pushed any more."""
    for thread in threading.enumerate():
        if thread.name == "sync":
            thread.join(30)
            assert not thread.is_alive()


def test_the_disk_has_it_every_two_seconds_and_at_the_end(tmp_path, monkeypatch):
    disk = SlowDisk(monkeypatch)
    place = Destination(tmp_path / "out.bin")
    counts = []
    for seconds in (1.9, 0.2, 1.9, 0.2):
        disk.now += seconds
        disk.taken.release()
        place.write(b"x")
        settled()
        counts.append(len(disk.pushed))
    assert counts == [0, 1, 1, 2]
    place.commit()
    end = 3 + (os.name != "nt")  # its folder, too
    assert len(disk.pushed) == end
    place.commit()
    assert len(disk.pushed) == end


def test_writing_goes_on_while_a_slow_disk_takes_what_came_before(tmp_path, monkeypatch):
    disk = SlowDisk(monkeypatch)
    place = Destination(tmp_path / "out.bin")
    disk.now += 2.1
    place.write(b"abc")
    assert disk.begun.acquire(timeout=30)
    for seconds in (2.1, 60):
        disk.now += seconds
        place.write(b"abc")
    assert disk.pushed == [3]  # One at a time, however long it takes.
    disk.taken.release()
    settled()
    place.write(b"d")
    assert disk.begun.acquire(timeout=30)
    assert disk.pushed == [3, 10]
    # Nothing is let go of before the disk has answered.
    closed = threading.Thread(target=place.abandon)
    closed.start()
    closed.join(0.05)
    assert closed.is_alive()
    disk.taken.release()
    closed.join(30)
    assert (tmp_path / "out.bin").read_bytes() == b"abcabcabcd"


def test_what_the_disk_does_not_take_is_an_error_at_the_next_write_or_the_end(
    tmp_path, monkeypatch
):
    for ends in (False, True):
        disk = SlowDisk(monkeypatch)
        place = Destination(tmp_path / f"{ends}.bin")
        place.write(b"whole")
        place.checkpoint()
        disk.now += 2.1
        disk.error = OSError(errno.EIO, "the disk is broken")
        disk.taken.release()
        place.write(b"lost")
        settled()
        with pytest.raises(OSError, match="broken"):
            place.commit() if ends else place.write(b"more")
        assert place.error is not None and place.error.errno == errno.EIO
        if not ends:
            place.abandon()
            assert (tmp_path / "False.bin").read_bytes() == b"whole"
        monkeypatch.undo()


def test_an_end_that_cannot_be_stored_is_an_error_and_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")

    def broken(_):
        raise OSError(errno.EIO, "the disk is broken")

    place = Destination(path, overwrite=True)
    place.write(b"new")
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="broken"):
        place.commit()
    assert place.error is not None and place.error.errno == errno.EIO
    assert path.read_bytes() == b"old" and place.working.read_bytes() == b"new"
    assert "could not be written to the end (the disk is broken)" in place.explain(place.error)


def test_an_output_may_not_be_an_input_by_any_name(tmp_path):
    (tmp_path / "in.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to("in.bin")
    inputs = [tmp_path / "other.bin", tmp_path / "in.bin"]
    with pytest.raises(UsageError, match="is an input; choose another output"):
        check_destination(tmp_path / "link.bin", overwrite=True, inputs=inputs)
    with pytest.raises(UsageError, match="exists already"):
        check_destination(tmp_path / "in.bin")
    new = tmp_path / "new.bin"
    assert check_destination(str(new), inputs=inputs) == new
