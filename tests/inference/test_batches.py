"""Several pictures in one run: tried, compared and used, or not; on the CPU and on a card."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from stream import Segmenter
from stream.bench.gpu import stand_in
from stream.errors import ProviderError
from stream.inference import batches
from stream.inference.batches import Batches
from stream.inference.catalogue import find
from stream.inference.contract import OUTPUTS, Geometry
from stream.inference.onnx_runtime import InferenceSession
from stream.inference.postprocess import Raw
from stream.inference.preprocess import Prepared
from stream.inference.route import Route
from stream.inference.session import open_on
from stream.inference.sizes import Handles
from tests import tiny_models
from tests.inference.test_on_device import bright_frame
from tests.run.parts import Hands

SIZE = (64, 48)


@pytest.fixture
def worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several at once are taken however long they take."""
    monkeypatch.setattr(batches, "choose", lambda trials: (batches.COUNTS, 1))


def opened(path: Path, chosen: Route) -> Segmenter:
    return Segmenter("tiny", open_on(find(path), chosen))


@pytest.mark.usefixtures("worth_it")
def test_answers_are_those_of_one_by_one(tmp_path: Path, chosen: Route) -> None:
    segmenter = opened(tiny_models.bright(tmp_path / "b.onnx", 100, layer=True), chosen)
    assert segmenter.gatherer is not None
    several = segmenter.gatherer.batches
    assert several.most == 1 and segmenter.remarks == (), "before anybody asks for it"
    segmenter.expect_several(640, 480)
    assert [trial.count for trial in several.trials] == [2, 4]
    assert "inferred at once: up to 4 in one run, in " in segmenter.remarks[-1]
    size = segmenter.preprocess(bright_frame(0, 0)).geometry.size
    black = np.zeros((480, 640, 3), np.uint8)
    given = [bright_frame(0, 0), bright_frame(200, 160), black, bright_frame(560, 360)]
    prepared = [segmenter.preprocess(one) for one in given]
    where = {isinstance(one.tensor, np.ndarray) for one in prepared}
    assert where == {True, False}, "some lie on the device, and one does not"
    for count in several.counts(size):
        found = several.infer(prepared[:count])
        assert len(found) == count
        for got, one in zip(found, prepared, strict=False):
            for left, right in zip(got, segmenter.infer(one), strict=True):
                if left is not None or right is not None:
                    np.testing.assert_allclose(left, right, atol=1e-3)
    assert [len(one.scores) for one in found] == [1, 1, 0, 1][:count]


@pytest.mark.slow
def test_the_default_model_is_tried_and_answers_the_same(
    monkeypatch: pytest.MonkeyPatch, chosen: Route
) -> None:
    monkeypatch.setattr(batches, "_ROUNDS", 1)
    segmenter = Segmenter("default", open_on(find("default"), chosen))
    assert segmenter.gatherer is not None
    segmenter.expect_several(320, 180)
    assert len(segmenter.gatherer.batches.trials) == 2, segmenter.remarks
    assert not segmenter.gatherer.batches.obstacle, "answers are the same"


@pytest.mark.parametrize("provider", ["cpu", "openvino"])
def test_never_where_the_processors_threads_compute(tmp_path: Path, provider: str) -> None:
    try:
        segmenter = Segmenter.load(tiny_models.bright(tmp_path / "b.onnx", layer=True), provider)
    except ProviderError as error:
        pytest.skip(str(error))
    segmenter.expect_several(640, 480)
    assert segmenter.gatherer is None


def test_a_model_that_knows_one_picture_only_may_still_run_side_by_side(
    tmp_path: Path, chosen: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "none of its convolutions treats several pictures alike"
    for counts, apart in (((), 1), ((), 4)):
        monkeypatch.setattr(batches, "choose", lambda trials, made=(counts, apart): made)
        segmenter = opened(tiny_models.bright(tmp_path / "b.onnx"), chosen)
        assert segmenter.gatherer is not None
        several = segmenter.gatherer.batches
        segmenter.expect_several(640, 480)
        assert several.obstacle == said and several.most == 1
        assert segmenter.gatherer.at_once == several.apart == apart
        assert all(one.together is None and one.apart > 0 for one in several.trials)
        remark = segmenter.remarks[-1]
        assert remark.endswith(f"inferred one by one: {said}") is (apart == 1)
        assert ("at once: up to 4 side by side, in " in remark) is (apart == 4)


def test_a_provider_that_refuses_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "choose", lambda trials: ((), 1))
    segmenter = opened(tiny_models.bright(tmp_path / "b.onnx", layer=True), stand_in())
    assert segmenter.gatherer is not None
    several = segmenter.gatherer.batches

    def refuse(count: int, fixed: Mapping[str, int]) -> InferenceSession:
        raise ProviderError("the card is full\nand more")

    several._make = refuse
    segmenter.expect_several(640, 480)
    assert several.remark.endswith("one by one: the card is full")
    assert segmenter(bright_frame(0, 0)).scores.size == 1


class Timed:
    """A session that takes so many seconds of a clock, and answers by what it sees."""

    def __init__(self, hands: Hands, seconds: float, shift: float = 0.0) -> None:
        self.hands, self.seconds, self.shift = hands, seconds, shift
        self.fails = False
        self._lock = threading.Lock()

    def run(self, outputs: list[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        with self._lock:
            self.hands.at += self.seconds
        if self.fails:
            raise RuntimeError("out of memory")
        found = []
        for name in outputs:
            kind, _, place = name.partition("@")
            level = float(inputs[f"image@{place}" if place else "image"].mean())
            value = {
                "boxes": np.array([[level, 0, level + 9, 9]], np.float32) + self.shift,
                "scores": np.array([0.9], np.float32),
                "labels": np.zeros(1, np.int64),
                "masks": np.full((1, 4, 4), level / 255, np.float32),
            }
            found.append(value[kind])
        return found


Maker = Callable[..., tuple[Batches, dict[int, Timed]]]


@pytest.fixture
def made() -> Maker:
    """Sessions of 10 s for one picture and of so many seconds for several."""

    def make(two: float, four: float, shift: float = 0.0) -> tuple[Batches, dict[int, Timed]]:
        hands = Hands(0.0)
        sessions = {1: Timed(hands, 10), 2: Timed(hands, two, shift), 4: Timed(hands, four)}
        handles = Handles(lambda fixed: sessions[1])  # type: ignore[arg-type,return-value]
        several = Batches(
            lambda count, fixed: sessions[count],  # type: ignore[arg-type,return-value]
            handles,
            list(OUTPUTS),
            ("width", "height"),
            clock=hands,
        )
        return several, sessions

    return make


@pytest.mark.parametrize(
    ("two", "four", "kept", "said"),
    [
        (
            15,
            24,
            (2, 4),
            "at once: up to 4 in one run, in 60% of the time",
        ),
        (15, 32, (2,), "at once: up to 2 in one run, in 75% of the time"),
        (19, 24, (4,), "at once: up to 4 in one run, in 60% of the time"),
        (19, 39, (), "one by one: several at once take 95% of that time"),
        (30, 38, (), "one by one: several at once take 95% of that time"),
    ],
)
def test_what_is_a_tenth_quicker_is_kept(
    made: Maker, two: float, four: float, kept: tuple[int, ...], said: str
) -> None:
    several, _ = made(two, four)
    several.prepare(SIZE)
    assert tuple(several.counts(SIZE)) == kept
    assert several.most == max(kept, default=1)
    assert said in several.remark
    several.prepare((32, 32))
    assert tuple(several.counts((32, 32))) == kept, "what was found holds for every size"


def test_other_answers_are_found_out(made: Maker) -> None:
    several, _ = made(15, 39, shift=5.0)
    several.prepare(SIZE)
    assert several.most == 1
    assert several.remark.endswith("2 in one run have other answers")


def test_runs_side_by_side_remain_where_one_run_for_several_fails(
    made: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "choose", lambda trials: ((), 2))
    several, sessions = made(15, 24)
    sessions[4].fails = True
    several.prepare(SIZE)
    assert [one.together is None for one in several.trials] == [False, True]
    assert several.obstacle == "out of memory" and several.apart == 2 and several.most == 1
    assert "at once: up to 2 side by side, in 100% of the time" in several.remark


def test_what_fails_once_is_not_tried_again(made: Maker) -> None:
    several, sessions = made(15, 24)
    several.prepare(SIZE)
    where = Geometry(SIZE, SIZE, (0, 0), SIZE)
    pictures = [Prepared(np.full((1, 48, 64, 3), level, np.uint8), where) for level in (9, 99)]
    assert [float(one.boxes[0, 0]) for one in several.infer(pictures)] == [9.0, 99.0]
    sessions[2].fails = True
    with pytest.raises(RuntimeError, match="out of memory"):
        several.infer(pictures)
    assert several.most == 1 and several.remark.endswith("one by one: out of memory")
    several.prepare(SIZE)
    assert several.most == 1
    with pytest.raises(ValueError, match="no session for so many"):
        several.infer(pictures)


@pytest.mark.parametrize(
    ("two", "four", "chosen"),
    [
        ((8.0, 10.0), (6.0, 10.0), ((2, 4), 1)),
        ((8.0, 7.0), (6.0, 5.0), ((), 4)),
        ((8.0, 7.0), (None, 10.0), ((), 2)),
        ((9.5, 9.5), (9.5, 9.5), ((), 1)),
        ((9.5, 9.0), (9.5, 9.5), ((), 2)),
        ((None, 10.0), (None, 10.0), ((), 1)),
        ((8.0, 8.0), (9.0, 9.0), ((2,), 1)),
    ],
)
def test_the_quickest_way_is_taken(
    two: tuple[float | None, float],
    four: tuple[float | None, float],
    chosen: tuple[tuple[int, ...], int],
) -> None:
    trials = [
        batches.Trial(count, 10.0, apart, together)
        for count, (together, apart) in ((2, two), (4, four))
    ]
    assert batches.choose(trials) == chosen


def test_few_sizes_have_such_sessions(made: Maker) -> None:
    several, _ = made(15, 24)
    sizes = [(64, 48), (32, 32), (16, 16)]
    for size in sizes:
        several.prepare(size)
    assert [bool(several.counts(size)) for size in sizes] == [False, True, True]


def _raw(*objects: tuple[float, int]) -> Raw:
    """Objects by their left edge and their class."""
    boxes = np.array([[left, 0, left + 9, 9] for left, _ in objects], np.float32).reshape(-1, 4)
    labels = np.array([label for _, label in objects], np.int64)
    scores = np.linspace(0.9, 0.5, len(objects), dtype=np.float32)
    return Raw(boxes, scores, labels, np.ones((len(objects), 4, 4), np.float32))


def test_what_counts_as_the_same_answer() -> None:
    one = _raw((0, 0), (20, 1))
    assert batches._alike(one, one) and batches._alike(_raw(), _raw())
    assert batches._alike(one, replace_boxes(one, 1.0))
    assert not batches._alike(one, replace_boxes(one, 3.0))
    assert not batches._alike(one, _raw()) and not batches._alike(_raw(), one)
    assert not batches._alike(one, _raw((0, 0), (20, 2)))
    assert not batches._alike(one, one._replace(masks=0.5 * one.masks))


def replace_boxes(raw: Raw, pixels: float) -> Raw:
    return raw._replace(boxes=raw.boxes + np.float32(pixels))


def test_who_comes_while_it_is_tried_waits_for_it(made: Maker) -> None:
    several, sessions = made(15, 24)
    begun, gate, asked = (threading.Event() for _ in range(3))

    def held(count: int, fixed: Mapping[str, int]) -> InferenceSession:
        begun.set()
        assert gate.wait(60)
        return sessions[count]  # type: ignore[return-value]

    several._make = held

    def second() -> int:
        asked.set()
        several.prepare(SIZE)
        return len(several.trials)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(several.prepare, SIZE)
        assert begun.wait(60)
        later = pool.submit(second)
        assert asked.wait(60)
        gate.set()
        assert later.result(60) == 2
        first.result(60)


def test_what_was_tried_in_vain_is_not_tried_again(made: Maker) -> None:
    several, _ = made(20, 40)
    several.prepare(SIZE)
    trials = several.trials
    several.prepare(SIZE)
    several.prepare((32, 32))
    assert several.trials is trials and several.most == 1
