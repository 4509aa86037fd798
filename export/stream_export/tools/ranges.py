"""Ranges of feature maps over pictures of which some have nothing in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Set
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
from onnxruntime.quantization import calibrate

from stream.errors import UsageError
from stream.wording.words import counted

_LEAST, _MOST = "_ReduceMin", "_ReduceMax"


class _Ranges(calibrate.MinMaxCalibrater):  # type: ignore[misc]
    """ONNX Runtime's own, but what has no cells in a picture has no extremes there.

    Where nothing is found, masks are made of nothing: the least of no numbers is infinite, and a
    mean with that is too. Such ranges became a scale of 1, however small what was to be rounded.
    """

    def __init__(self, *more: Any, needed: Set[str], **named: Any) -> None:
        super().__init__(*more, **named)
        self.intermediate_outputs: list[list[Any]] = []
        self._needed = needed

    def compute_data(self) -> calibrate.TensorsData:
        """The ranges over all pictures so far.

        Raises:
            UsageError: a map that is to be rounded has cells in none of the pictures.
        """
        rows = self.intermediate_outputs
        if rows:
            names = [output.name for output in self.infer_session.get_outputs()]
            columns = [
                self._finite(*one) for one in zip(names, zip(*rows, strict=True), strict=True)
            ]
            self.intermediate_outputs = [list(row) for row in zip(*columns, strict=True)]
        return super().compute_data()

    def _finite(self, name: str, values: tuple[Any, ...]) -> list[Any]:
        """An output's values, one a picture; NaN, which no range counts, for infinite ones."""
        if not name.endswith((_LEAST, _MOST)) or values[0] is None:
            return list(values)
        known = [bool(np.isfinite(value).all()) for value in values]
        if not any(known):
            if name.removesuffix(_LEAST).removesuffix(_MOST) in self._needed:
                raise UsageError(
                    f"nothing is found in {counted(len(values), 'picture')}, so masks cannot be "
                    "calibrated; give pictures like those that the model will see"
                )
            return [np.zeros_like(value) for value in values]
        return [
            value if sure else np.full_like(value, np.nan)
            for value, sure in zip(values, known, strict=True)
        ]


@contextlib.contextmanager
def calibrating(needed: Set[str]) -> Iterator[None]:
    """Lets `quantize_static`, which takes no calibrater, measure ranges so.

    Args:
        needed: names of the maps that are to be rounded.
    """
    with patch.object(calibrate, "MinMaxCalibrater", partial(_Ranges, needed=needed)):
        yield
