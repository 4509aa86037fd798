import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.compositing import Painter, Style
from stream.compositing.palette import PALETTE, colour_of
from stream.compositing.planes import encoding_of
from stream.compositing.text import Typesetter
from tests.compositing.pictures import (
    FORMATS,
    astronaut,
    frame,
    memory,
    people,
    same,
    samples,
)

SOLID = np.ones((28, 28), np.float32)
BARE = {"label": "none", "contour_width": 0}


def painted(picture, instances, **options):
    one = frame(picture, instances)
    Painter("overlay", Style(**options)).paint(one)
    return one.image


def near(instances, margin):
    """Where a mask is, and `margin` pixels around, bool [H, W]."""
    full = instances.full_masks().any(axis=0)
    rows, columns = np.nonzero(full)
    around = np.zeros_like(full)
    for y in range(-margin, margin + 1):
        for x in range(-margin, margin + 1):
            row = np.clip(rows + y, 0, full.shape[0] - 1)
            around[row, np.clip(columns + x, 0, full.shape[1] - 1)] = True
    return around


@pytest.mark.parametrize("contours", [False, True])
@pytest.mark.parametrize("size", [(200, 160), (161, 97)])
def test_samples_outside_the_masks_are_as_decoded(contours, size):
    # The second is at the border of an odd-sized picture.
    boxes = (30.4, 20.2, 71.3, 90.9), (100, 50, size[0] + 20, size[1])
    touched = near(people(astronaut(*size), *boxes), 2 if contours else 1)
    for pixels in FORMATS:
        picture = astronaut(*size, pixels)
        before = samples(picture)
        instances = people(picture, *boxes)
        after = painted(picture, instances, label="none", contour_width=None if contours else 0)
        if pixels.startswith("gray"):  # what has no colours gets chroma, of none
            depth = encoding_of(after).depth
            before += [np.full_like(one, 1 << depth - 1) for one in samples(after)[1:]]
        for old, new, plane in zip(before, samples(after), after.planes, strict=True):
            rows, columns = steps(picture, plane)
            margins = (0, -touched.shape[0] % rows), (0, -touched.shape[1] % columns)
            padded = np.pad(touched, margins)
            blocks = padded.reshape(plane.height, rows, plane.width, columns).any(axis=(1, 3))
            assert np.array_equal(old[~blocks], new[~blocks]), pixels
            assert not np.array_equal(old[blocks], new[blocks]), pixels


def steps(picture, plane):
    return round(picture.height / plane.height), round(picture.width / plane.width)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("full", [False, True])
def test_the_colour_is_what_the_frames_tags_make_of_it(pixels, matrix, full):
    for index in range(0, len(PALETTE), 5):
        picture = astronaut(64, 48, pixels)
        picture.colorspace, picture.color_range = matrix, 2 if full else 1
        instances = people(picture, (-50, -50, 150, 150), mask=SOLID, tracks=[index + 1])
        painted(picture, instances, opacity=1.0, **BARE)
        rgb = picture.to_ndarray(format="rgb24", src_colorspace=matrix)
        assert np.abs(rgb[24, 32].astype(int) - PALETTE[index]).max() <= 4


def test_colours_follow_the_track_not_the_rank():
    def colours(tracks):
        picture = astronaut(100, 80, "yuv444p")
        boxes = {3: (5, 5, 45, 75), 17: (55, 5, 95, 75)}
        instances = people(picture, *(boxes[track] for track in tracks), mask=SOLID, tracks=tracks)
        painted(picture, instances, opacity=1.0, **BARE)
        return samples(picture)

    assert same(colours([3, 17]), colours([17, 3]))
    assert colour_of(3) != colour_of(17)


def test_without_tracks_each_has_its_own_colour():
    picture = astronaut(100, 80, "yuv444p")
    painted(
        picture,
        people(picture, (5, 5, 45, 75), (55, 5, 95, 75), mask=SOLID),
        opacity=1.0,
        **BARE,
    )
    u = samples(picture)[1]
    assert u[40, 25] != u[40, 75]


def test_the_best_score_is_on_top():
    picture = astronaut(100, 80, "yuv444p")
    both = people(picture, (10, 10, 60, 70), (30, 10, 90, 70), mask=SOLID)
    painted(picture, both, opacity=1.0, **BARE)
    luma = samples(picture)[0]
    assert luma[40, 45] == luma[40, 20] != luma[40, 80]


def test_a_mask_is_as_transparent_as_asked():
    picture = astronaut(100, 80, "gray")
    before = samples(picture)[0].astype(float)
    all_of_it = people(picture, (-50, -50, 200, 200), mask=SOLID)
    luma = samples(painted(picture, all_of_it, opacity=0.25, **BARE))[0]
    code = round(0.299 * PALETTE[0][0] + 0.587 * PALETTE[0][1] + 0.114 * PALETTE[0][2])
    assert np.abs(luma - (before + 0.25 * (code - before))).max() <= 1.5


def test_a_higher_threshold_paints_less():
    areas = []
    for threshold in (0.2, None, 0.8):
        picture = astronaut(200, 160, "gray")
        before = samples(picture)[0]
        instances = people(picture, (40, 10, 160, 150))
        after = painted(picture, instances, mask_threshold=threshold, opacity=1.0, **BARE)
        areas.append((samples(after)[0] != before).sum())
    assert areas[0] > areas[1] > areas[2] > 0


def test_labels_say_class_score_and_track(monkeypatch):
    from stream.compositing.layers import labels

    said = []
    monkeypatch.setattr(
        labels.LabelPainter, "paint", lambda self, planes, all_, *_: said.extend(all_)
    )
    picture = astronaut()
    boxes = ((20, 20, 80, 140), (100, 20, 180, 140), (500, 500, 600, 600))
    painted(picture, people(picture, *boxes))
    painted(picture, people(picture, *boxes, tracks=[12, 5, 9]))
    # From left to right, or the oldest track first; the one outside the picture has none.
    assert [label.text for label in said] == [
        "person 98%",
        "person 74%",
        "person #5 74%",
        "person #12 98%",
    ]


def test_labels_do_not_swap_places_when_scores_do():
    def places(boxes, tracks):
        picture = astronaut(320, 240)
        painted(picture, people(picture, *boxes, tracks=tracks), opacity=0.0, contour_width=0)
        return samples(picture)[1]

    left, right = (100, 80, 180, 230), (120, 80, 200, 230)
    neutral = astronaut(320, 240)
    for tracks in (None, [4, 9]):
        one = places([left, right], tracks)
        # The same two with the other one scored higher: only letters may differ, not the plates.
        other = places([right, left], tracks and tracks[::-1])
        plates = [np.abs(u.astype(int) - samples(neutral)[1]) > 12 for u in (one, other)]
        assert plates[0].any()
        assert (plates[0] != plates[1]).mean() < 0.002


def test_class_names_in_any_alphabet_are_painted():
    def labelled(name, label="name"):
        picture = astronaut()
        painted(picture, people(picture, (20, 40, 80, 140), names=(name,)), label=label)
        return samples(picture)[0]

    bare = labelled("person", "none")
    assert np.array_equal(labelled(""), bare)
    # Another text of the same length beside each: it is letters that differ, not plates.
    names = ("Größe", "Gräße", "собака", "сабока", "人", "犬")
    shown = {name: labelled(name) for name in (*names, "\U0001f44d", "a b")}
    for name, one in shown.items():
        assert not np.array_equal(one, bare), f"nothing is there of {name}"
    assert np.array_equal(labelled("a\nb"), shown["a b"])
    if not hasattr(cv2, "FontFace"):
        return  # OpenCV 4 has no such letters: see `Typesetter`
    for index, name in enumerate(names):
        for other in names[:index]:
            assert not np.array_equal(shown[name], shown[other]), f"{name} looks like {other}"
        # What a font lacks it draws alike, as a question mark or a box.
        for letter in set(name):
            for lacking in ("?", "\U0001f44d", "\uffff"):
                drawn, wrong = (Typesetter().line(text, 20) for text in (letter, lacking))
                assert not np.array_equal(drawn, wrong), f"{letter} of {name} is missing"


def test_contours_can_be_left_out():
    pictures = {}
    for contours in (True, False):
        picture = astronaut()
        instances = people(picture, (20, 20, 120, 140))
        painted(picture, instances, label="none", contour_width=None if contours else 0)
        pictures[contours] = samples(picture)[0].astype(int)
    differs = pictures[True] != pictures[False]
    assert 0 < differs.sum() < 0.2 * differs.size


edges = st.one_of(
    st.floats(-50, 300, width=32),
    st.floats(-5000, 5000, width=32),
    st.sampled_from(
        [float("nan"), float("inf"), float("-inf"), 0.0, 1.0, 16.0, -1e30, 1e30, 1e-40]
    ),
)


@given(
    st.integers(16, 130),
    st.integers(16, 130),
    st.sampled_from(FORMATS),
    st.lists(st.tuples(edges, edges, edges, edges), min_size=1, max_size=4),
)
def test_any_box_in_any_picture_stays_inside_it(width, height, pixels, boxes):
    picture = astronaut(width, height, pixels)
    padding = [
        full[:, plane.width :] for full, plane in zip(memory(picture), picture.planes, strict=True)
    ]
    for part in padding:
        part[:] = 99
    before = samples(picture)
    instances = people(picture, *boxes)
    painted(picture, instances)
    assert all((part == 99).all() for part in padding)
    if not instances.full_masks().any():
        assert same(before, samples(picture))
