"""A refiner's training from pictures to the file that the runtime takes."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from stream.errors import UsageError
from stream.inference.postprocess import class_indices
from stream.inference.segmenter import Segmenter
from stream.objects.silhouettes import Likeness
from stream_models.refiner import Refiner
from stream_models.training.data import DataSet
from stream_models.training.initial import default_weights
from stream_models.training.out import CHECKPOINT, REPORT
from stream_models.training.refiner.augment import Change
from stream_models.training.refiner.loop import LoopConfig, Progress, Trainer, judged
from stream_models.training.refiner.samples import INDEX, Samples, are_of, collect, made_of
from stream_models.training.refiner.ship import save, to_onnx
from stream_models.training.ship import from_onnx

logger = logging.getLogger(__name__)

MODEL = "refiner.onnx"
"""What a run writes."""


@dataclasses.dataclass(frozen=True)
class RefinerConfig:
    """A run: what to learn from, for which classes and whose masks, where to write, how long.

    `weights` gives the samples of a source another chance to be drawn than 1. `licence` is what
    the file says of its weights. `init` is the checkpoint of another run to begin with; without it
    the bundled model's backbone is what is known. `also` are folders of other runs, whose samples
    are learnt from too, such as those of a model's earlier edition.
    """

    out: Path
    model: str = "default"
    classes: tuple[str, ...] = ("person",)
    loop: LoopConfig = dataclasses.field(default_factory=LoopConfig)
    change: Change = dataclasses.field(default_factory=Change)
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    licence: str = "unknown"
    init: Path | None = None
    also: tuple[Path, ...] = ()


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run wrote, and how like the true masks are, by source: the model's, and refined.

    `objects` are those that it was judged by.
    """

    file: Path
    judged: Mapping[str, tuple[Likeness, Likeness]]
    objects: int


def train(
    config: RefinerConfig,
    data: DataSet,
    found: Callable[[int, int], None],
    watch: Callable[[Progress], None],
    tell: Callable[[str], None] | None = None,
) -> Result:
    """Let the model find the objects, learn from its masks, and export.

    An interrupted run in `config.out` is taken up again.

    Args:
        config: the run.
        data: pictures with masks.
        found: is told how many pictures of how many the model has looked at.
        watch: is told how far learning is.
        tell: is told in a sentence where samples that were there are no longer true, and where a
            run is taken up.

    Raises:
        UsageError: there is nothing to learn from, or `init` is no refiner's checkpoint.
        ModelError: the model cannot be opened, the refiner not exported, or a checkpoint in
            `config.out` is damaged or another network's.
        ValueError: a picture cannot be read.
    """
    # On a machine that does other work too, threads inside each operation wait for one another.
    torch.set_num_threads(1)
    torch.manual_seed(config.loop.seed)
    refiner = begun(config.init)
    config.out.mkdir(parents=True, exist_ok=True)
    of = made_of(data, config.model, config.classes, config.loop.seed)
    there = are_of(config.out)
    if there and there != of and tell is not None:
        tell(
            f"the samples in {config.out} were made of other data, of another model or of other "
            "classes: they are made anew"
        )
    if there is None or there not in ("", of):
        segmenter = Segmenter.load(config.model, "cpu")
        collect(data, segmenter, config.out, config.classes, config.loop.seed, found, of)
    trainer = Trainer(
        refiner,
        Samples(config.out, *config.also),
        config.weights,
        config.out,
        config.loop,
        config.change,
    )
    if tell is not None and (said := trainer.taken_up()) is not None:
        tell(said)
    trainer.run(watch, lambda average: _figures(judged(average, trainer.judged)))
    scores = judged(trainer.average, trainer.judged)
    told = _told(config, data, scores)
    file = config.out / MODEL
    save(to_onnx(trainer.average, config.classes, told), file)
    (config.out / REPORT).write_text(json.dumps(_figures(scores), indent=1))
    return Result(file, scores, len(trainer.judged))


def check(config: RefinerConfig) -> set[str]:
    """Refuses what no run can be made of, which can be told before its data are looked at.

    Returns:
        The sources of the samples that are there already.

    Raises:
        UsageError: `init` is no refiner's checkpoint, or a folder of `also` holds no samples.
    """
    begun(config.init)
    for folder in config.also:
        if not (folder / INDEX).is_file():
            raise UsageError(f"--also: {folder} holds no samples of a run of train-refiner")
    there = config.also
    if (config.out / INDEX).is_file():
        there = (config.out, *there)
    return set(Samples(*there).sources)


def spelt(config: RefinerConfig) -> RefinerConfig:
    """The same run with its classes as the model spells them, each once.

    The file that it writes names them, and whatever takes the file compares these with the model's.

    Raises:
        UsageError: the model does not know a class.
        ModelError: the model cannot be opened.
    """
    names = Segmenter.load(config.model, "cpu").names
    found = sorted(class_indices(config.classes, names))
    return dataclasses.replace(config, classes=tuple(names[index] for index in found))


def begun(init: Path | None) -> Refiner:
    """A refiner to go on from.

    Args:
        init: another run's checkpoint; None for the bundled model's backbone.

    Raises:
        UsageError: it is no refiner's checkpoint.
    """
    refiner = Refiner()
    if init is None:
        refiner.adopt(from_onnx(default_weights()).backbone)
        return refiner
    try:
        refiner.load_state_dict(torch.load(init, map_location="cpu", weights_only=True)["average"])
    except (OSError, EOFError, KeyError, RuntimeError, TypeError, UnpicklingError) as error:
        raise UsageError(f"{init} is no refiner's checkpoint: give a run's {CHECKPOINT}") from error
    return refiner


def _told(
    config: RefinerConfig, data: DataSet, scores: Mapping[str, tuple[Likeness, Likeness]]
) -> dict[str, str]:
    return {
        "refiner.origin": "stream's own U-Net on the first blocks of the bundled model's backbone",
        "refiner.licence": config.licence,
        "refiner.training_data": ", ".join(sorted({one.source for one in data.pictures})),
        "refiner.accuracy": json.dumps({name: one.iou for name, (_, one) in scores.items()}),
    }


def _figures(scores: Mapping[str, tuple[Likeness, Likeness]]) -> dict[str, Any]:
    def rounded(one: Sequence[float]) -> list[float]:
        return [round(value, 4) for value in one]

    return {name: {"model": rounded(a), "refined": rounded(b)} for name, (a, b) in scores.items()}
