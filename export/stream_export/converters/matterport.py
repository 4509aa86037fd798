"""Matterport's Mask R-CNNs for Keras; the work is in `_matterport_model`."""

from __future__ import annotations

from stream_export.converters._command import checkpoint_converter

CONVERTER = checkpoint_converter(
    "matterport",
    "Export a Mask R-CNN of Matterport's (Keras, .h5): ResNet-50 or 101, any classes.",
    "_matterport_model",
)
