"""Short gaps in what is shown of footage are filled between two sightings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream
from stream.frame import Frame, Passthrough
from stream.instances import Instances
from stream.run import bridge
from stream.run.bridge import Bridge
from stream.run.figures import Figures, Job, Work
from stream.timing import END_TO_END, Clock
from tests import tiny_models

RATE = 30


def shown(found: dict[int, float], score: float = 0.8) -> Instances:
    """Objects by their number, each with its left side, 20 pixels wide."""
    count = len(found)
    lefts = np.array(list(found.values()), np.float32).reshape(-1, 1)
    boxes = np.concatenate([lefts, np.full((count, 1), 5), lefts + 20, np.full((count, 1), 40)], 1)
    return Instances(
        boxes=boxes.astype(np.float32),
        scores=np.full(count, score, np.float32),
        labels=np.zeros(count, np.int64),
        masks=np.full((count, 28, 28), 0.5, np.float32) * np.float32(score),
        class_names=("person",),
        picture_size=(48, 64),
        track_ids=np.array(list(found), np.int64),
    )


def through(
    frames: Sequence[Instances],
    rate: int = RATE,
    scenes: Sequence[int] | None = None,
    skips: Sequence[int] = (),
) -> list[Instances]:
    """What leaves the bridge of each frame; each is followed by a packet."""
    figures, made = Figures(Clock(), END_TO_END), Bridge()
    left: list[Work] = []
    for index, found in enumerate(frames):
        picture = av.VideoFrame(64, 48, "yuv420p")
        place = index + sum(one <= index for one in skips) * 1000
        frame = Frame(picture, index, place, Fraction(1, rate), instances=found)
        left += made.put(figures.enter(frame), 0 if scenes is None else scenes[index])
        left += made.put_after(Passthrough([]))
    left += made.flush()
    assert [isinstance(one, Job) for one in left] == [True, False] * len(frames)
    jobs = [one for one in left if isinstance(one, Job)]
    assert [one.frame.index for one in jobs] == list(range(len(frames)))
    found = [one.frame.instances for one in jobs]
    return [one for one in found if one is not None]


def numbers(found: Sequence[Instances]) -> list[list[int]]:
    return [[] if one.track_ids is None else sorted(one.track_ids.tolist()) for one in found]


def test_frames_between_rare_inferences_wait_no_longer_than_a_gap_may_last() -> None:
    figures, made = Figures(Clock(), END_TO_END), Bridge()
    jobs = [
        figures.enter(Frame(av.VideoFrame(64, 48, "yuv420p"), index, index, Fraction(1, RATE)))
        for index in range(12)
    ]
    jobs[0].frame.instances = shown({7: 0.0})
    assert list(made.put(jobs[0], 0)) == []
    waits = [list(made.put_after(job)) for job in jobs[1:]]
    assert waits[:4] == [[]] * 4
    assert waits[4] == jobs[:6] and waits[5:] == [[job] for job in jobs[6:]]


def test_who_is_missed_for_a_moment_is_half_of_the_way_there() -> None:
    frames = [shown({7: 0.0, 2: 30.0}, 0.9), shown({2: 30.0}), shown({2: 30.0}), shown({7: 3.0})]
    doubts = shown({}, 0.3)
    frames[1] = replace(frames[1], unsure=doubts)
    found = through(frames)
    assert numbers(found) == [[2, 7], [2, 7], [2, 7], [7]]
    for place in (1, 2):
        (one,) = np.flatnonzero(found[place].track_ids == 7)
        np.testing.assert_allclose(found[place].boxes[one], [place, 5, place + 20, 40], atol=1e-5)
        # As unsure as the less sure of both, its mask between theirs.
        assert found[place].scores[one] == pytest.approx(0.8)
        expected = 0.45 - 0.05 * place / 3
        np.testing.assert_allclose(found[place].masks[one], expected, atol=1e-6)
    assert found[1].unsure is doubts


@pytest.mark.parametrize(
    ("rate", "missed", "filled"),
    [(30, 3, 3), (30, 4, 0), (60, 8, 8), (60, 9, 0), (12, 1, 0), (14, 1, 1), (5, 1, 0)],
)
def test_longer_absences_stay(rate: int, missed: int, filled: int) -> None:
    frames = [shown({1: 5.0}), *[shown({})] * missed, shown({1: 5.0})]
    found = through(frames, rate)
    assert sum(len(one) for one in found) == 2 + filled


def test_nothing_is_filled_across_a_cut_or_a_jump_or_by_another() -> None:
    gap = [shown({1: 5.0}), shown({}), shown({1: 5.0})]
    assert numbers(through(gap)) == [[1], [1], [1]]
    assert numbers(through(gap, scenes=[0, 0, 1])) == [[1], [], [1]]
    assert numbers(through(gap, scenes=[0, 1, 1])) == [[1], [], [1]]
    assert numbers(through(gap, skips=[1])) == [[1], [], [1]]
    assert numbers(through([shown({1: 5.0}), shown({}), shown({2: 5.0})])) == [[1], [], [2]]
    nameless = replace(shown({1: 5.0}), track_ids=None)
    assert numbers(through([nameless, shown({}), nameless])) == [[], [], []]
    mixed = [shown({1: 5.0}), nameless, shown({1: 5.0})]
    assert numbers(through(mixed)) == [[1], [], [1]]


def test_no_more_pictures_are_held_than_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(plane.buffer_size for plane in av.VideoFrame(64, 48, "yuv420p").planes)
    frames = [shown({1: 5.0}), shown({}), shown({}), shown({1: 5.0})]
    for held, filled in ((8, [[1], [1], [1], [1]]), (4, [[1], [], [], [1]])):
        monkeypatch.setattr(bridge, "MOST_HELD", held * size)
        assert numbers(through(frames)) == filled


@given(st.lists(st.sets(st.integers(1, 3)), min_size=1, max_size=14), st.sampled_from([10, 25, 60]))
def test_what_was_shown_stays_and_only_gaps_are_filled(there: list[set[int]], rate: int) -> None:
    frames = [shown({one: 10.0 * one for one in sorted(now)}) for now in there]
    found = through(frames, rate)
    for place, (before, after) in enumerate(zip(there, numbers(found), strict=True)):
        assert before <= set(after) and len(after) == len(set(after))
        for one in set(after) - before:
            sightings = [index for index, now in enumerate(there) if one in now]
            first = max(index for index in sightings if index < place)
            last = min(index for index in sightings if index > place)
            assert (last - first) / rate <= bridge.GAP + 1e-6
        scores = found[place].scores
        assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("track", [True, False])
def test_a_film_shows_somebody_in_the_frames_in_which_he_was_missed(
    tmp_path: Path, every: int, track: bool
) -> None:
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=30, options={"crf": "12"})
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        for index in range(12):
            picture = np.full((240, 320, 3), 40, np.uint8)
            if index not in (6, 7):
                picture[80:180, 40 + 4 * index : 120 + 4 * index] = 255
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
    model = tiny_models.bright(tmp_path / "bright.onnx")
    found: list[list[float]] = []
    with stream.open(tmp_path / "in.mp4", model=model, every=every, track=track) as film:
        for frame in film:
            found.append(frame.instances.boxes[:, 0].tolist())
    missed = [] if track else [6, 7]
    assert [index for index, now in enumerate(found) if not now] == missed
    if track:
        np.testing.assert_allclose(np.ravel(found), 40 + 4 * np.arange(12), atol=3)
