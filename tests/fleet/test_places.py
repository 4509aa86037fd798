"""Where files are and where results go: on a disk, and in storage that fsspec reaches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

import fsspec
import pytest

from stream.errors import SinkError, SourceError
from stream.fleet import places
from stream.fleet.finding import find
from stream.fleet.places import (
    Result,
    at_hand,
    exists,
    identity,
    is_below,
    is_same,
    parts_folder,
    remove_leftovers,
    remove_parts,
    shown,
    there,
)
from tests.fleet.clips import make_files
from tests.settling import DURABLE, Disk

VIDEOS = frozenset([".mp4", ".mkv"])


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


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


@pytest.mark.parametrize("count", [3, 30])
def test_what_is_there_of_few_and_of_many(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, count: int
) -> None:
    for root in (str(tmp_path), "memory://bucket"):
        places = [f"{root}/out/{name}.mp4" for name in range(count)]
        assert there(places) == set()
        for name in ("1.mp4", "other.mp4"):
            with fsspec.open(f"{root}/out/{name}", "wb", auto_mkdir=True) as file:
                file.write(b"1")
        assert there([*places, f"{root}/gone/a.mp4"]) == {f"{root}/out/1.mp4"}


def test_results_in_many_folders_are_listed_at_once(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two questions for each of ten thousand folders take minutes before anything begins."""
    monkeypatch.setattr(places, "_BY_BEGINNING", {"memory"})
    asked = [f"memory://bucket/out/{number}/a.mp4" for number in range(100)]
    assert there(asked) == set()
    for number in (3, 77, 777):
        memory.pipe(f"/bucket/out/{number}/a.mp4", b"1")
    monkeypatch.setattr(type(memory), "exists", lambda *_: pytest.fail("one by one"))
    assert there(asked) == {asked[3], asked[77]}


@pytest.mark.parametrize(
    "folders",
    [
        ["s3://bucket/a", "s3://bucket/b"],
        ["s3://one/x/a", "s3://other/x/a"],
        ["/disk/out/a", "/disk/out/b"],
        ["sftp://host/out/a", "sftp://host/out/b"],
    ],
)
def test_no_whole_bucket_is_listed_and_no_disk(folders: list[str]) -> None:
    assert places._listed_at_once(folders) == ""
    assert places._listed_at_once(["s3://b/out/10/x", "s3://b/out/1/y"]) == "s3://b/out"
    assert places._listed_at_once(["s3://b/out/1", "s3://b/out/1/y"]) == "s3://b/out/1"
    assert places._listed_at_once(["s3://b/out", "s3://b/out/1"]) == "s3://b/out"


def test_what_lies_in_a_folder_and_what_is_the_same_file(tmp_path: Path) -> None:
    make_files(tmp_path, "in/a.mp4", "other/b.mp4")
    (tmp_path / "link").symlink_to("in")
    assert is_below(str(tmp_path / "link" / "a.mp4"), str(tmp_path / "in"))
    assert not is_below(str(tmp_path / "other" / "b.mp4"), str(tmp_path / "in"))
    assert not is_below("s3://bucket/in/a.mp4", str(tmp_path))
    assert is_below("s3://bucket/in/a.mp4", "s3://bucket/in/")
    assert not is_below("s3://bucket/inner/a.mp4", "s3://bucket/in")
    assert is_same(str(tmp_path / "link" / "a.mp4"), str(tmp_path / "in" / "a.mp4"))
    assert not is_same(str(tmp_path / "in" / "a.mp4"), str(tmp_path / "in" / "gone.mp4"))


def test_one_file_has_one_identity_by_whatever_name(tmp_path: Path) -> None:
    make_files(tmp_path, "in/a.mp4", "in/b.mp4")
    (tmp_path / "link").symlink_to("in")
    a, b, gone = (str(tmp_path / "in" / name) for name in ("a.mp4", "b.mp4", "gone.mp4"))
    assert identity(a) == identity(str(tmp_path / "link" / "a.mp4")) != identity(b)
    assert identity(gone) == gone
    assert identity("s3://bucket/a.mp4") == "s3://bucket/a.mp4"


def test_only_addresses_have_secrets_to_hide() -> None:
    path = "/films/who? me & you@home.mp4"
    assert shown(path) == path
    assert shown("s3://me:hunter2@bucket/a.mp4?token=1") == "s3://bucket/a.mp4?***"


def test_windows_paths_are_parted_as_fsspec_parts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies beside a result is found by the last `/` of its place."""

    class Windows(PureWindowsPath):
        def absolute(self) -> PureWindowsPath:
            return "C:/work" / self

    monkeypatch.setattr(places, "Path", Windows)
    for given in (r"out\masked", "out/masked", r"C:\work\out\masked"):
        assert places.whole(given) == "C:/work/out/masked"
    monkeypatch.setattr(places, "shortened", lambda folder, stem, rest: stem + rest)
    target = f"{places.whole('masked')}/a.mp4"
    assert places.parts_folder(target, 1).startswith("C:/work/masked/.a.mp4")
    assert places.whole("s3://bucket/a") == "s3://bucket/a"
