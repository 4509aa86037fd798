"""The compiled loops of painting do what NumPy and OpenCV do, to the last bit."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import kernels
from stream.compositing import refine
from stream.compositing.behind import composed
from stream.compositing.masks import crest, kept, profile
from stream.compositing.masks import paste as paste_with_numpy
from stream.compositing.planes import blend_shares, reduce_to
from stream.compositing.squares import rimmed
from stream.kernels import Objects, address_of
from stream.roi import mask_window, soft_strips

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


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lies", [within, upside_down])
@pytest.mark.parametrize("value", [0, 17, 255])
def test_blending_a_value_is_rounded_as_by_opencv(size, lies, value):
    samples, keep = noise(1, *size), shares_of(2, *size)
    expected = composed(samples, np.full(size, value, np.uint8), keep)
    there = lies(samples)
    compiled.blend(there, within(keep), value)
    assert (there == expected).all()


def test_every_sample_share_and_other_gives_what_opencv_gives():
    for other in (0, 1, 128, 254, 255):
        samples, keep = (np.ascontiguousarray(one) for one in np.mgrid[:256, :256].astype(np.uint8))
        theirs = np.full((256, 256), other, np.uint8)
        expected = composed(samples, theirs, keep)
        compiled.compose(samples, theirs, 1, [(0, 256, 0, 256)], [keep])
        assert (samples == expected).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lies", [within, upside_down])
@pytest.mark.parametrize("larger", [0, 1, 2, 4, 8])
def test_what_is_behind_stands_around_objects_and_between_them(size, lies, larger):
    height, width = (side * max(1, larger) for side in size)
    samples = noise(1, height, width)
    windows = [(0, height // 2, 0, width // 3), (0, height, width // 3 + 1, width)]
    windows = [one for one in windows if one[0] < one[1] and one[2] < one[3]]
    shares = [shares_of(3, one[1] - one[0], one[3] - one[2]) for one in windows]
    behind = 77 if not larger else noise(2, *size)
    expected = np.empty_like(samples)
    if larger > 1:
        large = cv2.resize(behind, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
        expected[...] = large
    else:
        expected[...] = behind
    for (top, bottom, left, right), share in zip(windows, shares, strict=True):
        there = expected[top:bottom, left:right]
        there[...] = composed(samples[top:bottom, left:right], there.copy(), share)
    ours = lies(samples)
    given = behind if isinstance(behind, int) else within(behind)
    compiled.compose(ours, given, max(1, larger), windows, [within(one) for one in shares])
    assert (ours == expected).all()


def seen(height, width):
    """Y, U and V, and a mask with soft edges, sure far from them."""
    soft = cv2.GaussianBlur(blob(1, height, width, 9.0).astype(np.float32), (0, 0), 2)
    mask = np.clip(2 * soft - 0.5, 0, 1) * 255
    colours = [cv2.GaussianBlur(noise(one, height, width), (0, 0), 1.5) for one in (2, 3, 4)]
    return np.stack([*colours, mask.astype(np.uint8)])


@pytest.mark.parametrize("size", [(8, 32), (40, 56), (97, 64), (120, 33)])
@pytest.mark.parametrize("radius", [refine.ROUGH, refine.FINE])
def test_edges_are_drawn_as_by_opencv(monkeypatch, size, radius):
    picture = seen(*size)
    (ours,) = refine.bilateral([picture], radius)
    monkeypatch.setattr(refine, "compiled", lambda: None)
    (theirs,) = refine.bilateral([picture], radius)
    assert (ours == theirs).all()
    assert not (ours == picture[3]).all()


@pytest.mark.parametrize("size", SIZES)
def test_a_plane_is_raised_to_what_a_table_says(size):
    table = np.minimum(255, np.arange(256) // 3 * 5).astype(np.uint8)
    table[255] = 255
    values, plane = shares_of(1, *size), noise(2, *size)
    there = within(plane)
    assert compiled.shape(within(values), table, there) == bool(table[values].any())
    assert (there == np.maximum(plane, table[values])).all()
    assert not compiled.shape(np.zeros(size, np.uint8), table, there)


@pytest.mark.parametrize("size", SIZES)
def test_only_what_is_less_is_raised_where_a_mask_is(size):
    samples, inside = noise(1, *size), blob(2, *size)
    there = within(samples)
    compiled.lay(there, within(inside), 128)
    assert (there == np.maximum(samples, inside * 128)).all()


edges = st.floats(-150, 450, width=32)
spans = st.floats(0.25, 700, width=32)


@given(
    seed=st.integers(0, 1000),
    cells=st.sampled_from([(1, 1), (2, 3), (7, 7), (28, 28), (56, 57)]),
    at=st.tuples(edges, edges, spans, spans),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.97]),
    grid=st.sampled_from([(1, 1), (2, 2), (1, 4)]),
    margin=st.integers(0, 6),
    hard=st.booleans(),
)
def test_masks_are_pasted_as_by_numpy(seed, cells, at, threshold, grid, margin, hard):
    mask = np.random.default_rng(seed).random(cells).astype(np.float32)
    mask = np.round(mask) if hard else mask
    left, top, width, height = at
    box = np.array([left, top, left + width, top + height], np.float32)
    size = (300, 400)
    expected = paste_with_numpy(
        mask, box, size, threshold, lambda n: np.empty(n, np.bool_), grid=grid, margin=margin
    )
    windows, pixels = compiled.windows(box[None], cells, size, threshold, grid, margin)
    out = np.full(pixels, 7, np.uint8)
    ((row, column),) = compiled.paste(mask[None], box[None], windows, threshold, out, margin)
    if expected is None:
        assert (row, column) == (-1, -1)
        return
    window, inside = expected
    assert tuple(windows[0]) == window
    around = rimmed(inside, margin).whole if margin else inside
    assert (out.reshape(around.shape) == around).all()
    assert crest(window, inside) == (window[2] + column + 0.5, window[0] + row)


def test_masks_lie_one_after_the_other_and_those_that_are_nowhere_take_no_room():
    masks = np.ones((4, 28, 28), np.float32)
    boxes = np.float32([[5, 5, 30, 40], [np.nan, 0, 9, 9], [70, 10, 60, 20], [40, 8, 90, 60]])
    windows, pixels = compiled.windows(boxes, (28, 28), (64, 96), 0.5, (2, 2), 3)
    assert windows[1].tolist() == windows[2].tolist() == [0] * 4
    out = np.empty(pixels, np.uint8)
    tops = compiled.paste(masks, boxes, windows, 0.5, out, 3)
    assert tops[1:3].tolist() == [[-1, -1]] * 2 and (tops[[0, 3]] >= 0).all()
    start = 0
    for index in (0, 3):
        _, inside = paste_with_numpy(
            *(masks[index], boxes[index], (64, 96), 0.5, lambda n: np.empty(n, np.bool_)),
            grid=(2, 2),
            margin=3,
        )
        around = rimmed(inside, 3).whole
        assert (out[start : start + around.size].reshape(around.shape) == around).all()
        start += around.size
    assert start == pixels


@given(
    seed=st.integers(0, 1000),
    at=st.tuples(edges, edges, spans, spans),
    gain=st.floats(1, 3000, width=32),
    low=st.floats(0, 0.9),
)
def test_soft_masks_are_rounded_as_by_numpy_and_opencv(seed, at, gain, low):
    mask = np.random.default_rng(seed).random((28, 28)).astype(np.float32)
    left, top, width, height = at
    box = np.array([left, top, left + width, top + height], np.float32)
    window = mask_window(box, (28, 28), 400, 300)
    if window is None:
        return
    offset = 0.5 - low * gain
    expected = np.empty((window[1] - window[0], window[3] - window[2]), np.uint8)
    for rows, strip in soft_strips(mask * np.float32(gain), box, window):
        cv2.add(strip, offset, dst=expected[rows], dtype=cv2.CV_8U)
    assert (compiled.soft(mask, box, window, gain, offset) == expected).all()


def test_of_many_soft_masks_the_most_counts_at_each_pixel():
    masks = np.random.default_rng(0).random((3, 28, 28)).astype(np.float32)
    masks[1] = 0
    boxes = np.float32([[5, 5, 60, 50], [0, 0, 20, 20], [30, 8, 90, 60]])
    windows = [mask_window(box, (28, 28), 96, 64) for box in boxes]
    plane = np.zeros((64, 96), np.uint8)
    falls = np.float32([[255, 0], [400, -30], [200, 1]])
    falls[1, 1] = 0
    found = compiled.union(masks, boxes, np.array(windows, np.int64), falls, plane)
    expected = np.zeros_like(plane)
    for mask, box, window, (gain, offset) in zip(masks, boxes, windows, falls, strict=True):
        top, bottom, left, right = window
        there = expected[top:bottom, left:right]
        soft = compiled.soft(mask, box, window, float(gain), float(offset))
        np.maximum(there, soft, out=there)
    assert found.tolist() == [True, False, True]
    assert (plane == expected).all()


def cover(distance):
    inside = 0.45 * np.clip(distance + 0.5, 0, 1)
    return np.clip(inside + (np.abs(distance) < 1.2) * 0.5, 0, 1)


def tinted(mask, window, planes, step, strength, bare):
    """One object by NumPy and OpenCV."""
    height, width = window[1] - window[0], window[3] - window[2]
    memory = {}

    def scratch(name, size):
        memory[name] = np.empty(size, np.uint8)
        return memory[name]

    stays = kept(
        mask, slice(0, height), slice(0, width), strength, scratch, thin=bare < 256, shares=True
    )
    for place, (samples, code) in enumerate(zip(planes, CODES, strict=False)):
        by = step if place else 1
        share = reduce_to(stays, (by, by))
        there = samples[
            window[0] // by : -(-window[1] // by), window[2] // by : -(-window[3] // by)
        ]
        blend_shares(there, share, code, np.empty(share.shape, np.uint16))


@pytest.mark.parametrize("side", [3, 5, 7, 15])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (6, 9), (33, 64), (40, 97)])
@pytest.mark.parametrize("thin", [False, True])
def test_colours_are_blended_as_by_numpy(side, step, size, thin):
    height, width = size
    half = side // 2
    strength = profile(side, cover)
    bare = strength.bare if thin else 256
    picture = (height + 5, width + 7)
    few = tuple(-(-one // step) for one in picture)
    planes = [noise(1, *picture), noise(2, *few), noise(3, *few)]
    window = (4, 4 + height, 6, 6 + width)
    mask = rimmed(blob(side, *size), half)
    theirs = [one.copy() for one in planes]
    tinted(mask, window, theirs, step, strength, bare)
    ours = [within(one) for one in planes]
    wide = mask.whole.shape[1]
    begins = address_of(mask.whole) + mask.row * wide + mask.column
    objects = Objects(
        np.array([[begins, wide, bare]], np.int64),
        np.array([window], np.int64),
        np.array([False]),
        np.array([False]),
    )
    codes = np.array([CODES], np.int32)
    ranks = np.zeros((1, 1), np.uint8)
    compiled.tint(objects, [0], ranks, side, strength.shares, ours, step, codes)
    for one, other in zip(ours, theirs, strict=True):
        assert (one == other).all()


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


def test_a_program_paints_without_them_where_they_are_not_wanted():
    code = "from stream.kernels import compiled; print(compiled())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, kernels.SWITCH: "off"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "None"
