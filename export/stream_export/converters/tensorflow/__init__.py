"""The TensorFlow Object Detection API's Mask R-CNNs; the work is in `model`."""

from __future__ import annotations

from stream_export.converters._command import CheckpointConverter


class Tensorflow(CheckpointConverter):
    """Frozen graphs with Inception or ResNet bodies."""

    name = "tensorflow"
    summary = "Export a frozen Mask R-CNN of TensorFlow's Object Detection API."
    module = f"{__name__}.model"
    what = "a frozen graph of TensorFlow"
    signs = ("GraphDef",)
    needs = "--config pipeline.config"
