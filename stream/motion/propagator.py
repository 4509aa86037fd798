"""From the last picture that inference saw to the present one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.motion.fit import Fit, Shown
from stream.motion.flow import Flow, FlowMeter, Grey
from stream.motion.propagate import Carried, Fits
from stream.objects.instance_arrays import ranked

_CUT = 0.35
"""Correlation of two coarse pictures below which they show different scenes."""

_COARSE = (32, 24)

_STILL, _OTHER = 2.0, 30.0
"""Levels of brightness, in the mean: where one half of a picture changes by less than the first,
the other is a scene of its own, which is another if it changes by the second at least."""

_ROOM, _LEAST_ROOM = 0.15, 12
"""How far around the objects motion is measured: of the largest one's longer side, and in pixels of
the small picture at least. Masks come out as with the motion of the whole picture."""
_SMALLEST = 64
"""Pixels of what motion is measured in, each way."""

Region = tuple[slice, slice]
"""Rows and columns of a small picture."""


class Half(NamedTuple):
    """A half of a picture: the upper (axis 0) or left one (1), or the latter of the two."""

    axis: int
    latter: bool

    def of(self, instances: Instances) -> NDArray[np.bool_]:
        """Which instances have their middle in it, bool [N]."""
        place = 1 - self.axis
        middles = instances.boxes[:, [place, place + 2]].mean(axis=1)
        found: NDArray[np.bool_] = middles >= instances.picture_size[self.axis] / 2
        return found if self.latter else ~found


class Propagator:
    """Holds the instances of one key picture and moves them to later ones. One thread at a time.

    The motion is always measured between the key picture and the present one, with the last
    measurement as a first guess: summing up steps from picture to picture would sum up their
    errors, and costs the same.
    """

    def __init__(self) -> None:
        self._grey: Grey | None = None
        self._instances: Instances | None = None
        # What is found does not move otherwise because somebody asked for what is unsure too.
        self._found, self._unsure = _Carrier(), _Carrier()
        self._older = _Carrier()
        self._lost: frozenset[int] = frozenset()

    @property
    def fine(self) -> bool:
        """Whether fast limbs are followed closely; without it carrying costs half as much."""
        return self._found.meter.fine

    @fine.setter
    def fine(self, fine: bool) -> None:
        for carrier in (self._found, self._older, self._unsure):
            carrier.meter.fine = fine

    @property
    def ready(self) -> bool:
        """Whether there is a key picture."""
        return self._grey is not None

    def set_key(self, grey: Grey, instances: Instances) -> None:
        """Takes a picture's instances as those to carry.

        Args:
            grey: the picture as `small_grey` makes it.
            instances: what inference found in it.
        """
        self._grey, self._instances = grey, instances
        self._found, self._older = self._older, self._found
        self._found.begin(replace(instances, unsure=None), grey, self._lost)
        if instances.unsure is not None:
            self._unsure.begin(instances.unsure, grey)

    def propagate_to(self, grey: Grey, *, fitting: bool = False) -> Instances | None:
        """The key picture's instances where they are in the present picture.

        Args:
            grey: the present picture as `small_grey` makes it.
            fitting: whether what does not look like its object there is left out, as what moves
                too fast to be followed is elsewhere; see `Fit` and `Shown`.

        Returns:
            None where there is no key picture, or the picture's size or scene has changed since.
        """
        key, instances = self._grey, self._instances
        if key is None or instances is None or key.shape != grey.shape:
            return None
        if is_cut(key, grey):
            return None
        if not (len(instances) or instances.unsure):
            return instances
        moved = self._found.to(grey, fitting=fitting)
        if fitting:
            moved = self._with_older(moved, grey)
        if instances.unsure is None:
            return moved
        return replace(moved, unsure=self._unsure.to(grey))

    def _with_older(self, moved: Instances, grey: Grey) -> Instances:
        """What was carried, and of what was lost that which the inference before still fits.

        Who jumps is carried better from where he was on the ground than from in the air.
        """
        self._lost = self._found.lost
        older = self._older.instances
        if moved.track_ids is None or older is None or older.track_ids is None:
            return moved
        if not self._lost.intersection(older.track_ids.tolist()) or self._older.cut(grey):
            return moved
        alike = older.class_names == moved.class_names
        if not alike or older.masks.shape[1:] != moved.masks.shape[1:]:
            return moved  # another model's
        known = self._older.to(grey, fitting=True)
        ids = known.track_ids
        assert ids is not None
        wanted = np.isin(ids, list(self._lost))
        if not wanted.any():
            return moved
        self._lost -= set(ids[wanted].tolist())
        return ranked((moved, known.select(wanted)), moved)


class _Carrier:
    """Carries some of a key picture's instances, and knows no others."""

    def __init__(self) -> None:
        self.meter = FlowMeter()
        self.instances: Instances | None = None
        """What it carries."""
        self._key: Grey | None = None
        self._carried: Carried | None = None
        self._fit: Fit | None = None
        self._shown = Shown()
        self._flow: Flow | None = None
        self._region: Region = (slice(None), slice(None))

    @property
    def lost(self) -> frozenset[int]:
        """What the last picture that it was carried to does not show, as far as that was asked."""
        return self._shown.lost

    def begin(self, instances: Instances, grey: Grey, lost: frozenset[int] = frozenset()) -> None:
        """Takes what is to be carried.

        Args:
            instances: as inference found them.
            grey: the small picture that they were found in.
            lost: what of them the picture before was shown without.
        """
        self.instances, self._key = instances, grey
        self._carried = self._fit = self._flow = None
        self._region = region_of(instances, grey)
        self._shown.begin(instances, lost)

    def cut(self, grey: Grey) -> bool:
        """Whether a later picture shows another scene."""
        return self._key is None or is_cut(self._key, grey)

    def to(self, grey: Grey, *, fitting: bool = False) -> Instances:
        """Where it is in a later picture."""
        instances, key = self.instances, self._key
        assert instances is not None and key is not None
        if not len(instances):
            return instances
        rows, columns = self._region
        before, after = key[rows, columns], grey[rows, columns]
        self._flow = self.meter.between(
            np.ascontiguousarray(before), np.ascontiguousarray(after), self._flow
        )
        if self._carried is None:
            self._carried = Carried(instances)
        fits: Fits | None = None
        if fitting:
            self._fit = self._fit or Fit(instances, key)
            fits = partial(_fitting, self._fit, self._shown, grey=grey)

        if before.shape == key.shape:
            return self._carried.along(self._flow, fits)
        # Where nothing is to be moved nothing is asked for.
        whole = np.zeros((*key.shape, 2), np.float32)
        whole[rows, columns] = self._flow
        return self._carried.along(whole, fits)


def _fitting(fit: Fit, shown: Shown, moved: Instances, grey: Grey) -> NDArray[np.bool_]:
    return shown(moved, fit(moved, grey))


def region_of(instances: Instances, grey: Grey) -> Region:
    """What of a small picture holds all objects, with room around them."""
    height, width = grey.shape
    boxes = instances.paste_boxes
    if not len(boxes):
        return slice(0, height), slice(0, width)
    scale = np.array([width, height] * 2) / np.array([*instances.picture_size[::-1]] * 2)
    small = boxes * scale
    room = max(_LEAST_ROOM, _ROOM * float((small[:, 2:] - small[:, :2]).max()))
    first, last = small[:, :2].min(axis=0) - room, small[:, 2:].max(axis=0) + room
    return _span(first[1], last[1], height), _span(first[0], last[0], width)


def _span(first: float, last: float, whole: int) -> slice:
    """What lies within a side of a picture, and is long enough where the side is."""
    start, end = max(0, int(first)), min(whole, int(np.ceil(last)))
    short = _SMALLEST - (end - start)
    if short > 0:
        start = max(0, min(start - short // 2, whole - _SMALLEST))
        end = min(whole, start + _SMALLEST)
    return slice(start, end)


def is_cut(before: Grey, after: Grey) -> bool:
    """Whether two small grey pictures show different scenes rather than the same one moved."""
    if before.shape != after.shape:
        return True
    return not _alike(_coarse(before), _coarse(after))


def is_partly_cut(before: Grey, after: Grey) -> bool:
    """Whether a half of the later of two successive pictures shows another scene."""
    return half_of_another_scene(before, after) is not None


def half_of_another_scene(before: Grey, after: Grey) -> Half | None:
    """Which half of the later of two successive pictures shows another scene.

    As where two films are side by side, or one beside something that stands still.
    """
    if before.shape != after.shape:
        return None
    one, other = _coarse(before), _coarse(after)
    for axis in (0, 1):
        (first, last), (first_now, last_now) = (
            np.array_split(picture, 2, axis) for picture in (one, other)
        )
        for latter, half, now, rest, rest_now in (
            (False, first, first_now, last, last_now),
            (True, last, last_now, first, first_now),
        ):
            still = np.abs(rest - rest_now).mean() < _STILL
            if still and np.abs(half - now).mean() >= _OTHER and not _alike(half, now):
                return Half(axis, latter)
    return None


def _coarse(grey: Grey) -> NDArray[np.float32]:
    resized = cv2.resize(grey, _COARSE, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float32)


def _alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether two coarse pictures have as much in common as those of one scene."""
    one = one - one.mean()
    other = other - other.mean()
    spread = float(np.sqrt((one * one).sum() * (other * other).sum()))
    if spread < 1.0:
        return True  # two plain pictures, such as black ones: nothing to tell them by
    return float((one * other).sum()) / spread >= _CUT
