"""What a converter made of a checkpoint, run by torch: an answer to compare an export with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stream.inference.postprocess import Raw, to_instances
from stream.inference.preprocess import Preprocessor
from stream.instances import Instances
from stream_export.converters._request import Converted, Request
from stream_export.registry import Kept


def request_of(checkpoint: Path, options: Kept) -> Request:
    """The request that a model was made by, with the checkpoint in its place.

    Class names play no part in a comparison, so that whatever the model was given will do.
    """
    known: dict[str, Any] = {
        name: options[name]
        for name in ("config", "size", "exact", "score", "detections", "proposals", "mask_score")
        if options.get(name) is not None
    }
    known |= {name: tuple(options.get(name) or ()) for name in ("settings", "ignore")}
    return Request(checkpoint, names="numbers", key=options.get("key"), **known)


class FormOrigin:
    """The weights in torch, eager and in float32, with the runtime's pre- and postprocessing."""

    def __init__(self, converted: Converted, system: str) -> None:
        """Takes what a converter made; `system` is named in `what`."""
        self.what = (
            f"this program's own reading of the checkpoint, run by torch; not with {system}'s own "
            "code (its answers can be given as an .npz)"
        )
        self.assumed = converted.assumed
        self._module = converted.module.eval()
        self._metadata = converted.metadata
        self._prepare = Preprocessor(converted.metadata.resize)

    def __call__(self, picture: NDArray[np.uint8]) -> Instances:
        """What it finds in a picture, uint8 [H, W, 3] RGB."""
        prepared = self._prepare(picture)
        with torch.no_grad():
            answers = self._module(torch.from_numpy(np.ascontiguousarray(prepared.pixels())))
        return to_instances(
            Raw(*(value.numpy() for value in answers)),
            prepared.geometry,
            self._metadata.names,
            threshold=0,
            mask_threshold=self._metadata.mask_threshold,
        )
