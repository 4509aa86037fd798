"""COCO's data sets: ours, and what annotation tools make of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

from stream.records.entries import (
    EDGES,
    PLACE,
    About,
    Entry,
    MisreadError,
    RecordsFile,
    encoding_of,
    listed,
    mapping,
    number,
    numbers,
    parse_json,
    size_of,
    text,
    threshold_in,
    tracker_in,
    whole,
)

_FRAME = re.compile(r"^frame_(\d{1,9})$", re.IGNORECASE)


class CocoFile(RecordsFile):
    """A data set in COCO's JSON; as it is no format for streams, all of it is in memory.

    Frames are in the order of their numbers (`frame_000012`), else of the images' ids. Annotations
    are as tools write them: polygons or run lengths; without either, the box.
    """

    endings: ClassVar[tuple[str, ...]] = (".json",)
    held: ClassVar[bool] = True
    places: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            raw = path.read_bytes()
            written = raw.decode(encoding_of(raw))
            del raw  # each of these is as large as the file, and what is made of them is larger
            given = parse_json(written)
            del written
            if isinstance(given, list):
                raise MisreadError("it is a list of results without their images and categories")
            data = mapping(given, "the file")
            del given
        except OSError as error:
            raise self.unreadable(error) from error
        except ValueError as error:
            self.refuse("as a whole", f"this is no COCO data set: {error}")
        self._frames: dict[int, Entry] = {}
        self._objects: dict[int, list[object]] = {}
        self._read(data)

    def entries(self) -> Iterator[Entry]:
        """The images, in order."""
        numbered = all(one.index is not None for one in self._frames.values())
        ids = sorted(self._frames, key=lambda one: (self._frames[one].index or 0, one))
        for place, image in enumerate(ids if numbered else sorted(self._frames)):
            entry = self._frames[image]
            if not numbered:
                entry.index = place
            entry.objects = self._objects.pop(image, [])
            yield entry

    def _read(self, data: Mapping[str, object]) -> None:
        names: dict[int, str] = {}
        place = "categories"
        try:
            for one in listed(data.get("categories", []), "categories"):
                _name(mapping(one, "a category"), names)
            place = "images"
            for count, one in enumerate(listed(data.get("images"), "images"), start=1):
                place = f"image {count}"
                self._image(mapping(one, "an image"), place)
            place = "annotations"
            annotations = listed(data.get("annotations", []), "annotations")
            for count, one in enumerate(annotations, start=1):
                place = f"annotation {count}"
                self._annotation(mapping(one, "an annotation"), names, place)
        except ValueError as error:
            self.refuse(place, str(error))
        info = data.get("info")
        known = info if isinstance(info, dict) else {}
        classes = known.get("classes")
        try:
            start = number(known.get("start", 0), "start", 0)
            threshold, tracker = threshold_in(known), tracker_in(known)
        except ValueError as error:
            self.refuse("info", str(error))
        self.about = About(
            source=str(known.get("description", "")),
            # Ours are in the model's order with nothing left out; tools leave out what is unused.
            classes=tuple(map(str, classes))
            if isinstance(classes, list)
            else tuple(names[one] for one in sorted(names)),
            model=str(known.get("model", "")),
            start=start,
            threshold=threshold,
            tracker=tracker,
        )

    def _image(self, image: Mapping[str, object], place: str) -> None:
        file = text(image.get("file_name", ""), "file_name")
        seconds = image.get("time")
        named = _FRAME.match(Path(file).stem)
        known = whole(image.get("id"), "id")
        if known in self._frames:
            raise ValueError(f"its id, {known}, is that of {self._frames[known].place}")
        self._frames[known] = Entry(
            place=place,
            index=int(named[1]) if named else None,
            seconds=None if seconds is None else Fraction(number(seconds, "time")),
            file="" if named else file,
            size=size_of([image.get("height"), image.get("width")], "an image's size"),
        )

    def _annotation(
        self, given: Mapping[str, object], names: Mapping[int, str], place: str
    ) -> None:
        image = whole(given.get("image_id"), "image_id")
        category = whole(given.get("category_id"), "category_id")
        if image not in self._frames:
            raise ValueError(f"there is no image {image}")
        if category not in names:
            raise ValueError(f"there is no category {category}")
        x, y, width, height = numbers(given.get("bbox"), "bbox", 4)
        extra = given.get("attributes")
        attributes = extra if isinstance(extra, dict) else {}
        track = given.get("track_id", attributes.get("track_id"))
        entry: dict[str, object] = {
            PLACE: place,
            "class": names[category],
            "score": given.get("score"),
            "track": track,
            "box": [x, y, x + width, y + height],
        }
        shape = given.get("segmentation")
        if isinstance(shape, dict):
            entry["mask"] = shape
        elif shape:
            entry[EDGES] = shape
        self._objects.setdefault(image, []).append(entry)


def _name(category: Mapping[str, object], names: dict[int, str]) -> None:
    """Adds a category's name to those that are known, by their ids."""
    known, name = whole(category.get("id"), "id"), text(category.get("name"), "name")
    # As where files were put together whose ids mean different things.
    if names.setdefault(known, name) != name:
        raise ValueError(f"{names[known]!r} and {name!r} have the same id, {known}")
