"""Matterport's Mask R-CNN for Keras: ResNet-50 and ResNet-101 with FPN, any number of classes."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from stream.errors import ModelError, UsageError
from stream.inference.contract import Metadata, Resize
from stream_export.blocks.detections import MaskUpsample
from stream_export.checkpoints.keras import read_keras
from stream_export.checkpoints.weights import Weights
from stream_export.converters._matterport_form import MatterportConfig, MatterportForm
from stream_export.converters._request import Converted, Request
from stream_export.names import COCO, names_for

if TYPE_CHECKING:
    from torch import Tensor

NORM_EPSILON = 1e-3
"""Keras' default, which the original keeps."""

# mrcnn/config.py's names of what the weights cannot tell.
_SETTINGS = {
    "IMAGE_MIN_DIM": "shortest",
    "IMAGE_MAX_DIM": "longest",
    "IMAGE_MIN_SCALE": "smallest_scale",
    "MEAN_PIXEL": "mean",
    "BACKBONE_STRIDES": "strides",
    "RPN_ANCHOR_SCALES": "anchor_sizes",
    "RPN_ANCHOR_RATIOS": "ratios",
    "PRE_NMS_LIMIT": "proposals_before",
    "POST_NMS_ROIS_INFERENCE": "proposals_after",
    "RPN_NMS_THRESHOLD": "proposal_iou",
    "RPN_BBOX_STD_DEV": "proposal_deviation",
    "BBOX_STD_DEV": "box_deviation",
    "MASK_POOL_SIZE": "mask_pool",
    "DETECTION_MIN_CONFIDENCE": "score",
    "DETECTION_NMS_THRESHOLD": "iou",
    "DETECTION_MAX_INSTANCES": "detections",
}
_FIXED = {"IMAGE_RESIZE_MODE": "square", "RPN_ANCHOR_STRIDE": 1, "IMAGE_CHANNEL_COUNT": 3}


def configure(weights: Weights, config: str | None = None) -> MatterportConfig:
    """The configuration: from shapes where they tell it, else as given, else COCO's.

    Args:
        weights: of a checkpoint.
        config: see `settings_for`.

    Raises:
        ModelError: the weights are of another system.
        UsageError: the settings contradict the weights.
    """
    _refuse_others(weights)
    given = settings_for(config)
    hidden, channels = weights.shape("rpn_conv_shared.weight")[:2]
    found = dataclasses.replace(
        MatterportConfig(),
        counts=_counts(weights),
        stem=weights.shape("conv1.weight")[0],
        width=weights.shape("res2a_branch2a.weight")[0],
        outputs=weights.shape("res2a_branch2c.weight")[0],
        channels=channels,
        hidden=hidden,
        box_channels=weights.shape("mrcnn_class_conv1.weight")[0],
        box_pool=weights.shape("mrcnn_class_conv1.weight")[2],
        classes=weights.shape("mrcnn_class_logits.weight")[0],
        mask_channels=weights.shape("mrcnn_mask_conv1.weight")[0],
    )
    found = dataclasses.replace(found, **given)
    # The maximum has the last word in the original too.
    found = dataclasses.replace(found, shortest=min(found.shortest, found.longest))
    per_cell = weights.shape("rpn_class_raw.weight")[0] // 2
    if per_cell != len(found.ratios):
        raise UsageError(
            f"{weights.path}: it has {per_cell} anchors per cell; give --config "
            "RPN_ANCHOR_RATIOS=... with as many"
        )
    if len(found.anchor_sizes) != 5 or len(found.strides) != 5:
        raise UsageError("RPN_ANCHOR_SCALES and BACKBONE_STRIDES must have five numbers each")
    return found


def settings_for(config: str | None) -> dict[str, Any]:
    """What `--config` says, by the names of `MatterportConfig`'s attributes.

    Args:
        config: `NAME=VALUE` with mrcnn/config.py's names, several separated by spaces; or a text
            file that has `NAME = VALUE` or, as `Config.display` prints it, `NAME VALUE` by line. A
            configuration written in Python will do: it is read, not run.

    Raises:
        ModelError: the file cannot be read.
        UsageError: nothing is found, a value makes no sense, or a setting is not supported.
    """
    if config is None:
        return {}
    path = Path(config)
    if path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{path}: the configuration cannot be read ({error})") from error
    else:
        text = re.sub(r"\s+(?=[A-Z_]+\s*=)", "\n", config)
    found: dict[str, Any] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"\s*([A-Z][A-Z_]+)\s*(?:=\s*|\s)(.+?)\s*(?:#.*)?", line)
        if match is None or match[1] not in {*_SETTINGS, *_FIXED}:
            continue
        name, value = match[1], _literal(match[2])
        if name in _FIXED and value != _FIXED[name]:
            raise UsageError(f"{name} is {match[2]}; only {_FIXED[name]} is supported")
        if name in _SETTINGS:
            found[_SETTINGS[name]] = _converted(name, value)
    if not found and not path.is_file():
        raise UsageError(
            f"--config {config}: it is neither a file nor a setting such as IMAGE_MAX_DIM=512; "
            f"known are {', '.join(_SETTINGS)}"
        )
    return found


def _literal(text: str) -> Any:
    """A number, text or list; NumPy's spelling of arrays is understood too."""
    inner = re.sub(r"^np\.array\((.*)\)$", r"\1", text)
    try:
        return ast.literal_eval(inner)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    if re.fullmatch(r"\[[\d.\s-]+\]", inner):
        return [float(part) for part in inner.strip("[]").split()]
    return inner


def _converted(name: str, value: Any) -> Any:
    default = getattr(MatterportConfig(), _SETTINGS[name])
    several = isinstance(default, tuple)
    values = value if isinstance(value, list | tuple) else [value]
    # "0" and "None" both leave the scale alone.
    values = [0 if entry is None else entry for entry in values]
    kind = type(default[0] if several else default)
    right = all(isinstance(entry, int | float) and entry >= 0 for entry in values)
    if not right or (not several and len(values) != 1) or not values:
        raise UsageError(f"{name} is {value!r}, which makes no sense")
    fixed = {"MEAN_PIXEL": 3, "RPN_BBOX_STD_DEV": 4, "BBOX_STD_DEV": 4}
    if len(values) != fixed.get(name, len(values)):
        raise UsageError(f"{name} has {len(values)} numbers, {fixed[name]} are needed")
    return tuple(kind(entry) for entry in values) if several else kind(values[0])


def looks_like_matterport(weights: Weights) -> bool:
    """Whether a Keras file holds this system's layers."""
    return "rpn_conv_shared.weight" in weights and "mrcnn_class_logits.weight" in weights


def _refuse_others(weights: Weights) -> None:
    if not looks_like_matterport(weights):
        raise ModelError(
            f"{weights.path}: it is a Keras file, but no Mask R-CNN of Matterport's (it lacks the "
            "layers rpn_conv_shared or mrcnn_class_logits); the heads must not have been excluded"
        )
    if "mrcnn_mask.weight" not in weights:
        raise ModelError(f"{weights.path}: it has no mask head, so it cannot find masks")


def _counts(weights: Weights) -> tuple[int, ...]:
    """Bottlenecks per stage; they are lettered, and stage 4 of ResNet-101 ends with w."""
    counts = []
    for stage in range(2, 6):
        count = 0
        while f"res{stage}{chr(ord('a') + count)}_branch2a.weight" in weights:
            count += 1
        counts.append(count)
    if 0 in counts:
        raise ModelError(
            f"{weights.path}: its backbone is no ResNet of Matterport's (a MobileNet?), which is "
            "not supported"
        )
    return tuple(counts)


def fill(form: MatterportForm, weights: Weights) -> None:
    """Fills a form's layers.

    Raises:
        ModelError: a weight is missing or of the wrong shape.
    """

    def conv(layer: nn.Module, name: str, norm: str) -> None:
        weights.fill(layer, name, norm, NORM_EPSILON)

    conv(form.body.stem, "conv1", "bn_conv1")
    for number, stage in enumerate(form.body.stages, 2):
        assert isinstance(stage, nn.Sequential)
        for index, block in enumerate(stage):
            name = f"{number}{chr(ord('a') + index)}_branch"
            for part, layer in (
                ("2a", block.conv1),
                ("2b", block.conv2),
                ("2c", block.conv3),
                ("1", block.shortcut),
            ):
                if isinstance(layer, nn.Module):
                    conv(layer, f"res{name}{part}", f"bn{name}{part}")
    for level, (lateral, output) in enumerate(
        zip(form.pyramid.laterals, form.pyramid.outputs, strict=True), 2
    ):
        weights.fill(lateral, f"fpn_c{level}p{level}")
        weights.fill(output, f"fpn_p{level}")
    weights.fill(form.hidden, "rpn_conv_shared")
    weights.fill(form.logits, "rpn_class_raw")
    _fill_deltas(form.deltas, "rpn_bbox_pred", weights)
    for number, layer in enumerate(form.box_hidden, 1):
        _fill_flat(layer, f"mrcnn_class_conv{number}", f"mrcnn_class_bn{number}", weights)
    weights.fill(form.box_logits, "mrcnn_class_logits")
    _fill_deltas(form.box_deltas, "mrcnn_bbox_fc", weights)
    for number, layer in enumerate(form.mask_convs, 1):
        conv(layer, f"mrcnn_mask_conv{number}", f"mrcnn_mask_bn{number}")
    upsample = nn.ConvTranspose2d(form.config.mask_channels, form.config.mask_channels, 2, stride=2)
    weights.fill(upsample, "mrcnn_mask_deconv")
    form.mask_upsample = MaskUpsample(upsample)
    weights.fill(form.mask_predictor, "mrcnn_mask")


def _fill_deltas(layer: nn.Module, name: str, weights: Weights) -> None:
    """Puts rows dy, dx, dh, dw of every box in the order dx, dy, dw, dh."""

    def swapped(value: Tensor) -> Tensor:
        four = value.reshape(-1, 4, *value.shape[1:])
        return four[:, [1, 0, 3, 2]].reshape(value.shape)

    weights.put(layer, "weight", swapped(weights[f"{name}.weight"]), name)
    weights.put(layer, "bias", swapped(weights[f"{name}.bias"]), name)


def _fill_flat(layer: nn.Module, name: str, norm: str, weights: Weights) -> None:
    """A convolution as large as its input is a fully connected layer, and faster as one."""
    kernel = weights[f"{name}.weight"]
    convolution = nn.Conv2d(kernel.shape[1], kernel.shape[0], (kernel.shape[2], kernel.shape[3]))
    weights.fill(convolution, name, norm, NORM_EPSILON)
    weights.put(layer, "weight", convolution.weight.flatten(1), name)
    assert convolution.bias is not None
    weights.put(layer, "bias", convolution.bias, name)


def convert(request: Request) -> Converted:
    """Converts a .h5 of Matterport's Mask R-CNN.

    Raises:
        ModelError: the file is damaged or of another architecture.
        UsageError: the request contradicts the file, or lacks what the file does not say.
    """
    weights = read_keras(request.checkpoint)
    config = configure(weights, request.config)
    resize = _resize(request, config)
    if resize.mode == "shortest_edge":
        config = dataclasses.replace(config, shortest=resize.shortest, longest=resize.longest)
    config = dataclasses.replace(
        config,
        score=config.score if request.score is None else request.score,
        detections=request.detections or config.detections,
        proposals_before=request.proposals or config.proposals_before,
        proposals_after=min(request.proposals or 10**6, config.proposals_after),
    )
    names = names_for(request.checkpoint, config.classes - 1, request.names)
    native = request.exact and resize.mode == "shortest_edge"
    if resize.mode == "letterbox":
        size = (resize.height, resize.width)
    else:
        size = (config.longest, config.longest)
    if size[0] % 64 or size[1] % 64:
        raise UsageError(
            f"the model's input would be {size[1]}x{size[0]}; its edges must be multiples of 64"
        )
    form = MatterportForm(config, size, native=native)
    with torch.no_grad():
        fill(form, weights)
    coco = config.classes == len(COCO) + 1 and request.names is None
    metadata = Metadata(
        names=names,
        resize=Resize("native") if native else resize,
        score_threshold=config.score,
        origin=f"Matterport Mask R-CNN, ResNet-{3 * sum(config.counts) + 2}, "
        f"{request.checkpoint.name}",
        licence="MIT" if coco else "unknown",
        training_data="COCO train2014" if coco else "unknown",
    )
    if native:
        return Converted(form, metadata, 480, 640, dynamic=True)
    return Converted(form, metadata, size[0], size[1], dynamic=False)


def _resize(request: Request, config: MatterportConfig) -> Resize:
    """A picture in the middle of a square of zeros, or of the letterbox asked for."""
    resize = request.resize(f"{config.shortest}/{config.longest}", "bilinear")
    multiple = resize.longest if resize.mode == "shortest_edge" else 1
    return dataclasses.replace(
        resize, multiple_of=multiple, rounding="round", anchor="centre", padding=0
    )
