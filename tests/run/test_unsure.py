import threading
from dataclasses import replace

import numpy as np

import stream
from stream.compositing import Painter
from stream.frame import Frame
from stream.instances import Instances
from stream.run.branch import Branch
from stream.run.branches import Branches
from stream.run.finder import Finder
from stream.run.look_ahead import LookAhead
from stream.run.output import Output
from stream.run.run import Run
from stream.run.schedule import EachFrame
from stream.run.unsure import FLOOR, anybody, doubting, looked_at, unsure_of
from stream.tracking.trackers.motion import Motion
from tests import tiny_models
from tests.run.parts import Grey, Kept, Looker, prepared_grey
from tests.tracking.objects import LEFT, RIGHT, THRESHOLD, found, moved

BELOW = (10.0, 60.0, 60.0, 110.0)


def test_what_is_not_shown_is_left_and_nothing_else():
    candidates = found((LEFT, 0.9), (RIGHT, 0.8), (BELOW, 0.3))
    shown = candidates.select([0, 2]).with_tracks(np.array([4, 5]))
    left = unsure_of(candidates, shown, THRESHOLD)
    assert left == candidates.select([1])
    assert len(unsure_of(candidates, candidates, THRESHOLD)) == 0
    assert unsure_of(candidates, candidates.select([]), THRESHOLD) == candidates


def test_two_with_the_same_box_are_two():
    candidates = found((LEFT, 0.9), (LEFT, 0.8))
    assert len(unsure_of(candidates, candidates.select([0]), THRESHOLD)) == 1


def test_what_a_tracker_sees_below_that_does_not_count():
    candidates = found((LEFT, 0.9), (RIGHT, FLOOR * THRESHOLD), (BELOW, FLOOR * THRESHOLD - 0.02))
    shown = candidates.select([0]).with_tracks(np.array([1]))
    assert unsure_of(candidates, shown, THRESHOLD) == candidates.select([1])


def test_who_comes_is_there_before_and_who_is_doubted_later_is_not():
    candidates = found((LEFT, 0.9))
    following = [
        (0.04, found((moved(LEFT, 3), 0.9), (BELOW, 0.4))),
        (0.08, found((moved(LEFT, 6), 0.9), (RIGHT, 0.7))),
        (0.12, found((moved(RIGHT, 2), 0.95))),
    ]
    left = unsure_of(candidates, candidates, THRESHOLD, following)
    assert left == following[1][1].select([1])
    # Nobody is known where the picture was empty.
    left = unsure_of(found(), found(), THRESHOLD, following[2:])
    assert left == following[2][1]


def test_who_comes_counts_from_the_threshold_on_whatever_came_between():
    following = [(0.04, found()), (0.08, found((RIGHT, THRESHOLD), (BELOW, THRESHOLD - 0.01)))]
    left = unsure_of(found(), found(), THRESHOLD, following)
    assert left == following[1][1].select([0])


def test_a_frame_that_was_looked_at_has_no_doubts_that_only_others_need():
    doubts = found((RIGHT, FLOOR * THRESHOLD), (BELOW, FLOOR * THRESHOLD - 0.01))
    seen = replace(found((LEFT, 0.9)), unsure=doubts)
    assert looked_at(seen, THRESHOLD).unsure == doubts.select([0])
    surer = replace(seen, unsure=doubts.select([0]))
    assert looked_at(surer, THRESHOLD) is surer
    plain = found((LEFT, 0.9))
    assert looked_at(plain, THRESHOLD) is plain


def test_where_nothing_is_known_all_of_the_picture_may_be_somebody():
    nothing = anybody((48, 64))
    assert len(nothing) == 0 and nothing.picture_size == (48, 64)
    assert nothing.unsure.boxes.tolist() == [[0, 0, 64, 48]]
    assert nothing.unsure.full_masks().all(), "to the last row and column"


def test_what_others_see_is_unsure_beside_what_is_found():
    one, other = found((LEFT, 0.9)), found((RIGHT, 0.8))
    both = doubting(one, replace(other, unsure=found((BELOW, 0.2))))
    assert both.select([0]).boxes.tolist() == one.boxes.tolist()
    assert both.unsure.boxes.tolist() == found((RIGHT, 0.8), (BELOW, 0.2)).boxes.tolist()
    # What was unsure stays so.
    more = doubting(replace(one, unsure=found((BELOW, 0.2))), other)
    assert more.unsure.boxes.tolist() == found((BELOW, 0.2), (RIGHT, 0.8)).boxes.tolist()
    assert doubting(one, None) is one and doubting(one, found()) is one
    assert doubting(None, None) is None
    unknown = doubting(None, other)
    assert len(unknown) == 0 and unknown.unsure.boxes.tolist() == other.boxes.tolist()
    nobody = doubting(None, found())
    assert len(nobody) == 0 and nobody.unsure is None


class Doubts(Looker):
    """Finds one for certain and one down to the floor."""

    threshold = 0.8

    def preprocess(self, image):
        return prepared_grey(image)

    def infer(self, prepared):
        return None

    def postprocess(self, raw, prepared, threshold=None):
        least = self.threshold if threshold is None else threshold
        every = Instances(
            boxes=np.array([[4, 4, 20, 40], [40, 4, 60, 40]], np.float32),
            scores=np.array([0.95, self.threshold * (FLOOR + 0.1)], np.float32),
            labels=np.zeros(2, np.int64),
            masks=np.ones((2, 28, 28), np.float32),
            class_names=("person",),
            picture_size=(48, 64),
        )
        return every.select(every.scores >= least)


def outcome_of(schedule, *looks):
    """What sinks of these looks were given, and what the run says of itself."""
    sinks = [Kept() for _ in looks]
    outputs = [
        Output(sink, look, Painter(look) if look else None)
        for sink, look in zip(sinks, looks, strict=True)
    ]
    run = Run(Grey(8), schedule, outputs)
    assert run.run().error is None
    return sinks, run.all_remarks


def test_layers_that_cover_are_told_what_is_unsure_and_others_are_not():
    for tracker in (Motion(), None):
        for make in (EachFrame, lambda finder: LookAhead(finder, 3)):
            (sink,), remarks = outcome_of(make(Finder(Doubts(), tracker)), "hide")
            assert [len(one) for one in sink.found] == [1] * 8
            assert all(len(one.unsure) >= 1 for one in sink.found)
            for image in sink.images:
                luma = np.asarray(image.to_ndarray())[:48]
                assert len(np.unique(luma[8:36, 42:58])) == len(np.unique(luma[8:36, 6:18])) == 1
                assert luma[20, 50] == luma[20, 10] != luma[45, 30]
            assert any("not sure" in one for one in remarks), remarks
            (sink,), remarks = outcome_of(make(Finder(Doubts(), tracker)), "contour")
            assert [one.unsure for one in sink.found] == [None] * 8


def test_what_is_wanted_can_change_on_the_way():
    run = Run(Grey(0), EachFrame(finder := Finder(Doubts())), [])
    assert not finder.covers
    output = Output(Kept(), "a", Painter("overlay"))
    run.add(output)
    assert not finder.covers
    run.repaint(output, Painter("pixelate+labels"))
    assert finder.covers
    run.repaint(output, Painter("blur"))
    assert not finder.covers
    assert run.run().error is None


def test_what_is_to_be_covered_is_known_before_it_is_painted_and_for_as_long(monkeypatch):
    run = Run(Grey(0), EachFrame(finder := Finder(Doubts())), [])
    outputs = [Output(Kept(), name, Painter("overlay")) for name in "ab"]
    for output in outputs:
        run.add(output)
    seen = []
    paint = Branch.repaint

    def repaint(self, painter):
        seen.append(finder.covers)
        paint(self, painter)

    monkeypatch.setattr(Branch, "repaint", repaint)
    for look in ("hide", "blur", "pixelate"):
        run.repaint(outputs[0], Painter(look))
    assert seen == [True] * 3  # as long as the old layers are painted they are told, too
    # An output that leaves the others' painting begins with one that knows, as well.
    run.repaint(outputs[0], Painter("blur"))
    suiting = Branches.suiting

    def suits(self, output):
        seen.append(finder.covers)
        return suiting(self, output)

    monkeypatch.setattr(Branches, "suiting", suits)
    run.repaint(outputs[0], Painter("hide"), alone=True)
    assert seen == [True] * 5
    assert run.run().error is None


def hidden_on_the_way(schedule):
    """What a sink got of a run in which `hide` was chosen while its frame 5 was painted.

    Other threads paint the frames behind it meanwhile: those that were begun before are told too.
    """
    waiting, goes_on, begun = threading.Event(), threading.Event(), set()

    class Slow(Painter):
        def paint(self, frame, lines=()):
            begun.add(frame.index)
            if frame.index == 5:
                waiting.set()
                goes_on.wait(60)
            super().paint(frame, lines)

    class Waits(Grey):
        """Gives a few frames beyond that one, however late the look is chosen."""

        def __iter__(self):
            for item in super().__iter__():
                if isinstance(item, Frame) and item.index == 12:
                    goes_on.wait(60)
                yield item

    sink = Kept()
    output = Output(sink, "a", Slow("overlay"))
    run = Run(Waits(40), schedule, [output])

    def choose():
        if waiting.is_set() and not goes_on.is_set():
            run.repaint(output, Painter("hide"))
            goes_on.set()

    assert run.run(on_tick=choose, tick=0.001).error is None
    return sink, begun


def test_what_is_under_way_when_layers_begin_to_cover_is_covered_whole():
    for make in (EachFrame, lambda finder: LookAhead(finder, 3)):
        sink, begun = hidden_on_the_way(make(Finder(Doubts())))
        lumas = [np.asarray(image.to_ndarray())[:48] for image in sink.images]
        unknown = [found.unsure is None for found in sink.found]
        assert all(unknown[:6]) and not any(unknown[20:])
        assert begun >= set(range(6)) and max(begun) < 12
        later = [index for index in range(40) if index not in begun]
        for luma, whole in ((lumas[index], unknown[index]) for index in later):
            assert luma[20, 50] == luma[20, 10], "who is doubted is bare"
            assert not whole or luma[45, 30] == luma[20, 10]
        assert lumas[-1][45, 30] != lumas[-1][20, 10]


def test_a_frame_keeps_what_is_unsure_when_it_is_picked_from():
    both = found((LEFT, 0.9), (RIGHT, 0.8)).joined([found((BELOW, 0.85, 1))])
    assert both.scores.tolist() == np.array([0.9, 0.85, 0.8], np.float32).tolist()
    assert both.names == ["person", "dog", "person"]
    known = replace(found((LEFT, 0.9)), unsure=both)
    assert known[:0].unsure is both
    assert "unsure: 3" in repr(known)
    assert known != found((LEFT, 0.9))


def test_in_python_too_what_is_doubted_is_hidden(tmp_path):
    # In the 64 x 48 pixels that the model sees.
    boxes = [[4, 4, 24, 24], [32, 8, 56, 32], [8, 32, 24, 44]]
    path = tiny_models.constant(tmp_path / "m.onnx", boxes, scores=[0.9, 0.35, 0.1])
    segmenter = stream.Segmenter.load(path, provider="cpu", threshold=0.6)
    pictures = [np.full((120, 160, 3), 30 * index, np.uint8) for index in range(4, 8)]
    with stream.open(pictures, fps=25, segmenter=segmenter) as video:
        found = [(frame.rgb(), frame.instances) for frame in video]
    found.append((pictures[0], segmenter(pictures[0])))
    assert len(found) == 5
    for rgb, instances in found:
        assert len(instances) == len(instances.unsure) == 1
        for look in ("hide", "pixelate"):
            drawn = stream.draw(rgb, instances[:1], look=look)
            if look == "hide":
                assert (drawn[25:75, 85:135] == drawn[30, 30]).all()
                assert (drawn[30, 30] != rgb[30, 30]).any()
            assert np.array_equal(drawn[90:, 80:], rgb[90:, 80:])
        assert np.array_equal(stream.draw(rgb, instances[:0], look="fill"), rgb)
