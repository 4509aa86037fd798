"""MOTChallenge's text: boxes and identities."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from stream.records.entries import PLACE, About, Entry, RecordsFile, encoding_of

NAMELESS = "object"
"""The class of what has none."""
_BETWEEN = re.compile(r"[,;\s]+")


class MotFile(RecordsFile):
    """Lines of frame, id, left, top, width, height, score, …; sorted by frame or by object."""

    endings: ClassVar[tuple[str, ...]] = (".mot", ".txt")
    tells_empty: ClassVar[bool] = False
    places: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.about = About(classes=(NAMELESS,))
        self._frames: dict[int, Entry] = {}
        try:
            with path.open("rb") as raw:
                text = io.TextIOWrapper(raw, encoding_of(raw.peek(2)))
                for count, line in enumerate(text, start=1):
                    parts = [part for part in _BETWEEN.split(line.strip()) if part]
                    # The first line may name the columns.
                    if parts and not (count == 1 and parts[0].isalpha()):
                        self._line(parts, f"line {count}")
        except OSError as error:
            raise self.unreadable(error) from error
        except UnicodeDecodeError:
            self.refuse("as a whole", "this is no text")

    def entries(self) -> Iterator[Entry]:
        """The frames that have lines, in order."""
        for index in sorted(self._frames):
            yield self._frames.pop(index)

    def _line(self, parts: Sequence[str], place: str) -> None:
        try:
            values = [float(part) for part in parts]
        except ValueError:
            values = []
        if len(values) < 6 or not all(map(math.isfinite, values)) or values[0] < 1:
            self.refuse(place, "a line is frame,id,left,top,width,height,score, frames from 1 on")
        frame, track, left, top, width, height = values[:6]
        index = int(frame) - 1
        score = values[6] if len(values) > 6 and 0 <= values[6] <= 1 else 1.0
        entry = self._frames.setdefault(index, Entry(place, index, objects=[]))
        assert isinstance(entry.objects, list)
        entry.objects.append(
            {
                PLACE: place,
                "class": NAMELESS,
                "track": int(track) if track >= 0 else None,
                "score": score,
                "box": [left - 1, top - 1, left - 1 + width, top - 1 + height],
            }
        )
