"""Building the torchvision model that a checkpoint belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torchvision.models import get_model
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN, mobilenet_backbone
from torchvision.models.detection.faster_rcnn import (
    FastRCNNConvFCHead,
    FastRCNNPredictor,
    TwoMLPHead,
)
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FrozenBatchNorm2d

from stream.errors import ModelError, UsageError
from stream_export.converters._torchvision_weights import Layout, State, layout

_ARCH = re.compile(r"^maskrcnn_(\w+?)_fpn(_v2)?$")
_SIZES = (32, 64, 128, 256, 512)


def from_state(state: State, arch: str | None, where: str, epsilon: float | None = None) -> Any:
    """The model that a state dict belongs to, in evaluation mode.

    Args:
        state: of a checkpoint, in today's names.
        arch: what the user takes it for; None to go by the weights alone.
        where: the checkpoint's name, for errors.
        epsilon: of frozen norms, which a checkpoint does not hold; None for 0 with a ResNet-50
            (as the published weights, and whatever was tuned from them, have it), else 1e-5.

    Raises:
        ModelError: the weights are of another architecture than the user says, or of none.
    """
    found = layout(state, where)
    if arch is not None and arch != found.arch:
        raise ModelError(
            f"{where}: its weights are of {found.arch}, not of {arch}; give --arch {found.arch}"
        )
    model = build(found)
    try:
        missing, extra = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ModelError(f"{where}: its weights do not fit {found.arch}: {first}") from error
    if missing or extra:
        what = f"lacks {missing[0]!r}" if missing else f"has {extra[0]!r} besides"
        raise ModelError(f"{where}: it does not fit {found.arch}: it {what}")
    if epsilon is None and found.backbone == "resnet50":
        epsilon = 0.0
    if epsilon is not None:
        for module in model.modules():
            if isinstance(module, FrozenBatchNorm2d):
                module.eps = epsilon
    return model.eval()


def random(arch: str, classes: int) -> Any:
    """A model with random weights, the same each time, in evaluation mode.

    Raises:
        UsageError: the architecture's name is none of ours.
    """
    found = _ARCH.match(arch)
    if not found:
        raise UsageError(
            f"unknown architecture {arch!r}; it is spelt like maskrcnn_resnet50_fpn, "
            "maskrcnn_resnet50_fpn_v2, maskrcnn_resnet18_fpn or maskrcnn_mobilenet_v3_large_fpn"
        )
    mobile = found[1].startswith("mobilenet")
    shape = Layout(
        backbone=found[1],
        version=2 if found[2] else 1,
        classes=classes,
        frozen=not found[2],
        anchors=15 if mobile else 3,
        pyramid=256,
        mask_channels=256,
        hidden=1024,
    )
    state = torch.random.get_rng_state()
    try:
        torch.manual_seed(0)
        return build(shape).eval()
    except (ValueError, KeyError) as error:
        raise UsageError(f"torchvision has no backbone {found[1]!r} for {arch!r}") from error
    finally:
        torch.random.set_rng_state(state)


def build(shape: Layout) -> Any:
    """An empty model of a layout, as torchvision's own builders make it."""
    norm: Callable[..., nn.Module] = FrozenBatchNorm2d if shape.frozen else nn.BatchNorm2d
    channels = shape.pyramid
    backbone = _backbone(shape, norm)
    maps = len(backbone.fpn.inner_blocks) + 1
    per_level = shape.anchors // 3
    sizes = tuple((size,) for size in _SIZES) if per_level == 1 else (_SIZES[:per_level],) * maps
    if len(sizes) != maps or shape.anchors % 3:
        raise ModelError(
            f"{shape.arch} with {shape.anchors} anchors per cell on {maps} levels is not made by "
            "torchvision's builders"
        )
    options: dict[str, Any] = {}
    if shape.version == 2:
        options["rpn_head"] = RPNHead(channels, shape.anchors, conv_depth=2)
        options["box_head"] = FastRCNNConvFCHead(
            (channels, 7, 7), [256, 256, 256, 256], [shape.hidden], norm_layer=nn.BatchNorm2d
        )
        options["mask_head"] = MaskRCNNHeads(
            channels, [256, 256, 256, 256], 1, norm_layer=nn.BatchNorm2d
        )
    else:
        options["box_head"] = TwoMLPHead(channels * 49, shape.hidden)
    return MaskRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * maps),
        box_predictor=FastRCNNPredictor(shape.hidden, shape.classes),
        mask_predictor=MaskRCNNPredictor(256, shape.mask_channels, shape.classes),
        **options,
    )


def classes_of(model: Any) -> int:
    """How many classes a model tells apart, without background."""
    return int(model.roi_heads.box_predictor.cls_score.out_features) - 1


def _backbone(shape: Layout, norm: Callable[..., nn.Module]) -> Any:
    if shape.backbone.startswith("mobilenet"):
        return mobilenet_backbone(
            backbone_name=shape.backbone,
            weights=None,
            fpn=True,
            norm_layer=norm,
            trainable_layers=6,
        )
    body = get_model(shape.backbone, weights=None, norm_layer=norm)
    width = int(body.inplanes) // 8
    return BackboneWithFPN(
        body,
        {f"layer{number}": str(number - 1) for number in (1, 2, 3, 4)},
        [width, 2 * width, 4 * width, 8 * width],
        shape.pyramid,
        norm_layer=nn.BatchNorm2d if shape.version == 2 else None,
    )
