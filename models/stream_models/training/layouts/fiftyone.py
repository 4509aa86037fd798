"""`labels.json` beside `data/`: FiftyOne's COCO export."""

from __future__ import annotations

from pathlib import Path

from stream_models.training.coco import CocoFile
from stream_models.training.data import DataSet
from stream_models.training.layout import Layout


class FiftyOne(Layout):
    """One COCO file; the pictures lie in `data/`."""

    title = "COCO format as FiftyOne exports it"
    looks_for = "labels.json beside data/ (FiftyOne)"

    def accepts(self, folder: Path) -> bool:
        """Whether the file and the folder are there."""
        return (folder / "labels.json").is_file() and (folder / "data").is_dir()

    def read(self, folder: Path, part: str) -> DataSet:
        """Read the file."""
        return CocoFile(folder / "labels.json", part, (folder / "data",)).read(folder)
