"""Answers that somebody stored, of the original system on the same pictures, for `verify`."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.errors import ModelError, NoModelError
from stream.instances import Instances
from stream.wording.words import counted

_PARTS = ("boxes", "scores", "labels", "masks")


class StoredAnswers:
    """An .npz with `PICTURE/boxes`, `/scores`, `/labels` and `/masks` of each picture.

    PICTURE is the file's name; boxes are float [N, 4] (x1, y1, x2, y2 in pixels of the picture),
    scores float [N], labels int [N] (0-based, without background), masks float [N, M, M] in the
    frame of their box, or bool or 0 and 1 of the picture's size, [N, H, W].
    """

    assumed: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        """Reads the names of the arrays.

        Raises:
            ModelError: the file is missing, or no archive of arrays.
        """
        self.what = f"the answers in {path}"
        self.picture = ""
        self._path = path
        try:
            with np.load(path, allow_pickle=False) as archive:
                self._arrays = {name: archive[name] for name in archive.files}
        except FileNotFoundError:
            raise NoModelError(f"{path}: there is no such file") from None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ModelError(f"{path}: it is no .npz of plain arrays ({error})") from error

    def __call__(self, picture: NDArray[np.uint8]) -> Instances:
        """What is stored for the picture that is named in `picture`.

        Raises:
            ModelError: nothing is, or it is not as described above.
        """
        found = {part: self._arrays.get(f"{self.picture}/{part}") for part in _PARTS}
        missing = [part for part, value in found.items() if value is None]
        if missing:
            raise ModelError(f"{self._path}: it holds no '{self.picture}/{missing[0]}'")
        boxes, scores, labels, masks = (found[part] for part in _PARTS)
        assert boxes is not None and scores is not None
        assert labels is not None and masks is not None
        count = len(scores)
        if boxes.shape != (count, 4) or labels.shape != (count,) or masks.shape[:1] != (count,):
            raise ModelError(
                f"{self._path}: the arrays of {self.picture!r} are of "
                f"{counted(len(boxes), 'box', 'boxes')}, {counted(count, 'score')}, "
                f"{counted(len(labels), 'label')} and {counted(len(masks), 'mask')}; "
                "they must be of as many"
            )
        height, width = picture.shape[:2]
        whole = masks.ndim == 3 and masks.shape[1:] == (height, width)
        if masks.ndim != 3:
            raise ModelError(f"{self._path}: the masks of {self.picture!r} are no [N, M, M]")
        highest = max(int(labels.max(initial=0)) + 1, 1)
        mask_boxes = (
            np.tile(np.array([0, 0, width, height], np.float32), (count, 1)) if whole else None
        )
        try:
            return Instances(
                boxes=boxes.astype(np.float32),
                scores=scores.astype(np.float32),
                labels=labels.astype(np.int64),
                masks=masks.astype(np.float32),
                class_names=tuple(str(number) for number in range(highest)),
                picture_size=(height, width),
                mask_boxes=mask_boxes,
            )
        except ValueError as error:
            raise ModelError(f"{self._path}: {self.picture!r}: {error}") from error
