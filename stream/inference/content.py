"""What is made of a model's file when it is loaded, for the provider that is to run it."""

from __future__ import annotations

import logging
from pathlib import Path

from stream.errors import ModelError
from stream.inference.contract import Metadata
from stream.inference.route import Route
from stream.system.cpu import processor

logger = logging.getLogger(__name__)

EDITED = "weights bounded but for layers of signed bytes"
"""Names what is made of files here for the CPU: what is kept of other editions is made anew."""


def content(chosen: Route, path: Path, metadata: Metadata) -> str | bytes:
    """A model's file as a provider is to have it: its path, or what is made of it."""
    if chosen.pads_regions:
        from stream.inference.fixed_regions import with_fixed_regions
        from stream.inference.onnx_whole import whole_model

        return with_fixed_regions(whole_model(path))
    if _needs_bounds(chosen, metadata):
        from stream.inference.bounded_weights import with_bounded_weights
        from stream.inference.onnx_whole import whole_model

        try:
            return with_bounded_weights(whole_model(path), widens=chosen.name == "cpu")
        except (ModelError, OSError, ValueError, TypeError) as error:
            logger.info("the weights of %s stay as they are: %s", path, error)
    return str(path)


def _needs_bounds(chosen: Route, metadata: Metadata) -> bool:
    """Whether a model's sums might not fit where they are made: by this processor, in 16 bits."""
    here = chosen.shared is not None and metadata.precision == "int8"
    return here and processor().narrow_sums
