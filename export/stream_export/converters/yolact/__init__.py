"""YOLACT; the work is in `model`, the network in `form`."""

from __future__ import annotations

from stream_export.converters._command import CheckpointConverter


class Yolact(CheckpointConverter):
    """ResNet or Darknet-53 at any square size."""

    name = "yolact"
    summary = "Export a YOLACT: ResNet-50, ResNet-101 or Darknet-53."
    module = f"{__name__}.model"
    what = "a checkpoint of YOLACT"
    signs = ("proto_net.0.weight",)
