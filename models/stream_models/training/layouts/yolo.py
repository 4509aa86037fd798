"""YOLO's text, polygons or boxes as shares of the picture, by `data.yaml` or `obj.data`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from stream.errors import UsageError
from stream.wording.words import counted
from stream_models.training.any_case import Folders
from stream_models.training.data import Box, DataSet, Object, Picture, merge, part_of
from stream_models.training.layout import Layout
from stream_models.training.objects import BadLabelError, Mask, build, number, unsure
from stream_models.training.picture_files import PictureFiles, picture_size, pictures_in

_SETTINGS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_NAMES = ("classes.txt", "obj.names", "labels/classes.txt")
_DARKNET = "obj.data"


@dataclasses.dataclass
class _Settings:
    """What the settings say: class names, and the folders or lists of pictures by part."""

    names: tuple[str, ...]
    places: dict[str, list[str]]
    root: Path
    notes: tuple[str, ...] = ()


class Yolo(Layout):
    """Lines of a class and x, y pairs, all in 0..1; four numbers are a box without a mask.

    The labels of `images/a.jpg` are `labels/a.txt`, or `a.txt` beside it. A picture without a file
    of labels shows nothing of the classes.
    """

    title = "YOLO text"
    looks_for = "data.yaml, obj.data, or classes.txt beside labels/*.txt (YOLO)"

    def accepts(self, folder: Path) -> bool:
        """Whether the settings or the names are there."""
        if folder.suffix.lower() in (".yaml", ".yml") and folder.is_file():
            return True
        if _first(folder, (*_SETTINGS, _DARKNET)) is not None:
            return True
        labels = Folders().find(folder, "labels")
        return labels is not None and labels.is_dir() and _first(folder, _NAMES) is not None

    def parts(self, folder: Path) -> list[str]:
        """The parts that the settings name."""
        return list(_settings(folder).places)

    def read(self, folder: Path, part: str) -> DataSet:
        """Read the pictures of this part and their labels."""
        settings = _settings(folder)
        folder = folder if folder.is_dir() else folder.parent
        sets = [
            _read(folder, settings, _pictures(folder, settings, place))
            for place in settings.places[part]
        ]
        data = merge(sets)
        data.names = settings.names
        data.notes += settings.notes
        return data


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The first of these files that is in `folder`, spelt in any case."""
    folders = Folders()
    found = (folders.find(folder, name) for name in names)
    return next((path for path in found if path is not None and path.is_file()), None)


def _settings(folder: Path) -> _Settings:
    file = folder if folder.is_file() else _first(folder, _SETTINGS)
    folder = folder if folder.is_dir() else folder.parent
    if file is None:
        darknet = _first(folder, (_DARKNET,))
        if darknet is not None:
            return _darknet(darknet)
        names = _first(folder, _NAMES)
        if names is None:
            raise UsageError(f"{folder} holds neither {_SETTINGS[0]} nor {_NAMES[0]}")
        return _Settings(_listed(names), {"": ["images"]}, folder)
    try:
        # Names such as `on` and `no` are text here, which YAML takes for truth values.
        content = yaml.load(_text(file), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{file} must name the classes (names) and the pictures (train, val)")
    if "kpt_shape" in content:
        raise UsageError(f"{file} describes key points (kpt_shape), and masks are learnt here")
    places: dict[str, list[str]] = {}
    for key in ("train", "val", "valid", "validation", "test"):
        value = content.get(key)
        found = [one for one in (value if isinstance(value, list) else [value]) if one]
        if found and all(isinstance(one, str) for one in found):
            places.setdefault(part_of(key), []).extend(found)
    path = content.get("path")
    roots = [folder / path, folder] if isinstance(path, str) and path else [folder]
    root = next((one for one in roots if one.is_dir()), folder)
    return _Settings(_class_names(content.get("names"), file), places or {"": ["images"]}, root)


def _darknet(file: Path) -> _Settings:
    """What `obj.data` says, as Darknet has it and CVAT's "YOLO 1.1": lines of `name = value`."""
    lines = (line.partition("=") for line in _text(file).splitlines())
    said = {name.strip().casefold(): value.strip() for name, _, value in lines}
    folder = file.parent
    # CVAT's paths begin with a folder data/, which its archive does not have.
    names = _below(folder, said.get("names") or _NAMES[1])
    if names is None:
        raise UsageError(f"{folder}: its {file.name} names {said.get('names')}, which is not there")
    places = {part_of(key): [said[key]] for key in ("train", "valid", "test") if said.get(key)}
    note = (
        f'{file.name}: this form ("YOLO 1.1" in CVAT) holds boxes alone; CVAT\'s "COCO 1.0" holds '
        "masks as well"
    )
    if not places:
        raise UsageError(f"{file} must name a list of pictures (train = train.txt)")
    return _Settings(_listed(names), places, folder, (note,))


def _below(folder: Path, name: str) -> Path | None:
    """What has that path in `folder`, or the path without its first folders.

    Of a folder two parts must agree: `images` alone could be any.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    folders = Folders()
    for skipped in range(len(parts)):
        found = folders.find(folder, "/".join(parts[skipped:]))
        if found is not None and (not skipped or found.is_file() or len(parts) - skipped > 1):
            return found
    return None


def _listed(names: Path) -> tuple[str, ...]:
    listed = tuple(line.strip() for line in _text(names).splitlines() if line.strip())
    if not listed or len(set(listed)) < len(listed):
        raise UsageError(f"{names} must have a class name in each line, each once")
    return listed


def _class_names(value: Any, file: Path) -> tuple[str, ...]:
    if isinstance(value, dict):
        numbers = [number(key) for key in value]
        if sorted(one for one in numbers if one is not None) != list(range(len(value))):
            raise UsageError(f"{file} must number its names from 0 on without gaps")
        value = [value[key] for key in sorted(value, key=lambda key: number(key) or 0)]
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise UsageError(f"{file} must have its class names as a list (names)")
    if not value or len(set(value)) < len(value):
        raise UsageError(f"{file} must name at least one class, and each once (names)")
    return tuple(value)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as text: {error}") from error


def _pictures(folder: Path, settings: _Settings, place: str) -> list[Path | str]:
    """The pictures of a folder or a list, and for those that are not there a sentence."""
    plain = place.replace("\\", "/")
    folders = Folders()
    tries = [(settings.root, plain), (folder, plain)]
    found = next((path for one in tries if (path := folders.find(*one)) is not None), None)
    found = found or _below(folder, plain.lstrip("./"))
    if found is None:
        raise UsageError(f"{folder}: its settings name {place}, which is not there")
    if found.is_dir():
        return list(pictures_in(found))
    files = PictureFiles(folder, (found.parent, settings.root))
    listed: list[Path | str] = []
    for line in _text(found).splitlines():
        name = line.strip()
        if name:
            try:
                listed.append(files.find(name))
            except ValueError as error:
                listed.append(f"{found.name}, {name[:80]}: {error}")
    return listed


def _labels(picture: Path, folders: Folders) -> Path | None:
    parts = list(picture.parts)
    plain = [part.casefold() for part in parts[:-1]]
    name = f"{picture.stem}.txt"
    tries = [(picture.parent, name)]
    if "images" in plain:
        last = len(plain) - 1 - plain[::-1].index("images")
        tries.insert(0, (Path(*parts[:last]), "/".join(("labels", *parts[last + 1 : -1], name))))
    found = (folders.find(*one) for one in tries)
    return next((path for path in found if path is not None and path.is_file()), None)


def _read(folder: Path, settings: _Settings, pictures: list[Path | str]) -> DataSet:
    data = DataSet(settings.names, [], [], described=len(pictures))
    unlabelled, folders = 0, Folders()
    for path in pictures:
        if isinstance(path, str):
            data.problems.append(path)
            continue
        try:
            labels = _labels(path, folders)
            width, height = picture_size(path)
            lines = _text(labels).splitlines() if labels else []
        except ValueError as error:
            data.problems.append(f"{path.name}: {error}")
            continue
        except (UsageError, OSError) as error:
            data.problems.append(f"{path.name}: {error}")
            continue
        unlabelled += labels is None
        known = np.ones(len(settings.names), np.bool_)
        picture = Picture(len(data.pictures) + 1, path, width, height, "", [], known)
        data.pictures.append(picture)
        for place, line in enumerate(lines, 1):
            if line.strip():
                where = f"{labels.name if labels else ''}, {path.name}: line {place}"
                _add(line, picture, data, where)
    if unlabelled and unlabelled == len(data.pictures):
        raise UsageError(
            f"{folder}: no picture has a file of labels; those of images/a.jpg are labels/a.txt"
        )
    if unlabelled:
        data.notes.append(
            f"{unlabelled} of {counted(len(data.pictures), 'picture')} "
            f"{'has' if unlabelled == 1 else 'have'} no file of labels, and "
            f"{'counts as one that shows' if unlabelled == 1 else 'count as pictures that show'} "
            "nothing of the classes"
        )
    return data


def _add(line: str, picture: Picture, data: DataSet, where: str) -> None:
    first, *rest = line.split()
    kind = number(first)
    label = int(kind) if kind is not None and kind in range(len(data.names)) else None
    wrong: BadLabelError | None = None
    try:
        box, mask = _shape(rest, (picture.width, picture.height))
    except BadLabelError as error:
        wrong = error
    else:
        if label is None:
            wrong = BadLabelError(f"has the class {first[:40]}, which has no name", [box])
    if wrong is not None or label is None:
        data.problems.append(f"{where} {wrong}")
        picture.skipped += 1
        unsure(picture, wrong.places if wrong else [], label)
        return
    area = mask.area if mask else (box[2] - box[0]) * (box[3] - box[1])
    picture.objects.append(
        Object(box, label, mask.polygons if mask else [], area, float(mask is not None), False)
    )


def _shape(words: list[str], size: tuple[int, int]) -> tuple[Box, Mask | None]:
    """The box and mask of what stands behind the class, in pixels."""
    numbers = [number(word) for word in words]
    values = [one for one in numbers if one is not None]
    if len(values) < len(numbers):
        raise BadLabelError("has something else than numbers in it")
    if len(values) < 4 or len(values) % 2:
        raise BadLabelError(
            f"has {counted(len(values), 'number')} after the class; a polygon has pairs, "
            "a box has four"
        )
    if max(values) > 2.0:
        raise BadLabelError("has coordinates that are no shares of the picture (0 to 1)")
    pixels = [value * size[index % 2] for index, value in enumerate(values)]
    if len(pixels) > 4:
        return build(None, [pixels], size)
    x, y, wide, high = pixels
    return build([x - wide / 2, y - high / 2, wide, high], None, size)
