"""YOLACT's checkpoints: ResNet-50, ResNet-101 and Darknet-53 at any square size (dbolya)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import nn

from stream.errors import ModelError, UsageError
from stream.inference.contract import MASK_BOXES, OUTPUTS, Metadata, Resize
from stream.wording.words import counted
from stream_export.blocks.deformable import Deformable, DeformConv
from stream_export.checkpoints.settings import Settings
from stream_export.checkpoints.states import load_weights
from stream_export.checkpoints.weights import Weights, fits
from stream_export.converters._request import Converted, Request
from stream_export.converters.yolact import Yolact
from stream_export.converters.yolact.form import Darknet, YolactConfig, YolactForm
from stream_export.names import names_for
from stream_export.options import unknown_setting

_SCALES: tuple[float, ...] = (24.0, 48.0, 96.0, 192.0, 384.0)
_PASCAL_SCALES: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)


_PLUS_STEPS = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
"""YOLACT++ has three sizes of anchors per level."""

_HARMLESS = r"num_batches_tracked$|^semantic_seg_conv\."
"""Counters, and a layer that only training has a use for."""

_COCO = r"yolact_(base|resnet50|darknet53|im400|im700|plus_base|plus_resnet50)"
"""Published configurations for COCO's 80 classes."""

_SAVED = _COCO + r"_\d+_\d+(_interrupt)?( ?\(\d+\))?"
"""What their weights are called, which end in epoch and iteration; browsers count copies."""


def read_weights(path: Path, key: str | None = None) -> Weights:
    """Reads a state dict; what the original's loader deletes is left out.

    Raises:
        ModelError: the file is damaged, or not YOLACT's.
        UsageError: there is nothing under the key.
    """
    place = load_weights(path, Yolact.signs, "YOLACT's, it holds no prototype network", key)
    kept = {name: value for name, value in place.tensors.items() if not _left_out(name)}
    return Weights(path, kept, place.beside, place.assumed)


def _left_out(name: str) -> bool:
    extra = re.match(r"fpn\.downsample_layers\.(\d+)\.", name)
    return bool(re.match(r"backbone\.layer\d", name)) or bool(extra and int(extra[1]) >= 2)


def configure(weights: Weights, request: Request) -> YolactConfig:
    """The configuration, from shapes and from what the configuration or the file is called.

    Raises:
        ModelError: the weights are of a variant that cannot be converted.
        UsageError: the request makes no sense.
    """
    darknet = "backbone._preconv.0.weight" in weights
    counts = _counts(weights, darknet)
    deformable = () if darknet else _deformable(weights, counts)
    settings = _settings(request)
    title = _title(request)
    pascal = re.search(r"(?<![a-z])pascal(?![a-z])", title) is not None
    edge = _edge(request, title)
    anchors, rest = divmod(weights.shape("prediction_layers.0.bbox_layer.weight")[0], 4)
    # YOLACT++ has nine anchors per cell that are not square.
    plus = anchors == 9
    if rest or anchors not in (3, 9):
        raise ModelError(
            f"{weights.path}: it has {counted(anchors, 'anchor')} per cell; only YOLACT's three "
            "and YOLACT++'s nine are supported"
        )
    outputs, rest = divmod(weights.shape("prediction_layers.0.conf_layer.weight")[0], anchors)
    if rest or outputs < 2:
        raise ModelError(f"{weights.path}: its class layer does not fit its {anchors} anchors")
    scales: tuple[float, ...] = _PASCAL_SCALES if pascal else _SCALES
    if edge != 550:
        # data/config.py truncates the scales of the 400 and 700 pixel models.
        scales = tuple(float(int(scale / 550 * edge)) for scale in scales)
    scales = settings.numbers("scales", scales)
    if len(scales) != 5 or min(scales) <= 0:
        raise UsageError(f"--set scales: five numbers above 0 are needed, not {scales}")
    return YolactConfig(
        backbone="darknet" if darknet else "resnet",
        counts=counts,
        stem=weights.shape(f"backbone.{'_preconv.0' if darknet else 'conv1'}.weight")[0],
        edge=edge,
        scales=scales,
        square=bool(settings.get("use_square_anchors", not pascal and not plus)),
        steps=_PLUS_STEPS if plus else (1.0,),
        channels=weights.shape("fpn.pred_layers.0.weight")[0],
        classes=outputs - 1,
        prototypes=weights.shape("proto_net.10.weight")[0],
        score=0.05 if request.score is None else request.score,
        detections=request.detections or 100,
        native=request.exact,
        deformable=deformable,
    )


def _settings(request: Request) -> Settings:
    settings = Settings().above(request.settings)
    known = {"scales", "use_square_anchors"}
    for name in settings.names():
        if name not in known:
            raise unknown_setting(name, sorted(known))
    return settings


def _deformable(
    weights: Weights, counts: tuple[int, ...]
) -> tuple[tuple[Deformable | None, ...], ...]:
    """Which bottlenecks are deformed (YOLACT++, DCNv2 with one group)."""

    def of(name: str) -> Deformable | None:
        offsets = f"{name}.conv2.conv_offset_mask.weight"
        if offsets not in weights:
            return None
        if weights.shape(offsets)[0] != 27:
            raise ModelError(
                f"{weights.path}: the weight {offsets!r} has {weights.shape(offsets)[0]} outputs, "
                "27 are needed"
            )
        return Deformable()

    return tuple(
        tuple(of(f"backbone.layers.{stage}.{number}") for number in range(count))
        for stage, count in enumerate(counts)
    )


def _title(request: Request) -> str:
    """The configuration's name, or else the file's, in which its own writes the former.

    Raises:
        UsageError: there is no such configuration.
    """
    if request.config is None:
        return request.checkpoint.stem.lower()
    name = request.config.lower().removesuffix("_config")
    if not re.fullmatch(rf"{_COCO}|yolact_resnet50_pascal", name):
        raise UsageError(
            f"--config {request.config}: it is none of YOLACT's published configurations, such as "
            "yolact_base_config or yolact_resnet50_pascal_config; what another one says goes with "
            "--size (max_size) and --set scales=[24,48,96,192,384] (pred_scales)"
        )
    return name


def _edge(request: Request, title: str) -> int:
    if request.size is not None:
        found = re.fullmatch(r"(\d+)(?:[xX/](\d+))?", request.size)
        edge = int(found[1]) if found else 0
        if found is None or (found[2] and int(found[2]) != edge) or not 128 <= edge <= 2048:
            raise UsageError(
                f"--size {request.size}: YOLACT's input is square; give its edge, such as 550x550"
            )
        return edge
    named = re.search(r"(?<![a-z])im([1-9]\d\d)(?!\d)", title)
    return int(named[1]) if named else 550


def _counts(weights: Weights, darknet: bool) -> tuple[int, ...]:
    stages = weights.count(r"backbone\.layers\.(\d+)\.")
    counts = [weights.count(rf"backbone\.layers\.{stage}\.(\d+)\.") for stage in range(stages)]
    if stages != (5 if darknet else 4):
        raise ModelError(
            f"{weights.path}: its backbone has {stages} stages, which is not supported"
        )
    # Darknet's stages begin with a convolution of their own.
    return tuple(count - 1 for count in counts) if darknet else tuple(counts)


def fill(form: YolactForm, weights: Weights) -> None:
    """Fills a form's layers.

    Raises:
        ModelError: a weight is missing or of the wrong shape.
    """
    backbone: Any = form.backbone
    if isinstance(backbone, Darknet):
        _fill_darknet(backbone, weights)
    else:
        weights.fill(backbone.stem, "backbone.conv1", "backbone.bn1")
        for number, stage in enumerate(backbone.stages):
            for index, block in enumerate(stage):
                name = f"backbone.layers.{number}.{index}"
                for part in ("1", "2", "3"):
                    weights.fill(
                        getattr(block, f"conv{part}"), f"{name}.conv{part}", f"{name}.bn{part}"
                    )
                if isinstance(block.conv2, DeformConv):
                    weights.fill(block.conv2.offsets, f"{name}.conv2.conv_offset_mask")
                if block.shortcut is not None:
                    weights.fill(block.shortcut, f"{name}.downsample.0", f"{name}.downsample.1")
    pyramid = form.pyramid
    # The original counts from the coarsest level.
    _fill_all(weights, list(pyramid.laterals)[::-1], "fpn.lat_layers.{}")
    _fill_all(weights, list(pyramid.outputs)[::-1], "fpn.pred_layers.{}")
    _fill_all(weights, list(pyramid.coarser), "fpn.downsample_layers.{}")
    prototypes = form.prototypes
    for place, layer in zip(
        (0, 2, 4, 8, 10), (*prototypes.before, prototypes.after, prototypes.last), strict=True
    ):
        weights.fill(layer, f"proto_net.{place}")
    head = "prediction_layers.0"
    weights.fill(form.head.shared, f"{head}.upfeature.0")
    weights.fill(form.head.boxes, f"{head}.bbox_layer")
    weights.fill(form.head.classes, f"{head}.conf_layer")
    weights.fill(form.head.coefficients, f"{head}.mask_layer")


def _fill_all(weights: Weights, layers: list[nn.Module], pattern: str) -> None:
    for number, layer in enumerate(layers):
        weights.fill(layer, pattern.format(number))


def _fill_darknet(backbone: Darknet, weights: Weights) -> None:
    weights.fill(backbone.stem, "backbone._preconv.0", "backbone._preconv.1")
    stages: Any = backbone.stages
    for number, stage in enumerate(stages):
        name = f"backbone.layers.{number}"
        weights.fill(stage[0], f"{name}.0.0", f"{name}.0.1")
        for index, block in enumerate(stage[1:], 1):
            for part in ("conv1", "conv2"):
                weights.fill(
                    getattr(block, part), f"{name}.{index}.{part}.0", f"{name}.{index}.{part}.1"
                )


@fits
def convert(request: Request) -> Converted:
    """Converts a checkpoint of YOLACT.

    Raises:
        ModelError: the file is damaged or of another architecture.
        UsageError: the request contradicts the file, or lacks what the file does not say.
    """
    weights = read_weights(request.checkpoint, request.key)
    config = configure(weights, request)
    form = YolactForm(config)
    fill(form, weights)
    weights.refuse_unused(request.ignore, _HARMLESS)
    title = _title(request)
    called = (
        f"the configuration is {request.config}"
        if request.config
        else f"the file is called {request.checkpoint.name}"
    )
    told = ("coco", called) if re.fullmatch(_COCO if request.config else _SAVED, title) else None
    names, source = names_for(request.checkpoint, config.classes, request.names, told)
    edge = config.edge
    resize = (
        Resize("native")
        if config.native
        else Resize("stretch", width=edge, height=edge, interpolation="bilinear")
    )
    published = told is not None and request.config is None and "coco's" in source
    body = "Darknet-53" if config.backbone == "darknet" else f"R-{3 * sum(config.counts) + 2}"
    metadata = Metadata(
        names=names,
        resize=resize,
        score_threshold=max(0.15, config.score),
        origin=f"YOLACT {edge}, {body}, {request.checkpoint.name}",
        licence="MIT" if published else "unknown",
        training_data="COCO train2017" if published else "unknown",
    )
    # A native picture may have any size, only not the network's own, which would look constant.
    height, width = (480, 640) if config.native else (edge, edge)
    sizes = " ".join(f"{one:g}" for one in config.scales)
    # Names that tell the input's edge or the anchors; of others the usual ones are taken.
    why = called if re.search(r"yolact_|im\d|pascal", title) else "weights do not tell"
    kind = "square" if config.square else "of three shapes"
    return Converted(
        form,
        metadata,
        height,
        width,
        dynamic=config.native,
        outputs=(*OUTPUTS, MASK_BOXES),
        read=(f"{len(weights)} weights of {request.checkpoint}", f"class names {source}"),
        assumed=(
            *weights.assumed,
            f"an input of {edge} pixels, anchors of {sizes} pixels, {kind} ({why}; "
            "--size, --config NAME, --set scales=..., --set use_square_anchors=...)",
        ),
    )
