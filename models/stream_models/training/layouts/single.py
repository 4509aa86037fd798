"""Json files in COCO format of any name, with their pictures beside them or below."""

from __future__ import annotations

import re
from pathlib import Path

from stream_models.training.any_case import Folders, with_suffix
from stream_models.training.coco import CocoFile
from stream_models.training.data import DataSet, part_of
from stream_models.training.layout import Layout

_ANNOTATIONS = "annotations"


class Single(Layout):
    """A COCO file that is given itself, the only one, or one for each part (`train.json`).

    In a folder they lie in it or in its `annotations/`. Pictures of a part may have a folder that
    is named after it, in `images/` or beside it.
    """

    title = "COCO format"
    looks_for = (
        "a single other json file in COCO format (or train.json and val.json), there or in "
        "annotations/"
    )
    rank = 3

    def accepts(self, folder: Path) -> bool:
        """Whether there are such files, or `folder` is one."""
        return bool(_files(folder))

    def parts(self, folder: Path) -> list[str]:
        """The parts that the files are named after; "" for a single file."""
        return list(_files(folder))

    def read(self, folder: Path, part: str) -> DataSet:
        """Read the file of this part."""
        file = _files(folder)[part]
        root = file.parent.parent if file.parent.name.casefold() == _ANNOTATIONS else file.parent
        images = Folders().find(root, "images") or root / "images"
        own = part or _part(file)
        named = [
            inner
            for place in (images, root)
            if own and place.is_dir()
            for inner in sorted(place.iterdir())
            if inner.is_dir() and part_of(inner.name) == own
        ]
        return CocoFile(file, part, (*named, images, root)).read(root)


def _files(folder: Path) -> dict[str, Path]:
    """The files by the part that each is for."""
    if folder.is_file():
        return {"": folder} if folder.suffix.lower() == ".json" else {}
    inner = Folders().find(folder, _ANNOTATIONS)
    files = with_suffix(folder, ".json") or (with_suffix(inner, ".json") if inner else [])
    if len(files) == 1:
        return {"": files[0]}
    parts = {_part(file): file for file in files}
    return parts if len(parts) == len(files) and "" not in parts else {}


def _part(file: Path) -> str:
    """The part that one word of a file's name stands for; "" where none or several do."""
    words = re.split(r"[^a-z0-9]+", file.stem.casefold())
    found = {part_of(word) for word in words} - {""}
    return found.pop() if len(found) == 1 else ""
