"""Records as lines of JSON, one a frame: for `jq`, for pipes, and for reading back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from stream.frame import Frame
from stream.objects.instance import Instance
from stream.settings.options import STANDARD_OUTPUT
from stream.sinks._records import Records, as_json, exact
from stream.sinks._shapes import mask_entry
from stream.tally import Tally
from stream.types import JSON

VERSION = 1
"""Of what the lines hold; docs/records.md describes it."""


class NdjsonSink(Records):
    """Writes a line of JSON for each frame as it comes; the file is whole at any time.

    The first line says of what and with what the records were made; it alone has the key `stream`.
    The last one says what the run counted; it alone has the key `summary`.
    """

    endings: ClassVar[tuple[str, ...]] = (".ndjson", ".jsonl")

    @classmethod
    def accepts(cls, target: str) -> bool:
        """A file's name with one of the endings, or `-` for standard output."""
        return target == STANDARD_OUTPUT or super().accepts(target)

    @property
    def wants_unsure(self) -> bool:
        """Soft masks are for painting again, and layers that cover objects want it then."""
        return self.masks == "soft"

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
        found = frame.instances
        line: dict[str, object] = {
            "frame": frame.index,
            "time": round(frame.pts_seconds, 6),
            "pts": frame.pts,
        }
        name = self.picture_name(frame)
        if name is not None:
            line["file"] = name
        size = [frame.image.height, frame.image.width]
        if size != [self.info.height, self.info.width]:
            line["size"] = size
        if self.masks == "soft" and found is not None:
            line["mask_threshold"] = found.mask_threshold
        line["objects"] = [] if found is None else [self._object(one) for one in found]
        if frame.tally is not None:
            line["counts"] = _counts(frame.tally)
        if self.masks == "soft" and found is not None and found.unsure is not None:
            line["unsure"] = [self._object(one) for one in found.unsure]
        return f"{as_json(line)}\n"

    def tail(self) -> Iterable[str]:
        """The line about what was counted."""
        if self._summary is not None:
            yield f"{as_json({'summary': self._summary()})}\n"

    def _object(self, one: Instance) -> dict[str, JSON]:
        run_lengths: JSON = None
        if self.masks == "rle":
            area, centre, mask = one.shape()
            run_lengths = {"size": list(mask["size"]), "counts": mask["counts"]}
        else:
            area, centre = one.measures()
        return {
            "track": one.track_id,
            "class": one.name,
            "score": exact(one.score),
            "box": [exact(side) for side in one.box],
            "area": area,
            "centroid": None if centre is None else [round(place, 2) for place in centre],
            **mask_entry(one, self.masks, run_lengths),
        }


def _counts(tally: Tally) -> dict[str, JSON]:
    """What was counted up to a frame, by the names of lines and zones."""
    found: dict[str, JSON] = {
        one.name: {"in": dict(one.into), "out": dict(one.out)} for one in tally.lines
    }
    for zone in tally.zones:
        found[zone.name] = {
            "now": dict(zone.now),
            "in": dict(zone.into),
            "out": dict(zone.out),
        }
    return found
