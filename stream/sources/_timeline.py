"""Presentation times as they leave a source: exact, growing, and the same shift for all streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from av.container import InputContainer

# FFmpeg's AVFMT_TS_DISCONT: MPEG-TS, MPEG-PS and the like.
_CLOCK_STARTS_ANYWHERE = 0x0200
# A step back of more than this is a clock that starts over, as in recordings that were joined, and
# not merely a picture out of order.
_BACK = Fraction(1, 2)
# And where another stream has shown that it does: pictures in another order step back by less.
_BACK_TOO = Fraction(1, 5)
# How exactly a clock that was wrong for a while returns to where it would be.
_RETURN = Fraction(1, 2)
# And how soon; what goes on for longer is a recording of its own.
_LAPSE = 30
# A step ahead of more than this, which no other stream has come near, is a clock that was set.
# Where clocks start anywhere that is usual; elsewhere a pause may well last minutes.
_AHEAD_ANYWHERE = Fraction(10)
_AHEAD = Fraction(3600)


def starts_anywhere(container: InputContainer) -> bool:
    """Whether the clocks of an open file's kind start, and start over, anywhere."""
    return bool(container.format.flags & _CLOCK_STARTS_ANYWHERE)


@dataclass(slots=True)
class _Stretch:
    """A part of the file in which the stored clock runs on.

    Attributes:
        shift: seconds to add to stored times.
        furthest: the latest stored time that any stream has reached in it.
        over: whether the clock went back behind it to where it was before.
    """

    shift: Fraction
    furthest: Fraction | None = None
    over: bool = False


@dataclass(slots=True)
class Timeline:
    """Turns stored times into presentation times.

    A clock that starts over or jumps ahead is made continuous: the first stream that shows it goes
    on where it was, and the others are moved by the same amount, so that sound and picture stay
    together.

    Attributes:
        zero: the stored time, in seconds, that becomes 0; the same for all streams.
        beginning: the stored time, in seconds, of a first picture that has none.
        anywhere: whether the container is one whose clock starts, and starts over, anywhere.
        nudged: how many pictures had no usable time and were given one.
        splices: how often the stored clock started over.
        leaps: how often the stored clock jumped ahead.
        lapses: how often it was another one for a while, as where Matroska has lost what some of
            its times are counted from.
    """

    zero: Fraction = Fraction(0)
    beginning: Fraction = Fraction(0)
    anywhere: bool = False
    nudged: int = 0
    splices: int = 0
    leaps: int = 0
    lapses: int = 0
    _stretches: list[_Stretch] = field(default_factory=lambda: [_Stretch(Fraction(0))])
    _last: dict[int, Fraction] = field(default_factory=dict)
    _stretch_of: dict[int, int] = field(default_factory=dict)

    @property
    def broken(self) -> bool:
        """Whether the stored clock did not run through, so that its ends tell no length."""
        return bool(self.splices or self.leaps or self.lapses)

    @property
    def remarks(self) -> list[str]:
        """What had to be done to times so far, a sentence each."""
        found = []
        if self.nudged:
            found.append(
                "1 picture had no usable time of its own and was placed after the one before it"
                if self.nudged == 1
                else f"{self.nudged} pictures had no usable time of their own and were placed "
                "after the one before them"
            )
        for what, count in (
            ("starts over", self.splices),
            ("jumps ahead", self.leaps),
            ("is another one for a while", self.lapses),
        ):
            if count:
                found.append(f"the file's clock {what} in the middle; it was made continuous")
        return found

    def lead(self, at: Fraction) -> None:
        """Has the film begin no later than with its first picture.

        Args:
            at: that picture's stored time in seconds.
        """
        self.zero = min(self.zero, at)

    def picture(
        self, stored: int | None, previous: int | None, duration: int, time_base: Fraction, key: int
    ) -> int:
        """The time of a picture in ticks of `time_base`, always later than the previous one.

        Args:
            stored: the picture's own time in ticks, None where it has none.
            previous: the time given to the picture before it.
            duration: how long a picture lasts as far as known, in ticks, at least 1.
            time_base: seconds per tick.
            key: the stream's index.
        """
        if stored is None:
            if previous is None:
                return round((self.beginning - self.zero) / time_base)
            self.nudged += 1
            return previous + duration
        ticks = self.shifted(stored, duration, time_base, key)
        if previous is not None and ticks <= previous:
            self.nudged += 1
            return previous + 1
        return ticks

    def shifted(
        self, stored: int, duration: int, time_base: Fraction, key: int, *, leads: bool = True
    ) -> int:
        """A stored time in ticks of `time_base` on the output's clock.

        Args:
            stored: in ticks of `time_base`.
            duration: how long it lasts, in ticks.
            time_base: seconds per tick.
            key: the stream's index.
            leads: whether the stream comes all the time, so that a jump in it is one of the clock;
                subtitles come now and then.
        """
        at = stored * time_base
        place = self._place(at, duration * time_base, key, leads)
        stretch = self._stretches[place]
        if stretch.furthest is None or at > stretch.furthest:
            stretch.furthest = at
        self._stretch_of[key], self._last[key] = place, at
        return stored + round((stretch.shift - self.zero) / time_base)

    def _place(self, at: Fraction, duration: Fraction, key: int, leads: bool) -> int:
        """The stretch that a stored time belongs to; begins a new one where the clock was set."""
        last, place = self._last.get(key), self._stretch_of.get(key)
        if last is None or place is None:
            place = max(0, len(self._stretches) - 1)
            furthest = self._stretches[place].furthest
            last = at if furthest is None else furthest
            back = ahead = False
        else:
            latest = place == len(self._stretches) - 1
            back = at < last - (_BACK if latest else _BACK_TOO)
            earlier = self._return(at, last, duration, place)
            if earlier is not None:
                return earlier
            ahead = self._is_ahead(at, place)
        if not back and not ahead:
            return place
        for later in range(place + 1, len(self._stretches)):
            stretch = self._stretches[later]
            if stretch.furthest is None or abs(at - stretch.furthest) >= _AHEAD_ANYWHERE:
                continue
            now = last + self._stretches[place].shift
            if not stretch.over or abs(at + stretch.shift - now) <= 2 * _RETURN:
                return later
        if not leads or (back and at >= last - _BACK):
            return place
        self.splices += back
        self.leaps += not back
        shift = self._stretches[place].shift + last + duration - at
        self._stretches.append(_Stretch(shift))
        return len(self._stretches) - 1

    def _return(self, at: Fraction, last: Fraction, duration: Fraction, place: int) -> int | None:
        """The stretch whose clock goes on as it would have done without those behind it, if any."""
        if not place or at <= last + _BACK:
            return None
        now = last + self._stretches[place].shift + duration
        for earlier in reversed(range(place)):
            before = self._stretches[earlier]
            if abs(at + before.shift - now) > _RETURN:
                continue
            if before.furthest is None or now - before.furthest - before.shift > _LAPSE:
                break
            for stretch in self._stretches[earlier + 1 : place + 1]:
                self.splices -= not stretch.over
                self.lapses += not stretch.over
                stretch.over = True
            return earlier
        return None

    def _is_ahead(self, at: Fraction, place: int) -> bool:
        furthest = self._stretches[place].furthest
        limit = _AHEAD_ANYWHERE if self.anywhere else _AHEAD
        return furthest is not None and at > furthest + limit
