"""Pauses between two pictures that a container cannot hold."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from stream.sinks._containers import ContainerKind
from stream.wording.words import counted

# Pictures that are shown before one is that was decoded before them, at most.
_CLOSE = 4
# A picture is shown again for so long, in seconds, where a container has no times of its own.
_FILLED = 10


class Gaps:
    """Where the last picture is shown again, since its container cannot wait for the next one.

    Raw frames follow each other at once; MP4 counts a picture's length in 32 bits.

    Attributes:
        repeated: how many pictures are shown again.
    """

    def __init__(self, kind: ContainerKind, tick: Fraction) -> None:
        """Begins a file.

        Args:
            kind: the container.
            tick: seconds per tick of the pictures' clock.
        """
        self.repeated = 0
        self._tick = tick
        self._grid = kind.fills
        self._longest = 1 if kind.fills else kind.longest
        self._left_out: list[int] = []

    @property
    def any(self) -> bool:
        """Whether there are pauses that the container cannot hold."""
        return self._longest is not None

    def between(self, last: int, at: int) -> tuple[Sequence[int], int]:
        """What is to be done between two pictures.

        Args:
            last: when the last picture is shown, in ticks.
            at: when the next one is due.

        Returns:
            At which ticks the last one is shown again, and how many ticks are left out.
        """
        if self._longest is None:
            return (), 0
        if self._grid and (at - last - 1) * self._tick > _FILLED:
            # A source that was away.
            self._left_out.append(at - last - 1)
            return (), at - last - 1
        places = [*range(last + self._longest, at, self._longest)]
        if places and not self._grid:
            # A key frame is decoded some pictures before it is shown: FFmpeg takes the film to end
            # with one that is followed, when it is decoded, by more than what is left of the film.
            places += range(max(places[-1] + 1, at - _CLOSE), at)
        self.repeated += len(places)
        return places, 0

    def remarks(self, ending: str) -> list[str]:
        """What became of pauses, a sentence each.

        Args:
            ending: of the file, for people.
        """
        said = []
        if self._left_out:
            seconds = float(sum(self._left_out) * self._tick)
            many = len(self._left_out)
            said.append(
                f"a pause of {seconds:.1f} s is left out"
                if many == 1
                else f"{many} pauses of {seconds:.1f} s together are left out"
            )
        if self.repeated and self._grid:
            verb = "is" if self.repeated == 1 else "are"
            said.append(
                f"{counted(self.repeated, 'picture')} {verb} there twice, since {ending} holds a "
                "constant frame rate only and the next came later"
            )
        elif self.repeated and self._longest is not None:
            seconds = float(self._longest * self._tick)
            said.append(
                f"pictures before a long pause are there {counted(self.repeated, 'time')} more, "
                f"since {ending} holds no pause of more than {seconds:.0f} s"
            )
        return said
