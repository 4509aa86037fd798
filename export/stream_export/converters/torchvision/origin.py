"""torchvision's own answers, for `verify`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream_export.converters.torchvision.conversion import SIZE, Asked, opened
from stream_export.options import edges_of, parse_size
from stream_export.registry import Kept, need_extra

if TYPE_CHECKING:
    from torchvision.models.detection import MaskRCNN


class TorchvisionOrigin:
    """A torchvision model that answers in our terms, by its own code up to the pasting."""

    what = "torchvision's own code with the same weights"

    def __init__(
        self,
        model: MaskRCNN,
        names: tuple[str, ...],
        letterbox: str | None = None,
        assumed: tuple[str, ...] = (),
    ) -> None:
        """Takes a model, which is copied; `letterbox` is a --size it is to be shown."""
        from stream_export.copies import on_cpu

        self.model = on_cpu(model)
        self.names = names
        self.letterbox = letterbox
        self.assumed = assumed

    def __call__(self, picture: NDArray[np.uint8]) -> Instances:
        """What it finds in a picture, uint8 [H, W, 3] RGB; masks float32 [N, 28, 28]."""
        from stream.inference.postprocess import Raw, to_instances
        from stream.inference.preprocess import Preprocessor

        if self.letterbox is None:
            return self._answer(picture)
        prepared = Preprocessor(parse_size(self.letterbox, in_graph=False))(picture)
        found = self._answer(prepared.pixels()[0])
        raw = Raw(found.boxes, found.scores, found.labels, found.masks)
        return to_instances(raw, prepared.geometry, self.names, threshold=0, mask_threshold=0.5)

    def _answer(self, picture: NDArray[np.uint8]) -> Instances:
        import torch
        from torchvision.models.detection.transform import resize_boxes

        model = self.model
        with torch.no_grad():
            planes = torch.from_numpy(picture).permute(2, 0, 1).contiguous() / 255
            images, _ = model.transform([planes])
            features = model.backbone(images.tensors)
            proposals, _ = model.rpn(images, features)
            found, _ = model.roi_heads(features, proposals, images.image_sizes)
        size = (picture.shape[0], picture.shape[1])
        boxes = resize_boxes(found[0]["boxes"], images.image_sizes[0], size)
        return Instances(
            boxes=boxes.numpy(),
            scores=found[0]["scores"].numpy(),
            labels=found[0]["labels"].numpy() - 1,
            masks=found[0]["masks"][:, 0].numpy(),
            class_names=self.names,
            picture_size=size,
        )


def open_origin(against: str, options: Kept) -> TorchvisionOrigin:
    """Builds the torchvision model that a file was exported from, with the same options.

    Args:
        against: a checkpoint, the name of an architecture, or empty for what the file names.
        options: of the file.

    Raises:
        ModelError: the checkpoint cannot be read.
        UsageError: it is not said which.
    """
    need_extra()
    from stream_export.converters.torchvision.model import classes_of

    asked = Asked.of(options)
    if against.startswith("maskrcnn_") and not Path(against).exists():
        asked = dataclasses.replace(asked, arch=against, weights=None)
    elif against:
        is_file = bool(Path(against).suffix)
        asked = dataclasses.replace(asked, weights=against, arch=None if is_file else asked.arch)
    found = opened(asked)
    model = found.model
    fixed = options.get("fixed_size")
    size = str(options.get("size", SIZE))
    letterbox = fixed is None and "/" not in size
    model.transform.fixed_size = tuple(fixed) if fixed else None
    if not fixed:
        low, high = sorted(edges_of(size))
        # A letterboxed input has these very edges, so torchvision leaves it as it is.
        model.transform.min_size, model.transform.max_size = (low,), high
    if options.get("score") is not None:
        model.roi_heads.score_thresh = options["score"]
    if options.get("detections") is not None:
        model.roi_heads.detections_per_img = options["detections"]
    if options.get("proposals") is not None:
        for counts in (model.rpn._pre_nms_top_n, model.rpn._post_nms_top_n):
            counts["testing"] = options["proposals"]
    names = tuple(f"class {number}" for number in range(classes_of(model)))
    return TorchvisionOrigin(model, names, size if letterbox else None, tuple(found.assumed))
