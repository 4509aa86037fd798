"""What holds for every tracker, ours and those that are registered."""

import importlib
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from stream import tracking
from stream.errors import UsageError
from stream.plugins import Kind
from stream.tracking.base import JUMP, Tracker
from tests.tracking.objects import LEFT, RIGHT, THRESHOLD, Fed, found, moved

each = pytest.mark.parametrize("name", tracking.KIND.names())

rows = npst.arrays(
    np.float32, st.tuples(st.integers(0, 5), st.just(5)), elements=st.floats(0, 1, width=32)
)
times = st.floats(-1e5, 1e5, allow_nan=False) | st.sampled_from([0.0, 0.04, 0.04, 0.08, 3.0])


def test_there_are_trackers_and_each_has_its_name():
    assert "steady" in tracking.names()
    assert tracking.make("none") is None
    with pytest.raises(UsageError, match="there is no tracker 'nobody'; there are none, "):
        tracking.make("nobody")


@each
@given(pictures=st.lists(st.tuples(rows, times), max_size=8))
def test_what_is_shown_was_found_and_each_object_is_one(name, pictures):
    tracker = tracking.make(name)
    assert isinstance(tracker, Tracker)
    assert 0 < tracker.floor <= 1
    for values, seconds in pictures:
        candidates = found(*(((x, y, x + w + 1, y + h + 1), score) for x, y, w, h, score in values))
        candidates = candidates[candidates.scores >= tracker.floor * THRESHOLD]
        before = candidates[:]
        shown = tracker.update(candidates, seconds, THRESHOLD)
        assert candidates == before, "the candidates are not the tracker's to change"
        assert shown.track_ids.dtype == np.int64
        assert len(set(shown.track_ids.tolist())) == len(shown)
        assert all(identity >= 1 for identity in shown.track_ids.tolist())
        # In the order of the candidates, each with its box and mask.
        places = iter(range(len(candidates)))
        for one in shown:
            assert any(
                np.array_equal(candidates.boxes[place], one.box)
                and candidates.scores[place] == np.float32(one.score)
                for place in places
            )


@each
@pytest.mark.parametrize("rate", [3, 10, 30])
def test_what_stays_in_view_is_shown_and_keeps_its_identity(name, rate):
    fed = Fed(tracking.make(name), rate)
    identities = [fed((LEFT, 0.9), (RIGHT, 0.8)) for _ in range(10)]
    assert set(identities[-1]) == {LEFT, RIGHT}
    assert all(one in ({}, identities[-1]) for one in identities)
    # What has been there is at once who it was.
    assert fed((LEFT, 0.9), (RIGHT, 0.8)) == identities[-1]


@each
def test_what_moves_slowly_keeps_its_identity(name):
    fed = Fed(tracking.make(name))
    seen = {}
    for step in range(40):
        box = moved(LEFT, 2 * step)
        seen.update(fed((box, 0.9)))
    assert len(set(seen.values())) == 1


@each
def test_a_gap_of_a_few_pictures_is_no_new_object(name):
    fed = Fed(tracking.make(name))
    for _ in range(5):
        before = fed((LEFT, 0.9))
    for _ in range(3):
        assert fed() == {}
    for _ in range(3):
        after = fed((LEFT, 0.9))
    assert after == before


@each
@pytest.mark.parametrize("by", [-5.0, JUMP + 1])
def test_after_time_has_jumped_what_is_there_is_new(name, by):
    fed = Fed(tracking.make(name))
    for _ in range(5):
        before = fed((LEFT, 0.9), (RIGHT, 0.8))
    fed.wait(by)
    for _ in range(5):
        after = fed((LEFT, 0.9), (RIGHT, 0.8))
    assert set(after) == {LEFT, RIGHT}
    assert not set(after.values()) & set(before.values())


@each
def test_a_slow_model_loses_nobody_who_stays(name):
    fed = Fed(tracking.make(name), rate=0.25)
    identities = [fed((LEFT, 0.9)) for _ in range(6)]
    assert identities[-1] == identities[-2] == identities[-3]
    assert LEFT in identities[-1]


@each
def test_two_runs_know_nothing_of_each_other(name):
    first, second = Fed(tracking.make(name)), Fed(tracking.make(name))
    one = [first((LEFT, 0.9)) for _ in range(4)]
    assert [second((LEFT, 0.9)) for _ in range(4)] == one


PLUGIN = '''
import numpy as np

from stream.tracking.base import Tracker


class Ranks(Tracker):
    """Numbers a frame's objects by their rank."""

    def update(self, candidates, seconds, threshold):
        sure = candidates[candidates.scores >= threshold]
        return sure.with_tracks(np.arange(1, len(sure) + 1))
'''


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """A folder on the path in which another distribution has a tracker, `ranks`."""
    (tmp_path / "rank_tracker.py").write_text(PLUGIN)
    information = tmp_path / "rank_tracker-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: rank-tracker\nVersion: 1.0\n"
    )
    (information / "entry_points.txt").write_text(
        f"[{tracking.KIND.package}]\nranks = rank_tracker:Ranks\nlost = rank_tracker:Lost\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(tracking, "KIND", Kind(tracking.KIND.package, Tracker))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("rank_tracker", None)


@pytest.mark.usefixtures("registered")
def test_another_distribution_adds_a_tracker_by_its_name():
    assert "ranks" in tracking.names()
    tracker = tracking.make("ranks")
    shown = tracker.update(found((LEFT, 0.9), (RIGHT, 0.8)), 0.0, THRESHOLD)
    assert shown.track_ids.tolist() == [1, 2]
    with pytest.raises(UsageError, match="cannot be loaded"):
        tracking.make("lost")
