"""Files by their names whatever the case, as where pictures are labelled it often says nothing."""

from __future__ import annotations

from pathlib import Path


class Folders:
    """What is in folders, each listed once.

    Windows and macOS take `Masks/IMG_1.PNG` for `masks/img_1.png`, so that what was labelled there
    holds both.
    """

    def __init__(self) -> None:
        self._listed: dict[Path, dict[str, Path]] = {}

    def find(self, folder: Path, name: str) -> Path | None:
        """The file or folder of that name in `folder`, as it is spelt or else in another case.

        `name` may lead through folders, with slashes. None where there is none.

        Raises:
            OSError: a folder on the way cannot be read.
        """
        exact = folder / name
        if exact.exists():
            return exact
        here = folder
        for part in Path(name).parts:
            found = here / part
            if not found.exists():
                other = self._of(here).get(part.casefold())
                if other is None:
                    return None
                found = other
            here = found
        return here

    def _of(self, folder: Path) -> dict[str, Path]:
        if folder not in self._listed:
            there = sorted(folder.iterdir()) if folder.is_dir() else []
            self._listed[folder] = {path.name.casefold(): path for path in there}
        return self._listed[folder]


def with_suffix(folder: Path, suffix: str) -> list[Path]:
    """The files in `folder` that end so, in any case, sorted, without the shadow files of macOS."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == suffix and not path.name.startswith("._")
    )
