"""What is covered: all that is near an object, whole to its cells' edges, and nothing far away."""

import cv2
import numpy as np
import pytest

from stream.compositing.coverage import grid_of, joined, kept, patches, pixels, raised, windows_of
from stream.compositing.planes import reduce_to
from stream.roi import threshold_mask
from tests.compositing.pictures import figure

SIZE = (720, 1280)
BOXES = np.float32([(300, 100, 700, 700), (650, 200, 900, 700), (-80, 500, 90, 800)])


def covered(boxes, size=SIZE, reach=11.0, step=(1, 1)):
    """How far pixels stay, and which of them the objects are."""
    grid = grid_of(size, (2, 2))
    masks = [raised(figure(56)[None])[0]] * len(boxes)
    found = patches(grid, masks, np.array(boxes), 0.25, np.full(len(boxes), reach))
    some = [one for one in found if one is not None]
    bare, windows = joined(grid, some), windows_of(grid, some)
    plane = np.full((size[0] // step[0], size[1] // step[1]), 255, np.uint8)
    for cells in windows:
        top, bottom, left, right = pixels(grid, cells)
        own = reduce_to(kept(bare, grid, cells), step)
        plane[top // step[0] : -(-bottom // step[0]), left // step[1] : -(-right // step[1])] = own
    return plane


def inside(box, size=SIZE):
    return threshold_mask(figure(56), box, (0, size[0], 0, size[1]), 0.5)


@pytest.mark.parametrize("step", [(1, 1), (2, 2)])
def test_objects_are_wholly_covered_and_what_is_far_is_not_touched(step):
    plane = covered(BOXES, step=step)
    objects = np.any([inside(box) for box in BOXES], axis=0)[:: step[0], :: step[1]]
    assert not plane[objects].any()
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (161, 161))
    assert (plane[cv2.dilate(objects.view(np.uint8), disc) == 0] == 255).all()


def test_the_cover_reaches_as_far_as_asked():
    for reach in (5.0, 11.0, 30.0):
        plane, own = covered(BOXES[:1], reach=reach), inside(BOXES[0])
        side = 2 * int(reach) - 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        assert not plane[cv2.dilate(own.view(np.uint8), disc) > 0].any(), reach


def test_objects_together_are_covered_as_each_is_alone():
    for reach in (5.0, 11.0):
        alone = np.min([covered([box], reach=reach) for box in BOXES], axis=0)
        together = covered(BOXES, reach=reach)
        # Where two end beside each other more of the nine are covered.
        assert (together <= alone).all()
        more = np.count_nonzero((together == 0) & (alone > 0))
        assert more < 0.002 * together.size


def test_a_cover_ends_softly():
    plane = covered(BOXES[:1])
    # No pixel beside another that differs from it by more than a cell's fall.
    fall = -(-255 // grid_of(SIZE, (2, 2)).side) + 2
    assert np.abs(np.diff(plane.astype(int), axis=0)).max() <= fall
    assert np.abs(np.diff(plane.astype(int), axis=1)).max() <= fall
