"""Graphs that ONNX Runtime has optimised for this processor, kept from one start to the next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from stream.errors import ModelError
from stream.inference.content import EDITED
from stream.inference.contract import INPUT
from stream.inference.kept_model import is_whole, kept_for, written
from stream.inference.onnx_ends import read_graph, weights_beside
from stream.inference.onnx_runtime import InferenceSession
from stream.inference.providers import runtime
from stream.kernels import layers
from stream.kernels.convolve import Way
from stream.system.cpu import processor
from stream.types import Array

logger = logging.getLogger(__name__)

_EDITION = f"{EDITED}, wide first layer with its margin, quick resizes"
"""What is done to a model's file before it is optimised, and to the graph that comes of it; beside
what compiled loops do, which are of several sources."""


class Create(Protocol):
    """Opens a session; see `stream.inference.onnx_session.create`."""

    def __call__(
        self, model: str | bytes, *, optimised: bool = False, keep: Path | None = None
    ) -> InferenceSession:
        """Opens a file, whose graph is optimised already or is to be kept so."""


def through_kept(
    create: Create, model: Path, content: Callable[[], str | bytes], fixed: Mapping[str, int]
) -> InferenceSession:
    """A session of a model for inputs of one size, from the graph that was optimised before.

    A model that was exported at one size has no sides to fix, and is known as well.

    Args:
        create: opens it on the built-in CPU provider.
        model: its file.
        content: what is opened of it where nothing is kept: its path, or what is made of it.
        fixed: sides of the input by name; where pictures may have any size, nothing is kept.

    Raises:
        ModelError: the model cannot be opened.
    """
    width = _width(model, fixed)
    kept = kept_graph(model, runtime().__version__, fixed) if width else None
    if kept is None:
        return create(_quicker(model, content(), width))
    if is_whole(kept):
        try:
            return create(str(kept), optimised=True)
        except ModelError as error:
            logger.info("the kept graph of %s is made anew: %s", model, error)
    try:
        with written(kept) as part:
            made = create(_quicker(model, content(), width), keep=part)
            optimised = part.read_bytes()
            quicker = _rewritten(optimised, model, create, made)
            if quicker is optimised:
                return made
            part.write_bytes(quicker)
            return create(str(part), optimised=True)
    except (OSError, ModelError) as error:
        # A full disk is no reason not to open it; a broken model says once more that it is.
        logger.info("the optimised graph of %s is not kept: %s", model, error)
        return create(_quicker(model, content(), width))


def _rewritten(optimised: bytes, model: Path, create: Create, made: InferenceSession) -> bytes:
    """An optimised graph with what ONNX Runtime is slow at done otherwise.

    Args:
        optimised: the graph's file.
        model: the file that it was made of.
        create: opens a file.
        made: the session of the graph as it is.
    """
    from stream.inference.quick_resizes import with_quick_resizes

    quicker = optimised
    look = partial(_look, create, made)
    try:
        quicker = with_quick_resizes(quicker, look)
    except (ModelError, ValueError) as error:
        logger.info("enlargements of %s stay as they are: %s", model, error)
    kernels = layers()
    if kernels is None:
        return quicker
    from stream.inference.own_operators import with_own_operators

    way = kernels.ways()[0]
    every = way is Way.VNNI or processor().narrow_sums
    try:
        return with_own_operators(
            quicker, lambda: _answers(made, made), look, kernels, way, every=every
        )
    except (ModelError, ValueError) as error:
        logger.info("layers of %s stay as they are: %s", model, error)
    return quicker


def _look(create: Create, like: InferenceSession, model: bytes) -> list[dict[str, Array]]:
    """All that comes out of a model, by name, for noise and for a picture that is all grey.

    Args:
        create: opens it.
        like: a session for pictures of the same size.
        model: an optimised file's content.

    Raises:
        ModelError: it cannot be run.
    """
    return _answers(create(model, optimised=True), like)


def _answers(handle: InferenceSession, like: InferenceSession) -> list[dict[str, Array]]:
    names = [one.name for one in handle.get_outputs()]
    (shape,) = (one.shape for one in like.get_inputs() if one.name == INPUT)
    sides = [side if isinstance(side, int) else 1 for side in shape]
    noise = np.random.default_rng(0).integers(0, 256, sides, np.uint8)
    try:
        return [
            dict(zip(names, handle.run(names, {INPUT: picture}), strict=True))
            for picture in (noise, np.full_like(noise, 128))
        ]
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise ModelError(f"it cannot be run: {error}") from error


def _width(model: Path, fixed: Mapping[str, int]) -> int:
    """The width of every picture that will come, in pixels; 0 where they may have any size."""
    shape = read_graph(model).inputs.get(INPUT, ())
    sides = [side if isinstance(side, int) else fixed.get(str(side), 0) for side in shape[1:3]]
    return sides[1] if len(shape) == 4 and all(sides) else 0


def _quicker(model: Path, content: str | bytes, width: int) -> str | bytes:
    """What is opened of a model as the built-in CPU provider is quickest with it."""
    if not width:
        return content
    from stream.inference.onnx_whole import whole_model
    from stream.inference.wide_first_layer import with_wide_first_layer

    try:
        whole = content if isinstance(content, bytes) else whole_model(model)
        edited = with_wide_first_layer(whole, width)
    except (ModelError, OSError, ValueError, TypeError) as error:
        logger.info("the first layer of %s stays as it is: %s", model, error)
        return content
    # What is kept lies elsewhere, without the files beside the model.
    return content if edited is whole and not weights_beside(model) else edited


def kept_graph(model: Path, version: str, fixed: Mapping[str, int]) -> Path | None:
    """Where the optimised graph of a model is kept, whether it is there yet or not.

    Optimising the default model takes more than half of what opening it takes: 100 of 175 ms of
    processor time on an Intel Xeon. What comes out depends on all that goes into the name.

    Args:
        model: the model's file.
        version: of ONNX Runtime.
        fixed: sides of the input by name.

    Returns:
        None where nothing is kept and nothing can be.
    """
    kernels = layers()
    loops = "no layers" if kernels is None else f"layers {kernels.source}"
    return kept_for("graphs", model, [version, _EDITION, loops], fixed)
