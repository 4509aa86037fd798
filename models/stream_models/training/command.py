"""The command `stream train`."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from stream.errors import UsageError
from stream.system.extras import need_extra
from stream.wording.words import called
from stream_export.progress import Spoken
from stream_models.training.out import check_out
from stream_models.training.unbroken import resumable

# What `Learn` says, without loading torch for it.
Learns = StrEnum("Learns", ("all", "masks"))

Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything random.")]

_PACKAGES = (
    *("torch", "torchvision", "onnx", "onnxscript"),
    *("faster_coco_eval", "matplotlib", "PIL", "yaml"),
)


def need_packages() -> None:
    """Makes sure that what training is written with is there.

    Raises:
        UsageError: which package is missing, and what to install.
    """
    need_extra("train", *_PACKAGES, what="training")


def train_command(
    data: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="Folder with labelled pictures: COCO format (as CVAT, Label Studio, Roboflow and "
            "FiftyOne export it), YOLO text with data.yaml, labelme's files, or images/ and masks/ "
            "(PNG, 0 background, k the k-th person).",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="Folder for checkpoints, plots, samples and the models. An interrupted run "
            "there is taken up again.",
        ),
    ],
    init: Annotated[
        str,
        typer.Option(
            metavar="default|imagenet|FILE",
            help="Weights to start from: the bundled model, a backbone trained on ImageNet "
            "(downloaded), or a file (.pt, .onnx, .npz, or torchvision's .pth).",
        ),
    ] = "default",
    val: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder like --data to judge by. [default: the part of --data for validation, or "
            "every eighth picture]",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Batches to learn from. [default: 600 unless --minutes is given]"),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="Minutes of learning, at most. [default: no limit]"),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a batch.")] = 8,
    rate: Annotated[
        float | None,
        typer.Option(
            min=1e-9,
            max=1,
            help="Learning rate of the heads; the backbone's is an eighth of it. "
            "[default: 2e-4 for a model that detects already, else 6e-4]",
        ),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE=FACTOR",
            help="Draw pictures of this source more or less often than others. May be given "
            "several times.",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Threads that share out a batch, on the CPU.")
    ] = 2,
    learn: Annotated[
        Learns,
        typer.Option(
            help="What learns: all of the network, or only what makes masks, so that it finds "
            "the same objects as before and outlines them better."
        ),
    ] = Learns.all,
    seed: Seed = 0,
    skip_bad: Annotated[
        bool,
        typer.Option(
            "--skip-bad",
            help="Leave out what is wrong with --data and --val and go on; the place of an object "
            "left out counts neither as object nor as background.",
        ),
    ] = False,
    licence: Annotated[
        str, typer.Option(help="Of the weights, written into the model.")
    ] = "unknown",
) -> None:
    """Train a model on your own pictures, judge it and export it."""
    need_packages()
    # These take seconds to load.
    from stream_models.training.checks import unlabelled
    from stream_models.training.initial import check_initial
    from stream_models.training.loop import Learn, LoopConfig
    from stream_models.training.loop import Progress as State
    from stream_models.training.outcome import alike, outcome
    from stream_models.training.run import TrainConfig, gather, train

    # All that can be told before the data, which take minutes to look over.
    check_out(out, init)
    weights = read_weights(weight or [])
    detects = init == "default" or Path(init).suffix in {".pt", ".onnx"}
    if learn is Learns.masks and not detects:
        raise UsageError(
            f"--learn masks goes on from a model that finds objects, and --init {init} is none; "
            "leave one of them out"
        )
    check_initial(init)
    console = Console(stderr=True)

    def tell(sentence: str) -> None:
        console.print(Text(sentence), style="yellow")

    sets = gather(data, val, skip_bad, tell)
    for said in (alike(sets[0].names), unlabelled(sets[0])):
        if said is not None:
            tell(said)
    check_weights(weights, {picture.source for picture in sets[0].pictures})
    heads = rate if rate is not None else (2e-4 if detects else 6e-4)
    if steps is None and minutes is None:
        steps = 600
    config = TrainConfig(
        data,
        out,
        init,
        val,
        LoopConfig(
            batch=batch,
            steps=steps,
            minutes=minutes,
            learning_rate=heads,
            backbone_learning_rate=heads / 8,
            warmup=100 if detects else 300,
            workers=workers,
            seed=seed,
            learn=Learn(learn.value),
        ),
        weights=weights,
        licence=licence,
    )
    spoken = Spoken(console)
    columns = (
        TextColumn("batch {task.fields[step]}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]} left, loss {task.fields[loss]}, {task.fields[speed]}/s"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("train", total=1.0, step=0, left="?", loss="?", speed="?")

        def watch(state: State) -> None:
            losses = [value for name, value in state.losses.items() if name != "norm"]
            left, loss = _duration(state.seconds_left), f"{sum(losses):.2f}"
            speed = f"{state.pictures_per_second:.1f}"
            bar.update(
                task, completed=state.share, step=state.step, left=left, loss=loss, speed=speed
            )
            spoken.say(
                f"batch {state.step}, {state.share:.0%}, {left} left, loss {loss}, {speed}/s",
                last=state.share >= 1.0,
            )

        with resumable(out, lambda sentence: console.print(Text(sentence))):
            result = train(config, sets, watch, tell)
    for sentence in outcome(result):
        console.print(Text(sentence.text), style="yellow" if sentence.warns else "")


def read_weights(entries: list[str]) -> dict[str, float]:
    """Factors by source, from SOURCE=FACTOR each.

    Raises:
        UsageError: one is written otherwise, negative, or not finite.
    """
    weights = {}
    for entry in entries:
        # A source is a file's or a folder's name, which may hold the sign itself.
        source, _, factor = entry.rpartition("=")
        try:
            weights[source] = float(factor)
        except ValueError:
            raise UsageError(f"--weight {entry}: write it as SOURCE=FACTOR") from None
        if not 0 <= weights[source] < math.inf:
            raise UsageError(f"--weight {entry}: a factor is a number from 0 on")
    return weights


def check_weights(weights: Mapping[str, float], sources: Collection[str]) -> None:
    """Refuses factors of sources that there are none of, and those that leave nothing to draw.

    Raises:
        UsageError: see above.
    """
    for source in weights:
        if source not in sources:
            there = ", ".join(sorted(map(called, filter(None, sources))))
            raise UsageError(
                f"--weight {source}=...: no picture is of the source {called(source)}; "
                + (f"there is {there}" if there else "no picture of the data names its source")
            )
    if not any(weights.get(source, 1.0) for source in sources):
        raise UsageError("--weight: all factors are 0, so nothing would be learnt from")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
