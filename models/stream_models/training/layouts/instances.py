"""`instances.json` beside `images/`: COCO format at its plainest."""

from __future__ import annotations

from pathlib import Path

from stream_models.training.coco import CocoFile
from stream_models.training.data import DataSet
from stream_models.training.layout import Layout


class Instances(Layout):
    """One COCO file with a fixed name."""

    title = "COCO format"
    looks_for = "instances.json (COCO format)"
    rank = 0

    def accepts(self, folder: Path) -> bool:
        """Whether the file is there."""
        return (folder / "instances.json").is_file()

    def read(self, folder: Path, part: str) -> DataSet:
        """Read the file."""
        return CocoFile(folder / "instances.json", part, (folder / "images",)).read(folder)
