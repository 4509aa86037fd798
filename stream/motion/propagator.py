"""From the last picture that inference saw to the present one."""

from __future__ import annotations

import cv2
import numpy as np

from stream.instances import Instances
from stream.motion.flow import Flow, FlowMeter, Grey
from stream.motion.propagate import propagate

_CUT = 0.35
"""Correlation of two coarse pictures below which they show different scenes."""

_COARSE = (32, 24)


class Propagator:
    """Holds the instances of one key picture and moves them to later ones. One thread at a time.

    The motion is always measured between the key picture and the present one, with the last
    measurement as a first guess: summing up steps from picture to picture would sum up their
    errors, and costs the same.
    """

    def __init__(self) -> None:
        self._meter = FlowMeter()
        self._grey: Grey | None = None
        self._instances: Instances | None = None
        self._flow: Flow | None = None

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
        self._grey, self._instances, self._flow = grey, instances, None

    def propagate_to(self, grey: Grey) -> Instances | None:
        """The key picture's instances where they are in the present picture.

        Args:
            grey: the present picture as `small_grey` makes it.

        Returns:
            None where there is no key picture, or the picture's size or scene has changed since.
        """
        key, instances = self._grey, self._instances
        if key is None or instances is None or key.shape != grey.shape:
            return None
        if not (len(instances) or instances.unsure):
            return instances
        if is_cut(key, grey):
            return None
        self._flow = self._meter.between(key, grey, self._flow)
        return propagate(instances, self._flow)


def is_cut(before: Grey, after: Grey) -> bool:
    """Whether two small grey pictures show different scenes rather than the same one moved."""
    if before.shape != after.shape:
        return True
    one, other = (
        cv2.resize(grey, _COARSE, interpolation=cv2.INTER_AREA).astype(np.float32)
        for grey in (before, after)
    )
    one -= one.mean()
    other -= other.mean()
    spread = float(np.sqrt((one * one).sum() * (other * other).sum()))
    if spread < 1.0:
        return False  # two plain pictures, such as black ones: nothing to tell them by
    return float((one * other).sum()) / spread < _CUT
