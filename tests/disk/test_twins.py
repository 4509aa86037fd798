"""No two results take one place, by whatever names the disk knows it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from stream import process
from stream.cli._batch import match_outputs
from stream.cli._inputs import find_inputs
from stream.disk import twins
from stream.disk.files import same_file
from stream.disk.twins import Twins, refuse_twins, would_be_one
from stream.errors import UsageError
from stream.run.guard import check_report
from stream.wording.names import distinct

ALIKE = [("A.mp4", "a.mp4"), ("\u00e9.mp4", "e\u0301.mp4"), ("stra\u00dfe.mp4", "STRASSE.mp4")]
"""Names that are one to some disk."""


@pytest.fixture
def ignoring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disks that take names for one which any does, as exFAT, NTFS and APFS."""
    monkeypatch.setattr(twins, "_are_one", lambda *_: True)


def test_a_disk_says_itself_whether_it_takes_two_names_for_one(tmp_path: Path) -> None:
    for one, other in ALIKE:
        (tmp_path / one).touch()
        assert (
            would_be_one(tmp_path / "new" / one, tmp_path / "new" / other)
            == (tmp_path / other).exists()
        )
        (tmp_path / one).unlink()
    assert not list(tmp_path.iterdir())  # nothing is left of asking


def test_names_are_one_where_the_disk_ignores_what_tells_them_apart(
    tmp_path: Path, ignoring: None
) -> None:
    for one, other in ALIKE:
        assert would_be_one(tmp_path / one, tmp_path / other)
        assert would_be_one(tmp_path / one / "x", tmp_path / other / "x")
        assert same_file(tmp_path / one, tmp_path / other)
    assert not would_be_one(tmp_path / "a.mp4", tmp_path / "b.mp4")


def test_a_place_is_one_by_every_way_to_it(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    seen: Twins[int] = Twins()
    assert seen.take(f"{tmp_path}/out/a", 1) is None
    (tmp_path / "out" / "b").symlink_to("a")
    for place in ("link/a", "out/../out/a", "./out//a", "link/b", "out/a/", "out/a/."):
        assert seen.take(f"{tmp_path}/{place}", 2) == 1
    assert seen.take("https://a/b", 3) is None
    assert seen.take("https://a/B", 4) is None
    assert seen.take("https://a/b", 5) == 3


def test_where_nobody_may_look_or_no_name_can_be_is_somewhere_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it cannot be written there is for the one to say who writes."""
    stat = os.stat

    def refusing(path: os.PathLike[str], **options: Any) -> os.stat_result:
        if "closed" in os.fspath(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", refusing)
    for folder in ("closed", "x" * 300):
        seen: Twins[int] = Twins()
        assert seen.take(f"{tmp_path}/{folder}/deep/a", 1) is None
        assert seen.take(f"{tmp_path}/{folder}/deep/b", 2) is None
        assert seen.take(f"{tmp_path}/{folder}/deep/a", 3) == 1


def test_the_disk_is_asked_of_each_folder_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet has thousands of results, perhaps on another machine's disk."""
    asked: list[str] = []
    found = twins._folder_of

    def noted(above: str) -> Any:
        asked.append(above)
        return found(above)

    monkeypatch.setattr(twins, "_folder_of", noted)
    seen: Twins[int] = Twins()
    for one in range(50):
        assert seen.take(f"{tmp_path}/{one % 2}/{one}", one) is None
    assert len(asked) == 2


def test_inputs_whose_results_fall_together_are_refused(tmp_path: Path, ignoring: None) -> None:
    for one, other in ALIKE:
        folder = tmp_path / one
        folder.mkdir()
        for name in (one, other):
            (folder / name).touch()
        if len(list(folder.iterdir())) < 2:
            continue
        found = find_inputs([str(folder)], frozenset([".mp4"]), "videos")
        with pytest.raises(UsageError, match=r"would both become \S+; run each on its own"):
            match_outputs(found, [f"{tmp_path}/out/"])
        photos = [folder / one, folder / other]
        with pytest.raises(UsageError, match="would both become"):
            refuse_twins(photos, lambda at, of=photos: tmp_path / "out" / of[at].name)


def test_outputs_of_one_run_that_fall_together_are_refused(tmp_path: Path, ignoring: None) -> None:
    with pytest.raises(UsageError, match="two results would be written"):
        process("pattern", [tmp_path / "A.mp4", tmp_path / "a.mp4"])
    with pytest.raises(UsageError, match="is an output"):
        check_report(tmp_path / "A.json", outputs=[tmp_path / "a.JSON"])


def test_names_of_files_differ_for_disks_that_ignore_case() -> None:
    assert distinct(["Door", "door", "door-2"]) == ["Door", "door-3", "door-2"]
