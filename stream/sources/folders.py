"""Which files of a folder are taken, and which are left out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stream.errors import SourceError

PICTURE_ENDINGS = frozenset(
    {".avif", ".bmp", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".jxl", ".pbm"}
    | {".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Files with these endings are taken for pictures."""

VIDEO_ENDINGS = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"}
    | {".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"}
)
"""Files with these endings are taken for videos."""

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds.

    Attributes:
        taken: the files with the wanted endings, in order of name.
        left_out: other files and folders in it, in order of name; hidden ones are not among them.
    """

    taken: tuple[Path, ...]
    left_out: tuple[Path, ...]

    def remark(self, folder: Path) -> str | None:
        """A sentence that names what was left out; None where nothing was."""
        if not self.left_out:
            return None
        names = ", ".join(path.name for path in self.left_out[:_NAMED])
        more = ", …" * (len(self.left_out) > _NAMED)
        return f"left out of the folder {folder}: {names}{more}"


def files_in(folder: Path, endings: Iterable[str]) -> Found:
    """The files of a folder with certain endings.

    Hidden files are passed over without a word: a Mac leaves a `._name` beside each file that it
    copies to a foreign disk, with the file's ending and none of its contents.

    Raises:
        SourceError: it cannot be looked into.
    """
    wanted = frozenset(endings)
    try:
        seen = sorted(child for child in folder.iterdir() if not child.name.startswith("."))
        kept = [one.suffix.lower() in wanted and one.is_file() for one in seen]
    except OSError as error:
        raise SourceError(f"the folder {folder} cannot be looked into: {error.strerror}") from error
    return Found(
        tuple(itertools.compress(seen, kept)),
        tuple(one for one, is_taken in zip(seen, kept, strict=True) if not is_taken),
    )
