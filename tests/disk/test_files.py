"""Nothing that was there is touched but the file that was named, and that only by a whole one."""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path

import pytest

from stream.disk.files import (
    check_replaceable,
    create_beside,
    put_in_place,
    shortened,
    windows_refuses,
    write_whole,
)
from stream.errors import SinkError, StreamError, UsageError
from tests.settling import DURABLE, Disk


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_name_beside_is_never_one_that_is_there(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    path.chmod(0o640)
    (tmp_path / "film.partial.mp4").write_bytes(b"precious")
    (tmp_path / "film.partial-2.mp4").symlink_to(tmp_path / "nowhere")
    beside, file = create_beside(path)
    os.close(file)
    assert beside.name == "film.partial-3.mp4"
    assert beside.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "film.partial.mp4").read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()


def test_the_first_name_beside_is_the_plainest_and_no_process_inherits_it(tmp_path):
    beside, file = create_beside(tmp_path / "film.mp4")
    assert beside.name == "film.partial.mp4" and not os.get_inheritable(file)
    os.close(file)


def test_names_beside_are_not_looked_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("stream.disk.files._ATTEMPTS", 2)
    for name in ("film.partial.mp4", "film.partial-2.mp4"):
        (tmp_path / name).touch()
    with pytest.raises(FileExistsError):
        create_beside(tmp_path / "film.mp4")
    assert len(names(tmp_path)) == 2


def test_a_name_is_cut_between_characters_and_only_where_it_must_be(tmp_path, monkeypatch):
    monkeypatch.setattr("os.pathconf", lambda *_: 10)
    assert shortened(tmp_path, "ééé", ".mp4") == "ééé.mp4"
    assert shortened(tmp_path, "xéééé", ".mp4") == "xéé.mp4", "half a character is none"
    assert shortened(tmp_path, "x", ".partial-12.mp4") == ".partial-12.mp4"
    # Of a disk that was written by another system.
    assert shortened(tmp_path, "\udce9t\udce9", ".mp4") == "\udce9t\udce9.mp4"


def test_where_the_system_does_not_say_how_long_names_may_be_they_are_as_everywhere(
    tmp_path, monkeypatch
):
    def says_nothing(*_):
        raise OSError(errno.EINVAL, "no")

    monkeypatch.setattr("os.pathconf", says_nothing)
    assert len(shortened(tmp_path, "x" * 300, ".mp4")) == 255


@pytest.mark.skipif(os.name == "nt", reason="Windows opens no folders")
@pytest.mark.parametrize("overwrite", [True, False])
def test_what_is_written_whole_is_on_the_disk_before_it_has_its_name(
    tmp_path, monkeypatch, overwrite
):
    disk = Disk(monkeypatch, tmp_path)
    write_whole(tmp_path / "report.json", b"{}", overwrite=overwrite)
    assert disk.events == DURABLE
    disk.events.clear()
    write_whole(tmp_path / "00.png", b"picture", overwrite=overwrite, settle=False)
    assert disk.events == ["name"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_pipe_is_written_to_as_it_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(pipe, b"new", overwrite=False)
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)
    assert names(tmp_path) == ["pipe"] and pipe.is_fifo()


@pytest.mark.parametrize(
    ("name", "locked", "refused"),
    [
        ("new", "folder", True),
        ("new", "", False),
        ("there", "there", True),
        ("there", "folder", True),  # a new file takes its place
        ("there", "", False),
        ("pipe", "folder", False),
        ("pipe", "pipe", True),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_what_may_not_be_written_is_refused(tmp_path, monkeypatch, name, locked, refused):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "there").touch()
    os.mkfifo(folder / "pipe")
    monkeypatch.setattr("os.access", lambda path, _: path.name != locked)
    if refused:
        what = f"the folder {re.escape(str(folder))}" if locked == "folder" else "the file"
        said = f"{name} cannot be written: permission denied, {what} is protected; choose another"
        with pytest.raises(SinkError, match=said):
            check_replaceable(folder / name, overwrite=True)
    else:
        check_replaceable(folder / name, overwrite=True)


@pytest.mark.parametrize("stem", ["x" * 251, "é" * 125, "字" * 83, "x" * 240])
def test_a_name_beside_is_never_too_long(tmp_path, stem):
    path = tmp_path / f"{stem}.mp4"
    path.write_bytes(b"film")
    for _ in range(3):
        beside, file = create_beside(path)
        os.close(file)
        assert beside.suffix == ".mp4" and beside.name.encode()
        assert ".partial" in beside.name
    assert len(names(tmp_path)) == 4


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_written_whole(tmp_path, overwrite):
    write_whole(tmp_path / "a.json", b"x" * 100_000, overwrite=overwrite)
    assert (tmp_path / "a.json").read_bytes() == b"x" * 100_000
    assert names(tmp_path) == ["a.json"]


def test_an_existing_file_is_replaced_only_where_it_may_be(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_whole(path, b"new", overwrite=False)
    assert path.read_bytes() == b"old"
    write_whole(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.json"]


def test_without_links_a_new_file_still_takes_no_other_ones_place(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr("os.link", no_links)
    write_whole(tmp_path / "a", b"new", overwrite=False)
    assert (tmp_path / "a").read_bytes() == b"new"
    (tmp_path / "b").write_bytes(b"other")
    with pytest.raises(FileExistsError):
        put_in_place(tmp_path / "b", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_failure_leaves_everything_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patched:
        patched.setattr("os.write", full)
        with pytest.raises(OSError, match="no room"):
            write_whole(path, b"new", overwrite=True)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.json"]


def test_a_link_keeps_pointing_to_the_file_that_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "a.json"
    target.write_bytes(b"old")
    link = tmp_path / "link.json"
    link.symlink_to(target)
    write_whole(link, b"new", overwrite=True)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert (names(tmp_path), names(tmp_path / "real")) == (["link.json", "real"], ["a.json"])


def test_a_link_to_nothing_yet_makes_the_file(tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to("new.json")
    check_replaceable(link, overwrite=False)
    write_whole(link, b"new", overwrite=False)
    assert (tmp_path / "new.json").read_bytes() == b"new"
    assert link.is_symlink()


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("folder", UsageError, "is a folder"),
        ("there", UsageError, "exists already; add --yes to replace it"),
        ("to_there", UsageError, "exists already; add --yes to replace it"),
        ("nowhere/a", SinkError, "does not exist"),
        ("there/a", SinkError, "does not exist"),
        ("to_nowhere", SinkError, "does not exist"),
        ("circle", SinkError, "go round in a circle"),
        ("x" * 300, SinkError, "too long"),
    ],
)
def test_what_cannot_be_written_is_refused_in_a_sentence(tmp_path, name, error, words):
    (tmp_path / "folder").mkdir()
    (tmp_path / "there").write_bytes(b"precious")
    (tmp_path / "to_there").symlink_to("there")
    (tmp_path / "to_nowhere").symlink_to("nowhere/a")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(StreamError) as told:
        check_replaceable(tmp_path / name, overwrite=False, option="--yes")
    assert isinstance(told.value, error)
    assert words in str(told.value)
    assert "\n" not in str(told.value)
    assert (tmp_path / "there").read_bytes() == b"precious"


def test_names_that_windows_does_not_have_are_refused_there(tmp_path, monkeypatch):
    """It takes `take:1.mp4` for a part of the file `take`, which no program shows."""
    fine = ("a.mp4", "console.mp4", "com.mp4", "ä →.mp4", "a.b.mp4", ".hidden", "auxiliary")
    assert [name for name in fine if windows_refuses(name)] == []
    bad = ("take:1.mp4", "what?.mp4", "a|b.png", "CON", "aux.mp4", "Lpt1.tar.gz", "nul .mp4", "a.")
    assert [name for name in bad if not windows_refuses(name)] == []
    for name in bad:
        check_replaceable(tmp_path / name, overwrite=False)
    monkeypatch.setattr(sys, "platform", "win32")
    for name in bad:
        with pytest.raises(SinkError, match=r"cannot be written: .*; choose another name"):
            check_replaceable(tmp_path / name, overwrite=False)
    check_replaceable(tmp_path / "fine.mp4", overwrite=False)
