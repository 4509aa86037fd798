"""Reading torchvision checkpoints: any age, any wrapping, nothing executed."""

from __future__ import annotations

import re
import urllib.error
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stream.errors import ModelError
from stream.wording.words import counted
from stream_export.checkpoints.states import Place, load_weights

State = dict[str, Tensor]

# Names before torchvision 0.13, and those of today.
_RENAMED = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^rpn\.head\.conv\.(weight|bias)$"), r"rpn.head.conv.0.0.\1"),
)
_OLD_MASK = re.compile(r"^roi_heads\.mask_head\.mask_fcn(\d+)\.(weight|bias)$")
_SIGNS = ("rpn.head.cls_logits.weight", "roi_heads.box_predictor.cls_score.weight")
_MASK = "roi_heads.mask_predictor.conv5_mask.weight"
_CLASSES = "roi_heads.box_predictor.cls_score.weight"
_LAST = "roi_heads.mask_predictor.mask_fcn_logits.weight"
_FURTHER = "backbone.fpn.extra_blocks.p6.weight"
_IN_PYTHON = (
    "in Python stream_export.converters.torchvision.convert exports the model itself, whatever its "
    "backbone"
)


def read_place(path: Path, key: str | None = None) -> tuple[Place, State]:
    """Reads a checkpoint: where in it the weights lie, and the state dict in today's names.

    Raises:
        ModelError: the file is missing, damaged, holds code, or is not torchvision's.
        UsageError: there is nothing under the key.
    """
    place = load_weights(path, _SIGNS, "torchvision's", key)
    return place, normalise(place.tensors, str(path))


def normalise(content: Mapping[str, Any], where: str) -> State:
    """A state dict in today's names.

    Raises:
        ModelError: it is not a torchvision Mask R-CNN's.
    """
    state: State = {}
    for key, value in content.items():
        name = key
        for pattern, replacement in _RENAMED:
            name = pattern.sub(replacement, name)
        old = _OLD_MASK.match(name)
        if old:
            name = f"roi_heads.mask_head.{int(old[1]) - 1}.0.{old[2]}"
        state[name] = torch.as_tensor(value)
    if not any(one in state for one in _SIGNS):
        raise ModelError(f"{where}: it is no torchvision Mask R-CNN (not torchvision's)")
    if not any(name.startswith("roi_heads.mask_") for name in state):
        raise ModelError(f"{where}: it is no torchvision Mask R-CNN (a Faster R-CNN without masks)")
    lacks = next((one for one in (_CLASSES, _LAST) if one not in state), None)
    if lacks is not None:
        raise ModelError(
            f"{where}: it lacks the weight {lacks!r}, so a part of its network is not "
            f"torchvision's or has another name; {_IN_PYTHON}"
        )
    return state


_STAGES = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a state dict's shapes say of the network.

    Attributes:
        backbone: torchvision's name, such as "resnet50" or "mobilenet_v3_large".
        version: 2 for the heads with norms of `maskrcnn_resnet50_fpn_v2`, else 1.
        classes: including background.
        frozen: whether the backbone's norms were frozen.
        anchors: per cell.
        pyramid: channels of the FPN.
        mask_channels: of the mask predictor's upsampling layer.
        hidden: size of the box head's last layer.
        stages: of a ResNet, whose maps the FPN takes, from 1 on.
        further: channels that two layers with weights see, which make further maps (P6 and P7); 0
            where a layer that pools makes one.
    """

    backbone: str
    version: int
    classes: int
    frozen: bool
    anchors: int
    pyramid: int
    mask_channels: int
    hidden: int
    stages: tuple[int, ...] = _STAGES
    further: int = 0

    @property
    def arch(self) -> str:
        """The name that `--arch` takes."""
        return f"maskrcnn_{self.backbone}_fpn" + ("_v2" if self.version == 2 else "")


# Blocks in layer3, whether they are bottlenecks, and channels of the 3x3 convolution in layer1.
_RESNETS = {
    (2, False, 64): "resnet18",
    (6, False, 64): "resnet34",
    (6, True, 64): "resnet50",
    (23, True, 64): "resnet101",
    (36, True, 64): "resnet152",
    (6, True, 128): "resnext50_32x4d",
    (23, True, 256): "resnext101_32x8d",
}


def layout(state: State, where: str) -> Layout:
    """Reads a network's layout off its weights.

    Raises:
        ModelError: the backbone is none that torchvision's builders make.
    """
    fpn = "backbone.fpn.inner_blocks.0.0.weight"
    for name in (fpn, _CLASSES, "rpn.head.cls_logits.weight", _MASK):
        if name in state and state[name].ndim != (2 if name == _CLASSES else 4):
            raise ModelError(
                f"{where}: the weight {name!r} has the shape {list(state[name].shape)}, which is "
                "none of a layer's"
            )
    for name in ("rpn.head.cls_logits.weight", _MASK):
        if name not in state:
            raise ModelError(f"{where}: it lacks the weight {name!r}")
    if fpn not in state:
        raise ModelError(
            f"{where}: its backbone has no FPN, which this command needs; {_IN_PYTHON}"
        )
    if "backbone.body.conv1.weight" in state:
        blocks = {
            m[1] for m in map(re.compile(r"backbone\.body\.layer3\.(\d+)\.").match, state) if m
        }
        deep = "backbone.body.layer1.0.conv3.weight" in state
        first = state.get("backbone.body.layer1.0.conv2.weight", torch.zeros(0))
        if first.ndim != 4:
            raise ModelError(f"{where}: it lacks the weight 'backbone.body.layer1.0.conv2.weight'")
        key = (len(blocks), deep, first.shape[0])
        if key not in _RESNETS or (first.shape[0] == 128 and first.shape[1] == 128):
            wide = {6: "wide_resnet50_2", 23: "wide_resnet101_2"}.get(len(blocks))
            if wide is None or first.shape[:2] != (128, 128):
                raise ModelError(
                    f"{where}: its backbone is no ResNet of torchvision's {key}; {_IN_PYTHON}"
                )
            backbone = wide
        else:
            backbone = _RESNETS[key]
    elif state.get("backbone.body.0.0.weight", torch.zeros(0)).shape[:1] == (16,):
        last = state[max(_numbered(state), key=lambda item: item[0])[1]]
        backbone = "mobilenet_v3_large" if last.shape[0] == 960 else "mobilenet_v3_small"
    else:
        raise ModelError(
            f"{where}: its backbone is neither a ResNet nor a MobileNetV3; {_IN_PYTHON}"
        )
    _refuse_other_colours(state, where)
    return Layout(
        backbone=backbone,
        version=2 if "backbone.fpn.inner_blocks.0.1.weight" in state else 1,
        classes=state[_CLASSES].shape[0],
        frozen=not any(
            name.startswith("backbone.body.") and name.endswith("num_batches_tracked")
            for name in state
        ),
        anchors=state["rpn.head.cls_logits.weight"].shape[0],
        pyramid=state[fpn].shape[0],
        mask_channels=state[_MASK].shape[1],
        hidden=state[_CLASSES].shape[1],
        stages=_stages(state, where),
        further=state[_FURTHER].shape[1] if _FURTHER in state else 0,
    )


def _refuse_other_colours(state: State, where: str) -> None:
    """Makes sure that a network looks at red, green and blue.

    Raises:
        ModelError: at fewer or more.
    """
    for name in ("backbone.body.conv1.weight", "backbone.body.0.0.weight"):
        if name in state and state[name].shape[1:2] != (3,):
            count = state[name].shape[1:2].numel()
            raise ModelError(
                f"{where}: its first layer {name!r} looks at {counted(count, 'channel')}; "
                "pictures have three here, red, green and blue"
            )


def _stages(state: State, where: str) -> tuple[int, ...]:
    """Whose maps an FPN takes, told by their channels, which double from stage to stage.

    Raises:
        ModelError: no stages of a ResNet have so many.
    """
    pattern = re.compile(r"backbone\.fpn\.inner_blocks\.(\d+)\.0\.weight$")
    taken = sorted((int(m[1]), name) for name in state if (m := pattern.match(name)))
    last = re.compile(r"backbone\.body\.layer1\.0\.(conv[23])\.weight$")
    closing = max((name for name in state if last.match(name)), default=None)
    if closing is None:  # no ResNet
        return _STAGES
    width = state[closing].shape[0]
    known = {width * 2**index: index + 1 for index in range(4)}
    found = tuple(known.get(state[name].shape[1:2].numel(), 0) for _, name in taken)
    if 0 in found or list(found) != sorted(set(found)):
        raise ModelError(f"{where}: its FPN takes other maps than a ResNet's; {_IN_PYTHON}")
    return found


def _numbered(state: State) -> list[tuple[int, str]]:
    pattern = re.compile(r"backbone\.body\.(\d+)\.0\.weight$")
    return [(int(found[1]), name) for name in state if (found := pattern.match(name))]


def published(arch: str, name: str | None) -> State:
    """Torchvision's own weights for an architecture, from its cache or from the net.

    Args:
        arch: such as "maskrcnn_resnet50_fpn".
        name: such as "COCO_V1"; None for torchvision's default.

    Raises:
        ModelError: there are none, or they cannot be fetched: which file to put where.
    """
    from torchvision.models import get_model_weights

    try:
        entries = get_model_weights(arch)
        entry = entries["DEFAULT" if name is None else name.rsplit(".", 1)[-1]]
    except (ValueError, KeyError) as error:
        raise ModelError(
            f"torchvision publishes no weights {f'{name!r} ' if name else ''}for {arch!r}; give a "
            "checkpoint with --weights FILE, or --weights random"
        ) from error
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = entry.url.rsplit("/", 1)[-1]
    try:
        state = entry.get_state_dict(progress=False, check_hash=True, map_location="cpu")
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise ModelError(
            f"cannot fetch the weights of {arch} ({error}); fetch {entry.url} on another machine "
            f"and put it at {folder / file}, or give it with --weights {file}"
        ) from error
    return normalise(state, file)
