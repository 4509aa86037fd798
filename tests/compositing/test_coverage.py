"""What is covered: all that is near an object, whole to its cells' edges, and nothing far away."""

import cv2
import numpy as np
import pytest

from stream.compositing import coverage
from stream.compositing.coverage import (
    Grid,
    grid_of,
    joined,
    kept,
    lying,
    patches,
    pixels,
    windows_of,
)
from stream.kernels import compiled
from stream.pictures.pixels import reduce_to
from stream.roi import threshold_mask
from tests.compositing.pictures import figure, rounded_by_opencv

SIZE = (720, 1280)
NO_MASKS = np.empty((0, 1, 1), np.float32)
BOXES = np.float32([(300, 100, 700, 700), (650, 200, 900, 700), (-80, 500, 90, 800)])


def covered(boxes, size=SIZE, reach=11.0, step=(1, 1)):
    """How far pixels stay, and which of them the objects are."""
    grid = grid_of(size, (2, 2))
    soft = np.repeat(figure(56)[None], len(boxes), axis=0)
    some = [patches(grid, soft, (), np.array(boxes), 0.25, np.full(len(boxes), reach))]
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


@pytest.mark.parametrize("compile_loops", [True, False])
def test_nobody_is_seen_through_a_slit_between_two_covers(monkeypatch, compile_loops):
    if not compile_loops:
        monkeypatch.setattr(coverage, "compiled", lambda: None)
    grid, full = grid_of(SIZE, (2, 2)), np.ones((2, 56, 56), np.float32)
    bars = []
    for slit in range(3 * grid.side, 24 * grid.side, grid.side):
        # The second box leaves the picture, so that the slit does at its lower edge.
        boxes = np.float32([(200, 100, 600, 700), (600 + slit, 100, 900 + slit, 800)])
        bare = joined(grid, [patches(grid, full, (), boxes, 0.25, np.full(2, 4.0))])
        row = bare[400 // grid.side, 400 // grid.side : (800 + slit) // grid.side]
        bars.append(np.count_nonzero(row))
    assert bars[0] == 0 and bars[-1] > 0
    # What is open is wide: cells that are bare in part on both sides, and three between.
    assert min(count for count in bars if count) >= 3


def test_slits_are_closed_alike_without_compiled_loops(monkeypatch):
    if compiled() is None:
        pytest.skip("no loops are compiled here")
    rng = np.random.default_rng(3)
    grid = grid_of((200, 326), (2, 2))
    for _ in range(20):
        corners = rng.uniform((-30, -30), (320, 190), (12, 2))
        boxes = np.hstack([corners, corners + rng.uniform(8, 60, (12, 2))]).astype(np.float32)
        masks = rng.random((12, 14, 14), np.float32)
        some = [patches(grid, masks, (), boxes, 0.5, rng.uniform(2, 9, 12))]
        fast = joined(grid, some)
        with monkeypatch.context() as plain:
            plain.setattr(coverage, "compiled", lambda: None)
            assert np.array_equal(joined(grid, some), fast)


def test_a_cover_ends_softly():
    plane = covered(BOXES[:1])
    # No pixel beside another that differs from it by more than a cell's fall.
    fall = -(-255 // grid_of(SIZE, (2, 2)).side) + 2
    assert np.abs(np.diff(plane.astype(int), axis=0)).max() <= fall
    assert np.abs(np.diff(plane.astype(int), axis=1)).max() <= fall


@rounded_by_opencv
@pytest.mark.parametrize("seed", range(4))
def test_covers_end_within_their_windows_whatever_they_are_of(monkeypatch, seed):
    chance = np.random.default_rng(seed)
    for number in range(25):
        size, count = tuple(chance.integers(2, 300, 2).tolist()), int(chance.integers(1, 4))
        grid = Grid(size, int(chance.integers(1, 9)))
        sides = chance.choice((1, 2, 7, 28, 56), (count, 2))
        cells = [(chance.random(side) > 0.4).astype(np.uint8) for side in sides]
        masks = [one for own in cells for one in lying(255 * own[None])]
        middles = chance.uniform(-0.2, 1.2, (count, 2)) * size[::-1]
        halves = chance.uniform(0.5, max(size) / 2, (count, 2))
        boxes = np.hstack([middles - halves, middles + halves]).astype(np.float32)
        reaches = np.where(number % 2, chance.uniform(1, 40), chance.uniform(1, 40, count))
        bares = []
        for loops in (compiled(), None):
            monkeypatch.setattr(coverage, "compiled", lambda loops=loops: loops)
            some = [patches(grid, NO_MASKS, masks, boxes, 0.25, reaches * np.ones(count))]
            if not len(some[0].which):
                continue
            bares.append(bare := joined(grid, some))
            whole = kept(bare, grid, (0, grid.cells[0], 0, grid.cells[1]))
            there = np.full(size, 255, np.uint8)
            for cells in windows_of(grid, some):
                top, bottom, left, right = pixels(grid, cells)
                there[top:bottom, left:right] = kept(bare, grid, cells)
            assert np.array_equal(there, whole[: size[0], : size[1]]), number
        assert all(np.array_equal(one, bares[0]) for one in bares), number


def test_a_mask_of_few_cells_is_covered_as_far_as_it_goes_on(monkeypatch):
    grid, box = Grid((400, 400), 2), np.float32([[160, 160, 240, 240]])
    for loops in (compiled(), None):
        monkeypatch.setattr(coverage, "compiled", lambda loops=loops: loops)
        masks = lying(np.full((1, 1, 1), 255, np.uint8))
        ((window, inside, _),) = patches(grid, NO_MASKS, masks, box, 0.25, np.ones(1)).objects()
        # It goes on by a cell of 80 pixels, then falls to nothing: a quarter from 60 on.
        assert window == (30, 170, 30, 170)
        assert inside[70].all() and inside[:, 70].all()


def test_what_is_taken_out_of_an_object_is_bare_in_it_alone(monkeypatch):
    chance, grid = np.random.default_rng(2), Grid((90, 400), 2)
    boxes = np.float32([(3, 5, 90, 80), (60, 0, 330, 90), (250, 20, 399, 70)])
    for loops in (compiled(), None):
        monkeypatch.setattr(coverage, "compiled", lambda loops=loops: loops)
        soft = chance.random((3, 28, 28), np.float32)
        own = patches(grid, soft, (), boxes, 0.5, np.ones(3))
        before = list(own.objects())
        for place, (_, inside, _) in enumerate(before):
            out = chance.random(inside.shape) > 0.7
            own.take_out(place, out)
            inside[out] = 0
        for one, other in zip(before, own.objects(), strict=True):
            assert one[0] == other[0]
            assert np.array_equal(one[1], other[1])
