"""Records as lines of JSON, one a frame: for `jq`, for pipes, and for reading back."""

from __future__ import annotations

from typing import ClassVar

from stream.frame import Frame
from stream.instance import Instance
from stream.sinks._records import Records, as_json, exact

VERSION = 1
"""Of what the lines hold; docs/records.md describes it."""


class NdjsonSink(Records):
    """Writes a line of JSON for each frame as it comes; the file is whole at any time.

    The first line says of what and with what the records were made; it alone has the key `stream`.
    """

    endings: ClassVar[tuple[str, ...]] = (".ndjson", ".jsonl")

    def head(self) -> str:
        """The line about the run."""
        info = self.info
        about: dict[str, object] = {
            "stream": VERSION,
            "source": info.name,
            "size": [info.height, info.width],
            "rate": None if info.rate is None else str(info.rate),
            "time_base": str(info.time_base),
            **self.about,
        }
        return f"{as_json(about)}\n"

    def text(self, frame: Frame) -> str:
        """A frame's line."""
        objects = [] if frame.instances is None else [_object(one) for one in frame.instances]
        line = {
            "frame": frame.index,
            "time": round(frame.pts_seconds, 6),
            "pts": frame.pts,
            "objects": objects,
        }
        return f"{as_json(line)}\n"


def _object(one: Instance) -> dict[str, object]:
    area, centre, mask = one.shape()
    return {
        "track": one.track_id,
        "class": one.name,
        "score": exact(one.score),
        "box": [exact(side) for side in one.box],
        "area": area,
        "centroid": None if centre is None else [round(place, 2) for place in centre],
        "mask": mask,
    }
