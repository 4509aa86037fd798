"""Where files are and where results go: on a disk, and in storage that fsspec reaches."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from stream.errors import SinkError, SourceError, UsageError
from stream.fleet.places import Result, at_hand, exists, find, is_below, is_same, there

VIDEOS = frozenset([".mp4", ".mkv"])


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def _make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_a_folder_with_what_is_below_it(tmp_path: Path) -> None:
    _make(tmp_path, "a.mp4", "sub/deep/B.MKV", "sub/notes.doc", ".hidden.mp4", "._a.mp4")
    found = find([str(tmp_path)], VIDEOS)
    assert [one.below for one in found] == ["a.mp4", "sub/deep/B.MKV"]
    assert [Path(one.source).read_bytes() for one in found] == [b"a.mp4", b"sub/deep/B.MKV"]


def test_patterns_files_and_lists_and_each_file_once(tmp_path: Path) -> None:
    _make(tmp_path, "x/a.mp4", "x/y/b.mp4", "c.mkv")
    asked = tmp_path / "list.txt"
    asked.write_text(f"# ours\n{tmp_path}/x/**/*.mp4\n\n{tmp_path}/c.mkv\n{tmp_path}/x/a.mp4\n")
    found = find([str(asked)], VIDEOS)
    assert sorted(one.below for one in found) == ["a.mp4", "c.mkv", "y/b.mp4"]


def test_a_file_that_changes_has_another_fingerprint(tmp_path: Path) -> None:
    _make(tmp_path, "a.mp4")
    (before,) = find([str(tmp_path / "a.mp4")], VIDEOS)
    (tmp_path / "a.mp4").write_bytes(b"longer than before")
    (after,) = find([str(tmp_path / "a.mp4")], VIDEOS)
    assert before.source == after.source and before.fingerprint != after.fingerprint


def test_object_storage(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    for name in ("raw/a.mp4", "raw/sub/b.mp4", "raw/c.txt"):
        memory.pipe(f"/bucket/{name}", name.encode())
    for asked in ("memory://bucket/raw", "memory://bucket/raw/**/*.mp4"):
        found = find([asked], VIDEOS)
        assert {one.below for one in found} == {"a.mp4", "sub/b.mp4"}
        for one in found:
            with at_hand(one.source, tmp_path) as path:
                assert path.read_bytes() == f"raw/{one.below}".encode()
        assert not list(tmp_path.iterdir())


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


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("/nowhere/none.mp4", "there is no file"),
        ("/nowhere/*.mp4", "there are no videos in"),
        ("gopher://host/raw", "cannot be reached"),
    ],
)
def test_what_is_not_there_is_said(asked: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        find([asked], VIDEOS)


def test_a_folder_without_videos(tmp_path: Path) -> None:
    _make(tmp_path, "notes.doc")
    with pytest.raises(UsageError, match="there are no videos in"):
        find([str(tmp_path)], VIDEOS)


class NoCredentials(Exception):
    """Of no base that Python knows, as those of a storage's library."""


def test_an_error_of_a_storages_own_class_is_one_sentence(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NoCredentials("Unable to locate credentials.\n  Look there.")

    for name in ("isdir", "exists", "get_file", "put_file"):
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


def test_links_to_files_are_taken_and_those_to_nothing_or_to_folders_are_not(
    tmp_path: Path,
) -> None:
    _make(tmp_path, "x/a.mp4")
    (tmp_path / "x" / "link.mp4").symlink_to("a.mp4")
    (tmp_path / "x" / "nothing.mp4").symlink_to("gone.mp4")
    (tmp_path / "x" / "loop").symlink_to("../x")
    before = find([str(tmp_path / "x")], VIDEOS)
    assert [one.below for one in before] == ["a.mp4", "link.mp4"]
    (tmp_path / "x" / "a.mp4").write_bytes(b"another film")
    after = find([str(tmp_path / "x")], VIDEOS)
    assert all(x.fingerprint != y.fingerprint for x, y in zip(before, after, strict=True))


def test_a_file_with_the_name_of_a_pattern_is_that_file(tmp_path: Path) -> None:
    _make(tmp_path, "[x]*.mp4", "xy.mp4")
    assert [one.below for one in find([str(tmp_path / "[x]*.mp4")], VIDEOS)] == ["[x]*.mp4"]
    assert [one.below for one in find([str(tmp_path / "[x]?.mp4")], VIDEOS)] == ["xy.mp4"]


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


def test_what_lies_in_a_folder_and_what_is_the_same_file(tmp_path: Path) -> None:
    _make(tmp_path, "in/a.mp4", "other/b.mp4")
    (tmp_path / "link").symlink_to("in")
    assert is_below(str(tmp_path / "link" / "a.mp4"), str(tmp_path / "in"))
    assert not is_below(str(tmp_path / "other" / "b.mp4"), str(tmp_path / "in"))
    assert not is_below("s3://bucket/in/a.mp4", str(tmp_path))
    assert is_below("s3://bucket/in/a.mp4", "s3://bucket/in/")
    assert not is_below("s3://bucket/inner/a.mp4", "s3://bucket/in")
    assert is_same(str(tmp_path / "link" / "a.mp4"), str(tmp_path / "in" / "a.mp4"))
    assert not is_same(str(tmp_path / "in" / "a.mp4"), str(tmp_path / "in" / "gone.mp4"))


_FINDS = """
import sys
from stream.fleet.places import find
print([one.below for one in find([sys.argv[1]], frozenset([".mp4"]), lambda said: print(said))])
"""


@pytest.mark.parametrize("how", ["", "/**/*.mp4"], ids=["folder", "pattern"])
def test_folders_that_may_not_be_looked_into_are_said(tmp_path: Path, how: str) -> None:
    _make(tmp_path, "closed/a.mp4", "open/b.mp4", "c.mp4")
    # Nobody may read what nobody may read, unless he may all that the system lets root do.
    may_all = ["dac_override", "dac_read_search"]
    less = ",".join(f"-{one}" for one in may_all)
    as_others = ["setpriv", f"--bounding-set={less}", f"--inh-caps={less}"]
    (tmp_path / "closed").chmod(0)
    try:
        said = subprocess.run(
            [*(as_others if os.geteuid() == 0 else []), sys.executable, "-c", _FINDS,
             f"{tmp_path}{how}"],
            cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
    finally:
        (tmp_path / "closed").chmod(0o700)
    closed = f"{tmp_path}/closed cannot be looked into (Permission denied), and is left out"
    assert said == [closed, "['c.mp4', 'open/b.mp4']"]
