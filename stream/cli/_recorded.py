"""Whether records of a film are all of it, or what a run has left that was killed."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from stream.cli._finished import count_that_come, declared_pictures, last_picture
from stream.disk.leftovers import is_begun
from stream.settings.options import CutOptions

_BLOCK = 65536
_IMAGE = re.compile(rb'"file_name":"frame_(\d+)[^{}]*"time":([-0-9.e]+)}\s*\]}\s*$')
"""The end of COCO's file: its last picture."""

_ROUNDED = Fraction(1, 1000)
"""Seconds by which the same time is told differently."""


@dataclass(frozen=True, slots=True)
class _Last:
    """The last frame that records tell of.

    Attributes:
        index: its number, from 0; None where there is none.
        seconds: its time, where the format has times.
        each: whether the format tells of every frame, and not only of those with objects.
    """

    index: int | None
    seconds: Fraction | None
    each: bool


def recorded(
    source: Path, records: Path, cut: CutOptions, *, beside: bool, fps: float | None = None
) -> bool:
    """Whether records are there and go to the last picture that they should tell of.

    Formats that have no line for a frame without objects do not say it of films in whose last frame
    nothing is.

    Args:
        source: the input.
        records: the file of what was found in it.
        cut: the part that is taken.
        beside: whether a film that is whole was written in the same run, which is enough for such
            formats.
        fps: pictures a second of an input that is numbered pictures; None for the usual ones.
    """
    last = _last(records)
    # Rows of a frame may be missing where a run was killed that wrote them.
    if last is None or (not last.each and is_begun(records)):
        return False
    if beside and not last.each:
        return True
    if last.index is None:
        return False
    if cut.limit is not None and last.index + 1 >= cut.limit:
        return True
    if last.seconds is None:
        return last.index + 1 >= _wanted(source, cut, fps, last.index + 1)
    wanted = last_picture(source, cut, fps)
    return wanted is None or last.seconds > wanted.at - max(wanted.gap / 2, _ROUNDED)


def _wanted(source: Path, cut: CutOptions, fps: float | None, there: int) -> int:
    """How many pictures come of a part of a film, of which it is known how many are there."""
    part = cut.start is not None or cut.end is not None
    declared = 0 if part else declared_pictures(source)
    # Of damaged ones fewer come than the file says; to look at each is dear.
    return declared if 0 < declared <= there else count_that_come(source, cut, fps)


def _last(path: Path) -> _Last | None:
    """The last frame that a file tells of; None where it is not there, or not whole."""
    ending = path.suffix.lower()
    read = {
        ".json": _of_coco,
        ".parquet": _of_parquet,
        ".csv": _of_table,
        ".txt": _of_mot,
        ".mot": _of_mot,
    }
    try:
        return read.get(ending, _of_lines)(path)
    except (OSError, ValueError, LookupError, ArithmeticError):
        return None


def _of_lines(path: Path) -> _Last | None:
    for line in _from_the_end(path):
        found = json.loads(line)
        if "objects" in found:
            return _Last(int(found["frame"]), Fraction(found["time"]), each=True)
    return None


def _of_table(path: Path) -> _Last | None:
    for line in _from_the_end(path):
        if line.startswith(b"frame,"):
            break
        frame, time, *_ = next(csv.reader([line.decode()]))
        return _Last(int(frame), Fraction(time), each=False)
    return _Last(None, None, each=False)


def _of_mot(path: Path) -> _Last | None:
    for line in _from_the_end(path):
        return _Last(int(line.split(b",")[0]) - 1, None, each=False)
    return _Last(None, None, each=False)


def _of_coco(path: Path) -> _Last | None:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _BLOCK))
        found = _IMAGE.search(file.read())
    return found and _Last(int(found[1]), Fraction(found[2].decode()), each=True)


def _of_parquet(path: Path) -> _Last | None:
    from pyarrow import parquet

    about = parquet.ParquetFile(path).metadata
    columns = {about.schema.column(place).name: place for place in range(about.num_columns)}
    if not about.num_rows:
        return _Last(None, None, each=False)
    group = about.row_group(about.num_row_groups - 1)
    index, seconds = (group.column(columns[name]).statistics.max for name in ("frame", "time"))
    return _Last(int(index), Fraction(seconds), each=False)


def _from_the_end(path: Path) -> Iterator[bytes]:
    """The lines of a file, the last one first.

    Raises:
        ValueError: the last one is cut off.
    """
    with path.open("rb") as file:
        at = end = file.seek(0, os.SEEK_END)
        held: list[bytes] = []  # the pieces of a line whose beginning is not there yet
        while at:
            before, at = at, max(0, at - _BLOCK)
            file.seek(at)
            block = file.read(before - at)
            if before == end and not block.endswith(b"\n"):
                raise ValueError("the last line is cut off")
            first, *lines = block.split(b"\n")
            if lines:
                held.append(lines.pop())
                yield from filter(None, [b"".join(reversed(held)), *reversed(lines)])
                held.clear()
            held.append(first)
        yield from filter(None, [b"".join(reversed(held))])
