"""Picture files: one, or a folder of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Self

import cv2
import numpy as np

from stream.disk.files import identity, write_whole
from stream.disk.twins import refuse_twins
from stream.errors import SinkError, UsageError
from stream.frame import Frame, Item, VideoInfo
from stream.pictures.pixels import bgr_from_picture, plane_view
from stream.settings.options import OutputOptions
from stream.sinks._destination import check_destination
from stream.sinks._photo import CARRIERS, PNG, encode, notes_of, say_where
from stream.sinks._photo_losses import PhotoLosses
from stream.sinks._photo_words import Beside, beside, with_density, with_words
from stream.sinks._pictures import lost_light, lost_shape
from stream.sinks._settling import Settling
from stream.sinks._side_by_side import SideBySide
from stream.sinks.base import Sink
from stream.types import Array
from stream.wording.names import numbered
from stream.wording.words import counted

_QUALITY = {
    ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".jpeg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".webp": (cv2.IMWRITE_WEBP_QUALITY, 101),
    ".png": PNG,
}
ENDINGS = frozenset({*_QUALITY, ".bmp", ".tif", ".tiff", ".ppm"})
ALPHA_ENDINGS = frozenset({".png", ".webp", ".tif", ".tiff"})
"""Of those that hold transparency."""
DEEP_ENDINGS = frozenset({".png", ".tif", ".tiff"})
"""Of those that hold grey of 16 bits."""
EXACT_ENDINGS = ENDINGS - {".jpg", ".jpeg"}
"""Of those that change no pixel."""
MASK_ENDINGS = frozenset({".png"})
"""Of those that masks and values have in a folder, whatever their photos have."""

# How many pictures at most wait for the end until they are on the disk itself. Once so many have
# come since, the system has mostly written them there by itself, and nothing waits for the disk.
_UNSETTLED = 1000
_DEEP = "gray16le"
_SQUARE = Fraction(1)


class ImageSink(Sink):
    """Writes each frame as a picture file: one, numbered ones (out/%06d.png), or a folder's.

    A file appears under its name only when it is complete, so an existing picture is either kept
    or replaced, never broken. PNG, BMP, TIFF, PPM and WebP keep every pixel; JPEG is written with
    quality 95. JPEG, PNG and WebP keep the colour profile, EXIF data and words (XMP, of JPEGs IPTC
    too) of the file that a picture comes from, without its thumbnail.
    """

    encodes: ClassVar[bool] = False

    @classmethod
    def accepts(cls, target: str) -> bool:
        """A picture file's name, or a folder's: one that there is, or that ends in a slash."""
        if "://" in target:
            return False
        path = Path(target)
        return path.suffix.lower() in ENDINGS or _is_folder(target)

    @classmethod
    def check(cls, target: str, options: OutputOptions, inputs: Sequence[Path] = ()) -> None:
        """Of a picture; of a folder it is known once the pictures' names are."""
        path = Path(target)
        of_one = path.suffix.lower() in ENDINGS and not _is_folder(target)
        if of_one and not numbered(target):
            check_destination(path, overwrite=options.overwrite, inputs=inputs)

    @classmethod
    def check_alpha(cls, target: str, options: OutputOptions) -> None:
        """PNG, WebP and TIFF hold it; in a folder, pictures of other kinds become PNG."""
        path = Path(target)
        if path.suffix.lower() in ENDINGS - ALPHA_ENDINGS and not path.is_dir():
            raise UsageError(
                f"{target} holds no transparency, which the look cutout gives; .png, .webp and "
                ".tif do"
            )

    @classmethod
    def check_identities(cls, target: str, options: OutputOptions) -> None:
        """PNG and TIFF hold them; in a folder, pictures of other kinds become PNG."""
        path = Path(target)
        if path.suffix.lower() in ENDINGS - DEEP_ENDINGS and not path.is_dir():
            super().check_identities(target, options)

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """Checks that the pictures can be written; their names are those of the source's."""
        return cls(
            target,
            info.pictures,
            places=info.places,
            namesakes=info.namesakes,
            overwrite=options.overwrite,
            kept=cls.kept(info),
            grey=info.grey,
            shape=info.sample_aspect_ratio,
            conceals=info.conceals,
            numbers=info.numbers,
        )

    @staticmethod
    def kept(info: VideoInfo) -> frozenset[str]:
        """Endings of pictures that hold such frames; in a folder, others become .png."""
        if info.alpha:
            return ALPHA_ENDINGS
        return MASK_ENDINGS if info.exact or info.pixel_format == _DEEP else ENDINGS

    @staticmethod
    def path_of(
        target: str,
        index: int,
        source: Path | None,
        kept: frozenset[str] = ENDINGS,
        place: Path | None = None,
        *,
        whole: bool = False,
    ) -> Path:
        """Where a picture goes.

        Args:
            target: a picture file, numbered ones, or a folder.
            index: of the frame.
            source: the file that it comes from, if it is one.
            kept: endings of its source that it can have too, in a folder.
            place: where its source lies below the folder that was asked for, if not in it.
            whole: whether its source's ending is part of the name where it is another's.
        """
        path = Path(target)
        if pattern := numbered(target):
            before, digits, after = pattern.groups()
            return path.with_name(f"{before}{index:0{digits or 1}d}{after}")
        if path.suffix.lower() in ENDINGS and not _is_folder(target):
            return path
        if source is None:
            return path / f"{index:06d}.png"
        own = source.name if whole else source.stem
        name = source.name if source.suffix.lower() in kept else f"{own}.png"
        return path / (Path(name) if place is None else place.with_name(name))

    def __init__(
        self,
        output: str | Path,
        paths: Sequence[Path] | None = None,
        *,
        places: Mapping[Path, Path] | None = None,
        namesakes: frozenset[Path] = frozenset(),
        overwrite: bool = False,
        kept: frozenset[str] = ENDINGS,
        grey: bool = False,
        shape: Fraction = _SQUARE,
        conceals: bool = False,
        numbers: Sequence[int] = (),
    ) -> None:
        """Checks that the output can be written.

        Args:
            output: a picture file, for one picture; else a folder, which is made if need be.
            paths: the file that each frame comes from, by its index: gives the names in a folder
                (as .png where its own ending is not written). None numbers them.
            places: of those that lie deeper, where in the folder their results do.
            namesakes: those whose ending stays in their results' names, before the new one.
            overwrite: whether existing files may be replaced.
            kept: endings that hold the pictures that will come; in a folder others become .png.
            grey: whether pictures have no colour, so that one channel is enough.
            shape: width over height of one sample.
            conceals: whether what a picture's file says of it may show nothing of it as it was.
            numbers: of frames by their index, where they come from numbered files.

        Raises:
            UsageError: a file exists already, is an input, or several pictures go into one file.
            SinkError: the folder cannot be written to.
        """
        self.output = Path(output)
        self._target = str(output)
        self._paths = paths
        self._places = places or {}
        self._namesakes = namesakes
        self._overwrite = overwrite
        self._kept = kept
        self._grey = grey
        self._shape = shape
        self._transfer = 2  # which is no answer
        self._conceals = conceals
        self._numbers = numbers
        several = numbered(self._target) is not None
        folder = _is_folder(self._target) or self.output.suffix.lower() not in ENDINGS
        self._single = not (several or folder)
        self._written = 0
        self._encoding = SideBySide[Path, bytes]()
        self._settling = Settling()
        self._losses = PhotoLosses()
        sources = list(paths or ())
        if not self._single:
            self._check_folder(self.output.parent if several else self.output, sources)
            return
        if len(sources) > 1:
            raise UsageError(
                f"{self.output} is one file, but {len(sources)} pictures need a folder"
            )
        check_destination(self.output, overwrite=overwrite, inputs=sources)

    @property
    def quicker(self) -> str:
        """A kind of file that takes less time, where there is one."""
        if Path(self._path(0)).suffix.lower() in (".jpg", ".jpeg"):
            return "write a video, which takes less of the machine and the disk"
        return ".jpg takes less time"

    @property
    def remarks(self) -> list[str]:
        """What of the pictures their files cannot hold."""
        said: list[str] = []
        if self._written:
            masks = "-o masks.mkv with --look binary or instances"
            able = {MASK_ENDINGS: masks, ALPHA_ENDINGS: ".mkv"}.get(self._kept, ".mp4")
            ending = Path(self._path(0)).suffix
            said = lost_shape(self._shape, ending, able)
            said += lost_light(self._transfer, ending)
        return said + self._losses.remarks

    def write(self, item: Item) -> None:
        """Writes a frame's picture; other streams' packets are no concern of pictures.

        Raises:
            SinkError: the file cannot be written; the message says what was saved.
        """
        if not isinstance(item, Frame):
            return
        if self._single and self._written:
            raise SinkError(
                f"{self.output} is one picture, but more come; number them, as in out/%06d.png, or "
                f"name a folder, as in out/; {self._saved()}"
            )
        target = self._path(item.index)
        ending = target.suffix.lower()
        source = self._source(item.index)
        notes = [] if source is None else notes_of(source, conceals=self._conceals)
        if item.image.format.name == _DEEP:
            pixels: Array = plane_view(item.image.planes[0], 16)
            notes = []  # they are about colours
        else:
            kept = ending in ALPHA_ENDINGS
            pixels = bgr_from_picture(item.image if kept else item.seen())
            self._transfer = 2 if self._grey else int(item.image.color_trc)
        if self._grey:
            pixels, notes = pixels[..., 0], []
        if item.alpha is not None and ending in ALPHA_ENDINGS and pixels.dtype == np.uint8:
            colours = pixels if pixels.ndim == 3 else np.dstack([pixels] * 3)
            pixels = np.dstack([colours, item.alpha])
        elif item.alpha is not None and bool((item.alpha < 255).any()):
            self._losses.filled.append(target.name)
        options = list(_QUALITY.get(ending, ()))
        if source is None and not self._single:
            self._encoding.put(target, lambda: encode(ending, pixels, notes, options))
            self._save_encoded(self._encoding.most)
            return
        try:
            data = encode(ending, pixels, notes, options)
        except ValueError as error:
            raise self._unencoded(target, error) from error
        if source is not None:
            data = self._told(data, source, item, notes=bool(notes) and ending not in CARRIERS)
        self._save(target, data)
        if source in self._namesakes and source is not None and target.stem == source.name:
            self._losses.whole.append(target.name)
        if self._conceals and ending in CARRIERS and say_where(notes):
            self._losses.placed.append(target.name)

    def _save_encoded(self, left: int) -> None:
        """Saves pictures of footage in their order: what is ready, and until so many are left.

        Raises:
            SinkError: one cannot be encoded or saved; those behind it are left out.
        """
        try:
            while self._encoding.due(left):
                target = self._encoding.first
                try:
                    data = self._encoding.take()
                except ValueError as error:
                    raise self._unencoded(target, error) from error
                self._save(target, data)
        except BaseException:
            self._encoding.close()
            raise

    def _unencoded(self, target: Path, error: ValueError) -> SinkError:
        return self._failed(f"{target} cannot be written: {error}")

    def _failed(self, what: str) -> SinkError:
        # Those that were still encoded are not there either.
        return SinkError(f"{what}; {self._saved()}", frames=self._written)

    def _save(self, target: Path, data: bytes) -> None:
        try:
            if self._places:
                target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, data, overwrite=self._overwrite, settle=False)
            self._written += 1
            self._settling.add(target)
            self._settling.down_to(_UNSETTLED)
        except FileExistsError as error:
            there = target if target.exists() else target.parent
            raise self._failed(f"{there} exists already") from error
        except OSError as error:
            words = error.strerror or str(error)
            raise self._failed(f"{target} cannot be written ({words})") from error

    def _told(self, data: bytes, source: Path, frame: Frame, *, notes: bool) -> bytes:
        """A picture's file that says what its source does beside; what it cannot is noted as lost.

        Args:
            data: the file.
            source: what the picture comes from.
            frame: the picture.
            notes: whether there are notes, and the file has no place for them.
        """
        told = beside(source.read_bytes()) if source.is_file() else Beside()
        if self._kept != MASK_ENDINGS:  # masks are pictures of their own
            data, whole = with_words(data, told, conceals=self._conceals)
            self._losses.unsaid += [] if whole else [source.name]
            self._losses.unnoted += [source.name] if notes else []
        if told.density is None:
            return data
        across, down = told.density
        turned = told.size is not None and told.size != (frame.image.width, frame.image.height)
        return with_density(data, (down, across) if turned else (across, down))

    def close(self) -> None:
        """Saves what is still encoded, and waits until all pictures are on the disk itself.

        Raises:
            SinkError: a picture cannot be encoded, or the disk does not take them.
        """
        self._save_encoded(0)
        self._encoding.close()
        try:
            self._settling.end()
        except OSError as error:
            words = error.strerror or str(error)
            raise SinkError(f"{self.output} could not be written to the end ({words})") from error

    def _saved(self) -> str:
        return (
            f"{counted(self._written, 'picture is', 'pictures are')} saved"
            if self._written
            else "nothing was saved"
        )

    def _check_folder(self, folder: Path, sources: Sequence[Path]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(
                f"the folder {folder} cannot be made: {error.strerror or error}"
            ) from error
        if not os.access(folder, os.W_OK):
            raise SinkError(f"the folder {folder} cannot be written to: permission denied")
        refuse_twins(sources, self._path)
        read = {identity(source) for source in sources}
        for index in range(len(sources)):
            target = self._path(index)
            if not target.parent.exists():
                continue  # it is made once there is something to lie in it
            check_destination(target, overwrite=self._overwrite)
            there = identity(target)
            if there is not None and there in read:
                raise UsageError(f"{target} is an input; choose another output")

    def _source(self, index: int) -> Path | None:
        return self._paths[index] if self._paths and index < len(self._paths) else None

    def _path(self, index: int) -> Path:
        source = self._source(index)
        place = None if source is None else self._places.get(source)
        whole = source in self._namesakes
        index = self._numbers[index] if index < len(self._numbers) else index
        return self.path_of(self._target, index, source, self._kept, place, whole=whole)


def _is_folder(target: str) -> bool:
    return target.endswith(("/", os.sep)) or Path(target).is_dir()
