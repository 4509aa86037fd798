"""Detectron2's Mask R-CNN: ResNet and ResNeXt with FPN, C4 and dilated C5 (facebookresearch)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from torch import nn

from stream.errors import ModelError
from stream.inference.contract import Interpolation, Metadata, Resize
from stream_export.blocks.deformable import DeformConv
from stream_export.checkpoints.settings import Settings
from stream_export.checkpoints.states import find_weights, read_content
from stream_export.checkpoints.weights import Weights, fits
from stream_export.converters._request import Converted, Request, example_size
from stream_export.converters.detectron2 import Detectron2
from stream_export.converters.detectron2.config import (
    BOX,
    MASK,
    RPN,
    SUPPORTED,
    anchors_held,
    colours_held,
    configure,
    prefix_of,
    stage_name,
)
from stream_export.converters.detectron2.form import RcnnConfig, RcnnForm
from stream_export.converters.detectron2.settings import CITYSCAPES, settings_for
from stream_export.names import data_set, names_for

CLASSES = "roi_heads.box_predictor.cls_score.weight"
_NORM_EPSILON = 1e-5
_HARMLESS = r"num_batches_tracked$|^pixel_(mean|std)$|anchor_generator\.cell_anchors\.\d+$"
"""Counters of training; anchors are checked by themselves."""


def read_weights(path: Path, key: str | None = None) -> tuple[Weights, str]:
    """Reads a .pkl of the model zoo or whatever else holds detectron2's weights.

    Returns:
        The weights, and who wrote the file where it says so.

    Raises:
        ModelError: the file is damaged or holds no weights.
        UsageError: there is nothing under the key.
    """
    content = read_content(path)
    place = find_weights(path, content, Detectron2.signs, key)
    if place is None:
        if not isinstance(content, dict):
            raise ModelError(f"{path}: it holds no named weights")
        inside = content.get("model")
        return Weights(path, inside if isinstance(inside, dict) else content), ""
    author = content.get("__author__") if isinstance(content, dict) else None
    return Weights(path, place.tensors, place.beside, place.assumed), str(author or "")


def fill(form: RcnnForm, weights: Weights) -> None:
    """Fills a form's layers.

    Raises:
        ModelError: a weight is missing or of the wrong shape.
    """
    prefix = prefix_of(weights)
    _conv(weights, form.body.stem, f"{prefix}.stem.conv1")
    stages: list[Any] = [*form.body.stages]
    if form.head is not None:
        stages.append(form.head)
    for number, stage in enumerate(stages):
        for index, block in enumerate(stage):
            name = f"{stage_name(weights, number + 2)}.{index}"
            for part in ("conv1", "conv2", "conv3", "shortcut"):
                if getattr(block, part) is not None:
                    _conv(weights, getattr(block, part), f"{name}.{part}")
            if isinstance(block.conv2, DeformConv):
                weights.fill(block.conv2.offsets, f"{name}.conv2_offset")
    if form.pyramid is not None:
        for level, (lateral, output) in enumerate(
            zip(form.pyramid.laterals, form.pyramid.outputs, strict=True), 2
        ):
            _conv(weights, lateral, f"backbone.fpn_lateral{level}")
            _conv(weights, output, f"backbone.fpn_output{level}")
    single = f"{RPN}.conv.weight" in weights
    _convs(weights, form.proposer.convs, f"{RPN}.conv" if single else f"{RPN}.conv.conv{{}}", 0)
    weights.fill(form.proposer.logits, f"{RPN}.objectness_logits")
    weights.fill(form.proposer.deltas, f"{RPN}.anchor_deltas")
    _convs(weights, form.box_head.convs, f"{BOX}.conv{{}}", 1)
    for index, layer in enumerate(form.box_head.layers, 1):
        weights.fill(layer, f"{BOX}.fc{index}")
    weights.fill(form.box_head.logits, "roi_heads.box_predictor.cls_score")
    weights.fill(form.box_head.deltas, "roi_heads.box_predictor.bbox_pred")
    _convs(weights, form.mask_head.convs, f"{MASK}.mask_fcn{{}}", 1)
    form.mask_head.upsample = weights.upsample(f"{MASK}.deconv")
    weights.fill(form.mask_head.predictor, f"{MASK}.predictor")


def _convs(weights: Weights, convs: nn.Sequential, pattern: str, first: int) -> None:
    layers = [layer for layer in convs if isinstance(layer, nn.Conv2d)]
    for index, layer in enumerate(layers, first):
        _conv(weights, layer, pattern.format(index))


def _conv(weights: Weights, layer: nn.Module, name: str) -> None:
    """Fills a convolution and folds the frozen batch normalisation behind it, if there is one."""
    norm = f"{name}.norm"
    if f"{norm}.weight" not in weights:
        weights.fill(layer, name)
    elif f"{norm}.running_var" not in weights:
        raise ModelError(
            f"{weights.path}: {norm!r} is a group norm (GN), which is not supported; {SUPPORTED}"
        )
    else:
        weights.fill(layer, name, norm, _NORM_EPSILON)


@fits
def convert(request: Request) -> Converted:
    """Converts a checkpoint of detectron2.

    Raises:
        ModelError: the file is damaged or of another architecture.
        UsageError: the request contradicts the file, or lacks what the file does not say.
    """
    weights, author = read_weights(request.checkpoint, request.key)
    settings = settings_for(request.config)
    classes = weights.shape(CLASSES)[0] - 1 if CLASSES in weights else 0
    found = {80: "coco", 8: "cityscapes"}.get(classes) if "detectron2" in author.lower() else None
    told = (found, f"the file says that it is {author}'s") if found else None
    if found == "cityscapes" and not settings.names():
        settings = Settings({"INPUT": CITYSCAPES}, author)
    settings = settings.above(request.settings)
    config = configure(weights, settings)
    return assemble(
        request,
        weights,
        config,
        settings,
        origin=f"detectron2, {describe(config)}, {request.checkpoint.name}",
        told=told,
    )


def assemble(
    request: Request,
    weights: Weights,
    config: RcnnConfig,
    settings: Settings,
    origin: str,
    told: tuple[str | tuple[str, ...], str] | None = None,
    interpolation: Interpolation = "pil_bilinear",
) -> Converted:
    """Builds, fills and describes a model; what the request sets has the last word.

    Args:
        request: what is asked for.
        weights: of the checkpoint.
        config: of the model.
        settings: it was configured by.
        origin: told in the metadata.
        told: what the file says of its classes, see `names_for`.
        interpolation: how the origin resizes pictures.

    Raises:
        ModelError: a weight is missing, of the wrong shape, or left over.
        UsageError: the request makes no sense, or of the configuration nothing was used.
    """
    config = dataclasses.replace(
        config,
        score=config.score if request.score is None else request.score,
        detections=request.detections or config.detections,
        proposals_before=request.proposals or config.proposals_before,
        proposals_after=request.proposals or config.proposals_after,
    )
    # An edge of 0 leaves pictures as they are.
    shortest = settings.whole("INPUT.MIN_SIZE_TEST", 800, least=0)
    longest = settings.whole("INPUT.MAX_SIZE_TEST", 1333)
    if shortest == 0 and request.size is None:
        resize = Resize("native")
    else:
        resize = request.resize(f"{shortest}/{max(longest, shortest)}", interpolation)
    trained_on = str(settings.get("DATASETS.TRAIN", ""))
    named = data_set(trained_on)
    if named is not None and told is None:
        told = (named, f"{settings.source} says that it was trained on {trained_on}")
    form = RcnnForm(config)
    fill(form, weights)
    weights.refuse_unused(request.ignore, _HARMLESS)
    settings.refuse_unknown(request.settings)
    names, source = names_for(request.checkpoint, config.classes, request.names, told)
    read = [f"{len(weights)} weights of {request.checkpoint}", f"class names {source}"]
    if settings.names() and (request.settings or Path(request.config or "").is_file()):
        read.append(settings.said())
    height, width, dynamic = example_size(resize)
    published = told is not None and told[0] == "coco"
    metadata = Metadata(
        names=names,
        resize=resize,
        score_threshold=max(0.5, config.score),
        origin=origin,
        licence="Apache-2.0" if published else "unknown",
        training_data="COCO train2017" if published else "unknown",
    )
    return Converted(
        form,
        metadata,
        height,
        width,
        dynamic,
        read=tuple(read),
        assumed=_assumed(config, weights, settings, None if request.size else resize),
    )


def _assumed(
    config: RcnnConfig, weights: Weights, settings: Settings, resize: Resize | None
) -> tuple[str, ...]:
    """What neither the weights nor the settings told, in words."""
    found = [*weights.assumed]
    if "MODEL.ANCHOR_GENERATOR.SIZES" not in settings.told and not anchors_held(weights):
        sizes = " ".join("+".join(f"{one:g}" for one in level) for level in config.anchor_sizes)
        found.append(
            f"anchors of {sizes} pixels (weights do not tell; give training's configuration with "
            "--config, or --set MODEL.ANCHOR_GENERATOR.SIZES=...)"
        )
    if "MODEL.PIXEL_MEAN" not in settings.told and not colours_held(weights, "mean"):
        means = " ".join(f"{one:g}" for one in config.mean)
        found.append(
            f"colours in the order {config.order}, less {means} (--set MODEL.PIXEL_MEAN=..., "
            "INPUT.FORMAT=...)"
        )
    if resize is not None and "INPUT.MIN_SIZE_TEST" not in settings.told:
        found.append(
            f"pictures resized to a shortest edge of {resize.shortest}, {resize.longest} at most "
            "(--size, or --set INPUT.MIN_SIZE_TEST=...)"
        )
    if "MODEL.RESNETS.STRIDE_IN_1X1" not in settings.told and config.stride_in_1x1:
        found.append(
            "strides in the 1x1 convolutions (--set MODEL.RESNETS.STRIDE_IN_1X1=False where "
            "training began with torchvision's weights)"
        )
    return tuple(found)


def describe(config: RcnnConfig) -> str:
    """The architecture in the model zoo's words, such as `R-50 FPN`."""
    depth = 3 * sum(config.counts) + 2
    groups = f"-{config.groups}x{config.width}d" if config.groups > 1 else ""
    return f"{'X' if groups else 'R'}-{depth}{groups} {config.body.upper()}"
