import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stream.inference.resize import resize_rgb
from tests import photos

ASTRONAUT = photos.astronaut()
COFFEE = photos.coffee()  # 400 x 600
SIZES = [(256, 256), (300, 200), (640, 480), (100, 333), (1, 1), (599, 401)]


@pytest.mark.parametrize("size", SIZES)
def test_pil_bilinear_equals_pillow(size: tuple[int, int]) -> None:
    ours = resize_rgb(COFFEE, *size, "pil_bilinear")
    theirs = np.asarray(Image.fromarray(COFFEE).resize(size, Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(ours, theirs)


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.integers(0, 2**32 - 1),
)
def test_pil_bilinear_equals_pillow_for_any_size(
    source: tuple[int, int], target: tuple[int, int], seed: int
) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (*source, 3), np.uint8)
    theirs = np.asarray(Image.fromarray(rgb).resize(target, Image.Resampling.BILINEAR))
    difference = np.abs(resize_rgb(rgb, *target, "pil_bilinear").astype(int) - theirs).max()
    # Pillow 13 takes rows before columns for some pictures that get lower, older ones never do:
    # rounding in the other order is one level at most.
    assert difference <= (1 if target[1] < source[0] else 0)


@pytest.mark.parametrize("size", SIZES)
def test_bilinear_equals_torch(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    picture = torch.from_numpy(COFFEE).permute(2, 0, 1)[None].float()
    exact = torch.nn.functional.interpolate(
        picture, (size[1], size[0]), mode="bilinear", align_corners=False
    )[0].permute(1, 2, 0)
    ours = resize_rgb(COFFEE, *size, "bilinear").astype(np.float32)
    assert np.abs(ours - exact.numpy()).max() <= 1.0


@pytest.mark.parametrize("size", SIZES)
def test_tf_bilinear_keeps_to_the_formula(size: tuple[int, int]) -> None:
    width, height = size
    ours = resize_rgb(COFFEE, width, height, "tf_bilinear")
    rng = np.random.default_rng(0)
    for _ in range(50):
        y, x = int(rng.integers(height)), int(rng.integers(width))
        sy, sx = y * COFFEE.shape[0] / height, x * COFFEE.shape[1] / width
        y0, x0 = int(sy), int(sx)
        y1, x1 = min(y0 + 1, COFFEE.shape[0] - 1), min(x0 + 1, COFFEE.shape[1] - 1)
        fy, fx = sy - y0, sx - x0
        pixels = COFFEE.astype(np.float64)
        top = pixels[y0, x0] * (1 - fx) + pixels[y0, x1] * fx
        bottom = pixels[y1, x0] * (1 - fx) + pixels[y1, x1] * fx
        assert np.abs(ours[y, x] - (top * (1 - fy) + bottom * fy)).max() <= 0.51


def test_tf_bilinear_has_no_half_pixel() -> None:
    # Doubling: every second pixel is the original one, which half-pixel centres never give.
    double = resize_rgb(ASTRONAUT, 1024, 1024, "tf_bilinear")
    np.testing.assert_array_equal(double[::2, ::2], ASTRONAUT)


def test_area_is_the_mean() -> None:
    half = resize_rgb(ASTRONAUT, 256, 256, "area")
    mean = ASTRONAUT.reshape(256, 2, 256, 2, 3).mean((1, 3))
    assert np.abs(half - mean).max() <= 0.51


def test_area_enlarges_smoothly() -> None:
    grown = resize_rgb(ASTRONAUT, 700, 700, "area")
    np.testing.assert_array_equal(grown, cv2.resize(ASTRONAUT, (700, 700)))


@pytest.mark.parametrize("kind", ["bilinear", "area", "pil_bilinear", "tf_bilinear"])
def test_a_picture_of_the_right_size_is_not_touched(kind: str) -> None:
    assert resize_rgb(COFFEE, 600, 400, kind) is COFFEE  # type: ignore[arg-type]
