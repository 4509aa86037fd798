"""A model's file for several pictures: answers are those of one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from stream.assets import demo_picture
from stream.inference.batched import of_picture, with_batch
from stream.inference.catalogue import find
from stream.inference.contract import OUTPUTS, TENSOR_TYPES
from stream.inference.fixed_regions import with_fixed_regions
from stream.types import Array
from tests import photos, tiny_models
from tests.inference.test_batch_axis import opened

NAMES = [*OUTPUTS, "mask_boxes"]


def pictures(size: tuple[int, int] = (384, 256)) -> list[Array]:
    """Inputs with people, with nobody, with one in the middle, and with people in the dark."""
    people = cv2.resize(demo_picture(), size)
    astronaut = cv2.resize(photos.astronaut(), size)
    nobody = np.full_like(people, 128)
    return [one[None].copy() for one in (people, nobody, astronaut, people[:, ::-1] // 2)]


def answers(content: bytes, given: Sequence[Array]) -> list[list[Array]]:
    """What a file for so many pictures answers, by picture."""
    places = range(len(given))
    inputs = {of_picture("image", place): given[place] for place in places}
    found = opened(content).run(
        [of_picture(name, place) for place in places for name in NAMES], inputs
    )
    each = len(NAMES)
    return [found[place * each : (place + 1) * each] for place in places]


@pytest.mark.parametrize(
    ("precision", "count"),
    [
        ("float32", 4),
        ("int8", 2),
        pytest.param("float32", 2, marks=pytest.mark.slow),
        pytest.param("float32", 3, marks=pytest.mark.slow),
        pytest.param("int8", 3, marks=pytest.mark.slow),
        pytest.param("int8", 4, marks=pytest.mark.slow),
    ],
)
def test_the_default_models_answers_are_the_same(precision: str, count: int) -> None:
    content = find("default").pick((precision,)).read_bytes()
    given = pictures()[:count]
    alone = opened(content)
    wanted = [alone.run(NAMES, {"image": one}) for one in given]
    sure = [int((scores >= 0.5).sum()) for _, scores, *_ in wanted]
    assert sure[0] >= 1 and sure[1] == 0, "people, and nobody"
    for found, one in zip(answers(with_batch(content, count), given), wanted, strict=True):
        for name, got, right in zip(NAMES, found, one, strict=True):
            assert got.shape == right.shape and got.dtype == right.dtype
            away = np.abs(got.astype(float) - right)
            assert away.max(initial=0) <= (0.05 if name.endswith("boxes") else 1e-3), name


def test_as_a_card_has_it_with_regions_filled_up() -> None:
    content = with_fixed_regions(find("default").pick(("float32",)).read_bytes())
    batched = with_batch(content, 2)
    onnx.checker.check_model(onnx.load_from_string(_typed(batched)), full_check=True)
    given = pictures()[:2]
    alone = opened(content)
    for found, picture in zip(answers(batched, given), given, strict=True):
        for got, right in zip(found, alone.run(NAMES, {"image": picture}), strict=True):
            assert np.abs(got.astype(float) - right).max(initial=0) <= 0.01


def _typed(content: bytes) -> bytes:
    """With the outputs' types, which ONNX Runtime finds out and the checker wants to be told."""
    model = onnx.load_from_string(content)
    for one in model.graph.output:
        kind, axes = TENSOR_TYPES[one.name.partition("@")[0]]
        own = TensorProto.INT64 if "int64" in kind else TensorProto.FLOAT
        made = helper.make_tensor_value_info(one.name, own, [None] * axes)
        one.CopyFrom(made)
    told: bytes = model.SerializeToString()
    return told


def test_the_backbone_is_there_once_and_the_heads_for_each() -> None:
    content = find("default").pick(("float32",)).read_bytes()
    one, three = (onnx.load_from_string(each) for each in (content, with_batch(content, 3)))

    def count(model: onnx.ModelProto, kind: str) -> int:
        return sum(node.op_type == kind for node in model.graph.node)

    heads = 15
    assert count(three, "Conv") == count(one, "Conv") + 2 * heads
    for kind in ("RoiAlign", "NonMaxSuppression", "TopK"):
        assert count(three, kind) == 3 * count(one, kind)
    assert count(three, "Resize") - count(one, "Resize") == 2 * 2, "of the masks"
    assert len(three.graph.initializer) <= len(one.graph.initializer) + 4, "weights are shared"


def test_a_model_without_a_convolution_is_refused(tmp_path: Path) -> None:
    content = tiny_models.bright(tmp_path / "bright.onnx").read_bytes()
    with pytest.raises(ValueError, match="none of its convolutions treats several pictures alike"):
        with_batch(content, 2)


def test_a_file_of_old_operators_is_refused(tmp_path: Path) -> None:
    model = onnx.load(tiny_models.bright(tmp_path / "bright.onnx", layer=True))
    model.opset_import[0].version = 11
    with pytest.raises(ValueError, match="before ONNX's operator set 13"):
        with_batch(model.SerializeToString(), 2)


@pytest.mark.parametrize("at", [1, 40, 500])
def test_a_file_cut_short_is_no_onnx_file(tmp_path: Path, at: int) -> None:
    content = tiny_models.bright(tmp_path / "bright.onnx", layer=True).read_bytes()
    with pytest.raises(ValueError, match=r"no ONNX file|within a number|no order"):
        with_batch(content[:-at], 2)
