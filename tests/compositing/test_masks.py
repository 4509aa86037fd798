import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.compositing.mask_memory import Memory
from stream.compositing.masks import crest, extent, kept, paste, paste_nearly, profile, strips
from stream.compositing.squares import rimmed
from stream.roi import paste_mask
from tests.compositing.pictures import figure

FULL = np.ones((28, 28), np.float32)


def box(*values):
    return np.array(values, np.float32)


def pasted(mask, at, size, threshold, **how):
    return paste(mask, at, size, threshold, lambda pixels: np.empty(pixels, bool), **how)


def opacity(inside, strength, rows=slice(0, None), columns=slice(0, None)):
    """How strongly a colour covers a part of a mask, uint8."""
    part = (
        slice(*one.indices(many)[:2])
        for one, many in zip((rows, columns), inside.shape, strict=True)
    )
    mask, thin = rimmed(inside, strength.side // 2), min(inside.shape) <= 16
    return 255 - kept(mask, *part, strength, Memory().scratch, thin=thin)


def brush(fill, line, width):
    """A soft fill and a contour, in one profile."""

    def cover(distance):
        edge = np.clip(width / 2 + 0.5 - np.abs(distance), 0, 1) * line
        return np.maximum(np.clip(distance + 0.5, 0, 1) * fill, edge if width else 0)

    return profile(2 * int(width / 2) + 3 if width else 3, cover)


@pytest.mark.parametrize("grid", [(1, 1), (2, 2), (1, 2), (4, 4)])
@pytest.mark.parametrize("at", [(20.3, 10.7, 61.2, 90.1), (-30, -20, 40, 60), (70, -100, 300, 300)])
def test_the_object_is_exactly_what_full_masks_say(grid, at):
    window, inside = pasted(figure(), box(*at), (101, 121), 0.5, grid=grid, margin=3)
    top, bottom, left, right = window
    assert top % grid[0] == left % grid[1] == 0
    assert bottom == 101 or bottom % grid[0] == 0
    assert right == 121 or right % grid[1] == 0
    here = np.zeros((101, 121), bool)
    here[top:bottom, left:right] = inside
    (y1, y2, x1, x2), expected = paste_mask(figure(), box(*at), 121, 101, 0.5)
    there = np.zeros((101, 121), bool)
    there[y1:y2, x1:x2] = expected
    assert np.array_equal(here, there)


@pytest.mark.parametrize(
    "at",
    [
        (np.nan, 0, 10, 10),
        (0, 0, np.inf, 10),
        (-np.inf, 0, 10, 10),
        (10, 10, 10, 20),
        (20, 10, 10, 20),
        (200, 10, 300, 20),
        (10, -50, 20, -10),
    ],
)
def test_boxes_that_are_none_are_skipped(at):
    assert pasted(FULL, box(*at), (100, 100), 0.5) is None


def test_masks_without_an_object_are_skipped():
    assert pasted(0.4 * FULL, box(10, 10, 50, 50), (100, 100), 0.5) is None
    assert pasted(np.nan * FULL, box(10, 10, 50, 50), (100, 100), 0.5) is None


def test_the_memory_is_kept():
    memory = Memory()

    def frame():
        memory.reset()
        large, small = memory.take(8100), memory.take(2500)
        assert memory.kept
        assert not np.shares_memory(large, small)
        return large, small

    frame()
    large, small = frame()
    again, once_more = frame()
    assert np.shares_memory(large, again)
    assert np.shares_memory(small, once_more)


def test_the_memory_is_bounded():
    memory = Memory(most=10_000)
    for _ in range(3):
        memory.reset()
        taken, kept = [], []
        for _ in range(50):
            taken.append(memory.take(4000))
            kept.append(memory.kept)
        assert kept == [True] * 2 + [False] * 48
        assert all(np.shares_memory(taken[2], one) for one in taken[3:])
        assert not any(np.shares_memory(taken[2], one) for one in taken[:2])
        assert all(len(one) == 4000 for one in taken)


@given(st.integers(1, 900), st.integers(1, 900), st.sampled_from([1, 2, 4]))
def test_strips_cover_all_rows_once_and_start_on_the_grid(height, width, grid):
    cut = list(strips((height, width), (grid, grid), 20_000))
    assert [row for start, stop in cut for row in range(start, stop)] == list(range(height))
    assert all(start % grid == 0 for start, _ in cut)
    assert all((stop - start) * width <= 20_000 + grid * width for start, stop in cut)


@pytest.mark.parametrize("width", [0, 1.5, 2, 3, 6, 12])
def test_opacity_is_nothing_far_outside_and_the_fill_deep_inside(width):
    strength = brush(fill=0.4, line=1.0, width=width)
    margin = strength.side // 2
    inside = np.zeros((80, 80), np.uint8)
    inside[20:60, 20:60] = 1
    alpha = opacity(inside, strength)
    assert (alpha[30:50, 30:50] == 102).all()
    near = np.zeros_like(inside)
    near[20 - margin : 60 + margin, 20 - margin : 60 + margin] = 1
    assert (alpha[near == 0] == 0).all()
    across = alpha[40].astype(int)
    assert across[17:23].max() >= (190 if width else 102)
    # The line is as wide as it should be: its surplus over the step it replaces.
    step = np.where(inside[40], 102, 0)
    surplus = (across - step)[:40].sum() / (255 - 51)
    assert surplus == pytest.approx(width, abs=0.6)


def test_opacity_in_strips_is_the_same_as_at_once():
    _, inside = pasted(figure(), box(5, 5, 95, 195), (200, 100), 0.5)
    strength = brush(0.45, 0.95, 3)
    whole = opacity(inside, strength)
    parts = [opacity(inside, strength, slice(*rows)) for rows in ((0, 64), (64, 66), (66, 200))]
    assert np.array_equal(np.concatenate(parts)[: len(inside)], whole)
    part = opacity(inside, strength, slice(20, 60), slice(10, 40))
    assert np.array_equal(part, whole[20:60, 10:40])


@pytest.mark.parametrize("grid", [(1, 1), (2, 2), (1, 4)])
def test_outside_an_extent_nothing_is_covered(grid):
    _, inside = pasted(figure(), box(35, 25, 85, 185), (220, 140), 0.5, margin=20)
    strength = brush(0.45, 0.95, 3)
    for start, stop in ((0, 40), (40, 100), (100, 180)):
        rows, columns = extent(inside, start, stop, strength.side // 2, grid)
        assert rows.start % grid[0] == columns.start % grid[1] == 0
        assert start <= rows.start < rows.stop <= stop
        alpha = opacity(inside, strength, slice(start, stop)).copy()
        assert alpha.any()
        alpha[rows.start - start : rows.stop - start, columns] = 0
        assert not alpha.any()
    assert extent(np.zeros((40, 40), np.uint8), 0, 40, 2, grid) is None


@pytest.mark.parametrize("grid", [(1, 1), (2, 2)])
@pytest.mark.parametrize(
    "at",
    [
        (20.3, 10.7, 161.2, 290.1),
        (-30.5, -20.2, 240, 260.3),
        (70.9, -100.4, 300.1, 300),
        (9, 9, 20, 20),
    ],
)
@pytest.mark.parametrize("cells", [14, 28, 56])
def test_what_is_pasted_nearly_is_less_than_a_pixel_beside(cells, at, grid):
    mask, size = figure(cells), (301, 251)
    memory = lambda pixels: np.empty(pixels, bool)  # noqa: E731
    window, near, around = paste_nearly(mask, box(*at), size, 0.5, memory, grid=grid, margin=3)
    same, exact = pasted(mask, box(*at), size, 0.5, grid=grid, margin=3)
    assert window == same
    assert near.dtype == np.uint8
    if around is not None:  # Its memory goes on around it.
        wider = cv2.copyMakeBorder(near, 3, 3, 3, 3, cv2.BORDER_REPLICATE)
        there = around.whole[around.row - 3 :, around.column - 3 :]
        assert np.array_equal(there[: len(wider), : wider.shape[1]], wider)
    wide, narrow = (one(exact, np.ones((3, 3), np.uint8)) for one in (cv2.dilate, cv2.erode))
    edge = np.count_nonzero(wide != narrow)
    # A pixel beside, on a small part of the edge; in the corners of coarse masks more.
    assert np.count_nonzero(near != exact) <= 0.15 * edge + 1
    assert np.count_nonzero((near < narrow) | (near > wide)) <= 0.6 / cells * edge + 1


def test_what_is_pasted_nearly_takes_anything():
    memory = lambda pixels: np.empty(pixels, bool)  # noqa: E731
    for at in ((np.nan, 0, 10, 10), (0, 0, np.inf, 10), (20, 10, 10, 20), (200, 10, 300, 20)):
        assert paste_nearly(FULL, box(*at), (100, 100), 0.5, memory) is None
    assert paste_nearly(np.nan * FULL, box(0, 0, 90, 90), (100, 100), 0.5, memory) is None


@pytest.mark.parametrize("width", [0, 1.5, 6])
def test_a_single_pixel_is_still_seen(width):
    inside = np.zeros((9, 9), np.uint8)
    inside[4, 4] = 1
    assert opacity(inside, brush(0.4, 0.95, width))[4, 4] >= 102


def test_the_crest_is_on_the_head():
    at = box(100, 50, 200, 350)
    window, inside = pasted(figure(), at, (400, 400), 0.5)
    x, y = crest(window, inside)
    assert x == pytest.approx(150, abs=3)
    assert y == pytest.approx(54, abs=8)


def test_the_crest_of_what_the_picture_cuts_is_inside_the_picture():
    window, inside = pasted(FULL, box(-100, -100, 50, 50), (400, 400), 0.5)
    assert crest(window, inside) == (pytest.approx(25, abs=2), 0)
