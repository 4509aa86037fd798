"""What a run is to be, before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stream.settings.fleet_options import FleetOptions
from stream.settings.options import (
    CountOptions,
    InputOptions,
    LiveOptions,
    ModelOptions,
    OutputOptions,
    PictureOptions,
    RunOptions,
    TrackingOptions,
)
from stream.settings.serve_options import ServeOptions
from stream.wording.names import NAME, name_of

if TYPE_CHECKING:
    from stream.sources.base import Target


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """One source of a run.

    Attributes:
        target: a path, an address, a camera, `pattern`; several for pictures and folders; or
            pictures as arrays.
        options: how it is opened.
        name: what `{name}` stands for; "" for what the target is called.
    """

    target: Target
    options: InputOptions = InputOptions()
    name: str = ""

    def place(self, path: Path) -> Path:
        """A path, with `{name}` in it written out."""
        return Path(str(path).replace(NAME, self.name or name_of(self.target)))


class Endings(NamedTuple):
    """The files that keep what a look gives.

    Attributes:
        videos: endings of videos.
        usual: the one taken where an input's own is none of them.
        pictures: endings of pictures; .png is taken where an input's own is none of them.
    """

    videos: frozenset[str]
    usual: str
    pictures: frozenset[str]


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
    """All that a run is: where frames come from, what is done, where they go.

    With `fleet` the source's targets are files, folders, patterns and lists, and the one output's
    is the folder, or address, that all results go into.
    """

    source: SourcePlan
    outputs: tuple[OutputPlan, ...] = ()
    model: ModelOptions = ModelOptions()
    tracking: TrackingOptions = TrackingOptions()
    live: LiveOptions = LiveOptions()
    run: RunOptions = RunOptions()
    serve: ServeOptions = ServeOptions()
    counts: CountOptions = CountOptions()
    fleet: FleetOptions | None = None


def masks_plan(folder: str, picture: PictureOptions, options: OutputOptions) -> OutputPlan:
    """An output that is a mask for each frame, beside others.

    Args:
        folder: where they go; a PNG for each frame, pure 0 and 255, or identities of 16 bits.
        picture: of the others: which objects are in front, whether each has its own.
        options: of the others: whether files may be replaced.
    """
    look = "instances" if picture.identities else "binary"
    picture = replace(picture, look=look, timing=False, crop=False)
    return OutputPlan(f"{folder.rstrip('/')}/", picture, OutputOptions(overwrite=options.overwrite))


def beside_masks(picture: PictureOptions) -> PictureOptions:
    """What is painted into other outputs where there are masks, which `split` is then about."""
    return replace(picture, split="none")
