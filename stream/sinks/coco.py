"""Records as a COCO data set with results: for `pycocotools`, CVAT, FiftyOne."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

from stream.frame import Frame, VideoInfo
from stream.sinks._records import Records, as_json, exact
from stream.types import JSON


class CocoSink(Records):
    """Writes COCO's JSON: images, categories, and annotations with run lengths, scores and tracks.

    Ids count from 1, categories in the order of the model's classes. The file is whole once the run
    has ended; `.ndjson` is at any time.
    """

    endings: ClassVar[tuple[str, ...]] = (".json",)

    def __init__(self, path: str | Path, info: VideoInfo, *, overwrite: bool = False) -> None:
        """Creates the file; see `Records`."""
        super().__init__(path, info, overwrite=overwrite)
        # JSON has them apart from the annotations, and a long run has too many to keep.
        self._images = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed later
        self._annotations = 0
        self._names: tuple[str, ...] = ()

    def head(self) -> str:
        """Where the annotations begin."""
        about = {"description": self.info.name, **self.about}
        return f'{{"info": {as_json(about)},\n"annotations": [\n'

    def text(self, frame: Frame) -> str:
        """The annotations of a frame."""
        image = frame.index + 1
        self._images.write(",\n" if self.frames else "")
        self._images.write(as_json(self._image(frame, image)))
        lines = []
        if frame.instances is not None:
            self._names = self._names or frame.instances.class_names
        for one in frame.instances or ():
            self._annotations += 1
            area, _, mask = one.shape()
            x1, y1, x2, y2 = (float(side) for side in one.box)
            annotation: dict[str, object] = {
                "id": self._annotations,
                "image_id": image,
                "category_id": one.label + 1,
                "bbox": [exact(side) for side in (x1, y1, x2 - x1, y2 - y1)],
                "area": area,
                "segmentation": mask,
                "iscrowd": 0,
                "score": exact(one.score),
            }
            if one.track_id is not None:
                annotation["track_id"] = one.track_id
            comma = ",\n" if self._annotations > 1 else ""
            lines.append(comma + as_json(annotation))
        return "".join(lines)

    def tail(self) -> str:
        """The categories and the images."""
        names = self._names or tuple(self.about.get("classes", []))
        categories = [{"id": place + 1, "name": name} for place, name in enumerate(names)]
        self._images.seek(0)
        images = self._images.read()
        self._images.close()
        return f'\n],\n"categories": {as_json(categories)},\n"images": [\n{images}\n]}}\n'

    def abort(self) -> None:
        """Lets go at once; what was written stays, though it is no complete JSON."""
        self._images.close()
        super().abort()

    def _image(self, frame: Frame, image: int) -> dict[str, JSON]:
        paths = self.info.pictures
        if frame.index < len(paths):
            name = paths[frame.index].name
        else:
            name = f"{Path(self.info.name).stem}_{frame.index:06d}.png"
        picture = frame.image
        return {
            "id": image,
            "file_name": name,
            "width": picture.width,
            "height": picture.height,
            "time": round(frame.pts_seconds, 6),
        }
