"""Live sources whose pictures are inferred together: what each is shown, who leaves, who fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream import Segmenter
from stream.errors import ModelError
from stream.frame import Frame
from stream.inference import batches
from stream.inference.catalogue import find
from stream.inference.contract import Resize
from stream.inference.postprocess import Raw
from stream.inference.preprocess import Prepared
from stream.inference.route import Route
from stream.inference.session import open_on
from stream.run.beside_display import BesideDisplay
from stream.run.figures import Counts, Figures, Job
from stream.run.finder import Finder
from stream.run.turns import Turns
from stream.timing import CAPTURE_TO_DISPLAY, Clock
from tests import tiny_models
from tests.run.parts import RATE, until

WIDTH, HEIGHT = 160, 120
TICK = Fraction(1, RATE)


class Source:
    """A live source with one bright square at a place of its own; each frame is inferred.

    Args:
        place: which, 0 to 4.
        segmenter: the model that all share.
        turns: likewise.
    """

    def __init__(self, place: int, segmenter: Segmenter, turns: Turns) -> None:
        self.left = 30 * place
        self.detector = segmenter.sharing()
        self.schedule = BesideDisplay(Finder(self.detector), 1, turns=turns)
        self.schedule.watch(Counts)
        self._figures = Figures(Clock(), CAPTURE_TO_DISPLAY)
        self._index = 0

    def step(self, brightness: int = 255) -> Job:
        """One frame, as it leaves the schedule."""
        grey = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        grey[40:60, self.left : self.left + 20] = brightness
        image = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format="yuv420p")
        job = self._figures.enter(Frame(image, self._index, self._index, TICK))
        self._index += 1
        self.schedule.enter(job)
        (left,) = self.schedule.settle([job])
        assert left is job
        return job

    def check(self, job: Job) -> None:
        """The frame was inferred, and what was found is its own square."""
        assert job.inferred and job.frame.instances is not None
        (box,) = job.frame.instances.boxes
        assert np.abs(box - [self.left, 40, self.left + 20, 60]).max() <= 4


class Group:
    """Five sources in threads of their own, the first of whose inferences the test lets through."""

    def __init__(self, segmenter: Segmenter) -> None:
        assert segmenter.gatherer is not None
        self.segmenter, self.gatherer = segmenter, segmenter.gatherer
        self.turns = Turns()
        self.sources = [Source(place, segmenter, self.turns) for place in range(5)]
        self.gate, self.begun = threading.Event(), threading.Event()
        self.pool = ThreadPoolExecutor(8)
        detector = self.sources[0].detector

        def held(prepared: Prepared) -> Raw:
            self.begun.set()
            assert self.gate.wait(60)
            return Segmenter.infer(detector, prepared)

        detector.infer = held  # type: ignore[method-assign]

    def start(self, members: Sequence[Source]) -> list[Future[Job]]:
        """The first begins alone; the others wait for it."""
        first = self.pool.submit(self.sources[0].step)
        assert self.begun.wait(60)
        others = [self.pool.submit(one.step) for one in members]
        until(lambda: self.gatherer.waiting == len(members))
        return [first, *others]

    def close(self) -> None:
        self.gate.set()
        self.pool.shutdown()
        for source in self.sources:
            source.schedule.close()


@pytest.fixture
def group(tmp_path: Path, chosen: Route, monkeypatch: pytest.MonkeyPatch) -> Iterator[Group]:
    monkeypatch.setattr(batches, "choose", lambda trials: (batches.COUNTS, 1))
    resize = Resize("letterbox", width=WIDTH, height=HEIGHT, interpolation="area")
    path = tiny_models.bright(tmp_path / "b.onnx", 100, tiny_models.metadata(resize), layer=True)
    segmenter = Segmenter("tiny", open_on(find(path), chosen))
    segmenter.expect_several(WIDTH, HEIGHT)
    made = Group(segmenter)
    yield made
    made.close()


def test_who_waits_goes_together_and_is_shown_its_own(group: Group) -> None:
    futures = group.start(group.sources[1:])
    group.gate.set()
    for source, future in zip(group.sources, futures, strict=True):
        source.check(future.result(60))
    assert [source.schedule._companions.together for source in group.sources] == [0, 1, 1, 1, 1]
    assert all(source.schedule._turn.mark > 0 for source in group.sources), "each is charged"


def test_who_leaves_meanwhile_keeps_nobody_from_theirs(group: Group) -> None:
    futures = group.start(group.sources[1:])
    leaving = group.pool.submit(group.sources[2].schedule.close)
    group.gate.set()
    leaving.result(60)
    for place in (0, 1, 3, 4):
        group.sources[place].check(futures[place].result(60))
    assert group.turns.members == 4
    group.sources[1].check(group.sources[1].step())


def test_a_run_that_fails_is_made_up_for_one_by_one(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(session, pictures):
        raise RuntimeError("the card is full")

    monkeypatch.setattr(group.gatherer.batches, "_run", fail)
    futures = group.start(group.sources[1:])
    group.gate.set()
    for source, future in zip(group.sources, futures, strict=True):
        source.check(future.result(60))
    assert sum(source.schedule._companions.together for source in group.sources) == 0
    assert group.segmenter.remarks[-1].endswith("one by one: the card is full")


def test_one_sources_failure_ends_that_one(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(prepared):
        raise ModelError("the cable of the card was pulled")

    monkeypatch.setattr(group.sources[1].detector, "infer", fail)
    futures = group.start([group.sources[1]])
    group.gate.set()
    group.sources[0].check(futures[0].result(60))
    with pytest.raises(ModelError, match="the cable"):
        futures[1].result(60)
    group.sources[2].check(group.sources[2].step())


def test_many_frames_of_all(group: Group) -> None:
    group.gate.set()

    def show(source: Source) -> int:
        for _ in range(20):
            source.check(source.step())
        return source.schedule.inferences

    assert list(group.pool.map(show, group.sources)) == [20] * 5
