"""The refiner's training: seeded, bounded by time or steps, resumable, watched by an evaluation."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stream.compositing.learned import SHAPES, SMALL, shape_for
from stream.errors import ModelError
from stream.objects.silhouettes import Likeness, likeness
from stream_models.refiner import Refiner
from stream_models.training.history import begin
from stream_models.training.out import CHECKPOINT, HISTORY
from stream_models.training.products import quick_products
from stream_models.training.refiner.augment import Change, cut, window
from stream_models.training.refiner.feed import Job, Made, batches
from stream_models.training.refiner.samples import Sample, Samples, pasted
from stream_models.training.saving import save_whole
from stream_models.training.unbroken import unbroken

logger = logging.getLogger(__name__)

_HELD_BACK = 12
"""Every so many pictures one is kept for judging."""
_JUDGED = 40
"""Samples of a source that are judged, at most."""
MIDDLE = ((224, 128), (192, 128), (160, 160), (128, 192), (128, 224))
"""Shapes between those that the runtime uses."""
_EDGE = 3.0
"""Pixels over which errors near an edge count more."""
_READ = 20
"""Every so many batches the loss is read, for which a GPU is waited for."""


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to learn.

    The run ends after `steps` batches or `minutes`, whichever comes first. Its first `small` share
    sees everything in `MIDDLE`, where what an object is can be learnt in half the time; of the
    batches after it a share of `few` in the runtime's smallest shapes. The learning rate rises over
    `warmup` batches and then falls to nothing by a cosine; the backbone's is `backbone` of it. The
    loss counts errors at the true edge `edge` times more, and the soft masks' IoU `shared` times.
    The averaged network (`ema_decay`) is judged every `evaluate_minutes` and saved every
    `save_minutes`. `workers` processes make batches; 0 makes them where they are learnt from.
    """

    batch: int = 16
    steps: int | None = None
    minutes: float | None = None
    learning_rate: float = 3e-3
    backbone: float = 0.15
    weight_decay: float = 1e-4
    warmup: int = 100
    small: float = 0.65
    few: float = 0.2
    edge: float = 4.0
    shared: float = 1.0
    clip: float = 2.0
    ema_decay: float = 0.998
    save_minutes: float = 3.0
    evaluate_minutes: float = 15.0
    workers: int = 0
    seed: int = 0


@dataclasses.dataclass
class Progress:
    """Where a run stands: batches done, seconds spent learning, the latest mean loss."""

    step: int = 0
    seconds: float = 0.0
    share: float = 0.0
    loss: float = 0.0


def loss(logits: Tensor, true: Tensor, edge: float, shared: float) -> Tensor:
    """How wrong masks are.

    Cross-entropy, `edge` times more at the true edge, and `shared` times one minus the IoU of the
    soft masks.

    Args:
        logits: float32 (B, 1, H, W).
        true: float32 (B, 1, H, W), 0..1.
        edge: what the edge adds.
        shared: the weight of the IoU.
    """
    side = 2 * round(_EDGE) + 1
    near = functional.avg_pool2d(
        functional.pad(true, (side // 2,) * 4, mode="replicate"), side, stride=1
    )
    weight = 1.0 + edge * 4.0 * near * (1.0 - near)
    each = functional.binary_cross_entropy_with_logits(logits, true, reduction="none")
    probable = torch.sigmoid(logits)
    both = (probable * true).sum(dim=(1, 2, 3))
    either = (probable + true - probable * true).sum(dim=(1, 2, 3))
    crossed = (each * weight).sum() / weight.sum()
    return crossed + shared * (1.0 - (both + 1.0) / (either + 1.0)).mean()


def as_input(images: list[NDArray[np.uint8]]) -> Tensor:
    """uint8 [H, W, 4] each to the refiner's input."""
    return _scaled(torch.from_numpy(np.stack(images)))


def _scaled(images: Tensor) -> Tensor:
    """uint8 (B, H, W, 4) to the refiner's input."""
    planes = images.permute(0, 3, 1, 2)
    return planes.float().mul_(2 / 255).sub_(1.0).contiguous(memory_format=torch.channels_last)


class Trainer:
    """Teaches a refiner from samples, and keeps where it stands in a folder."""

    def __init__(
        self,
        refiner: Refiner,
        samples: Samples,
        weights: Mapping[str, float],
        out: Path,
        config: LoopConfig,
        change: Change,
    ) -> None:
        self.config, self._change, self._out = config, change, out
        self._samples = samples
        held = _held_back(samples.pictures)
        self.judged = _some(samples, np.flatnonzero(held))
        self._learnt = np.flatnonzero(~held)
        chances = np.array([weights.get(samples.sources[i], 1.0) for i in self._learnt])
        self._pools = _pools(samples, self._learnt, chances)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.refiner = refiner.to(self.device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.refiner).requires_grad_(False).eval()
        backbone = {id(p) for p in refiner.blocks.parameters()}
        learnt = [p for p in refiner.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in learnt if id(p) in backbone], "base": config.backbone},
                {"params": [p for p in learnt if id(p) not in backbone], "base": 1.0},
            ],
            weight_decay=config.weight_decay,
        )
        self.progress = Progress()
        # Whether all is as a batch left it, and not half learnt.
        self._whole = True
        self._resume()

    def run(
        self, watch: Callable[[Progress], None], judge: Callable[[Refiner], dict[str, Any]]
    ) -> None:
        """Learn until the time or the batches are over.

        Raises:
            KeyboardInterrupt: Ctrl-C came; what was learnt so far is saved.
        """
        begin(self._out / HISTORY, self.progress.step)
        try:
            self._learn(watch, judge)
        except KeyboardInterrupt:
            if self._whole and self.progress.step:
                self._save()
            raise

    def _learn(
        self, watch: Callable[[Progress], None], judge: Callable[[Refiner], dict[str, Any]]
    ) -> None:
        config, progress = self.config, self.progress
        saved = judged = progress.seconds
        if not progress.step:
            self._note(judge)
        made = batches(
            self._samples,
            self._change,
            self._jobs(),
            config.workers,
            pinned=self.device.type == "cuda",
        )
        total, count = torch.zeros((), device=self.device), 0
        while progress.share < 1.0:
            begun = time.monotonic()
            coming = next(made)
            with unbroken():
                self._whole = False
                total, count = total + self._step(coming), count + 1
                progress.step += 1
                self._whole = True
            if progress.step % _READ == 0 or self.device.type == "cpu":
                value, total, count = float(total) / count, torch.zeros_like(total), 0
                progress.loss = 0.7 * progress.loss + 0.3 * value if progress.loss else value
            progress.seconds += time.monotonic() - begun
            progress.share = self._share()
            watch(progress)
            if progress.seconds - saved > 60 * config.save_minutes or progress.share >= 1.0:
                self._save()
                saved = progress.seconds
            if progress.seconds - judged > 60 * config.evaluate_minutes or progress.share >= 1.0:
                self._note(judge)
                judged = progress.seconds

    def _share(self) -> float:
        shares = [0.0]
        if self.config.steps is not None:
            shares.append(self.progress.step / self.config.steps)
        if self.config.minutes is not None:
            shares.append(self.progress.seconds / 60 / self.config.minutes)
        return max(shares)

    def _jobs(self) -> Iterator[Job]:
        """Batches without end, from where the run stands."""
        config, step = self.config, self.progress.step
        totals = np.array([pool.weight for pool in self._pools])
        while True:
            rng = np.random.default_rng((config.seed, step))
            pool = self._pools[int(rng.choice(len(totals), p=totals / totals.sum()))]
            shape = SHAPES[pool.shape]
            if self.progress.share < config.small:
                shape = MIDDLE[pool.shape]
            elif rng.random() < config.few:
                shape = SMALL[pool.shape]
            places = rng.choice(pool.places, config.batch, p=pool.chances)
            yield Job((config.seed, step, 1), shape, places)
            step += 1

    def _step(self, made: Made) -> Tensor:
        config, progress = self.config, self.progress
        rate = min(1.0, (progress.step + 1) / config.warmup)
        rate *= config.learning_rate * (0.5 + 0.5 * float(np.cos(np.pi * min(1, progress.share))))
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["base"]
        self.refiner.train()
        images, true = (one.to(self.device, non_blocking=True) for one in made)
        # Products in bf16 on cards that have it; the loss is in float32 everywhere.
        with quick_products(self.device, rounded=self.device.type == "cuda"):
            logits = self.refiner(_scaled(images))
        value = loss(logits.float(), true[:, None].float() / 255, config.edge, config.shared)
        self._optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.refiner.parameters(), config.clip)
        self._optimizer.step()
        self._take_in()
        return value.detach()

    @torch.no_grad()
    def _take_in(self) -> None:
        decay = min(self.config.ema_decay, (1 + self.progress.step) / (10 + self.progress.step))
        own = cast(list[Tensor], list(self.average.parameters()))
        torch._foreach_lerp_(own, [p.detach() for p in self.refiner.parameters()], 1.0 - decay)
        for mine, new in zip(self.average.buffers(), self.refiner.buffers(), strict=True):
            mine.lerp_(new, 1.0 - decay) if mine.is_floating_point() else mine.copy_(new)

    def _note(self, judge: Callable[[Refiner], dict[str, Any]]) -> None:
        found = judge(self.average)
        entry = {**dataclasses.asdict(self.progress), "judged": found}
        logger.info("%s", entry)
        with (self._out / HISTORY).open("a") as history:
            history.write(json.dumps(entry) + "\n")

    def _save(self) -> None:
        content = {
            "refiner": self.refiner.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "progress": dataclasses.asdict(self.progress),
        }
        save_whole(self._out / CHECKPOINT, content)

    def _resume(self) -> None:
        path = self._out / CHECKPOINT
        if not path.is_file():
            return
        try:
            content = torch.load(path, map_location=self.device, weights_only=True)
            self.refiner.load_state_dict(content["refiner"])
            self.average.load_state_dict(content["average"])
            self._optimizer.load_state_dict(content["optimizer"])
            self.progress = Progress(**content["progress"])
        # Whatever torch makes of a file that it did not write, and of one of another network.
        except Exception as error:
            raise ModelError(
                f"{path} is damaged, or no checkpoint of a run of `stream train-refiner`; choose "
                "another folder with --out, or take that file away"
            ) from error
        # Of this run, which may be asked for more.
        self.progress.share = self._share()

    def taken_up(self) -> str | None:
        """What to know of a run that was there already, in a sentence; None where none was."""
        progress = self.progress
        if not progress.step:
            return None
        if progress.share < 1.0:
            return f"the run in {self._out} is taken up at batch {progress.step}"
        return (
            f"the run in {self._out} is at its end, after {progress.step} batches, and learns no "
            "more: more --steps or --minutes go on with it, another --out begins anew"
        )


def _held_back(pictures: Sequence[int]) -> NDArray[np.bool_]:
    """Which samples are kept for judging, by the numbers of their pictures; none of one alone."""
    numbers = np.array(pictures)
    held = numbers % _HELD_BACK == 0
    if not held.any() and np.unique(numbers).size > 1:
        held = numbers == numbers.max()
    return np.asarray(held, np.bool_)


def _some(samples: Samples, places: NDArray[np.int64]) -> list[Sample]:
    """Of each source evenly spread ones."""
    out = []
    for source in dict.fromkeys(samples.sources):
        own = [int(i) for i in places if samples.sources[int(i)] == source]
        out += [samples[i] for i in own[:: max(1, len(own) // _JUDGED)][:_JUDGED]]
    return out


@dataclasses.dataclass(frozen=True)
class _Pool:
    """Samples that are seen in one shape, the number of which it is, and their chances."""

    shape: int
    places: NDArray[np.int64]
    chances: NDArray[np.float64]
    weight: float


def _pools(
    samples: Samples, places: NDArray[np.int64], chances: NDArray[np.float64]
) -> list[_Pool]:
    own = []
    for i in places:
        sample = samples[int(i)]
        shape = shape_for(window(sample.found[0], sample.true.shape))
        own.append(SMALL.index(shape) if shape in SMALL else SHAPES.index(shape))
    pools = []
    for number in range(len(SHAPES)):
        there = np.flatnonzero(np.array(own) == number)
        weight = float(chances[there].sum())
        if weight > 0:
            pools.append(_Pool(number, places[there], chances[there] / weight, weight))
    return pools


@torch.no_grad()
def judged(refiner: Refiner, samples: list[Sample]) -> dict[str, tuple[Likeness, Likeness]]:
    """How like the true ones the model's masks are, and how like they are refined, by source."""
    by_source: dict[str, list[tuple[Likeness, Likeness]]] = {}
    device = next(refiner.parameters()).device
    for sample in samples:
        found = sample.found[0]
        seen = cut(sample, found)
        logits = refiner(as_input([seen.image]).to(device))[0, 0]
        refined = torch.sigmoid(logits).mul_(255).round_().to(torch.uint8).cpu().numpy()
        top, bottom, left, right = window(found, sample.true.shape)
        inside = np.zeros(sample.true.shape, np.bool_)
        whole = cv2.resize(refined, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        inside[top:bottom, left:right] = whole > 127
        true = sample.true > 0
        plain = pasted(found, sample.true.shape) > 127
        pair = likeness(plain, true), likeness(inside, true)
        by_source.setdefault(sample.source, []).append(pair)
    return {
        source: tuple(Likeness(*np.mean([p[i] for p in pairs], axis=0).tolist()) for i in (0, 1))  # type: ignore[misc]
        for source, pairs in by_source.items()
    }
