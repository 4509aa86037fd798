"""What every tracker is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.pictures.sizes import in_another_size

DOUBT = 0.6
"""Seconds that an object stays for without once reaching the threshold itself."""

ROUNDING = 1e-3
"""Seconds by which timestamps may be off."""

JUMP = 10.0
"""Seconds between two inferences from which on time has jumped."""


class Tracker(ABC):
    """Says which of a frame's candidates are shown, and which object of earlier frames each is.

    A tracker sees instances and time, never the model. It is called for the inferred frames of
    one run, in order, from one thread. What it remembers it remembers in seconds of media, so that
    it does the same at any frame rate and however often inference runs: nothing is forgotten before
    there was one inference to see it again.

    Where time goes back, or on by `JUMP` seconds or more, nobody knows what happened in between:
    what is there then is new. So it is after a cut, which candidates tell by their `scene`, unless
    it is plain that nothing but the light has changed. An identity is never given twice in a run.
    """

    floor: ClassVar[float] = 1.0
    """Down to which share of the threshold it wants to see candidates, 0..1."""

    lookahead: ClassVar[float] = 0.0
    """How many seconds of what follows it wants to see, where a run can wait for them."""

    colours: ClassVar[bool] = False
    """Whether it wants to know the candidates' `colours`; where nobody can tell, they have none."""

    @abstractmethod
    def update(
        self,
        candidates: Instances,
        seconds: float,
        threshold: float,
        following: Sequence[tuple[float, Instances]] = (),
    ) -> Instances:
        """Those of `candidates` that are shown, each with an identity in `track_ids`.

        They come in the order of the candidates, with their boxes and masks; a tracker may give
        them another label. Identities are numbers from 1 on.

        Args:
            candidates: what was found, down to `floor` times the threshold, best first.
            seconds: the frame's presentation time; may jump where the source does.
            threshold: what new objects must reach, 0..1; it may change on the way.
            following: what was found in the next frames, with their times; given for footage and
                only to a tracker that has a `lookahead`, and not longer than that. Empty live.
        """


class Elapsed:
    """The time from one inference to the next."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None

    def __call__(self, seconds: float, scene: int = 0) -> float | None:
        """Seconds since the call before; None where nothing from before is known to hold.

        Args:
            seconds: the presentation time now.
            scene: which scene is seen now; where any may follow, nothing is said.

        Returns:
            None for the first call, where time has jumped since the one before, and after a cut.
        """
        last, self._last = self._last, (seconds, scene)
        if last is None or last[1] != scene or not 0 <= seconds - last[0] < JUMP:
            return None
        return seconds - last[0]


@dataclass(eq=False)
class Known:
    """An object that was seen.

    Attributes:
        identity: its number, 0 while it has none.
        box: float32 [4], its last box.
        seen: when it was found last, in seconds.
        sure: when it reached the threshold last, in seconds.
        doubted: whether it was found last without reaching it.
        present: whether it was found at the last inference.
    """

    identity: int
    box: NDArray[np.float32]
    seen: float
    sure: float
    doubted: bool = field(default=False, kw_only=True)
    present: bool = field(default=True, kw_only=True)

    def found(self, box: NDArray[np.float32], seconds: float, *, sure: bool) -> None:
        """Is found again."""
        self.box, self.seen, self.doubted = box, seconds, not sure
        if sure:
            self.sure = seconds

    def resize(self, before: tuple[int, int], after: tuple[int, int]) -> None:
        """Pictures have another size now, and show it elsewhere: heights and widths."""
        self.box = in_another_size(self.box, before, after)

    def stays(self, seconds: float) -> bool:
        """Whether it is shown where it does not reach the threshold, once at least."""
        lately = not self.doubted or seconds - self.sure <= DOUBT + ROUNDING
        return self.identity > 0 and self.present and lately


_Known = TypeVar("_Known", bound=Known)


class Sizes:
    """What size pictures have, as streams change it on the way."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def follow(self, candidates: Instances, known: Collection[Known]) -> None:
        """Tells all that is known where it is, where the candidates' picture has another size."""
        last, self._last = self._last, candidates.picture_size
        if last is not None and last != candidates.picture_size:
            for one in known:
                one.resize(last, candidates.picture_size)


def remembered(
    known: Collection[_Known], found: Collection[_Known], keeps: Callable[[_Known], bool]
) -> list[_Known]:
    """Those that are not forgotten, each told whether it is present.

    Args:
        known: all objects.
        found: those found at this inference.
        keeps: whether one that may be gone is remembered.
    """
    present = {id(one) for one in found}
    for one in known:
        one.present = id(one) in present
    return [one for one in known if keeps(one)]
