"""Records as a table: a row for each object of each frame."""

from __future__ import annotations

import csv
import io
from typing import ClassVar

from stream.frame import Frame
from stream.objects.instance import Instance
from stream.sinks._records import Records, exact

COLUMNS = (
    "frame",
    "time",
    "track",
    "class",
    "score",
    "x1",
    "y1",
    "x2",
    "y2",
    "area",
    "centroid_x",
    "centroid_y",
)

FILE = "file"
"""A column more, where each frame is a picture of its own."""


class CsvSink(Records):
    """Writes comma-separated values in UTF-8, names of columns first; frames with nothing, no row.

    Times are in seconds, boxes in pixels, areas in pixels of the picture. Of pictures the last
    column is the file's name.
    """

    endings: ClassVar[tuple[str, ...]] = (".csv",)
    sized: ClassVar[bool] = False
    mask_forms: ClassVar[tuple[str, ...]] = ()

    def head(self) -> str:
        """The names of the columns."""
        return _rows([(*COLUMNS, FILE) if self.info.pictures else COLUMNS])

    def text(self, frame: Frame) -> str:
        """A row for each object, empty where there is nothing to say."""
        name = self.picture_name(frame) or ""
        named = (name,) if self.info.pictures else ()
        return _rows([(*_row(frame, one), *named) for one in frame.instances or ()])


def _row(frame: Frame, one: Instance) -> tuple[object, ...]:
    area, centre = one.measures()
    return (
        frame.index,
        round(frame.pts_seconds, 6),
        "" if one.track_id is None else one.track_id,
        one.name,
        exact(one.score),
        *(exact(side) for side in one.box),
        area,
        *(("", "") if centre is None else (round(place, 2) for place in centre)),
    )


def _rows(rows: list[tuple[object, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
