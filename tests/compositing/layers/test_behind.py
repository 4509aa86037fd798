"""Layers that change what is behind: objects stay, and what is behind is what it should be."""

import cv2
import numpy as np
import pytest

from stream.compositing import Painter, Style
from stream.compositing.behind import composed
from stream.compositing.encoding import Encoding, encoded
from stream.compositing.layers.replace import cover
from stream.errors import UsageError
from stream.instances import Instances
from stream.pictures.pixels import plane_view
from tests.compositing.pictures import FORMATS, astronaut, frame, people, portrait, same, samples

SOLID = np.ones((28, 28), np.float32)


def edged():
    """A mask that falls at its left and right as steeply as one of which a model is sure."""
    mask = SOLID.copy()
    mask[:, (0, -1)], mask[:, (1, -2)] = 0.25, 0.75
    return mask


HELD = ["blur", "grey", "dim", "spotlight"]


def painted(look, picture, instances, **style):
    one = frame(picture, instances)
    style = {"refine": False, **style}  # Where edges lie is the mask's business here.
    Painter(look, Style(**style), timing=False).paint(one)
    return samples(one.image)


def blocks(picture, plane, inside):
    """Where samples of a plane lie under any pixel of an object."""
    rows, columns = round(picture.height / plane.height), round(picture.width / plane.width)
    padded = np.pad(inside, ((0, -inside.shape[0] % rows), (0, -inside.shape[1] % columns)))
    return padded.reshape(plane.height, rows, plane.width, columns).any(axis=(1, 3))


@pytest.mark.parametrize("look", HELD)
@pytest.mark.parametrize("feather", [None, 0, 25])
def test_objects_stay_bit_for_bit(look, feather):
    boxes = (30.4, 20.2, 121.3, 150.9), (120, 50, 240, 140), (np.nan, 1, 2, 3)
    inside = people(astronaut(201, 161), *boxes).full_masks().any(axis=0)
    for pixels in FORMATS:
        picture = astronaut(201, 161, pixels)
        before = samples(picture)
        after = painted(look, picture, people(picture, *boxes), feather=feather)
        changed = False
        for old, new, plane in zip(before, after, picture.planes, strict=True):
            there = blocks(picture, plane, inside)
            assert np.array_equal(old[there], new[there]), pixels
            changed |= not np.array_equal(old, new)
        assert changed or (look == "grey" and pixels.startswith("gray")), pixels


def test_grey_takes_all_colour_of_what_is_behind_and_no_light():
    for found in (None, people(astronaut(), (60, 20, 120, 150))):
        picture = astronaut()
        luma, *_ = samples(picture)
        after = painted("grey", picture, found)
        assert np.array_equal(after[0], luma)
        for plane in after[1:]:
            assert (plane[:, :25] == 128).all()
            assert (plane[:, 70:] == 128).all()


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le", "gray"])
def test_dim_takes_light_and_colour_in_proportion(pixels):
    picture = astronaut(200, 160, pixels)
    before = samples(picture)
    after = painted("dim", picture, None, darkness=0.75)
    shift = picture.format.components[0].bits - 8
    zeros = ((0 if pixels == "gray" else 16 << shift), 128 << shift, 128 << shift)
    for old, new, zero in zip(before, after, zeros, strict=False):
        expected = zero + 0.25 * (old.astype(float) - zero)
        above = old >= zero if zero == zeros[0] else np.ones_like(old, bool)
        assert np.abs(new - expected)[above].max() <= 0.5
    assert all(
        np.array_equal(a, b)
        for a, b in zip(
            before, painted("dim", astronaut(200, 160, pixels), None, darkness=0), strict=True
        )
    )


def test_a_spotlights_pool_is_wider_than_dims_edge():
    areas = {}
    for look in ("dim", "spotlight"):
        picture = astronaut(320, 240)
        bright = samples(picture)[0].astype(float)
        after = painted(look, picture, people(picture, (140, 60, 200, 200)), darkness=1.0)[0]
        areas[look] = (after > 16 + 0.5 * (bright - 16)).mean()
        assert (after[:, -20:] <= 16).all()
    assert areas["spotlight"] > 1.5 * areas["dim"]


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p10le", "gray", "yuv410p"])
def test_blur_leaves_a_plain_wall_and_takes_detail(pixels):
    picture = astronaut(320, 240, pixels)
    detail = [np.abs(np.diff(plane.astype(float), axis=1)).mean() for plane in samples(picture)]
    after = painted("blur", picture, None, blur_strength=8)
    for before, plane in zip(detail, after, strict=True):
        assert np.abs(np.diff(plane.astype(float), axis=1)).mean() < 0.75 * before
    for plane in picture.planes:
        plane_view(plane, picture.format.components[0].bits)[:] = 90
    assert all(np.abs(plane - 90.0).max() <= 1 for plane in painted("blur", picture, None))


def test_nothing_of_an_object_is_spread_into_what_is_behind():
    picture = astronaut(320, 240, "yuv444p")
    instances = people(picture, (100, 60, 200, 240), mask=SOLID)
    inside = instances.full_masks()[0]
    for plane, (behind, object_) in zip(
        picture.planes, ((60, 235), (128, 60), (128, 220)), strict=True
    ):
        plane_view(plane)[:] = np.where(inside, object_, behind)
    after = painted("blur", picture, instances, blur_strength=10, feather=1)
    far = cv2.dilate(inside.astype(np.uint8), np.ones((13, 13), np.uint8)) == 0
    assert np.abs(after[0][far].astype(int) - 60).max() <= 1
    assert np.abs(after[0][:, :60].astype(int) - 60).max() <= 1


def test_a_gap_in_an_object_that_has_nothing_behind_around_it_keeps_its_own_colour():
    picture = astronaut(640, 480, "yuv420p")
    for plane, value in zip(picture.planes, (120, 90, 170), strict=True):
        plane_view(plane)[:] = value
    # Nowhere as little as none: the fade of a gap that closes.
    mask = np.ones((56, 56), np.float32)
    mask[27:29, 10:46] = 0.485
    instances = people(picture, (-200, -200, 840, 680), mask=mask)
    after = painted("blur", picture, instances)
    for plane, value in zip(after, (120, 90, 170), strict=True):
        assert np.abs(plane.astype(int) - value).max() <= 2


def test_a_stronger_blur_spreads_farther_and_bright_points_become_discs():
    widths = []
    for strength in (2, 4, 8):
        picture = astronaut(640, 480, "gray")
        luma = plane_view(picture.planes[0])
        luma[:] = 20
        luma[232:248, 312:328] = 255
        after = painted("blur", picture, None, blur_strength=strength)[0]
        widths.append(np.flatnonzero(after[240] > 22).size)
    for width, strength in zip(widths, (2, 4, 8), strict=True):
        assert width == pytest.approx(4.8 * strength + 16, abs=9)
    # A lens sums light: much brighter than the share of a mean of code values.
    share = 20 + 235 * 256 / (np.pi * 19.2**2)
    assert after[240, 320] > 1.3 * share


def test_replace_puts_a_colour_behind():
    for pixels, expected in (("yuv420p", (63, 102, 240)), ("yuv420p10le", (250, 409, 960))):
        picture = astronaut(320, 240, pixels)
        picture.colorspace, picture.color_range = 1, 1
        before = samples(picture)
        after = painted(
            "replace", picture, people(picture, (100, 20, 200, 230)), background="ff0000"
        )
        for old, new, code in zip(before, after, expected, strict=True):
            height, width = new.shape
            assert np.abs(new[:, : width // 4].astype(int) - code).max() <= 1
            middle = np.s_[height // 2 : height // 2 + 8, width * 14 // 32 : width * 16 // 32]
            assert np.array_equal(old[middle], new[middle])


def test_replace_fits_a_picture_behind(tmp_path):
    file = tmp_path / "bäckground.png"
    cv2.imwrite(str(tmp_path / "b.png"), portrait()[..., ::-1])
    (tmp_path / "b.png").rename(file)
    picture = astronaut(640, 240, "yuv444p10le")
    picture.colorspace, picture.color_range = 1, 2
    after = painted("replace", picture, None, background=str(file))
    rgb = cover(portrait(), (240, 640))
    for plane, expected in zip(
        after, encoded(rgb, Encoding(10, True, 0.2126, 0.0722)), strict=True
    ):
        assert np.array_equal(plane, expected)


def test_a_fitted_picture_is_not_distorted_and_its_middle_stays():
    rgb = np.zeros((100, 200, 3), np.uint8)
    cv2.circle(rgb, (100, 50), 20, (255, 255, 255), -1)
    for height, width in ((300, 300), (90, 400), (400, 90), (50, 100), (1, 1)):
        fitted = cover(rgb, (height, width))
        assert fitted.shape == (height, width, 3)
        rows, columns = np.nonzero(fitted[..., 0] > 127)
        if height > 1 and len(rows) and rows.min() > 0 and columns.min() > 0:
            assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)
            assert rows.mean() == pytest.approx(height / 2 - 0.5, abs=2)
            assert columns.mean() == pytest.approx(width / 2 - 0.5, abs=2)


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("transfer", "primaries"), [(1, 1), (16, 9), (18, 9), (16, 1)])
def test_a_picture_is_encoded_like_single_colours(depth, full, transfer, primaries):
    encoding = Encoding(depth, full, 0.2627, 0.0593, transfer, primaries)
    colours = [(255, 0, 0), (0, 255, 0), (12, 34, 200), (255, 255, 255), (0, 0, 0), (3, 2, 1)]
    planes = encoded(np.array([colours], np.uint8), encoding)
    for index, colour in enumerate(colours):
        for plane, code in zip(planes, encoding.codes(colour), strict=True):
            assert abs(int(plane[0, index]) - code) <= 1


@pytest.mark.parametrize(
    ("background", "said"),
    [
        ("nowhere.png", "neither a colour such as 00FF00 nor a file that is there"),
        ("#12345", "neither a colour"),
        (__file__, "cannot be read as a picture"),
    ],
)
def test_what_cannot_be_behind_is_refused_before_any_frame(background, said):
    with pytest.raises(UsageError, match=said):
        Painter("replace", Style(background=background))


@pytest.mark.parametrize("look", [*HELD, "replace"])
def test_without_objects_all_is_behind(look):
    picture = astronaut(64, 48)
    before = samples(picture)
    assert not same(before, painted(look, picture, Instances.empty((), (48, 64))))


def test_a_bright_wall_is_no_rim_around_what_stands_before_it():
    for look, plane, changed, fading in (("dim", 0, 90, 2), ("grey", 1, 128, 0)):
        picture = astronaut(720, 720)
        plane_view(picture.planes[plane])[:] = 200
        found = people(picture, (200, 200, 500, 500), mask=edged())
        after = painted(look, picture, found)[plane]
        outside = ~blocks(picture, picture.planes[plane], found.full_masks()[0])
        row = len(after) // 2
        assert np.count_nonzero(after[row][outside[row]] != changed) == fading, look


@pytest.mark.parametrize("feather", [0, 1, 4, 20])
def test_the_fade_is_as_wide_as_asked(feather):
    picture = astronaut(400, 300, "gray")
    plane_view(picture.planes[0])[:] = 200
    instances = people(picture, (100, -100, 300, 400), mask=edged())
    row = painted("replace", picture, instances, feather=feather)[0][150].astype(int)
    between = np.flatnonzero((row[:200] > 2) & (row[:200] < 198))
    assert between.size == pytest.approx(feather, abs=max(2, 0.35 * feather))


@pytest.mark.parametrize("shape", [(1,), (2,), (3,), (4,), (5,), (1, 2), (3, 1)])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_as_few_samples_as_there_are_are_composed(shape, depth):
    count = int(np.prod(shape))
    ours = (np.arange(count) + 100).astype(depth).reshape(shape)
    theirs = (np.arange(count) * 9 + 5).astype(depth).reshape(shape)
    alpha = np.linspace(0, 255, count).astype(np.uint8).reshape(shape)
    expected = (ours * (alpha / 255) + theirs * (1 - alpha / 255)).round()
    assert np.abs(composed(ours, theirs, alpha) - expected).max() <= 1
