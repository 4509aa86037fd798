"""`stream file`: footage in, segmented footage out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from stream.cli import _common as common
from stream.cli._batch import (
    BatchOptions,
    Task,
    check_named,
    check_skipping,
    match_outputs,
    refuse_twins,
    which_holds,
)
from stream.cli._groups import command, shared
from stream.cli._inputs import find_inputs
from stream.run.plan import RunPlan, SourcePlan
from stream.settings.options import (
    CameraOptions,
    CutOptions,
    DecodingOptions,
    InputOptions,
    ReplayOptions,
)
from stream.wording.names import below


@dataclass(frozen=True, slots=True)
class _FilmOptions:
    """What is asked of numbered pictures that are one film."""

    fps: float | None = shared(CameraOptions, "fps")


@command
def file(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Video files, folders of them, or patterns ('takes/*.mp4'); numbered pictures "
            "(frames/%05d.png, or a folder with --fps) are one film.",
        ),
    ],
    asked: common.Common,
    cut: CutOptions,
    decoding: DecodingOptions,
    film: _FilmOptions,
    batch: BatchOptions,
    beside: common.BesideOptions,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTPUT",
            help="The video to write; its ending chooses the container; or a playlist "
            "(film.m3u8), or an address that it is sent to at its own pace. May be given several "
            "times for one input. Of several inputs a folder, or a name with {name} in it, which "
            "stands for each input's. "
            "[default: in.stream.mp4 beside in.mp4; none where --records or --masks is given]",
            rich_help_panel="Output",
        ),
    ] = None,
) -> None:
    """Segment video files: same length, sound, orientation and colours, with the masks in it."""
    common.set_verbosity(quiet=asked.run.quiet, verbose=asked.run.verbose)
    from stream.cli._runs import go_through, save_or_none  # OpenCV before PyAV
    from stream.run.opening import endings_for
    from stream.sources._numbering import as_film
    from stream.sources.folders import VIDEO_ENDINGS

    into = (*(output or ()), beside.masks)
    if film.fps is not None:
        inputs = [as_film(one) for one in inputs]
    found = find_inputs(inputs, VIDEO_ENDINGS, "videos", recursive=batch.recursive, into=into)
    for line in found.left_out:
        common.say(line, quiet=asked.run.quiet)
    made = endings_for(asked.picture)
    records, masks = beside.records, beside.masks
    needed = not records and masks is None
    check_skipping(batch, masks, others=bool(records or output))
    several = len(found.files) > 1 or found.folders
    check_named(asked.replay.from_records, asked.counts.plot, several=several)
    tasks = [
        replace(
            task,
            records=common.record_targets(
                records,
                str(task.source),
                several=several,
                name=task.name,
                folder=task.place.parent,
            ),
            masks=common.masks_folder(masks, _masked(task)) if masks and several else "",
        )
        for task in match_outputs(found, output or [], made=made, needed=needed)
    ]
    refuse_twins(tasks)
    common.keep_clear(one for task in tasks for one in task.all_outputs)
    inputs_asked = InputOptions(cut, decoding=decoding, camera=CameraOptions(fps=film.fps))
    plans = {task: _plan(task, asked, inputs_asked, masks, several=several) for task in tasks}
    if save_or_none(asked.run, list(plans.values())):
        return
    skipped = dict.fromkeys(
        task for task in tasks if batch.skip_existing and _is_finished(task, cut, film.fps)
    )
    held = which_holds(batch, len(skipped), overwrite=asked.files.overwrite)
    common.say(held, quiet=asked.run.quiet or not held)
    go_through(
        [plan for task, plan in plans.items() if task not in skipped],
        asked.run,
        skipped=[str(task.source) for task in skipped],
        several=several,
        make_folders=several or any(one.endswith(("/", "\\")) for one in output or ()),
    )


def _plan(
    task: Task, asked: common.Common, source: InputOptions, masks: str | None, *, several: bool
) -> RunPlan:
    from stream.run.unused import refuse_unpainted

    place = _masked(task) if several else None
    source = replace(
        source,
        replay=ReplayOptions(_placed(asked.replay.from_records, task)),
    )
    picture, pasted = common.with_masks(masks, asked.picture, asked.files, place)
    outputs = (*common.written(task.outputs, task.records, picture, asked.files), *pasted)
    refuse_unpainted(asked.picture, outputs)
    return RunPlan(
        SourcePlan(str(task.source), source, task.name if task.alike else ""),
        outputs,
        asked.model,
        asked.tracking,
        run=replace(asked.run, report=_placed(asked.run.report, task)),
        counts=replace(asked.counts, plot=_placed(asked.counts.plot, task)),
    )


def _masked(task: Task) -> Path:
    """Where an input's masks lie below their folder: as the input does, without its ending."""
    return task.place if task.alike else task.place.with_suffix("")


def _placed(path: Path | None, task: Task) -> Path | None:
    return None if path is None else Path(below(str(path), task.place.parent))


def _is_finished(task: Task, cut: CutOptions, fps: float | None) -> bool:
    from stream.cli._finished import finished
    from stream.cli._recorded import recorded

    films = all(finished(task.source, Path(one), cut, fps) for one in task.outputs)
    beside = bool(task.outputs)
    return (
        bool(task.all_outputs)
        and films
        and all(
            recorded(task.source, Path(one), cut, beside=beside, fps=fps) for one in task.records
        )
    )
