"""What a Mask R-CNN of detectron2 is made of: from shapes, settings, and published values."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from stream.errors import ModelError, UsageError
from stream.wording.words import counted
from stream_export.blocks.deformable import Deformable
from stream_export.checkpoints.settings import Settings
from stream_export.checkpoints.weights import Weights
from stream_export.converters.detectron2.form import RcnnConfig

_RESNEXT_DEVIATION = (57.375, 57.12, 58.395)
_SIZES = (32.0, 64.0, 128.0, 256.0, 512.0)
RPN, BOX, MASK = "proposal_generator.rpn_head", "roi_heads.box_head", "roi_heads.mask_head"

# What would make another network of the same weights, and what is supported of it.
_FIXED: dict[str, tuple[object, ...]] = {
    "MODEL.META_ARCHITECTURE": ("GeneralizedRCNN",),
    "MODEL.ROI_HEADS.NAME": ("StandardROIHeads", "Res5ROIHeads"),
    "MODEL.RPN.HEAD_NAME": ("StandardRPNHead",),
    "MODEL.ANCHOR_GENERATOR.NAME": ("DefaultAnchorGenerator",),
    "MODEL.ANCHOR_GENERATOR.OFFSET": (0.0,),
    "MODEL.FPN.FUSE_TYPE": ("sum",),
    "MODEL.PROPOSAL_GENERATOR.NAME": ("RPN",),
    "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": (0.0,),
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": ("ROIAlignV2", "ROIAlign"),
    "MODEL.ROI_MASK_HEAD.POOLER_TYPE": ("ROIAlignV2", "ROIAlign"),
    "INPUT.FORMAT": ("BGR", "RGB"),
    "model.backbone.square_pad": (0,),
}

# What of the body's maps is looked at, and whether its last stage dilates.
_OF_BODY: dict[str, dict[str, object]] = {
    "fpn": {
        "MODEL.RPN.IN_FEATURES": ["p2", "p3", "p4", "p5", "p6"],
        "MODEL.ROI_HEADS.IN_FEATURES": ["p2", "p3", "p4", "p5"],
        "MODEL.RESNETS.RES5_DILATION": 1,
    },
    "c4": {
        "MODEL.RPN.IN_FEATURES": ["res4"],
        "MODEL.ROI_HEADS.IN_FEATURES": ["res4"],
        "MODEL.RESNETS.RES5_DILATION": 1,
    },
    "dc5": {
        "MODEL.RPN.IN_FEATURES": ["res5"],
        "MODEL.ROI_HEADS.IN_FEATURES": ["res5"],
        "MODEL.RESNETS.RES5_DILATION": 2,
    },
}


def configure(weights: Weights, settings: Settings | None = None) -> RcnnConfig:
    """The configuration, from shapes where they tell it, else the settings, else the published one.

    Raises:
        ModelError: the weights are of another architecture.
        UsageError: the settings contradict the weights.
    """
    settings = settings or Settings()
    _refuse_others(weights)
    for name, known in _FIXED.items():
        if (value := settings.get(name, known[0])) not in known:
            raise UsageError(
                f"{settings.source}: {name} is {value!r}; only {' or '.join(map(str, known))} is "
                "supported"
            )
    fpn = "backbone.fpn_lateral2.weight" in weights
    c4 = "roi_heads.res5.0.conv1.weight" in weights
    prefix = prefix_of(weights)
    counts = tuple(
        weights.count(rf"{re.escape(stage_name(weights, stage))}\.(\d+)\.conv1\.weight$")
        for stage in (2, 3, 4, 5)
    )
    inner, width = weights.shape(f"{prefix}.res2.0.conv2.weight")[:2]
    groups = inner // width
    classes = weights.shape("roi_heads.box_predictor.cls_score.weight")[0] - 1
    told = settings.whole("MODEL.ROI_HEADS.NUM_CLASSES", classes)
    if told != classes:
        raise UsageError(
            f"{settings.source}: it says {counted(told, 'class', 'classes')}, the weights have "
            f"{classes}; it belongs to another model"
        )
    box_layers = weights.chain(f"{BOX}.fc{{}}.weight")
    pooling = f"MODEL.ROI_{'BOX' if c4 else 'MASK'}_HEAD.POOLER"
    defaults = RcnnConfig(
        body="fpn" if fpn else "c4" if c4 else "dc5",
        proposals_before=1000 if fpn else 6000,
        deviation=(1.0, 1.0, 1.0) if groups == 1 else _RESNEXT_DEVIATION,
        anchor_sizes=tuple((size,) for size in _SIZES) if fpn else (_SIZES,),
    )
    for name, only in _OF_BODY[defaults.body].items():
        value = settings.get(name, only)
        if (list(value) if isinstance(value, tuple) else value) != only:
            raise UsageError(
                f"{settings.source}: {name} is {value!r}; of such a body only {only!r} is supported"
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
        mean=colours(weights, settings, "mean", defaults.mean),
        deviation=colours(weights, settings, "std", defaults.deviation),
        order="rgb" if settings.get("INPUT.FORMAT", "BGR") == "RGB" else "bgr",
        multiple_of=settings.whole("INPUT.SIZE_DIVISIBILITY", 32) if fpn else 1,
        anchor_sizes=_sizes(weights, settings, defaults),
        ratios=_ratios(settings, defaults),
        hidden=_proposal_channels(weights),
        proposals_before=settings.whole(
            f"{model}.RPN.PRE_NMS_TOPK_TEST", defaults.proposals_before
        ),
        proposals_after=settings.whole(f"{model}.RPN.POST_NMS_TOPK_TEST", 1000),
        proposal_iou=settings.number(f"{model}.RPN.NMS_THRESH", 0.7),
        proposal_weights=_four(
            settings, f"{model}.RPN.BBOX_REG_WEIGHTS", defaults.proposal_weights
        ),
        box_pool=14 if c4 else settings.whole(f"{model}.ROI_BOX_HEAD.POOLER_RESOLUTION", 7),
        box_weights=_four(settings, f"{model}.ROI_BOX_HEAD.BBOX_REG_WEIGHTS", defaults.box_weights),
        box_convs=weights.chain(f"{BOX}.conv{{}}.weight"),
        box_layers=box_layers,
        classes=classes,
        box_classes=weights.shape("roi_heads.box_predictor.bbox_pred.weight")[0] // 4,
        mask_pool=settings.whole("MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION", 14),
        mask_convs=weights.chain(f"{MASK}.mask_fcn{{}}.weight"),
        mask_channels=weights.shape(f"{MASK}.deconv.weight")[1],
        mask_classes=weights.shape(f"{MASK}.predictor.weight")[0],
        sampling_ratio=settings.whole(f"{model}.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO", 0, least=0),
        aligned=settings.get(f"{model}.ROI_BOX_HEAD.POOLER_TYPE", "ROIAlignV2") == "ROIAlignV2",
        mask_sampling_ratio=settings.whole(f"{pooling}_SAMPLING_RATIO", 0, least=0),
        mask_aligned=settings.get(f"{pooling}_TYPE", "ROIAlignV2") == "ROIAlignV2",
        sigmoid=bool(settings.get(f"{model}.ROI_BOX_HEAD.USE_SIGMOID_CE", False)),
        score=settings.number(f"{heads}.SCORE_THRESH_TEST", 0.05),
        iou=settings.number(f"{heads}.NMS_THRESH_TEST", 0.5),
        detections=settings.whole("TEST.DETECTIONS_PER_IMAGE", 100),
        deformable=_deformable(weights, settings, counts),
    )
    anchors = weights.shape(f"{RPN}.objectness_logits.weight")[0]
    if anchors != len(config.anchor_sizes[0]) * len(config.ratios):
        raise UsageError(
            f"{weights.path}: it has {counted(anchors, 'anchor')} per cell; give --config with "
            "MODEL.ANCHOR_GENERATOR.SIZES and ASPECT_RATIOS"
        )
    return config


SUPPORTED = (
    "what can be converted has a ResNet (50 or deeper) or ResNeXt with FPN, C4 or dilated C5, "
    "batch norms, and one box head"
)


def _refuse_others(weights: Weights) -> None:
    def held(*parts: str) -> bool:
        return any(part in name for name in weights for part in parts)

    why = ""
    if f"{RPN}.objectness_logits.weight" not in weights:
        why = "it has no proposal network, so it is no Mask R-CNN of detectron2"
    elif held("roi_heads.box_predictor.0."):
        why = "it is a cascade, whose several box heads are not supported"
    elif "roi_heads.box_predictor.cls_score.weight" not in weights:
        why = "its box head is not the standard one, which alone is supported"
    elif held("mask_head.point_head", "mask_head.coarse_head", "mask_point_head", "mask_coarse"):
        why = "it is a PointRend, whose head of points is not supported"
    elif f"{MASK}.deconv.weight" not in weights:
        why = "it has no mask head (a Faster R-CNN?), or another than the standard one"
    elif f"{prefix_of(weights)}.stem.conv1.weight" not in weights:
        kinds = {".attn.": "a transformer (Swin, ViT or MViT)", ".s1.b1.": "a RegNet"}
        kind = next((words for part, words in kinds.items() if held(part)), "no ResNet")
        why = f"its body is {kind}, which is not supported"
    elif not held(".res2.0.conv3."):
        why = "its body is a ResNet without bottlenecks (18 or 34), which is not supported"
    elif held("stem.conv1.norm.weight") and not held("stem.conv1.norm.running_var"):
        why = "its norms are group norms (GN), which are not supported"
    if why:
        raise ModelError(f"{weights.path}: {why}; {SUPPORTED}")


def prefix_of(weights: Weights) -> str:
    """What stands before the names of the body's layers."""
    found = "backbone.bottom_up.stem.conv1.weight" in weights
    return "backbone.bottom_up" if found else "backbone"


def stage_name(weights: Weights, stage: int) -> str:
    """What stands before the names of a stage's blocks, 2 to 5; the last may be part of a head."""
    if stage == 5 and "roi_heads.res5.0.conv1.weight" in weights:
        return "roi_heads.res5"
    return f"{prefix_of(weights)}.res{stage}"


def _proposal_channels(weights: Weights) -> tuple[int, ...]:
    single = f"{RPN}.conv.weight"
    if single in weights:
        return (weights.shape(single)[0],)
    return weights.chain(f"{RPN}.conv.conv{{}}.weight", first=0)


def colours_held(weights: Weights, part: str) -> tuple[float, ...]:
    """The mean or the deviation ("std") that the weights hold; empty where they hold none."""
    name = f"pixel_{part}"
    if name not in weights:
        return ()
    found = tuple(round(float(one), 4) for one in weights[name].flatten())
    # Files that were put together by hand hold zeros.
    return found if len(found) == 3 and any(found) else ()


def colours(
    weights: Weights, settings: Settings, part: str, default: tuple[float, ...]
) -> tuple[float, ...]:
    """Three numbers: as the settings say, else as the weights do where they hold them.

    Args:
        weights: of a checkpoint.
        settings: of the model.
        part: "mean" or "std".
        default: where nothing tells.

    Raises:
        UsageError: they are not three numbers.
    """
    values = settings.numbers(f"MODEL.PIXEL_{part.upper()}", colours_held(weights, part) or default)
    if len(values) != 3 or (part == "std" and 0 in values):
        raise UsageError(
            f"{settings.source or weights.path}: MODEL.PIXEL_{part.upper()} is {values}, three "
            "numbers are needed"
        )
    return values


def _deformable(
    weights: Weights, settings: Settings, counts: tuple[int, ...]
) -> tuple[tuple[Deformable | None, ...], ...]:
    """What the weights say of each bottleneck's deformable convolution."""

    def of(name: str) -> Deformable | None:
        offsets = f"{name}.conv2_offset.weight"
        if offsets not in weights:
            return None
        outputs = weights.shape(offsets)[0]
        groups = settings.whole("MODEL.RESNETS.DEFORM_NUM_GROUPS", 0, least=0)
        for each, modulated in ((27, True), (18, False)):
            if outputs % each == 0 and groups in (0, outputs // each):
                return Deformable(outputs // each, modulated)
        raise ModelError(
            f"{weights.path}: the weight {offsets!r} has {outputs} outputs, which are not those "
            "of a deformable convolution of 3x3"
        )

    return tuple(
        tuple(of(f"{stage_name(weights, stage)}.{number}") for number in range(count))
        for stage, count in enumerate(counts, 2)
    )


def anchors_held(weights: Weights) -> tuple[tuple[float, ...], ...]:
    """Edges of the anchors of each level, where the weights hold them; empty elsewhere."""
    found: list[tuple[float, ...]] = []
    name = "proposal_generator.anchor_generator.cell_anchors.{}"
    while name.format(len(found)) in weights:
        cells = weights[name.format(len(found))].double()
        if cells.ndim != 2 or cells.shape[1] != 4:
            return ()
        areas = (cells[:, 2] - cells[:, 0]) * (cells[:, 3] - cells[:, 1])
        edges = sorted({round(float(area) ** 0.5, 1) for area in areas})
        if not edges or edges[0] <= 0 or edges[-1] != edges[-1]:
            return ()
        found.append(tuple(edges))
    return tuple(found)


def _sizes(
    weights: Weights, settings: Settings, defaults: RcnnConfig
) -> tuple[tuple[float, ...], ...]:
    given = settings.get("MODEL.ANCHOR_GENERATOR.SIZES")
    held = anchors_held(weights)
    if given is None and len(held) == len(defaults.anchor_sizes):
        return held
    if given is None:
        return defaults.anchor_sizes
    try:
        sizes = tuple(tuple(float(size) for size in level) for level in given)
    except (TypeError, ValueError):
        raise UsageError(
            f"{settings.source}: MODEL.ANCHOR_GENERATOR.SIZES is {given!r}, a list of lists of "
            "numbers is needed"
        ) from None
    if not sizes or not all(level and min(level) > 0 for level in sizes):
        raise UsageError(
            f"{settings.source}: MODEL.ANCHOR_GENERATOR.SIZES is {given!r}, edges above 0 are "
            "needed for every level"
        )
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
    listed: Any = first if nested else given
    if (
        not first
        or (nested and any(not isinstance(one, list | tuple) for one in given))
        or (nested and any(list(level) != list(first) for level in given))
        or not all(isinstance(one, int | float) and one > 0 for one in listed)
    ):
        raise UsageError(
            f"{settings.source}: MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS is {given!r}, one list for "
            "all levels is needed"
        )
    return tuple(float(ratio) for ratio in listed)


def _four(
    settings: Settings, name: str, default: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    values = settings.numbers(name, default)
    if len(values) != 4:
        raise UsageError(f"{settings.source}: {name} has {len(values)} numbers, 4 are needed")
    return values[0], values[1], values[2], values[3]
