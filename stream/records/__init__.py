"""Reading records back, as they were written or as somebody corrected them.

    for frame, seconds, instances in stream.records.read("found.ndjson"):
        print(seconds, len(instances))

Lines of JSON, COCO's data sets and MOTChallenge's text are read; docs/records.md describes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stream.errors import UsageError, check_path
from stream.instances import Instances
from stream.records.entries import About, Entry, RecordsFile
from stream.records.objects import Objects

__all__ = ["About", "Entry", "Recorded", "RecordsFile", "open_records", "read"]


class Recorded(NamedTuple):
    """What was found in a frame.

    Attributes:
        frame: its number, from 0.
        seconds: its presentation time; NaN where the format has none.
        instances: the objects, in its pixels.
    """

    frame: int
    seconds: float
    instances: Instances


def read(path: str | Path) -> Iterator[Recorded]:
    """The frames of a file of records, in order.

    Args:
        path: .ndjson or .jsonl, .json (COCO), .txt or .mot (MOTChallenge: boxes alone, which count
            as whole objects, in a picture as large as they need).

    Raises:
        UsageError: the file cannot be read, or says what is not understood; one sentence with the
            line.
    """
    file = open_records(path)
    objects = Objects(file)
    with file:
        for place, entry in enumerate(file.entries()):
            index = place if entry.index is None else entry.index
            seconds = float("nan") if entry.seconds is None else float(entry.seconds)
            yield Recorded(index, seconds, objects.instances(entry))


def open_records(path: str | Path) -> RecordsFile:
    """A file of records, with what it says of itself.

    Raises:
        UsageError: it cannot be read, or is of a format that is not read back.
    """
    from stream.records.coco import CocoFile
    from stream.records.lines import LinesFile
    from stream.records.mot import MotFile

    check_path(path, "the records")
    path = Path(path)
    for kind in (LinesFile, CocoFile, MotFile):
        if path.suffix.lower() in kind.endings:
            return kind(path)
    raise UsageError(
        f"{path} cannot be read back: .ndjson and .jsonl can, .json (COCO), and .txt or .mot "
        "(MOTChallenge, boxes alone)"
    )
