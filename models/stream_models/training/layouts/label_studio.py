"""`result.json` beside `images/`: Label Studio's COCO export."""

from __future__ import annotations

from pathlib import Path

from stream_models.training.coco import CocoFile
from stream_models.training.data import DataSet
from stream_models.training.layout import Layout


class LabelStudio(Layout):
    """One COCO file whose names begin with `images/`, with backslashes if it ran on Windows."""

    title = "COCO format as Label Studio exports it"
    looks_for = "result.json (Label Studio)"

    def accepts(self, folder: Path) -> bool:
        """Whether the file is there."""
        return (folder / "result.json").is_file()

    def read(self, folder: Path, part: str) -> DataSet:
        """Read the file."""
        return CocoFile(folder / "result.json", part, (folder / "images",)).read(folder)
