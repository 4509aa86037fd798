"""The training loop: seeded, bounded by time or steps, resumable, watched by an evaluation."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stream.errors import ModelError
from stream.wording.words import called
from stream_models.network import MASK_PARTS, MaskRCNN, network_config
from stream_models.training.augment import AugmentConfig
from stream_models.training.batches import Batches, PictureCache
from stream_models.training.checkpoints import content_of, save_checkpoint
from stream_models.training.data import Picture, same_classes
from stream_models.training.feeds import Feed, SharedOut, Step, Whole, processes
from stream_models.training.history import begin
from stream_models.training.losses import LossConfig
from stream_models.training.out import CHECKPOINT, HISTORY
from stream_models.training.packed_batches import PackedBatches
from stream_models.training.unbroken import unbroken

logger = logging.getLogger(__name__)


class Learn(StrEnum):
    """What of a network learns."""

    ALL = "all"
    """All but the backbone's first blocks."""

    MASKS = "masks"
    """What makes masks. Boxes, scores and classes stay as they are, and so are not forgotten."""


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to learn.

    The run ends after `steps` batches or `minutes` of training, whichever comes first; the
    learning rate warms up over `warmup` batches, stays, and falls to 2% over the last `decay`
    share of the run. For the last `fake_quantize_share` of it the frozen layers compute as int8
    does, so that the int8 model is as good as the float one. `backbone_learning_rate` applies to
    the pre-trained backbone, `learning_rate` to the rest. The averaged network (`ema_decay` is the
    average's) is judged before and after the run, and every `evaluate_minutes` of it, or less
    often where judging took more than a tenth of them.
    On the CPU a batch is shared out to `workers` threads that meet once a batch: threads inside
    each operation, which meet thousands of times, wait for one another on a busy machine. A GPU
    learns from a batch as a whole, which processes make.
    """

    batch: int = 8
    steps: int | None = None
    minutes: float | None = None
    learning_rate: float = 6e-4
    backbone_learning_rate: float = 8e-5
    weight_decay: float = 0.01
    warmup: int = 300
    decay: float = 0.3
    fake_quantize_share: float = 0.4
    clip: float = 4.0
    ema_decay: float = 0.999
    save_minutes: float = 4.0
    evaluate_minutes: float = 1.0
    workers: int = 2
    seed: int = 0
    learn: Learn = Learn.ALL


class MovingAverage:
    """Exponential moving average of a network's weights, slower as the run goes on."""

    def __init__(self, network: MaskRCNN, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: MaskRCNN, step: int) -> None:
        """Take in the weights after batch number `step`."""
        decay = min(self._decay, (1 + step) / (10 + step))
        own: list[Tensor] = list(self.network.parameters())
        new = [p.detach() for p in network.parameters()]
        torch._foreach_lerp_(own, new, 1.0 - decay)


@dataclasses.dataclass
class Progress:
    """Where a run stands: batches done, seconds spent training, the latest mean losses."""

    step: int
    seconds: float
    share: float
    losses: dict[str, float]
    pictures_per_second: float

    @property
    def seconds_left(self) -> float:
        """Estimated from the share of the run that is done."""
        return self.seconds / max(self.share, 1e-6) * (1.0 - self.share)


Watcher = Callable[[Progress], None]
Judge = Callable[[MaskRCNN, Progress], dict[str, Any]]
_JUDGING = 0.1


def parameter_groups(network: MaskRCNN, config: LoopConfig) -> list[dict[str, Any]]:
    """Parameters with their rates.

    Biases are not decayed: in the backbone they are the shift of the folded batch normalisation.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = (name.startswith("backbone."), parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": members,
            "base": config.backbone_learning_rate if backbone else config.learning_rate,
            "weight_decay": config.weight_decay if weight and not backbone else 0.0,
        }
        for (backbone, weight), members in groups.items()
    ]


def rate_factor(step: int, share: float, config: LoopConfig) -> float:
    """The learning rate's factor at batch `step` with `share` (0..1) of the run done."""
    warm = min(1.0, (step + 1) / config.warmup)
    left = max(0.0, 1.0 - share)
    if left >= config.decay:
        return warm
    return warm * (0.02 + 0.98 * 0.5 * (1.0 - math.cos(math.pi * left / config.decay)))


class Trainer:
    """One training run in the folder `out`; a run interrupted there is taken up again."""

    def __init__(
        self,
        network: MaskRCNN,
        pictures: list[Picture],
        weights: NDArray[np.float64],
        out: Path,
        config: LoopConfig,
        augment: AugmentConfig,
        loss: LossConfig,
        origin: str = "",
    ) -> None:
        """Sets up, or takes up what was interrupted.

        Args:
            network: to begin with.
            pictures: to learn from.
            weights: the chance of each picture to be drawn, float64 (pictures,).
            out: folder of the run.
            config: how long and how fast; as it is now, also for a run that is taken up.
            augment: how pictures are varied.
            loss: what is to become small.
            origin: where the network's weights are from, see `initial.origin_of`; "" where that
                does not matter.

        Raises:
            ModelError: what lies in the folder is another run's, or damaged.
        """
        torch.manual_seed(config.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.to(self.device).to(memory_format=torch.channels_last).train()
        if config.learn is Learn.MASKS:
            for name, parameter in self.network.named_parameters():
                parameter.requires_grad_(name.startswith(MASK_PARTS))
        self.config, self._loss, self._out = config, loss, out
        self._optimizer = torch.optim.AdamW(
            parameter_groups(network, config), lr=config.learning_rate
        )
        self.ema = MovingAverage(self.network, config.ema_decay)
        self.step, self.seconds = 0, 0.0
        self._origin, self._elsewhere, self._rate_before = origin, False, config.learning_rate
        self._before: frozenset[str] = frozenset()
        self._learnt = frozenset(picture.name for picture in pictures)
        # Whether all is as a batch left it, and not half learnt.
        self._whole = True
        out.mkdir(parents=True, exist_ok=True)
        self._checkpoint = out / CHECKPOINT
        if self._checkpoint.is_file():
            self._resume()
        self._cache = PictureCache(pictures, out)
        self._feed = self._feed_for(pictures, weights, augment)

    def _feed_for(
        self, pictures: list[Picture], weights: NDArray[np.float64], augment: AugmentConfig
    ) -> Feed:
        config, seed = self.config, self.config.seed + self.step
        if self.device.type == "cpu":
            batches = Batches(pictures, self._cache, weights, config.batch, augment, seed)
            return SharedOut(batches, self._loss, seed, config.workers)
        packed = PackedBatches(
            pictures, self._cache, weights, config.batch, augment, seed, processes()
        )
        return Whole(packed, self._loss, seed, self.device)

    def _resume(self) -> None:
        try:
            content = content_of(self._checkpoint)
        except ModelError as error:
            raise ModelError(
                f"{error}; take it away to begin anew, or choose another folder with --out"
            ) from error
        try:
            theirs, ours = network_config(content["config"]).names, self.network.config.names
            if not same_classes(theirs, ours):
                raise ModelError(
                    f"{self._checkpoint} belongs to another run, which learns "
                    f"{', '.join(map(called, theirs))} and not {', '.join(map(called, ours))}; "
                    "choose another folder with --out, or name the classes as they were, in order"
                )
            self._before = frozenset(content.get("learnt", ()))
            self.network.load_state_dict(content["weights"])
            self.ema.network.load_state_dict(content["average"])
            self._load_optimizer(content["optimizer"])
            began = str(content.get("origin", ""))
            self._elsewhere = "" not in (began, self._origin) and began != self._origin
            self._origin = began or self._origin
            self.step, self.seconds = int(content["step"]), float(content["seconds"])
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(
                f"{self._checkpoint} belongs to another run, of other classes, another network or "
                "another --learn; choose another folder with --out, or take that file away"
            ) from error

    def _load_optimizer(self, state: dict[str, Any]) -> None:
        """Takes what an optimizer has gathered; its rates are those that are asked for now."""
        mine = [(group["base"], group["weight_decay"]) for group in self._optimizer.param_groups]
        self._optimizer.load_state_dict(state)
        groups = self._optimizer.param_groups
        self._rate_before = max(float(group["base"]) for group in groups)
        for group, (base, decay) in zip(groups, mine, strict=True):
            group["base"], group["weight_decay"] = base, decay

    def taken_up(self) -> str | None:
        """What to know of a run that was there already, in a sentence; None where none was."""
        if not self.step:
            return None
        if self.share() < 1.0:
            said = f"the run in {self._out} is taken up at batch {self.step}"
            if not math.isclose(self._rate_before, self.config.learning_rate, rel_tol=1e-6):
                said += (
                    f", with a learning rate of {self.config.learning_rate:g}, which was "
                    f"{self._rate_before:g}"
                )
            if self._elsewhere:
                said += (
                    ", with its own weights and not those of --init (another --out begins from "
                    "these)"
                )
            return said
        return (
            f"the run in {self._out} is at its end, after {self.step} batches, and learns no more: "
            "more --steps or --minutes go on with it, another --out begins anew"
        )

    def learnt_before(self, pictures: Sequence[Picture]) -> int:
        """How many of the pictures this run learnt from before it was taken up."""
        return sum(picture.name in self._before for picture in pictures)

    def save(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(
            self._checkpoint,
            self.network,
            {
                "average": self.ema.network.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "step": self.step,
                "learnt": sorted(self._before | self._learnt),
                "origin": self._origin,
                "seconds": self.seconds,
            },
        )

    def share(self) -> float:
        """The share of the run that is done, 0..1."""
        parts = [0.0]
        if self.config.steps is not None:
            parts.append(self.step / self.config.steps)
        if self.config.minutes is not None:
            parts.append(self.seconds / (60.0 * self.config.minutes))
        return min(1.0, max(parts))

    def _learn(self, gradients: Step) -> dict[str, float]:
        factor = rate_factor(self.step, self.share(), self.config)
        for group in self._optimizer.param_groups:
            group["lr"] = group["base"] * factor
        self._optimizer.zero_grad(set_to_none=True)
        self.network.backbone.fake_quantize_frozen(
            self.share() > 1.0 - self.config.fake_quantize_share
        )
        values = gradients(self.network)
        trained = [p for group in self._optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(trained, self.config.clip)
        if torch.isfinite(norm):
            self._optimizer.step()
            self.ema.update(self.network, self.step)
        else:
            logger.warning("batch %d: the gradient is not finite, skipped", self.step)
        values["norm"] = float(norm)
        return values

    def _batch(self, gradients: Step) -> dict[str, float]:
        with unbroken():
            self._whole = False
            start = time.monotonic()
            values = self._learn(gradients)
            self.seconds += time.monotonic() - start
            self.step += 1
            self._whole = True
        return values

    def run(
        self,
        watch: Watcher,
        judge: Judge | None = None,
        judged: Callable[[Path], None] | None = None,
    ) -> None:
        """Train to the end.

        `watch` sees every batch, `judge` the averaged network; `judged` is given the file with
        the history (JSON lines: losses, and what `judge` returned) after each judgement. A run
        that is at its end already learns no more.

        Raises:
            KeyboardInterrupt: Ctrl-C came; what was learnt so far is saved.
        """
        path = self._out / HISTORY
        begin(path, self.step)
        history = path.open("a")

        def note(entry: dict[str, Any]) -> None:
            history.write(json.dumps(entry) + "\n")
            history.flush()

        def ask(judge: Judge, progress: Progress) -> float:
            start = time.monotonic()
            figures = judge(self.ema.network, progress)
            note({"step": self.step, "seconds": self.seconds, "figures": figures})
            if judged is not None:
                judged(path)
            return time.monotonic() - start

        mean: dict[str, float] = {}
        saved = asked = self.seconds
        began, seen = time.monotonic(), 0
        took = 0.0
        try:
            if judge is not None and self.step == 0:
                took = ask(judge, Progress(0, 0.0, 0.0, mean, 0.0))
            if self.step and self.share() >= 1.0:
                return
            for count, gradients in self._feed:
                values = self._batch(gradients)
                seen += count
                for name, value in values.items():
                    mean[name] = 0.98 * mean.get(name, value) + 0.02 * value
                share = self.share()
                progress = Progress(
                    self.step, self.seconds, share, mean, seen / (time.monotonic() - began)
                )
                watch(progress)
                if self.step % 20 == 0 or share >= 1.0:
                    note({"step": self.step, "seconds": self.seconds, **mean})
                if self.seconds - saved > 60 * self.config.save_minutes or share >= 1.0:
                    self.save()
                    saved = self.seconds
                pause = max(60 * self.config.evaluate_minutes, took / _JUDGING)
                if judge is not None and (self.seconds - asked > pause or share >= 1.0):
                    took = ask(judge, progress)
                    asked = self.seconds
                if share >= 1.0:
                    return
        except KeyboardInterrupt:
            if self._whole and self.step:
                self.save()
            raise
        finally:
            self._feed.close()
            history.close()
