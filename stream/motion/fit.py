"""Whether carried objects still look like what lies under them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.motion.cells import cell_centres
from stream.motion.flow import Grey

_LOST, _BACK = -0.4, 0.1
"""Likeness below which an object is left out, and above which it is shown again. With one bound of
-0.1 for both, of 14,443 masks of 17 clips, carried at two, three and five inferences a second, 154
went for a moment, where 56 do; and the overlap with what inference finds was a hundredth lower, as
most of what is only doubtful lies well enough."""

_SHIFT = 60.0
"""Levels of brightness in the mean that count as much as a correlation of 1."""

_FLAT = 8.0
"""Levels of brightness, as a standard deviation: what has less has nothing to be known by."""

_SMALLEST = 6.0
"""Pixels of the small picture; a box that is narrower shows nothing either."""

_CELLS = 28
"""Cells of a mask that are compared each way, or a few more; all of them would tell no more."""

_SEEN = 0.4
"""Share of an object that both pictures must show to be compared."""


class Fit:
    """Compares what objects look like in two small grey pictures, cell of the mask by cell.

    Where something moves too fast for the flow, that ends anywhere: on the lawn beside the dog. The
    likeness is the correlation of brightness within the mask, less the shift of its mean, so
    that a change of the light alone costs little.

    Args:
        instances: of the first picture.
        grey: the first picture, uint8 [h, w].
    """

    def __init__(self, instances: Instances, grey: Grey) -> None:
        rows, columns = instances.masks.shape[1:]
        every = np.s_[:, :: max(1, rows // _CELLS), :: max(1, columns // _CELLS)]
        self._every = every
        self._inside = instances.masks[every] > instances.mask_threshold
        self._before, self._known = self._under(instances, grey)

    def __call__(self, moved: Instances, grey: Grey) -> NDArray[np.float32]:
        """How like they look, float32 [N]: 1 for alike and where it cannot be told, at worst -5.3.

        Args:
            moved: the same instances as they are said to be in the second picture.
            grey: the second picture, uint8 [h, w].
        """
        after, known = self._under(moved, grey)
        known &= self._known & self._inside
        least = _SEEN * self._inside.sum(axis=(1, 2))
        likeness = np.ones(len(moved), np.float32)
        boxes, scale = moved.paste_boxes, grey.shape[1] / moved.picture_size[1]
        sizes = scale * (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf)
        for index in np.flatnonzero(sizes >= _SMALLEST).tolist():
            cells = known[index]
            if cells.sum() > least[index]:
                likeness[index] = _likeness(self._before[index][cells], after[index][cells])
        return likeness

    def _under(
        self, instances: Instances, grey: Grey
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """What lies under cells of each mask, [N, rows, columns], and which of it is to be seen."""
        height, width = instances.picture_size
        centres = cell_centres(instances.paste_boxes, *instances.masks.shape[1:])[self._every]
        shown = np.logical_and(centres >= 0, centres <= (width, height))
        scale = np.array([grey.shape[1] / width, grey.shape[0] / height], np.float32)
        count, rows, columns, _ = centres.shape
        if not count:
            return np.zeros((0, rows, columns), np.float32), shown[..., 0]
        small = (centres * scale - 0.5).reshape(count * rows, columns, 2)
        across, down = (np.ascontiguousarray(small[..., axis]) for axis in (0, 1))
        found = cv2.remap(grey, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        under = found.reshape(count, rows, columns).astype(np.float32)
        return under, shown[..., 0] & shown[..., 1]


class Shown:
    """Says from picture to picture which objects are left out, so that none of them blinks.

    What was lost once has to look like its object to be shown again, also after the next inference,
    from which it is carried anew; what was not has to be plainly elsewhere to be lost.
    """

    def __init__(self) -> None:
        self.lost: frozenset[int] = frozenset()
        """What the last picture is shown without: identities, or places where there are none."""

    def begin(self, instances: Instances, lost: frozenset[int]) -> None:
        """Another inference has found these.

        Args:
            instances: without identities nobody knows which of them were lost.
            lost: what the picture before was shown without.
        """
        self.lost = frozenset() if instances.track_ids is None else lost

    def __call__(self, moved: Instances, likeness: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which of them are shown, bool [N].

        Args:
            moved: the instances.
            likeness: of each with its object, float32 [N].
        """
        ids = moved.track_ids
        known = list(range(len(moved))) if ids is None else ids.tolist()
        least = np.array([_BACK if one in self.lost else _LOST for one in known], np.float32)
        shown: NDArray[np.bool_] = likeness >= least
        self.lost = frozenset(one for one, fits in zip(known, shown, strict=True) if not fits)
        return shown


def _likeness(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """How far two rows of brightness show the same thing."""
    shift = abs(float(after.mean() - before.mean()))
    one, other = before - before.mean(), after - after.mean()
    if one.std() < _FLAT:
        return 1.0
    spread = max(float(np.sqrt((one @ one) * (other @ other))), 1e-3)
    return float(one @ other) / spread - shift / _SHIFT
