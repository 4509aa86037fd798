"""From a torchvision model, or whatever holds its weights, to the contract."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.errors import ModelError, UsageError
from stream.inference.contract import Metadata, Resize
from stream.wording.words import counted
from stream_export.checkpoints.settings import Setting
from stream_export.converters.torchvision.whole import (
    anchors_of,
    inside_of,
    number,
    settle,
    size_of,
)
from stream_export.options import edges_of, parse_size, unknown_setting
from stream_export.registry import OPTIONS_KEY, Kept, need_extra

if TYPE_CHECKING:
    import onnx
    from torchvision.models.detection import MaskRCNN

    from stream_export.checkpoints.pickles import StandIn

SYSTEM = "torchvision"
SIZE = "800/1333"

# torchvision's names of what weights do not tell, and where its model keeps them.
_SETTINGS = {
    "image_mean": "transform.image_mean",
    "image_std": "transform.image_std",
    "fixed_size": "transform.fixed_size",
    "size_divisible": "transform.size_divisible",
    "rpn_pre_nms_top_n_test": "rpn._pre_nms_top_n.testing",
    "rpn_post_nms_top_n_test": "rpn._post_nms_top_n.testing",
    "rpn_nms_thresh": "rpn.nms_thresh",
    "rpn_score_thresh": "rpn.score_thresh",
    "box_score_thresh": "roi_heads.score_thresh",
    "box_nms_thresh": "roi_heads.nms_thresh",
    "box_detections_per_img": "roi_heads.detections_per_img",
    "bbox_reg_weights": "roi_heads.box_coder.weights",
}
_SEVERAL = {"image_mean": 3, "image_std": 3, "bbox_reg_weights": 4, "fixed_size": 2}
_EDGES = {"fixed_size", "size_divisible"}
_DIVIDE = {"image_std", "bbox_reg_weights"}
_SHARES = {"rpn_nms_thresh", "rpn_score_thresh", "box_score_thresh", "box_nms_thresh"}


@dataclass(frozen=True)
class Asked:
    """What a checkpoint is to be read with, for what its weights do not tell.

    Attributes:
        arch: what the user takes it for; None to go by the weights.
        weights: a file, the name of published weights, `random`, or None for torchvision's own.
        epsilon: of frozen norms; None for what usually holds.
        anchors: edges per level, `8,16,32,64,128`, several of a level joined by `+`.
        ratios: of the anchors, heights per width, `0.5,1,2`.
        settings: `NAME=VALUE` with torchvision's own names.
        ignore: patterns of weights that may be left over.
        key: where in the file the weights lie.
    """

    arch: str | None = None
    weights: str | None = None
    epsilon: float | None = None
    anchors: str | None = None
    ratios: str | None = None
    settings: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    key: str | None = None

    @classmethod
    def of(cls, options: Kept) -> Asked:
        """As `export.options` keeps it."""
        names = ("arch", "weights", "epsilon", "anchors", "ratios", "key")
        known: dict[str, Any] = {name: options.get(name) for name in names}
        known |= {name: tuple(options.get(name) or ()) for name in ("settings", "ignore")}
        return cls(**known)

    def to_options(self) -> dict[str, Any]:
        """Plain values; what was not asked for is left out."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if value not in ((), None) or name in ("weights", "epsilon")
        }


@dataclass(frozen=True)
class Opened:
    """A model that is ready to answer or to be converted.

    Attributes:
        model: a `MaskRCNN` in evaluation mode.
        arch: its architecture's name.
        source: where its weights are from, for the metadata.
        size: that it resizes pictures to, where the file tells; else None.
        told: the data set that the weights are known to be of, and why; see `names_for`.
        read: what was taken from where, in words.
        assumed: what nothing told.
    """

    model: MaskRCNN
    arch: str
    source: str
    size: str | None = None
    told: tuple[str, str] | None = None
    read: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)


def convert(
    model: MaskRCNN,
    *,
    names: tuple[str, ...],
    size: str | None = None,
    exact: bool = True,
    detections: int | None = None,
    proposals: int | None = None,
    score: float | None = None,
    origin: str = "torchvision",
    licence: str = "unknown",
    training_data: str = "unknown",
    options: Kept | None = None,
) -> onnx.ModelProto:
    """Converts any `torchvision.models.detection.MaskRCNN`, also one built by hand.

    Args:
        model: in any mode, on any device, in any precision, and left so; its own thresholds hold
            where none are given. What is wrapped for several cards or compiled is taken out.
        names: of the classes, without background.
        size: "800/1333" or "640x384", see `parse_size`; None for the model's own, also where that
            is a fixed one.
        exact: whether the graph resizes the picture as torchvision does, but for a letterbox;
            otherwise the runtime does, faster and nearly the same.
        detections: at most this many.
        proposals: kept per level before suppression and over all after it.
        score: detections must be better than this, 0..1.
        origin: told in the metadata.
        licence: of the weights.
        training_data: what they were trained on.
        options: what `verify` needs to build the model again.

    Returns:
        A model that keeps the contract.

    Raises:
        ModelError: it is no Mask R-CNN of torchvision's, or cannot be exported.
        UsageError: a size that makes no sense, or names of more or fewer classes than it has.
    """
    need_extra()
    import torch

    from stream_export.converters.torchvision.form import TorchvisionForm
    from stream_export.copies import on_cpu
    from stream_export.onnx_export import export_module

    model = on_cpu(_bare(model, names))
    resize = sized(model, size, exact=exact)
    native = resize.mode == "native"
    # Whoever works on a card may have made it the place where PyTorch puts all that is new.
    with torch.device("cpu"):
        form = TorchvisionForm(
            model,
            detections=detections,
            proposals=proposals,
            score=score,
            native=native,
        )
    metadata = Metadata(
        names=names,
        resize=resize,
        origin=origin,
        licence=licence,
        training_data=training_data,
    )
    edge = int(model.transform.min_size[-1])
    height, width = (resize.height, resize.width) if resize.height else (edge, edge * 4 // 3)
    dynamic = not resize.height
    exported = export_module(form, metadata, height=height, width=width, dynamic=dynamic)
    entry = exported.metadata_props.add()
    entry.key = OPTIONS_KEY
    entry.value = json.dumps(
        {
            "system": SYSTEM,
            **_told_size(model, size),
            "detections": detections,
            "proposals": proposals,
            "score": score,
            **(options or {}),
        }
    )
    return exported


def sized(model: MaskRCNN, size: str | None, *, exact: bool) -> Resize:
    """Gives a model the size that is asked for, and says how pictures come to it.

    Raises:
        ModelError: its own is none that can be exported.
        UsageError: the one asked for makes no sense.
    """
    transform = model.transform
    if size is not None:
        resize = parse_size(size, in_graph=exact)
        transform.fixed_size = None
        if resize.mode != "letterbox":
            first, second = edges_of(size)
            transform.min_size, transform.max_size = (first,), second
        return resize
    fixed = transform.fixed_size
    if fixed is None:
        return parse_size(own_size(model), in_graph=exact)
    width, height = map(int, fixed)
    return Resize("native") if exact else Resize("stretch", width=width, height=height)


def own_size(model: MaskRCNN) -> str:
    """What a model without a fixed size resizes pictures to, as `--size` has it."""
    # Where the maximum is the smaller one, it alone decides.
    longest = int(model.transform.max_size)
    return f"{min(int(model.transform.min_size[-1]), longest)}/{longest}"


def _told_size(model: MaskRCNN, size: str | None) -> dict[str, Any]:
    """What `verify` is told of a model's size."""
    fixed = model.transform.fixed_size
    return {"size": size or own_size(model)} if fixed is None else {"fixed_size": list(fixed)}


def _bare(model: MaskRCNN, names: tuple[str, ...]) -> MaskRCNN:
    """The Mask R-CNN itself, out of what PyTorch wraps around one.

    Raises:
        ModelError: it is none.
        UsageError: it has not as many classes as there are names.
    """
    for wrapper in ("module", "_orig_mod"):
        model = getattr(model, wrapper, model)
    predictor = getattr(getattr(model, "roi_heads", None), "mask_predictor", None)
    if predictor is None or not all(hasattr(model, one) for one in ("transform", "rpn")):
        raise ModelError(f"a {type(model).__name__} is no Mask R-CNN of torchvision's")
    scores = getattr(model.roi_heads.box_predictor, "cls_score", None)
    classes = getattr(scores, "out_features", len(names) + 1) - 1
    if classes != len(names):
        raise UsageError(
            f"the model tells {counted(classes, 'class', 'classes')} apart, without background, "
            f"and there {'is' if len(names) == 1 else 'are'} {counted(len(names), 'name')}"
        )
    return model


def opened(asked: Asked) -> Opened:
    """Builds the model that is asked for.

    Raises:
        ModelError: the file is damaged, not torchvision's, or of another architecture.
        UsageError: the request lacks something or makes no sense.
    """
    from stream_export.converters.torchvision import model as models
    from stream_export.converters.torchvision.weights import published

    arch, weights = asked.arch, asked.weights
    is_file = weights is not None and (
        Path(weights).suffix.islower()  # published names end in capitals, as in ".COCO_V1"
        or Path(weights).exists()
    )
    if arch is None and not is_file:
        file = "" if weights else "give a checkpoint (--weights mine.pth), or "
        raise UsageError(f"{file}name the architecture with --arch, such as maskrcnn_resnet50_fpn")
    if is_file:
        from stream_export.checkpoints.weights import fitting

        with fitting(Path(str(weights))):
            return _from_file(Path(str(weights)), asked)
    assert arch is not None
    models.matched(arch)
    anchors = models.parse_anchors(asked.anchors, asked.ratios)
    if weights == "random":
        found = Opened(
            models.random(arch, 91), arch, "random", told=("coco90", "the weights are random")
        )
    else:
        model = models.from_state(published(arch, weights), arch, arch, asked.epsilon, anchors)
        source = f"torchvision {weights or 'DEFAULT'}"
        found = Opened(model, arch, source, told=("coco90", "torchvision publishes them"))
    _apply(found.model, asked.settings)
    return found


def _from_file(path: Path, asked: Asked) -> Opened:
    from stream_export.checkpoints.weights import refuse_no_numbers
    from stream_export.converters.torchvision import model as models
    from stream_export.converters.torchvision.weights import layout, read_place

    place, state = read_place(path, asked.key)
    whole = inside_of(place)
    anchors = models.parse_anchors(asked.anchors, asked.ratios)
    told = anchors_of(whole) if whole is not None and anchors is None else None
    model = models.from_state(
        state, asked.arch, str(path), asked.epsilon, anchors or told, asked.ignore, place.beside
    )
    found = Opened(
        model,
        layout(state, str(path)).arch,
        path.name,
        size=size_of(whole) if whole is not None else None,
        told=("coco90", f"the file is called {path.name}")
        if re.match(r"maskrcnn_\w+_coco-[0-9a-f]{8}$", path.stem)
        else None,
    )
    refuse_no_numbers(path, place.tensors, place.prefix)
    at = f" under {place.name!r}" if place.name else ""
    found.read.append(f"{len(state)} weights of {path}{at}")
    found.assumed.extend(place.assumed)
    if whole is not None:
        taken = _apply_whole(model, whole)
        found.read.append(f"anchors and settings of the pickled model: {', '.join(taken)}")
        own = settle(model, whole, str(path))
        if own:
            found.read.append(f"settings of its layers: {', '.join(own)}")
        if asked.epsilon is not None:
            models.set_epsilon(model, asked.epsilon)
    _apply(model, asked.settings)
    if anchors is None and told is None:
        sizes = " ".join("+".join(map(str, one)) for one in model.rpn.anchor_generator.sizes)
        found.assumed.append(
            f"anchors of {sizes} pixels in the ratios 0.5, 1 and 2 (weights do not tell; "
            "--anchors, --ratios)"
        )
    if whole is None and not asked.settings:
        found.assumed.append("torchvision's own colours and thresholds (--set image_mean=..., ...)")
    if asked.epsilon is None and models.epsilon_is_unknown(model, whole):
        found.assumed.append(
            f"an epsilon of {models.epsilon_of(model):g} in the backbone's norms (--epsilon)"
        )
    return found


def _apply_whole(model: MaskRCNN, whole: StandIn) -> list[str]:
    """Gives a model the settings of a pickled one; returns what was taken, in words."""
    taken = []
    for name, path in _SETTINGS.items():
        *parents, last = path.split(".")
        value = whole.attribute(path)
        if last == "testing":
            held = whole.attribute(".".join(parents))
            value = held.get("testing") if isinstance(held, dict) else None
        if value is not None:
            _put(model, name, list(value) if isinstance(value, tuple) else value)
            taken.append(f"{name} {value}")
    return taken


def _apply(model: MaskRCNN, settings: tuple[str, ...]) -> None:
    from stream_export.checkpoints.settings import Settings

    given = Settings().above(settings)
    for name in given.names():
        if name not in _SETTINGS:
            raise unknown_setting(name, _SETTINGS)
        _put(model, name, given.get(name))


def _put(model: MaskRCNN, name: str, value: Setting) -> None:
    numbers = value if name in _SEVERAL else [value]
    right = isinstance(numbers, list | tuple) and all(number(one) is not None for one in numbers)
    if right and name in _SEVERAL:
        right = len(numbers) == _SEVERAL[name] and not (name in _DIVIDE and 0 in numbers)
        value = list(numbers)
    if right and name in _EDGES:
        right = all(one == int(one) and 1 <= one <= 4096 for one in numbers)
        value = [int(one) for one in numbers] if name in _SEVERAL else value
    elif right and name in _SHARES:
        right = 0 <= value <= 1
    elif right and name not in _SEVERAL:
        right = value == int(value) and value >= 1
    if not right:
        raise UsageError(f"{name} is {value!r}, which makes no sense")
    *parents, last = _SETTINGS[name].split(".")
    owner = model
    for part in parents:
        owner = getattr(owner, part)
    if isinstance(owner, dict):
        owner[last] = value
    else:
        setattr(owner, last, value)
