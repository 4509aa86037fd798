"""Live: what each frame is shown with, by a clock and a model that the test moves."""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from stream.compositing import Painter, Style
from stream.pictures.pixels import plane_view
from stream.run.beside_display import BesideDisplay
from stream.run.figures import Counts, Figures
from stream.run.finder import Finder
from stream.run.turns import Turns
from stream.system.at_work import somebody_works
from stream.timing import CAPTURE_TO_DISPLAY, Clock
from stream.tracking.base import Tracker
from tests.run.parts import Hands, Looker, prepared_number, until
from tests.scenes import HEIGHT, WIDTH, frame_of, instances_of, overlap, scene, texture

RATE = 30


class Gated(Looker):
    """A detector whose answers come when the test lets them; it sees what is in the frame."""

    def __init__(self, scenes) -> None:
        super().__init__()
        self._scenes = scenes
        self.gate = threading.Semaphore(0)
        self.asked: list[int] = []
        self.images: dict[int, int] = {}

    def preprocess(self, image):
        self.asked.append(self.images[id(image)])
        return prepared_number(self.asked[-1])

    def infer(self, prepared) -> int:
        assert self.gate.acquire(timeout=60)
        return super().infer(prepared)

    def postprocess(self, raw, prepared, threshold=None):
        return instances_of(self._scenes[raw][1])


class Stage:
    """A schedule with a model under control; `step` shows the next frame."""

    def __init__(self, count: int = 40, **options) -> None:
        self.scenes = [scene(60 + 3 * index, 60) for index in range(count)]
        self.hands = Hands()
        self.detector = Gated(self.scenes)
        tracker = options.pop("tracker", None)
        self.schedule = BesideDisplay(Finder(self.detector, tracker), now=self.hands, **options)
        self._figures = Figures(Clock(), CAPTURE_TO_DISPLAY, self.hands)
        self._index = 0
        self.late = 0
        """By how many frames' time the frames come later than at the source's own rate."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.detector.gate.release(1000)
        self.schedule.close()

    def step(self, answered: bool = False):
        """The next frame, as it leaves the schedule; `answered` lets the model answer first."""
        if answered:
            self.answer()
        job = self._come()
        (left,) = self.schedule.settle([job])
        assert left is job
        return job

    def leaving(self):
        """The next frame comes, and others will; returns those that leave the schedule."""
        return list(self.schedule._settled(self._come()))

    def _come(self):
        frame = frame_of(self.scenes[self._index][0], self._index)
        frame.pts += self.late
        self.detector.images[id(frame.image)] = self._index
        self._index += 1
        self.hands.at += 1 / RATE
        job = self._figures.enter(frame)
        self.schedule.enter(job)
        return job

    def answer(self) -> None:
        under_way = self.schedule._under_way
        assert under_way is not None and under_way.future is not None
        self.detector.gate.release()
        assert not wait([under_way.future], 60).not_done

    def overlap(self, job) -> float:
        truth = self.scenes[job.frame.index][1]
        assert job.frame.instances is not None and len(job.frame.instances) == 1
        return overlap(job.frame.instances.full_masks()[0], truth)


def test_masks_that_are_carried_are_of_the_picture_s_own_size():
    """A stream changes to a finer picture; the small grey one of it is the same."""
    with Stage() as stage:
        stage.step()
        assert stage.overlap(stage.step(answered=True)) > 0.9
        luma, truth = stage.scenes[2]
        twice = np.ones((2, 2), np.uint8)
        stage.scenes[2] = np.kron(luma, twice), np.kron(truth, twice).astype(np.bool_)
        larger = stage.step()
        assert larger.frame.instances.picture_size == (2 * HEIGHT, 2 * WIDTH)
        assert stage.overlap(larger) > 0.9
        assert stage.step().frame.instances.picture_size == (HEIGHT, WIDTH)


def test_after_an_outage_nothing_is_shown_where_it_was_before():
    for covers in (False, True):
        with Stage() as stage:
            stage.schedule.cover(wanted=covers)
            stage.step()
            for _ in range(15):
                assert len(stage.step(answered=True).frame.instances) == 1
            stage.late = 2 * RATE
            back = [stage.step(), stage.step(answered=True)]
            for job in back:  # what is answered here was asked before the outage
                found = job.frame.instances
                assert (found is None) != covers
                if covers:
                    assert found.unsure.boxes.tolist() == [[0, 0, WIDTH, HEIGHT]], "anybody"
            after = stage.step(answered=True)
            assert len(after.frame.instances) == 1


def test_a_slow_source_has_no_outages():
    with Stage() as stage:
        for step in range(13):  # as many as its pace is learnt from, and some
            job = stage.step(answered=step > 0)
            stage.late += 9  # three a second
            assert step == 0 or job.frame.instances is not None
        stage.late += 25
        assert stage.step(answered=True).frame.instances is not None


def test_a_slow_model_costs_no_waiting_and_masks_are_where_their_objects_are_now():
    with Stage() as stage:
        jobs = []
        for index in range(30):
            # An answer takes three frames.
            jobs.append(stage.step(answered=index > 0 and index % 3 == 0))
        assert stage.detector.asked == list(range(0, 30, 3)), "the newest there was, each time"
        assert not any(job.inferred for job in jobs), "all are answered too late for themselves"
        assert stage.schedule.inferences == 9, "and count all the same; the tenth is under way"
        assert jobs[0].frame.instances is None, "before the first answer there is nothing"
        overlaps = [stage.overlap(job) for job in jobs[4:]]
        assert np.mean(overlaps) > 0.85
        # Three to five frames late, a mask left in its place would be off by nine pixels and more.
        assert all("motion" in job.frame.stages for job in jobs)


def test_where_people_are_hidden_nothing_is_bare_before_the_first_answer_nor_after_a_cut():
    with Stage() as stage:
        stage.schedule.cover(wanted=True)
        stage.scenes[8:] = [(texture(HEIGHT, WIDTH, 5), stage.scenes[8][1])] * 20
        painter = Painter("hide", Style(cover_memory=0))
        for index in range(12):
            job = stage.step(answered=index == 4)
            assert job.frame.instances is not None
            assert not job.frame.instances.class_names or index >= 4, "no class is made up"
            painter.paint(job.frame)
            luma = plane_view(job.frame.image.planes[0])
            whole = len(np.unique(luma)) == 1
            assert whole == (index < 4 or index >= 8), index


@pytest.mark.parametrize("covers", [False, True])
def test_nothing_is_carried_into_a_half_of_the_picture_that_is_another_scene(covers):
    """As where a film is shown beside something that stands still; covers stay, to be safe."""
    image, inside = scene(40, 60)
    for name, half, count in (
        ("where nobody is", np.s_[:, WIDTH // 2 :], 1),
        ("where somebody is", np.s_[:, : WIDTH // 2], int(covers)),
    ):
        before, later = image.copy(), image.copy()
        before[half], later[half] = image[half] // 4, 130 - image[half] // 4
        with Stage() as stage:
            stage.schedule.cover(wanted=covers)
            stage.scenes[:] = [(before, inside)] * 3 + [(later, inside)] * 9
            shown = [stage.step(answered=place == 2).frame.instances for place in range(6)]
            assert [len(one) for one in shown[2:]] == [1, count, count, count], name
            assert len(stage.step(answered=True).frame.instances) == count
            assert len(stage.step(answered=True).frame.instances) == 1, "which was looked at itself"


@pytest.mark.parametrize("covers", [False, True])
def test_what_moves_too_fast_to_be_followed_is_left_out_until_it_is_found_again(covers):
    """A mask beside its object is worse than none; a cover there is better than none."""
    before, after = (
        ((image // 4 + 60 * inside + np.linspace(0, 120, WIDTH)).astype(np.uint8), inside)
        for image, inside in (scene(10, 10), scene(190, 130))
    )
    with Stage() as stage:
        stage.schedule.cover(wanted=covers)
        stage.scenes[:] = [before] * 3 + [after] * 9
        shown = [stage.step(answered=place == 2).frame.instances for place in range(6)]
        assert [len(one) for one in shown[2:]] == [1, *[int(covers)] * 3]
        stage.step(answered=True)
        assert len(stage.step(answered=True).frame.instances) == 1


def test_a_fast_model_has_its_say_on_the_very_frame():
    with Stage() as stage:
        stage.step()
        stage.answer()
        stage.schedule.expected = 0.001
        stage.detector.gate.release(20)
        jobs = [stage.step() for _ in range(10)]
        assert all(job.inferred for job in jobs)
        assert min(stage.overlap(job) for job in jobs) > 0.95
        assert {"preprocess", "infer", "postprocess", "motion"} <= set(jobs[-1].frame.stages)


def test_a_frame_does_not_wait_for_a_model_that_is_too_slow():
    with Stage() as stage:
        stage.step()
        stage.answer()
        stage.schedule.expected = 0.1
        job = stage.step()
        assert not job.inferred
        assert stage.detector.asked == [0, 1], "it was asked, and the frame went on without it"


def test_the_time_between_pictures_is_learnt_of_few_and_an_outage_is_none():
    with Stage() as stage:
        figures = Figures(Clock(), CAPTURE_TO_DISPLAY, stage.hands)

        def enter(*milliseconds: int) -> float:
            schedule = BesideDisplay(Finder(stage.detector, None), now=stage.hands)
            for at in milliseconds:
                frame = frame_of(stage.scenes[0][0], 0)
                frame.pts, frame.time_base = at, Fraction(1, 1000)
                schedule.enter(figures.enter(frame))
            schedule.close()
            return schedule.frame_interval

        assert enter(*range(0, 5000, 1000)) == pytest.approx(1.0, rel=0.3)
        assert enter(*range(0, 900_000, 30_000)) == pytest.approx(2.0, abs=0.2), "and no more"
        steady = [round(index * 1000 / 30) for index in range(60)]
        assert enter(*steady) == pytest.approx(1 / 30, rel=0.05)
        assert enter(*steady, *(at + 22_000 for at in steady[:2])) == pytest.approx(1 / 30, rel=0.3)


def test_a_source_of_few_pictures_waits_for_its_turn_where_others_are_quicker():
    turns = Turns()
    other = turns.join()
    with Stage(turns=turns) as stage:
        assert other.take()
        stage.step()
        assert stage.detector.asked == [], "one of thirty a second goes on without"
        stage.schedule._intervals.seconds = 1.0
        timer = threading.Timer(0.01, other.give_back, (0.1, "model"))
        timer.start()
        stage.step()
        timer.join()
        assert stage.detector.asked == [1]


def test_an_inference_that_never_began_leaves_its_turn_to_others():
    turns = Turns()
    other = turns.join()
    stage = Stage(turns=turns)
    # On a busy machine the source may end before its inference's thread has begun.
    begun, held = threading.Event(), threading.Event()
    stage.schedule._pool.submit(lambda: (begun.set(), held.wait(60)))
    assert begun.wait(60)
    stage.step()
    assert not other.take()
    closing = threading.Thread(target=stage.schedule.close)
    closing.start()
    until(stage.schedule._under_way.future.cancelled)
    held.set()
    closing.join(60)
    assert other.take()


def test_every_1_waits_for_each_frame_s_own_inference():
    with Stage(interval=1) as stage:
        stage.schedule.expected = 5.0
        jobs = []
        for _ in range(5):
            timer = threading.Timer(0.01, stage.detector.gate.release)
            timer.start()
            jobs.append(stage.step())
            timer.join()
        assert all(job.inferred for job in jobs)
        assert stage.detector.asked == [0, 1, 2, 3, 4]


def test_every_nth_frame_is_asked_about():
    with Stage(interval=4) as stage:
        for index in range(12):
            stage.step(answered=index in (4, 8))
        assert stage.detector.asked == [0, 4, 8]


def test_an_error_of_the_model_is_raised():
    with Stage() as stage:

        def broken(prepared):
            raise RuntimeError("the model broke")

        stage.detector.infer = broken

        def show_until_it_is_raised():
            stage.step()
            under_way = stage.schedule._under_way
            until(under_way.future.done)
            stage.step()

        with pytest.raises(RuntimeError, match="the model broke"):
            show_until_it_is_raised()


class Followed(Tracker):
    """Notes what it is told."""

    floor = 0.5

    def __init__(self):
        self.seen = []

    def update(self, candidates, seconds, threshold):
        self.seen.append((len(candidates), round(seconds * RATE), threshold))
        return candidates.with_tracks(np.array([7]))


def test_what_was_found_is_followed_and_identities_are_carried_along():
    tracker = Followed()
    with Stage(tracker=tracker) as stage:
        stage.detector.threshold = 0.4
        for index in range(7):
            job = stage.step(answered=index in (3, 6))
        assert tracker.seen == [(1, 0, 0.4), (1, 3, 0.4)]
        assert job.frame.instances.track_ids.tolist() == [7]


def test_inference_rests_where_the_display_cannot_keep_up():
    with Stage() as stage:
        schedule = stage.schedule
        schedule.adapt(keeps_up=False)
        assert schedule.rest == 0, "before the first answer there is nothing to go by"
        schedule.expected = 0.1
        for _ in range(20):
            schedule.adapt(keeps_up=False)
        assert schedule.rest == pytest.approx(0.2)
        schedule.rest = 0.0
        stage.step()
        stage.answer()
        schedule.rest = 2.5 / RATE
        asked = [len(stage.detector.asked) for _ in range(4) if stage.step()]
        assert asked == [1, 1, 2, 2], "it pauses for that long once it is idle"
        schedule.adapt(keeps_up=True)
        assert schedule.rest == 2.5 / RATE, "it has lost frames not long ago"
        stage.hands.at += 30
        for _ in range(30):
            schedule.adapt(keeps_up=True)
        assert schedule.rest == 0


def test_sources_that_share_the_model_share_its_rest():
    turns = Turns()
    others = [turns.join() for _ in range(3)]
    with Stage(turns=turns) as stage:
        stage.step(answered=False)
        for one in others:
            one.take()
        schedule = stage.schedule
        assert schedule._turn.sources == 4
        for expected, longest in ((0.06, 0.04), (0.2, 0.1)):
            schedule.expected = expected
            for _ in range(100):
                for one in others:
                    one.take()
                schedule._turn.seen = time.perf_counter()
                schedule.adapt(keeps_up=False)
            assert schedule.rest == pytest.approx(longest), "each has its two a second, or nearly"


@pytest.mark.parametrize("alone", [True, False])
def test_it_sees_by_the_counts_whether_the_display_keeps_up(alone):
    turns = Turns()
    other = turns.join()
    with Stage(turns=turns) as stage:
        counts = [Counts()]
        stage.schedule.watch(lambda: counts[0])
        stage.schedule.expected = 0.1
        stage.schedule._way.fine = stage.schedule._way.waits = False  # which come before
        for lost, kept_up in ((10, False), (0, True), (1, alone), (10, False), (0, True)):
            counts[0] = replace(
                counts[0], shown=counts[0].shown + 30, dropped=counts[0].dropped + lost
            )
            before = stage.schedule.rest
            stage.hands.at += 1.1
            if not alone:
                other.seen = stage.schedule._turn.seen = time.perf_counter()
            stage.schedule._adapt()
            assert (stage.schedule.rest > before) != kept_up


@pytest.mark.parametrize(("every", "forgiven"), [(3, False), (6, False), (8, True)])
def test_one_of_several_sources_is_forgiven_a_frame_in_seven_seconds(every, forgiven):
    turns = Turns()
    other = turns.join()
    with Stage(turns=turns) as stage:
        counts = [Counts()]
        stage.schedule.watch(lambda: counts[0])
        stage.schedule.expected = 0.1
        stage.schedule._way.fine = stage.schedule._way.waits = False
        for look in range(60):
            lost = int(look % every == 0)
            counts[0] = replace(
                counts[0], shown=counts[0].shown + 30, dropped=counts[0].dropped + lost
            )
            stage.hands.at += 1.1
            other.seen = stage.schedule._turn.seen = time.perf_counter()
            stage.schedule._adapt()
            assert stage.schedule._way.fine <= forgiven
        assert (stage.schedule.rest == 0) == forgiven


def test_of_several_sources_frames_first_wait_no_more_for_their_own_inference():
    turns = Turns()
    other = turns.join()
    with Stage(turns=turns) as stage:
        schedule = stage.schedule
        schedule.expected = 0.1 / RATE
        stage.step(answered=False)

        def adapt(keeps_up):
            other.seen = schedule._turn.seen = time.perf_counter()
            schedule.adapt(keeps_up=keeps_up)
            return schedule._way.waits, schedule._propagator.fine, schedule.rest > 0

        assert schedule._waiting_time() > 0
        assert adapt(False) == (False, True, False)
        assert schedule._waiting_time() == 0
        assert adapt(False) == (False, False, False)
        again = [adapt(True) for _ in range(30)]
        assert again == 9 * [(False, False, False)] + 20 * [(False, True, False)] + [
            (True, True, False)
        ]


def test_where_a_card_computes_frames_of_several_sources_go_on_waiting_for_their_own():
    turns = Turns()
    other = turns.join()
    with Stage(turns=turns) as stage:
        schedule = stage.schedule
        stage.detector.spares_cores = True
        schedule.expected = 0.1 / RATE
        stage.step(answered=False)
        for rests in (False, True):
            other.seen = schedule._turn.seen = time.perf_counter()
            schedule.adapt(keeps_up=False)
            assert schedule._way.waits and not schedule._propagator.fine
            assert (schedule.rest > 0) is rests


def test_what_is_lost_while_another_source_opens_changes_nothing():
    hands = Hands()
    turns = Turns(now=hands)
    other = turns.join()
    with Stage(turns=turns) as stage:
        counts = [Counts()]
        stage.schedule.watch(lambda: counts[0])
        stage.schedule.expected = 0.1

        def second(lost):
            counts[0] = replace(
                counts[0], shown=counts[0].shown + 30, dropped=counts[0].dropped + lost
            )
            hands.at += 1.1
            stage.hands.at += 1.1
            other.seen = stage.schedule._turn.seen = hands.at
            stage.schedule._adapt()
            return stage.schedule._way.waits

        with turns.opening():
            assert second(20) and second(20)
        hands.at -= 0.5
        assert second(20), "and just after"
        assert second(0)
        assert not second(20), "but later it does"


def test_masks_are_carried_less_exactly_before_inference_rests_and_exactly_again_later():
    with Stage() as stage:
        schedule = stage.schedule
        schedule.expected = 0.1
        schedule.adapt(keeps_up=False)
        assert not schedule._propagator.fine and schedule.rest == 0, "that may be enough"
        for patience in (10, 20, 40):
            for _ in range(patience - 1):
                schedule.adapt(keeps_up=True)
            assert not schedule._propagator.fine
            schedule.adapt(keeps_up=True)
            assert schedule._propagator.fine, "it has kept up for long"
            schedule.adapt(keeps_up=False)
            assert not schedule._propagator.fine and schedule.rest == 0
        schedule.adapt(keeps_up=False)
        assert schedule.rest > 0
        for _ in range(70):
            schedule.adapt(keeps_up=True)
            assert not (schedule.rest and schedule._propagator.fine)
        schedule.adapt(keeps_up=False)
        schedule.watch(Counts, lambda: False)
        stage.step(answered=False)
        assert not schedule._propagator.fine, "nobody has looked meanwhile"


def test_a_run_that_was_told_to_stop_leaves_an_inference_alone():
    """As where the model is being opened for a size: on a busy machine that took half a minute."""
    with Stage(interval=1) as stage:
        stopped = threading.Event()
        stage.schedule._grace = 0.1
        stage.schedule.watch(Counts, stopped=stopped.is_set)
        stopped.set()
        job = stage.step()  # the model answers nothing
        assert not job.inferred and somebody_works()
        stage.schedule.close()
        assert somebody_works()
    until(lambda: not somebody_works())


def test_a_stopped_run_covers_what_no_inference_came_to():
    with Stage() as stage:
        stopped = threading.Event()
        stage.schedule._grace = 0.1
        stage.schedule.watch(Counts, stopped=stopped.is_set)
        stage.schedule.cover(wanted=True, hides=True)
        stopped.set()
        first, second = stage._come(), stage._come()
        left = list(stage.schedule.settle([first, second]))
        assert left == [first, second]
        for job in left:
            found = job.frame.instances
            assert found is not None and found.unsure is not None
            assert found.unsure.boxes.tolist() == [[0, 0, WIDTH, HEIGHT]], "anybody"
    until(lambda: not somebody_works())
