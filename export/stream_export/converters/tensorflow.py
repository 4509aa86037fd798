"""The TensorFlow Object Detection API's Mask R-CNNs; the work is in `_tensorflow_model`."""

from __future__ import annotations

from stream_export.converters._command import checkpoint_converter

CONVERTER = checkpoint_converter(
    "tensorflow",
    "Export a frozen Mask R-CNN of the TensorFlow Object Detection API (.pb).",
    "_tensorflow_model",
)
