"""Detectron's Mask R-CNNs (Caffe2); the work is in `_detectron_blobs`."""

from __future__ import annotations

from stream_export.converters._command import checkpoint_converter

CONVERTER = checkpoint_converter(
    "detectron",
    "Export a Mask R-CNN of Detectron (Caffe2): ResNet or ResNeXt with FPN.",
    "_detectron_blobs",
)
