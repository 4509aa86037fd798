"""The compiled loops of painting do what NumPy and OpenCV do, to the last bit."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from stream import kernels, roi
from stream.compositing import conceal, coverage, defocus, lately, mattes, refine
from stream.compositing.behind import composed
from stream.compositing.coverage import Grid, grid_of
from stream.kernels.memory import address_of
from tests.compositing.pictures import rounded_by_opencv

compiled, reason = kernels.examined()
pytestmark = pytest.mark.skipif(compiled is None, reason=reason)

SIZES = [(1, 1), (5, 7), (31, 64), (64, 33), (40, 97)]
CODES = (200, 30, 99)


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def blob(seed, height, width, sigma=3.0):
    """A mask of several pieces, about half of it, uint8 1 or 0."""
    soft = cv2.GaussianBlur(np.random.default_rng(seed).random((height, width)), (0, 0), sigma)
    return (soft >= np.median(soft)).astype(np.uint8)


def shares_of(seed, height, width):
    """Shares with whole stretches of none and of all."""
    return np.where(blob(seed, height, width) > 0, 255, noise(seed, height, width) * 2).astype(
        np.uint8
    )


def within(array):
    """The same numbers as part of a larger array, whose rows lie farther apart."""
    outer = np.zeros((array.shape[0] + 3, array.shape[1] + 40), array.dtype)
    part = outer[1:-2, 5 : 5 + array.shape[1]]
    part[...] = array
    return part


def upside_down(array):
    return within(array[::-1])[::-1]


@rounded_by_opencv
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lies", [within, upside_down])
@pytest.mark.parametrize("value", [0, 17, 255])
def test_blending_a_value_is_rounded_as_by_opencv(size, lies, value):
    samples, keep = noise(1, *size), shares_of(2, *size)
    expected = composed(samples, np.full(size, value, np.uint8), keep)
    there = lies(samples)
    compiled.blend(there, within(keep), value)
    assert (there == expected).all()


@rounded_by_opencv
def test_every_sample_share_and_other_gives_what_opencv_gives():
    for other in (0, 1, 128, 254, 255):
        samples, keep = (np.ascontiguousarray(one) for one in np.mgrid[:256, :256].astype(np.uint8))
        theirs = np.full((256, 256), other, np.uint8)
        expected = composed(samples, theirs, keep)
        compiled.compose(samples, theirs, 1, (0, 256, 0, 256), keep)
        assert (samples == expected).all()


@rounded_by_opencv
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lies", [within, upside_down])
@pytest.mark.parametrize("larger", [0, 1, 2, 4, 8])
def test_what_is_behind_stands_around_objects(size, lies, larger):
    height, width = (side * max(1, larger) for side in size)
    samples = noise(1, height, width)
    behind = 77 if not larger else noise(2, *size)
    large = np.empty_like(samples)
    if larger > 1:
        cv2.resize(behind, (width, height), dst=large, interpolation=cv2.INTER_LINEAR_EXACT)
    else:
        large[...] = behind
    given = behind if isinstance(behind, int) else within(behind)
    whole = (0, height, 0, width)
    for top, bottom, left, right in (whole, (height // 3, height, width // 4, width // 2 + 1)):
        share = shares_of(3, bottom - top, right - left)
        expected = large.copy()
        there = expected[top:bottom, left:right]
        there[...] = composed(samples[top:bottom, left:right], there.copy(), share)
        ours = lies(samples)
        compiled.compose(ours, given, max(1, larger), (top, bottom, left, right), within(share))
        assert (ours == expected).all()
    compiled.compose(ours, given, max(1, larger), (0, 0, 0, 0), share)
    assert (ours == large).all()


def seen(height, width):
    """Y, U and V, and a mask with soft edges, sure far from them."""
    soft = cv2.GaussianBlur(blob(1, height, width, 9.0).astype(np.float32), (0, 0), 2)
    mask = np.clip(2 * soft - 0.5, 0, 1) * 255
    colours = [cv2.GaussianBlur(noise(one, height, width), (0, 0), 1.5) for one in (2, 3, 4)]
    return np.stack([*colours, mask.astype(np.uint8)])


@rounded_by_opencv
@pytest.mark.parametrize("size", [(8, 32), (40, 56), (97, 64), (120, 33)])
@pytest.mark.parametrize("radius", [refine.ROUGH, refine.FINE])
def test_edges_are_drawn_as_by_opencv(monkeypatch, size, radius):
    picture = seen(*size)
    (ours,) = refine.bilateral([picture], radius)
    monkeypatch.setattr(refine, "compiled", lambda: None)
    (theirs,) = refine.bilateral([picture], radius)
    assert (ours == theirs).all()
    assert not (ours == picture[3]).all()


TABLE = np.minimum(255, np.arange(256) // 3 * 5).astype(np.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [1, 3, 5, 9, 15])
@pytest.mark.parametrize("held", [False, True])
def test_objects_fall_off_as_by_opencv(size, side, held):
    picture, (height, width), half = (70, 120), size, side // 2
    table = TABLE.copy()
    table[255] = 255
    values = shares_of(1, *size)
    far = (picture[0] - height, picture[1] - width)
    for top, left in ((0, 0), far, (far[0] // 2, far[1] // 2), (min(1, far[0]), min(2, far[1]))):
        fallen = np.zeros(picture, np.uint8)
        fallen[top : top + height, left : left + width] = table[values]
        wide = cv2.blur(fallen, (side, side), borderType=cv2.BORDER_REPLICATE)
        expected = np.maximum(fallen, cv2.add(wide, wide)) if held else wide
        plane = noise(2, *picture) // 2
        there = within(plane)
        some = compiled.fall(within(values), (top, left), table, side, there, held=held)
        rows = slice(max(0, top - half), top + height + half)
        columns = slice(max(0, left - half), left + width + half)
        raised = plane.copy()
        raised[rows, columns] = np.maximum(plane, expected)[rows, columns]
        assert some == bool(expected[rows, columns].any())
        assert (there == raised).all(), (top, left)
    assert not compiled.fall(0 * values, (3, 3), table, side, there, held=held)


def halved(plane):
    return cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("size", [(2, 2), (6, 66), (40, 130)])
def test_two_rows_and_columns_are_an_objects_as_far_as_any_of_them_is(size):
    alpha = shares_of(1, *size)
    alpha[: size[0] // 2, : size[1] // 3] = 0
    expected = np.minimum(255, 4 * halved(alpha).astype(int))
    assert (compiled.held(within(alpha)) == expected).all()


@rounded_by_opencv
@pytest.mark.parametrize("size", [(8, 8), (16, 72), (40, 104)])
@pytest.mark.parametrize("lies", [within, upside_down])
@pytest.mark.parametrize("halvings", [0, 1, 3])
@pytest.mark.parametrize("twice", [False, True])
def test_planes_are_made_small_as_by_opencv(size, lies, halvings, twice):
    clear = shares_of(1, *size)
    samples = noise(2, *(2 * side if twice else side for side in size))
    expected = halved(samples) if twice else samples
    alone = cv2.multiply(expected, clear, scale=1 / 255)
    for _ in range(halvings):
        expected, alone = halved(expected), halved(alone)
    whole, without = compiled.cut(lies(samples), clear, halvings)
    assert (whole == expected).all()
    assert (without == alone).all()
    if not twice:
        assert (compiled.halved(lies(samples), halvings) == expected).all()


@rounded_by_opencv
@pytest.mark.parametrize("size", [(2, 2), (1, 9), (7, 1), (3, 5), (45, 80), (90, 161)])
@pytest.mark.parametrize("radius", [0.7, 1.4, 2.7, 3.4])
def test_what_is_out_of_focus_is_spread_as_by_opencv(size, radius):
    disc = defocus._disc(radius)
    quarter = np.ascontiguousarray(disc[len(disc) // 2 :, len(disc) // 2 :])
    luma, other, behind = noise(1, *size), noise(2, *size), shares_of(3, *size)
    behind[: size[0] // 2, : size[1] // 2] = 0
    weights = np.linspace(1, 7, 256).astype(np.float32)
    given = compiled.given(luma, behind, 5, weights)
    codes = cv2.divide(luma, np.maximum(behind, 5), scale=255)
    assert (given == weights[codes]).all()
    total, lost = compiled.disc_total(given, behind, quarter, 1e-3)
    lost = np.zeros(size, bool) if lost is None else lost

    def around(plane):
        return cv2.filter2D(plane, -1, disc, borderType=cv2.BORDER_REFLECT_101)

    expected = around(given * behind / np.float32(255))
    sure = np.abs(expected - 1e-3) > 1e-5
    assert (lost == (expected <= 1e-3))[sure].all()
    assert np.allclose(total, np.maximum(expected, 1e-3), rtol=1e-5)
    spread = compiled.disc_mean(other, given, quarter, total)
    exact = around(given * other) / total
    assert (np.abs(spread - np.clip(exact, 0, 255)) < 0.501).all()


@pytest.mark.parametrize("size", [(5, 7), (90, 161), (720, 1280)])
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("held", [False, True])
def test_mattes_fall_off_alike(monkeypatch, size, threshold, held):
    shares = [(0.2, 0.1, 0.6, 0.9), (-0.3, 0, 0.2, 1), (0.9, 0.9, 0.95, 0.92), (-5, -9, 6, 7)]
    shares += [(2, 2, 3, 3), (0.5, 0.5, 0.5, 0.9), (np.nan, 0, 1, 1), (0, 0, np.inf, 1)]
    boxes = np.array(shares, np.float32) * np.float32([*size[::-1], *size[::-1]])
    cells = cv2.GaussianBlur(np.random.default_rng(1).random((len(boxes), 28, 28)), (0, 0), 2)
    masks = np.stack([cv2.GaussianBlur(one, (0, 0), 2) for one in cells]).astype(np.float32)
    masks = np.clip((masks - 0.5) * 9 + 0.5, 0, 1)
    for feather in (0.05, 1.0, 3.0, 40.0):
        found = []
        for loops in (compiled, None):
            monkeypatch.setattr(mattes, "compiled", lambda loops=loops: loops)
            edge = mattes.Edge(feather, held, 0.9)
            # Of both a mask by itself is what the loops make of it.
            monkeypatch.setattr(mattes, "_fallen", fallen)
            found.append(mattes.union(np.zeros(size, np.uint8), masks, boxes, threshold, edge))
        assert found[0].parts == found[1].parts
        assert found[0].window == found[1].window
        assert (found[0].alpha == found[1].alpha).all()


def fallen(mask, box, fall, *, held):
    del held
    return compiled.soft(mask, box, fall.window, fall.gain, fall.offset)


def test_soft_masks_are_those_of_every_pixel():
    for cells, box in ((28, (3.2, 5.7, 60.1, 50.9)), (56, (1.5, 2, 15, 20)), (3, (0, 0, 64, 64))):
        mask = np.random.default_rng(cells).random((cells, cells)).astype(np.float32)
        mask[cells // 2 :] = np.round(mask[cells // 2 :])
        mask[0, 0] = np.nan
        there, window = np.array(box, np.float32), (0, 61, 2, 77)
        exact = roi.sample_mask(mask, there, window) * np.float64(300) - 20.5
        soft = compiled.soft(mask, there, window, 300.0, -20.5)
        assert (np.abs(soft - np.clip(np.nan_to_num(exact), 0, 255)) < 0.501).all()


def test_without_a_library_or_with_another_ones_the_reason_is_said(tmp_path, monkeypatch):
    def said():
        kernels.examined.cache_clear()
        try:
            found, words = kernels.examined()
            assert found is None
            return words
        finally:
            kernels.examined.cache_clear()

    monkeypatch.setattr(kernels, "LIBRARY", tmp_path / "kernels.so")
    assert "no C compiler" in said()
    (tmp_path / "kernels.so").write_bytes(b"nothing")
    assert "cannot be loaded" in said()
    monkeypatch.undo()
    monkeypatch.setattr(kernels, "source", lambda: 1)
    assert "another version" in said()
    monkeypatch.undo()
    monkeypatch.setenv(kernels.SWITCH, "off")
    assert "not wanted" in said()


def taken(monkeypatch, quick):
    """Which of both libraries is taken where the quick one is this."""
    monkeypatch.delenv(kernels.SWITCH, raising=False)
    monkeypatch.setattr(kernels, "QUICK", quick)
    kernels.examined.cache_clear()
    try:
        found, words = kernels.examined()
        assert words == "compiled"
        return found.path
    finally:
        kernels.examined.cache_clear()


def test_those_for_this_processor_are_taken_where_they_are_of_the_same_files(tmp_path, monkeypatch):
    plain = kernels.Kernels(kernels.LIBRARY)
    quick = kernels.Kernels(kernels.QUICK) if kernels.QUICK.exists() else None
    if quick is None or not plain.quick:
        pytest.skip("none are compiled for this processor alone")
    assert quick.source == plain.source
    assert taken(monkeypatch, kernels.QUICK) == kernels.QUICK
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"nothing")
    for other in (broken, tmp_path / "none.so"):
        assert taken(monkeypatch, other) == kernels.LIBRARY
    monkeypatch.setattr(kernels, "source", lambda: plain.source)
    monkeypatch.setattr(
        kernels,
        "Kernels",
        lambda path: SimpleNamespace(
            path=path,
            quick=path == kernels.LIBRARY,
            source=plain.source + (path != kernels.LIBRARY),
        ),
    )
    assert taken(monkeypatch, quick.path) == kernels.LIBRARY


def test_on_a_processor_of_yesterday_those_for_any_are_taken(monkeypatch):
    plain = kernels.Kernels(kernels.LIBRARY)
    monkeypatch.setattr(plain, "quick", False)
    assert kernels._quickest(plain) is plain


@pytest.mark.parametrize(("said", "what"), [("off", "None"), ("plain", str(kernels.LIBRARY))])
def test_a_program_paints_without_them_or_with_those_for_any_where_these_are_wanted(said, what):
    code = "from stream.kernels import compiled; print(getattr(compiled(), 'path', None))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, kernels.SWITCH: said},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == what


@pytest.mark.slow
def test_those_for_any_processor_paint_the_same():
    here = Path(__file__).resolve().parent
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", here, here.parent / "compositing"],
        env={**os.environ, kernels.SWITCH: "plain"},
        cwd=here.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@rounded_by_opencv
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (45, 33), (120, 161), (31, 400)])
@pytest.mark.parametrize("side", [1, 2, 3, 4, 6, 10, 18])
@pytest.mark.parametrize("lies", [within, upside_down])
def test_cells_cover_as_by_opencv(monkeypatch, size, side, lies):
    step = 2 - side % 2
    steps = ((1, 1), (step, step))
    grid = Grid(size, side)
    rows, columns = grid.cells
    bare = shares_of(1, rows, columns)
    bare[: rows // 3], bare[-rows // 4 :, columns // 2 :] = 255, 0
    monkeypatch.setattr(conceal, "joined", lambda *_: bare)
    monkeypatch.setattr(conceal, "windows_of", lambda *_: [(0, rows, 0, columns)])
    planes = [noise(2, *size), noise(3, -(-size[0] // step), -(-size[1] // step))]
    for block, values in ((0, (17, 255)), (2, None), (6, None), (56, None)):
        pictures = []
        for loops in (compiled, None):
            monkeypatch.setattr(conceal, "compiled", lambda loops=loops: loops)
            samples = tuple(lies(plane) for plane in planes)
            canvas = SimpleNamespace(
                alpha=None,
                planes=SimpleNamespace(samples=samples, steps=steps, narrow=True),
                memory=SimpleNamespace(scratch=lambda _, shape: np.empty(shape, np.uint8)),
            )
            how = {"values": values, "block": block, "hard": not values}
            conceal.conceal(canvas, grid, (), **how)
            pictures.append(samples)
        assert all(map(np.array_equal, *pictures)), block


@pytest.mark.parametrize("size", [(5, 7), (90, 161), (720, 1280)])
@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5])
def test_objects_take_the_same_cells(monkeypatch, size, threshold):
    grid = grid_of(size, (2, 2))
    masks = [
        one
        for seed, side in enumerate((3, 28, 56))
        for one in coverage.lying(shares_of(seed, side, side)[None])
    ]
    soft = np.random.default_rng(5).random((2, 28, 27), np.float32)
    shares = [(0.2, 0.1, 0.6, 0.9), (-0.3, 0, 0.2, 1), (0.9, 0.9, 0.95, 0.92), (-5, -9, 6, 7)]
    shares += [(2, 2, 3, 3)]
    boxes = np.array(shares, np.float32) * np.float32([*size[::-1], *size[::-1]])
    reaches, found = np.linspace(2, 30, len(boxes)), []
    for loops in (compiled, None):
        monkeypatch.setattr(coverage, "compiled", lambda loops=loops: loops)
        own = coverage.patches(grid, soft, masks, boxes, threshold, reaches)
        found.append((own, coverage.joined(grid, [own])))
    some = 3 if size == (5, 7) else 4  # What is less than a pixel may lie beside all middles.
    assert len(found[0][0].which) == some
    assert np.array_equal(found[0][0].which, found[1][0].which)
    for one, other in zip(*(own.objects() for own, _ in found), strict=True):
        assert (one[0], one[2]) == (other[0], other[2])
        assert np.array_equal(one[1], other[1])
    assert np.array_equal(found[0][1], found[1][1])


def test_masks_are_raised_as_by_opencv(monkeypatch):
    chance = np.random.default_rng(1)
    # Beside where they are rounded to another number, too.
    edges = ((np.arange(256) + 0.001) / 255).astype(np.float32)
    edges = (edges.view(np.int32)[:, None] + np.arange(-9, 10)).astype(np.int32).view(np.float32)
    for masks in (edges[None], *(chance.random((2, n, 3), np.float32) for n in (1, 5, 21, 56))):
        found = []
        for loops in (compiled, None):
            monkeypatch.setattr(coverage, "compiled", lambda loops=loops: loops)
            found.append([one.codes for one in coverage.raised(np.clip(masks, 0, 1))])
        # OpenCV rounds twice on processors that cannot multiply and add in one step.
        assert np.abs(np.subtract(*found, dtype=np.int64)).max() <= (masks.shape[1] == 256)


def test_who_stands_where_somebody_was_is_seen_alike(monkeypatch):
    chance = np.random.default_rng(1)
    before = chance.uniform(0, 90, (40, 4)).astype(np.float32)
    before[:, 2:] += before[:, :2]
    before[:2] = ((9, 9, 9, 9), (-3e38, -3e38, 3e38, 3e38))
    for now in (before[:1], before[::-1][:20] + np.float32(0.5), before * np.float32(1.04)):
        found = []
        for loops in (compiled, None):
            monkeypatch.setattr(lately, "compiled", lambda loops=loops: loops)
            with np.errstate(over="ignore", invalid="ignore"):
                found.append(lately.standing(before, np.ascontiguousarray(now)))
        assert found[0] == found[1]
    assert max(found[0]) > 0 > min(found[0])


def test_what_is_left_of_somebody_stands_where_he_was():
    before = np.array([[0, 0, 10, 10], [50, 0, 60, 10], [9, 9, 9, 9], [0, 0, 3e38, 3e38]], "f4")
    now = np.array([[5, 0, 10, 10], [52, 0, 57, 9], [50, 0, 56, 10]], "f4")
    assert lately.standing(before, now) == [0, 2, -1, -1]
    assert lately.standing(before[:1], now[1:]) == [-1]


@pytest.mark.parametrize("size", [(90, 70), (480, 640), (1080, 1920)])
def test_what_was_covered_in_frames_that_follow_each_other_is_kept_alike(monkeypatch, size):
    chance, grid = np.random.default_rng(3), grid_of(size, (2, 2))
    places = chance.uniform(0, 0.6, (6, 4)).astype(np.float32)
    places[:, 2:] = places[:, :2] + chance.uniform(0.1, 0.5, (6, 2))
    boxes = places * np.float32([size[1], size[0]] * 2)
    # Some stand, some have moved on, one is new and one is gone; reaches are others for some.
    later = boxes[[4, 0, 1, 2, 5]] + np.float32([[0], [0.002], [0], [0.2], [0.004]]) * size[1]
    frames = []
    for seed, these in enumerate((boxes[:5], later, boxes[1:4])):
        masks = np.random.default_rng(seed).random((len(these), 28, 28)).astype(np.float32)
        reaches = np.linspace(2, 2 + seed * size[0] / 40, len(these))
        own = coverage.patches(grid, masks, [], these, 0.5, reaches)
        assert len(own.items) == len(these)
        whose = np.ascontiguousarray(these)
        memory = address_of(whose), address_of(own.items), len(whose)
        frames.append(lately.Covered(seed / 25, whose, [1.0] * len(whose), own, memory))
    found = []
    for loops in (compiled, None):
        monkeypatch.setattr(lately, "compiled", lambda loops=loops: loops)
        two = lately.united(grid, frames[0], frames[1])
        found.append((two, lately.united(grid, two, frames[2])))
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one.boxes, other.boxes)
        assert np.array_equal(
            np.delete(one.patches.items, 4, 1), np.delete(other.patches.items, 4, 1)
        )
        assert np.array_equal(one.patches.cells, other.patches.cells)
        assert one.seconds == other.seconds and one.memory[2] == len(one.boxes) == 7
    # Together they leave bare what all of them do.
    each = coverage.joined(grid, [one.patches for one in frames])
    bare = coverage.joined(grid, [found[0][1].patches])
    assert (bare <= each).all() and (bare != each).mean() < 0.2
