"""Objects alone: opaque where they are, transparent elsewhere, in their own colours."""

import numpy as np
import pytest

from stream.api import draw
from stream.compositing import Painter, Style
from stream.instances import Instances
from tests.compositing.pictures import FORMATS, astronaut, frame, people, samples


def cut(picture, instances, **style):
    one = frame(picture, instances)
    style = {"refine": False, **style}  # Where edges lie is the mask's business here.
    Painter("cutout", Style(**style)).paint(one)
    return one


@pytest.mark.parametrize("pixels", FORMATS)
def test_inside_all_is_as_it_was_and_far_outside_nothing_is_left(pixels):
    picture = astronaut(240, 200, pixels)
    before = samples(picture)
    found = people(picture, (60, 40, 160, 180))
    after = cut(picture, found)
    inside = found.full_masks()[0]
    assert after.alpha.dtype == np.uint8 and after.alpha.shape == (200, 240)
    assert (after.alpha[inside] >= 128).mean() > 0.97
    assert not after.alpha[:30].any() and not after.alpha[:, :50].any()
    now = samples(after.image)
    opaque = after.alpha == 255
    assert np.array_equal(now[0][opaque], before[0][opaque])
    assert len(np.unique(now[0][:20])) == 1
    for plane in now[1:]:
        assert len(np.unique(plane[: plane.shape[0] // 10])) == 1


def test_nobody_is_nothing_and_the_next_frame_does_not_touch_the_last_ones_alpha():
    painter = Painter("cutout")
    first = frame(astronaut(), people(astronaut(), (30, 20, 120, 150)))
    painter.paint(first)
    kept = first.alpha.copy()
    second = frame(astronaut(), None)
    painter.paint(second)
    assert not second.alpha.any()
    assert np.array_equal(first.alpha, kept) and kept.any()


def test_an_edge_has_the_objects_colour_and_not_that_of_what_was_behind():
    rgb = np.zeros((120, 160, 3), np.uint8)
    rgb[...] = (20, 60, 250)
    mask = np.zeros((120, 160), bool)
    mask[30:90, 40:120] = True
    found = Instances.from_full_masks(mask[None], class_names=("thing",), picture_size=(120, 160))
    probe = draw(rgb, found, "cutout", feather=6)
    share = probe[..., 3:] / 255.0
    # The picture as a camera would have it: mixed at the edge as far as the matte says.
    mixed = np.rint(share * (250, 200, 40) + (1 - share) * rgb).astype(np.uint8)
    cutout = draw(mixed, found, "cutout", feather=6)
    edge = (cutout[..., 3] > 40) & (cutout[..., 3] < 255)
    assert edge.sum() > 300
    error = np.abs(cutout[edge][:, :3].astype(int) - (250, 200, 40)).mean()
    naive = np.abs(mixed[edge].astype(int) - (250, 200, 40)).mean()
    assert error < 0.15 * naive


def test_draw_gives_red_green_blue_and_opacity():
    rgb = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    found = people(astronaut(120, 100), (20, 10, 90, 95))
    cutout = draw(rgb, found, look="cutout")
    assert cutout.shape == (100, 120, 4)
    opaque = cutout[..., 3] == 255
    assert opaque.any() and np.array_equal(cutout[opaque][:, :3], rgb[opaque])


def test_what_was_painted_below_is_cut_out_too():
    found = people(astronaut(), (30, 20, 120, 150))
    plain, filled = cut(astronaut(), found), frame(astronaut(), found)
    Painter("fill+cutout", Style(refine=False)).paint(filled)
    assert np.array_equal(plain.alpha, filled.alpha)
    assert not np.array_equal(samples(plain.image)[1], samples(filled.image)[1])
