"""YOLACT's checkpoints: ResNet-50, ResNet-101 and Darknet-53 at any square size (dbolya)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch import nn

from stream.errors import ModelError, UsageError
from stream.inference.contract import FRAMES, OUTPUTS, Metadata, Resize
from stream_export.checkpoints.torch_files import read_torch
from stream_export.checkpoints.weights import Weights
from stream_export.converters._request import Converted, Request
from stream_export.converters._yolact_form import Darknet, YolactConfig, YolactForm
from stream_export.names import COCO, names_for

_SCALES: tuple[float, ...] = (24.0, 48.0, 96.0, 192.0, 384.0)
_PASCAL_SCALES: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)


def read_weights(path: Path) -> Weights:
    """Reads a state dict; what the original's loader deletes is left out.

    Raises:
        ModelError: the file is damaged, or not YOLACT's.
    """
    content = read_torch(path)
    if not isinstance(content, dict) or "proto_net.0.weight" not in content:
        raise ModelError(f"{path}: it holds no prototype network, so it is not YOLACT's")
    kept = {name: value for name, value in content.items() if not _left_out(str(name))}
    return Weights(path, kept)


def _left_out(name: str) -> bool:
    extra = re.match(r"fpn\.downsample_layers\.(\d+)\.", name)
    return bool(re.match(r"backbone\.layer\d", name)) or bool(extra and int(extra[1]) >= 2)


def configure(weights: Weights, request: Request) -> YolactConfig:
    """The configuration, from shapes and from what the configuration or the file is called.

    Raises:
        ModelError: the weights are of a variant that cannot be converted.
        UsageError: the request makes no sense.
    """
    if any("conv_offset" in name for name in weights) or "maskiou_net.0.weight" in weights:
        raise ModelError(
            f"{weights.path}: YOLACT++ has deformable convolutions, which ONNX Runtime does not run"
        )
    darknet = "backbone._preconv.0.weight" in weights
    title = f"{request.config or ''} {weights.path.stem}".lower()
    pascal = "pascal" in title
    edge = _edge(request, title)
    ratios = 3
    classes = weights.shape("prediction_layers.0.conf_layer.weight")[0] // ratios - 1
    if weights.shape("prediction_layers.0.bbox_layer.weight")[0] != 4 * ratios:
        raise ModelError(
            f"{weights.path}: it has other anchors than YOLACT's three per cell, which is not "
            "supported"
        )
    scales: tuple[float, ...] = _PASCAL_SCALES if pascal else _SCALES
    if edge != 550:
        # data/config.py truncates the scales of the 400 and 700 pixel models.
        scales = tuple(float(int(scale / 550 * edge)) for scale in scales)
    return YolactConfig(
        backbone="darknet" if darknet else "resnet",
        counts=_counts(weights, darknet),
        stem=weights.shape(f"backbone.{'_preconv.0' if darknet else 'conv1'}.weight")[0],
        edge=edge,
        scales=scales,
        square=not pascal,
        channels=weights.shape("fpn.pred_layers.0.weight")[0],
        classes=classes,
        prototypes=weights.shape("proto_net.10.weight")[0],
        score=0.05 if request.score is None else request.score,
        detections=request.detections or 100,
        native=request.exact,
    )


def _edge(request: Request, title: str) -> int:
    if request.size is not None:
        found = re.fullmatch(r"(\d+)(?:[xX/](\d+))?", request.size)
        edge = int(found[1]) if found else 0
        if found is None or (found[2] and int(found[2]) != edge) or not 128 <= edge <= 2048:
            raise UsageError(
                f"--size {request.size}: YOLACT's input is square; give its edge, such as 550x550"
            )
        return edge
    named = re.search(r"im(\d{3})", title)
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


def convert(request: Request) -> Converted:
    """Converts a checkpoint of YOLACT.

    Raises:
        ModelError: the file is damaged or of another architecture.
        UsageError: the request contradicts the file, or lacks what the file does not say.
    """
    weights = read_weights(request.checkpoint)
    config = configure(weights, request)
    form = YolactForm(config)
    fill(form, weights)
    edge = config.edge
    resize = (
        Resize("native")
        if config.native
        else Resize("stretch", width=edge, height=edge, interpolation="bilinear")
    )
    published = config.classes == len(COCO)
    body = "Darknet-53" if config.backbone == "darknet" else f"R-{3 * sum(config.counts) + 2}"
    metadata = Metadata(
        names=names_for(request.checkpoint, config.classes, request.names),
        resize=resize,
        score_threshold=max(0.15, config.score),
        origin=f"YOLACT {edge}, {body}, {request.checkpoint.name}",
        licence="MIT" if published else "unknown",
        training_data="COCO train2017" if published else "unknown",
    )
    # A native picture may have any size, only not the network's own, which would look constant.
    height, width = (480, 640) if config.native else (edge, edge)
    return Converted(
        form, metadata, height, width, dynamic=config.native, outputs=(*OUTPUTS, FRAMES)
    )
