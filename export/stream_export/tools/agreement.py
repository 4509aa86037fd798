"""Do two systems find the same? Told in worst cases, not in means."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.errors import NoModelError, SourceError
from stream.instances import Instances, box_iou
from stream.roi import paste_mask
from stream.wording.words import counted

Answer = Callable[[NDArray[np.uint8]], Instances]
"""Something that finds instances in a picture, uint8 [H, W, 3] RGB."""

_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
_SAME = 0.5
"""Boxes of one class that overlap at least this much may be the same detection."""
_SPARE = 1
"""Pixels; one may lie so near the threshold that the noise of floats decides."""
_THIN = 1.0
"""Pixels; a box that is thinner has no overlap worth comparing, only its corners."""
_EDGE = 2.0
"""Pixels; of a box that is thinner, each pixel lies at its edge, where a hundredth of a pixel may
decide whether a whole row is in: masks are compared cell by cell, before they are pasted."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far apart two answers may lie and still be the same.

    Attributes:
        box: pixels of the picture, the worst corner.
        score: 0..1.
        mask: the least intersection over union of pasted masks, 0..1; a single pixel that is in
            one alone counts for none, which in a small mask would be more than this by itself.
        unmatched: detections without a partner, on either side.
    """

    box: float = 0.5
    score: float = 1e-3
    mask: float = 0.99
    unmatched: int = 0


NO_LIMIT = Tolerance(math.inf, math.inf, 0.0, sys.maxsize)
"""Whatever differs."""


def limits(
    precision: str,
    box: float | None = None,
    score: float | None = None,
    mask: float | None = None,
    unmatched: int | None = None,
) -> Tolerance:
    """How far a model may be from its origin: as was asked, else exact but for float noise.

    Args:
        precision: the least of both; one that was rounded has no limits but those that were asked
            for, as what its rounding changes depends on how sure the network is.
        box: see `Tolerance`; None where it was not asked for.
        score: likewise.
        mask: likewise.
        unmatched: likewise.
    """
    usual = Tolerance() if precision == "float32" else NO_LIMIT
    return Tolerance(
        usual.box if box is None else box,
        usual.score if score is None else score,
        usual.mask if mask is None else mask,
        usual.unmatched if unmatched is None else unmatched,
    )


@dataclass(slots=True)
class Agreement:
    """What a comparison found, over all pictures.

    Attributes:
        pictures: compared.
        expected: detections of the origin above the score.
        found: detections of the model above the score.
        matched: pairs.
        missing: the origin's without a partner.
        extra: the model's without a partner.
        borderline: without a partner, but only because the score is within the tolerance of the
            threshold, or of the last score where the list is full.
        box: worst difference of a coordinate, pixels of the picture.
        score: worst difference of scores.
        soft: worst difference of a soft mask's cell.
        mask: least intersection over union of pasted masks.
        box_median: over pairs, of their worst coordinate.
        score_median: over pairs.
        mask_median: over pairs.
        worst: the picture and what was worst there, in words.
    """

    pictures: int = 0
    expected: int = 0
    found: int = 0
    matched: int = 0
    missing: int = 0
    extra: int = 0
    borderline: int = 0
    box: float = 0.0
    score: float = 0.0
    soft: float = 0.0
    mask: float = 1.0
    box_median: float = 0.0
    score_median: float = 0.0
    mask_median: float = 1.0
    worst: dict[str, str] = field(default_factory=dict)

    def failures(self, tolerance: Tolerance) -> list[str]:
        """Where the two are too far apart, a clause each; empty where they agree."""
        limits = (
            ("boxes differ by up to", self.box, tolerance.box, " pixels"),
            ("scores differ by up to", self.score, tolerance.score, ""),
        )
        failed = [
            f"{what} {value:.4g}{unit} (allowed {limit:g})"
            for what, value, limit, unit in limits
            if value > limit
        ]
        if self.mask < tolerance.mask:
            failed.append(f"masks overlap by only {self.mask:.4f} (needed {tolerance.mask:g})")
        if self.missing + self.extra > tolerance.unmatched:
            failed.append(
                f"{counted(self.missing, 'detection is', 'detections are')} missing and "
                f"{self.extra} {'is' if self.extra == 1 else 'are'} extra"
            )
        return failed

    def to_json(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        if not self.expected and not self.found:
            return [
                f"pictures    {self.pictures}",
                "neither found anything, so nothing was compared, nothing proven: take pictures "
                "of what the model knows, or a lower --score",
            ]
        return [
            f"pictures    {self.pictures}",
            f"detections  {self.expected} of the origin, {self.found} of the model, "
            f"{self.matched} matched",
            f"unmatched   {self.missing} missing, {self.extra} extra, "
            f"{self.borderline} at the threshold",
            f"boxes       worst {self.box:.4f} px, median {self.box_median:.4f} px",
            f"scores      worst {self.score:.2e}, median {self.score_median:.2e}",
            f"masks       worst overlap {self.mask:.4f}, median {self.mask_median:.4f}, "
            f"worst soft difference {self.soft:.2e}",
            *(f"worst {what}: {where}" for what, where in self.worst.items()),
        ]


def compare(
    origin: Answer,
    model: Answer,
    pictures: Iterable[tuple[str, NDArray[np.uint8]]],
    *,
    score: float = 0.05,
    tolerance: Tolerance | None = None,
    limit: int = 100,
) -> Agreement:
    """Compares two systems on pictures.

    Masks of both are pasted by this program's own pasting, which is what a user sees, so that the
    networks are compared and not two ways of pasting.

    Args:
        origin: the one that is right.
        model: the one that is judged.
        pictures: names and uint8 [H, W, 3] RGB.
        score: detections below this are left out, 0..1.
        tolerance: how near a threshold a detection may be missed for its score alone.
        limit: how many detections either gives at most.
    """
    allowed = tolerance or Tolerance()
    result = Agreement()
    errors: list[tuple[float, float, float]] = []
    for name, picture in pictures:
        expected, found = origin(picture), model(picture)
        pairs = match(expected, found, score, allowed.box)
        result.pictures += 1
        wanted = {int(i) for i in np.flatnonzero(expected.scores > score)}
        given = {int(i) for i in np.flatnonzero(found.scores > score)}
        result.expected += len(wanted)
        result.found += len(given)
        result.matched += len(pairs)
        for side, other, left, attribute in (
            (expected, found, wanted - {a for a, _ in pairs}, "missing"),
            (found, expected, given - {b for _, b in pairs}, "extra"),
        ):
            # Where a list is full, its last score is the other's threshold too.
            bar = max(score, float(other.scores.min())) if len(other) >= limit else score
            for index in left:
                if side.scores[index] <= bar + allowed.score:
                    result.borderline += 1
                    continue
                setattr(result, attribute, getattr(result, attribute) + 1)
                result.worst.setdefault(
                    attribute, f"{name}, score {side.scores[index]:.3f}, box {side.boxes[index]}"
                )
        for a, b in pairs:
            errors.append(_pair(result, name, expected, found, a, b))
    if errors:
        medians = np.median(np.array(errors), axis=0)
        result.box_median, result.score_median, result.mask_median = map(float, medians)
    return result


def match(
    expected: Instances, found: Instances, score: float, near: float = 0.5
) -> list[tuple[int, int]]:
    """Pairs of indices of the same detection: one to one, same class, nearest boxes first.

    A detection above the score may pair with one just below it. Boxes that are thinner than a
    pixel, which overlap with nothing, are the same where no corner is further off than `near`.
    """
    candidates = []
    overlaps = box_iou(expected.boxes, found.boxes)
    for a in map(int, np.flatnonzero(expected.scores > 0.9 * score)):
        alike = (found.labels == expected.labels[a]) & (found.scores > 0.9 * score)
        for b in map(int, np.flatnonzero(alike)):
            if max(expected.scores[a], found.scores[b]) <= score:
                continue
            distance = float(np.abs(expected.boxes[a] - found.boxes[b]).max())
            thin = _thin(expected.boxes[a]) or _thin(found.boxes[b])
            if overlaps[a, b] >= _SAME or (thin and distance <= near):
                apart = abs(float(expected.scores[a] - found.scores[b]))
                candidates.append((distance + apart, a, b))
    pairs: list[tuple[int, int]] = []
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    for _, a, b in sorted(candidates):
        if a not in taken_a and b not in taken_b:
            taken_a.add(a)
            taken_b.add(b)
            pairs.append((a, b))
    return pairs


def _thin(box: NDArray[np.float32], least: float = _THIN) -> bool:
    return bool(min(box[2] - box[0], box[3] - box[1]) < least)


def mask_iou(a: Instances, i: int, b: Instances, j: int, spare: int = 0) -> float:
    """Intersection over union of two instances' pasted masks; 1 where both are empty.

    So many pixels (`spare`) or fewer that are in one mask alone count for none.
    """
    return _iou(_canvas(a, i), _canvas(b, j), spare)


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_], spare: int) -> float:
    union, both = int((one | other).sum()), int((one & other).sum())
    return both / union if union - both > spare else 1.0


def _cells_iou(a: Instances, i: int, b: Instances, j: int) -> float:
    """The same of two masks' cells, in the frames of their boxes; 1 where frames are not alike."""
    one, other = a.masks[i], b.masks[j]
    if one.shape != other.shape or (a.mask_boxes is None) != (b.mask_boxes is None):
        return 1.0
    return _iou(one > a.mask_threshold, other > b.mask_threshold, _SPARE)


def _canvas(side: Instances, index: int) -> NDArray[np.bool_]:
    """An instance's mask in its picture, bool [H, W]."""
    height, width = side.picture_size
    mask = side.masks[index]
    if mask.shape == (height, width) and side.mask_boxes is not None:
        return np.asarray(mask > side.mask_threshold)
    canvas = np.zeros((height, width), np.bool_)
    pasted = paste_mask(mask, side.paste_boxes[index], width, height, side.mask_threshold)
    if pasted is not None:
        (y1, y2, x1, x2), inside = pasted
        canvas[y1:y2, x1:x2] = inside
    return canvas


def read_pictures(
    folder: Path, limit: int | None = None
) -> Iterable[tuple[str, NDArray[np.uint8]]]:
    """A folder's pictures by name, one after the other, evenly thinned to the limit.

    Yields:
        The file's name and uint8 [H, W, 3] RGB.

    Raises:
        SourceError: there is none, or one cannot be read.
    """
    files = picture_files(folder, limit)
    for file in files:
        try:
            image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
        except (OSError, cv2.error):  # OpenCV's own for an empty file, or of too many pixels
            image = None
        if image is None:
            raise SourceError(f"{file}: the picture cannot be read; take it out of the folder")
        yield file.name, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def picture_files(folder: Path, limit: int | None = None) -> list[Path]:
    """The pictures of a folder (and of its `images`), sorted, evenly thinned to the limit.

    Raises:
        SourceError: there is none, or no such folder.
    """
    if not folder.is_dir():
        what = "that is no folder" if folder.exists() else "there is no such folder"
        raise SourceError(f"{folder}: {what}; give one with pictures (PNG, JPEG or WebP)")
    files = sorted(
        file
        for place in (folder, folder / "images")
        if place.is_dir()
        for file in place.iterdir()
        # macOS leaves shadows of files on other disks, which are no pictures.
        if file.suffix.lower() in _PICTURES and not file.name.startswith("._")
    )
    if not files:
        raise SourceError(f"{folder}: it holds no pictures; give a folder of PNG, JPEG or WebP")
    if limit is not None and len(files) > limit:
        step = len(files) / limit
        files = [files[math.floor(index * step)] for index in range(limit)]
    return files


def _pair(
    result: Agreement, name: str, expected: Instances, found: Instances, a: int, b: int
) -> tuple[float, float, float]:
    """Adds a pair's errors to the result; returns those of box, score and mask."""
    box = float(np.abs(expected.boxes[a] - found.boxes[b]).max())
    score = abs(float(expected.scores[a] - found.scores[b]))
    if expected.masks.shape[1:] == found.masks.shape[1:]:
        soft = float(np.abs(expected.masks[a] - found.masks[b]).max())
        result.soft = max(result.soft, soft)
    if _thin(expected.boxes[a], _EDGE) or _thin(found.boxes[b], _EDGE):
        overlap = _cells_iou(expected, a, found, b)
    else:
        overlap = mask_iou(expected, a, found, b, spare=_SPARE)
    where = f"{name}, score {expected.scores[a]:.3f}"
    if box > result.box:
        result.box = box
        result.worst["box"] = where
    if score > result.score:
        result.score = score
        result.worst["score"] = where
    if overlap < result.mask:
        result.mask = overlap
        size = expected.boxes[a][2:] - expected.boxes[a][:2]
        result.worst["mask"] = f"{where}, {size[0]:.0f}x{size[1]:.0f} pixels"
    return box, score, overlap


def open_model(path: Path, score: float, provider: str = "cpu") -> Answer:
    """An exported model as something that answers, through the runtime.

    Raises:
        ModelError: the file breaks the contract or does not run.
    """
    from stream.inference.segmenter import Segmenter

    if not path.is_file():
        raise NoModelError(f"{path}: there is no such file")
    # Below the score too, so that what falls just under it still finds its partner.
    segmenter = Segmenter.load(path, provider, threshold=0.5 * score)
    return segmenter
