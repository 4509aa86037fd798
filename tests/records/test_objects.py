"""From what a file says of objects to instances: sizes, places, kinds of masks, and limits."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream import records
from stream.errors import UsageError
from stream.objects.outlines import tight
from stream.objects.soft import encode
from stream.records.entries import MisreadError, number, size_of, text, whole
from stream.records.objects import Objects, _from_polygons, _room

BOX = [1, 2, 11, 22]
FULL = {"size": [30, 40], "counts": [0, 1200]}


def objects_of(tmp_path: Path, *objects: dict, size: list[int] | None = None, ask=None):
    """The instances of a file's one frame, and what made them."""
    path = tmp_path / "f.ndjson"
    head = {"stream": 1} | ({} if size is None else {"size": size})
    every = [{"class": "person", "box": BOX} | one for one in objects]
    path.write_text("\n".join(map(json.dumps, [head, {"frame": 0, "time": 0, "objects": every}])))
    with records.open_records(path) as file:
        made = Objects(file)
        (entry,) = file.entries()
        return made.instances(entry, ask), made


def test_what_a_file_does_not_say_is_as_usual(tmp_path):
    found, _ = objects_of(tmp_path, {})
    assert found.picture_size == (22, 11), "the smallest picture that holds the boxes"
    assert found.scores.tolist() == [1.0] and found.track_ids is None
    assert found.mask_threshold == 0.5
    found, _ = objects_of(tmp_path, {"box": [0, 0, 0.2, 0.2]})
    assert found.picture_size == (1, 1)
    assert objects_of(tmp_path)[0].picture_size == (1, 1)
    assert _room([{"box": [0, 0, 1e6, 3]}, {"box": BOX}]) == (22, 1_000_000)
    for far in ([0, 0, 1e6 + 0.5, 3], [0, 0, 3, 1e6 + 0.5]):
        with pytest.raises(UsageError, match="line 2: a box lies far outside of any picture"):
            objects_of(tmp_path, {"box": far})


def test_masks_that_no_memory_holds_are_refused_with_their_line(tmp_path, monkeypatch):
    def too_large(_):
        raise MemoryError

    monkeypatch.setattr("stream.records.objects.pixel_masks", too_large)
    with pytest.raises(UsageError, match=r"line 2: its masks need more memory than there is; are"):
        objects_of(tmp_path, {})


def test_a_picture_of_another_size_is_refused_and_one_that_is_not_said_is_taken(tmp_path):
    assert objects_of(tmp_path, {}, ask=(30, 40))[0].picture_size == (30, 40)
    assert objects_of(tmp_path, {}, size=[30, 40], ask=(30, 40))[0].picture_size == (30, 40)
    with pytest.raises(UsageError, match="its picture has 40x30 pixels, but the frame has 40x31"):
        objects_of(tmp_path, {}, size=[30, 40], ask=(31, 40))


def test_frames_of_another_size_are_where_a_recording_of_the_first_size_has_them(tmp_path):
    """A live source may change its size; all are fitted into pictures of the first one's."""
    square = {"polygons": [[2, 4, 22, 4, 22, 44, 2, 44]]}
    mask = {"mask": {"size": [60, 40], "counts": [60 * 2 + 4, 41, *[19, 41] * 20, 60 * 17 + 15]}}
    path = tmp_path / "f.ndjson"
    for form in (square, mask, {}):
        one = {"class": "person", "box": [2, 4, 23, 45]} | form
        lines = [
            {"stream": 1, "size": [30, 40]},
            {"frame": 0, "time": 0, "objects": [one], "size": [60, 40], "unsure": [one]},
        ]
        path.write_text("\n".join(map(json.dumps, lines)))
        with records.open_records(path) as file:
            (entry,) = file.entries()
            found = Objects(file).instances(entry, (30, 40))
            with pytest.raises(UsageError, match="its picture has 40x60 pixels"):
                Objects(file).instances(entry, (31, 40))
        for each in (found, found.unsure):
            # 40 x 60 is 20 x 30 there, ten pixels from the left.
            assert each.picture_size == (30, 40)
            assert np.allclose(each.boxes, [[11, 2, 21.5, 22.5]])
            (pixels,) = each.full_masks()
            rows, columns = np.nonzero(pixels)
            assert [columns.min(), rows.min(), columns.max(), rows.max()] == pytest.approx(
                [11, 2, 21, 22], abs=1
            )


def test_it_is_known_what_masks_there_were(tmp_path):
    square = {"polygons": [[1, 2, 11, 2, 11, 22, 1, 22]]}
    for given, kind in (({}, "boxes"), (square, "pixels"), ({"mask": FULL}, "pixels")):
        assert objects_of(tmp_path, given, size=[30, 40])[1].kinds == {kind}


def test_outlines_drawn_beside_a_mask_count(tmp_path):
    def pixels(**given):
        return objects_of(tmp_path, given, size=[30, 40])[0].full_masks()[0]

    drawn = [[3, 4, 8, 4, 8, 9, 3, 9]]
    soft = {"cells": 1, "data": encode(np.ones((1, 1), np.float32))}
    for mask in ({"mask": FULL}, {"soft": soft}):
        assert np.array_equal(pixels(polygons=drawn, **mask), pixels(polygons=drawn))
        for none in ([], None):
            assert np.array_equal(pixels(polygons=none, **mask), pixels(**mask))


def test_a_box_without_a_mask_is_all_object_as_far_as_it_lies_in_the_picture(tmp_path):
    def pixels(box):
        (mask,) = objects_of(tmp_path, {"box": box}, size=[30, 40])[0].full_masks()
        return mask

    inside = np.zeros((30, 40), np.bool_)
    inside[2:22, 1:11] = True
    assert (pixels(BOX) == inside).all()
    assert pixels([-5, -5, 100, 100]).all()
    # To its last row and column, and nothing of what has no pixel.
    assert pixels([39, 29, 50, 50]).sum() == 1
    for nothing in ([5, 5, 5, 20], [5, 5, 20, 5], [50, 5, 60, 20], [-9, 5, -2, 20], [5, 40, 9, 60]):
        assert not pixels(nothing).any(), nothing


def test_a_polygon_s_corners_belong_to_it_and_must_be_near(tmp_path):
    corners = [1, 2, 4, 2, 4, 5, 1, 5]
    (mask,) = objects_of(tmp_path, {"polygons": [corners]}, size=[30, 40])[0].full_masks()
    assert mask.sum() == 16 and mask[2:6, 1:5].all()
    objects_of(tmp_path, {"polygons": [[0, 0, 1e6, 0, 0, -1e6]]}, size=[30, 40])
    with pytest.raises(UsageError, match="far outside"):
        objects_of(tmp_path, {"polygons": [[0, 0, 1e6 + 1, 0, 0, 5]]}, size=[30, 40])
    with pytest.raises(UsageError, match="x, y and so on, not 0 numbers"):
        objects_of(tmp_path, {"polygons": [[]]}, size=[30, 40])


def test_values_have_bounds_that_are_among_them():
    assert [number(one, "x") for one in (-1e9, 1e9)] == [-1e9, 1e9]
    assert [number(one, "score", 0, 1) for one in (0, 1)] == [0.0, 1.0]
    assert [whole(one, "n") for one in (0, 2**62)] == [0, 2**62]
    # Photos of long web pages have more than 65,535 rows, and are segmented.
    assert size_of([66_000, 1_000]) == (66_000, 1_000)
    assert size_of([1, 1_000_000]) == (1, 1_000_000)
    assert size_of([1 << 16, 1 << 16]) == (1 << 16, 1 << 16)
    for wrong in (lambda: number(1e9 + 1, "x"), lambda: whole(2**62 + 1, "n"),
                  lambda: whole(-1, "n"), lambda: number(float("nan"), "x"),
                  lambda: number(True, "x"), lambda: whole(True, "n"),
                  lambda: size_of([1, 1_000_001]), lambda: size_of([1]),
                  lambda: size_of([1 << 16, 65_537])):  # fmt: skip
        with pytest.raises(MisreadError):
            wrong()


def test_a_wrong_value_is_said_as_far_as_a_line_goes():
    for value, said in (
        (list(range(9, 19)), "[9, 10, 11, 12, 13, 14, 15, 16, 17, 18]"),  # 39 characters
        ([*range(9, 18), 188], "[9, 10, 11, 12, 13, 14, 15, 16, 17, 188]"),
        ([*range(9, 18), 1888], "[9, 10, 11, 12, 13, 14, 15, 16, 17, 1888…"),
    ):
        with pytest.raises(MisreadError) as told:
            text(value, "a class")
        assert str(told.value) == f"a class is a text, not {said}"


def test_a_polygon_is_drawn_where_it_lies_as_in_the_whole_picture():
    rng = np.random.default_rng(0)
    for _ in range(100):
        size = tuple(map(int, rng.integers(5, 60, 2)))
        rings = [rng.uniform(-40, 100, 2 * rng.integers(1, 6)).tolist() for _ in range(2)]
        whole = np.zeros(size, np.uint8)
        for ring in rings:
            cv2.fillPoly(whole, [np.rint(np.array(ring)).astype(np.int32).reshape(-1, 2)], 1)
        wanted, found = (
            tight(whole.astype(np.bool_)),
            _from_polygons([np.reshape(one, (-1, 2)) for one in rings], size),
        )
        assert (wanted is None) == (found is None), rings
        if wanted is not None and found is not None:
            assert wanted[0] == found[0] and np.array_equal(wanted[1], found[1]), rings
    assert _from_polygons([], (5, 5)) is None
