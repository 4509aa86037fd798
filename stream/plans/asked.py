"""What the keyword arguments of a program's calls ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from stream import sources
from stream.errors import StreamError, UsageError
from stream.run.guard import refuse_beside_records
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.settings.groups import build, leaves, read, unknown
from stream.settings.option import Value
from stream.settings.options import (
    CameraOptions,
    CountOptions,
    CutOptions,
    DecodingOptions,
    InputOptions,
    ModelOptions,
    NetworkOptions,
    OutputOptions,
    PictureOptions,
    ReplayOptions,
    TrackingOptions,
)
from stream.sinks.caller import CALLER
from stream.sinks.nothing import NOTHING
from stream.sources.base import Target

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from stream.inference.segmenter import Segmenter

Group = TypeVar("Group", bound="DataclassInstance")


_FLAG = re.compile(r"--(no-)?([a-z][a-z-]*)")
_WITH_VALUE = re.compile(r"(?<=: )--([a-z][a-z-]*) ([\w+.]+)$")
"""What a sentence ends with that says what to type: `…: --look blur`."""


@contextmanager
def in_python() -> Iterator[None]:
    """Lets errors name keywords, where they were made for who types flags."""
    try:
        yield
    except StreamError as error:
        if error.args:
            error.args = (with_keywords(str(error.args[0])), *error.args[1:])
        raise


def with_keywords(said: str) -> str:
    """A sentence with keywords where it names flags."""
    return _FLAG.sub(_keyword, _WITH_VALUE.sub(r'--\1="\2"', said))


def _keyword(flag: re.Match[str]) -> str:
    for group in (ModelOptions, InputOptions, CountOptions, PictureOptions, OutputOptions):
        for name, leaf in leaves(group).items():
            if leaf.flag == f"--{flag[2]}":
                plain = leaf.kind is bool
                return f"{name}={not flag[1]}" if plain else name
    if flag[2] in leaves(TrackingOptions):
        return "track"
    return flag[0]  # another program's, or none of ours


def grouped(group: type[Group], given: dict[str, object]) -> Group:
    """A group of options of those given that are its own, which are taken out.

    Texts mean what they mean on the command line; None is what holds where nothing is given.

    Raises:
        UsageError: a value is of another kind or out of its range; one sentence with its name.
    """
    values: dict[str, Value] = {}
    for name, leaf in leaves(group).items():
        value = given.pop(name, None)
        if value is not None:
            values[name] = read(leaf, plain(value), name)
    return build(group, values)


def plain(value: object) -> object:
    """A value as a configuration file would hold it."""
    if isinstance(value, Path | Fraction):
        return str(value) if isinstance(value, Path) else float(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(one) for one in value]
    return value


def style_of(given: Mapping[str, object]) -> dict[str, object]:
    """What `draw` is asked for, read as `process` reads it; None is what holds otherwise.

    Raises:
        UsageError: a value is of another kind or out of its range; one sentence with its name.
    """
    known = leaves(PictureOptions)
    return {
        name: read(known[name], plain(value), name) if name in known else value
        for name, value in given.items()
        if value is not None
    }


def plan_of(
    target: Target, outputs: Sequence[str | Path], track: bool | str, options: Mapping[str, object]
) -> RunPlan:
    """What the keyword arguments of `open` and `process` ask for.

    Raises:
        UsageError: a keyword that there is not.
    """
    if options.get("from_records") is not None:
        refuse_beside_records({name: one for name, one in options.items() if one is not None})
    rest = dict(options)
    asked = InputOptions(
        grouped(CutOptions, rest),
        grouped(ReplayOptions, rest),
        grouped(CameraOptions, rest),
        grouped(NetworkOptions, rest),
        grouped(DecodingOptions, rest),
    )
    if isinstance(target, np.integer):
        target = int(target)
    source = SourcePlan(sources.meant(target, asked), asked)
    painted = tuple(outputs) != (CALLER,)
    groups = (InputOptions, CountOptions, ModelOptions)
    of_outputs = (PictureOptions, OutputOptions)
    for name in () if painted else rest:
        if any(name in leaves(one) for one in of_outputs):
            raise UsageError(
                f"{name} is of stream.process: what stream.open gives is not painted, which "
                "stream.draw does"
            )
    picture, written = grouped(PictureOptions, rest), grouped(OutputOptions, rest)
    if isinstance(track, bool):
        followed = TrackingOptions() if track else TrackingOptions(tracker="none")
    elif isinstance(track, str):
        followed = TrackingOptions(tracker=track)
    else:
        raise UsageError(f"track is True, False or a tracker's name, not {track!r}")
    plan = RunPlan(
        source,
        tuple(OutputPlan(str(one), picture, written) for one in outputs or (NOTHING,)),
        grouped(ModelOptions, rest),
        followed,
        counts=grouped(CountOptions, rest),
    )
    if rest:
        if next(iter(rest)) in leaves(TrackingOptions):
            raise UsageError(
                f"there is no option {next(iter(rest))!r}; did you mean track? It is a tracker's "
                "name, or False where each frame is for itself"
            )
        known = [name for one in groups + (of_outputs if painted else ()) for name in leaves(one)]
        known.append("track")
        raise unknown("option", next(iter(rest)), sorted(known))
    return plan


def suited(
    segmenter: Segmenter | None, plan: RunPlan, given: Mapping[str, object]
) -> tuple[RunPlan, Segmenter | None]:
    """A segmenter that is loaded already, with the thresholds and classes that are asked for.

    Returns:
        The plan, which asks for what the segmenter does where nothing else was asked, and it.

    Raises:
        UsageError: it is none, another model is asked for, or it has no such class.
    """
    if segmenter is None:
        return plan, None
    if not hasattr(segmenter, "sharing"):
        raise UsageError(
            f"the segmenter is a stream.Segmenter, not {segmenter!r}: stream.Segmenter.load makes "
            "one"
        )
    if plan.source.options.replay.from_records is not None:
        raise UsageError("from_records paints without the model; leave out segmenter")
    for name in ("model", "provider"):
        if given.get(name) is not None:
            raise UsageError(
                f"{name} says what is to be loaded, and the segmenter is loaded already"
            )
    asked, own = plan.model, segmenter.sharing()
    own.threshold = own.threshold if asked.threshold is None else asked.threshold
    if asked.mask_threshold is not None:
        own.mask_threshold = asked.mask_threshold
    if asked.classes is not None:
        own.classes = asked.classes
    if asked.views is not None:
        own.views = asked.views
    if asked.input_size is not None:
        own.input_size = asked.input_size
    return replace(plan, model=replace(asked, views=own.views)), own
