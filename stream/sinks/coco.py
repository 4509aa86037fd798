"""Records as a COCO data set with results: for `pycocotools`, CVAT, FiftyOne."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import ClassVar

from stream.errors import SinkError
from stream.frame import Frame, VideoInfo
from stream.objects.instance import Instance
from stream.sinks._records import Records, as_json, exact
from stream.sinks._shapes import coco_polygons
from stream.types import JSON

_PIECE = 1 << 16
"""Characters of the images that are copied at a time."""


class CocoSink(Records):
    """Writes COCO's JSON: images, categories, and annotations with run lengths, scores and tracks.

    Ids count from 1, categories in the order of the model's classes. A video's frames are called
    as CVAT calls them (`frame_000012`), so that it knows which is which. The file is whole once the
    run has ended; `.ndjson` is at any time.
    """

    endings: ClassVar[tuple[str, ...]] = (".json",)
    lasting: ClassVar[bool] = False
    mask_forms: ClassVar[tuple[str, ...]] = ("polygon",)

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        *,
        overwrite: bool = False,
        masks: str = "rle",
    ) -> None:
        """Creates the file; see `Records`."""
        # JSON has them apart from the annotations, and a long run has too many to keep.
        try:
            self._images = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise _no_room(error) from error
        try:
            super().__init__(path, info, overwrite=overwrite, masks=masks)
        except BaseException:
            self._images.close()
            raise
        self._annotations = 0
        self._names: tuple[str, ...] = ()

    def head(self) -> str:
        """Where the annotations begin."""
        about = {"description": self.info.name, **self.about}
        return f'{{"info": {as_json(about)},\n"annotations": [\n'

    def text(self, frame: Frame) -> str:
        """The annotations of a frame."""
        image = frame.index + 1
        comma = ",\n" if self.frames else ""
        try:
            self._images.write(comma + as_json(self._image(frame, image)))
        except OSError as error:
            raise _no_room(error) from error
        lines = []
        if frame.instances is not None:
            self._names = self._names or frame.instances.class_names
        for one in frame.instances or ():
            self._annotations += 1
            x1, y1, x2, y2 = (float(side) for side in one.box)
            area, shape = self._segmentation(one)
            annotation: dict[str, object] = {
                "id": self._annotations,
                "image_id": image,
                "category_id": one.label + 1,
                "bbox": [exact(side) for side in (x1, y1, x2 - x1, y2 - y1)],
                "area": area,
                "segmentation": shape,
                "iscrowd": 0,
                "score": exact(one.score),
            }
            if one.track_id is not None:
                annotation["track_id"] = one.track_id
                if isinstance(shape, list) and len(shape) < 2:
                    # CVAT makes a track of them; of masks or several shapes it cannot.
                    annotation["attributes"] = {"track_id": one.track_id, "keyframe": True}
            comma = ",\n" if self._annotations > 1 else ""
            lines.append(comma + as_json(annotation))
        return "".join(lines)

    def tail(self) -> Iterable[str]:
        """The categories and the images."""
        names = self._names or tuple(self.about.get("classes", []))
        # Some readers want to know what a category belongs to, and leave out what is "none".
        categories = [
            {"id": place, "name": name, "supercategory": name}
            for place, name in enumerate(names, start=1)
        ]
        head = f'\n],\n"categories": {as_json(categories)},\n"images": [\n'
        return chain([head], self._copied(), ["\n]}\n"])

    def _copied(self) -> Iterator[str]:
        try:
            self._images.seek(0)
        except OSError as error:  # What waits is written first.
            raise _no_room(error) from error
        while piece := self._images.read(_PIECE):
            yield piece
        self._images.close()

    def abort(self) -> None:
        """Lets go at once; what was written is made a complete file."""
        try:
            if not self._done and self.frames:
                self.finish()
        finally:
            with contextlib.suppress(OSError):  # It is flushed once more, for nobody.
                self._images.close()
            super().abort()

    def _segmentation(self, one: Instance) -> tuple[int, object]:
        """How many pixels an object has, and its mask as it is held."""
        if self.masks == "none":
            return one.area, []
        # What has no pixel has no polygon, and COCO's reader wants one.
        if self.masks == "polygon" and (outlines := coco_polygons(one)):
            return one.area, outlines
        area, _, run_lengths = one.shape()
        return area, run_lengths

    def _image(self, frame: Frame, image: int) -> dict[str, JSON]:
        picture = frame.image
        return {
            "id": image,
            "file_name": self.picture_name(frame) or f"frame_{frame.index:06d}.png",
            "width": picture.width,
            "height": picture.height,
            "time": round(frame.pts_seconds, 6),
        }


def _no_room(error: OSError) -> SinkError:
    """The sentence where the temporary folder takes no more."""
    return SinkError(
        "a .json of records needs room in the temporary folder, which cannot be written to: "
        f"{error.strerror or error}; TMPDIR names another, and .ndjson needs none",
        by_place=True,
    )
