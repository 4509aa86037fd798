"""Films fetched and results put in their places, on a disk and in storage that fsspec reaches."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import fsspec
import pytest

from stream.errors import SinkError, SourceError
from stream.fleet.finding import find
from stream.fleet.places import exists
from stream.fleet.transit import (
    Result,
    UnfetchedError,
    at_hand,
    parts_folder,
    remove_leftovers,
    remove_parts,
)
from tests.settling import DURABLE, Disk

VIDEOS = frozenset([".mp4", ".mkv"])


@pytest.mark.skipif(os.name == "nt", reason="Windows opens no folders")
def test_a_result_is_on_the_disk_before_the_ledger_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, tmp_path)
    result = Result(str(tmp_path / "a.mp4"), 7, tmp_path / "scratch")
    result.open().write_bytes(b"whole")
    result.publish()
    assert disk.events == DURABLE


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_a_result_is_there_when_it_is_whole(
    where: str, memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    target = "memory://bucket/out/a.mp4" if where == "memory" else str(tmp_path / "out" / "a.mp4")
    scratch = tmp_path / "scratch"
    for content in (b"first", b"second"):
        result = Result(target, 7, scratch)
        path = result.open()
        assert path.suffix == ".mp4" and path.name.startswith(".")
        path.write_bytes(content)
        before = exists(target)
        assert before == (content == b"second")
        result.publish()
        with at_hand(target, tmp_path) as there:
            assert there.read_bytes() == content
        assert not path.exists()
    dropped = Result(target, 7, scratch)
    dropped.open().write_bytes(b"half")
    dropped.drop()
    with at_hand(target, tmp_path) as there:
        assert there.read_bytes() == b"second"


@pytest.mark.parametrize("name", ["x" * 251 + ".mp4", "é" * 125 + ".mp4", "[a]*?.mp4", "%s.mp4"])
def test_a_result_may_have_the_longest_and_oddest_of_names(name: str, tmp_path: Path) -> None:
    target, others = str(tmp_path / name), []
    for number in (7, 71):
        result = Result(target, number, tmp_path)
        result.open().write_bytes(b"half")
        assert result.working.suffix == ".mp4"
        folder = Path(parts_folder(target, number, "print"))
        (folder / "part").mkdir(parents=True)
        others = [result.working, folder]
    another = Result(str(tmp_path / "another.mp4"), 7, tmp_path).open()
    another.touch()
    remove_leftovers(target, 7)
    remove_parts(target, 7)
    # Another file's of the same number are another ledger's.
    assert sorted(tmp_path.iterdir()) == sorted([*others, another])
    result.publish()
    assert Path(target).read_bytes() == b"half"


def _of_s3(kind: type[Exception], code: str) -> Exception:
    """As s3fs raises it: an error of Python's, caused by one of S3's library with the answer."""
    error, cause = kind(code), Exception(code)
    cause.response = {"Error": {"Code": code}}  # type: ignore[attr-defined]
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "of_all"),
    [
        (_of_s3(PermissionError, "ExpiredToken"), True),
        (_of_s3(PermissionError, "InvalidAccessKeyId"), True),
        (OSError(errno.EBUSY, "SlowDown"), True),
        (OSError(errno.ENOSPC, "no space left here"), True),
        (RuntimeError("could not connect"), True),
        (TimeoutError(), True),
        (_of_s3(PermissionError, "AccessDenied"), False),
        (_of_s3(PermissionError, "InvalidObjectState"), False),
        (OSError(errno.EINVAL, "InvalidRequest"), False),
        (FileNotFoundError("a.mp4"), False),
    ],
    ids=lambda value: str(value) or type(value).__name__,
)
def test_a_film_that_cannot_be_fetched_and_storage_that_gives_none(
    error: Exception,
    of_all: bool,
    memory: fsspec.AbstractFileSystem,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The fleet goes on with other films after the one, and waits for the other."""

    def refuse(*asked: object, **named: object) -> None:
        raise error

    monkeypatch.setattr(type(memory), "get_file", refuse)
    with pytest.raises(SourceError) as raised, at_hand("memory://bucket/a.mp4", tmp_path):
        pytest.fail("it was not fetched")
    assert isinstance(raised.value, UnfetchedError) == of_all
    assert "memory://bucket/a.mp4 cannot be fetched: " in str(raised.value)


def test_two_objects_are_not_joined_to_one_film(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Storage's libraries fetch pieces, and go on with what lies there by then."""
    memory.pipe("/bucket/a.mp4", b"old")
    fetch = type(memory).get_file

    def replaced(self: fsspec.AbstractFileSystem, source: str, copy: str, **named: object) -> None:
        fetch(self, source, copy, **named)
        memory.pipe("/bucket/a.mp4", b"newer")

    monkeypatch.setattr(type(memory), "get_file", replaced)
    said = r"^memory://bucket/a\.mp4 was replaced while it was fetched$"
    with (
        pytest.raises(SourceError, match=said) as raised,
        at_hand("memory://bucket/a.mp4", tmp_path),
    ):
        pytest.fail("it may be of both")
    assert not isinstance(raised.value, UnfetchedError)
    assert not list(tmp_path.iterdir())
    with at_hand("memory://bucket/a.mp4", tmp_path) as path:  # by now it is of one
        assert path.read_bytes() == b"newer"


def test_storage_that_fails_is_a_sentence_and_nothing_is_changed(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    memory.pipe("/bucket/a.mp4", b"good")

    def refuse(*asked: object, **named: object) -> None:
        raise OSError("the storage is slow down")

    monkeypatch.setattr(type(memory), "put_file", refuse)
    result = Result("memory://bucket/a.mp4", 1, tmp_path)
    result.open().write_bytes(b"new")
    with pytest.raises(SinkError, match=r"memory://bucket/a\.mp4 cannot be written: the storage"):
        result.publish()
    result.drop()
    assert memory.cat("/bucket/a.mp4") == b"good"
    with (
        pytest.raises(SourceError, match="cannot be fetched"),
        at_hand("memory://bucket/none.mp4", tmp_path),
    ):
        raise AssertionError("it is not there")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "é" * 150 + ".mp4", "é" * 150, ".mp4"])
def test_a_copy_has_the_name_of_its_object_as_far_as_the_disk_takes_it(
    name: str, memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    """An object's name may have 1024 bytes, and what is wrong with it is said of the object."""
    source = f"memory://bucket/{name}"
    memory.pipe(f"/bucket/{name}", b"film")
    with at_hand(source, tmp_path) as path:
        assert path.read_bytes() == b"film"
        assert name.startswith(path.stem) and path.suffix == Path(name).suffix
    with pytest.raises(SourceError) as caught, at_hand(source, tmp_path) as path:
        raise SourceError(f"{path} is empty")
    assert str(caught.value) == f"{source} is empty"
    assert not list(tmp_path.iterdir())


class NoCredentials(Exception):
    """Of no base that Python knows, as those of a storage's library."""


def test_an_error_of_a_storages_own_class_is_one_sentence(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NoCredentials("Unable to locate credentials.\n  Look there.")

    for name in ("info", "exists", "get_file", "put_file"):
        monkeypatch.setattr(type(memory), name, refuse)
    said = r"memory://a.* cannot be .*: Unable to locate credentials. Look there$"
    with pytest.raises(SourceError, match=said):
        find(["memory://a"], VIDEOS)
    with pytest.raises(SinkError, match=said):
        exists("memory://a")
    with pytest.raises(SourceError, match=said), at_hand("memory://a/b.mp4", tmp_path):
        pass
    result = Result("memory://a/c.mp4", 1, tmp_path)
    result.open().write_bytes(b"made")
    with pytest.raises(SinkError, match=said):
        result.publish()
