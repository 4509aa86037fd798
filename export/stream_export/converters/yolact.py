"""YOLACT; the work is in `_yolact_model`."""

from __future__ import annotations

from stream_export.converters._command import checkpoint_converter

CONVERTER = checkpoint_converter(
    "yolact",
    "Export a YOLACT: ResNet-50, ResNet-101 or Darknet-53, at 550, 400 or 700 pixels.",
    "_yolact_model",
)
