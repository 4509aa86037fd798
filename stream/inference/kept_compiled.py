"""Models that a provider has compiled for this processor, kept from one start to the next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from stream.errors import ModelError, ProviderError
from stream.inference.kept_model import is_whole, kept_for, written
from stream.inference.onnx_runtime import InferenceSession
from stream.system.cache import prune

logger = logging.getLogger(__name__)

FOLDER = "openvino"
"""Among the user's caches."""


class Create(Protocol):
    """Opens a session; see `stream.inference.onnx_session.create`."""

    def __call__(self, model: str | bytes, *, compiled: Path | None = None) -> InferenceSession:
        """Opens a model, and writes what is compiled of it to a file."""


def through_compiled(
    create: Create,
    model: Path,
    content: Callable[[], str | bytes],
    told: Sequence[str],
    fixed: Mapping[str, int],
    whole: Callable[[InferenceSession], bool],
) -> InferenceSession:
    """A session of a model that was compiled before, or is compiled now and kept.

    ONNX Runtime has a provider write what it compiled into a file that stands for the model.
    OpenVINO's own cache spares compiling too, but with it the model is read, optimised and
    translated at each start, to be looked up: opening the default model for two streams takes
    1,500 ms of processor time of an Intel Xeon without either, 610 with that cache, 250 with this.
    What was compiled lies beside that file, which names it: within it, it would be copied over and
    over while it is opened (40 ms more).

    Args:
        create: opens it on the provider.
        model: its file.
        content: what is opened of it where nothing is kept: its path, or what is made of it.
        told: what the result depends on besides: releases, options.
        fixed: sides of the input by name.
        whole: whether the provider took the whole model. Else what is left would be counted
            against a file of few nodes; it is not kept.

    Raises:
        ModelError: the model cannot be opened.
        ProviderError: the provider cannot run it.
    """
    kept = kept_for(FOLDER, model, told, fixed)
    if kept is None:
        return create(content())
    if is_whole(kept):
        try:
            return create(str(kept))
        except (ModelError, ProviderError) as error:
            logger.info("what was compiled of %s is made anew: %s", model, error)
    # What earlier editions left.
    prune(kept.parent, "*.blob", 0)
    try:
        with written(kept) as part:
            made = create(content(), compiled=part)
            if part.exists() and not whole(made):
                part.unlink()
            return made
    except (OSError, ModelError, ProviderError) as error:
        # A full disk is no reason not to open it; a broken model says once more that it is.
        logger.info("what is compiled of %s is not kept: %s", model, error)
        return create(content())
