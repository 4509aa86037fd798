"""Matterport's Mask R-CNN for Keras: ResNet-50 and ResNet-101 with FPN, any number of classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import nn

from stream.errors import ModelError, UsageError
from stream.inference.contract import Metadata, Resize
from stream.wording.words import counted
from stream_export.blocks.detections import MaskUpsample
from stream_export.checkpoints.keras import read_keras
from stream_export.checkpoints.weights import Weights, fits
from stream_export.converters._request import Converted, Request
from stream_export.converters.matterport.form import MatterportConfig, MatterportForm
from stream_export.converters.matterport.settings import classes_in, settings_for
from stream_export.names import data_set, names_for

if TYPE_CHECKING:
    from torch import Tensor

NORM_EPSILON = 1e-3
"""Keras' default, which the original keeps."""


def configure(
    weights: Weights, config: str | None = None, assignments: Iterable[str] = ()
) -> MatterportConfig:
    """The configuration: from shapes where they tell it, else as given, else COCO's.

    Args:
        weights: of a checkpoint.
        config: see `settings_for`.
        assignments: likewise.

    Raises:
        ModelError: the weights are of another system.
        UsageError: the settings contradict the weights.
    """
    _refuse_others(weights)
    given = settings_for(config, assignments)
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
    told = given.pop("classes", found.classes)
    # One is what is to be overridden, the background alone.
    if told not in (found.classes, 1):
        raise UsageError(
            f"{weights.path}: NUM_CLASSES is {told} (background included), the weights have "
            f"{found.classes}; the configuration belongs to another model"
        )
    found = dataclasses.replace(found, **given)
    # The maximum has the last word in the original too.
    found = dataclasses.replace(found, shortest=min(found.shortest, found.longest))
    per_cell = weights.shape("rpn_class_raw.weight")[0] // 2
    if per_cell != len(found.ratios):
        raise UsageError(
            f"{weights.path}: it has {counted(per_cell, 'anchor')} per cell; give --config "
            "RPN_ANCHOR_RATIOS=... with as many"
        )
    if len(found.anchor_sizes) != 5 or len(found.strides) != 5:
        raise UsageError("RPN_ANCHOR_SCALES and BACKBONE_STRIDES must have five numbers each")
    return found


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


@fits
def convert(request: Request) -> Converted:
    """Converts a .h5 of Matterport's Mask R-CNN.

    Raises:
        ModelError: the file is damaged or of another architecture.
        UsageError: the request contradicts the file, or lacks what the file does not say.
    """
    weights = read_keras(request.checkpoint)
    if request.key is not None:
        raise UsageError("--key: a Keras file holds one set of weights; leave it out")
    config = configure(weights, request.config, request.settings)
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
    told: tuple[str | tuple[str, ...], str] | None = None
    if added := classes_in(request.config):
        told = (added, f"{request.config} adds them")
    elif named := data_set(request.checkpoint.stem):
        told = (named, f"the file is called {request.checkpoint.name}")
    names, source = names_for(request.checkpoint, config.classes - 1, request.names, told)
    native = request.exact and resize.mode == "shortest_edge"
    if resize.mode == "letterbox":
        size = (resize.height, resize.width)
    else:
        size = (config.longest, config.longest)
    if size[0] % 64 or size[1] % 64:
        raise UsageError(
            f"the model's input would be {size[1]}x{size[0]} (IMAGE_MAX_DIM, or --size); its edges "
            "must be multiples of 64"
        )
    form = MatterportForm(config, size, native=native)
    with torch.no_grad():
        fill(form, weights)
    weights.refuse_unused(request.ignore)
    coco = request.names is None and source.startswith("coco's")
    metadata = Metadata(
        names=names,
        resize=Resize("native") if native else resize,
        score_threshold=config.score,
        origin=f"Matterport Mask R-CNN, ResNet-{3 * sum(config.counts) + 2}, "
        f"{request.checkpoint.name}",
        licence="MIT" if coco else "unknown",
        training_data="COCO train2014" if coco else "unknown",
    )
    given = settings_for(request.config, request.settings)
    given.pop("classes", None)
    read = [f"{len(weights)} weights of {request.checkpoint}", f"class names {source}"]
    if given:
        read.append("settings: " + ", ".join(f"{name} {value}" for name, value in given.items()))
    sizes = " ".join(f"{one:g}" for one in config.anchor_sizes)
    assumed = [
        f"{what} (weights do not tell; --set {name}=...)"
        for attribute, name, what in (
            ("anchor_sizes", "RPN_ANCHOR_SCALES", f"anchors of {sizes} pixels"),
            ("longest", "IMAGE_MAX_DIM", f"an input of {size[1]}x{size[0]} pixels"),
        )
        if attribute not in given
    ]
    height, width = (480, 640) if native else size
    return Converted(
        form,
        metadata,
        height,
        width,
        dynamic=native,
        read=tuple(read),
        assumed=tuple(assumed),
    )


def _resize(request: Request, config: MatterportConfig) -> Resize:
    """A picture in the middle of a square of zeros, or of the letterbox asked for."""
    resize = request.resize(f"{config.shortest}/{config.longest}", "bilinear")
    multiple = resize.longest if resize.mode == "shortest_edge" else 1
    return dataclasses.replace(
        resize, multiple_of=multiple, rounding="round", anchor="centre", padding=0
    )
