"""`stream image`: photos in, segmented photos out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli import _common as common
from stream.cli._batch import (
    BatchOptions,
    find_inputs,
    folder_of,
    photo_beside,
    photo_name,
    photo_target,
)
from stream.cli._groups import command
from stream.errors import UsageError
from stream.options import ModelOptions, OutputOptions, PictureOptions, RunOptions
from stream.run.plan import OutputPlan, RunPlan, SourcePlan

if TYPE_CHECKING:
    from pathlib import Path


@command
def image(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT…", help="Pictures, folders of them, or patterns ('*.jpg')."),
    ],
    model: ModelOptions,
    picture: PictureOptions,
    files: OutputOptions,
    batch: BatchOptions,
    run: RunOptions,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTPUT",
            help="The picture to write (.png, .jpg, .webp, …), or a folder for several. "
            "[default: photo.stream.jpg beside photo.jpg; several need a folder]",
            rich_help_panel="Output",
        ),
    ] = None,
) -> None:
    """Segment pictures: a photo, a folder of photos or a pattern."""
    common.set_verbosity(quiet=run.quiet, verbose=run.verbose)
    from stream.cli._runs import make_folder, run_pictures, save_or_none
    from stream.run.setup import keeps_alpha
    from stream.sources.folders import PICTURE_ENDINGS

    found = find_inputs(inputs, PICTURE_ENDINGS, "pictures", recursive=batch.recursive)
    for line in found.left_out:
        common.say(line, quiet=run.quiet)
    paths = [path for path, _ in found.files]
    alpha = keeps_alpha(picture.look)
    if len(paths) > 1 or found.folders:
        if output is None:
            raise UsageError(f"{len(paths)} pictures need a folder to go to: -o FOLDER")
        target, name = folder_of(output, len(paths)), f"{output.rstrip('/')}/"
    else:
        target = photo_beside(paths[0], alpha=alpha) if output is None else photo_target(output)
        name = str(target)
        if output is not None and output.endswith(("/", "\\")):
            name = f"{target}/"
    if batch.skip_existing:
        paths = [path for path in paths if not _result_of(path, target, alpha).exists()]
        if not paths:
            common.say("every result is there already", quiet=run.quiet)
            return
    plan = RunPlan(
        SourcePlan(tuple(map(str, paths))),
        (OutputPlan(name, picture, files),),
        model,
        run=run,
    )
    if save_or_none(run, [plan]):
        return
    if name.endswith("/"):
        make_folder(target)  # once it is there it is one, whatever its ending
    run_pictures(plan)


def _result_of(path: Path, target: Path, alpha: bool) -> Path:
    return target / photo_name(path, alpha=alpha) if target.is_dir() else target
