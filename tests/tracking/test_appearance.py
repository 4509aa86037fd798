import dataclasses
import itertools

import numpy as np
import pytest

from stream import kernels
from stream.objects.instance_arrays import amended
from stream.tracking import appearance
from stream.tracking.appearance import alike, with_colours
from tests.tracking.objects import LEFT, RIGHT, found, moved


def picture(left=(200, 30, 30), right=(30, 30, 200), size=(120, 160)):
    rgb = np.full((*size, 3), 128, np.uint8)
    rgb[:, : size[1] // 2 - 5] = left
    rgb[:, size[1] // 2 + 5 :] = right
    return rgb


def test_objects_of_one_colour_are_alike_and_others_are_not():
    both = with_colours(found((LEFT, 0.9), (RIGHT, 0.8)), picture())
    assert both.colours.shape[0] == 2
    assert not amended(both)
    np.testing.assert_allclose(both.colours.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(alike(both.colours, both.colours), np.eye(2), atol=1e-5)
    turned = with_colours(found((RIGHT, 0.9)), picture(right=(200, 30, 30)))
    np.testing.assert_allclose(alike(both.colours, turned.colours), [[1], [0]], atol=1e-5)
    assert alike(both.colours, both.colours[:0]).shape == (2, 0)


def test_only_the_pixels_of_the_mask_count():
    across = found(((40.0, 10.0, 120.0, 110.0), 0.9))
    mixed = with_colours(across, picture())
    across.masks[:, :, 12:] = 0
    left = with_colours(across, picture())
    assert (mixed.colours > 0).sum() == 3
    assert (left.colours > 0).sum() == 1


@pytest.mark.parametrize(("share", "offset"), [(0.5, (0, 0)), (0.25, (7, 12)), (2.0, (0, 3))])
def test_the_picture_may_be_smaller_and_lie_somewhere(share, offset):
    objects = found((LEFT, 0.9), (moved(RIGHT, 2, 0), 0.8))
    small = picture(size=(round(120 * share), round(160 * share)))
    padded = np.zeros((small.shape[0] + 20, small.shape[1] + 20, 3), np.uint8)
    padded[offset[1] : offset[1] + len(small), offset[0] : offset[0] + small.shape[1]] = small
    there = with_colours(objects, padded, (1 / share, 1 / share), offset)
    np.testing.assert_array_equal(there.colours, with_colours(objects, picture()).colours)


def test_what_has_no_pixel_in_the_picture_has_no_colour():
    objects = found(((-80.0, 0.0, -20.0, 50.0), 0.9), (LEFT, 0.8), ((5.0, 5.0, 5.0, 5.0), 0.7))
    objects.masks[2] = 0
    colours = with_colours(objects, picture()).colours
    assert colours.sum(axis=1).round(3).tolist() == [0, 1, 0]
    assert with_colours(found(), picture()).colours.shape[0] == 0


@pytest.mark.skipif(kernels.compiled() is None, reason=kernels.examined()[1])
@pytest.mark.parametrize("cells", [(56, 56), (13, 13), (1, 1)])
def test_compiled_loops_count_the_same(monkeypatch, cells):
    random = np.random.default_rng(cells[0])
    boxes = random.uniform(-60, 220, (24, 4)).astype(np.float32)
    boxes[:, 2:] = boxes[:, :2] + random.uniform(0, 150, (24, 2)).astype(np.float32)
    boxes[0], boxes[1] = (-1e30, -1e30, 1e30, 1e30), (3, 4, np.nan, 90)
    objects = found(*((tuple(box), 0.9) for box in ((0, 0, 9, 9),) * 24))
    objects = dataclasses.replace(
        objects,
        masks=random.random((24, *cells)).astype(np.float32),
        mask_boxes=np.zeros_like(boxes),
    )
    objects.mask_boxes[...] = boxes  # one of which is refused where instances are made
    rgb = random.integers(0, 256, (61, 83, 3)).astype(np.uint8)
    for scale, offset in itertools.product([(1.0, 1.0), (2.1, 1.9)], [(0.0, 0.0), (5.0, 7.0)]):
        ours = with_colours(objects, rgb, scale, offset).colours
        with monkeypatch.context() as patch, np.errstate(invalid="ignore"):
            patch.setattr(appearance, "compiled", lambda: None)
            theirs = with_colours(objects, rgb, scale, offset).colours
        assert ours.any()
        np.testing.assert_array_equal(ours, theirs)


def test_pixels_that_do_not_lie_side_by_side_count_as_well():
    whole = picture()
    apart = np.ascontiguousarray(whole[..., ::-1])[..., ::-1]
    objects = found((LEFT, 0.9), (RIGHT, 0.8))
    expected = with_colours(objects, whole).colours
    np.testing.assert_array_equal(with_colours(objects, apart).colours, expected)
