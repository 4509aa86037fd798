"""Formats, planes and matrices, against FFmpeg's own answers."""

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from stream import kernels
from stream.compositing.planes import encoding_of
from stream.pictures.pixels import (
    EXACT_RGB,
    MATRICES,
    bgr_from_picture,
    paintable,
    picture_from_bgr,
    plane_view,
    rgb_to_yuv,
    yuv_to_rgb,
)
from tests.compositing.pictures import FORMATS, astronaut


@pytest.mark.parametrize("pixels", FORMATS)
def test_planar_yuv_and_grey_are_paintable(pixels):
    assert paintable(pixels)


@pytest.mark.parametrize(
    "pixels",
    ["nv12", "yuyv422", "rgb24", "gbrp", "yuva420p", "yuv420p10be", "gray10be", "p010le", "pal8"],
)
def test_packed_rgb_alpha_and_other_byte_orders_are_not(pixels):
    assert not paintable(pixels)


@pytest.mark.parametrize("pixels", FORMATS)
@pytest.mark.parametrize("flipped", [False, True])
def test_a_view_is_the_plane_also_upside_down_in_memory(pixels, flipped):
    picture = astronaut(50, 37, pixels)
    upright = [plane_view(plane, depth(picture)).copy() for plane in picture.planes]
    if flipped:
        picture = flip(picture)
        assert picture.planes[0].line_size < 0
    views = [plane_view(plane, depth(picture)) for plane in picture.planes]
    for view, expected in zip(views, upright, strict=True):
        assert np.array_equal(view, expected[::-1] if flipped else expected)
    views[0][0] = 7
    assert (plane_view(picture.planes[0], depth(picture))[0] == 7).all()


def test_a_view_of_packed_pixels_has_their_channels():
    rgb = astronaut(51, 37, "rgb24")
    assert np.array_equal(plane_view(rgb.planes[0], channels=3), rgb.to_ndarray())


@pytest.mark.parametrize("matrix", sorted(MATRICES))
def test_matrices_are_swscales(matrix):
    known = MATRICES[matrix]
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 160, 20]]], np.uint8)
    rgb = av.VideoFrame.from_ndarray(np.repeat(np.repeat(colours, 16, 0), 16, 1), format="rgb24")
    picture = rgb.reformat(
        format="yuv444p16le", dst_colorspace=known.swscale, dst_color_range=ColorRange.JPEG
    )
    found = np.stack([plane_view(plane, 16)[8, 8::16] for plane in picture.planes]) / 65535
    expected = rgb_to_yuv(known.red, known.blue) @ (colours[0].T / 255)
    expected[1:] += 0.5
    # swscale counts with 8-bit RGB and 15-bit coefficients.
    assert np.abs(found - expected).max() < 0.004


def planes_of(picture):
    return [plane_view(plane, 10).copy() for plane in picture.planes]


@pytest.mark.parametrize("by", ["as installed", "without compiled loops"])
def test_any_8_bit_colour_comes_back_exactly(monkeypatch, by):
    if by != "as installed":
        monkeypatch.setattr("stream.pictures.pixels.compiled", lambda: None)
    # Of the first every one, of the others those at the ends and some between, which all share.
    some = np.r_[0:256:15, 1, 2, 127, 128, 253, 254].astype(np.uint8)
    colours = np.stack(np.meshgrid(np.arange(256, dtype=np.uint8), some, some), -1)
    for turned in range(3):
        bgr = np.roll(colours.reshape(256, -1, 3), turned, axis=2)
        assert np.array_equal(bgr_from_picture(picture_from_bgr(bgr)), bgr)


@pytest.mark.skipif(kernels.compiled() is None, reason="nothing was compiled")
@pytest.mark.parametrize("size", [(1, 1), (3, 37), (300, 65)])
def test_compiled_loops_make_the_same_of_exact_pictures(monkeypatch, size):
    rng = np.random.default_rng(4)
    bgr = rng.integers(0, 256, (size[0] + 1, 2 * size[1], 3), np.uint8)
    picture = av.VideoFrame(size[1], size[0], EXACT_RGB)
    for plane in picture.planes:
        plane_view(plane, 10)[...] = rng.integers(0, 1024, size)
    picture.colorspace, picture.color_range = 5, int(ColorRange.JPEG)
    # Also pixels that lie apart, and rows from the last to the first.
    views = (bgr[1:, : size[1]], bgr[:-1, ::2], bgr[1:, : size[1]][::-1])
    made = [planes_of(picture_from_bgr(view)) for view in views], bgr_from_picture(picture)
    monkeypatch.setattr("stream.pictures.pixels.compiled", lambda: None)
    for view, planes in zip(views, made[0], strict=True):
        for one, other in zip(planes, planes_of(picture_from_bgr(view)), strict=True):
            assert np.array_equal(one, other)
    assert np.array_equal(made[1], bgr_from_picture(picture))


def depth(picture: av.VideoFrame) -> int:
    return picture.format.components[0].bits


def flip(picture: av.VideoFrame) -> av.VideoFrame:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format.name, time_base=1
    )
    turn, sink = graph.add("vflip"), graph.add("buffersink")
    graph.link_nodes(source, turn, sink).configure()
    graph.push(picture)
    return graph.pull()


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(
    ("full_range", "black", "white", "unit"), [(True, 0, 255, 255), (False, 16, 235, 224)]
)
def test_mixing_undoes_the_matrix(
    matrix: int, full_range: bool, black: int, white: int, unit: int
) -> None:
    known = MATRICES[matrix]
    mixed = yuv_to_rgb(known.red, known.blue, full_range=full_range)
    for luma, level in ((black, 0), (white, 255)):
        np.testing.assert_allclose(mixed @ [luma, 128, 128, 1], level, atol=1e-3)
    red = rgb_to_yuv(known.red, known.blue) @ [1, 0, 0] * [white - black, unit, unit]
    stored = red + np.array([black, 128, 128])
    np.testing.assert_allclose(mixed @ [*stored, 1], [255, 0, 0], atol=1e-3)


def test_what_is_painted_on_pictures_without_a_matrix_has_its_colour_when_they_are_shown():
    colour = (46, 125, 91)
    for width, height in ((64, 576), (64, 720), (1280, 64)):
        picture = astronaut(width, height, "yuv420p")
        picture.colorspace = 2
        encoding = encoding_of(picture)
        for plane, value in zip(picture.planes, encoding.codes(colour), strict=True):
            plane_view(plane)[:] = value
        shown = bgr_from_picture(picture)[height // 2, width // 2, ::-1].astype(int)
        assert np.abs(shown - colour).max() <= 3, (width, height)
