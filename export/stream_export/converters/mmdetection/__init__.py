"""MMDetection's Mask R-CNNs; the work is in `model`, the network is detectron2's."""

from __future__ import annotations

from stream_export.converters._command import CheckpointConverter


class MMDetection(CheckpointConverter):
    """ResNet or ResNeXt with FPN, of its second and third edition."""

    name = "mmdetection"
    summary = "Export a Mask R-CNN of MMDetection 2 or 3: ResNet or ResNeXt with FPN."
    module = f"{__name__}.model"
    what = "a checkpoint of MMDetection"
    signs = ("rpn_head.rpn_cls.weight",)
