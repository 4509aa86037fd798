"""A live recording: in one file or in several, and on in another one where a file cannot go on."""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from stream.errors import SinkError, StreamError
from stream.frame import Item, Passthrough, VideoInfo
from stream.run.cuts import Cuts
from stream.run.late_sound import Ending, Heard
from stream.run.time_line import TimeLine
from stream.sinks._again import Again, has_room
from stream.sinks.base import About, NotNow, Sink, Summary
from stream.types import AnyPacket
from stream.wording.words import counted

if TYPE_CHECKING:
    from av.stream import Stream

logger = logging.getLogger(__name__)

_NUMBERS = re.compile(r"\d+")

_HELD = 500
"""Packets of sound that wait until the picture of their time is there: some ten seconds."""

_LATER = 1
"""Seconds from when there is room until another file begins, so that outputs that are a little
ahead begin theirs with the same picture."""

_NAMED = 8
_MOST_SAID = 20
"""Sentences that are kept of what files could not keep."""


class Recording(Sink):
    """Writes what is live into files, each of which begins at time 0 and is whole by itself.

    A new one begins where the cuts say so; the one before is finished once it has its sound, which
    may come later than its pictures. Where one cannot be written any further because of
    where it lies (the disk is full, the file was removed, or is as large as may be there), what is
    in it stays, and another begins as soon as that is possible; frames until then are lost.

    Args:
        target: the file as it was asked for.
        make: opens a file of that name, with copies of these streams.
        cuts: where files begin, and what they are called.
        info: what files are told of their frames; None where these may be of any size.
        copied: the streams of which files take the packets; None where they take none.
        patient: whether it waits where the first file cannot be begun because of where it lies.
        room: whether there is room for another file in a folder.
        now: seconds that only go forward.

    Raises:
        StreamError: the first file cannot be opened, and it is of no use or not asked for to wait.
    """

    takes_packets: ClassVar[bool] = True

    def __init__(
        self,
        target: str,
        make: Callable[[str, Sequence[Stream]], Sink],
        cuts: Cuts,
        *,
        info: VideoInfo | None,
        copied: Sequence[Stream] | None,
        patient: bool = False,
        room: Callable[[Path], bool] = has_room,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target, self._make, self._cuts = target, make, cuts
        self._sound, self._copied = copied is not None, tuple(copied or ())
        self._takes, self._silent = self._copied, False
        self._again = Again(Path(target).absolute().parent, room, now)
        self._line, self._info = TimeLine(info), info
        self._held: deque[AnyPacket] = deque()
        self._heard = Heard()
        self._endings: list[Ending] = []
        self._number = self._first_index = 0
        self._about: About | None = None
        self._summary: Callable[[], Summary] | None = None
        self._said: dict[str, tuple[str, int]] = {}
        self._names: list[str] = []
        self._files = self._missed = 0
        self._problem: SinkError | None = None
        self._last_problem = ""
        self._sink: Sink | None = None
        try:
            self._sink = self._open()
        except SinkError as error:
            if not patient:
                raise
            self._lose(error)
        # Of what is not there yet: only records may, which have no size.
        self._unsure = info is None if self._sink is None else self._sink.wants_unsure

    @property
    def wants_unsure(self) -> bool:
        """Whether its files hold what is unsure too."""
        return self._unsure

    def describe(self, about: About) -> None:
        """Every file is told with what the run works."""
        self._about = about
        if self._sink is not None:
            self._sink.describe(about)

    def conclude_with(self, summary: Callable[[], Summary]) -> None:
        """Every file's end says what the run has counted up to there."""
        self._summary = summary
        if self._sink is not None:
            self._sink.conclude_with(summary)

    def write(self, item: Item) -> None:
        """Writes a frame, after the sound up to it, into the file that it belongs to.

        Raises:
            NotNow: there is no file at present.
            SinkError: it cannot be written, which is not because of where the file lies.
        """
        if isinstance(item, Passthrough):
            self._hold(item)
            return
        at = item.pts * item.time_base
        if self._silent:
            self._cuts.cut(at + _LATER)  # it has begun too lately to end with the sound's beginning
        self._settle(at)
        number = self._cuts.number(at)
        if number > self._number:
            self._turn(number, at)
        if self._sink is None:
            if self._again.due():
                self._cuts.cut(at + _LATER)
            self._miss()
        if self._line.origin is None:
            self._first_index = item.index
        frame = self._line.frame(item)
        frame.index -= self._first_index
        try:
            self._sound_until(at)
            self._put(frame)
        except SinkError as error:
            self._lose(error)
            self._miss()

    def _miss(self) -> None:
        self._missed += 1
        raise NotNow

    def _put(self, item: Item) -> None:
        if self._sink is not None:
            self._sink.write(item)

    def _hold(self, item: Passthrough) -> None:
        """Keeps sound until its picture is there, which is looked at first."""
        if not self._sound:
            return
        packets = [packet for packet in item.packets if packet.pts is not None]
        if item.begun:
            self._copied, self._silent = item.begun, self._sink is not None
            self._cuts.cut(min((one.pts or 0) * one.time_base for one in packets))
        self._heard.add(packets)
        self._held.extend(self._late(packets))
        self._settle()
        while len(self._held) > _HELD:
            oldest = self._line.sound([self._held.popleft()])
            if oldest is None or self._takes != self._copied:
                continue
            try:
                self._put(oldest)
            except SinkError as error:
                self._lose(error)

    def _late(self, packets: list[AnyPacket]) -> list[AnyPacket]:
        """Writes sound of files before, where they wait for it; returns what is not."""
        for ending in list(self._endings):
            if ending.copied != self._copied:
                continue  # what there is since would be taken for its own
            try:
                packets = ending.take(packets)
            except SinkError as error:
                self._lose_one(ending, error)
        return packets

    def _settle(self, at: Fraction | None = None) -> None:
        """Finishes files before that have all their sound, or for which no more is waited."""
        for ending in [one for one in self._endings if one.is_over(self._heard, at)]:
            self._end(ending)

    def _end(self, ending: Ending) -> None:
        try:
            ending.sink.close()
        except SinkError as error:
            self._lose_one(ending, error)
            return
        self._endings.remove(ending)
        self._note(ending.sink.remarks)

    def _lose_one(self, ending: Ending, error: SinkError) -> None:
        """Lets go of a file before, which has no end; the one under way tells its own errors.

        Raises:
            SinkError: another file is no better.
        """
        if not error.by_place:
            raise error
        self._endings.remove(ending)
        logger.warning("%s", error)
        self._note([*ending.sink.remarks, str(error)])
        _let_go(ending.sink)

    def _sound_until(self, at: Fraction | None) -> None:
        """Writes the sound that waits, of times before `at`; all where that is None."""
        held, self._held = self._held, deque()
        ready: list[AnyPacket] = []
        for packet in held:
            soon = at is None or packet.pts is None or packet.pts * packet.time_base < at
            (ready if soon else self._held).append(packet)
        sound = self._line.sound(ready)
        if sound is not None and self._takes == self._copied:
            self._put(sound)

    def _turn(self, number: int, at: Fraction) -> None:
        """Ends the file, and begins the one that the picture of this time belongs to."""
        try:
            self._sound_until(at)
            if self._line.origin is None:
                self._finish()  # others were ahead, so that it has no picture
        except SinkError as error:
            self._lose(error)
        sink, self._sink = self._sink, None
        if sink is not None and self._line.origin is not None:
            self._endings.append(Ending(sink, self._line.origin, at, self._takes))
            self._settle()
        self._number = number
        self._line.origin = None
        problem = self._problem
        if problem is not None and not self._again.possible:
            return
        try:
            self._sink = self._open()
        except StreamError as error:
            self._lose(SinkError(str(error), by_place=True))
            return
        if problem is not None:
            logger.warning("%s goes on in %s", self._target, self._names[-1])

    def _open(self) -> Sink:
        path = str(self._cuts.path(self._target, self._number))
        sink = self._make(path, self._copied)
        self._takes, self._silent = self._copied, False
        if self._about is not None:
            sink.describe(self._about)
        if self._summary is not None:
            sink.conclude_with(self._summary)
        self._problem = None
        self._again.begun()
        self._files += 1
        self._names = [*self._names, path][-_NAMED:]
        return sink

    def _finish(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            try:
                sink.close()
            finally:
                self._note(sink.remarks)

    def _note(self, remarks: list[str]) -> None:
        """Keeps what a file says; what several say with other numbers once, as the last one did."""
        for one in remarks:
            what = _NUMBERS.sub("#", one)
            _, often = self._said.get(what, ("", 0))
            if often or len(self._said) < _MOST_SAID:
                self._said[what] = one, often + 1

    def _lose(self, error: SinkError) -> None:
        """Lets go of a file that cannot be written any further; another is tried later.

        Raises:
            SinkError: another would be no better.
        """
        if not error.by_place:
            raise error
        sink, self._sink = self._sink, None
        if sink is not None:
            self._note(sink.remarks)
            _let_go(sink)
            if not Path(self._names[-1]).exists():  # nothing was saved: it is none of those there
                self._files -= 1
                self._names.pop()
        self._again.failed()
        if self._problem is None:
            logger.warning("%s; it goes on in another file once that is possible", error)
        self._problem, self._last_problem = error, str(error)

    def close(self) -> None:
        """Finishes the file.

        Raises:
            SinkError: its end cannot be written, or there was no place for it any more.
        """
        for ending in list(self._endings):
            self._end(ending)
        if self._sink is None:
            problem, self._problem = self._problem, None
            if problem is not None:
                raise problem
            return
        self._sound_until(None)
        self._finish()

    def abort(self) -> None:
        """Lets go of the file at once."""
        while self._endings:
            _let_go(self._endings.pop().sink)
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.abort()

    @property
    def problem(self) -> str | None:
        """Why nothing is written at present."""
        return None if self._problem is None else str(self._problem)

    @property
    def remarks(self) -> list[str]:
        """Which files there are, and what is in none of them."""
        said = [] if self._sink is None else list(self._sink.remarks)
        said += [
            one if often == 1 or self._files == 1 else f"{one} (so or alike in {often} files)"
            for one, often in self._said.values()
        ]
        found = [*dict.fromkeys(said), *self._line.remarks(self._target)]
        if self._files > 1:
            more = self._files - len(self._names)
            before = f"{more} more and " if more else ""
            found.append(f"{self._files} files: {before}{', '.join(self._names)}")
        failures = self._again.failures
        if failures:
            often = "" if failures == 1 else f" (the last of {failures} such failures)"
            lost = counted(self._missed, "frame is", "frames are")
            found.append(f"{self._last_problem}{often}; {lost} missing in {self._target}")
        return found


def _let_go(sink: Sink) -> None:
    """Ends a file that an error has ended already."""
    try:
        sink.abort()
    except SinkError as further:
        logger.debug("a further error after the first", exc_info=further)
