import numpy as np
import pytest

from stream.inference.segmenter import Segmenter
from stream.tracking.base import DOUBT
from stream.tracking.trackers.steady import MEMORY, Steady
from tests import tiny_models
from tests.tracking.objects import LEFT, RIGHT, THRESHOLD, Fed, moved

DOUBTED = THRESHOLD * (Steady.floor + 1) / 2
RATES = [3, 10, 25, 30, 29.97, 60]


@pytest.fixture
def steady():
    return Fed(Steady())


def test_an_object_in_view_stays_while_it_is_doubted(steady):
    assert list(steady((LEFT, 0.9))) == [LEFT]
    assert list(steady((LEFT, DOUBTED))) == [LEFT]
    beside = moved(LEFT, 4)
    assert list(steady((beside, DOUBTED))) == [beside]


def test_a_new_object_must_reach_the_threshold(steady):
    assert not steady((LEFT, DOUBTED))
    assert not steady((LEFT, DOUBTED))
    assert list(steady((LEFT, THRESHOLD), (RIGHT, DOUBTED))) == [LEFT]


def test_an_object_elsewhere_or_of_another_class_is_another_object(steady):
    assert list(steady((LEFT, 0.9))) == [LEFT]
    assert not steady((RIGHT, DOUBTED))
    assert list(steady((LEFT, 0.9))) == [LEFT]
    assert not steady((LEFT, DOUBTED, 1))


@pytest.mark.parametrize("rate", RATES)
def test_doubt_has_an_end_in_seconds(rate):
    steady = Fed(Steady(), rate)
    assert list(steady((LEFT, 0.9))) == [LEFT]
    lasted = sum(list(steady((LEFT, DOUBTED))) == [LEFT] for _ in range(round(3 * rate)))
    assert lasted == max(1, int((DOUBT + 1e-3) * rate))
    assert list(steady((LEFT, 0.9))) == [LEFT]
    assert list(steady((LEFT, DOUBTED))) == [LEFT]


def test_objects_keep_their_identity_whatever_their_scores(steady):
    assert steady((LEFT, 0.9), (RIGHT, 0.8)) == {LEFT: 1, RIGHT: 2}
    assert steady((LEFT, 0.7), (RIGHT, 0.8)) == {LEFT: 1, RIGHT: 2}
    assert steady((RIGHT, 0.8)) == {RIGHT: 2}
    new = (60.0, 60.0, 90.0, 110.0)
    assert steady((RIGHT, 0.8), (new, 0.95)) == {RIGHT: 2, new: 3}
    # Back in its place after two pictures, it is who it was, but must be sure again.
    assert steady((LEFT, DOUBTED), (RIGHT, 0.8)) == {RIGHT: 2}
    assert steady((LEFT, 0.6), (RIGHT, 0.8)) == {LEFT: 1, RIGHT: 2}


@pytest.mark.parametrize("rate", RATES)
def test_what_is_gone_is_remembered_for_seconds(rate):
    steady = Fed(Steady(), rate)
    assert steady((LEFT, 0.9)) == {LEFT: 1}
    for _ in range(int((MEMORY + 1e-3) * rate) - 1):
        assert steady() == {}
    assert steady((LEFT, 0.9)) == {LEFT: 1}
    for _ in range(int((MEMORY + 1e-3) * rate) + 1):
        assert steady() == {}
    assert steady((LEFT, 0.9)) == {LEFT: 2}


def test_the_nearest_answer_is_the_object(steady):
    assert steady((LEFT, 0.9)) == {LEFT: 1}
    near, far = moved(LEFT, 2), moved(LEFT, 15)
    assert steady((far, 0.9), (near, 0.8)) == {far: 2, near: 1}


def test_a_second_answer_for_the_same_object_is_not_kept(steady):
    assert list(steady((LEFT, 0.9))) == [LEFT]
    half = (10.0, 10.0, 60.0, 70.0)
    assert list(steady((LEFT, 0.9), (half, DOUBTED))) == [LEFT]


def test_a_segmenter_is_asked_for_what_is_below_its_threshold(tmp_path):
    segmenter = Segmenter.load(
        tiny_models.doubtful(tmp_path / "doubtful.onnx"), provider="cpu", threshold=0.5
    )
    steady = Steady()
    counts = []
    for index, brightness in enumerate((0.9, 0.4, 0.2, 0.4)):
        picture = np.full((48, 64, 3), round(255 * brightness), np.uint8)
        prepared = segmenter.preprocess(picture)
        raw = segmenter.infer(prepared)
        candidates = segmenter.postprocess(raw, prepared, steady.floor * segmenter.threshold)
        counts.append(len(steady.update(candidates, index / 25, segmenter.threshold)))
    assert counts == [1, 1, 0, 0]
    assert segmenter.threshold == 0.5
