"""The folder for what is computed once per model and machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from stream.cache import cache_folder, prune


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG's folders")
def test_it_lies_among_the_users_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    folder = cache_folder("engines")
    assert folder == tmp_path / "caches" / "stream-segmentation" / "engines"
    assert folder.is_dir()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG's folders")
def test_a_place_that_is_no_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError) as caught:
        cache_folder("engines")
    assert str(caught.value.filename).startswith(str(tmp_path / "file"))


def test_the_newest_stay(tmp_path: Path) -> None:
    for age in range(5):
        path = tmp_path / f"{age}.blob"
        path.touch()
        os.utime(path, (1000 - age, 1000 - age))
    (tmp_path / "other.txt").touch()
    prune(tmp_path, "*.blob", 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.blob", "1.blob", "other.txt"]
