"""A live source and the others whose pictures its model takes together with its own."""

from __future__ import annotations

import time
from dataclasses import dataclass

from stream.inference.postprocess import Raw
from stream.inference.preprocess import Prepared
from stream.run.finder import Detector
from stream.wording.words import counted


@dataclass(slots=True)
class Companions:
    """Infers one source's pictures, with others' where its detector takes several at once.

    Attributes:
        together: how many of them went with others'.
    """

    together: int = 0

    def at_once(self, detector: Detector) -> int:
        """How many inferences of a detector may be under way at once, this source's included."""
        return 1 if detector.gatherer is None else detector.gatherer.at_once

    def infer(self, detector: Detector, prepared: Prepared) -> tuple[Raw, float]:
        """A picture's answer, and the seconds that it took; of a run of several, its share.

        Raises:
            ModelError: the model fails.
        """
        gatherer = detector.gatherer
        if gatherer is None:
            began = time.perf_counter()
            raw = detector.infer(prepared)
            return raw, time.perf_counter() - began
        raw, seconds, pictures = gatherer(prepared, detector.infer)
        self.together += pictures > 1
        return raw, seconds

    def remarks(self, detector: Detector) -> list[str]:
        """What came of it, a sentence each."""
        told = []
        if self.together:
            told.append(
                f"{counted(self.together, 'frame')} inferred together with other sources' pictures"
            )
        if detector.gatherer is not None and detector.gatherer.batches.remark:
            told.append(detector.gatherer.batches.remark)
        return told
