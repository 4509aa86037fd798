"""Counts over a run: who was there and for how long, who crossed a line, who was in a zone."""

from __future__ import annotations

import math
import threading
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from stream.frame import Frame, VideoInfo
from stream.instances import Instances
from stream.run.known import Gate, Seen
from stream.run.run import OnFrame
from stream.run.series import ACROSS, IN, OUT, Series
from stream.settings.options import CountOptions
from stream.sinks.base import Summary
from stream.tally import (
    LineTally,
    Point,
    Tally,
    ZoneTally,
    area,
    crosses,
    depth,
    parse_regions,
    side,
)
from stream.types import JSON

_LISTED = 1000
"""Identities that are listed one by one; of more, those that are gone are only added up."""

_FORGET = 10.0
"""Seconds after which what is gone is not waited for: no tracker remembers longer."""

_LONGEST = 1.0
"""Seconds that a frame of a live source lasts at most: more is a gap in what came."""

_LEAST, _OF_PICTURE, _OF_OBJECT, _OF_ZONE = 2.0, 0.004, 0.04, 0.1
"""How far beyond a line an object must be to have crossed it, so that jitter is no crossing: in
pixels, of the picture's and the object's diagonals, and of a zone's width at most."""


@dataclass(slots=True)
class _Place:
    """Where an identity was, as far as it is sure: for each line its side, for each zone if in."""

    seen: float
    sides: dict[int, tuple[bool, Point]] = field(default_factory=dict)
    inside: dict[int, bool] = field(default_factory=dict)
    been: set[int] = field(default_factory=set)


class Counting:
    """Counts the objects of a run's frames, which it sees in order, in one thread.

    `summary` and `remarks` may be asked for from any thread. Memory does not grow with the run.

    Args:
        options: lines, zones, and where an object counts as being.
        info: of the frames.
        keep_series: whether counts over time are kept, for a plot.

    Raises:
        UsageError: a line or a zone is none.
    """

    def __init__(
        self, options: CountOptions, info: VideoInfo, *, keep_series: bool = False
    ) -> None:
        self._bottom = options.count_at == "bottom"
        self._lines, self._zones = parse_regions(options.line or (), options.zone or ())
        self._live = info.live
        self._lock = threading.Lock()
        self._tracks: dict[int, Seen] = {}
        self._line_gates = [Gate(self._tracks) for _ in self._lines]
        self._zone_gates = [Gate(self._tracks) for _ in self._zones]
        self._places: dict[int, _Place] = {}
        self._added: Counter[str] = Counter()
        self._frames_of: Counter[str] = Counter()
        self._seconds_of: Counter[str] = Counter()
        self._most_of: Counter[str] = Counter()
        self._frames = 0
        self._time: float | None = None
        self._begun = 0.0
        self._lasted = 0.0
        self._tracked: set[str] = set()
        self._objects = 0
        self._size: tuple[int, int] = (0, 0)
        self._resized = False
        self._points: list[tuple[Point, ...]] = []
        self._beyond: list[str] | None = None
        self._present: list[tuple[str, int | None]] = []
        self._in_zones: list[Counter[str]] = [Counter() for _ in self._zones]
        self.series = Series() if keep_series else None

    def after(self, on_frame: OnFrame | None) -> OnFrame:
        """What is called for each frame: somebody's function first, which may change it."""
        if on_frame is None:
            return self.see

        def both(frame: Frame) -> None:
            on_frame(frame)
            self.see(frame)

        return both

    def see(self, frame: Frame) -> None:
        """Counts a frame, and puts the tally so far into it."""
        with self._lock:
            now = frame.pts_seconds
            if self._time is not None and now > self._time:
                self._pass(now - self._time)
            if self._time is None or now < self._time:
                self._begun = now if self._time is None else self._begun
            self._time = now
            lasts = frame.duration
            if lasts:
                self._lasted = float(lasts * frame.time_base)
            self._frames += 1
            found = frame.instances
            self._look(found, now)
            if self._lines or self._zones:
                self._measure(found, (frame.image.height, frame.image.width), now)
                frame.tally = self._tally()
            if self.series is not None:
                self.series.add(now, self._now())

    def summary(self) -> Summary:
        """What was counted so far, ready for JSON; see docs/records.md."""
        with self._lock:
            # The frame that was seen last lasts too.
            self._pass(self._lasted)
            try:
                return self._summary()
            finally:
                self._pass(-self._lasted)

    @property
    def remarks(self) -> list[str]:
        """What could not be counted, a sentence each."""
        said = []
        if self._lines and self._objects and not self._tracked:
            said.append("lines count objects that are followed, and nothing is followed here")
        if self._beyond:
            height, width = self._size
            lies = "lies" if len(self._beyond) == 1 else "lie"
            said.append(
                f"{', '.join(self._beyond)} {lies} outside of the picture ({width}x{height} "
                "pixels) or on its edge, where nothing can be counted"
            )
        if self._resized and any(one.in_pixels for one in (*self._lines, *self._zones)):
            said.append(
                "pictures changed their size on the way, and lines and zones in pixels are not "
                "where they were in what they show; those in percent are"
            )
        return said

    def _pass(self, seconds: float) -> None:
        """So much time goes by with what was seen last."""
        if self._live:
            seconds = math.copysign(min(abs(seconds), _LONGEST), seconds)
        for name in {name for name, _ in self._present}:
            self._seconds_of[name] += seconds  # type: ignore[assignment]  # seconds are no counts
        for _, track in self._present:
            if track is not None and track in self._tracks:
                self._tracks[track].seconds += seconds
        for gate, present in zip(self._zone_gates, self._in_zones, strict=True):
            for name, number in present.items():
                gate.seconds[name] += number * seconds  # type: ignore[assignment]

    def _look(self, found: Instances | None, now: float) -> None:
        names = [] if found is None else found.names
        here = Counter(names)
        self._objects += len(names)
        self._frames_of.update(here.keys())
        for name, number in here.items():
            self._most_of[name] = max(self._most_of[name], number)
        tracks: list[int | None] = [None] * len(names)
        if names and found is not None and found.track_ids is not None:
            self._tracked.update(names)
            tracks = list(found.track_ids.tolist())
            for name, track in zip(names, tracks, strict=True):
                seen = self._tracks.setdefault(track or 0, Seen(now))
                seen.take_for(name)
                seen.last = now
        self._present = list(zip(names, tracks, strict=True))
        if len(self._tracks) > _LISTED:
            gone = [one for one, seen in self._tracks.items() if now - seen.last > _FORGET]
            for one in gone[: len(self._tracks) - _LISTED]:
                for gate in (*self._line_gates, *self._zone_gates):
                    for went in (gate.into, gate.out, gate.objects):
                        went.let_go(one)
                self._added[self._tracks.pop(one).name] += 1

    def _measure(self, found: Instances | None, size: tuple[int, int], now: float) -> None:
        if size != self._size:
            self._resized = self._resized or self._size != (0, 0)
            self._size = size
            regions = (*self._lines, *self._zones)
            self._points = [one.points(size) for one in regions]
            beyond = [
                one.name
                for one, points in zip(regions, self._points, strict=True)
                if _is_beyond(points, size) and (self._beyond is None or one.name in self._beyond)
            ]
            self._beyond = beyond
            self._places.clear()
        self._in_zones = [Counter() for _ in self._zones]
        for index in range(0 if found is None else len(found)):
            assert found is not None
            point = anchor(found, index, bottom=self._bottom)
            if point is None:
                continue
            name, track = self._present[index]
            x1, y1, x2, y2 = found.boxes[index].tolist()
            reach = math.hypot(x2 - x1, y2 - y1)
            margin = max(_LEAST, _OF_PICTURE * math.hypot(*size), _OF_OBJECT * reach)
            place = None
            if track is not None:
                place = self._places.setdefault(track, _Place(now))
                place.seen = now
                self._at_lines(place, track, point, margin)
            self._at_zones(place, name, track, point, margin)
        for gate, present in zip(self._zone_gates, self._in_zones, strict=True):
            gate.most = max(gate.most, sum(present.values()))
        if len(self._places) > _LISTED or self._frames % 256 == 0:
            for track in [one for one, at in self._places.items() if now - at.seen > _FORGET]:
                del self._places[track]

    def _at_lines(self, place: _Place, track: int, point: Point, margin: float) -> None:
        for number, gate in enumerate(self._line_gates):
            ends = self._points[number]
            where = side(point, ends)
            if abs(where) <= margin:
                continue
            right = where > 0
            before = place.sides.get(number)
            place.sides[number] = right, point
            if before is not None and before[0] != right and crosses(before[1], point, ends):
                (gate.into if right else gate.out).add(track)

    def _at_zones(
        self, place: _Place | None, name: str, track: int | None, point: Point, margin: float
    ) -> None:
        for number, gate in enumerate(self._zone_gates):
            corners = self._points[len(self._lines) + number]
            deep = depth(point, corners)
            inside = deep >= 0
            if place is not None and track is not None:
                least = min(margin, _OF_ZONE * math.sqrt(area(corners)))
                before = place.inside.get(number)
                if before is not None and abs(deep) <= least:
                    inside = before
                if before is not None and before != inside:
                    (gate.into if inside else gate.out).add(track)
                place.inside[number] = inside
                if inside and number not in place.been:
                    place.been.add(number)
                    gate.objects.add(track)
            if inside:
                self._in_zones[number][name] += 1

    def _tally(self) -> Tally:
        count = len(self._lines)
        return Tally(
            tuple(
                LineTally(region.name, points, gate.into.by_class(), gate.out.by_class())
                for region, points, gate in zip(
                    self._lines, self._points[:count], self._line_gates, strict=True
                )
            ),
            tuple(
                ZoneTally(region.name, points, dict(now), gate.into.by_class(), gate.out.by_class())
                for region, points, gate, now in zip(
                    self._zones, self._points[count:], self._zone_gates, self._in_zones, strict=True
                )
            ),
        )

    def _now(self) -> dict[str, dict[str, float]]:
        """What a plot shows: by its part, what there is of each name."""
        parts: dict[str, dict[str, float]] = {
            "in view": dict(Counter(name for name, _ in self._present))
        }
        for region, gate in zip(self._lines, self._line_gates, strict=True):
            parts[f"{ACROSS} {region.name}"] = {
                f"{name} {way}": float(number)
                for way, went in ((IN, gate.into), (OUT, gate.out))
                for name, number in went.by_class().items()
            }
        for region, present in zip(self._zones, self._in_zones, strict=True):
            parts[f"in {region.name}"] = dict(present)
        return parts

    def _summary(self) -> Summary:
        identities = Counter(one.name for one in self._tracks.values()) + self._added
        classes: dict[str, JSON] = {
            name: {
                "objects": identities[name] if name in self._tracked else self._most_of[name],
                "most": self._most_of[name],
                "frames": frames,
                "seconds": _rounded(self._seconds_of[name]),
            }
            for name, frames in self._frames_of.most_common()
        }
        tracks: list[JSON] = [
            {
                "track": track,
                "class": one.name,
                "first": _rounded(one.first),
                "last": _rounded(one.last),
                "seconds": _rounded(one.seconds),
            }
            for track, one in sorted(self._tracks.items())
        ]
        length = 0.0 if self._time is None else self._time - self._begun + self._lasted
        found: Summary = {
            "frames": self._frames,
            "seconds": _rounded(length),
            "classes": classes,
            "tracks": tracks,
        }
        if self._added:
            found["tracks_left_out"] = self._added.total()
        if self._lines:
            found["lines"] = [
                {
                    "name": region.name,
                    "in": {**gate.into.by_class()},
                    "out": {**gate.out.by_class()},
                }
                for region, gate in zip(self._lines, self._line_gates, strict=True)
            ]
        if self._zones:
            found["zones"] = [
                {
                    "name": region.name,
                    "objects": {**gate.objects.by_class()},
                    "most": gate.most,
                    "seconds": {name: _rounded(one) for name, one in gate.seconds.items()},
                    "in": {**gate.into.by_class()},
                    "out": {**gate.out.by_class()},
                }
                for region, gate in zip(self._zones, self._zone_gates, strict=True)
            ]
        return found


def _is_beyond(points: tuple[Point, ...], size: tuple[int, int]) -> bool:
    """Whether a line or zone leaves all of a picture (height, width) on one side."""
    return any(
        max(values) <= 0 or min(values) >= most
        for values, most in zip(zip(*points, strict=True), size[::-1], strict=True)
    )


def anchor(found: Instances, index: int, *, bottom: bool) -> Point | None:
    """Where an object counts as being: the middle of its mask, or of its box's lower edge.

    The mask's middle is that of its cells, which is steadier than the box's, and needs no pixels.
    """
    x1, y1, x2, y2 = found.boxes[index].tolist()
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        return None
    if bottom:
        return (x1 + x2) / 2, y2
    inside = found.masks[index] > found.mask_threshold
    total = int(np.count_nonzero(inside))
    if not total:
        return (x1 + x2) / 2, (y1 + y2) / 2
    rows, columns = inside.shape
    left, top, right, low = found.paste_boxes[index].tolist()
    across = float(inside.sum(axis=0) @ (np.arange(columns) + 0.5)) / total / columns
    down = float(inside.sum(axis=1) @ (np.arange(rows) + 0.5)) / total / rows
    return left + across * (right - left), top + down * (low - top)


def _rounded(seconds: float) -> float:
    return round(seconds, 3)
