"""The command `stream train-refiner`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from stream.wording.words import counted, names_in
from stream_export.progress import Spoken
from stream_models.training.command import Seed, check_weights, need_packages, read_weights
from stream_models.training.out import check_out
from stream_models.training.unbroken import resumable

_FEW = 50
"""Objects below which figures say little, as in `stream train`."""


def train_refiner_command(
    data: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER", help="Folder with labelled pictures, as `stream train` takes it."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="Folder for samples, checkpoints and the refiner. An interrupted run there is "
            "taken up again.",
        ),
    ],
    model: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="The model whose masks are to be refined.")
    ] = "default",
    classes: Annotated[
        str, typer.Option(metavar="NAME,…", help="Whose masks, with commas. Case does not matter.")
    ] = "person",
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Batches to learn from. [default: 4000 unless --minutes is given]"
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="Minutes of learning, at most. [default: no limit]"),
    ] = None,
    batch: Annotated[int, typer.Option(min=2, help="Objects a batch.")] = 16,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE=FACTOR",
            help="Draw objects of this source more or less often than others. May be given "
            "several times.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes that make batches ahead of time; 0 makes them in this one. "
            "[default: one less than there are cores where a GPU learns, else 0]",
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Another run's checkpoint.pt, to begin with what it learnt."
        ),
    ] = None,
    also: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Another run's folder, whose samples are learnt from too. May be given "
            "several times.",
        ),
    ] = None,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Leave out what is wrong with --data and go on."),
    ] = False,
    seed: Seed = 0,
    licence: Annotated[str, typer.Option(help="Of the weights, written into the file.")] = (
        "unknown"
    ),
) -> None:
    """Train the network that draws masks' edges to where objects end."""
    need_packages()
    # These take seconds to load.
    import torch

    from stream_models.training.checks import sound
    from stream_models.training.reading import Purpose
    from stream_models.training.refiner.loop import LoopConfig
    from stream_models.training.refiner.loop import Progress as State
    from stream_models.training.refiner.run import RefinerConfig, check, spelt, train

    check_out(out, "default" if init is None else str(init))
    console = Console(stderr=True)
    if steps is None and minutes is None:
        steps = 4000
    usual = max(1, (os.cpu_count() or 1) - 1) if torch.cuda.is_available() else 0
    count = usual if workers is None else workers
    config = RefinerConfig(
        out,
        model,
        names_in(classes),
        LoopConfig(batch=batch, steps=steps, minutes=minutes, workers=count, seed=seed),
        weights=read_weights(weight or []),
        licence=licence,
        init=init,
        also=tuple(also or ()),
    )
    # Before the data, which take minutes to look over.
    known = check(config)
    config = spelt(config)
    pictures = sound(
        data, Purpose.BOTH, skip_bad, lambda said: console.print(Text(said), style="yellow")
    )
    check_weights(config.weights, known | {one.source for one in pictures.pictures})
    spoken = Spoken(console)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(*columns, console=console) as bar:
        # Of a run that is taken up either may have nothing to do any more.
        looking, learning = (
            bar.add_task(what, start=False, visible=False, total=1.0, told="")
            for what in ("the model looks", "the refiner learns")
        )

        def found(done: int, of: int) -> None:
            bar.start_task(looking)
            told = f"picture {done} of {of}"
            bar.update(looking, completed=done, total=of, told=told, visible=True)
            spoken.say(f"the model looks: picture {done} of {of}", last=done == of)

        def watch(state: State) -> None:
            told = f"batch {state.step}, loss {state.loss:.3f}"
            bar.start_task(learning)
            bar.update(learning, completed=state.share, told=told, visible=True)
            spoken.say(
                f"the refiner learns: {told}, {min(state.share, 1):.0%}", last=state.share >= 1.0
            )

        with resumable(out, lambda sentence: console.print(Text(sentence))):
            result = train(config, pictures, found, watch, lambda said: console.print(Text(said)))
    for source, (before, after) in result.judged.items():
        told = f"IoU {before.iou:.3f} before, {after.iou:.3f} refined"
        # Pictures of a set without sources are of one.
        console.print(
            Text(f"{source or 'all'}: {told}; within 1 pixel {before.one:.3f}, {after.one:.3f}")
        )
    if result.objects < _FEW:
        few = "so few say little" if result.objects else "all are of one picture, so no figures"
        told = f"judged by {counted(result.objects, 'object')}: {few}"
        console.print(Text(told), style="yellow")
    if result.judged:
        console.print(
            Text(
                "IoU: the share of mask and object that both have, 0 to 1; within 1 pixel: of edges"
            )
        )
    console.print(Text(f"wrote {result.file}"))
    typed = shlex.quote(str(result.file))
    console.print(Text(f"use it: stream webcam --look cutout --refiner {typed}"))
