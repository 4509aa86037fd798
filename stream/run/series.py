"""Counts over time, in memory that does not grow with the run."""

from __future__ import annotations

from dataclasses import dataclass, field

_MOST = 1024
"""Pieces of time at most; when there are more, two become one."""

ACROSS, IN, OUT = "across", "in", "out"
"""A line's part is "across door", and its curves are "person in", "dog out"."""

Parts = dict[str, dict[str, float]]
"""By part of a plot, the value of each curve."""


@dataclass(slots=True)
class _Piece:
    """A piece of time: sums of the frames in it, by part and curve."""

    start: float
    frames: int = 0
    sums: Parts = field(default_factory=dict)

    def add(self, parts: Parts, frames: int = 1) -> None:
        self.frames += frames
        for part, curves in parts.items():
            mine = self.sums.setdefault(part, {})
            for name, value in curves.items():
                mine[name] = mine.get(name, 0.0) + value


class Series:
    """Means over pieces of time, which grow longer with the run."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._each = 1

    def add(self, seconds: float, parts: Parts) -> None:
        """Takes the values of a frame."""
        if not self._pieces or self._pieces[-1].frames >= self._each:
            if len(self._pieces) >= _MOST:
                self._halve()
            if not self._pieces or self._pieces[-1].frames >= self._each:
                self._pieces.append(_Piece(seconds))
        self._pieces[-1].add(parts)

    def curves(self) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
        """By part, and by curve, the times in seconds and the values."""
        names: dict[str, dict[str, None]] = {}
        for piece in self._pieces:
            for part, curves in piece.sums.items():
                names.setdefault(part, {}).update(dict.fromkeys(curves))
        times = [piece.start for piece in self._pieces]
        return {
            part: {
                name: (
                    times,
                    [
                        piece.sums.get(part, {}).get(name, 0.0) / piece.frames
                        for piece in self._pieces
                    ],
                )
                for name in curves
            }
            for part, curves in names.items()
        }

    def _halve(self) -> None:
        joined: list[_Piece] = []
        for place in range(0, len(self._pieces), 2):
            piece = self._pieces[place]
            if place + 1 < len(self._pieces):
                other = self._pieces[place + 1]
                piece.add(other.sums, other.frames)
            joined.append(piece)
        self._pieces = joined
        self._each *= 2
