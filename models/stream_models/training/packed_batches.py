"""Batches for fast devices, made ahead of time by processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from stream_models.training.augment import AugmentConfig, find_donors
from stream_models.training.batches import BatchMaker, PictureCache
from stream_models.training.data import Picture
from stream_models.training.packed import PackedTargets, pack

_AHEAD = 2


class _Endless(IterableDataset[Any]):
    def __init__(self, makers: list[BatchMaker]) -> None:
        self._makers = makers

    def __iter__(self) -> Iterator[tuple[Tensor, PackedTargets]]:
        worker = get_worker_info()
        maker = self._makers[0 if worker is None else worker.id]
        while True:
            batch = maker.make()
            shape = (batch.images.shape[-2], batch.images.shape[-1])
            yield batch.images.permute(0, 2, 3, 1), pack(batch.targets, shape)


class PackedBatches:
    """An endless stream of pictures uint8 (B, H, W, 3) and their targets, in pinned memory.

    Seeded; `processes` make `_AHEAD` batches each ahead of time.
    """

    def __init__(
        self,
        pictures: list[Picture],
        cache: PictureCache,
        weights: NDArray[np.float64],
        size: int,
        config: AugmentConfig,
        seed: int,
        processes: int,
    ) -> None:
        if processes:
            # OpenCV's threads do not come along to another process, which would wait for them for
            # ever; nor would threads of many processes do anything but wait for each other.
            cv2.setNumThreads(1)
        seeds = np.random.SeedSequence(seed).spawn(max(1, processes))
        donors = find_donors(pictures)
        makers = [
            BatchMaker(pictures, cache, weights, size, config, np.random.default_rng(own), donors)
            for own in seeds
        ]
        self._loader = DataLoader(
            _Endless(makers),
            batch_size=None,
            num_workers=processes,
            prefetch_factor=_AHEAD if processes else None,
            # The cache's pages are shared with processes that are forked, not with others.
            multiprocessing_context="fork" if processes else None,
            pin_memory=torch.cuda.is_available(),
        )
        self._coming = iter(self._loader)

    def __iter__(self) -> Iterator[tuple[Tensor, PackedTargets]]:
        """Batches without end; a picture that cannot be read raises here."""
        return cast(Iterator[tuple[Tensor, PackedTargets]], self._coming)

    def close(self) -> None:
        """Stop making batches, and end the processes."""
        del self._coming
