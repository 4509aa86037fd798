"""Stored pictures: finding the one that a label means, its size, decoding it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from stream.errors import SourceError
from stream.photo_files.heif import shown_size
from stream.photo_files.photo import is_heif
from stream.sources.images import photo
from stream.system.overheard import overheard
from stream_models.training.data import IMAGE_SUFFIXES, LONGEST, Picture, shrunk

Image = NDArray[np.uint8]
_ORIENTATION = 0x0112
_LYING = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""


def pictures_in(folder: Path) -> list[Path]:
    """All pictures in `folder` and below, sorted, without the shadow files of macOS."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith("._")
        and path.is_file()
    )


class PictureFiles:
    """Finds the files that labels name, however a tool wrote the name.

    A name is looked up as it stands in the folders `first`; then among all pictures below `root`,
    the one whose path agrees with it in most parts from the end, whatever the case. Where two agree
    alike, the one in a folder named `hint` is taken.
    """

    def __init__(self, root: Path, first: Sequence[Path] = (), hint: str = "") -> None:
        self.root = root
        self._first = [*first, root]
        self._hint = hint.casefold()
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path:
        """The file that `name` means.

        Raises:
            ValueError: with a clause that says why there is none, or which there could be.
        """
        plain = name.replace("\\", "/").partition("?d=")
        given = plain[2] or plain[0]
        for spelling in dict.fromkeys((given, unquote(given))):
            for folder in self._first:
                if _is_file(folder / spelling):
                    return folder / spelling
        for spelling in dict.fromkeys((given, unquote(given))):
            alike = self._alike(spelling)
            if len(alike) == 1:
                return alike[0]
            if alike:
                places = " and ".join(str(path.relative_to(self.root)) for path in alike[:2])
                raise ValueError(f"the picture could be {places}")
        raise ValueError(f"the picture is missing from {self._first[0]}")

    def _alike(self, name: str) -> list[Path]:
        parts = _parts(name)
        if not parts:
            return []
        if self._by_name is None:
            self._by_name = {}
            for path in pictures_in(self.root):
                self._by_name.setdefault(_folded(path.name), []).append(path)
        best: list[Path] = []
        most = (0, False)
        for path in self._by_name.get(parts[-1], []):
            own = _parts(str(path.relative_to(self.root)))
            shared = 0
            while shared < min(len(own), len(parts)) and own[-1 - shared] == parts[-1 - shared]:
                shared += 1
            score = (shared, bool(self._hint) and self._hint in own[:-1])
            if score > most:
                best, most = [], score
            if score == most:
                best.append(path)
        return best


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _parts(name: str) -> list[str]:
    return [_folded(part) for part in PurePosixPath(name.replace("\\", "/")).parts]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for the file system
        return False


def lying(path: Path, width: int, height: int) -> int:
    """The EXIF orientation that exchanges the sides of a picture which is stored so wide and high.

    0 where there is none, or the file is of another size or no picture.
    """
    if width == height:
        return 0
    try:
        with PillowImage.open(path) as picture:
            orientation = picture.getexif().get(_ORIENTATION)
            stored = picture.size
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError):
        return 0
    return orientation if orientation in _LYING and stored == (width, height) else 0


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a stored picture, turned as it is to be seen.

    Raises:
        ValueError: it is no picture.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            size = shown_size(head + file.read()) if head[4:] == b"ftyp" else None
        if size is not None:
            return size
        with PillowImage.open(path) as picture:
            width, height = picture.size
            turned = picture.getexif().get(_ORIENTATION) in _LYING
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise ValueError("the picture cannot be read") from error
    return (height, width) if turned else (width, height)


def load_picture(picture: Picture) -> Image:
    """Decode a picture to RGB uint8 (H, W, 3) of its width and height.

    Raises:
        ValueError: it is unreadable or has another shape than its annotation says.
    """
    image: Image | None
    try:
        # OpenCV's own reading takes names on Windows for letters of a code page.
        data = np.fromfile(picture.path, np.uint8)
        if is_heif(data):
            # OpenCV reads no HEIC.
            image = photo(picture.path)[..., ::-1]
        else:
            with overheard():  # in each epoch anew
                stored = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
            image = None if stored is None else np.asarray(stored, np.uint8)
    except SourceError as error:
        raise ValueError(str(error)) from error
    except (OSError, cv2.error):  # OpenCV's own for one of more pixels than it takes
        image = None
    if image is None:
        raise ValueError(f"{picture.path.name}: the picture cannot be read")
    height, width = image.shape[:2]
    if (width, height) != (picture.width, picture.height):
        size = (picture.width, picture.height)
        # Files larger than LONGEST are shrunk; their shape may be off by a rounding, which in a
        # narrow strip is much.
        off = abs(width * picture.height / (height * picture.width) - 1.0)
        if max(size) != LONGEST or (off > 0.02 and shrunk(width, height) != size):
            said = picture.labelled or size
            raise ValueError(
                f"{picture.path.name}: is {width}x{height} pixels, its annotation says "
                f"{said[0]}x{said[1]}"
            )
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
