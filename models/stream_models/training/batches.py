"""Batches for training, made ahead of time in a thread, and the cache of decoded pictures."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream_models.training.augment import AugmentConfig, Donors, Image, find_donors, make
from stream_models.training.data import Picture
from stream_models.training.picture_files import load_picture
from stream_models.training.targets import Targets


class PictureCache:
    """Decoded pictures in one memory-mapped file of a folder, so that each is decoded once.

    Another list of pictures gets another file, in place of the one before. Pages are shared with
    the system's file cache and can be dropped by it: this costs disk, not memory.

    Raises:
        OSError: there is no room for it on the disk.
    """

    def __init__(self, pictures: list[Picture], folder: Path) -> None:
        self._place: dict[Path, tuple[int, int]] = {}
        total = 0
        digest = hashlib.sha256()
        for index, picture in enumerate(pictures):
            self._place[picture.path] = (index, total)
            total += picture.width * picture.height * 3
            stamp = picture.path.stat().st_mtime_ns
            digest.update(f"{picture.path} {picture.width} {picture.height} {stamp}\n".encode())
        folder.mkdir(parents=True, exist_ok=True)
        stem = folder / f"pictures-{digest.hexdigest()[:16]}"
        self.files = (stem.with_suffix(".bin"), stem.with_suffix(".done"))
        there = all(file.is_file() for file in self.files)
        for old in folder.glob("pictures-*"):
            if not (there and old in self.files) and old.suffix in (".bin", ".done"):
                old.unlink()
        self._data = _mapped(self.files[0], max(total, 1))
        self._done = _mapped(self.files[1], max(len(pictures), 1))

    def load(self, picture: Picture) -> Image:
        """The picture as RGB uint8 (H, W, 3), read-only. Raises ValueError if it is unreadable."""
        index, start = self._place[picture.path]
        size = picture.width * picture.height * 3
        view = self._data[start : start + size].reshape(picture.height, picture.width, 3)
        if not self._done[index]:
            view[:] = load_picture(picture)
            self._done[index] = 1
        return np.asarray(view)


def _mapped(path: Path, size: int) -> NDArray[np.uint8]:
    """A file of `size` bytes as an array; zeros where it is new.

    Its room on the disk is taken at once: a process that writes to a mapped file ends without a
    word where the disk is full.
    """
    with path.open("ab") as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                path.unlink()
                told = f"{error.strerror}; the decoded pictures need {size / 1e6:.1f} MB there"
                raise OSError(error.errno, told, str(path)) from error
            # A file system that cannot do that, such as those of some network drives.
    return np.memmap(path, np.uint8, "r+", shape=(size,))


def _favour(
    weights: NDArray[np.float64], shapes: NDArray[np.float64], shape: float
) -> NDArray[np.float64]:
    """Chances of pictures on a canvas: a standing picture on a lying canvas is mostly padding."""
    far = np.abs(np.log(shapes / shape))
    out: NDArray[np.float64] = weights * np.exp(-2.0 * far)
    return np.asarray(out / out.sum(), np.float64)


@dataclasses.dataclass
class Batch:
    """Pictures uint8 (B, 3, H, W), channels last in memory, and their targets."""

    images: Tensor
    targets: list[Targets]


class BatchMaker:
    """Makes seeded batches, one after the other."""

    def __init__(
        self,
        pictures: list[Picture],
        cache: PictureCache,
        weights: NDArray[np.float64],
        size: int,
        config: AugmentConfig,
        rng: np.random.Generator,
        donors: Donors | None = None,
    ) -> None:
        self._pictures = pictures
        self._cache = cache
        self._size = size
        self._config = config
        self._canvases = config.canvases
        shapes = np.array([picture.width / picture.height for picture in pictures])
        self._chances = [
            _favour(weights, shapes, width / height) for height, width in self._canvases
        ]
        self._rng = rng
        self._donors = donors or find_donors(pictures)

    def make(self) -> Batch:
        """The next batch, on a canvas of its own."""
        kind = int(self._rng.integers(len(self._canvases)))
        canvas = self._canvases[kind]
        chosen = self._rng.choice(len(self._pictures), self._size, p=self._chances[kind])
        images = np.empty((self._size, *canvas, 3), np.uint8)
        targets = []
        for row, index in enumerate(chosen):
            picture = self._pictures[int(index)]
            images[row], target = make(
                picture, self._cache.load, self._donors, canvas, self._config, self._rng
            )
            targets.append(target)
        return Batch(torch.from_numpy(images).permute(0, 3, 1, 2), targets)


class Batches:
    """An endless stream of batches, seeded; the thread stays at most `ahead` batches ahead."""

    def __init__(
        self,
        pictures: list[Picture],
        cache: PictureCache,
        weights: NDArray[np.float64],
        size: int,
        config: AugmentConfig,
        seed: int,
        ahead: int = 3,
    ) -> None:
        rng = np.random.default_rng(seed)
        self._make = BatchMaker(pictures, cache, weights, size, config, rng).make
        self._pool = ThreadPoolExecutor(1, "batches")
        self._ahead = ahead

    def __iter__(self) -> Iterator[Batch]:
        """Batches without end; a picture that cannot be read raises here."""
        coming = deque(self._pool.submit(self._make) for _ in range(self._ahead))
        while True:
            batch = coming.popleft().result()
            coming.append(self._pool.submit(self._make))
            yield batch

    def close(self) -> None:
        """Stop making batches."""
        self._pool.shutdown(wait=True, cancel_futures=True)
