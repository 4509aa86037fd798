"""Where files are and what is there: on a disk, and in storage that fsspec reaches."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

import fsspec
import pytest

from stream.fleet import places, transit
from stream.fleet.places import identity, is_below, is_same, shown, there
from tests.fleet.clips import make_files


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
    monkeypatch.setattr(transit, "shortened", lambda folder, stem, rest: stem + rest)
    target = f"{places.whole('masked')}/a.mp4"
    assert transit.parts_folder(target, 1).startswith("C:/work/masked/.a.mp4")
    assert places.whole("s3://bucket/a") == "s3://bucket/a"
