"""`stream demo`: the bundled clip through the bundled model."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from stream.cli import _common as common
from stream.cli._groups import command
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.settings.options import InputOptions


@command
def demo(
    asked: common.Common,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTPUT",
            help="The video to write. [default: stream-demo.mp4 here, or the next free number]",
            rich_help_panel="Output",
        ),
    ] = None,
) -> None:
    """Segment the bundled clip with the bundled model and say where the time went."""
    common.set_verbosity(quiet=asked.run.quiet, verbose=asked.run.verbose)
    from stream.cli._runs import go_through, save_or_none

    with resources.as_file(resources.files("stream") / "assets" / "demo.mp4") as clip:
        target = output or str(_free_name(Path("stream-demo.mp4")))
        plan = RunPlan(
            SourcePlan(str(clip), InputOptions(replay=asked.replay)),
            (OutputPlan(target, asked.picture, asked.files),),
            asked.model,
            asked.tracking,
            run=asked.run,
            counts=asked.counts,
        )
        if not save_or_none(asked.run, [plan]):
            go_through([plan], asked.run)


def _free_name(path: Path) -> Path:
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free
