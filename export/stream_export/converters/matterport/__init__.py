"""Matterport's Mask R-CNNs for Keras; the work is in `model`, the network in `form`."""

from __future__ import annotations

from stream_export.converters._command import CheckpointConverter


class Matterport(CheckpointConverter):
    """ResNet-50 or ResNet-101 with FPN."""

    name = "matterport"
    summary = "Export a Mask R-CNN of Matterport's (Keras): ResNet-50 or ResNet-101 with FPN."
    module = f"{__name__}.model"
    what = "a checkpoint of Matterport's Mask R-CNN (Keras)"
    signs = ("rpn_conv_shared", "mrcnn_class_logits", "mrcnn_mask")
