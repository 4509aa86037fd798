"""Refined masks end where the picture's objects do; exact ones stay as they are."""

from dataclasses import replace

import av
import cv2
import numpy as np
import pytest

from stream.bench.edges import cut_out
from stream.compositing import Painter, Style
from stream.compositing.planes import readable_planes
from stream.compositing.refine import AREA, FINE, ROUGH, STEP, bilateral, regions
from stream.instances import Instances
from stream.objects.silhouettes import likeness
from stream.pictures.pixels import picture_from_bgr
from tests import photos
from tests.compositing.pictures import FORMATS, astronaut, frame, people


def rough(true, cells=56, shift=(0.0, 0.0), sigma=1.0):
    """A mask as a model would make it of a silhouette: coarse, soft, and a little beside it."""
    rows, columns = np.nonzero(true)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
    box += np.float32([-6, -6, 6, 6])
    step = (box[2:] - box[:2]) / cells
    x = box[0] + (np.arange(cells) + 0.5) * step[0] - 0.5 + shift[0] * step[0]
    y = box[1] + (np.arange(cells) + 0.5) * step[1] - 0.5 + shift[1] * step[1]
    across, down = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    soft = cv2.GaussianBlur(true.astype(np.float32), (0, 0), float(step.mean()))
    mask = cv2.remap(soft, across, down, cv2.INTER_LINEAR)
    return cv2.GaussianBlur(mask, (0, 0), sigma), box


def instances_of(mask, box, size):
    return Instances(
        boxes=box[None],
        scores=np.ones(1, np.float32),
        labels=np.zeros(1, np.int64),
        masks=mask[None].astype(np.float32),
        class_names=("thing",),
        picture_size=size,
    )


def silhouettes(bgr, found, pixels="yuv420p"):
    picture = picture_from_bgr(np.ascontiguousarray(bgr))
    return [
        cut_out(
            Painter("cutout", Style(refine=refine, steady_edges=False)),
            frame(picture.reformat(format=pixels), found),
        )
        > 127
        for refine in (False, True)
    ]


def coin():
    """A coin of a real photograph, enlarged, and where it is: it is brighter than the cloth."""
    grey = cv2.resize(
        photos.photo("coins.png")[..., 0][150:230, 20:110],
        None,
        fx=4,
        fy=4,
        interpolation=cv2.INTER_CUBIC,
    )
    _, inside = cv2.threshold(
        cv2.GaussianBlur(grey, (0, 0), 2), 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU
    )
    _, parts, stats, _ = cv2.connectedComponentsWithStats(inside)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    rings, _ = cv2.findContours(
        (parts == largest).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    true = cv2.drawContours(np.zeros(grey.shape, np.uint8), rings, -1, 1, cv2.FILLED)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), true > 0


def drawn():
    """Somebody in a bright shirt before a dark wall, both with texture and noise."""
    rng = np.random.default_rng(3)
    true = np.zeros((400, 360), np.uint8)
    cv2.ellipse(true, (180, 110), (52, 66), 0, 0, 360, 1, -1)
    cv2.ellipse(true, (180, 340), (120, 160), 0, 0, 360, 1, -1)
    front, behind = np.array([150, 170, 205.0]), np.array([90, 70, 60.0])
    texture = cv2.GaussianBlur(rng.normal(0, 60, true.shape), (0, 0), 6)[..., None]
    share = cv2.GaussianBlur(true.astype(np.float64), (0, 0), 0.8)[..., None]
    bgr = share * front + (1 - share) * behind + texture + rng.normal(0, 3, (*true.shape, 3))
    return np.clip(bgr, 0, 255).astype(np.uint8), true > 0


@pytest.mark.parametrize(
    ("made", "shift"), [(coin, (0.8, -0.6)), (drawn, (0.8, -0.6)), (drawn, (0.4, 0.3))]
)
def test_a_refined_edge_is_nearer_to_the_true_one(made, shift):
    bgr, true = made()
    mask, box = rough(true, shift=shift)
    before, after = (
        likeness(one, true) for one in silhouettes(bgr, instances_of(mask, box, true.shape))
    )
    assert after.iou > before.iou + 0.005
    assert after.one > before.one + 0.15
    assert 1 - after.two < 0.5 * (1 - before.two)


@pytest.mark.parametrize("pixels", FORMATS)
def test_every_format_is_refined_much_like_the_usual_one(pixels):
    bgr, true = drawn()
    mask, box = rough(true, shift=(0.8, -0.6))
    found = instances_of(mask, box, true.shape)
    usual, other = silhouettes(bgr, found)[1], silhouettes(bgr, found, pixels)[1]
    assert likeness(other, usual).iou > 0.985


def test_masks_as_fine_as_the_picture_stay_exactly_as_they_are():
    true = drawn()[1]
    found = Instances.from_full_masks(true[None], class_names=("thing",), picture_size=true.shape)
    for alpha in silhouettes(drawn()[0], found):
        assert np.array_equal(alpha, true)


def test_a_crowd_costs_no_more_than_a_few_people():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 400, (60, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + np.float32([300, 500])], axis=1)
    for count in (1, 4, 10, 60):
        found = [
            one for one in regions(boxes[:count], (56, 56), (1080, 1920), (2, 2)) if one is not None
        ]
        # Sides are rounded to multiples.
        assert sum(one.height * one.width for one in found) < 4.5 * AREA
        for one in found:
            assert one.height % STEP == one.width % STEP == 0
            assert one.window[0] % 2 == one.window[2] % 2 == 0
        assert found or count == 60


def test_what_is_no_box_or_outside_is_no_region():
    boxes = np.float32(
        [(np.nan,) * 4, (0, 0, np.inf, 9), (30, 9, 30, 20), (900, 9, 990, 160), (5, 5, 25, 45)]
    )
    assert regions(boxes, (56, 56), (200, 240), (1, 1)) == [None] * 5
    planes = readable_planes(astronaut())
    assert planes.size == (160, 200)


def test_binary_masks_are_refined_only_if_asked():
    bgr, true = drawn()
    mask, box = rough(true, shift=(0.8, -0.6))
    found = instances_of(mask, box, true.shape)
    picture = picture_from_bgr(bgr)

    def white(**style):
        one = frame(picture.reformat(format="yuv420p"), found)
        Painter("binary", Style(**style), timing=False).paint(one)
        luma = one.image.to_ndarray()[: true.shape[0], : true.shape[1]]
        assert set(np.unique(luma)) <= {0, 16, 235, 255}
        return luma > 128

    plain, refined = white(), white(refine=True)
    assert np.array_equal(plain, found.full_masks()[0])
    assert likeness(refined, true).two > likeness(plain, true).two


def test_what_is_painted_first_does_not_move_an_edge():
    found = people(astronaut(), (40, 20, 150, 150))
    found = replace(found, masks=cv2.resize(found.masks[0], (56, 56))[None])
    alone, after = frame(astronaut(), found), frame(astronaut(), found)
    Painter("cutout").paint(alone)
    Painter("fill+contour+cutout").paint(after)
    assert np.array_equal(alone.alpha, after.alpha)


def test_a_picture_others_hold_is_read_without_a_copy():
    picture = av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), format="yuv420p")
    at = [plane.buffer_ptr for plane in picture.planes]
    planes = readable_planes(picture)
    assert [one.ctypes.data for one in planes.samples] == at


def test_masks_that_are_averaged_side_by_side_are_what_each_alone_is():
    rng = np.random.default_rng(3)
    shapes = [(64, 40), (48, 56), (16, 120), (60, 8), (8, 8)]
    several = [rng.integers(0, 256, (4, *shape), np.uint8) for shape in shapes]
    for radius in (FINE, ROUGH):
        together = bilateral(several, radius)
        for own, one in zip(several, together, strict=True):
            assert np.array_equal(one, bilateral([own], radius)[0]), own.shape
    assert bilateral([], FINE) == []
