"""What a run is to be, before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream.options import (
    InputOptions,
    LiveOptions,
    ModelOptions,
    OutputOptions,
    PictureOptions,
    RunOptions,
    TrackingOptions,
)

if TYPE_CHECKING:
    from stream.sources.base import Target


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """One source of a run.

    Attributes:
        target: a path, an address, a camera, `pattern`; several for pictures and folders; or
            pictures as arrays.
        options: how it is opened.
    """

    target: Target
    options: InputOptions = InputOptions()


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """One output of a run.

    Attributes:
        target: a path, an address, or `window`.
        picture: what is painted into it.
        options: how it is written.
    """

    target: str
    picture: PictureOptions = PictureOptions()
    options: OutputOptions = OutputOptions()


@dataclass(frozen=True, slots=True)
class RunPlan:
    """All that a run is: where frames come from, what is done, where they go."""

    source: SourcePlan
    outputs: tuple[OutputPlan, ...] = ()
    model: ModelOptions = ModelOptions()
    tracking: TrackingOptions = TrackingOptions()
    live: LiveOptions = LiveOptions()
    run: RunOptions = RunOptions()
