import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from stream.inference.segmenter import Segmenter
from stream.instances import Instances
from stream.tracking.steady import MEMORY, PATIENCE, SHARE, Steady
from tests import tiny_models

LEFT, RIGHT = (10.0, 10.0, 60.0, 110.0), (100.0, 10.0, 150.0, 110.0)
THRESHOLD = 0.5
DOUBTED = THRESHOLD * (SHARE + 1) / 2


def found(*objects):
    """Instances of (box, score) or (box, score, label), best first."""
    ranked = sorted(objects, key=lambda one: -one[1])
    count = len(ranked)
    return Instances(
        boxes=np.array([one[0] for one in ranked], np.float32).reshape(count, 4),
        scores=np.array([one[1] for one in ranked], np.float32),
        labels=np.array([one[2] if len(one) > 2 else 0 for one in ranked], np.int64),
        masks=np.ones((count, 28, 28), np.float32),
        class_names=("person", "dog"),
        picture_size=(120, 160),
    )


def shown(steady, *objects):
    return [tuple(box) for box in steady.choose(found(*objects), THRESHOLD).boxes.tolist()]


def test_an_object_in_view_stays_while_it_is_doubted():
    steady = Steady()
    assert shown(steady, (LEFT, 0.9)) == [LEFT]
    assert shown(steady, (LEFT, DOUBTED)) == [LEFT]
    moved = (14.0, 10.0, 64.0, 110.0)
    assert shown(steady, (moved, DOUBTED)) == [moved]


def test_a_new_object_must_reach_the_threshold():
    steady = Steady()
    assert shown(steady, (LEFT, DOUBTED)) == []
    assert shown(steady, (LEFT, DOUBTED)) == []
    assert shown(steady, (LEFT, THRESHOLD), (RIGHT, DOUBTED)) == [LEFT]


def test_an_object_elsewhere_or_of_another_class_is_another_object():
    steady = Steady()
    assert shown(steady, (LEFT, 0.9)) == [LEFT]
    assert shown(steady, (RIGHT, DOUBTED)) == []
    assert shown(steady, (LEFT, 0.9)) == [LEFT]
    assert shown(steady, (LEFT, DOUBTED, 1)) == []


def test_doubt_has_an_end():
    steady = Steady()
    assert shown(steady, (LEFT, 0.9)) == [LEFT]
    lasted = sum(shown(steady, (LEFT, DOUBTED)) == [LEFT] for _ in range(2 * PATIENCE))
    assert lasted == PATIENCE
    assert shown(steady, (LEFT, 0.9)) == [LEFT]
    assert shown(steady, (LEFT, DOUBTED)) == [LEFT]


def identities(steady, *objects):
    chosen = steady.choose(found(*objects), THRESHOLD)
    return dict(zip(map(tuple, chosen.boxes.tolist()), chosen.track_ids.tolist(), strict=True))


def test_objects_keep_their_identity_whatever_their_scores():
    steady = Steady()
    assert identities(steady, (LEFT, 0.9), (RIGHT, 0.8)) == {LEFT: 1, RIGHT: 2}
    assert identities(steady, (LEFT, 0.7), (RIGHT, 0.8)) == {LEFT: 1, RIGHT: 2}
    assert identities(steady, (RIGHT, 0.8)) == {RIGHT: 2}
    new = (60.0, 60.0, 90.0, 110.0)
    assert identities(steady, (RIGHT, 0.8), (new, 0.95)) == {RIGHT: 2, new: 3}
    # Back in its place after two pictures, it is who it was, but must be sure again.
    assert identities(steady, (LEFT, DOUBTED), (RIGHT, 0.8)) == {RIGHT: 2}
    assert identities(steady, (LEFT, 0.6), (RIGHT, 0.8)) == {LEFT: 1, RIGHT: 2}


def test_what_is_long_gone_is_forgotten():
    steady = Steady()
    assert identities(steady, (LEFT, 0.9)) == {LEFT: 1}
    for _ in range(MEMORY + 1):
        assert identities(steady) == {}
    assert identities(steady, (LEFT, 0.9)) == {LEFT: 2}


def test_the_nearest_answer_is_the_object():
    steady = Steady()
    assert identities(steady, (LEFT, 0.9)) == {LEFT: 1}
    near, far = (12.0, 10.0, 62.0, 110.0), (25.0, 10.0, 75.0, 110.0)
    assert identities(steady, (far, 0.9), (near, 0.8)) == {far: 2, near: 1}


def test_a_second_answer_for_the_same_object_is_not_kept():
    steady = Steady()
    assert shown(steady, (LEFT, 0.9)) == [LEFT]
    half = (10.0, 10.0, 60.0, 70.0)
    assert shown(steady, (LEFT, 0.9), (half, DOUBTED)) == [LEFT]


@given(
    st.lists(
        npst.arrays(
            np.float32, st.tuples(st.integers(0, 5), st.just(5)), elements=st.floats(0, 1, width=32)
        ),
        max_size=8,
    )
)
def test_what_is_sure_is_always_shown_and_nothing_is_made_up(pictures):
    steady = Steady()
    for rows in pictures:
        objects = [((x, y, x + w + 1, y + h + 1), score) for x, y, w, h, score in rows.tolist()]
        candidates = found(*objects)
        chosen = steady.choose(candidates, THRESHOLD)
        assert (chosen.scores >= THRESHOLD).sum() == (candidates.scores >= THRESHOLD).sum()
        assert len(set(chosen.track_ids.tolist())) == len(chosen)
        assert list(chosen.scores) == sorted(chosen.scores, reverse=True)
        given_boxes = candidates.boxes.tolist()
        assert all(box in given_boxes for box in chosen.boxes.tolist())


def test_a_segmenter_is_asked_for_what_is_below_its_threshold(tmp_path):
    segmenter = Segmenter.load(
        tiny_models.doubtful(tmp_path / "doubtful.onnx"), provider="cpu", threshold=0.5
    )
    steady = Steady()
    counts = []
    for brightness in (0.9, 0.4, 0.2, 0.4):
        picture = np.full((48, 64, 3), round(255 * brightness), np.uint8)
        prepared = segmenter.prepare(picture)
        counts.append(len(steady.finish(segmenter, segmenter.infer(prepared), prepared)))
    assert counts == [1, 1, 0, 0]
    assert segmenter.threshold == 0.5
