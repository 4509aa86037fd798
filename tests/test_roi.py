import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.roi import mask_window, paste_mask, sample_mask, threshold_mask


def box(*values):
    return np.array(values, np.float32)


def soft_blob(cells, seed):
    """A soft mask with a random smooth shape, float32 [cells, cells]."""
    rng = np.random.default_rng(seed)
    y, x = (np.mgrid[:cells, :cells] + 0.5) / cells
    away = np.hypot(y - 0.5, x - 0.5)
    angle = np.arctan2(y - 0.5, x - 0.5)
    radius = 0.38 + 0.08 * np.sin(3 * angle + rng.uniform(0, 6))
    return np.clip(0.5 + (radius - away) * 6, 0, 1).astype(np.float32)


def reference(mask, at, window):
    """The definition, pixel by pixel in double precision."""
    x1, y1, x2, y2 = (float(value) for value in at)
    rows, columns = mask.shape
    padded = np.pad(mask.astype(float), 1)
    top, bottom, left, right = window
    soft = np.zeros((bottom - top, right - left))
    for y in range(top, bottom):
        for x in range(left, right):
            v = np.clip((y + 0.5 - y1) / (y2 - y1) * rows + 0.5, 0, rows + 0.999999)
            u = np.clip((x + 0.5 - x1) / (x2 - x1) * columns + 0.5, 0, columns + 0.999999)
            i, j, a, b = int(v), int(u), v % 1, u % 1
            soft[y - top, x - left] = (1 - a) * (
                (1 - b) * padded[i, j] + b * padded[i, j + 1]
            ) + a * ((1 - b) * padded[i + 1, j] + b * padded[i + 1, j + 1])
    return soft


@pytest.mark.parametrize(
    "at",
    [
        (10, 20, 66, 76),
        (10.3, 20.9, 61.7, 75.2),
        (-30.5, -10.2, 45.5, 130.1),
        (40, 30, 41, 31),
        (40.2, 30.2, 40.4, 80),
        (-1000, -2000, 3000, 1500),
    ],
)
@pytest.mark.parametrize("cells", [(28, 28), (14, 56), (1, 1)])
def test_sampling_is_the_definition(at, cells):
    mask = np.random.default_rng(0).random(cells, np.float32)
    window = mask_window(box(*at), cells, 90, 80)
    soft = sample_mask(mask, box(*at), window)
    assert soft.dtype == np.float32
    np.testing.assert_allclose(soft, reference(mask, box(*at), window), atol=2e-4)


@pytest.mark.parametrize("at", [(0, 0, 1, 1), (12, 7, 1, 2), (3, 4, 11, 90)])
def test_the_window_holds_all_that_the_mask_touches(at):
    x, y, width, height = at
    at = box(x, y, x + width, y + height)
    mask = np.ones((7, 7), np.float32)
    top, bottom, left, right = mask_window(at, (7, 7), 200, 200)
    whole = sample_mask(mask, at, (0, 200, 0, 200))
    rows, columns = np.nonzero(whole)
    assert top <= rows.min() <= rows.max() < bottom
    assert left <= columns.min() <= columns.max() < right


@pytest.mark.parametrize("cells", [14, 28, 56])
@pytest.mark.parametrize("seed", range(3))
def test_it_agrees_with_torchvision(cells, seed):
    import torch
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    rng = np.random.default_rng(seed)
    masks = np.stack([soft_blob(cells, seed * 10 + i) for i in range(4)])
    corner, size = rng.uniform(-60, 200, (4, 2)), rng.uniform(250, 500, (4, 2))
    boxes = np.concatenate([corner, corner + size], 1).astype(np.float32)
    theirs = paste_masks_in_image(
        torch.from_numpy(masks)[:, None], torch.from_numpy(boxes), (480, 640), padding=1
    )
    for mask, at, their in zip(masks, boxes, theirs[:, 0].numpy() > 0.5, strict=True):
        ours = np.zeros((480, 640), bool)
        (y1, y2, x1, x2), inside = paste_mask(mask, at, 640, 480, 0.5)
        ours[y1:y2, x1:x2] = inside
        assert (ours & their).sum() / (ours | their).sum() >= 0.99


@pytest.mark.parametrize(
    "at",
    [
        (np.nan, 0, 10, 10),
        (0, 0, np.inf, 10),
        (-np.inf, -np.inf, np.inf, np.inf),
        (10, 10, 10, 20),
        (20, 20, 10, 10),
        (300, 0, 400, 50),
        (0, -90, 50, -10),
    ],
)
def test_what_is_no_box_or_outside_is_none(at):
    mask = np.ones((28, 28), np.float32)
    assert mask_window(box(*at), (28, 28), 200, 100) is None
    assert paste_mask(mask, box(*at), 200, 100, 0.5) is None


def test_thresholding_in_strips_is_thresholding_the_whole():
    mask, at, window = soft_blob(28, 1), box(-20, -30, 500, 700), (0, 600, 0, 480)
    expected = sample_mask(mask, at, window) > 0.4
    assert np.array_equal(threshold_mask(mask, at, window, 0.4), expected)
    out = np.empty((600, 480), bool)
    assert threshold_mask(mask, at, window, 0.4, out) is out
    assert np.array_equal(out, expected)


numbers = st.one_of(
    st.floats(-1e3, 1e3, width=32),
    st.floats(width=32, allow_nan=True, allow_infinity=True),
)


@given(numbers, numbers, numbers, numbers, st.integers(1, 90), st.integers(1, 90))
def test_any_box_gives_a_mask_inside_the_picture_or_none(x1, y1, x2, y2, width, height):
    mask, at = np.ones((5, 5), np.float32), box(x1, y1, x2, y2)
    window = mask_window(at, (5, 5), width, height)
    if window is None:
        return
    (top, bottom, left, right), soft = window, sample_mask(mask, at, window)
    assert 0 <= top < bottom <= height
    assert 0 <= left < right <= width
    assert soft.shape == (bottom - top, right - left)
    assert soft.min() >= 0
    assert soft.max() <= 1.0001
