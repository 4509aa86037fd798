"""`stream image`: photos in, segmented photos out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from stream.cli import _common as common
from stream.cli._batch import (
    BatchOptions,
    check_skipping,
    folder_of,
    photo_beside,
    photo_name,
    photo_target,
    refuse_itself,
    which_holds,
)
from stream.cli._groups import command
from stream.cli._inputs import find_inputs
from stream.errors import UsageError
from stream.run.plan import Endings, OutputPlan, RunPlan, SourcePlan
from stream.settings.options import (
    CountOptions,
    InputOptions,
    ModelOptions,
    OutputOptions,
    PictureOptions,
    ReplayOptions,
    RunOptions,
)
from stream.wording.names import namesakes, numbered, refuse_unknown_words


@dataclass(frozen=True, slots=True)
class PhotoOptions:
    """The groups of photos, which have nothing to do with each other: nothing is tracked."""

    model: ModelOptions = ModelOptions()
    replay: ReplayOptions = ReplayOptions()
    picture: PictureOptions = PictureOptions()
    files: OutputOptions = OutputOptions()
    counts: CountOptions = CountOptions()
    run: RunOptions = RunOptions()


@command
def image(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Pictures, folders of them, or patterns ('*.jpg')."),
    ],
    asked: PhotoOptions,
    batch: BatchOptions,
    beside: common.BesideOptions,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTPUT",
            help="The picture to write (.png, .jpg, .webp, …); a folder for several, or numbered "
            "pictures (out/%06d.png). "
            "[default: photo.stream.jpg beside photo.jpg; several need a folder; none where "
            "--records or --masks is given]",
            rich_help_panel="Output",
        ),
    ] = None,
) -> None:
    """Segment pictures: a photo, a folder of photos or a pattern."""
    run, picture, files = asked.run, asked.picture, asked.files
    common.set_verbosity(quiet=run.quiet, verbose=run.verbose)
    common.check_format((), files)
    from stream.cli._runs import folders_made, run_pictures, save_or_none
    from stream.run.opening import endings_for
    from stream.run.unused import refuse_unpainted
    from stream.sources.folders import PICTURE_ENDINGS

    if output is not None:
        refuse_unknown_words(output, known=())
    check_skipping(batch, beside.masks, others=bool(output or beside.records))
    into = (output, beside.masks)
    found = find_inputs(inputs, PICTURE_ENDINGS, "pictures", recursive=batch.recursive, into=into)
    for line in found.left_out:
        common.say(line, quiet=run.quiet)
    places = dict(found.files)
    paths = [path for path, _ in found.files]
    named_alike = namesakes(places.values())
    alike = {path for path, place in places.items() if place in named_alike}
    made = endings_for(picture)
    picture, pasted = common.with_masks(beside.masks, picture, files)
    targets = common.record_targets(beside.records, str(paths[0]))
    common.keep_clear(targets)
    folder: Path | None = None
    outputs = [OutputPlan(one, picture, files) for one in targets]
    if output is not None or not (targets or pasted):
        target, name = _result(paths, output, several=len(paths) > 1 or found.folders, made=made)
        outputs.insert(0, OutputPlan(name, picture, files))
        folder = target if name.endswith("/") else None
        for path, place in places.items() if output is not None else ():
            result = _result_of(place, target, made, whole=path in alike)
            if result != target:
                usual = photo_beside(path, made=made) if len(paths) == 1 else None
                refuse_itself(path, output or "", result, usual)
        if batch.skip_existing:
            if output is not None and numbered(output):
                raise UsageError(
                    f"--skip-existing goes by the inputs' names, and {output} numbers its pictures"
                )
            paths = [
                path
                for path in paths
                if not _result_of(places[path], target, made, whole=path in alike).exists()
            ]
    elif batch.skip_existing and targets and all(Path(one).exists() for one in targets):
        paths = []
    held = which_holds(batch, len(places) - len(paths), overwrite=files.overwrite)
    common.say(held, quiet=run.quiet or not held)
    refuse_unpainted(asked.picture, (*outputs, *pasted), photos=True)
    if not paths:
        common.say("every result is there already", quiet=run.quiet)
        return
    plan = RunPlan(
        SourcePlan(
            tuple(
                # Those of them that are left out are not there to be compared with.
                _marked(path, places[path], alike=path in alike and len(paths) < len(places))
                for path in paths
            ),
            InputOptions(replay=asked.replay),
        ),
        (*outputs, *pasted),
        asked.model,
        run=run,
        counts=asked.counts,
    )
    if save_or_none(run, [plan]):
        return
    # Once it is there it is a folder, whatever its ending.
    with folders_made(() if folder is None else (folder,), [one.target for one in plan.outputs]):
        run_pictures(plan)


def _result(
    paths: Sequence[Path], output: str | None, *, several: bool, made: Endings
) -> tuple[Path, str]:
    """Where pictures go: the path, and the target, which of a folder ends with a slash."""
    if several:
        if output is None:
            raise UsageError(f"{len(paths)} pictures need a folder to go to: -o FOLDER")
        if numbered(output):
            return Path(output), output
        return folder_of(output, len(paths)), f"{output.rstrip('/')}/"
    target = photo_beside(paths[0], made=made) if output is None else photo_target(output)
    is_folder = output is not None and output.endswith(("/", "\\"))
    return target, f"{target}/" if is_folder else str(target)


def _result_of(place: Path, target: Path, made: Endings, *, whole: bool) -> Path:
    if not target.is_dir():
        return target
    return target / place.with_name(photo_name(place, made=made, whole=whole))


def _marked(path: Path, place: Path, *, alike: bool) -> str:
    """A picture's name, marked where it lies deeper than in the folder that was given.

    Args:
        path: the picture.
        place: where it lies below the folder.
        alike: whether it is to be marked as one that has a namesake.
    """
    from stream.sources.images import NAMESAKE, PLACED

    if len(place.parts) < 2 and not alike:
        return str(path)
    folder = path.parents[len(place.parts) - 1]
    return f"{folder.as_posix().rstrip('/')}{NAMESAKE if alike else PLACED}{place.as_posix()}"
