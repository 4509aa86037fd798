"""The folder for what is computed once per model and machine."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from stream.system.cache import cache_folder, cache_path, prune, used

DAY = 24 * 3600
by_xdg = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG's folders")


@by_xdg
def test_it_lies_among_the_users_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    folder = cache_folder("engines")
    assert folder == tmp_path / "caches" / "stream-segmentation" / "engines"
    assert folder.is_dir()


@by_xdg
def test_a_place_that_is_no_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError) as caught:
        cache_folder("engines")
    assert str(caught.value.filename).startswith(str(tmp_path / "file"))


@by_xdg
@pytest.mark.parametrize("told", [None, "", "caches", "./caches"])
def test_what_names_no_place_leaves_it_at_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str | None
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if told is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", told)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_path("graphs") == tmp_path / ".cache" / "stream-segmentation" / "graphs"


@by_xdg
def test_a_user_without_a_home_has_no_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(OSError, match="no home folder"):
        cache_folder("graphs")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("graphs").is_dir()


def _aged(path: Path, seconds: float, size: int = 0) -> Path:
    path.write_bytes(bytes(size))
    when = time.time() - seconds
    os.utime(path, (when, when))
    return path


def test_what_was_used_last_stays(tmp_path: Path) -> None:
    for age in range(5):
        _aged(tmp_path / f"{age}.blob", 1000 * (age + 1))
    (tmp_path / "other.txt").touch()
    used(tmp_path / "3.blob")
    used(tmp_path / "missing.blob")
    prune(tmp_path, "*.blob", 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.blob", "3.blob", "other.txt"]


def test_bytes_are_limited_too(tmp_path: Path) -> None:
    for age in range(4):
        _aged(tmp_path / f"{age}.blob", 1000 * (age + 1), 100)
    prune(tmp_path, "*.blob", 9, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.blob", "1.blob"]
    prune(tmp_path, "*.blob", 9, 50)
    assert [path.name for path in tmp_path.iterdir()] == ["0.blob"], "the newest stays"


def test_what_nobody_uses_any_more_goes(tmp_path: Path) -> None:
    _aged(tmp_path / "yesterday.blob", DAY)
    _aged(tmp_path / "last-release.blob", 90 * DAY)
    _aged(tmp_path / "killed.part", 2 * DAY)
    (tmp_path / "killed-too.part").mkdir()
    _aged(tmp_path / "killed-too.part" / "half", 0)
    os.utime(tmp_path / "killed-too.part", (1000, 1000))
    _aged(tmp_path / "being-written.part", 60)
    prune(tmp_path, "*.blob", 9)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["being-written.part", "yesterday.blob"]
