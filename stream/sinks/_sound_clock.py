"""Where each piece of sound that is encoded anew goes: without gaps or overlaps."""

from __future__ import annotations

# Seconds by which sound may lie off its time without anything being done: less than anyone hears
# against the picture, more than the clocks of files and cameras tremble.
UNHEARD = 0.04
# A gap up to this many seconds is filled with silence; a longer one is left in the times.
FILLED = 60
# An overlap up to this many seconds is closed; a step back further than that is a clock that
# started over, and the sound goes on where it was.
_CLOSED = 1


class SoundClock:
    """Where each piece of sound goes, so that it is continuous.

    Attributes:
        filled: samples of silence put into gaps.
        closed: samples left out of overlaps.
        paused: gaps that were left as they are.
        restarts: how often the clock started over.
        early: samples left out of before the beginning of a track that has no times.
    """

    def __init__(self, rate: int, *, from_zero: bool) -> None:
        """Begins a track.

        Args:
            rate: samples per second.
            from_zero: whether the track has no times, so that it has to begin at 0 and may not
                pause.
        """
        self.filled = self.closed = self.paused = self.restarts = self.early = 0
        self._rate = rate
        self._steady = self._waiting = from_zero
        self._at: int | None = 0 if from_zero else None
        self._moved = 0

    def place(self, stored: int | None, length: int) -> tuple[int, int, int]:
        """Says where a piece goes.

        Args:
            stored: its own time in samples, None where it has none.
            length: its samples.

        Returns:
            Where it begins with the silence before it, how much silence that is, and how many of
            its first samples are left out.
        """
        if self._at is None:
            self._at = stored or 0
        if self._waiting and stored is not None and stored < 0:
            # The whole of it, as nothing later is moved by that.
            skipped = min(length, -stored)
            self.early += skipped
            self._at += length - skipped
            self._waiting = skipped == length
            return 0, 0, skipped
        self._waiting = False
        ahead = 0 if stored is None else stored + self._moved - self._at
        begin, silence, skipped = self._at, 0, 0
        if ahead > UNHEARD * self._rate:
            if ahead <= FILLED * self._rate or self._steady:
                silence = ahead
                self.filled += ahead
            else:
                begin += ahead
                self.paused += 1
        elif ahead < -_CLOSED * self._rate:
            self._moved -= ahead
            self.restarts += 1
        elif ahead < -UNHEARD * self._rate:
            skipped = min(length, -ahead)
            self.closed += skipped
        self._at = begin + silence + length - skipped
        return begin, silence, skipped
