"""Detectron2's Mask R-CNN: ResNet and ResNeXt with FPN, C4 and dilated C5 (facebookresearch)."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from torch import nn

from stream.errors import ModelError, UsageError
from stream.inference.contract import Metadata
from stream_export.checkpoints.pickles import read_pickle
from stream_export.checkpoints.settings import Settings, read_settings
from stream_export.checkpoints.torch_files import is_torch, read_torch
from stream_export.checkpoints.weights import Weights
from stream_export.converters._rcnn_form import RcnnConfig, RcnnForm
from stream_export.converters._request import Converted, Request, example_size
from stream_export.names import COCO, names_for

_NORM_EPSILON = 1e-5
_RESNEXT_DEVIATION = (57.375, 57.12, 58.395)
_SIZES = (32.0, 64.0, 128.0, 256.0, 512.0)
_RPN, _BOX, _MASK = "proposal_generator.rpn_head", "roi_heads.box_head", "roi_heads.mask_head"


def read_weights(path: Path) -> Weights:
    """Reads a .pkl of the model zoo or a .pth that detectron2 saved.

    Raises:
        ModelError: the file is damaged or holds no weights.
    """
    content = read_torch(path) if is_torch(path) else read_pickle(path)
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]
    if not isinstance(content, dict):
        raise ModelError(f"{path}: it holds no named weights")
    return Weights(path, content)


def configure(weights: Weights, settings: Settings | None = None) -> RcnnConfig:
    """The configuration, from shapes where they tell it, else the settings, else the published one.

    Raises:
        ModelError: the weights are of another architecture.
        UsageError: the settings contradict the weights.
    """
    settings = settings or Settings()
    _refuse_others(weights)
    fpn = "backbone.fpn_lateral2.weight" in weights
    c4 = "roi_heads.res5.0.conv1.weight" in weights
    prefix = _prefix(weights)
    counts = tuple(
        weights.count(rf"{re.escape(_stage(weights, stage))}\.(\d+)\.conv1\.weight$")
        for stage in (2, 3, 4, 5)
    )
    inner, width = weights.shape(f"{prefix}.res2.0.conv2.weight")[:2]
    groups = inner // width
    classes = weights.shape("roi_heads.box_predictor.cls_score.weight")[0] - 1
    box_layers = weights.chain(f"{_BOX}.fc{{}}.weight")
    defaults = RcnnConfig(
        body="fpn" if fpn else "c4" if c4 else "dc5",
        proposals_before=1000 if fpn else 6000,
        deviation=(1.0, 1.0, 1.0) if groups == 1 else _RESNEXT_DEVIATION,
        anchor_sizes=tuple((size,) for size in _SIZES) if fpn else (_SIZES,),
    )
    model, heads = "MODEL", "MODEL.ROI_HEADS"
    config = dataclasses.replace(
        defaults,
        counts=counts,
        groups=groups,
        width=width,
        stem=weights.shape(f"{prefix}.stem.conv1.weight")[0],
        outputs=weights.shape(f"{prefix}.res2.0.conv3.weight")[0],
        # ResNeXt came from torch, where the 3x3 has the stride; ResNet from Caffe.
        stride_in_1x1=bool(settings.get(f"{model}.RESNETS.STRIDE_IN_1X1", groups == 1)),
        channels=weights.shape("backbone.fpn_output2.weight")[0] if fpn else 0,
        mean=settings.numbers(f"{model}.PIXEL_MEAN", defaults.mean),
        deviation=settings.numbers(f"{model}.PIXEL_STD", defaults.deviation),
        order="rgb" if settings.get("INPUT.FORMAT", "BGR") == "RGB" else "bgr",
        anchor_sizes=_sizes(settings, defaults),
        ratios=_ratios(settings, defaults),
        hidden=_proposal_channels(weights),
        proposals_before=int(
            settings.number(f"{model}.RPN.PRE_NMS_TOPK_TEST", defaults.proposals_before)
        ),
        proposals_after=int(settings.number(f"{model}.RPN.POST_NMS_TOPK_TEST", 1000)),
        proposal_iou=settings.number(f"{model}.RPN.NMS_THRESH", 0.7),
        proposal_weights=_four(
            settings, f"{model}.RPN.BBOX_REG_WEIGHTS", defaults.proposal_weights
        ),
        box_pool=14 if c4 else int(settings.number(f"{model}.ROI_BOX_HEAD.POOLER_RESOLUTION", 7)),
        box_weights=_four(settings, f"{model}.ROI_BOX_HEAD.BBOX_REG_WEIGHTS", defaults.box_weights),
        box_convs=weights.chain(f"{_BOX}.conv{{}}.weight"),
        box_layers=box_layers,
        classes=classes,
        box_classes=weights.shape("roi_heads.box_predictor.bbox_pred.weight")[0] // 4,
        mask_convs=weights.chain(f"{_MASK}.mask_fcn{{}}.weight"),
        mask_channels=weights.shape(f"{_MASK}.deconv.weight")[1],
        mask_classes=weights.shape(f"{_MASK}.predictor.weight")[0],
        sampling_ratio=int(settings.number(f"{model}.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO", 0)),
        aligned=settings.get(f"{model}.ROI_BOX_HEAD.POOLER_TYPE", "ROIAlignV2") == "ROIAlignV2",
        score=settings.number(f"{heads}.SCORE_THRESH_TEST", 0.05),
        iou=settings.number(f"{heads}.NMS_THRESH_TEST", 0.5),
        detections=int(settings.number("TEST.DETECTIONS_PER_IMAGE", 100)),
    )
    anchors = weights.shape(f"{_RPN}.objectness_logits.weight")[0]
    if anchors != len(config.anchor_sizes[0]) * len(config.ratios):
        raise UsageError(
            f"{weights.path}: it has {anchors} anchors per cell; give --config with "
            "MODEL.ANCHOR_GENERATOR.SIZES and ASPECT_RATIOS"
        )
    return config


def _refuse_others(weights: Weights) -> None:
    if f"{_MASK}.deconv.weight" not in weights or f"{_RPN}.objectness_logits.weight" not in weights:
        raise ModelError(
            f"{weights.path}: it is no Mask R-CNN of detectron2 (no mask head, or no proposal "
            "network)"
        )
    if "roi_heads.box_predictor.cls_score.weight" not in weights:
        raise ModelError(
            f"{weights.path}: its box head is not the standard one (a cascade?), which is not "
            "supported"
        )


def _prefix(weights: Weights) -> str:
    found = "backbone.bottom_up.stem.conv1.weight" in weights
    return "backbone.bottom_up" if found else "backbone"


def _stage(weights: Weights, stage: int) -> str:
    if stage == 5 and "roi_heads.res5.0.conv1.weight" in weights:
        return "roi_heads.res5"
    return f"{_prefix(weights)}.res{stage}"


def _proposal_channels(weights: Weights) -> tuple[int, ...]:
    single = f"{_RPN}.conv.weight"
    if single in weights:
        return (weights.shape(single)[0],)
    return weights.chain(f"{_RPN}.conv.conv{{}}.weight", first=0)


def _sizes(settings: Settings, defaults: RcnnConfig) -> tuple[tuple[float, ...], ...]:
    given = settings.get("MODEL.ANCHOR_GENERATOR.SIZES")
    if given is None:
        return defaults.anchor_sizes
    try:
        sizes = tuple(tuple(float(size) for size in level) for level in given)
    except (TypeError, ValueError):
        raise UsageError(
            f"{settings.source}: MODEL.ANCHOR_GENERATOR.SIZES is {given!r}, a list of lists of "
            "numbers is needed"
        ) from None
    if len(sizes) == 1:
        sizes *= len(defaults.anchor_sizes)
    if len(sizes) != len(defaults.anchor_sizes):
        raise UsageError(
            f"{settings.source}: MODEL.ANCHOR_GENERATOR.SIZES has {len(sizes)} levels, the weights "
            f"have {len(defaults.anchor_sizes)}"
        )
    return sizes


def _ratios(settings: Settings, defaults: RcnnConfig) -> tuple[float, ...]:
    given = settings.get("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS")
    if given is None:
        return defaults.ratios
    first = given[0] if isinstance(given, list | tuple) and given else None
    nested = isinstance(first, list | tuple)
    if not first or (nested and any(list(level) != list(first) for level in given)):
        raise UsageError(
            f"{settings.source}: MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS is {given!r}, one list for "
            "all levels is needed"
        )
    return tuple(float(ratio) for ratio in (first if nested else given))


def _four(
    settings: Settings, name: str, default: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    values = settings.numbers(name, default)
    if len(values) != 4:
        raise UsageError(f"{settings.source}: {name} has {len(values)} numbers, 4 are needed")
    return values[0], values[1], values[2], values[3]


def fill(form: RcnnForm, weights: Weights) -> None:
    """Fills a form's layers.

    Raises:
        ModelError: a weight is missing or of the wrong shape.
    """
    prefix = _prefix(weights)
    _conv(weights, form.body.stem, f"{prefix}.stem.conv1")
    stages: list[Any] = [*form.body.stages]
    if form.head is not None:
        stages.append(form.head)
    for number, stage in enumerate(stages):
        for index, block in enumerate(stage):
            name = f"{_stage(weights, number + 2)}.{index}"
            for part in ("conv1", "conv2", "conv3", "shortcut"):
                if getattr(block, part) is not None:
                    _conv(weights, getattr(block, part), f"{name}.{part}")
    if form.pyramid is not None:
        for level, (lateral, output) in enumerate(
            zip(form.pyramid.laterals, form.pyramid.outputs, strict=True), 2
        ):
            _conv(weights, lateral, f"backbone.fpn_lateral{level}")
            _conv(weights, output, f"backbone.fpn_output{level}")
    single = f"{_RPN}.conv.weight" in weights
    _convs(weights, form.proposer.convs, f"{_RPN}.conv" if single else f"{_RPN}.conv.conv{{}}", 0)
    weights.fill(form.proposer.logits, f"{_RPN}.objectness_logits")
    weights.fill(form.proposer.deltas, f"{_RPN}.anchor_deltas")
    _convs(weights, form.box_head.convs, f"{_BOX}.conv{{}}", 1)
    for index, layer in enumerate(form.box_head.layers, 1):
        weights.fill(layer, f"{_BOX}.fc{index}")
    weights.fill(form.box_head.logits, "roi_heads.box_predictor.cls_score")
    weights.fill(form.box_head.deltas, "roi_heads.box_predictor.bbox_pred")
    _convs(weights, form.mask_head.convs, f"{_MASK}.mask_fcn{{}}", 1)
    form.mask_head.upsample = weights.upsample(f"{_MASK}.deconv")
    weights.fill(form.mask_head.predictor, f"{_MASK}.predictor")


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
            f"{weights.path}: {norm!r} is a group normalisation, which this converter does not know"
        )
    else:
        weights.fill(layer, name, norm, _NORM_EPSILON)


def settings_for(config: str | None, family: str = "mask_rcnn") -> Settings:
    """The settings of a published configuration's name, or of a configuration file.

    A name tells what the weights cannot: that detectron2 compares itself with Detectron by
    pooling as that did (`noaug`), and that newer models come from torchvision's weights (`LSJ`).

    Raises:
        ModelError: a file cannot be read.
        UsageError: a name is not known.
    """
    if config is None:
        return Settings()
    path = Path(config)
    if path.is_file():
        return read_settings(path)
    name = path.name.removesuffix(".yaml").removesuffix(".py")
    if not name.lower().startswith(family) or path.suffix not in ("", ".yaml", ".py"):
        raise UsageError(
            f"--config {config}: it is neither a file nor a published configuration, such as "
            f"{family}_..."
        )
    if "LSJ" in name:
        model = {
            "PIXEL_MEAN": [123.675, 116.28, 103.53],
            "PIXEL_STD": [58.395, 57.12, 57.375],
            "RESNETS": {"STRIDE_IN_1X1": False},
        }
        return Settings({"MODEL": model, "INPUT": {"FORMAT": "RGB"}}, config)
    if "noaug" in name:
        head = {"POOLER_SAMPLING_RATIO": 2, "POOLER_TYPE": "ROIAlign"}
        return Settings({"MODEL": {"ROI_BOX_HEAD": head}}, config)
    return Settings({}, config)


def convert(request: Request) -> Converted:
    """Converts a checkpoint of detectron2.

    Raises:
        ModelError: the file is damaged or of another architecture.
        UsageError: the request contradicts the file, or lacks what the file does not say.
    """
    weights = read_weights(request.checkpoint)
    settings = settings_for(request.config)
    config = configure(weights, settings)
    return assemble(
        request,
        weights,
        config,
        settings,
        origin=f"detectron2, {describe(config)}, {request.checkpoint.name}",
    )


def assemble(
    request: Request, weights: Weights, config: RcnnConfig, settings: Settings, origin: str
) -> Converted:
    """Builds, fills and describes a model; what the request sets has the last word."""
    config = dataclasses.replace(
        config,
        score=config.score if request.score is None else request.score,
        detections=request.detections or config.detections,
        proposals_before=request.proposals or config.proposals_before,
        proposals_after=request.proposals or config.proposals_after,
    )
    shortest = int(settings.number("INPUT.MIN_SIZE_TEST", 800))
    longest = int(settings.number("INPUT.MAX_SIZE_TEST", 1333))
    resize = request.resize(f"{shortest}/{longest}", "pil_bilinear")
    form = RcnnForm(config)
    fill(form, weights)
    height, width, dynamic = example_size(resize)
    metadata = Metadata(
        names=names_for(request.checkpoint, config.classes, request.names),
        resize=resize,
        score_threshold=max(0.5, config.score),
        origin=origin,
        licence="Apache-2.0" if config.classes == len(COCO) else "unknown",
        training_data="COCO train2017" if config.classes == len(COCO) else "unknown",
    )
    return Converted(form, metadata, height, width, dynamic)


def describe(config: RcnnConfig) -> str:
    """The architecture in the model zoo's words, such as `R-50 FPN`."""
    depth = 3 * sum(config.counts) + 2
    groups = f"-{config.groups}x{config.width}d" if config.groups > 1 else ""
    return f"{'X' if groups else 'R'}-{depth}{groups} {config.body.upper()}"
