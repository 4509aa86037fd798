"""How batches reach the network: shared out to threads on a CPU, whole on a GPU."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Tensor

from stream.system.cpu import available_cores
from stream_models.network import MaskRCNN
from stream_models.training import batched_losses
from stream_models.training.batches import Batch, Batches
from stream_models.training.losses import LossConfig, losses
from stream_models.training.packed import PackedTargets
from stream_models.training.packed_batches import PackedBatches
from stream_models.training.products import quick_products
from stream_models.training.targets import Targets

# Processes that make batches for a GPU; more than this wait for it.
_MOST_PROCESSES = 16


class Feed(Protocol):
    """An endless stream of learning steps."""

    def __iter__(self) -> Iterator[tuple[int, Step]]:
        """For each batch, how many pictures it has and its step.

        A picture that cannot be read raises here.
        """
        ...

    def close(self) -> None:
        """Stop making batches, and end the threads and processes."""
        ...


class Step(Protocol):
    """What adds a batch's gradients to the network's and returns its losses by name."""

    def __call__(self, network: MaskRCNN) -> dict[str, float]:
        """Learn from the batch, but for the step of the optimizer."""
        ...


class SharedOut:
    """For the CPU: each of `workers` threads learns from a part of the batch."""

    def __init__(self, batches: Batches, config: LossConfig, seed: int, workers: int) -> None:
        self._batches, self._config = batches, config
        self._generators = [
            torch.Generator().manual_seed(seed + 7919 * index) for index in range(workers)
        ]
        if workers > 1:
            torch.set_num_threads(1)
        # The number of threads inside an operation is a setting of the calling thread.
        self._pool = ThreadPoolExecutor(
            workers, "learn", initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),)
        )

    def __iter__(self) -> Iterator[tuple[int, Step]]:
        """See `Feed`."""
        for batch in self._batches:
            yield len(batch.targets), lambda network, batch=batch: self._learn(network, batch)

    def _learn(self, network: MaskRCNN, batch: Batch) -> dict[str, float]:
        images, targets = batch.images, batch.targets
        count = len(self._generators)
        futures = [
            self._pool.submit(
                self._part,
                network,
                images[first::count],
                targets[first::count],
                self._generators[first],
                len(targets[first::count]) / len(targets),
            )
            for first in range(min(count, len(targets)))
        ]
        values: dict[str, float] = {}
        for future in futures:
            for name, value in future.result().items():
                values[name] = values.get(name, 0.0) + value
        return values

    def _part(
        self,
        network: MaskRCNN,
        images: Tensor,
        targets: list[Targets],
        generator: torch.Generator,
        share: float,
    ) -> dict[str, float]:
        """Add one part's gradients, times its share of the batch (0..1); returns its losses."""
        with quick_products(images.device):
            parts = losses(network, images, targets, self._config, generator)
        torch.autograd.backward(torch.stack(list(parts.values())).sum() * share)
        return {name: float(value.detach()) * share for name, value in parts.items()}

    def close(self) -> None:
        """See `Feed`."""
        self._batches.close()
        self._pool.shutdown()


class Whole:
    """For a GPU: the whole batch at once, and the host waits for it once a batch."""

    def __init__(
        self, batches: PackedBatches, config: LossConfig, seed: int, device: torch.device
    ) -> None:
        self._batches, self._config, self._device = batches, config, device
        self._generator = torch.Generator(device).manual_seed(seed)

    def __iter__(self) -> Iterator[tuple[int, Step]]:
        """See `Feed`."""
        for images, truth in self._batches:
            yield (
                len(truth),
                lambda network, images=images, truth=truth: self._learn(network, images, truth),
            )

    def _learn(self, network: MaskRCNN, images: Tensor, truth: PackedTargets) -> dict[str, float]:
        pictures = images.to(self._device, non_blocking=True).permute(0, 3, 1, 2)
        there = truth.to(self._device)
        with quick_products(self._device):
            parts = batched_losses.losses(network, pictures, there, self._config, self._generator)
        values = torch.stack(list(parts.values()))
        torch.autograd.backward(values.sum())
        return dict(zip(parts, values.detach().tolist(), strict=True))

    def close(self) -> None:
        """See `Feed`."""
        self._batches.close()


def processes() -> int:
    """How many processes make batches for a GPU; 0 where none can be forked, as on Windows."""
    if "fork" not in multiprocessing.get_all_start_methods():
        return 0
    return max(1, min(_MOST_PROCESSES, available_cores() - 1))
