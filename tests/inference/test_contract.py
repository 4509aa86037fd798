import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import ModelError
from stream.inference.contract import OUTPUTS, Metadata, Resize, check_tensors

FULL = Metadata(
    names=("person", "Zürich tram"),
    resize=Resize("shortest_edge", shortest=800, longest=1333, multiple_of=32),
    mask_threshold=0.4,
    score_threshold=0.6,
    origin="torchvision maskrcnn_resnet50_fpn",
    licence="BSD-3-Clause",
    training_data="COCO 2017",
    accuracy={"mask AP": 0.346},
    precision="int8",
)

edges = st.integers(1, 5000)
policies = st.one_of(
    st.builds(
        Resize,
        st.just("shortest_edge"),
        shortest=st.integers(32, 1000),
        longest=st.integers(32, 1500),
        multiple_of=st.sampled_from([1, 2, 32, 128]),
        rounding=st.sampled_from(["floor", "round", "ceil"]),
        anchor=st.sampled_from(["corner", "centre"]),
    ),
    st.builds(
        Resize,
        st.just("letterbox"),
        width=st.integers(16, 1024),
        height=st.integers(16, 1024),
        multiple_of=st.sampled_from([1, 32]),
        rounding=st.sampled_from(["floor", "round", "ceil"]),
        anchor=st.sampled_from(["corner", "centre"]),
    ),
    st.builds(
        Resize, st.just("stretch"), width=st.integers(16, 1024), height=st.integers(16, 1024)
    ),
    st.builds(Resize, st.just("native"), multiple_of=st.sampled_from([1, 32])),
)


def test_metadata_survive_the_file() -> None:
    assert Metadata.from_properties(FULL.to_properties()) == FULL


@pytest.mark.parametrize("key", sorted(FULL.to_properties()))
def test_every_property_is_needed(key: str) -> None:
    properties = FULL.to_properties()
    del properties[key]
    with pytest.raises(ModelError, match=r"carries no metadata|lack"):
        Metadata.from_properties(properties)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("contract", "9", "contract version 9"),
        ("names", "[]", "non-empty list"),
        ("names", '["a", ""]', "non-empty"),
        ("names", "7", "cannot be read"),
        ("names", "not json", "cannot be read"),
        ("resize", "{}", "cannot be read"),
        ("resize", '{"mode": "zoom"}', "unknown resize mode 'zoom'"),
        ("resize", '{"mode": "letterbox"}', "lacks a size"),
        ("resize", '{"mode": "native", "interpolation": "magic"}', "unknown interpolation"),
        ("resize", '{"mode": "native", "padding": 300}', "padding must be"),
        ("resize", '{"mode": "native", "multiple_of": 0}', "lacks a size"),
        ("mask_threshold", "1.5", "0..1"),
        ("score_threshold", "high", "cannot be read"),
        ("accuracy", "{", "cannot be read"),
    ],
)
def test_wrong_properties_are_refused(key: str, value: str, message: str) -> None:
    properties = FULL.to_properties() | {f"stream.{key}": value}
    with pytest.raises(ModelError, match=message):
        Metadata.from_properties(properties)


@given(policies, edges, edges)
def test_the_picture_lies_inside_the_input(resize: Resize, width: int, height: int) -> None:
    geometry = resize.geometry(width, height)
    for axis in (0, 1):
        assert geometry.content[axis] >= 1
        assert geometry.offset[axis] >= 0
        assert geometry.offset[axis] + geometry.content[axis] <= geometry.size[axis]
        assert geometry.size[axis] % resize.multiple_of == 0


@given(policies, edges, edges)
def test_the_shape_is_kept_to_a_pixel(resize: Resize, width: int, height: int) -> None:
    if resize.mode == "stretch":
        return
    content = resize.geometry(width, height).content
    # A content edge is off by less than one pixel (or is the least there can be, one).
    ideal = content[0] * height / width
    assert abs(content[1] - ideal) <= 1 + height / width or min(content) == 1


@pytest.mark.parametrize(
    ("rounding", "content"), [("floor", (600, 337)), ("round", (600, 338)), ("ceil", (600, 338))]
)
def test_rounding(rounding: str, content: tuple[int, int]) -> None:
    resize = Resize("letterbox", width=600, height=400, rounding=rounding)  # type: ignore[arg-type]
    assert resize.geometry(1920, 1080).content == content  # 337.5 exactly


def test_torchvision_sizes() -> None:
    # GeneralizedRCNNTransform on 480x640: 800 on the short edge, padded to 32.
    resize = Resize("shortest_edge", shortest=800, longest=1333, multiple_of=32)
    geometry = resize.geometry(640, 480)
    assert (geometry.content, geometry.size) == ((1066, 800), (1088, 800))
    assert resize.geometry(1920, 1080).content == (1333, 749)


def test_an_empty_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="0x4"):
        Resize("native").geometry(0, 4)


TENSORS = {
    "image": ("tensor(uint8)", [1, "height", "width", 3]),
    "boxes": ("tensor(float)", ["n", 4]),
    "scores": ("tensor(float)", ["n"]),
    "labels": ("tensor(int64)", ["n"]),
    "masks": ("tensor(float)", ["n", 28, 28]),
}


def _check(**changes: tuple[str, list[int | str | None]] | None) -> None:
    tensors = {name: value for name, value in (TENSORS | changes).items() if value is not None}
    inputs = {name: value for name, value in tensors.items() if name in ("image", "more")}
    outputs = {name: value for name, value in tensors.items() if name not in inputs}
    check_tensors(inputs, outputs)  # type: ignore[arg-type]


def test_tensors_that_keep_the_contract() -> None:
    _check()
    _check(image=("tensor(uint8)", [1, 480, 640, 3]))
    _check(image=("tensor(uint8)", ["batch", None, None, None]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": None}, "its inputs are"),
        ({"more": ("tensor(float)", [1])}, "its inputs are"),
        ({"image": ("tensor(float)", [1, 3, 4, 4])}, "'image' is tensor"),
        ({"image": ("tensor(uint8)", ["h", "w", 3])}, "of rank 4"),
        ({"image": ("tensor(uint8)", [2, 4, 4, 3])}, "batch of 2"),
        ({"image": ("tensor(uint8)", [1, 4, 4, 1])}, "1 channels"),
        ({"labels": ("tensor(int32)", ["n"])}, "'labels' is tensor"),
        ({"masks": ("tensor(float)", ["n", 1, 28, 28])}, "'masks' is tensor"),
        *[({name: None}, f"lacks the outputs \\['{name}'\\]") for name in OUTPUTS],
    ],
)
def test_tensors_that_break_the_contract(changes: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        _check(**changes)


def test_the_resize_policy_is_plain_json() -> None:
    stored = json.loads(FULL.to_properties()["stream.resize"])
    assert stored == dataclasses.asdict(FULL.resize)


@pytest.mark.parametrize("anchor", ["corner", "centre"])
@pytest.mark.parametrize(
    ("policy", "known"),
    [
        ({"shortest": 384, "longest": 640, "multiple_of": 32}, {(640, 480), (1280, 720)}),
        ({"shortest": 800, "longest": 1333, "multiple_of": 32}, {(640, 480)}),
        ({"shortest": 800, "longest": 1024, "multiple_of": 1024}, {(640, 480), (333, 90)}),
    ],
)
def test_few_sizes_hold_every_shape(anchor: str, policy: dict[str, int], known: set[tuple]) -> None:
    resize = Resize("shortest_edge", **policy, anchor=anchor)
    sizes = set()
    shapes = [(width, height) for width in range(60, 2000, 97) for height in range(60, 2000, 89)]
    for shape in [*shapes, *known]:
        exact = resize.geometry(*shape)
        roomy = resize.roomier(exact)
        sizes.add(roomy.size)
        assert roomy.content == exact.content and roomy.picture == shape
        for at, content, side in zip(roomy.offset, roomy.content, roomy.size, strict=True):
            assert at >= 0 and at + content <= side and not side % policy["multiple_of"]
            assert abs(2 * at + content - side) <= 1 or anchor == "corner"
        if shape in known:
            assert roomy == exact
    assert len(sizes) <= 5
