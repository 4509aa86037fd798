"""Records come back as they were written, and what is none is refused with its line."""

import codecs
import json
import math
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from faster_coco_eval.core import mask as coco
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stream import records
from stream.errors import StreamError, UsageError
from stream.frame import Frame, VideoInfo
from stream.instances import Instances
from stream.objects.outlines import filled
from stream.sinks.coco import CocoSink
from stream.sinks.mot import MotSink
from stream.sinks.ndjson import NdjsonSink

NAMES = ("person", "car")
INFO = VideoInfo("clip.mp4", 120, 100, "yuv420p", Fraction(1, 30000), Fraction(30000, 1001))
HEAD = {"stream": 1, "size": [100, 120], "time_base": "1/25", "classes": list(NAMES)}
BOX = [10.0, 20.0, 40.0, 60.0]

sides = st.floats(-30, 150, width=32)
boxes = st.tuples(sides, sides, sides, sides).map(
    lambda box: (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3]))
)


@st.composite
def found(draw):
    count = draw(st.integers(0, 3))
    cells = draw(st.sampled_from([1, 7, 28]))
    many = {"min_size": count, "max_size": count}
    rows = st.lists(boxes, **many)
    beyond = draw(st.booleans())
    return Instances(
        boxes=np.array(draw(rows), np.float32).reshape(-1, 4),
        scores=np.array(draw(st.lists(st.floats(0, 1, width=32), **many)), np.float32),
        labels=np.array(draw(st.lists(st.integers(0, 1), **many)), np.int64),
        masks=draw(arrays(np.float32, (count, cells, cells), elements=st.floats(0, 1, width=32))),
        class_names=NAMES,
        picture_size=(100, 120),
        mask_threshold=draw(st.sampled_from([0.4, 0.5])),
        track_ids=draw(
            st.none() | st.lists(st.integers(1, 2**40), **many).map(lambda ids: np.array(ids, int))
        ),
        mask_boxes=np.array(draw(rows), np.float32).reshape(-1, 4) if beyond else None,
    )


def write(kind, path, *several, masks="rle"):
    sink = kind(path, INFO, masks=masks, overwrite=True)
    sink.describe({"classes": list(NAMES), "model": "default"})
    for index, instances in enumerate(several):
        picture = av.VideoFrame(120, 100, "yuv420p")
        sink.write(Frame(picture, index, 1001 * index, Fraction(1, 30000), instances=instances))
    sink.close()
    return path


def with_unsure(pair):
    shown, unsure = pair
    return replace(shown, unsure=replace(unsure, mask_threshold=shown.mask_threshold))


@given(st.lists(found() | st.tuples(found(), found()).map(with_unsure), min_size=1, max_size=3))
def test_soft_records_are_the_very_same_instances(tmp_path_factory, several):
    path = tmp_path_factory.mktemp("soft") / "out.ndjson"
    again = list(records.read(write(NdjsonSink, path, *several, masks="soft")))
    assert [one.frame for one in again] == list(range(len(several)))
    assert [one.seconds for one in again] == [
        pytest.approx(1001 * index / 30000, abs=1e-12) for index in range(len(several))
    ]
    for known, (_, _, read) in zip(several, again, strict=True):
        assert (read.unsure is None) == (known.unsure is None)
        if known.unsure is not None and len(known.unsure):
            assert read.unsure.masks.tobytes() == known.unsure.masks.tobytes()
            assert (read.unsure.boxes == known.unsure.boxes).all()
        assert (read.boxes == known.boxes).all()
        assert (read.scores == known.scores).all()
        assert read.names == known.names
        if len(known):
            assert read.masks.tobytes() == known.masks.tobytes()
            assert (read.paste_boxes == known.paste_boxes).all()
            assert read.mask_threshold == known.mask_threshold
            assert np.array_equal(read.track_ids, known.track_ids) or read.track_ids is None


@given(found())
def test_run_lengths_are_the_same_pixels(tmp_path_factory, known):
    folder = tmp_path_factory.mktemp("rle")
    for kind, name in ((NdjsonSink, "out.ndjson"), (CocoSink, "out.json")):
        ((_, _, read),) = records.read(write(kind, folder / name, known))
        assert (read.full_masks() == known.full_masks()).all()
        assert read.names == known.names
        assert (
            np.array_equal(read.track_ids, known.track_ids)
            or not len(known)
            or (read.track_ids is None)
        )


@pytest.mark.parametrize("kind", [NdjsonSink, CocoSink])
def test_polygons_come_back_to_a_pixel(kind, tmp_path):
    full = np.zeros((2, 100, 120), np.bool_)
    full[0, 20:60, 10:50] = full[1, 5:30, 80:119] = True
    known = Instances.from_full_masks(full, class_names=NAMES, picture_size=(100, 120))
    name = "out.ndjson" if kind is NdjsonSink else "out.json"
    ((_, _, read),) = records.read(write(kind, tmp_path / name, known, masks="polygon"))
    for one, other in zip(read.full_masks(), full, strict=True):
        assert (one & other).sum() / (one | other).sum() > 0.95


def test_a_challenge_comes_back_as_boxes(tmp_path):
    known = Instances.from_full_masks(
        np.ones((1, 100, 120), np.bool_),
        class_names=NAMES,
        picture_size=(100, 120),
        boxes=np.array([BOX], np.float32),
        track_ids=[5],
    )
    path = write(MotSink, tmp_path / "out.txt", known, None, known)
    again = list(records.read(path))
    assert [one.frame for one in again] == [0, 2]
    assert math.isnan(again[0].seconds)
    assert again[0].instances.boxes.tolist() == [BOX]
    assert again[0].instances.track_ids.tolist() == [5]
    assert again[0].instances.full_masks()[0].sum() == 30 * 40


def lines(tmp_path, *given, head=HEAD):
    path = tmp_path / "hand.ndjson"
    text = [one if isinstance(one, str) else json.dumps(one) for one in (head, *given)]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def one(**entry):
    return {"frame": 0, "pts": 3, "objects": [{"class": "person", "box": BOX} | entry]}


def test_what_hands_corrected_is_read(tmp_path):
    polygon = [10, 20, 39, 20, 39, 59, 10, 59]
    path = lines(
        tmp_path,
        one(polygons=[polygon], score=0.5),
        {
            "time": 1.25,
            "objects": [one()["objects"][0], {"class": "referee", "box": BOX, "track": 4}],
        },
        {"frame": 9, "objects": []},
        "",
    )
    first, second, third = records.read(path)
    assert first.seconds == 0.12
    assert first.instances.full_masks()[0].sum() == 30 * 40
    assert second.instances.names == ["person", "referee"]
    assert second.instances.class_names == (*NAMES, "referee")
    assert second.instances.track_ids.tolist() == [5, 4]
    assert (third.frame, len(third.instances)) == (9, 0)


def test_who_has_no_number_is_nobody_else_in_any_frame(tmp_path):
    nobody = {"class": "person", "box": BOX}
    path = lines(
        tmp_path,
        {"frame": 0, "objects": [nobody | {"track": 1}, nobody]},
        {"frame": 1, "objects": [nobody, nobody, nobody | {"track": 2}]},
        {"frame": 2, "objects": [nobody | {"track": 3}]},
        {"frame": 3, "objects": [nobody]},
    )
    found = [one.instances.track_ids for one in records.read(path)]
    assert [None if one is None else one.tolist() for one in found] == [
        [1, 4],
        [4, 5, 2],
        [3],
        None,
    ]


def test_a_soft_mask_goes_with_its_box(tmp_path):
    """Whether it lies in that or reaches beyond it."""
    box, beyond = [20, 30, 60, 70], [16, 26, 64, 74]
    for reach in (None, np.array([beyond], np.float32)):
        known = Instances(
            boxes=np.array([box], np.float32),
            scores=np.ones(1, np.float32),
            labels=np.zeros(1, np.int64),
            masks=np.ones((1, 28, 28), np.float32),
            class_names=NAMES,
            picture_size=(100, 120),
            mask_boxes=reach,
        )
        path = tmp_path / f"{reach is None}.ndjson"
        head, line = write(NdjsonSink, path, known, masks="soft").read_text().splitlines()
        entry = json.loads(line)
        around = np.array(box if reach is None else beyond)
        for moved, wanted in (
            (box, around),
            ([30, 25, 70, 65], np.add(around, (10, -5, 10, -5))),
            ([20, 30, 40, 50], np.add(np.subtract(around, (20, 30) * 2) / 2, (20, 30) * 2)),
        ):
            entry["objects"][0]["box"] = moved
            path.write_text(f"{head}\n{json.dumps(entry)}\n")
            ((_, _, read),) = records.read(path)
            assert read.boxes.tolist() == [moved]
            np.testing.assert_array_equal(read.paste_boxes, [wanted])


def test_soft_masks_and_pixels_go_together(tmp_path):
    soft = Instances(
        boxes=np.array([BOX], np.float32),
        scores=np.ones(1, np.float32),
        labels=np.zeros(1, np.int64),
        masks=np.linspace(0, 1, 28 * 28, dtype=np.float32).reshape(1, 28, 28),
        class_names=NAMES,
        picture_size=(100, 120),
    )
    path = write(NdjsonSink, tmp_path / "out.ndjson", soft, masks="soft")
    head, line = path.read_text().splitlines()
    entry = json.loads(line)
    entry["objects"].append({"class": "car", "box": [60, 10, 110, 90]})
    path.write_text(f"{head}\n{json.dumps(entry)}\n")
    ((_, _, read),) = records.read(path)
    assert (read.full_masks()[0] == soft.full_masks()[0]).all()
    assert read.full_masks()[1].sum() == 50 * 80


RLE = {"size": [100, 120], "counts": "0"}
WRONG = {
    "no line of JSON": "{nonsense}",
    "NaN is no number": '{"objects": [{"class": "person", "box": [0, 0, NaN, 1]}]}',
    "a line is an object in braces": "[1, 2]",
    'has the key "objects"': {"frame": 0},
    "objects is a list": {"objects": 3},
    "an object is an object in braces": {"objects": ["person"]},
    "class is a text, not null": {"objects": [{"box": BOX}]},
    "box is a list of 4 numbers": one(box=[1, 2, 3]),
    "box is x1, y1, x2, y2 with": one(box=[5, 5, 1, 1]),
    "box is a number": one(box=["a", 1, 2, 3]),
    "box is -1e": one(box=[0, 0, 1e300, 1]),
    "score is 0 to 1, not 1.5": one(score=1.5),
    "track is a whole number": one(track="x"),
    "track is 0 to": one(track=-1),
    "time is a number": {"time": "soon", "objects": []},
    "pts is a whole number": {"pts": 1.5, "objects": []},
    "frame is 0 to": {"frame": -1, "objects": []},
    "size is \\[height, width\\]": {"size": [3], "objects": []},
    "mask_threshold is 0 to 1": {"mask_threshold": 7, "objects": []},
    "a mask is of": one(mask={"size": [10**9, 10**9], "counts": "0"}),
    "run lengths": one(mask=RLE | {"counts": "~~~"}),
    "mask's run lengths add up": one(mask=RLE | {"counts": [2**62, 2**62, 2**62, 2**62 + 12000]}),
    "mask is an object in braces": one(mask="0"),
    "a polygon is x, y": one(polygons=[[1, 2, 3]]),
    "far outside": one(polygons=[[1, 2, 3e7, 1]]),
    "a polygon is a list": one(polygons=[3]),
    "cells is 1 to 1024": one(soft={"cells": 100000, "data": ""}),
    "data is a text": one(soft={"cells": 28}),
    "soft mask": one(soft={"cells": 28, "data": "AAAA"}),
    "nested too deeply": "[" * 100_000,
}


@pytest.mark.parametrize("sentence", list(WRONG))
def test_what_is_wrong_is_said_with_its_line(sentence, tmp_path):
    path = lines(tmp_path, one(), WRONG[sentence])
    with pytest.raises(UsageError, match=rf"hand.ndjson, line 3: .*{sentence}"):
        list(records.read(path))


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        ({"stream": 9}, "of version 9; this program reads up to 1"),
        (HEAD | {"time_base": "1/0"}, "time_base is seconds per tick"),
        (HEAD | {"size": [0, 3]}, "size is 1 to 1000000"),
        (HEAD | {"classes": [3]}, "a class is a text"),
    ],
)
def test_what_is_wrong_in_the_head_is_said(head, sentence, tmp_path):
    with pytest.raises(UsageError, match=rf"line 1: .*{sentence}"):
        list(records.read(lines(tmp_path, head=head)))


def test_a_line_that_is_cut_off_is_told_from_one_that_is_wrong(tmp_path):
    path = lines(tmp_path, one())
    path.write_text(path.read_text()[:-20])
    with pytest.raises(UsageError, match="line 2: the line is cut off"):
        list(records.read(path))
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="line 1: the file is empty"):
        list(records.read(path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="line 1: "):
        list(records.read(path))
    with pytest.raises(UsageError, match=r"cannot be read back: \.ndjson"):
        list(records.read(tmp_path / "out.csv"))
    with pytest.raises(UsageError, match="No such file"):
        list(records.read(tmp_path / "none.ndjson"))


COCO = {
    "images": [{"id": 7, "file_name": "frame_000002.PNG", "height": 100, "width": 120}],
    "categories": [{"id": 3, "name": "dog"}],
    "annotations": [],
}


def annotation(**changes):
    return {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]} | changes


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": None}, "images: images is a list"),
        ({"images": [{"id": 1, "file_name": "a.png"}]}, "image 1: an image's size"),
        ({"annotations": [annotation(image_id=8)]}, "annotation 1: there is no image 8"),
        ({"annotations": [annotation(category_id=8)]}, "annotation 1: there is no category 8"),
        ({"annotations": [annotation(), annotation(bbox=[1])]}, "annotation 2: bbox is a list"),
        ({"annotations": [annotation(), annotation(score=2)]}, "annotation 2: score is 0 to 1"),
        ({"categories": [{"id": "x", "name": "dog"}]}, "categories: id is a whole number"),
        (
            {"categories": [{"id": 3, "name": one} for one in ("a", "b")]},
            "'a' and 'b' have the same",
        ),
        ({"images": COCO["images"] * 2}, "image 2: its id, 7, is that of image 1"),
    ],
)
def test_what_is_wrong_in_a_data_set_is_said(changes, sentence, tmp_path):
    path = tmp_path / "hand.json"
    path.write_text(json.dumps(COCO | changes))
    with pytest.raises(UsageError, match=sentence):
        list(records.read(path))


def test_results_without_their_pictures_are_told_from_a_data_set(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([annotation(score=0.5)]))
    with pytest.raises(UsageError, match="a list of results without their images"):
        list(records.read(path))


def in_other_words(value, said):
    """The same JSON with each number said in another way, and keys in another order."""
    if isinstance(value, dict):
        return {key: in_other_words(one, said) for key, one in reversed(value.items())}
    if isinstance(value, list):
        return [in_other_words(one, said) for one in value]
    return said(value) if isinstance(value, int | float) else value


def as_editors_write(path, text):
    """The same file in the ways in which editors, tables and shells leave it."""
    yield text.encode()
    yield codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode()
    yield text.encode("utf-16")
    yield codecs.BOM_UTF16_BE + text.encode("utf-16-be")
    if path.suffix == ".ndjson":
        for said in (str, float):
            changed = [in_other_words(json.loads(line), said) for line in text.splitlines()]
            yield "\n".join(map(json.dumps, changed)).encode()
    elif path.suffix == ".json":
        for said in (str, float):
            yield json.dumps(in_other_words(json.loads(text), said), indent=2).encode()
    else:
        for between in ("\t", ";", ", "):
            yield ("frame,id,left,top,width,height\n" + text).replace(",", between).encode()


@pytest.mark.parametrize(
    ("kind", "name"), [(NdjsonSink, "a.ndjson"), (CocoSink, "a.json"), (MotSink, "a.txt")]
)
def test_what_editors_tables_and_shells_make_of_a_file_is_read_as_the_same(kind, name, tmp_path):
    two = Instances(
        boxes=np.array([BOX, [-3, 50.25, 30.5, 101]], np.float32),
        scores=np.array([0.9, 0.5], np.float32),
        labels=np.array([1, 0]),
        masks=np.full((2, 7, 7), 0.75, np.float32),
        class_names=NAMES,
        picture_size=(100, 120),
        track_ids=np.array([4, 7]),
    )
    path = write(kind, tmp_path / name, two, two[:0], two[1:])
    wanted = list(records.read(path))
    for place, changed in enumerate(as_editors_write(path, path.read_text(encoding="utf-8"))):
        other = tmp_path / f"changed{path.suffix}"
        other.write_bytes(changed)
        found = list(records.read(other))
        assert [one.frame for one in found] == [one.frame for one in wanted], (name, place)
        assert [one.instances for one in found] == [one.instances for one in wanted], (name, place)


def test_a_new_identity_is_nobody_s_whose_own_stands_in_quotes(tmp_path):
    objects = [{"class": "dog", "box": [1, 2, 3, 4], "track": one} for one in ("7", 3.0, None)]
    path = lines(tmp_path, {"frame": 0, "time": None, "score": None, "objects": objects})
    ((_, _, found),) = records.read(path)
    assert found.track_ids.tolist() == [7, 3, 8] and found.scores.tolist() == [1, 1, 1]


def test_lines_that_an_editor_laid_out_are_told_with_what_makes_them_lines(tmp_path):
    path = tmp_path / "hand.ndjson"
    every = [{"stream": 1}, {"frame": 0, "time": 0, "objects": []}]
    path.write_text("\n".join(json.dumps(one, indent=1) for one in every))
    with pytest.raises(UsageError, match=r"line 1: .*goes on in the next ones; jq -c \. hand"):
        list(records.read(path))
    path.write_text(json.dumps(every, indent=1))
    with pytest.raises(UsageError, match=r"line 1: this is a list, .* jq -c '\.\[\]' hand"):
        list(records.read(path))
    path.write_text('{"stream": 1}\n{"frame": 0, "objects": [], "time": 1e999, "pts": x}\n')
    with pytest.raises(UsageError, match=r"line 2: .*Expecting value at character 51"):
        list(records.read(path))
    path.write_text('{"stream": 1, "time_base": "1/9"}\n{"objects": [], "time": 1e999, "pts": 1}\n')
    with pytest.raises(UsageError, match=r"line 2: time is .*not Infinity"):
        list(records.read(path))
    path.write_bytes('{"stream": 1}\n'.encode("utf-16") + b"\x00\xdc")
    with pytest.raises(UsageError, match="line 1: this is no text"):
        list(records.read(path))


def test_data_sets_of_annotation_tools_are_read(tmp_path):
    path = tmp_path / "cvat.json"
    shapes = [
        annotation(segmentation=[[10, 20, 40, 20, 40, 60, 10, 60]], bbox=[10, 20, 30, 40]),
        annotation(segmentation=[], attributes={"track_id": 12}),
        annotation(segmentation=[[11, 21, 41, 21, 41, 61, 11, 61], [3, 4, 5, 4, 5, 6]]),
        annotation(segmentation=[[7, 7, 9.2, 7]]),
    ]
    path.write_text(json.dumps(COCO | {"annotations": shapes}))
    ((index, _, read),) = records.read(path)
    assert (index, read.names) == (2, ["dog"] * 4)
    assert read.track_ids.tolist()[1] == 12
    square, _, several, line = read.full_masks()
    assert square.sum() == 30 * 40 and square[20:60, 10:40].all()
    assert several[21:61, 11:41].all() and several.sum() == 30 * 40 + 1 and several[4, 4]
    assert line.sum() in (3, 4) and line[6:8, 6:10].any(), "what is too thin is there all the same"


def test_outlines_of_data_sets_hold_the_pixels_that_cocos_own_reader_says(tmp_path):
    path = tmp_path / "drawn.json"
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    radius = 30 + 12 * np.cos(5 * turn)
    rings = [[60 + 1.7 * radius * np.cos(turn), 50 + radius * np.sin(turn)],
             [30 + radius * np.cos(turn), 10 + radius * np.sin(turn)]]  # fmt: skip
    given = [np.stack(ring, axis=1).round(2).reshape(-1).tolist() for ring in rings]
    path.write_text(json.dumps(COCO | {"annotations": [annotation(segmentation=given)]}))
    ((_, _, read),) = records.read(path)
    wanted = coco.decode(coco.merge(coco.frPyObjects(given, 100, 120))).astype(bool)
    # It rounds corners to a fifth of a pixel.
    assert (read.full_masks()[0] != wanted).sum() <= 0.005 * wanted.sum()


@given(st.lists(st.tuples(*[st.integers(-20, 60)] * 2), min_size=1, max_size=8))
def test_a_pixel_is_inside_an_outline_where_its_centre_is(corners):
    # Quarters, so that no edge passes through a centre but by a corner at a centre's height.
    ring = np.array(corners, np.float64) / 2 + 0.25
    rows, columns = np.indices((20, 30)) + 0.5
    inside = np.zeros((20, 30), np.bool_)
    for (x, y), (to_x, to_y) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if x != to_x:
            below = y + (columns - x) * (to_y - y) / (to_x - x) <= rows
            inside ^= ((x < columns) != (to_x < columns)) & below
    found = filled(ring, inside.shape)
    whole = np.zeros_like(inside)
    if found is not None:
        (top, bottom, left, right), part = found
        whole[top:bottom, left:right] = part
    np.testing.assert_array_equal(whole, inside)


@given(st.data())
def test_whatever_is_changed_in_a_file_is_read_or_refused_in_a_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    kind, name = data.draw(
        st.sampled_from([(NdjsonSink, "a.ndjson"), (CocoSink, "a.json"), (MotSink, "a.txt")])
    )
    known = data.draw(found())
    path = write(kind, folder / name, known, known, masks="soft")
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(0, len(raw) - 1)))
        if raw:
            raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path.write_bytes(bytes(raw))
    try:
        for _, _, read in records.read(path):
            read.full_masks()
    except StreamError as error:
        assert "\n" not in str(error)
