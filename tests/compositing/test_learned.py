"""The learned refiner: its file, what it is shown, and people who end where they end."""

import importlib.util
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from stream.assets.make_demo import cut_out as silhouette_of
from stream.bench.edges import cut_out
from stream.compositing import Painter, Style, learned
from stream.compositing.encoding import Encoding
from stream.compositing.learned import MOST, SHAPES, SMALL, Learned, as_rgb, bundled, regions
from stream.compositing.planes import encoding_of, readable_planes
from stream.errors import ModelError, UsageError
from stream.instances import Instances
from stream.objects.silhouettes import contour, likeness
from stream.pictures.pixels import picture_from_bgr
from tests.compositing.pictures import FORMATS, frame, portrait
from tests.compositing.test_refine import drawn, rough


@cache
def astronaut():
    """NASA's portrait of Eileen Collins, blue first, and where she is in it."""
    rgb = portrait()
    return np.ascontiguousarray(rgb[..., ::-1]), silhouette_of(rgb) > 0.5


def found_in(true, name="person", shift=(0.8, -0.6)):
    mask, box = rough(true, shift=shift)
    return Instances(
        boxes=box[None],
        scores=np.ones(1, np.float32),
        labels=np.zeros(1, np.int64),
        masks=mask[None].astype(np.float32),
        class_names=(name,),
        picture_size=true.shape,
    )


def alpha(bgr, found, style, pixels="yuv420p"):
    picture = picture_from_bgr(np.ascontiguousarray(bgr)).reformat(format=pixels)
    return cut_out(Painter("cutout", style), frame(picture, found)).copy()


LEARNED = Style(steady_edges=False)
FILTER = Style(refiner="filter", steady_edges=False)
PLAIN = Style(refine=False, steady_edges=False)


def test_the_bundled_file_draws_people_in_every_shape_and_always_alike():
    refiner = bundled()
    assert refiner is not None
    assert "person" in refiner.classes
    rng = np.random.default_rng(0)
    for shape in (*SHAPES, *SMALL):
        seen = rng.integers(0, 256, (*shape, 4)).astype(np.uint8)
        mask = refiner(seen)
        assert mask.dtype == np.uint8
        assert mask.shape == shape
        assert np.array_equal(mask, refiner(seen))


def model(kind=TensorProto.UINT8, sides=(1, None, None, 4), **told):
    taken = helper.make_tensor_value_info("seen", kind, list(sides))
    given = helper.make_tensor_value_info("mask", kind, [None] * 3)
    four = helper.make_tensor("last", TensorProto.INT64, [1], [len(sides) - 1])
    nodes = [
        helper.make_node("ReduceMax", ["seen", "last"], ["mask"], keepdims=0),
    ]
    graph = helper.make_graph(nodes, "g", [taken], [given], [four])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(made, told)
    return made


VERSION, CLASSES = {"refiner.version": "1"}, {"refiner.classes": '["person"]'}


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (None, "cannot be opened"),
        (model(), "must say refiner.version 1, not None"),
        (model(**CLASSES, **{"refiner.version": "2"}), "must say refiner.version 1, not 2"),
        (model(**VERSION), "no list of names"),
        (model(**VERSION, **{"refiner.classes": '{"person": 1}'}), "no list of names"),
        (model(sides=(1, None, None, 3), **VERSION, **CLASSES), "it has seen"),
        (model(kind=TensorProto.FLOAT, **VERSION, **CLASSES), "it has seen, tensor(float)"),
    ],
)
def test_a_file_that_is_no_refiner_is_refused_in_one_sentence(made, why, tmp_path):
    file = tmp_path / "mine.onnx"
    file.write_bytes(b"no model at all") if made is None else onnx.save(made, str(file))
    with pytest.raises(ModelError) as caught:
        Learned(file)
    assert why in str(caught.value)
    assert "mine.onnx" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_person_ends_nearer_to_where_she_ends():
    bgr, true = astronaut()
    found = found_in(true)
    plain, refined = (likeness(alpha(bgr, found, one) > 127, true) for one in (PLAIN, LEARNED))
    assert refined.iou > plain.iou + 0.005
    assert refined.one > plain.one + 0.1


def test_what_the_model_missed_far_from_the_edge_is_found():
    bgr, true = astronaut()
    found = found_in(true)
    # A third of her left arm is missing, as where a mask breaks off at a seam.
    found.masks[0, 34:46, :12] *= 0.1
    filtered, refined = (likeness(alpha(bgr, found, one) > 127, true) for one in (FILTER, LEARNED))
    assert refined.iou > filtered.iou + 0.005


@pytest.mark.parametrize("pixels", FORMATS)
def test_every_format_is_drawn_much_like_the_usual_one(pixels):
    bgr, true = astronaut()
    found = found_in(true)
    usual, other = (alpha(bgr, found, LEARNED, one) > 127 for one in ("yuv420p", pixels))
    # Grey pictures have no colours to tell her hair from a shadow by.
    assert likeness(other, usual).iou > (0.95 if "gray" in pixels else 0.985)


def test_objects_of_other_classes_are_left_to_the_filter():
    bgr, true = drawn()
    for name, same in (("thing", True), ("person", False)):
        found = found_in(true, name)
        alike = np.array_equal(alpha(bgr, found, LEARNED), alpha(bgr, found, FILTER))
        assert alike == same


def test_without_the_file_the_filter_draws_all(monkeypatch):
    bgr, true = drawn()
    found = found_in(true)
    filtered = alpha(bgr, found, FILTER)
    monkeypatch.setattr(learned, "bundled", lambda: None)
    assert np.array_equal(alpha(bgr, found, LEARNED), filtered)


def test_masks_as_fine_as_the_picture_stay_exactly_as_they_are():
    bgr, true = drawn()
    found = Instances.from_full_masks(true[None], class_names=("person",), picture_size=true.shape)
    assert np.array_equal(alpha(bgr, found, LEARNED) > 127, true)


def test_only_the_largest_few_are_drawn_by_it():
    sides = np.arange(200, 200 + 20 * (MOST + 3), 20, dtype=np.float32)
    boxes = np.stack([0 * sides, 0 * sides, sides, sides], axis=1)
    known = np.ones(len(boxes), np.bool_)
    found = regions(known, boxes, (56, 56), (1080, 1920), (2, 2))
    assert [one is not None for one in found] == [False] * 3 + [True] * MOST
    known[-1] = False
    found = regions(known, boxes, (56, 56), (1080, 1920), (2, 2))
    assert [one is not None for one in found] == [False] * 2 + [True] * MOST + [False]


def test_what_is_no_box_outside_or_small_is_no_region():
    boxes = np.float32(
        [(np.nan,) * 4, (0, 0, np.inf, 9), (900, 9, 990, 160), (5, 5, 45, 45), (30, 9, 30, 20)]
    )
    known = np.ones(len(boxes), np.bool_)
    assert regions(known, boxes, (56, 56), (200, 240), (2, 2)) == [None] * 5


@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("full", [False, True])
def test_colours_are_those_that_the_picture_shows(matrix, full):
    rgb = portrait()[:64, :96]
    kind = {1: "bt709", 5: "bt601", 9: "bt2020"}[matrix]
    picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format="yuv444p",
        dst_colorspace={"bt709": "ITU709", "bt601": "ITU601", "bt2020": "BT2020"}[kind],
        dst_color_range="JPEG" if full else "MPEG",
    )
    picture.colorspace, picture.color_range = matrix, 2 if full else 1
    planes = readable_planes(picture)
    encoding = encoding_of(picture)
    assert isinstance(encoding, Encoding)
    shown = as_rgb(np.stack(planes.samples), encoding)
    assert np.abs(shown.astype(int) - rgb.astype(int)).mean() < 1.0
    assert cv2.absdiff(shown, rgb).max() <= 6


def test_a_refiner_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(UsageError, match="refiner is learned, filter"):
        Style(refiner="guess")
    with pytest.raises(ModelError, match="there is no refiner"):
        Painter("grey", Style(refiner=str(tmp_path / "none.onnx")))
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match="cannot be opened"):
        Painter("grey", Style(refiner=str(tmp_path / "text.onnx")))


def test_a_refiner_of_ones_own_draws_the_classes_that_it_learnt(tmp_path):
    """What `stream train-refiner` writes is taken by its name; the filter draws all else."""
    spec = importlib.util.find_spec("stream_models")
    assert spec is not None and spec.origin is not None
    model = onnx.load(Path(spec.origin).parent / learned.FILE)
    helper.set_model_props(model, {**VERSION, "refiner.classes": '["dog"]'})
    onnx.save(model, tmp_path / "own.onnx")
    own = Style(refiner=str(tmp_path / "own.onnx"), steady_edges=False)
    bgr, true = drawn()
    dog, person = found_in(true, "dog"), found_in(true)
    assert np.array_equal(alpha(bgr, dog, own), alpha(bgr, person, LEARNED))
    assert np.array_equal(alpha(bgr, person, own), alpha(bgr, person, FILTER))


def test_a_refiner_that_fails_says_which_and_what_to_do(monkeypatch):
    refiner = bundled()

    class Failing:
        def run(self, outputs, inputs):
            raise RuntimeError(
                "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv "
                "node. Name:'/up/Conv' Status Message: of no use"
            )

    monkeypatch.setattr(refiner, "_session", Failing())
    with pytest.raises(
        ModelError, match=r"default\.onnx failed in its layer '/up/Conv' \(Conv\)"
    ) as said:
        refiner(np.zeros((*SHAPES[0], 4), np.uint8))
    assert "of no use (without --refiner" in str(said.value)


def test_what_is_far_from_the_models_edge_stays_as_the_model_has_it():
    _, true = astronaut()
    mask = np.full(true.shape, 40, np.uint8)
    mask[true] = 220
    inside = cv2.distanceTransform(true.astype(np.uint8), cv2.DIST_C, 3)
    outside = cv2.distanceTransform((~true).astype(np.uint8), cv2.DIST_C, 3)
    hole, blob = (learned.within_reach(np.full_like(mask, code), mask) for code in (0, 255))
    # Whoever the network misses, or sees everywhere, ends some eight pixels from the model's.
    assert (hole[inside > 13] == 220).all() and (blob[outside > 13] == 40).all()
    assert not hole[inside < 5].any() and (blob[outside < 5] == 255).all()
    for ends, far in ((contour(hole > 127), inside), (contour(blob < 128), outside)):
        assert 7 < np.median(far[ends]) < 11
    # It comes to that by and by: a step there is a straight cut to those who look.
    for seen in (hole.astype(int), blob.astype(int)):
        assert max(np.abs(np.diff(seen, axis=axis)).max() for axis in (0, 1)) < 70
    assert min((inside > 13).sum(), (outside > 13).sum()) > 1000
