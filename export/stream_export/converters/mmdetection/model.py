"""MMDetection's Mask R-CNN: ResNet and ResNeXt with FPN, of its second and third edition.

The network is detectron2's with other names, and so is what it makes of its answers, but for the
last digits of what tells a region's level. Proposals go by their logits, whose order is that of the
sigmoids by which MMDetection sorts, but where these round to one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stream.errors import ModelError
from stream_export.checkpoints.pickles import Content, StandIn
from stream_export.checkpoints.settings import Settings
from stream_export.checkpoints.states import find_weights, read_content
from stream_export.checkpoints.weights import Weights, fits
from stream_export.converters._request import Converted, Request
from stream_export.converters.detectron2 import model as detectron2
from stream_export.converters.detectron2.config import configure
from stream_export.converters.mmdetection import MMDetection
from stream_export.converters.mmdetection.settings import Nested, by_name, parsed

_BODY = "backbone.bottom_up"
# MMDetection's names, in order, and detectron2's; numbers in braces count from another one.
_RULES = [
    (r"^backbone\.conv1\.", f"{_BODY}.stem.conv1."),
    (r"^backbone\.bn1\.", f"{_BODY}.stem.conv1.norm."),
    (r"^backbone\.layer(\d)\.(\d+)\.conv(\d)\.", _BODY + r".res{1+1}.\2.conv\3."),
    (r"^backbone\.layer(\d)\.(\d+)\.bn(\d)\.", _BODY + r".res{1+1}.\2.conv\3.norm."),
    (r"^backbone\.layer(\d)\.(\d+)\.downsample\.0\.", _BODY + r".res{1+1}.\2.shortcut."),
    (r"^backbone\.layer(\d)\.(\d+)\.downsample\.1\.", _BODY + r".res{1+1}.\2.shortcut.norm."),
    (r"^neck\.lateral_convs\.(\d)\.conv\.", "backbone.fpn_lateral{1+2}."),
    (r"^neck\.lateral_convs\.(\d)\.bn\.", "backbone.fpn_lateral{1+2}.norm."),
    (r"^neck\.fpn_convs\.([0-3])\.conv\.", "backbone.fpn_output{1+2}."),
    (r"^neck\.fpn_convs\.([0-3])\.bn\.", "backbone.fpn_output{1+2}.norm."),
    (r"^rpn_head\.rpn_conv\.(\d)\.conv\.", r"proposal_generator.rpn_head.conv.conv\1."),
    (r"^rpn_head\.rpn_conv\.(?=weight|bias)", "proposal_generator.rpn_head.conv."),
    (r"^rpn_head\.rpn_cls\.", "proposal_generator.rpn_head.objectness_logits."),
    (r"^rpn_head\.rpn_reg\.", "proposal_generator.rpn_head.anchor_deltas."),
    (r"^roi_head\.bbox_head\.shared_convs\.(\d+)\.conv\.", "roi_heads.box_head.conv{1+1}."),
    (r"^roi_head\.bbox_head\.shared_convs\.(\d+)\.bn\.", "roi_heads.box_head.conv{1+1}.norm."),
    (r"^roi_head\.bbox_head\.shared_fcs\.(\d+)\.", "roi_heads.box_head.fc{1+1}."),
    (r"^roi_head\.bbox_head\.fc_cls\.", "roi_heads.box_predictor.cls_score."),
    (r"^roi_head\.bbox_head\.fc_reg\.", "roi_heads.box_predictor.bbox_pred."),
    (r"^roi_head\.mask_head\.convs\.(\d+)\.conv\.", "roi_heads.mask_head.mask_fcn{1+1}."),
    (r"^roi_head\.mask_head\.convs\.(\d+)\.bn\.", "roi_heads.mask_head.mask_fcn{1+1}.norm."),
    (r"^roi_head\.mask_head\.upsample\.", "roi_heads.mask_head.deconv."),
    (r"^roi_head\.mask_head\.conv_logits\.", "roi_heads.mask_head.predictor."),
]
_PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_USUAL: Nested = {
    "INPUT": {"FORMAT": "RGB"},
    "MODEL": {
        "PIXEL_MEAN": [123.675, 116.28, 103.53],
        "PIXEL_STD": [58.395, 57.12, 57.375],
        "RESNETS": {"STRIDE_IN_1X1": False},
    },
}
"""What most of its configurations say, for a file that tells none."""
_LEVEL_EPSILON = 1e-6 / 4
"""Of a region's edge over 224 pixels; it is written as 1e-6 of the edge over 56."""


def renamed(name: str) -> str | None:
    """Detectron2's name of a weight; None where it is no part of such a network."""
    for pattern, replacement in _RULES:
        found = re.match(pattern, name)
        if found is None or name[found.end() :] not in _PARTS:
            continue
        counted = re.sub(
            r"\{(\d)\+(\d)\}",
            lambda one, of=found: str(int(of[int(one[1])]) + int(one[2])),  # type: ignore[misc]
            replacement,
        )
        return found.expand(counted) + name[found.end() :]
    return None


def read_weights(path: Path, content: Content, key: str | None = None) -> Weights:
    """A checkpoint's weights under detectron2's names.

    Raises:
        ModelError: they are of another network than can be converted.
        UsageError: there is nothing under the key.
    """
    place = find_weights(path, content, MMDetection.signs, key)
    if place is None:
        raise ModelError(f"{path}: it is no Mask R-CNN of MMDetection (no proposal network)")
    _refuse_others(path, place.tensors)
    found, beside = {}, list(place.beside)
    # Beside weights that are an average, the second edition keeps what they are an average of.
    raw = {f"ema_{name.replace('.', '_')}" for name in place.tensors}
    for name, value in place.tensors.items():
        if name in raw:
            continue
        ours = renamed(name)
        if ours is None:
            beside.append(name)
        else:
            found[ours] = value
    return Weights(path, found, beside, place.assumed)


def _refuse_others(path: Path, names: Mapping[str, Content]) -> None:
    def held(name: str) -> bool:
        return f"{name}.weight" in names

    def any_of(pattern: str) -> bool:
        return any(re.search(pattern, name) for name in names)

    why = ""
    if held("mask_head.conv_logits"):
        why = "it is of MMDetection 1, which counted boxes otherwise; that is not supported"
    elif held("roi_head.bbox_head.0.fc_cls"):
        why = "it is a cascade, which is not supported"
    elif any_of(r"^roi_head\.point_head\."):
        why = "it is a PointRend, whose head of points is not supported"
    elif not held("roi_head.mask_head.conv_logits"):
        why = "it has no head that makes masks, so it is no Mask R-CNN"
    elif any_of(r"^backbone\..*\.attn\."):
        why = "its body is a transformer (such as Swin), and no ResNet, which alone is supported"
    elif not held("backbone.layer1.0.conv1"):
        why = "its body is no ResNet, which alone is supported"
    elif not held("backbone.conv1"):
        why = "its body begins with several convolutions (ResNetV1c or V1d), which is not supported"
    elif any_of(r"\.gn\d?\.weight$") or not any_of(r"^backbone\..*\.running_var$"):
        why = "its norms are group norms (GN), which are not supported"
    elif any_of(r"\.conv_offset\.weight$"):
        why = "it has deformable convolutions (DCN), which of MMDetection's are not supported"
    elif not held("backbone.layer1.0.conv3"):
        why = "its body is a ResNet without bottlenecks (18 or 34), which is not supported"
    elif not held("neck.lateral_convs.3.conv"):
        why = "it has no pyramid over all four stages (FPN), which alone is supported"
    if why:
        raise ModelError(
            f"{path}: {why}; what can be converted is a MaskRCNN of a ResNet (50 or deeper) or "
            "ResNeXt with FPN and batch norms"
        )


def told_by(content: Content) -> tuple[tuple[str, ...], str]:
    """The names of classes and the configuration's text that a checkpoint holds; empty for none."""
    meta = _items(_items(content).get("meta"))
    of_data = _items(meta.get("dataset_meta"))
    names: Any = ()
    for one in (meta.get("CLASSES"), of_data.get("classes"), of_data.get("CLASSES")):
        if isinstance(one, list | tuple) and all(isinstance(name, str) for name in one):
            names = one
    text = next((meta[key] for key in ("cfg", "config") if isinstance(meta.get(key), str)), "")
    return tuple(map(str, names)), str(text)


def _items(value: Any) -> Mapping[str, Any]:
    if isinstance(value, StandIn):
        value = value.items or value.state
    return value if isinstance(value, Mapping) else {}


@fits
def convert(request: Request) -> Converted:
    """Converts a checkpoint of MMDetection.

    Raises:
        ModelError: the file is damaged or of another architecture.
        UsageError: the request contradicts the file, or lacks what the file does not say.
    """
    content = read_content(request.checkpoint)
    weights = read_weights(request.checkpoint, content, request.key)
    names, text = told_by(content)
    source = f"the configuration in {request.checkpoint}"
    if request.config is not None:
        path = Path(request.config)
        try:
            text, source = path.read_text(encoding="utf-8-sig"), str(path)
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: the configuration cannot be read ({error})") from error
    values = by_name(parsed(text, source), source) if text else _USUAL
    settings = Settings(values, source).above(request.settings)
    config = dataclasses.replace(configure(weights, settings), level_epsilon=_LEVEL_EPSILON)
    converted = detectron2.assemble(
        request,
        weights,
        config,
        settings,
        origin=f"MMDetection, {detectron2.describe(config)}, {request.checkpoint.name}",
        told=(names, "the file names them") if names else None,
        interpolation="bilinear",
    )
    if text:
        return dataclasses.replace(converted, read=(*converted.read, f"settings of {source}"))
    usual = (
        "MMDetection's usual colours and strides, as the file tells no configuration (RGB, ResNet "
        "of PyTorch's style; give training's with --config)"
    )
    return dataclasses.replace(converted, assumed=(*converted.assumed, usual))
