"""Several views of a picture give one answer: where things are, surer than one of them alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream
from stream import Segmenter
from stream.errors import UsageError
from stream.inference import session as sessions
from stream.inference.contract import Geometry, Resize
from stream.inference.postprocess import Raw
from stream.inference.preprocess import Prepared
from stream.inference.views import VIEWS, Seen, at_size, joined, mirrored, views
from tests import photos, tiny_models
from tests.inference.test_segmenter import RESIZES, square
from tests.media import make_clip
from tests.tiny_models import metadata

WIDTH, HEIGHT = 640, 480
ANY = Resize("shortest_edge", shortest=240, longest=400, multiple_of=32)
SIDES = ("shortest", "longest", "width", "height")


def placed(resize: Resize, turned: bool) -> Prepared:
    geometry = resize.geometry(WIDTH, HEIGHT)
    return Prepared(np.zeros((1, *geometry.size[::-1], 3), np.uint8), geometry, mirrored=turned)


def shown(
    boxes: list[list[float]],
    resize: Resize = ANY,
    turned: bool = False,
    scores: list[float] | None = None,
    labels: list[int] | None = None,
    masks: np.ndarray | None = None,
) -> Seen:
    """What a view shows of boxes in pixels of the picture, with masks in frames a little wider."""
    asked = placed(resize, turned)
    there = np.array(boxes, np.float32).reshape(-1, 4)
    if masks is None:
        masks = np.ones((len(there), 28, 28), np.float32)
    if turned:
        there = np.stack([WIDTH - there[:, 2], there[:, 1], WIDTH - there[:, 0], there[:, 3]], 1)
        masks = masks[:, :, ::-1]
    scale, offset = np.array(asked.geometry.scale * 2), np.array(asked.geometry.offset * 2)
    there = (there / scale + offset).astype(np.float32)
    raw = Raw(
        there,
        np.full(len(there), 0.8, np.float32) if scores is None else np.array(scores, np.float32),
        np.array([0] * len(there) if labels is None else labels, np.int64),
        masks,
        there + np.array([-2, -2, 2, 2], np.float32),
    )
    return Seen(raw, asked)


def in_picture(raw: Raw, geometry: Geometry) -> np.ndarray:
    return (raw.boxes - np.array(geometry.offset * 2)) * np.array(geometry.scale * 2)


@given(x=st.integers(0, 500), y=st.integers(0, 380), w=st.integers(20, 140), h=st.integers(20, 100))
def test_what_all_views_show_is_where_it_is(x: int, y: int, w: int, h: int) -> None:
    box = [float(x), float(y), float(x + w), float(y + h)]
    mask = np.zeros((1, 28, 28), np.float32)
    mask[0, 4:20, 2:12] = 1
    for policy in (ANY, replace(ANY, anchor="centre"), Resize("stretch", width=320, height=320)):
        seen = [
            shown([box], resize, turned, masks=mask)
            for resize, turned in views(len(VIEWS), policy, any_size=True)
        ]
        found = joined(seen)
        np.testing.assert_allclose(in_picture(found, seen[0].asked.geometry), [box], atol=0.01)
        np.testing.assert_allclose(found.scores, [0.8], atol=1e-6)
        assert found.mask_boxes is not None and found.masks.shape == (1, 28, 28)
        # A wider frame is a little wider still where the input is smaller.
        assert np.abs(found.masks - mask).mean() < 0.06
        assert found.labels.dtype == np.int64


def test_what_few_views_show_is_believed_less() -> None:
    box = [100.0, 100.0, 200.0, 220.0]
    everywhere = [shown([box]), shown([box], turned=True), shown([box]), shown([box])]
    for count in range(1, 5):
        seen = everywhere[:count] + [shown([])] * (4 - count)
        assert joined(seen).scores[0] == pytest.approx(0.8 * (count / 4) ** 0.5)


def test_boxes_and_masks_are_means_by_score() -> None:
    half = np.zeros((1, 28, 28), np.float32)
    half[:, :14] = 1
    surer = shown([[100, 100, 200, 200]], scores=[0.9], masks=half)
    other = shown([[110, 100, 210, 200]], scores=[0.3], masks=1 - half)
    found = joined([surer, other])
    place = in_picture(found, surer.asked.geometry)[0]
    np.testing.assert_allclose(place, [102.5, 100, 202.5, 200], atol=0.01)
    assert found.scores[0] == pytest.approx(0.6)
    assert found.masks[0, 5, 14] == pytest.approx(0.75, abs=0.01)
    assert found.masks[0, 22, 14] == pytest.approx(0.25, abs=0.01)


def test_a_mask_goes_as_far_as_one_of_its_frames() -> None:
    for with_frames in (True, False):
        wide, narrow = (
            shown([[left, 100, 300, 300]], turned=turned)
            for left, turned in ((100, False), (150, True))
        )
        if not with_frames:
            wide, narrow = (
                replace(one, raw=one.raw._replace(mask_boxes=None)) for one in (wide, narrow)
            )
        found = joined([wide, narrow])
        frames = found.mask_boxes
        assert frames is not None
        reach = in_picture(found._replace(boxes=frames), wide.asked.geometry)[0]
        edge = 4 if with_frames else 0
        np.testing.assert_allclose(
            reach, [100 - edge, 100 - edge, 300 + edge, 300 + edge], atol=0.01
        )
        assert found.masks.min() > 0.99, "where one does not reach the other is heard alone"
        np.testing.assert_allclose(
            in_picture(found, wide.asked.geometry)[0], [125, 100, 300, 300], atol=0.01
        )


def test_close_ups_are_left_to_smaller_views_and_small_things_to_larger_ones() -> None:
    larger, smaller = (
        Resize("shortest_edge", shortest=side, longest=400 * side // 240, multiple_of=32)
        for side in (320, 180)
    )
    for box, other in (([20, 10, 620, 470], larger), ([300, 200, 330, 230], smaller)):
        shifted = [box[0] + 4, *box[1:]]
        own = shown([box], scores=[0.8])
        found = joined([own, shown([shifted], other, scores=[0.4])])
        assert found.scores[0] == pytest.approx(0.8, abs=0.01)
        assert in_picture(found, own.asked.geometry)[0, 0] == pytest.approx(box[0], abs=0.1)
        # One that does not see it is not heard either.
        alone = joined([own, shown([], other)])
        assert alone.scores[0] == pytest.approx(0.8, abs=0.01)


def test_neighbours_and_other_classes_stay_apart() -> None:
    pair = [[100.0, 100.0, 200.0, 300.0], [140.0, 100.0, 240.0, 300.0]]  # overlap by 0.43
    assert len(joined([shown(pair), shown(pair, turned=True)]).scores) == 2
    one, two = [[100.0, 100.0, 200.0, 300.0]], [[105.0, 100.0, 205.0, 300.0]]
    found = joined([shown(one, labels=[1]), shown(two, labels=[2])])
    assert sorted(found.labels) == [1, 2]
    # Two that one view has at the same place do not become one, however alike they are.
    both = shown([one[0], two[0]], scores=[0.9, 0.7])
    assert len(joined([both, shown(one)]).scores) == 2


def test_nothing_and_nonsense_are_nothing() -> None:
    for seen in ([shown([]), shown([])], [shown([], turned=True), shown([])]):
        found = joined(seen)
        assert found.boxes.shape == (0, 4) and found.masks.shape == (0, 28, 28)
        assert found.mask_boxes is not None and found.mask_boxes.shape == (0, 4)
    odd = shown([[10, 10, 10, 10], [20, 20, 60, 60], [20, 20, 60, 60]], scores=[0.9, 0.8, 0.01])
    odd.raw.scores[1] = np.nan
    found = joined([odd, shown([])])
    assert len(found.scores) == 1 and np.isfinite(found.masks).all()


@pytest.mark.parametrize("anchor", ["corner", "centre"])
def test_a_mirrored_input_keeps_its_margins(anchor: str) -> None:
    geometry = Resize("letterbox", width=64, height=64, anchor=anchor).geometry(30, 50)
    x, width = geometry.offset[0], geometry.content[0]
    pixels = np.full((1, 64, 64, 3), 7, np.uint8)
    pixels[:, :, x : x + width] = np.arange(width, dtype=np.uint8)[:, None] + 100
    found = mirrored(Prepared(pixels, geometry))
    assert found.mirrored and found.geometry == geometry
    np.testing.assert_array_equal(found.pixels()[:, :, :x], 7)
    np.testing.assert_array_equal(found.pixels()[:, :, x + width :], 7)
    assert (np.diff(found.pixels()[0, 0, x : x + width, 0].astype(int)) == -1).all()


def test_sides_stay_multiples_and_one_view_is_the_models_own() -> None:
    policy = Resize("shortest_edge", shortest=384, longest=626, multiple_of=32)
    assert views(1, policy, any_size=True) == ((policy, False),)
    told = views(6, policy, any_size=True)
    sides = [(one.shortest, one.longest, turned) for one, turned in told]
    larger, smaller, smallest = (640, 1056), (320, 512), (256, 416)
    assert sides[:2] == [(*larger, False), (*smaller, True)]
    assert sides[2:5] == [(*smallest, False), (*larger, True), (*smaller, False)]
    assert told[5:] == ((policy, False),)
    # Smaller ones are not so small that there are too few places to choose from.
    for side, least in ((192, 160), (160, 160), (128, 128), (256, 160)):
        own = Resize("shortest_edge", shortest=side, longest=626, multiple_of=32)
        assert min(one.shortest for one, _ in views(6, own, any_size=True)) == least
    # One size is looked at as it is, and mirrored.
    assert views(2, policy, any_size=False) == ((policy, False), (policy, True))
    for count in (0, 7, -1):
        with pytest.raises(UsageError, match="1 to 6 views"):
            views(count, policy, any_size=True)
    with pytest.raises(UsageError, match="two views at most"):
        views(3, policy, any_size=False)
    with pytest.raises(UsageError, match="two views at most"):
        views(3, Resize("native"), any_size=True)


@pytest.mark.parametrize("resize", RESIZES, ids=lambda r: f"{r.mode}-{r.interpolation}-{r.anchor}")
def test_objects_are_found_where_they_are_by_every_model(tmp_path: Path, resize: Resize) -> None:
    path = tiny_models.bright(tmp_path / "bright.onnx", 100, metadata(resize))
    alone = Segmenter.load(path, provider="cpu")
    for count in (2,) if resize.mode == "native" else (2, 6):
        several = Segmenter.load(path, provider="cpu", views=count)
        for x, y in ((100, 60), (540, 380)):
            one, found = alone(square(x, y, 80)), several(square(x, y, 80))
            assert len(one) == len(found) == 1
            np.testing.assert_allclose(found.boxes, one.boxes, atol=4)


def test_the_bundled_model_sees_an_astronaut_in_all_views() -> None:
    picture = photos.astronaut()
    one = Segmenter.load("default", "cpu")(picture)
    segmenter = Segmenter.load("default", "cpu", views=4)
    found = segmenter(picture)
    assert found.names[0] == one.names[0] == "person"
    both = found.full_masks()[0] & one.full_masks()[0]
    either = found.full_masks()[0] | one.full_masks()[0]
    assert both.sum() > 0.95 * either.sum()
    # What is found in the mirrored picture is the mirrored answer, but for rounding.
    other = segmenter(np.ascontiguousarray(picture[:, ::-1]))
    np.testing.assert_allclose(other.boxes[0, [2, 0]], 512 - found.boxes[0, [0, 2]], atol=6)


def test_a_model_of_one_size_has_two_views(tmp_path: Path) -> None:
    path = tiny_models.constant(tmp_path / "m.onnx", [[8, 8, 32, 32]], size=(64, 48))
    assert len(Segmenter.load(path, "cpu", views=2)(square(0, 0, 9))) == 2
    with pytest.raises(UsageError, match="two views at most"):
        Segmenter.load(path, "cpu", views=4)


def test_those_who_share_a_model_have_views_of_their_own(tmp_path: Path) -> None:
    path = tiny_models.bright(tmp_path / "bright.onnx", 100, metadata(ANY))
    segmenter = Segmenter.load(path, "cpu")
    other = segmenter.sharing()
    other.views = 6
    assert (segmenter.views, other.views) == (1, 6)
    assert len(segmenter.preprocess(square(0, 0, 9)).others) == 0
    assert len(other.preprocess(square(0, 0, 9)).others) == 5
    with pytest.raises(UsageError, match="1 to 6 views"):
        other.views = 9


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """The fixed sides of each session that is opened."""
    opened: list[dict[str, int]] = []
    create = sessions.create

    def watched(*arguments: object, **others: object) -> object:
        opened.append(others["fixed"])  # type: ignore[arg-type]
        return create(*arguments, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(sessions, "create", watched)
    return opened


def test_each_size_has_a_session_of_its_own_from_the_start(
    tmp_path: Path, opened: list[dict[str, int]]
) -> None:
    model = tiny_models.bright(tmp_path / "b.onnx", 100, metadata(ANY))
    clip = make_clip(tmp_path / "clip.mp4", size=(128, 64), frames=4)
    stream.process(clip, tmp_path / "out.mp4", model=model, provider="cpu", views=4)
    widths = [one.get("width") for one in opened]
    assert sorted(set(widths)) == [256, 320, 672]


def test_a_loaded_segmenter_takes_the_views_of_a_call(tmp_path: Path) -> None:
    model = tiny_models.bright(tmp_path / "b.onnx", 100, metadata(ANY))
    clip = make_clip(tmp_path / "clip.mp4", size=(128, 64), frames=2)
    segmenter = Segmenter.load(model, "cpu")
    with stream.open(clip, segmenter=segmenter, views=2) as video:
        assert len(list(video)) == 2
    assert segmenter.views == 1
    with pytest.raises(UsageError, match="views"):
        stream.open(clip, segmenter=segmenter, views=7)


@given(st.integers(192, 2048), st.sampled_from((1, 32, 64)))
def test_an_input_is_as_large_as_asked(side: int, multiple: int) -> None:
    for policy in (
        Resize("shortest_edge", shortest=384, longest=626, multiple_of=multiple),
        Resize("letterbox", width=640, height=384, multiple_of=multiple),
        Resize("stretch", width=384, height=640, multiple_of=multiple),
    ):
        found = at_size(side, policy, any_size=True)
        assert abs(found.shorter_side - side) <= multiple / 2
        if side != 384:
            assert found.shorter_side % multiple == 0
        assert min(found.geometry(500, 400).size) <= found.shorter_side + multiple
        assert replace(found, **{name: getattr(policy, name) for name in SIDES}) == policy
    assert at_size(None, ANY, any_size=False) is ANY


def test_sizes_that_an_input_cannot_have_are_refused() -> None:
    for side in (191, 2049, 0, -5):
        with pytest.raises(UsageError, match="192 to 2048 pixels"):
            at_size(side, ANY, any_size=True)
    with pytest.raises(UsageError, match="at one size, with a shorter side of 240"):
        at_size(320, ANY, any_size=False)
    assert at_size(240, ANY, any_size=False) == ANY
    with pytest.raises(UsageError, match="resizes pictures itself"):
        at_size(320, Resize("native"), any_size=True)


@pytest.mark.parametrize("resize", RESIZES, ids=lambda r: f"{r.mode}-{r.interpolation}-{r.anchor}")
def test_objects_are_where_they_are_at_every_input_size(tmp_path: Path, resize: Resize) -> None:
    path = tiny_models.bright(tmp_path / "bright.onnx", 100, metadata(resize))
    if resize.mode == "native":
        with pytest.raises(UsageError, match="resizes pictures itself"):
            Segmenter.load(path, "cpu", input_size=256)
        return
    segmenter = Segmenter.load(path, "cpu")
    own = segmenter.input_size
    assert own is not None
    for side in (own * 2, 192):
        other = Segmenter.load(path, "cpu", input_size=side, views=2)
        segmenter.input_size = side
        for one in (segmenter, other):
            assert one.input_size == other.input_size
            assert min(one.preprocess(square(0, 0, 9)).geometry.size) >= one.input_size * 0.5
            found = one(square(100, 60, 80))
            np.testing.assert_allclose(found.boxes, [[100, 60, 180, 140]], atol=12)
    segmenter.input_size = None
    assert segmenter.input_size == own


def test_a_model_of_one_size_keeps_it(tmp_path: Path) -> None:
    path = tiny_models.constant(tmp_path / "m.onnx", [[8, 8, 32, 32]], size=(64, 48))
    with pytest.raises(UsageError, match="at one size, with a shorter side of 48"):
        Segmenter.load(path, "cpu", input_size=256)
    segmenter = Segmenter.load(path, "cpu")
    assert segmenter.input_size == 48
    with pytest.raises(UsageError, match="at one size"):
        segmenter.input_size = 256
    assert segmenter.input_size == 48


def test_a_session_is_opened_for_the_size_that_is_asked_for(
    tmp_path: Path, opened: list[dict[str, int]]
) -> None:
    model = tiny_models.bright(tmp_path / "b.onnx", 100, metadata(ANY))
    clip = make_clip(tmp_path / "clip.mp4", size=(128, 64), frames=4)
    stream.process(clip, tmp_path / "out.mp4", model=model, provider="cpu", input_size=320)
    assert [one.get("width") for one in opened] == [544]
    # What is loaded already is looked through at the size of the call, and keeps its own.
    segmenter = Segmenter.load(model, "cpu")
    with stream.open(clip, segmenter=segmenter, input_size=320) as video:
        assert len(list(video)) == 4
    assert segmenter.input_size == 240
    with pytest.raises(UsageError, match="192 to 2048"):
        stream.open(clip, segmenter=segmenter, input_size=9)


@pytest.mark.parametrize("shape", [(3, 2000), (2000, 3), (40, 40), (9, 16)])
def test_the_bundled_model_takes_pictures_of_every_shape_at_the_least_size(
    shape: tuple[int, int],
) -> None:
    segmenter = Segmenter.load("default", "cpu", input_size=192, views=6)
    assert segmenter.input_size == 192
    assert len(segmenter(np.full((*shape, 3), 90, np.uint8))) == 0
