"""Pictures without times of their own, placed by those around them that have one.

Matroska has such where times lie before its clock's beginning, or where what its times are counted
from was lost; transport streams where they were cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import av
from av.container import InputContainer

from stream.pictures.pixels import bytes_of
from stream.sources._decoded import Decoded
from stream.types import AnyPacket

# FFmpeg's AVFMT_NOTIMESTAMPS: nothing in such a file has a time.
_HAS_NONE = 0x0080
# How many pictures, and bytes of them, wait at most for one that has a time.
_MOST, _BYTES = 64, 128 << 20
# With so many that wait, a time that leaves no room for them may be as wrong as theirs.
_LAPSE = 4
# A step back of more, in seconds, is a clock that starts over.
_BACK = Fraction(1, 2)


class Spread:
    """Gives times to pictures whose own are missing, or not later than that of the one before.

    Where they begin the film they lie before the first that has a time, at the film's rate.
    Elsewhere they are spread between their neighbours, if there is room for them: where there is
    none, their number or their neighbours' times are wrong too, and they are left as they are.

    Args:
        container: the open file.
        tick: seconds per tick of the video's clock.
        rate: pictures per second; None where that is not known.

    Attributes:
        leading: how many pictures before the first one with a time have got one.
        count: how many others.
    """

    def __init__(self, container: InputContainer, tick: Fraction, rate: Fraction | None) -> None:
        self.leading = self.count = 0
        self._back = _BACK // tick
        self._step = None if not rate else 1 / (rate * tick)
        self._off = self._step is None or bool(container.format.flags & _HAS_NONE)

    @property
    def remarks(self) -> list[str]:
        """What had to be done, a sentence each."""
        said = []
        if self.leading == 1:
            said.append(
                "the first picture has no time of its own, and lies before the first that has one, "
                "at the film's rate"
            )
        elif self.leading:
            said.append(
                f"the first {self.leading} pictures have no time of their own, and lie before the "
                "first that has one, at the film's rate"
            )
        if self.count == 1:
            said.append(
                "1 picture had no usable time of its own and was spread between those around"
            )
        elif self.count:
            said.append(
                f"{self.count} pictures had no usable time of their own and were spread between "
                "those around"
            )
        return said

    def __call__(self, pieces: Iterator[AnyPacket | Decoded]) -> Iterator[AnyPacket | Decoded]:
        """Pieces as they come, of which pictures without a usable time wait for one that has it."""
        waiting: list[Decoded] = []
        last: int | None = None
        for piece in pieces:
            if not isinstance(piece, Decoded) or self._off:
                yield piece
                continue
            stored = piece.stored
            if stored is None or self._is_late(stored, last, len(waiting)):
                waiting.append(piece)
                if len(waiting) >= _room(piece.picture):
                    yield from waiting
                    waiting.clear()
                    self._off = True
                continue
            yield from self._placed(waiting, last, stored)
            waiting.clear()
            last = stored
            yield piece
        yield from waiting

    def _is_late(self, stored: int, last: int | None, waiting: int) -> bool:
        """Whether a time is none to be used, as pictures came later, or many wait for theirs."""
        if last is None or self._step is None or last - stored > self._back:
            return False
        return stored <= last or (
            waiting >= _LAPSE and Fraction(stored - last, waiting + 1) < self._step / 2
        )

    def _placed(
        self, waiting: Sequence[Decoded], last: int | None, following: int
    ) -> Sequence[Decoded]:
        """Those that waited, with times where there is room for them."""
        many, step = len(waiting), self._step
        if not many or step is None:
            return waiting
        if last is None:
            self.leading += many
            times = [following - round((many - place) * step) for place in range(many)]
        else:
            gap = Fraction(following - last, many + 1)
            if gap < step / 2:
                return waiting
            self.count += many
            # Behind a pause they belong to what was before it.
            each = gap if gap <= 2 * step else step
            times = [last + round((place + 1) * each) for place in range(many)]
        return [replace(one, stored=at) for one, at in zip(waiting, times, strict=True)]


def _room(picture: av.VideoFrame) -> int:
    """How many pictures of one's size wait at most."""
    return max(2, min(_MOST, _BYTES // max(1, bytes_of(picture))))
