"""CenterMask2's checkpoints, Lite or not, with VoVNet of any depth (youngwanLEE/centermask2)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stream.errors import ModelError
from stream.inference.contract import Metadata, Resize
from stream_export.blocks.vovnet import VovStage
from stream_export.checkpoints.settings import Settings
from stream_export.checkpoints.states import load_weights
from stream_export.checkpoints.weights import Weights, fits
from stream_export.converters._request import Converted, Request, example_size
from stream_export.converters.centermask import CenterMask
from stream_export.converters.centermask.form import CenterMaskConfig, CenterMaskForm
from stream_export.converters.detectron2.config import colours
from stream_export.converters.detectron2.settings import settings_for
from stream_export.names import data_set, names_for

_BODY, _FCOS = "backbone.bottom_up", "proposal_generator.fcos_head"
_MASK, _IOU = "roi_heads.mask_head", "roi_heads.maskiou_head"
_NORM_EPSILON = 1e-5
# (layers of a block, blocks per stage) of the published depths.
_DEPTHS: dict[tuple[int, tuple[int, ...]], str] = {
    (3, (1, 1, 1, 1)): "V-19",
    (5, (1, 1, 2, 2)): "V-39",
    (5, (1, 1, 4, 3)): "V-57",
    (5, (1, 3, 9, 3)): "V-99",
}


_HARMLESS = r"num_batches_tracked$|^pixel_(mean|std)$"
"""Counters, and numbers that are read by themselves."""

_PUBLISHED = r"centermask2-(lite-)?(mobilenetv2|R-|V-|X-)[\w-]*-FPN-ms-\dx"


def read_weights(path: Path, key: str | None = None) -> Weights:
    """Reads the file that centermask2 saved.

    Raises:
        ModelError: the file is damaged, or not CenterMask2's.
        UsageError: there is nothing under the key.
    """
    place = load_weights(path, CenterMask.signs, "CenterMask2's, it holds no FCOS head", key)
    return Weights(path, place.tensors, place.beside, place.assumed)


def configure(weights: Weights, settings: Settings, request: Request) -> CenterMaskConfig:
    """The configuration, from shapes, else the settings, else the published one.

    Raises:
        ModelError: the weights are of a variant that cannot be converted.
    """
    if f"{_BODY}.stem.stem_1/conv.weight" not in weights:
        raise ModelError(f"{weights.path}: its body is no VoVNet, so it cannot be converted")
    if any("dw_conv3x3" in name for name in weights):
        raise ModelError(f"{weights.path}: VoVNet with depthwise convolutions is not supported")
    stages = tuple(_stage(weights, number) for number in (2, 3, 4, 5))
    scored = f"{_IOU}.maskiou.weight" in weights
    if request.mask_score and not scored:
        raise ModelError(f"{weights.path}: it has no mask-IoU head, so --mask-score cannot be had")
    fcos = "MODEL.FCOS"
    score = request.score
    if score is None:
        score = settings.number(f"{fcos}.INFERENCE_TH_TEST", 0.05)
    return CenterMaskConfig(
        stem=(
            weights.shape(f"{_BODY}.stem.stem_1/conv.weight")[0],
            weights.shape(f"{_BODY}.stem.stem_2/conv.weight")[0],
            weights.shape(f"{_BODY}.stem.stem_3/conv.weight")[0],
        ),
        stages=stages,
        channels=weights.shape("backbone.fpn_output3.weight")[0],
        # A convolution, a norm and a ReLU each.
        towers=weights.count(rf"{_FCOS}\.cls_tower\.(\d+)\.weight$") // 3 + 1,
        classes=weights.shape(f"{_FCOS}.cls_logits.weight")[0],
        mask_convs=weights.chain(f"{_MASK}.mask_fcn{{}}.weight"),
        iou_convs=weights.chain(f"{_IOU}.maskiou_fcn{{}}.weight"),
        iou_layers=weights.chain(f"{_IOU}.maskiou_fc{{}}.weight"),
        mean=colours(weights, settings, "mean", (103.53, 116.28, 123.675)),
        deviation=colours(weights, settings, "std", (1.0, 1.0, 1.0)),
        score=score,
        iou=settings.number(f"{fcos}.NMS_TH", 0.6),
        before=request.proposals or settings.whole(f"{fcos}.PRE_NMS_TOPK_TEST", 1000),
        detections=request.detections or settings.whole(f"{fcos}.POST_NMS_TOPK_TEST", 50),
        mask_score=request.mask_score,
    )


def _stage(weights: Weights, number: int) -> VovStage:
    blocks = weights.count(rf"{_BODY}\.stage{number}\.OSA{number}_(\d+)\.") - 1
    name = f"{_BODY}.stage{number}.OSA{number}_1"
    return VovStage(
        blocks=blocks,
        layers=weights.count(rf"{name}\.layers\.(\d+)\."),
        inner=weights.shape(f"{name}.layers.0.OSA{number}_1_0/conv.weight")[0],
        outputs=weights.shape(f"{name}.concat.OSA{number}_1_concat/conv.weight")[0],
    )


def fill(form: CenterMaskForm, weights: Weights) -> None:
    """Fills a form's layers.

    Raises:
        ModelError: a weight is missing or of the wrong shape.
    """
    for number, layer in enumerate(form.body.stem, 1):
        _conv(weights, layer, f"{_BODY}.stem.stem_{number}")
    stages: Any = form.body.stages
    for number, stage in enumerate(stages, 2):
        for index, block in enumerate(stage, 1):
            title = f"OSA{number}_{index}"
            name = f"{_BODY}.stage{number}.{title}"
            for place, layer in enumerate(block.layers):
                _conv(weights, layer, f"{name}.layers.{place}.{title}_{place}")
            _conv(weights, block.join, f"{name}.concat.{title}_concat")
            weights.fill(block.squeeze, f"{name}.ese.fc")
    for level, (lateral, output) in enumerate(
        zip(form.pyramid.laterals, form.pyramid.outputs, strict=True), 3
    ):
        weights.fill(lateral, f"backbone.fpn_lateral{level}")
        weights.fill(output, f"backbone.fpn_output{level}")
    for level, layer in enumerate(form.coarser, 6):
        weights.fill(layer, f"backbone.top_block.p{level}")
    _fill_fcos(form, weights)
    for number, layer in enumerate(form.mask_head.convs, 1):
        weights.fill(layer, f"{_MASK}.mask_fcn{number}")
    weights.fill(form.mask_head.attention, f"{_MASK}.spatialAtt.conv")
    form.mask_head.upsample = weights.upsample(f"{_MASK}.deconv")
    weights.fill(form.mask_head.predictor, f"{_MASK}.predictor")
    if form.iou_head is not None:
        for number, layer in enumerate(form.iou_head.convs, 1):
            weights.fill(layer, f"{_IOU}.maskiou_fcn{number}")
        for number, layer in enumerate(form.iou_head.layers, 1):
            weights.fill(layer, f"{_IOU}.maskiou_fc{number}")
        weights.fill(form.iou_head.last, f"{_IOU}.maskiou")


def _fill_fcos(form: CenterMaskForm, weights: Weights) -> None:
    head = form.head
    for name, tower in (("cls_tower", head.class_tower), ("bbox_tower", head.box_tower)):
        for place, layer in enumerate(tower):
            if not isinstance(layer, nn.ReLU):
                weights.fill(layer, f"{_FCOS}.{name}.{place}")
    weights.fill(head.class_logits, f"{_FCOS}.cls_logits")
    weights.fill(head.distances, f"{_FCOS}.bbox_pred")
    weights.fill(head.centres, f"{_FCOS}.ctrness")
    scales = [weights[f"{_FCOS}.scales.{level}.scale"].reshape(1) for level in range(5)]
    weights.put(head, "scales", torch.cat(scales), f"{_FCOS}.scales")


def _conv(weights: Weights, layer: nn.Module, name: str) -> None:
    weights.fill(layer, f"{name}/conv", f"{name}/norm", _NORM_EPSILON)


@fits
def convert(request: Request) -> Converted:
    """Converts a checkpoint of CenterMask2.

    Raises:
        ModelError: the file is damaged or of another architecture.
        UsageError: the request contradicts the file, or lacks what the file does not say.
    """
    weights = read_weights(request.checkpoint, request.key)
    settings = settings_for(request.config, "centermask").above(request.settings)
    config = configure(weights, settings, request)
    lite = config.channels < 256
    shortest = settings.whole("INPUT.MIN_SIZE_TEST", 600 if lite else 800, least=0)
    longest = settings.whole("INPUT.MAX_SIZE_TEST", 1000 if lite else 1333)
    if shortest == 0 and request.size is None:
        resize = Resize("native")
    else:
        resize = request.resize(f"{shortest}/{max(longest, shortest)}", "pil_bilinear")
    trained_on = str(settings.get("DATASETS.TRAIN", ""))
    form = CenterMaskForm(config)
    fill(form, weights)
    # Without --mask-score the scores are the class's alone, as the origin has them by default.
    unasked = "" if request.mask_score else rf"|^{_IOU}\."
    weights.refuse_unused(request.ignore, _HARMLESS + unasked)
    settings.refuse_unknown(request.settings)
    told = None
    if named := data_set(trained_on):
        told = (named, f"{settings.source} says that it was trained on {trained_on}")
    elif re.fullmatch(_PUBLISHED, request.checkpoint.stem):
        told = ("coco", f"the file is called {request.checkpoint.name}")
    names, source = names_for(request.checkpoint, config.classes, request.names, told)
    read = [f"{len(weights)} weights of {request.checkpoint}", f"class names {source}"]
    if settings.names() and (request.settings or Path(request.config or "").is_file()):
        read.append(settings.said())
    height, width, dynamic = example_size(resize)
    published = told is not None and told[0] == "coco"
    depth = _DEPTHS.get(
        (config.stages[0].layers, tuple(stage.blocks for stage in config.stages)), "VoVNet"
    )
    metadata = Metadata(
        names=names,
        resize=resize,
        # The demo asks for a class probability of 0.4; a score is the root of a smaller product.
        score_threshold=0.4,
        origin=f"CenterMask2{'-Lite' if lite else ''}, {depth}, {request.checkpoint.name}",
        licence="CC-BY-NC-4.0" if published else "unknown",
        training_data="COCO train2017" if published else "unknown",
    )
    return Converted(
        form, metadata, height, width, dynamic, read=tuple(read), assumed=weights.assumed
    )
