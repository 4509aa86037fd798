"""`train/`, `valid/` and `test/`, each laid out in one of the other ways."""

from __future__ import annotations

from pathlib import Path

from stream.errors import UsageError
from stream_models.training.data import DataSet, merge, part_of
from stream_models.training.layout import KIND, Layout


class Splits(Layout):
    """A folder for each part, as Roboflow exports them."""

    title = "a folder for each part"
    looks_for = "folders train/ and valid/ with one of these in each"
    rank = 2

    def accepts(self, folder: Path) -> bool:
        """Whether at least one of the folders is laid out in a known way."""
        return bool(_folders(folder))

    def parts(self, folder: Path) -> list[str]:
        """The parts that the folders are named after."""
        return list(_folders(folder))

    def read(self, folder: Path, part: str) -> DataSet:
        """Read the folder of this part."""
        inner, layout = _folders(folder)[part]
        return merge([layout.read(inner, own) for own in layout.parts(inner)])


def _folders(folder: Path) -> dict[str, tuple[Path, Layout]]:
    found: dict[str, tuple[Path, Layout]] = {}
    others = sorted((one() for one in KIND if one is not Splits), key=lambda layout: layout.rank)
    inner = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for path in inner:
        part = part_of(path.name)
        layout = next((one for one in others if one.accepts(path)), None)
        if not part or layout is None:
            continue
        if part in found:
            raise UsageError(
                f"{folder} has two folders for one part, {found[part][0].name} and {path.name}"
            )
        found[part] = (path, layout)
    return found
