"""Detectron's Mask R-CNNs (Caffe2); the work is in `model`, the network is detectron2's."""

from __future__ import annotations

from stream_export.converters._command import CheckpointConverter


class Detectron(CheckpointConverter):
    """ResNet or ResNeXt with FPN."""

    name = "detectron"
    summary = "Export a Mask R-CNN of Detectron (Caffe2): ResNet or ResNeXt with FPN."
    module = f"{__name__}.model"
    what = "a checkpoint of Detectron (Caffe2)"
    signs = ("mask_fcn_logits_w",)
