"""Parts of an optimised int8 graph as operators of the compiled loops.

What comes out is not believed but seen: the graph is run both ways, and stays as it was unless all
answers are the same to the last bit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from stream.errors import ModelError
from stream.inference.onnx_writer import encoded_bytes, opset_of
from stream.inference.own_heads import with_own_heads
from stream.inference.own_layers import DOMAIN, with_own_layers
from stream.inference.own_regions import with_own_regions
from stream.kernels import Kernels
from stream.kernels.convolve import Way
from stream.types import Array

logger = logging.getLogger(__name__)

Answers = Sequence[Mapping[str, Array]]
"""What comes out of a model for some pictures, by name."""

_OPSETS = 8  # ModelProto.opset_import


def with_own_operators(
    model: bytes,
    answers: Callable[[], Answers],
    run: Callable[[bytes], Answers],
    kernels: Kernels,
    way: Way,
    *,
    every: bool,
) -> bytes:
    """A model's file whose layers and regions the compiled loops compute, where they can.

    Args:
        model: an optimised ONNX file's content.
        answers: gives what comes out of it.
        run: gives what comes out of an edited one, for the same pictures.
        kernels: the loops.
        way: see `stream.inference.own_layers`.
        every: see `stream.inference.own_layers`.

    Returns:
        The edited content; what came in where there is nothing of the kind, or where the answers
        are others.

    Raises:
        ModelError: it cannot be run.
        ValueError: it is not in the format of an ONNX file.
    """
    before: Answers | None = None
    # What most models have alone is tried where one of the rarer ones answers otherwise.
    for rarer in (True, False):
        edited = with_own_layers(model, kernels, way, every=every, summed=rarer)
        edited = with_own_regions(edited)
        if rarer and way is Way.VNNI:
            edited = with_own_heads(edited)
        if edited is model:
            return model
        edited += encoded_bytes(_OPSETS, opset_of(DOMAIN, 1))
        before = answers() if before is None else before
        try:
            other = _other(before, run(edited))
        except ModelError as error:
            if not rarer:
                raise
            # What is spread over all answers is seen only now, as sides are written nowhere.
            logger.info("sums and heads are left to ONNX Runtime: %s", error)
            continue
        if other is None:
            return edited
        logger.warning("compiled loops answer otherwise than ONNX Runtime: %s", other)
    return model


def _other(before: Answers, after: Answers) -> str | None:
    """What comes out otherwise; None where all of it is the same to the last bit."""
    for one, other in zip(before, after, strict=True):
        for name, answer in one.items():
            if not np.array_equal(answer, other[name], equal_nan=answer.dtype.kind == "f"):
                return name
    return None
