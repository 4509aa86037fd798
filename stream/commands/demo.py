"""`stream demo`: the bundled clip through the bundled model."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from stream.commands import common
from stream.commands.file import file


def demo(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The video to write. [default: stream-demo.mp4 here, or the next free number]",
        ),
    ] = None,
    model: common.ModelOption = "default",
    provider: common.ProviderOption = common.Provider.AUTO,
    look: common.LookOption = common.Look.OVERLAY,
    timing: common.TimingOption = None,
    overwrite: common.OverwriteOption = False,
    report: common.ReportOption = None,
    quiet: common.QuietOption = False,
    verbose: common.VerboseOption = False,
) -> None:
    """Segment the bundled clip with the bundled model and say where the time went."""
    with resources.as_file(resources.files("stream") / "assets" / "demo.mp4") as clip:
        file(
            [clip],
            output or _free_name(Path("stream-demo.mp4")),
            model=model,
            provider=provider,
            look=look,
            timing=timing,
            overwrite=overwrite,
            report=report,
            quiet=quiet,
            verbose=verbose,
        )


def _free_name(path: Path) -> Path:
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free
