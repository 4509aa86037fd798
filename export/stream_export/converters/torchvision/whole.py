"""What a whole pickled model says besides its weights: anchors, sizes, thresholds, its layers' own.

Weights tell how many channels a layer has. How far its filter steps, what its norm adds to a
variance and how many points a region is sampled at are plain attributes of its module, and decide
as much about what is found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from stream.errors import ModelError
from stream_export.checkpoints.pickles import Content, StandIn
from stream_export.checkpoints.settings import Setting
from stream_export.checkpoints.states import Place

if TYPE_CHECKING:
    from torch import nn
    from torchvision.models.detection import MaskRCNN

Anchors = tuple[tuple[tuple[float, ...], ...], tuple[tuple[float, ...], ...]]
"""Edges in pixels and heights per width of the anchors, per level."""

_LEFT = ("transform", "rpn.anchor_generator")
"""Of these parts some is asked for, and the rest taken by name."""
_SIDE = {"training", "inplace", "momentum", "track_running_stats", "device", "dtype"}
"""Attributes that have no say in what a model in evaluation mode answers."""


def inside_of(place: Place) -> StandIn | None:
    """The Mask R-CNN in a place where a whole model was pickled, without wrappers such as DDP's."""
    prefix = place.prefix.removesuffix(".")
    found = place.model.attribute(prefix) if place.model is not None and prefix else place.model
    return found if isinstance(found, StandIn) else None


def anchors_of(whole: StandIn) -> Anchors | None:
    """Sizes and ratios per level of a pickled model's generator; None where they are not plain."""
    sizes = whole.attribute("rpn.anchor_generator.sizes")
    ratios = whole.attribute("rpn.anchor_generator.aspect_ratios")

    def plain(levels: Content) -> bool:
        return isinstance(levels, list | tuple) and all(
            isinstance(level, list | tuple) and level and all(number(one) for one in level)
            for level in levels
        )

    if not plain(sizes) or not plain(ratios) or len(sizes) != len(ratios):
        return None
    return tuple(map(tuple, sizes)), tuple(map(tuple, ratios))


def size_of(whole: StandIn) -> str | None:
    """The shortest edge and its maximum that a pickled model resizes to, as `--size` takes it."""
    low, high = whole.attribute("transform.min_size"), whole.attribute("transform.max_size")
    low = low[-1] if isinstance(low, list | tuple) and low else low
    if not isinstance(low, int) or not isinstance(high, int):
        return None
    # Where the maximum is the smaller one, it alone decides.
    low = min(low, high)
    return f"{low}/{high}" if 32 <= low <= high <= 4096 else None


def number(value: Setting) -> float | None:
    """A value, if it is a number."""
    right = isinstance(value, int | float) and not isinstance(value, bool)
    return value if right and not math.isnan(value) else None


def settle(model: MaskRCNN, whole: StandIn, where: str) -> list[str]:
    """Gives the layers of a model what those of a pickled one have besides weights.

    Args:
        model: with the same weights; it is changed.
        whole: the pickled one.
        where: the checkpoint's name, for errors.

    Returns:
        What was another than torchvision's builders make it, in words.

    Raises:
        ModelError: a layer without weights is of another kind in the pickled model.
    """
    differing: dict[str, list[str]] = {}
    for name, module in model.named_modules():
        theirs = whole.attribute(name)
        if not name or name.startswith(_LEFT) or not isinstance(theirs, StandIn):
            continue
        _refuse_another(name, module, theirs, where)
        for attribute, value in _attributes(module, theirs):
            setattr(module, attribute, value)
            differing.setdefault(f"{attribute} {value}", []).append(name)
    return [
        f"{what} of {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        for what, names in differing.items()
    ]


def _attributes(module: nn.Module, theirs: StandIn) -> Iterator[tuple[str, Setting]]:
    """Plain attributes of a layer that are others in the pickled one."""
    given = theirs.state if isinstance(theirs.state, dict) else {}
    for name, ours in vars(module).items():
        if name.startswith("_") or name in _SIDE or name not in given:
            continue
        value = given[name]
        if _alike(value, ours) and not _same(value, ours):
            yield name, type(ours)(value) if isinstance(ours, list | tuple) else value


def _alike(value: Content, ours: Content) -> bool:
    """Whether a value may stand in the place of ours: a number, a text, or some of these."""
    if isinstance(ours, bool) or isinstance(value, bool):
        return isinstance(ours, bool) and isinstance(value, bool)
    if isinstance(ours, list | tuple):
        right = isinstance(value, list | tuple) and bool(value) and bool(ours)
        return right and all(_alike(one, ours[0]) for one in value)
    if isinstance(ours, int | float):
        return number(value) is not None
    return isinstance(ours, str) and isinstance(value, str)


def _same(value: Setting, ours: Setting) -> bool:
    if isinstance(ours, list | tuple) and isinstance(value, list | tuple):
        return list(value) == list(ours)
    return bool(value == ours)


def _refuse_another(name: str, module: nn.Module, theirs: StandIn, where: str) -> None:
    """Makes sure that a layer which has no weights, such as an activation, is what it is built as.

    Raises:
        ModelError: it is of another kind.
    """
    if next(module.children(), None) is not None or module.state_dict():
        return
    kind, another = type(module).__name__, theirs.named.rpartition(".")[2]
    built_in = theirs.named.startswith(("torch.nn.", "torchvision."))
    if built_in and another != kind:
        raise ModelError(
            f"{where}: its layer {name!r} is a {another} and not a {kind}, as torchvision's "
            "builders make it; in Python stream_export.converters.torchvision.convert exports the "
            "model itself"
        )
