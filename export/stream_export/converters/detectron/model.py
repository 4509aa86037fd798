"""Detectron's Mask R-CNN (Caffe2): ResNet and ResNeXt with FPN.

The weights are read as detectron2 reads them; its legacy widths of boxes (one more than the
difference of corners), anchor rounding and integer pasting are not brought back.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from stream.errors import ModelError, UsageError
from stream.types import Array
from stream_export.checkpoints.pickles import arrays_of
from stream_export.checkpoints.settings import Settings
from stream_export.checkpoints.torch_files import read_pickle
from stream_export.checkpoints.weights import Weights, fits
from stream_export.converters._request import Converted, Request
from stream_export.converters.detectron2 import model as detectron2
from stream_export.converters.detectron2.config import configure
from stream_export.names import data_set

# Caffe2's names, in order, and detectron2's.
_RULES = [
    (r"^conv1(?=_w$)", "backbone.bottom_up.stem.conv1"),
    (r"^res_conv1_bn", "backbone.bottom_up.stem.conv1.norm"),
    (r"^res(\d)_(\d+)_branch1_bn", r"backbone.bottom_up.res\1.\2.shortcut.norm"),
    (r"^res(\d)_(\d+)_branch1(?=_w$)", r"backbone.bottom_up.res\1.\2.shortcut"),
    (r"^res(\d)_(\d+)_branch2a_bn", r"backbone.bottom_up.res\1.\2.conv1.norm"),
    (r"^res(\d)_(\d+)_branch2b_bn", r"backbone.bottom_up.res\1.\2.conv2.norm"),
    (r"^res(\d)_(\d+)_branch2c_bn", r"backbone.bottom_up.res\1.\2.conv3.norm"),
    (r"^res(\d)_(\d+)_branch2a(?=_w$)", r"backbone.bottom_up.res\1.\2.conv1"),
    (r"^res(\d)_(\d+)_branch2b(?=_w$)", r"backbone.bottom_up.res\1.\2.conv2"),
    (r"^res(\d)_(\d+)_branch2c(?=_w$)", r"backbone.bottom_up.res\1.\2.conv3"),
    (r"^fpn_inner_res(\d)_\d+_sum(_lateral)?(?=_[wb]$)", r"backbone.fpn_lateral\1"),
    (r"^fpn_res(\d)_\d+_sum(?=_[wb]$)", r"backbone.fpn_output\1"),
    (r"^conv_rpn_fpn2(?=_[wb]$)", "proposal_generator.rpn_head.conv"),
    (r"^rpn_cls_logits_fpn2(?=_[wb]$)", "proposal_generator.rpn_head.objectness_logits"),
    (r"^rpn_bbox_pred_fpn2(?=_[wb]$)", "proposal_generator.rpn_head.anchor_deltas"),
    (r"^fc6(?=_[wb]$)", "roi_heads.box_head.fc1"),
    (r"^fc7(?=_[wb]$)", "roi_heads.box_head.fc2"),
    (r"^cls_score(?=_[wb]$)", "roi_heads.box_predictor.cls_score"),
    (r"^bbox_pred(?=_[wb]$)", "roi_heads.box_predictor.bbox_pred"),
    (r"^_\[mask\]_fcn(\d)(?=_[wb]$)", r"roi_heads.mask_head.mask_fcn\1"),
    (r"^conv5_mask(?=_[wb]$)", "roi_heads.mask_head.deconv"),
    (r"^mask_fcn_logits(?=_[wb]$)", "roi_heads.mask_head.predictor"),
]
_ENDINGS = {"_w": ".weight", "_b": ".bias", "_s": ".weight"}

# Detectron's own, and how detectron2 pools for its models.
_SETTINGS = Settings(
    {
        "MODEL": {
            "PIXEL_MEAN": [102.9801, 115.9465, 122.7717],
            "PIXEL_STD": [1.0, 1.0, 1.0],
            "ROI_BOX_HEAD": {"POOLER_SAMPLING_RATIO": 2, "POOLER_TYPE": "ROIAlign"},
            "ROI_MASK_HEAD": {"POOLER_SAMPLING_RATIO": 2, "POOLER_TYPE": "ROIAlign"},
        }
    },
    "Detectron",
)


# Momenta, what is kept of ImageNet's classifier, and the stem's bias, which Detectron's networks
# have no use for (the normalisation behind it has one).
_HARMLESS = r"_momentum$|^fc1000_[wb]$|^conv1_b$|^(lr|weight_order)$"


def read_weights(path: Path) -> tuple[Weights, str]:
    """Reads Caffe2's blobs under detectron2's names, background last.

    Momenta, and blobs kept of ImageNet's classifier, are left out.

    Returns:
        The weights, and the configuration's text that lies beside them.

    Raises:
        ModelError: the file is damaged, holds no blobs, or is not of an FPN model.
    """
    content = read_pickle(path)
    blobs = content.get("blobs") if isinstance(content, dict) else None
    if not isinstance(blobs, dict):
        raise ModelError(f"{path}: it holds no blobs of Caffe2, so it is not Detectron's")
    if "conv_rpn_fpn2_w" not in blobs or "mask_fcn_logits_w" not in blobs:
        raise ModelError(f"{path}: of Detectron's models, Mask R-CNN with FPN can be converted")
    found: dict[str, Array] = {}
    beside = []
    for name, value in arrays_of(blobs).items():
        renamed = _renamed(name)
        if renamed is not None:
            found[renamed] = _reordered(renamed, value)
        elif not re.search(_HARMLESS, name):
            beside.append(name)
    for name in [name for name in found if name.endswith(".norm.weight")]:
        # Affine channels have no statistics. detectron2 takes 0 and 1 for them and adds its
        # epsilon all the same, 5e-6 of a scale that adds up over fifty layers.
        size = found[name].shape
        found[name.replace(".weight", ".running_mean")] = np.zeros(size)
        found[name.replace(".weight", ".running_var")] = np.ones(size)
    return Weights(path, found, beside), str(content.get("cfg") or "")


def _renamed(name: str) -> str | None:
    for pattern, replacement in _RULES:
        renamed, changed = re.subn(pattern, replacement, name)
        if changed and renamed[-2:] in _ENDINGS:
            return renamed[:-2] + _ENDINGS[renamed[-2:]]
    return None


def _reordered(name: str, value: Array) -> Array:
    """Moves the background from the first class to the last, or drops it where it has no use."""
    part = name.rsplit(".", 1)[0]
    if part == "roi_heads.box_predictor.cls_score":
        return np.concatenate([value[1:], value[:1]])
    if part == "roi_heads.box_predictor.bbox_pred":
        return value[4:]
    if part == "roi_heads.mask_head.predictor" and len(value) > 1:
        return value[1:]
    return value


@fits
def convert(request: Request) -> Converted:
    """Converts a checkpoint of Detectron.

    Raises:
        ModelError: the file is damaged or of another architecture.
        UsageError: the request contradicts the file, or lacks what the file does not say.
    """
    if request.config is not None:
        raise UsageError("--config: Detectron's files need none; leave it out")
    weights, text = read_weights(request.checkpoint)
    settings = _SETTINGS.above(request.settings)
    config = configure(weights, settings)
    datasets = re.search(r"DATASETS:.*", text)
    named = data_set(datasets[0]) if datasets else None
    return detectron2.assemble(
        request,
        weights,
        config,
        settings,
        origin=f"Detectron (Caffe2), {detectron2.describe(config)}, {request.checkpoint.name}",
        told=(named, "the file's configuration names it") if named else None,
    )
