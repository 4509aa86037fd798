"""A single json file of any name, with its pictures beside it or below."""

from __future__ import annotations

from pathlib import Path

from stream_models.training.any_case import with_suffix
from stream_models.training.coco import CocoFile
from stream_models.training.data import DataSet
from stream_models.training.layout import Layout


class Single(Layout):
    """A COCO file that is given itself, or is the only json in the folder."""

    title = "COCO format"
    looks_for = "a single other json file in COCO format"
    rank = 3

    def accepts(self, folder: Path) -> bool:
        """Whether there is exactly one such file, or `folder` is one."""
        return _file(folder) is not None

    def read(self, folder: Path, part: str) -> DataSet:
        """Read the file."""
        file = _file(folder) or folder
        root = file.parent
        return CocoFile(file, part, (root / "images", root)).read(root)


def _file(folder: Path) -> Path | None:
    if folder.is_file():
        return folder if folder.suffix.lower() == ".json" else None
    files = with_suffix(folder, ".json")
    return files[0] if len(files) == 1 else None
