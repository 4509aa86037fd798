"""`annotations/instances_*.json`: COCO's own layout, in which CVAT exports too."""

from __future__ import annotations

from pathlib import Path

from stream_models.training.any_case import Folders, with_suffix
from stream_models.training.coco import CocoFile
from stream_models.training.data import DataSet, merge, part_of
from stream_models.training.layout import Layout

_BEGIN = "instances_"


class Cvat(Layout):
    """A COCO file for each subset, pictures in `images/`, `images/SUBSET/` or `SUBSET/`."""

    title = "COCO format as CVAT exports it"
    looks_for = "annotations/instances_*.json (COCO, CVAT)"

    def accepts(self, folder: Path) -> bool:
        """Whether there is such a file."""
        return bool(_files(folder))

    def parts(self, folder: Path) -> list[str]:
        """The parts that the subsets' names stand for."""
        return [part_of(_subset(file)) for file in _files(folder)]

    def read(self, folder: Path, part: str) -> DataSet:
        """Read the files of this part."""
        sets = []
        for file in _files(folder):
            subset = _subset(file)
            if part_of(subset) == part:
                places = (folder / "images" / subset, folder / subset, folder / "images")
                there = tuple(place for place in places if place.is_dir())
                sets.append(CocoFile(file, part, there).read(folder))
        return merge(sets)


def _files(folder: Path) -> list[Path]:
    place = Folders().find(folder, "annotations")
    files = with_suffix(place, ".json") if place else []
    return [file for file in files if file.name.casefold().startswith(_BEGIN)]


def _subset(file: Path) -> str:
    return file.stem[len(_BEGIN) :]
