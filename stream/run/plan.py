"""What a run is to be, before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stream.options import (
    InputOptions,
    LiveOptions,
    ModelOptions,
    OutputOptions,
    PictureOptions,
    ReplayOptions,
    RunOptions,
    TrackingOptions,
)
from stream.serve_options import ServeOptions

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

    def named(self, mark: str, name: str) -> SourcePlan:
        """The same, with a mark in the name of its records replaced by the source's name."""
        path = self.options.replay.from_records
        if path is None:
            return self
        replay = ReplayOptions(Path(str(path).replace(mark, name)))
        return replace(self, options=replace(self.options, replay=replay))


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
    serve: ServeOptions = ServeOptions()
