"""COCO's json as people's tools write it: everything whose meaning is clear is read."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.wording import words
from stream_models.training.data import (
    PERSON,
    Box,
    DataSet,
    Object,
    Picture,
    class_among,
    merge,
)
from stream_models.training.exports import own_form
from stream_models.training.forms import are_shares, boxes_are_corners, turn
from stream_models.training.objects import BadLabelError, build, inside, number, read_box, unsure
from stream_models.training.picture_files import PictureFiles, lying, picture_size

# SAM 2's own estimate of a drawn mask's IoU, mapped to the weight of the mask loss: below the
# first value nothing is learnt from it, from the second on it counts in full.
_SURE = (0.6, 0.9)
_LARGE = 1 << 26
"""Pixels from which a picture's stated size is not believed without a look at its file."""

Entry = Mapping[str, Any]


def read_coco(file: Path, pictures: PictureFiles) -> DataSet:
    """Read one COCO file. What is wrong with its pictures and objects becomes problems.

    Raises:
        UsageError: it is no json, or no COCO file.
    """
    content = _load(file)
    tops = content if isinstance(content, list) else [content]
    if not tops or not all(isinstance(top, dict) and "images" in top for top in tops):
        raise UsageError(
            own_form(file)
            or f"{file} is json, but no COCO file: on top it has {_kind(content)}, and COCO has an "
            "object with images, annotations and categories"
        )
    return merge([_File(file, top, pictures).read() for top in tops])


def _load(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{file} is no json: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is no json that can be read: {error}") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error


def _kind(value: object) -> str:
    if isinstance(value, list):
        inner = f", the first of which is {_kind(value[0])}" if value else ""
        return f"a list of {words.counted(len(value), 'entry', 'entries')}{inner}"
    if isinstance(value, dict):
        keys = ", ".join(str(key)[:40] for key in list(value)[:6])
        return f"an object with {keys}" if keys else "an empty object"
    return f"just {str(value)[:40]}"


def _key(value: object) -> str | None:
    """An id as text, the same for 7, 7.0 and "7"; None for what can be none."""
    found = number(value)
    if found is not None and found == int(found):
        return str(int(found))
    return value.strip() or None if isinstance(value, str) else None


class _File:
    """One COCO object on its way to a `DataSet`."""

    def __init__(self, file: Path, content: Entry, pictures: PictureFiles) -> None:
        self._file = file
        self._content = content
        self._files = pictures
        self._data = DataSet((), [], [])
        self._label_of: dict[str, int] = {}
        self._picture_of: dict[str, Picture | None] = {}
        self._name_of: dict[str, str] = {}
        self._corners = False
        self._lying: list[tuple[Picture, int]] = []

    def read(self) -> DataSet:
        annotations = list(self._entries("annotations", needed=False))
        self._read_categories(annotations)
        if are_shares(annotations):
            raise UsageError(
                f"{self._file}: its boxes and masks lie between 0 and 1, as shares of the picture; "
                "COCO's are in pixels: multiply them by its width and height"
            )
        self._corners = boxes_are_corners(annotations)
        if self._corners:
            self._data.notes.append(
                f"{self._file.name}: boxes are read as the corners x1, y1, x2, y2, as they fit the "
                "masks so; COCO's are x, y, width and height"
            )
        taken: dict[Path, str] = {}
        for entry in self._entries("images"):
            self._data.described += 1
            self._read_picture(entry, taken)
        as_objects = self._crowds_are_objects(annotations)
        counted = 0
        for entry in annotations:
            crowd = _truth(entry.get("iscrowd"))
            if crowd and _in_runs(entry) and (as_objects or _from_cvat(entry)):
                crowd = False
                counted += 1
            self._read_object(entry, crowd)
        for picture, orientation in self._lying:
            turn(picture, orientation)
        if self._lying:
            count = words.counted(len(self._lying), "picture is", "pictures are")
            self._data.notes.append(
                f"{self._file.name}: {count} labelled as stored, and not as EXIF data turn what is "
                "shown: the labels are turned alike"
            )
        if counted:
            self._data.notes.append(
                f"{self._file.name}: {words.counted(counted, 'mask')} in run lengths "
                f"{'is' if counted == 1 else 'are'} marked iscrowd, as CVAT marks every mask, and "
                f"{'is' if counted == 1 else 'are'} learnt as any other object"
            )
        return self._data

    def _entries(self, section: str, needed: bool = True) -> Iterator[Entry]:
        entries = self._content.get(section)
        if entries is None and not needed:
            return
        if not isinstance(entries, list):
            raise UsageError(
                f"{self._file} is no COCO file: its {section!r} must be a list, and is "
                f"{'missing' if section not in self._content else _kind(entries)}"
            )
        for place, entry in enumerate(entries, 1):
            if isinstance(entry, dict):
                yield entry
            else:
                self._wrong(f"number {place} of its {section} is no object but {_kind(entry)}")

    def _wrong(self, sentence: str, picture: str = "") -> None:
        where = f"{self._file.name}, {picture}" if picture else self._file.name
        line = " ".join(f"{where}: {sentence}".split())
        self._data.problems.append(line)

    def _read_categories(self, annotations: list[Entry]) -> None:
        entries = list(self._entries("categories"))
        keys = [_key(entry.get("id")) for entry in entries]
        if all(key is not None and key.lstrip("-").isdigit() for key in keys):
            order = sorted(range(len(entries)), key=lambda index: int(keys[index] or 0))
        else:
            order = list(range(len(entries)))
        used = Counter(_key(entry.get("category_id")) for entry in annotations)
        above = {
            entry.get("supercategory")
            for entry in entries
            if isinstance(entry.get("supercategory"), str)
            and entry.get("supercategory") != entry.get("name")
        }
        names: list[str] = []
        ids: dict[str, list[str]] = {}
        for index in order:
            entry, key, name = entries[index], keys[index], entries[index].get("name")
            if key is None or not isinstance(name, (str, int, float)) or not str(name).strip():
                self._wrong(f"the category {str(entry.get('id'))[:40]} has no usable id and name")
                continue
            if key in self._label_of:
                self._wrong(f"the category id {key} is used twice")
                continue
            # Roboflow puts a class on top that is the others' parent and that no object has.
            if not used[key] and name in above:
                continue
            label = str(name).strip()
            if label not in names:
                names.append(label)
            self._label_of[key] = names.index(label)
            ids.setdefault(label, []).append(key)
        for label, several in ids.items():
            # Of one that no object has there is nothing to tell apart.
            having = [key for key in several if used[key]]
            if len(having) > 1:
                self._data.notes.append(
                    f"{self._file.name}: the categories {words.joined(having)} have one name, "
                    f"{words.called(label)}, and are learnt as one class; if they are not, give "
                    "each a name of its own"
                )
        if not names:
            raise UsageError(f"{self._file} names no category, so there is nothing to learn")
        self._data.names = tuple(names)

    def _read_picture(self, entry: Entry, taken: dict[Path, str]) -> None:
        key, name = _key(entry.get("id")), entry.get("file_name")
        if not isinstance(name, str) or not name.strip():
            self._wrong(f"the picture with the id {str(entry.get('id'))[:40]} has no file_name")
        elif key is None:
            self._wrong("the picture has no usable id", _short(name))
        elif key in self._name_of:
            # Whose the objects of this id are cannot be said: neither picture is used.
            first = self._picture_of[key]
            self._wrong(
                f"the image id {key} is used twice, for {self._name_of[key]} too", _short(name)
            )
            if first is not None and self._name_of[key] != _short(name):
                self._data.pictures = [one for one in self._data.pictures if one is not first]
                self._picture_of[key] = None
        else:
            self._name_of[key] = _short(name)
            self._picture_of[key] = self._open(entry, name, taken)
            return
        if key is not None and key not in self._name_of:
            self._name_of[key] = "?"
            self._picture_of[key] = None

    def _open(self, entry: Entry, name: str, taken: dict[Path, str]) -> Picture | None:
        try:
            path = self._files.find(name)
            width, height = self._size(entry, path)
        except ValueError as error:
            self._wrong(str(error), _short(name))
            return None
        if path in taken:
            self._wrong(f"{path.name} is the file of {taken[path]} already", _short(name))
            return None
        taken[path] = _short(name)
        source = entry.get("source")
        picture = Picture(
            len(self._data.pictures) + 1,
            path,
            width,
            height,
            source if isinstance(source, str) else "",
            [],
            self._known(entry),
        )
        self._data.pictures.append(picture)
        orientation = lying(path, width, height)
        if orientation:
            self._lying.append((picture, orientation))
        return picture

    def _size(self, entry: Entry, path: Path) -> tuple[int, int]:
        """Width and height as stated, or of the file where none, or nothing usable, is stated."""
        stated = [number(entry.get(side)) for side in ("width", "height")]
        width, height = (int(side) if side and side == int(side) else 0 for side in stated)
        if width > 0 and height > 0 and width * height <= _LARGE:
            return width, height
        real = picture_size(path)
        if min(width, height) > 0 and (width, height) != real:
            raise ValueError(
                f"the picture is {real[0]}x{real[1]} pixels, its annotation says {width}x{height}"
            )
        return real

    def _known(self, entry: Entry) -> NDArray[np.bool_]:
        names = self._data.names
        known = np.ones(len(names), np.bool_)
        only = entry.get("only_classes")
        if isinstance(only, list) and only:
            known[:] = False
            known[[self._label_of[k] for k in map(_key, only) if k in self._label_of]] = True
        person = class_among(PERSON, names)
        if _truth(entry.get("only_person")):
            known[[index for index in range(len(names)) if index != person]] = False
        if _truth(entry.get("person_incomplete")) and person is not None:
            known[person] = False
        return known

    def _crowds_are_objects(self, annotations: list[Entry]) -> bool:
        """Whether `iscrowd` says nothing in this file: no object has a mask but those marked so.

        COCO itself has polygons for its objects and run lengths for its crowds; CVAT writes each
        mask that was painted as run lengths, and marks it.
        """
        return not any(
            not _truth(entry.get("iscrowd")) and entry.get("segmentation") for entry in annotations
        )

    def _read_object(self, entry: Entry, crowd: bool) -> None:
        what = f"annotation {str(entry.get('id', '?'))[:40]}"
        key = _key(entry.get("image_id"))
        if key is None or key not in self._picture_of:
            shown = str(entry.get("image_id"))[:40]
            self._wrong(f"{what}: no picture has the id {shown}")
            self._data.stray += 1
            return
        picture, name = self._picture_of[key], self._name_of[key]
        if picture is None:
            return  # it is among the problems already
        category = _key(entry.get("category_id"))
        label = self._label_of.get(category) if category is not None else None
        try:
            item = self._object(entry, label, crowd, picture)
        except BadLabelError as error:
            self._wrong(f"{what} {error}", name)
            picture.skipped += 1
            unsure(picture, error.places, label)
            return
        picture.objects.append(item)

    def _box(self, entry: Entry) -> object:
        """A box as COCO writes it, as far as it is one."""
        box = entry.get("bbox")
        if not self._corners or not isinstance(box, list) or len(box) != 4:
            return box
        x1, y1, x2, y2 = map(number, box)
        if x1 is None or y1 is None or x2 is None or y2 is None:
            return box
        return [x1, y1, x2 - x1, y2 - y1]

    def _object(self, entry: Entry, label: int | None, crowd: bool, picture: Picture) -> Object:
        size = (picture.width, picture.height)
        if label is None:
            shown = str(entry.get("category_id"))[:40]
            raise BadLabelError(
                f"has category id {shown}, which is not among the categories",
                _place(self._box(entry), picture),
            )
        masked = not _truth(entry.get("box_only"))
        box, mask = build(self._box(entry), entry.get("segmentation") if masked else None, size)
        weight = 1.0 if mask and not crowd else 0.0
        if weight and entry.get("mask_by") == "sam2":
            score = number(entry.get("mask_score")) or 0.0
            weight = float(np.clip((score - _SURE[0]) / (_SURE[1] - _SURE[0]), 0.0, 1.0))
        area = number(entry.get("area"))
        if not area or area < 0:
            area = mask.area if mask else (box[2] - box[0]) * (box[3] - box[1])
        return Object(box, label, mask.polygons if mask else [], area, weight, crowd)


def _place(value: object, picture: Picture) -> list[Box]:
    """Where an object of unknown class is, as far as its box says."""
    try:
        box = read_box(value)
    except BadLabelError:
        return []
    found = inside(box, (picture.width, picture.height)) if box else None
    return [found] if found else []


def _truth(value: object) -> bool:
    return bool(number(value)) if not isinstance(value, bool) else value


def _in_runs(entry: Entry) -> bool:
    return isinstance(entry.get("segmentation"), dict)


def _from_cvat(entry: Entry) -> bool:
    """Whether an annotation has the attributes that CVAT gives every one of its own."""
    attributes = entry.get("attributes")
    return isinstance(attributes, dict) and "occluded" in attributes


def _short(name: str) -> str:
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return last if len(last) <= 80 else f"{last[:77]}..."


@dataclasses.dataclass(frozen=True)
class CocoFile:
    """A COCO file, where its pictures are, and the part of the set that it describes."""

    file: Path
    part: str = ""
    folders: tuple[Path, ...] = ()

    def read(self, root: Path) -> DataSet:
        """Read it; pictures that are in none of `folders` are looked for below `root`."""
        hint = self.file.stem.partition("instances_")[2]
        return read_coco(self.file, PictureFiles(root, self.folders, hint))
