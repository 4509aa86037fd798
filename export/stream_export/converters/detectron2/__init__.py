"""Detectron2's Mask R-CNNs; the work is in `model`, the network in `form`."""

from __future__ import annotations

from stream_export.converters._command import CheckpointConverter


class Detectron2(CheckpointConverter):
    """ResNet or ResNeXt with FPN, C4 or dilated C5."""

    name = "detectron2"
    summary = "Export a Mask R-CNN of detectron2: ResNet or ResNeXt with FPN, C4 or dilated C5."
    module = f"{__name__}.model"
    what = "a checkpoint of detectron2"
    signs = ("proposal_generator.rpn_head.objectness_logits.weight",)
