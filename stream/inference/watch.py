"""Says once when a model answers with what are no numbers: such objects are left out."""

from __future__ import annotations

import logging
import math
import threading

import numpy as np

from stream.inference.postprocess import Raw

logger = logging.getLogger(__name__)


class Watch:
    """Looks at a model's answers, from any thread.

    Args:
        model: its name.
        precision: of its weights.
    """

    def __init__(self, model: str, precision: str) -> None:
        self._about = model, precision
        self._said = threading.Event()

    def see(self, raw: Raw) -> None:
        """Looks at one answer; it takes some 10 microseconds."""
        with np.errstate(invalid="ignore", over="ignore"):
            sums = [float(part.sum()) for part in (raw.boxes, raw.scores, raw.masks)]
        if self._said.is_set() or all(map(math.isfinite, sums)):
            return
        self._said.set()
        logger.warning(
            "the model %r answers with values that are no numbers (NaN or infinite), and objects "
            "that have them are left out: its weights are damaged, or its sums too large for %s",
            *self._about,
        )
