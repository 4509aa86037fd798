"""`_annotations.coco.json` among the pictures: Roboflow's COCO export."""

from __future__ import annotations

from pathlib import Path

from stream_models.training.coco import CocoFile
from stream_models.training.data import DataSet
from stream_models.training.layout import Layout


class Roboflow(Layout):
    """One folder of an export; `splits` reads its `train`, `valid` and `test` as a whole."""

    title = "COCO format as Roboflow exports it"
    looks_for = "_annotations.coco.json (Roboflow)"

    def accepts(self, folder: Path) -> bool:
        """Whether the file is there."""
        return (folder / "_annotations.coco.json").is_file()

    def read(self, folder: Path, part: str) -> DataSet:
        """Read the file."""
        return CocoFile(folder / "_annotations.coco.json", part).read(folder)
