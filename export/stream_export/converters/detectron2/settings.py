"""Settings of detectron2: of a file of either style, or of a published configuration's name."""

from __future__ import annotations

import re
from pathlib import Path

from stream.errors import UsageError
from stream_export.checkpoints.settings import Settings, read_settings

CITYSCAPES = {"MIN_SIZE_TEST": 1024, "MAX_SIZE_TEST": 2048}
"""How its pictures, which are of 2048x1024, are resized, unlike COCO's."""

# Settings of the newer style (LazyConfig), by the names of the older one.
_LAZY = {
    "INPUT.FORMAT": ("model.input_format",),
    "INPUT.MIN_SIZE_TEST": ("dataloader.test.mapper.augmentations.0.short_edge_length",),
    "INPUT.MAX_SIZE_TEST": ("dataloader.test.mapper.augmentations.0.max_size",),
    "MODEL.PIXEL_MEAN": ("model.pixel_mean",),
    "MODEL.PIXEL_STD": ("model.pixel_std",),
    "MODEL.ANCHOR_GENERATOR.SIZES": ("model.proposal_generator.anchor_generator.sizes",),
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": (
        "model.proposal_generator.anchor_generator.aspect_ratios",
    ),
    "MODEL.RPN.NMS_THRESH": ("model.proposal_generator.nms_thresh",),
    "MODEL.RPN.PRE_NMS_TOPK_TEST": ("model.proposal_generator.pre_nms_topk.1",),
    "MODEL.RPN.POST_NMS_TOPK_TEST": ("model.proposal_generator.post_nms_topk.1",),
    "MODEL.RPN.BBOX_REG_WEIGHTS": ("model.proposal_generator.box2box_transform.weights",),
    "MODEL.RESNETS.DEFORM_NUM_GROUPS": ("model.backbone.bottom_up.deform_num_groups",),
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": ("model.roi_heads.box_pooler.output_size",),
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": (
        "model.roi_heads.box_pooler.sampling_ratio",
        "model.roi_heads.pooler.sampling_ratio",
    ),
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": (
        "model.roi_heads.box_pooler.pooler_type",
        "model.roi_heads.pooler.pooler_type",
    ),
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": (
        "model.roi_heads.box_predictor.box2box_transform.weights",
    ),
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": ("model.roi_heads.box_predictor.test_score_thresh",),
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": ("model.roi_heads.box_predictor.test_nms_thresh",),
    "TEST.DETECTIONS_PER_IMAGE": ("model.roi_heads.box_predictor.test_topk_per_image",),
    "DATASETS.TRAIN": ("dataloader.train.dataset.names",),
    "MODEL.RESNETS.STRIDE_IN_1X1": (
        "model.backbone.bottom_up.stages.stride_in_1x1",
        "model.backbone.stages.stride_in_1x1",
    ),
    "MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO": ("model.roi_heads.mask_pooler.sampling_ratio",),
    "MODEL.ROI_MASK_HEAD.POOLER_TYPE": ("model.roi_heads.mask_pooler.pooler_type",),
    "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": ("model.roi_heads.mask_pooler.output_size",),
    "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": ("model.roi_heads.box_predictor.use_sigmoid_ce",),
    "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": ("model.proposal_generator.min_box_size",),
    "MODEL.RPN.IN_FEATURES": ("model.proposal_generator.in_features",),
    "MODEL.ROI_HEADS.IN_FEATURES": (
        "model.roi_heads.box_in_features",
        "model.roi_heads.in_features",
    ),
    "MODEL.ANCHOR_GENERATOR.OFFSET": ("model.proposal_generator.anchor_generator.offset",),
    "MODEL.FPN.FUSE_TYPE": ("model.backbone.fuse_type",),
}


# Names of configurations that are published. Another name is of a file that is not there, whose
# settings nobody would miss.
_PUBLISHED = {
    "mask_rcnn": r"(scratch_)?mask_rcnn_(R_50|R_101|X_101_32x8d|reg\w+)_(C4|DC5|FPN|fpn)"
    r"(_noaug)?(_[139]x|_\d+ep_LSJ)?(_giou|_cls_agnostic|_dconv_c3-c5|_gn|_syncbn)?",
    "centermask": r"centermask_(lite_)?(V_|R_|X_|Mv2_)\w*FPN_ms_\dx",
}


def settings_for(config: str | None, family: str = "mask_rcnn") -> Settings:
    """The settings of a published configuration's name, or of a configuration file.

    A name tells what the weights cannot: that detectron2 compares itself with Detectron by
    pooling as that did (`noaug`), how large pictures of Cityscapes are, and how much is found in
    those of LVIS.

    Raises:
        ModelError: a file cannot be read.
        UsageError: a name is not known.
    """
    if config is None:
        return Settings()
    path = Path(config)
    if path.is_file():
        settings = read_settings(path)
        settings.aliases = _LAZY
        return settings
    name = path.name.removesuffix(".yaml").removesuffix(".py")
    if not re.fullmatch(_PUBLISHED[family], name) or path.suffix not in ("", ".yaml", ".py"):
        raise UsageError(
            f"--config {config}: it is neither a file nor a published configuration, such as "
            f"{family}_{'V_39_eSE_FPN_ms_3x' if family == 'centermask' else 'R_50_FPN_3x'}"
        )
    if "LVIS" in config:
        return Settings({"TEST": {"DETECTIONS_PER_IMAGE": 300}}, config)
    if "noaug" in name:
        head = {"POOLER_SAMPLING_RATIO": 2, "POOLER_TYPE": "ROIAlign"}
        return Settings({"MODEL": {"ROI_BOX_HEAD": head, "ROI_MASK_HEAD": head}}, config)
    if name == "mask_rcnn_R_50_FPN":
        return Settings({"INPUT": CITYSCAPES}, config)
    return Settings({}, config)
