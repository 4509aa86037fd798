"""Building the torchvision model that a checkpoint belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision.models import get_model
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN, mobilenet_backbone
from torchvision.models.detection.faster_rcnn import (
    FastRCNNConvFCHead,
    FastRCNNPredictor,
    TwoMLPHead,
)
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from stream.errors import ModelError, UsageError
from stream_export.checkpoints.pickles import StandIn
from stream_export.checkpoints.weights import refuse_left
from stream_export.converters.torchvision.weights import Layout, State, layout
from stream_export.converters.torchvision.whole import Anchors, number

_ARCH = re.compile(r"^maskrcnn_(\w+?)_fpn(_v2)?$")
_SIZES = (32, 64, 128, 256, 512)


def from_state(
    state: State,
    arch: str | None,
    where: str,
    epsilon: float | None = None,
    anchors: Anchors | None = None,
    ignore: Sequence[str] = (),
    beside: Sequence[str] = (),
) -> MaskRCNN:
    """The model that a state dict belongs to, in evaluation mode.

    Args:
        state: of a checkpoint, in today's names.
        arch: what the user takes it for; None to go by the weights alone.
        where: the checkpoint's name, for errors.
        epsilon: of the backbone's norms, which a state dict does not hold; None for 0 with a
            ResNet-50 of frozen ones (as the published weights, and whatever was tuned from them,
            have it), else 1e-5.
        anchors: that it was trained with; None for torchvision's own.
        ignore: patterns of weights that may be left over.
        beside: names of further weights in the file.

    Raises:
        ModelError: the weights are of another architecture than the user says, or of none, or some
            are left over.
        UsageError: the anchors do not fit.
    """
    found = layout(state, where)
    if arch is not None and arch != found.arch:
        raise ModelError(
            f"{where}: its weights are of {found.arch}, not of {arch}; give --arch {found.arch}"
        )
    with _Unset():
        model = build(found, anchors)
    try:
        missing, extra = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ModelError(f"{where}: its weights do not fit {found.arch}: {first}") from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing:
        raise ModelError(f"{where}: it does not fit {found.arch}: it lacks {missing[0]!r}")
    refuse_left(Path(where), [*extra, *beside], ignore, r"num_batches_tracked$")
    if epsilon is not None:
        set_epsilon(model, epsilon)
    elif found.backbone == "resnet50" and found.frozen:
        set_epsilon(model, 0.0)
    return model.eval()


class _Unset(TorchFunctionMode):
    """Leaves weights as memory is: the random numbers to begin with take longest of all here.

    What a state lacks of them is refused.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """As it is, but for what fills a tensor to begin with."""
        given = kwargs or {}
        if func in (torch.Tensor.uniform_, torch.Tensor.normal_):
            return args[0]
        if getattr(func, "__module__", "") == "torch.nn.init":
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


def matched(arch: str) -> re.Match[str]:
    """An architecture's name, taken apart.

    Raises:
        UsageError: the name is none of ours.
    """
    found = _ARCH.match(arch)
    if not found:
        raise UsageError(
            f"unknown architecture {arch!r}; it is spelt like maskrcnn_resnet50_fpn, "
            "maskrcnn_resnet50_fpn_v2, maskrcnn_resnet18_fpn or maskrcnn_mobilenet_v3_large_fpn"
        )
    return found


def random(arch: str, classes: int) -> MaskRCNN:
    """A model with random weights, the same each time, in evaluation mode.

    Raises:
        UsageError: the architecture's name is none of ours.
    """
    found = matched(arch)
    mobile = found[1].startswith("mobilenet")
    shape = Layout(
        backbone=found[1],
        version=2 if found[2] else 1,
        classes=classes,
        frozen=not found[2],
        anchors=15 if mobile else 3,
        pyramid=256,
        mask_channels=256,
        hidden=1024,
    )
    state = torch.random.get_rng_state()
    try:
        torch.manual_seed(0)
        return build(shape).eval()
    except (ValueError, KeyError) as error:
        raise UsageError(f"torchvision has no backbone {found[1]!r} for {arch!r}") from error
    finally:
        torch.random.set_rng_state(state)


def parse_anchors(sizes: str | None, ratios: str | None) -> Anchors | None:
    """What `--anchors` and `--ratios` say; None where neither is given.

    Raises:
        UsageError: they are no numbers above 0.
    """
    if sizes is None and ratios is None:
        return None

    def numbers(option: str, text: str, sign: str) -> tuple[float, ...]:
        try:
            found = tuple(float(one) for one in text.split(sign))
        except ValueError:
            found = ()
        if not found or not all(0 < one < 1e5 for one in found):
            raise UsageError(f"{option} {text!r}: write numbers above 0, such as 32,64,128,256,512")
        return found

    levels = tuple(numbers("--anchors", level, "+") for level in (sizes or "").split(",") if sizes)
    return levels, (numbers("--ratios", ratios or "0.5,1,2", ","),)


def _levels(shape: Layout, maps: int, anchors: Anchors | None) -> Anchors:
    """Sizes and ratios of each level, as given, else as torchvision's builders have them."""
    sizes, ratios = anchors or ((), ((0.5, 1.0, 2.0),))
    if len(ratios) == 1:
        ratios *= maps
    if not sizes:
        per_level = shape.anchors // len(ratios[0])
        one = per_level == 1
        sizes = tuple((size,) for size in _SIZES) if one else (_SIZES[:per_level],) * maps
    fits = all(len(a) * len(b) == shape.anchors for a, b in zip(sizes, ratios, strict=False))
    if len(sizes) != maps or len(ratios) != maps or not fits:
        raise UsageError(
            f"{shape.arch} has {shape.anchors} anchors per cell on {maps} levels here; give as "
            "many with --anchors (sizes of levels with commas, several of a level with +) and "
            "--ratios"
        )
    return sizes, ratios


def _norms(model: MaskRCNN) -> Iterator[tuple[str, FrozenBatchNorm2d | nn.BatchNorm2d]]:
    """The norms of a model's backbone by name, without its pyramid's."""
    for name, one in model.backbone.body.named_modules(prefix="backbone.body"):
        if isinstance(one, FrozenBatchNorm2d | nn.BatchNorm2d):
            yield name, one


def set_epsilon(model: MaskRCNN, epsilon: float) -> None:
    """Gives all norms of a model's backbone one epsilon."""
    for _, norm in _norms(model):
        norm.eps = epsilon


def epsilon_is_unknown(model: MaskRCNN, whole: StandIn | None) -> bool:
    """Whether a backbone may have another epsilon than it was built with, and no file says which.

    Norms of a ResNet have 1e-5 everywhere, but where they were frozen; those of a MobileNetV3 have
    1e-3 or 1e-5, as whoever built it wanted.
    """
    name, norm = next(_norms(model))
    if whole is not None and number(whole.attribute(f"{name}.eps")) is not None:
        return False
    return isinstance(norm, FrozenBatchNorm2d) or not hasattr(model.backbone.body, "layer1")


def epsilon_of(model: MaskRCNN) -> float:
    """The epsilon of the first norm of a model's backbone."""
    return float(next(_norms(model))[1].eps)


def build(shape: Layout, anchors: Anchors | None = None) -> MaskRCNN:
    """An empty model of a layout, as torchvision's own builders make it.

    Raises:
        UsageError: the anchors do not fit the layout.
    """
    norm: Callable[..., nn.Module] = FrozenBatchNorm2d if shape.frozen else nn.BatchNorm2d
    channels = shape.pyramid
    backbone = _backbone(shape, norm)
    maps = len(backbone.fpn.inner_blocks) + (2 if shape.further else 1)
    sizes, ratios = _levels(shape, maps, anchors)
    options: dict[str, nn.Module] = {}
    if shape.version == 2:
        options["rpn_head"] = RPNHead(channels, shape.anchors, conv_depth=2)
        options["box_head"] = FastRCNNConvFCHead(
            (channels, 7, 7), [256, 256, 256, 256], [shape.hidden], norm_layer=nn.BatchNorm2d
        )
        options["mask_head"] = MaskRCNNHeads(
            channels, [256, 256, 256, 256], 1, norm_layer=nn.BatchNorm2d
        )
    else:
        options["box_head"] = TwoMLPHead(channels * 49, shape.hidden)
    return MaskRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(sizes, ratios),
        box_predictor=FastRCNNPredictor(shape.hidden, shape.classes),
        mask_predictor=MaskRCNNPredictor(256, shape.mask_channels, shape.classes),
        **options,
    )


def classes_of(model: MaskRCNN) -> int:
    """How many classes a model tells apart, without background."""
    return int(model.roi_heads.box_predictor.cls_score.out_features) - 1


def _backbone(shape: Layout, norm: Callable[..., nn.Module]) -> BackboneWithFPN:
    channels = shape.pyramid
    extra = LastLevelP6P7(shape.further, channels) if shape.further else LastLevelMaxPool()
    if shape.backbone.startswith("mobilenet"):
        return mobilenet_backbone(
            backbone_name=shape.backbone,
            weights=None,
            fpn=True,
            norm_layer=norm,
            trainable_layers=6,
            extra_blocks=extra,
        )
    body = get_model(shape.backbone, weights=None, norm_layer=norm)
    width = int(body.inplanes) // 8
    return BackboneWithFPN(
        body,
        {f"layer{stage}": str(index) for index, stage in enumerate(shape.stages)},
        [width * 2 ** (stage - 1) for stage in shape.stages],
        shape.pyramid,
        extra_blocks=extra,
        norm_layer=nn.BatchNorm2d if shape.version == 2 else None,
    )
