"""Frames get the instances that were recorded of them: painting without inference.

Those of a film are told by their times, photos by their files' names.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stream import tracking
from stream.errors import UsageError
from stream.frame import Frame, VideoInfo
from stream.instances import Instances
from stream.records import open_records
from stream.records.entries import Entry
from stream.records.objects import Objects, classes_in
from stream.run.figures import Counts, Job, Work
from stream.run.recorded_photos import Photos
from stream.run.report import NO_MODEL
from stream.run.schedule import Schedule
from stream.run.unsure import BETWEEN
from stream.settings.likeness import nearest
from stream.settings.options import CutOptions, ModelOptions, TrackingOptions
from stream.timing import timed
from stream.wording.words import called, counted

if TYPE_CHECKING:
    from stream.records.entries import RecordsFile

_SAME = Fraction(1, 1000) + Fraction(1, 1_000_000)
"""Seconds by which the times of a frame and its record may differ: a container's coarsest tick."""

_PART_OF_TICK = Fraction(9, 20)

_AHEAD = 3

_HELD = 1000
"""Entries of later photos that are held, where they are in another order than the photos."""


class Replay(Schedule):
    """Gives each frame what a file of records says of it.

    It stands in for the model too, as far as a run tells of it (`Told`).

    Attributes:
        threshold: objects scored below it are left out; those that were followed with less when
            the records were made with it are not.

    Args:
        path: the records.
        info: of the frames that will come.
        model: which objects are kept, and from which value on a soft mask is the object.
        cut: which part of the footage is taken.

    Raises:
        UsageError: the records cannot be read, or are of another video.
    """

    def __init__(self, path: Path, info: VideoInfo, model: ModelOptions, cut: CutOptions) -> None:
        self._file: RecordsFile = open_records(path)
        self._entries = self._file.entries()
        self._objects = Objects(self._file)
        self._info = info
        self._model = model
        made, asked = self._file.about.threshold, model.threshold
        again = made is not None and asked is not None and asked <= made
        self._least = _followed(self._file.about.tracker) if again else 1.0
        self._cut = cut
        self.threshold = 0.0 if model.threshold is None else model.threshold
        # Where a part is taken, its beginning is time 0, here and in the records.
        self._moved = Fraction(cut.start or 0) - Fraction(self._file.about.start)
        # The very list changes where a photo turns out unreadable.
        self._photos = Photos(tuple(info.pictures)) if info.pictures else None
        self._next: Entry | None = None
        self._last: Entry | None = None
        self._begun = self._by_name = self._covers = self._certain = False
        self._frames = self._bare = self._unread = 0
        self._stopped: Callable[[], bool] = lambda: False
        try:
            self._check()
            self._kept = self._classes(model.classes)
        except UsageError:
            self.close()
            raise

    # What a run tells of it.

    @property
    def name(self) -> str:
        """The model that the records were made with; the file's name where it does not say."""
        return self._file.about.model or self._file.path.name

    @property
    def names(self) -> tuple[str, ...]:
        """The classes that the records name."""
        return self._file.about.classes

    @property
    def precision(self) -> str:
        """Nothing is computed."""
        return ""

    @property
    def views(self) -> int:
        """Nothing is looked at."""
        return 0

    @property
    def provider(self) -> str:
        """Where objects come from, in words."""
        return f"{NO_MODEL}, read from {self._file.path.name}"

    # What a schedule is.

    def cover(self, *, wanted: bool, hides: bool = False) -> None:
        """Says whether anybody wants what is unsure too."""
        self._covers = wanted

    def watch(
        self,
        counts: Callable[[], Counts],
        wanted: Callable[[], bool] = lambda: True,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Where a run is stopped, lines are left that nobody misses."""
        self._stopped = stopped

    @property
    def ahead(self) -> int:
        """Reading is quick."""
        return _AHEAD

    def settle(self, items: Iterable[Work]) -> Iterator[Work]:
        """Gives each frame what was recorded of it."""
        for item in items:
            if isinstance(item, Job):
                with timed(item.frame.stages, "read"):
                    item.frame.instances = self._find(item.frame)
            yield item
        whole = self._cut.end is None and self._cut.limit is None
        if (whole or self._bare) and not self._stopped():
            rest = self._rest()
            self._unread += rest if whole else 0

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    @property
    def remarks(self) -> tuple[str, ...]:
        """How far the records fitted the frames."""
        name, about, found = self._file.path.name, self._file.about, []
        if about.source and about.source != self._info.name:
            found.append(f"{name} was made of {about.source}, not of {self._info.name}")
        if self._bare:
            have, them = ("has", "it") if self._bare == 1 else ("have", "them")
            found.append(
                f"{self._bare} of {counted(self._frames, 'frame')} {have} no line in {name}: "
                f"nothing is painted on {them}"
            )
        if self._unread:
            lines = counted(self._unread, "line")
            fit = "fits" if self._unread == 1 else "fit"
            found.append(f"{lines} of {name} {fit} no frame of {self._info.name}")
        if count := self._file.contradictory:
            lines = counted(count, "line")
            have = "has a time that is" if count == 1 else "have times that are"
            found.append(
                f"{lines} of {name} {have} not what {'its' if count == 1 else 'their'} pts say, "
                "which count; where times were changed, take pts out"
            )
        if "pixels" in self._objects.kinds:
            found.append(
                f"{name} holds masks as pixels, so their edges are hard; records written with "
                "--records-masks soft give the very same picture again"
            )
        if "boxes" in self._objects.kinds:
            found.append(f"objects of {name} without a mask are painted as their whole boxes")
        if self._covers and self._certain:
            found.append(
                f"{name} does not hold what the model doubted, so that only what is recorded is "
                "covered; records written with --records-masks soft hold it"
            )
        return tuple(found)

    def _check(self) -> None:
        info, about = self._info, self._file.about
        size = (info.height, info.width)
        if about.size is not None and about.size != size and not info.pictures:
            raise UsageError(
                f"{self._file.path} was made of pictures of {about.size[1]}x{about.size[0]}, but "
                f"{info.name} has {info.width}x{info.height}; they must be of the same video"
            )

    def _classes(self, wanted: Sequence[str] | None) -> frozenset[str] | None:
        """The names of the classes that are kept; None for all.

        Raises:
            UsageError: the records name no such class.
        """
        if wanted is None:
            return None
        known = {name.casefold(): name for name in self._file.about.classes}
        if any(name.casefold() not in known for name in wanted):
            # A hand may have given objects a class that the head does not know.
            known |= {name.casefold(): name for name in classes_in(self._file)}
        for name in wanted:
            if name.casefold() not in known:
                near = nearest(name.casefold(), known)
                meant = f" (did you mean {called(known[near])}?)" if near else ""
                there = ", ".join(map(called, known.values())) or "none"
                raise UsageError(f"{self._file.path} has no class {name!r}{meant}; it has {there}")
        return frozenset(known[name.casefold()] for name in wanted)

    def _find(self, frame: Frame) -> Instances | None:
        self._frames += 1
        entry = self._entry(frame)
        if entry is None:
            self._bare += self._file.tells_empty
            return None
        found = self._objects.instances(entry, (frame.image.height, frame.image.width))
        self._certain |= found.unsure is None
        if self._kept is not None:
            found = _of_classes(found, self._kept)
        if self._model.threshold is not None:
            found = _surer_than(found, self.threshold, self._least)
        if self._model.mask_threshold is not None:
            found = replace(found, mask_threshold=self._model.mask_threshold)
            if found.unsure is not None:
                again = replace(found.unsure, mask_threshold=found.mask_threshold)
                found = replace(found, unsure=again)
        return found

    def _entry(self, frame: Frame) -> Entry | None:
        """The entry of a frame; those before it are left behind."""
        if self._photos is not None and self._names_photos():
            most = None if self._file.held else _HELD
            return self._photos.entry(self._info.pictures[frame.index], self._entries, most)
        while True:
            if not self._begun or self._next is None:
                self._next = next(self._entries, None)
                if self._next is None:
                    return None
                self._check_order(self._last, self._next)
                self._last = self._next
                if not self._begun:
                    self._begun = True
                    self._check_times(self._next)
            later = self._compare(self._next, frame)
            if later > 0:
                return None
            entry, self._next = self._next, None
            if later == 0:
                return entry
            # What lies before the part that is taken was to be expected.
            self._unread += self._frames > 1 or not self._cut.start

    def _names_photos(self) -> bool:
        """Whether the records say of which files they are, as their first entry does or not."""
        if not self._begun:
            self._begun = True
            self._next = next(self._entries, None)
            if self._next is not None and self._next.file:
                self._entries = itertools.chain([self._next], self._entries)
                self._next, self._by_name = None, True
            elif self._next is not None:
                self._last = self._next
                self._check_times(self._next)
        return self._by_name

    def _rest(self) -> int:
        """How many entries lie behind the last frame.

        Raises:
            UsageError: they are of earlier frames, which were passed over without them.
        """
        count = 0 if self._next is None else 1
        self._next = None
        by_name = self._photos is not None and self._by_name
        count += self._photos.unread if self._photos is not None else 0
        while True:
            try:
                entry = next(self._entries, None)
            except UsageError:  # What is not understood is of no frame either.
                return count + 1
            if entry is None:
                return count
            if not by_name:
                self._check_order(self._last, entry)
            self._last = entry
            count += 1

    def _compare(self, entry: Entry, frame: Frame) -> int:
        """Whether an entry is of a time before the frame's (-1), of the frame (0) or later (1)."""
        if entry.seconds is not None:
            tick = frame.time_base
            same, apart = _SAME, entry.seconds - frame.pts * tick
            if self._moved:
                # Sources begin a part at a whole tick.
                same = max(same, tick * _PART_OF_TICK)
                apart -= round(self._moved / tick) * tick
            return 0 if abs(apart) <= same else (1 if apart > 0 else -1)
        index = frame.index if entry.index is None else entry.index
        return (index > frame.index) - (index < frame.index)

    def _check_order(self, before: Entry | None, entry: Entry) -> None:
        """Frames are taken from first to last, so that a line in a wrong place would be missed.

        Raises:
            UsageError: an entry is of an earlier frame than the one before it.
        """
        if before is None:
            return
        if entry.seconds is not None and before.seconds is not None:
            wrong, key = entry.seconds < before.seconds, ".time"
        else:
            wrong, key = (entry.index or 0) < (before.index or 0), ".frame"
        if wrong:
            self._file.refuse(
                entry.place,
                "it is of an earlier frame than the line before; put the lines into the order of "
                f"their frames: jq -sc 'sort_by({key})[]' {self._file.path.name}",
            )

    def _check_times(self, entry: Entry) -> None:
        if entry.seconds is None and self._cut.start:
            raise UsageError(
                f"{self._file.path} has no times, so that --start cannot be used with it"
            )


def _followed(tracker: str) -> float:
    """Which share of the threshold whom a tracker shows has at least.

    Args:
        tracker: the name of the one that made the records; where they do not say it, or it is not
            installed here, the usual one stands for it.
    """
    if tracker == tracking.NONE:
        return 1.0
    name = tracker if tracker in tracking.KIND else TrackingOptions().tracker
    return tracking.KIND.get(name).floor


def _of_classes(found: Instances, kept: frozenset[str]) -> Instances:
    """The objects of some classes, of what is unsure too."""
    keep = np.array([name in kept for name in found.names], np.bool_)
    unsure = None if found.unsure is None else _of_classes(found.unsure, kept)
    return replace(found if keep.all() else found.select(keep), unsure=unsure)


def _surer_than(found: Instances, threshold: float, least: float) -> Instances:
    """What reaches so much of a threshold; the rest is unsure, as it is where the model looks."""
    sure = found.scores >= least * threshold
    unsure = found.unsure
    if not sure.all():
        below = found.select(~sure)
        unsure = below.joined([] if unsure is None else [unsure])
    if unsure is not None:
        enough = unsure.scores >= BETWEEN * threshold
        unsure = unsure if enough.all() else unsure.select(enough)
    return replace(found.select(sure), unsure=unsure)
