"""Batches of samples, made ahead by processes where a GPU learns faster than one can make them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from stream_models.training.refiner.augment import Change, changed
from stream_models.training.refiner.samples import Samples

Made = tuple[Tensor, Tensor]
"""What is seen, uint8 (B, H, W, 4), and what is true there, uint8 (B, H, W)."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A batch that is to be made.

    Attributes:
        seed: of its changes.
        shape: height and width in which all of it is seen, since a batch is one array.
        places: which samples, in order.
    """

    seed: tuple[int, ...]
    shape: tuple[int, int]
    places: NDArray[np.int64]


class _Maker(Dataset[Made]):
    """Makes a batch of a job."""

    def __init__(self, samples: Samples, change: Change) -> None:
        self._samples, self._change = samples, change

    def __getitem__(self, job: Job) -> Made:
        rng = np.random.default_rng(job.seed)
        seen = [changed(self._samples[int(i)], rng, self._change, job.shape) for i in job.places]
        images = torch.from_numpy(np.stack([one.image for one in seen]))
        return images, torch.from_numpy(np.stack([one.true for one in seen]))


def batches(
    samples: Samples, change: Change, jobs: Iterable[Job], workers: int, *, pinned: bool
) -> Iterator[Made]:
    """The jobs' batches, in their order.

    Args:
        samples: what they are made of.
        change: how far samples are changed.
        jobs: are asked for as batches are wanted, two a worker ahead.
        workers: processes that make them; 0 makes them here.
        pinned: whether they lie in memory that a GPU reads while it does other things.
    """
    if workers:
        # OpenCV's threads do not come along to another process, which would wait for them for ever;
        # nor would threads of many processes do anything but wait for each other.
        cv2.setNumThreads(1)
    loader = DataLoader(
        _Maker(samples, change),
        batch_size=None,
        sampler=jobs,
        num_workers=workers,
        pin_memory=pinned,
    )
    return iter(loader)
