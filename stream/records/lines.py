"""Lines of JSON, as `.ndjson` is written."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

from stream.records.entries import (
    About,
    Entry,
    RecordsFile,
    encoding_of,
    listed,
    mapping,
    number,
    parse_json,
    size_of,
    text,
    threshold_in,
    tracker_in,
    whole,
)

_VERSION = 1
_BEGINS = (b"{", b"[")
"""Lines of what an editor has laid out in several."""
_LONGEST = 1e22
"""Seconds, more than ticks can say."""
_ROUNDED = Fraction(1, 500)
"""Seconds by which a time may be off what its ticks say: other programs round it."""


class LinesFile(RecordsFile):
    """Lines of JSON; read as it goes, so that its length costs no memory."""

    endings: ClassVar[tuple[str, ...]] = (".ndjson", ".jsonl")

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file: io.BufferedReader | None = None
        self._text: io.TextIOWrapper | None = None
        self._number = 0
        self._waiting: Mapping[str, object] | None = None
        try:
            self._file = path.open("rb")
            encoding = encoding_of(self._file.peek(2))
            if encoding == "utf-16":  # a line's end is no single byte there
                self._text = io.TextIOWrapper(self._file, encoding, newline="\n")
            first = self._next()
        except OSError as error:
            self.close()
            raise self.unreadable(error) from error
        except BaseException:
            self.close()
            raise
        if first is None:
            self.close()
            self.refuse("line 1", "the file is empty")
        if "stream" in first:
            self.about = self._about(first)
        else:
            self._waiting = first

    def entries(self) -> Iterator[Entry]:
        """The lines of frames."""
        while (line := self._waiting or self._next()) is not None:
            self._waiting = None
            if "objects" in line:
                yield self._entry(line)
            elif "summary" not in line and "stream" not in line:
                self.refuse(self._place, 'a frame\'s line has the key "objects"; this one has not')
        self.close()

    def close(self) -> None:
        """Lets go of the file; safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def _place(self) -> str:
        return f"line {self._number}"

    def _next(self) -> Mapping[str, object] | None:
        """The next line that is not empty."""
        while raw := self._line():
            self._number += 1
            if not raw.strip():
                continue
            try:
                return mapping(parse_json(raw.decode("utf-8-sig")), "a line")
            except ValueError as error:
                if raw.strip() in _BEGINS:
                    self.refuse(
                        self._place,
                        "a line is a whole object, which here goes on in the next ones; "
                        f"jq -c . {self.path.name} writes each in one line"
                        if raw.strip() == b"{"
                        else "this is a list, where lines are to be: "
                        f"jq -c '.[]' {self.path.name} makes them",
                    )
                if not raw.endswith(b"\n"):
                    self.refuse(self._place, "the line is cut off; take it out of the file")
                said = str(error)
                if isinstance(error, json.JSONDecodeError):
                    said = f"{error.msg} at character {error.pos + 1}"
                self.refuse(self._place, f"this is no line of JSON: {said}")
        return None

    def _line(self) -> bytes:
        """The next line, in UTF-8 with its end; nothing behind the last one."""
        if self._file is None:
            return b""
        if self._text is None:
            return self._file.readline()
        try:
            return self._text.readline().encode()
        except ValueError as error:
            self.refuse(f"line {self._number + 1}", f"this is no text: {error}")

    def _about(self, line: Mapping[str, object]) -> About:
        try:
            version = whole(line["stream"], "stream")
            if version > _VERSION:
                self.refuse(
                    self._place,
                    f"the records are of version {version}; this program reads up to {_VERSION}",
                )
            base = line.get("time_base")
            return About(
                source=text(line.get("source", ""), "source"),
                size=size_of(line["size"]) if "size" in line else None,
                time_base=None if base is None else _fraction(base),
                classes=tuple(
                    text(one, "a class") for one in listed(line.get("classes", []), "classes")
                ),
                model=text(line.get("model", ""), "model"),
                start=number(line.get("start", 0), "start", 0),
                threshold=threshold_in(line),
                tracker=tracker_in(line),
            )
        except ValueError as error:
            self.refuse(self._place, str(error))

    def _entry(self, line: Mapping[str, object]) -> Entry:
        try:
            seconds: Fraction | None = None
            # What a table has no value for comes back as null.
            line = {key: value for key, value in line.items() if value is not None}
            if "pts" in line and self.about.time_base is not None:
                seconds = whole(line["pts"], "pts", -(2**62)) * self.about.time_base
                if "time" in line:
                    told = number(line["time"], "time", -_LONGEST, _LONGEST)
                    self.contradictory += abs(Fraction(told) - seconds) > _ROUNDED
            elif "time" in line:
                seconds = Fraction(number(line["time"], "time"))
            threshold = line.get("mask_threshold")
            return Entry(
                place=self._place,
                index=whole(line["frame"], "frame") if "frame" in line else None,
                seconds=seconds,
                file=text(line.get("file", ""), "file"),
                size=size_of(line["size"]) if "size" in line else None,
                mask_threshold=None
                if threshold is None
                else number(threshold, "mask_threshold", 0, 1),
                objects=listed(line.get("objects"), "objects"),
                unsure=listed(line["unsure"], "unsure") if "unsure" in line else None,
            )
        except ValueError as error:
            self.refuse(self._place, str(error))


def _fraction(value: object) -> Fraction:
    try:
        found = Fraction(text(value, "time_base"))
    except (ValueError, ZeroDivisionError):
        found = Fraction(0)
    if not 0 < found <= 1000:
        raise ValueError(f'time_base is seconds per tick, such as "1/90000", not {value!r}')
    return found
