"""Detectron2's Mask R-CNNs; the work is in `_detectron2_model`."""

from __future__ import annotations

from stream_export.converters._command import checkpoint_converter

CONVERTER = checkpoint_converter(
    "detectron2",
    "Export a Mask R-CNN of detectron2: ResNet or ResNeXt with FPN, C4 or dilated C5.",
    "_detectron2_model",
)
