"""A training run from data to exported models: what `stream train` does."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stream.errors import UsageError
from stream.inference.segmenter import Segmenter
from stream.wording.words import called, counted
from stream_export.metadata import read_metadata, save_model, write_metadata
from stream_models.detect import DetectConfig
from stream_models.network import MaskRCNN
from stream_models.training.augment import AugmentConfig
from stream_models.training.checkpoints import check_room
from stream_models.training.checks import common, sound
from stream_models.training.data import PERSON, DataSet, Picture, class_among
from stream_models.training.evaluate import Report, evaluate, network_detector, runtime_detector
from stream_models.training.initial import initial_network, origin_of, untrained
from stream_models.training.loop import Learn, LoopConfig, Progress, Trainer
from stream_models.training.losses import LossConfig
from stream_models.training.out import CURVE, FLOAT_MODEL, INT8_MODEL, REPORT
from stream_models.training.picture_files import load_picture
from stream_models.training.pictures import contact_sheet, draw_found, learning_curve
from stream_models.training.reading import Purpose, is_split
from stream_models.training.ship import metadata, quantise, to_onnx

logger = logging.getLogger(__name__)

# Every eighth picture is kept for judging where no set is given for it.
_HELD_BACK = 8
CLASS_FLOOR = 0.35
_CALIBRATION = 96
_SAMPLES = "samples-"


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """A run: what to learn from, where to start, where to write, how long.

    `weights` gives the pictures of a source another chance to be drawn than 1. `validation` is a
    folder like `data`; without one, the part of `data` that is kept for it, or every eighth
    picture, is held back. `licence` is what the
    exported model says of its weights.
    """

    data: Path
    out: Path
    init: str = "default"
    validation: Path | None = None
    loop: LoopConfig = dataclasses.field(default_factory=LoopConfig)
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    licence: str = "unknown"


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run wrote, and its accuracy on the pictures it did not learn from.

    `rounded` is the int8 file's, through the runtime on this machine. `before` is what it began
    with; None where an earlier, interrupted run began. `left_out` are the classes that were found
    too badly to be exported.
    """

    float_model: Path
    int8_model: Path
    report: Report
    rounded: Report
    before: Report | None = None
    left_out: tuple[str, ...] = ()


def split(data: DataSet) -> tuple[DataSet, DataSet]:
    """The set without, and with only, the pictures held back for judging.

    Raises:
        UsageError: there is only one picture.
    """
    if len(data.pictures) < 2:
        raise UsageError("training needs at least two pictures: one to learn from, one to judge by")
    held = data.pictures[_HELD_BACK - 1 :: _HELD_BACK] or data.pictures[-1:]
    kept = {picture.id for picture in held}
    rest = [picture for picture in data.pictures if picture.id not in kept]
    return DataSet(data.names, rest, []), DataSet(data.names, held, [])


def gather(
    data: Path,
    validation: Path | None,
    skip_bad: bool = False,
    tell: Callable[[str], None] | None = None,
) -> tuple[DataSet, DataSet]:
    """The pictures to learn from and those to judge by, both checked; see `checks.sound`.

    Without `validation` they are judged by the set's own part for it, or by every eighth picture.
    """
    if validation is None and not is_split(data):
        learn, judged = split(sound(data, Purpose.BOTH, skip_bad, tell))
    else:
        learn = sound(data, Purpose.LEARN, skip_bad, tell)
        judged = sound(validation or data, Purpose.JUDGE, skip_bad, tell)
    both = common(learn.pictures, judged.pictures)
    if both and tell is not None:
        tell(
            f"of {counted(len(judged.pictures), 'picture')} to judge by {both} "
            f"{'is' if both == 1 else 'are'} among those to learn from too (the same file, or a "
            "copy of one), so that figures will flatter; --val names others"
        )
    return learn, judged


def train(
    config: TrainConfig,
    sets: tuple[DataSet, DataSet] | None = None,
    watch: Callable[[Progress], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Result:
    """Train, judge and export; an interrupted run in `config.out` is taken up again.

    `sets` are what `gather` returned if it was asked already. `watch` is told how far the run is,
    `tell` in a sentence that one was there already, or which classes begin untrained, and what is
    done once it has learnt.
    Raises UsageError or ModelError, OSError where there is no room for what it writes, ValueError
    for a picture that breaks on the way.
    """
    learn, judged = sets or gather(config.data, config.validation)
    torch.manual_seed(config.loop.seed)
    network, known = initial_network(config.init, learn.names)
    config.out.mkdir(parents=True, exist_ok=True)
    chances = np.array([config.weights.get(p.source, 1.0) for p in learn.pictures])
    trainer = Trainer(
        network,
        learn.pictures,
        chances,
        config.out,
        config.loop,
        config.augment,
        config.loss,
        origin_of(config.init),
    )
    if trainer.share() < 1.0:
        check_room(config.out, trainer.network)
    masks_alone = config.loop.learn is Learn.MASKS
    sentence = trainer.taken_up() or untrained(learn.names, known, masks_alone)
    known_before = trainer.learnt_before(judged.pictures)
    if tell is not None:
        if sentence is not None:
            tell(sentence)
        if known_before:
            tell(
                f"of {counted(len(judged.pictures), 'picture')} to judge by the run has learnt "
                f"from {known_before}, before the data changed, so that figures will flatter; "
                "--val names others, another --out begins anew"
            )
    _forget_samples(config.out, trainer.step)
    samples = judged.pictures[:: max(1, len(judged.pictures) // 8)][:8]

    before: list[Report] = []

    def judge(average: MaskRCNN, progress: Progress) -> dict[str, Any]:
        detector = network_detector(average.eval(), DetectConfig(), rounded=True)
        report = evaluate(detector, learn.names, judged)
        logger.info("batch %d: %s", progress.step, report.line())
        if progress.step == 0:
            before.append(report)
        show(average, learn.names, samples, config.out / f"{_SAMPLES}{progress.step:06d}.png")
        return dict(report.groups)

    def draw(history: Path) -> None:
        learning_curve(history, config.out / CURVE)

    trainer.run(watch or (lambda progress: None), judge, draw)
    result = export(trainer.ema.network, learn, judged, config, tell)
    return dataclasses.replace(result, before=before[0] if before else None)


def _forget_samples(out: Path, step: int) -> None:
    """Takes away the samples of batches behind `step`, which were lost and are made once more."""
    for path in out.glob(f"{_SAMPLES}*.png"):
        number = path.stem.removeprefix(_SAMPLES)
        if number.isdecimal() and int(number) > step:
            path.unlink()


def show(network: MaskRCNN, names: tuple[str, ...], pictures: list[Picture], path: Path) -> None:
    """Write sample pictures with what the network finds in them."""
    detector = network_detector(network.eval(), DetectConfig(), rounded=True)
    contact_sheet([draw_found(load_picture(p), detector, names, 0.5) for p in pictures], path)


def export(
    network: MaskRCNN,
    learn: DataSet,
    judged: DataSet,
    config: TrainConfig,
    tell: Callable[[str], None] | None = None,
) -> Result:
    """Write `model.float32.onnx`, `model.int8.onnx` and a report, each model judged.

    Of many classes only those with a box AP50 of at least `CLASS_FLOOR` are exported, and the
    person always. Each step takes up to minutes; `tell` is told in a sentence as it begins.
    """
    tell = tell or (lambda sentence: None)
    pictures = counted(len(judged.pictures), "picture")
    tell(f"judging what was learnt by {pictures}")
    detector = network_detector(network.eval(), DetectConfig(), rounded=False)
    report = evaluate(detector, learn.names, judged, classes=True)
    keep = [
        name
        for name in learn.names
        if class_among(PERSON, (name,)) is not None
        or len(learn.names) <= 3
        or _found(report, name) >= CLASS_FLOOR
    ]
    told = metadata(keep or learn.names, config.data.name, config.licence, _accuracy(report))
    tell(f"writing {FLOAT_MODEL}")
    model = to_onnx(network, told.names, told)
    float_path = config.out / FLOAT_MODEL
    save_model(model, float_path)
    step = max(1, len(learn.pictures) // _CALIBRATION)
    chosen = [load_picture(picture) for picture in learn.pictures[::step][:_CALIBRATION]]
    int8_path = config.out / INT8_MODEL
    tell(f"writing {INT8_MODEL}, and judging it by {pictures}")
    small = quantise(model, chosen)
    save_model(small, int8_path)
    # As users run it: how well int8 answers may depend on the processor too.
    runs = Segmenter.load(int8_path, provider="cpu", threshold=0.0)
    rounded = evaluate(runtime_detector(runs), runs.names, judged)
    write_metadata(small, dataclasses.replace(read_metadata(small), accuracy=_accuracy(rounded)))
    save_model(small, int8_path)
    summary = {
        "groups": report.groups,
        "classes": report.classes,
        "exported": list(told.names),
        "int8": rounded.groups,
    }
    (config.out / REPORT).write_text(json.dumps(summary, indent=1))
    left_out = tuple(name for name in learn.names if name not in told.names)
    return Result(float_path, int8_path, report, rounded, left_out=left_out)


def _found(report: Report, name: str) -> float:
    """A class's box AP50; 0 where there was nothing to judge it by."""
    judged = tuple(report.classes)
    place = class_among(name, judged)
    return 0.0 if place is None else report.classes[judged[place]]


def _accuracy(report: Report) -> dict[str, float]:
    """What a model's file says of its accuracy."""
    few = f" of {report.pictures} pictures" if report.caution() else ""
    person = class_among(PERSON, (report.subject,)) is not None
    subject = "" if person else f" of {called(report.subject)}"
    return {
        f"mask {key}{subject}, {group}{few}": round(value, 4)
        for group, figures in report.groups.items()
        for key, value in figures.items()
        if value >= 0
    }
