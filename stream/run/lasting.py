"""Live: who is missed by one inference and was seen a moment ago stays where motion takes him.

Footage waits for the next sighting (`stream.run.bridge`); a live picture cannot. So whoever is gone
is shown a moment longer, which is less than what is seen of somebody who comes and goes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stream.instances import Instances
from stream.run.bridge import GAP, beside
from stream.tracking.base import ROUNDING


class Lasting:
    """Remembers when each object was found last."""

    def __init__(self) -> None:
        self._found: dict[int, float] = {}

    def __call__(
        self, found: Instances, seconds: float, carried: Callable[[], Instances | None]
    ) -> Instances:
        """What an inference found, with those whom it missed and who were found within `GAP`.

        Args:
            found: with identities; others are passed on as they are.
            seconds: the picture's presentation time.
            carried: moves what was shown before to this picture; None after a cut. Only called
                where somebody is missed.
        """
        there = set[int]() if found.track_ids is None else set(found.track_ids.tolist())
        lately = {
            one: when for one, when in self._found.items() if 0 <= seconds - when <= GAP + ROUNDING
        }
        missed = sorted(lately.keys() - there)
        self._found = lately | dict.fromkeys(there, seconds)
        before = carried() if missed else None
        if before is None or before.track_ids is None:
            return found
        return beside(found, before.select(np.isin(before.track_ids, missed)))
