"""`stream serve`: sources, and visitors' cameras, on a page in the browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from stream.cli import _common as common
from stream.cli._groups import command, shared
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.settings.groups import build, values_of
from stream.settings.options import (
    CameraOptions,
    DecodingOptions,
    InputOptions,
    LiveOptions,
    ModelOptions,
    NetworkOptions,
    PictureOptions,
    RunOptions,
    TrackingOptions,
)
from stream.settings.serve_options import ServeOptions

_PATTERN = "pattern"


@dataclass(frozen=True, slots=True)
class _Asked:
    """The groups of a run without files."""

    serve: ServeOptions = ServeOptions()
    model: ModelOptions = ModelOptions()
    tracking: TrackingOptions = TrackingOptions()
    picture: PictureOptions = PictureOptions()
    network: NetworkOptions = NetworkOptions()
    decoding: DecodingOptions = DecodingOptions()
    run: RunOptions = RunOptions()


@dataclass(frozen=True, slots=True)
class _CameraOptions:
    """What can be asked of every camera at once."""

    size: tuple[int, int] | None = shared(CameraOptions, "size")
    fps: float | None = shared(CameraOptions, "fps")


@dataclass(frozen=True, slots=True)
class _LiveOptions:
    """How long it goes on, and how pictures are shown."""

    seconds: float | None = shared(LiveOptions, "seconds")
    cover_wait: bool = shared(LiveOptions, "cover_wait")


@command
def serve(
    asked: _Asked,
    camera: _CameraOptions,
    live: _LiveOptions,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Cameras, addresses, video files (played over and over), or `pattern`, the "
            "bundled clip. [default: pattern and all cameras]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show sources side by side on a page in the browser, and take visitors' cameras there.

    Nobody but this machine can open the page unless --host says so.
    """
    common.set_verbosity(quiet=asked.run.quiet, verbose=asked.run.verbose)
    options = InputOptions(
        camera=build(CameraOptions, values_of(camera)),
        network=asked.network,
        decoding=asked.decoding,
    )
    outputs = (OutputPlan("browser", asked.picture),)
    plans = [
        RunPlan(
            SourcePlan(target, options),
            outputs,
            asked.model,
            asked.tracking,
            LiveOptions("browser", seconds=live.seconds, cover_wait=live.cover_wait),
            asked.run,
            asked.serve,
        )
        for target in sources or _all_sources()
    ]
    from stream.cli._runs import run_served, save_or_none

    if not save_or_none(asked.run, plans):
        run_served(plans)


def _all_sources() -> list[str]:
    """The test picture, and the cameras that can be used."""
    from stream.sources.camera import find_cameras

    return [_PATTERN, *(one.device for one in find_cameras() if one.problem is None)]
