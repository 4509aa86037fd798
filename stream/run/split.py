"""A file for each object, or for each class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stream.compositing.cover import lies_within
from stream.compositing.occasions import Occasions
from stream.compositing.painter import Painter
from stream.compositing.selection import ALL, Selection
from stream.disk.files import shortened
from stream.disk.twins import refuse_twins
from stream.frame import Frame, Item, VideoInfo
from stream.instances import Instances
from stream.pictures.references import Referencer
from stream.run.crop import around, cropped
from stream.run.opening import endings_for, make_painter, open_sink
from stream.run.plan import OutputPlan
from stream.run.times import Times
from stream.sinks.base import Sink
from stream.sinks.images import ENDINGS, EXACT_ENDINGS, MASK_ENDINGS, ImageSink
from stream.wording.words import counted

MOST = 32
"""Videos that are written at a time: an encoder takes some tens of megabytes and a processor's
time also where its object is not there."""
_LEFT = 5.0
"""Seconds without an object from which on its video may be finished for a new one's sake; no
tracker remembers one for so long."""
_NAMED = 8
_NOBODY = np.zeros(0, np.int64)


@dataclass(slots=True)
class _Part:
    """A video under way: who paints and writes it, and when its object was seen."""

    painter: Painter
    sink: Sink
    seen: float


class SplitSink(Sink):
    """Paints and writes each object, or each class, on its own.

    Of a video called out.mp4 they are out.person-3.mp4 by identity, or out.person.mp4. All begin
    with the source's first frame, also where their object comes later, and have a frame for each of
    its frames, so that they line up; sound is in none. At most `MOST` are written at a time: for a
    new object the video of one that left is finished where it left; where all are still there, the
    new one has none. Of pictures there are as many as there are objects: photo.person-1.png of
    photo.png, and 000012.png in a folder of its own for each object of a video.
    """

    paints: ClassVar[bool] = False

    def __init__(self, plan: OutputPlan, kind: type[Sink], info: VideoInfo) -> None:
        """Nothing is opened before an object is there.

        Args:
            plan: where it goes and how; `plan.picture` says what is divided.
            kind: of sink, of each file.
            info: of the frames that will come.

        Raises:
            UsageError: files of two pictures' objects would have one name.
        """
        self._plan = plan
        self._kind = kind
        self._info = replace(info, copied=(), covers=(), chapters=())
        if issubclass(kind, ImageSink):
            # Of each one's objects there are files that are named after it, whatever its ending.
            pictures = info.pictures
            refuse_twins(pictures, lambda at: self._undivided(at, pictures[at]))
        self._sound = bool(info.copied)
        self._pictures = issubclass(kind, ImageSink)
        self._by_class = plan.picture.split == "class"
        self._selection = Selection(plan.picture.select)
        # What is chosen is chosen here, of all that there are.
        self._style = replace(plan.picture, select="all", split="none", crop=False, timing=False)
        self._kept = endings_for(self._style).pictures
        """The endings of pictures that hold what is painted."""
        self._refer = Referencer()
        self._parts: dict[str, _Part] = {}
        self._names: dict[int, str] = {}
        self._written: dict[str, None] = {}
        self._finished: set[str] = set()
        self._without: set[str] = set()
        self._times = Times()
        painter = make_painter(self._style, self._info)
        self._covers = painter.covers
        painter.close()
        self._bare = Occasions()

    @property
    def wants_unsure(self) -> bool:
        """Where objects are covered, so is of each class what is unsure."""
        return self._covers

    def write(self, item: Item) -> None:
        """Paints and writes a frame for each that there is a file of.

        Raises:
            SinkError: a file cannot be written; the message says what was saved.
            UsageError: a file exists already.
        """
        if not isinstance(item, Frame):
            return
        found = item.instances
        if found is None:
            found = Instances.empty((), (item.image.height, item.image.width))
        found = self._selection(found, item.pts_seconds)
        groups = self._groups(found)
        if self._pictures:
            doubts = self._doubts(found, groups, item.pts_seconds)
            for name, places in groups.items():
                alone = replace(found.select(places), unsure=doubts.get(name))
                self._write_picture(name, item, alone)
            return
        for name in groups:
            if name in self._parts:
                self._parts[name].seen = item.pts_seconds
        for name in groups:
            if name not in self._parts and name not in self._finished:
                self._open(name, item)
        for name, one in self._parts.items():
            alone = found.select(groups.get(name, _NOBODY))
            one.sink.write(self._painted(one.painter, item, alone))
        self._times.add(item)

    def _doubts(
        self, found: Instances, groups: Mapping[str, object], now: float
    ) -> dict[str, Instances]:
        """What is unsure that is covered in each file; notes where something of it is in none.

        It has no identity, so that no object's file has it, and was not chosen.
        """
        if not self._covers or found.unsure is None:
            return {}
        doubted = found.unsure
        whose = [_plain(kind) if self._by_class else None for kind in doubted.names]
        chosen = self._plan.picture.select == ALL
        bare = (
            not lies_within(doubted.boxes[place], found.boxes)
            for place, name in enumerate(whose)
            if chosen and name not in groups
        )
        self._bare.add(now, done=any(bare))
        names = np.array(whose, object)
        return {name: doubted.select(names == name) for name in groups if chosen and name in whose}

    def _groups(self, found: Instances) -> dict[str, NDArray[np.int64]]:
        """The places of those that go into each file, by what names it."""
        places: dict[str, list[int]] = {}
        counts: Counter[str] = Counter()
        for place, kind in enumerate(found.names):
            name = plain = _plain(kind)
            if not self._by_class:
                if found.track_ids is None:
                    counts[plain] += 1
                    name = f"{plain}-{counts[plain]}"
                else:
                    # A file keeps its name where the vote on the class changes.
                    identity = int(found.track_ids[place])
                    name = self._names.setdefault(identity, f"{plain}-{identity}")
            places.setdefault(name, []).append(place)
        return {name: np.array(several, np.int64) for name, several in places.items()}

    def _painted(self, painter: Painter, frame: Frame, alone: Instances) -> Frame:
        own = replace(frame, image=self._refer(frame.image), instances=alone, notes=())
        painter.paint(own)
        return own

    def _open(self, name: str, frame: Frame) -> None:
        if len(self._parts) >= MOST and not self._finish_one(frame.pts_seconds):
            self._without.add(name)
            return
        self._without.discard(name)
        target = Path(self._plan.target)
        folder, rest = target.parent, f".{name}{target.suffix}"
        path = target.with_name(shortened(folder, target.stem, rest))
        painter = make_painter(self._style, self._info)
        sink = open_sink(self._kind, str(path), self._info, self._plan.options, painter, threads=1)
        self._parts[name] = _Part(painter, sink, frame.pts_seconds)
        self._written[str(path)] = None
        if len(self._times):
            nobody = Instances.empty((), (frame.image.height, frame.image.width))
            blank = self._painted(painter, frame, nobody)
            for pts, duration, time_base in self._times:
                sink.write(replace(blank, pts=pts, duration=duration, time_base=time_base))

    def _finish_one(self, now: float) -> bool:
        """Finishes the video of the object that left first; returns whether one had left."""
        name = min(self._parts, key=lambda one: self._parts[one].seen)
        if now - self._parts[name].seen < _LEFT:
            return False
        gone = self._parts.pop(name)
        gone.painter.close()
        gone.sink.close()
        self._finished.add(name)
        return True

    def _write_picture(self, name: str, frame: Frame, alone: Instances) -> None:
        if name not in self._parts:
            # Painters may remember; they are kept for those that were there last.
            if len(self._parts) >= MOST:
                gone = self._parts.pop(min(self._parts, key=lambda one: self._parts[one].seen))
                gone.painter.close()
            self._parts[name] = _Part(
                make_painter(self._style, self._info), self, frame.pts_seconds
            )
        one = self._parts[name]
        one.seen = frame.pts_seconds
        own = self._painted(one.painter, frame, alone)
        if self._plan.picture.crop:
            window = around(alone.mirrored() if self._style.mirror else alone, own)
            if window is None:
                return
            own = cropped(own, window)
        source = self._info.pictures[frame.index] if self._info.pictures else None
        path = self._path_of(name, frame.index, source)
        path.parent.mkdir(parents=True, exist_ok=True)
        info = replace(self._info, pictures=() if source is None else (source,), places={})
        with open_sink(self._kind, str(path), info, self._plan.options, one.painter) as sink:
            sink.write(replace(own, index=0))
        self._written[str(path if source is not None else path.parent)] = None

    def _path_of(self, name: str, index: int, source: Path | None) -> Path:
        """Where a picture of an object goes."""
        kept = self._kept
        whole = self._whole(index, source, kept)
        if source is not None:
            ending, own = whole.suffix, self._undivided(index, source)
            # Of a picture that was named its own ending stays, where that holds what is painted.
            held = EXACT_ENDINGS if kept == MASK_ENDINGS else kept
            ending = ending if ending.lower() in held else ".png"
            return own.with_name(shortened(own.parent, own.name, f".{name}{ending}"))
        return whole.parent / name / whole.name

    def _whole(self, index: int, source: Path | None, kept: frozenset[str] = ENDINGS) -> Path:
        """Where a picture would go that is not divided."""
        place = None if source is None else self._info.places.get(source)
        alike = source in self._info.namesakes
        numbers = self._info.numbers
        number = numbers[index] if index < len(numbers) else index
        return ImageSink.path_of(self._plan.target, number, source, kept, place, whole=alike)

    def _undivided(self, index: int, source: Path) -> Path:
        """The same without its ending, which is that of its objects' pictures."""
        return self._whole(index, source, frozenset()).with_suffix("")

    def close(self) -> None:
        """Finishes all files."""
        parts, self._parts = self._parts, {}
        for one in parts.values():
            one.painter.close()
            if one.sink is not self:
                one.sink.close()

    def abort(self) -> None:
        """Lets go of all at once."""
        parts, self._parts = self._parts, {}
        for one in parts.values():
            one.painter.close()
            if one.sink is not self:
                one.sink.abort()

    @property
    def remarks(self) -> list[str]:
        """Which files there are, and what is in none."""
        names = list(self._written)
        if not names:
            return [
                "nothing was found, so there is no file of it",
                *self._doubtful(),
                *self._selection.remarks,
            ]
        what = "pictures" if self._pictures and self._info.pictures else "files"
        what = "folders" if self._pictures and not self._info.pictures else what
        more = "" if len(names) <= _NAMED else f" and {len(names) - _NAMED} more"
        what = what if len(names) > 1 else what.removesuffix("s")
        said = [f"{len(names)} {what}: {', '.join(names[:_NAMED])}{more}"]
        if self._finished:
            ending = counted(
                len(self._finished), "of them ends where its", "of them end where their"
            )
            said.append(f"{ending} object left, as no more than {MOST} are written at a time")
        if self._without:
            objects = counted(len(self._without), "object has", "objects have")
            said.append(
                f"{objects} no file, as {MOST} others were being written; "
                "choose with --select or --classes, or write pictures (out/%06d.png)"
            )
        if self._sound and not self._pictures:
            said.append("the sound is in none of them")
        return [*said, *self._doubtful(), *self._selection.remarks]

    def _doubtful(self) -> list[str]:
        """In which frames something that may be somebody is bare."""
        what = "what the model was not sure of is covered in no file"
        return self._bare.remark(what, self._info.pictures)


def _plain(kind: str) -> str:
    """A class's name as files are called."""
    return re.sub(r"[^\w]+", "-", kind).strip("-") or "object"
