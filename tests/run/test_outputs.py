"""Many outputs: each at its own pace, painted once where they look alike, joining and leaving."""

from __future__ import annotations

import itertools
import os
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.frame import Frame
from stream.queues import WhenFull
from stream.run.branches import Branches
from stream.run.figures import Figures
from stream.run.opening import make_painter
from stream.run.output import Output
from stream.run.policy import LIVE
from stream.settings.options import PictureOptions
from stream.sinks.video import VideoSink
from stream.timing import CAPTURE_TO_DISPLAY, Clock
from tests.run.parts import (
    PATIENCE,
    RATE,
    Grey,
    Held,
    Kept,
    Shown,
    check_every_frame_counts_once,
    make_run,
    until,
)


def test_two_outputs_get_every_frame_and_packet():
    first, second = Kept(), Kept()
    run = make_run(Grey(50), first, second)
    outcome = run.run()
    assert outcome.error is None
    for sink in (first, second):
        assert sink.order == ["packet", "frame"] * 50
        assert sink.frames == list(range(50))
    assert outcome.counts.written == 50, "a frame counts once, in however many files it is"
    assert {"encode", "encode sink 1"} <= set(run.clock.figures())


class Counted:
    """A painter that counts, and marks what it painted."""

    timing = covers = False

    def __init__(self, key: str, mark: int) -> None:
        self.key, self.mark = key, mark
        self.painted = 0
        self.begun: list[str] = []

    def begin(self) -> None:
        self.begun.append(threading.current_thread().name)

    def paint(self, frame: Frame, figures=()) -> None:
        assert self.begun == [threading.current_thread().name], "it was made ready in its thread"
        frame.image.make_writable()
        plane = frame.image.planes[1]
        plane.update(bytes([self.mark]) * plane.buffer_size)
        self.painted += 1

    def close(self) -> None:
        """It holds nothing."""


def chroma(image):
    return bytes(image.planes[1])[0]


def test_outputs_with_the_same_layers_share_one_painting_and_others_do_not_see_it():
    painters = [Counted("a", 10), Counted("a", 10), Counted("b", 20)]
    sinks = [Kept() for _ in range(4)]
    outputs = [
        Output(sink, f"{number}", painter)
        for number, (sink, painter) in enumerate(zip(sinks, [*painters, None], strict=True))
    ]
    run = make_run(Grey(30))
    for output in outputs:
        run.add(output)
    assert run.run().error is None
    assert [painter.painted for painter in painters] == [30, 0, 30]
    assert run.clock.figures()["composite"].frames == 60
    for sink, mark in zip(sinks, (10, 10, 20, None), strict=True):
        assert sink.frames == list(range(30))
        for index, image in enumerate(sink.images):
            assert chroma(image) == (index if mark is None else mark)


def test_a_dead_output_is_reported_and_the_others_go_on(caplog):
    good, bad = Kept(), Kept(fails_at=10)
    outcome = make_run(Grey(200), bad, good).run()
    assert good.frames == list(range(200))
    assert (good.closed, good.aborted) == (1, 0)
    assert bad.frames == list(range(10))
    assert (bad.closed, bad.aborted) == (0, 1)
    assert "disk is full" in str(outcome.error)
    assert outcome.counts.written == 200
    assert "the other outputs go on" in caplog.text


def test_outputs_that_all_die_end_the_run():
    source = Grey(10**6)
    outcome = make_run(source, Kept(fails_at=5), Kept(fails_at=9)).run()
    assert "disk is full" in str(outcome.error)
    assert source.given < 100
    check_every_frame_counts_once(outcome)


def test_an_output_joins_and_leaves_while_the_run_goes_on():
    source, always, guest = Held(), Kept(), Kept()
    run = make_run(source, always, policy=LIVE)
    output = Output(guest, "guest", from_first=True, info=source.info)

    def give(frames):
        for _ in range(frames):
            before = len(always.frames)
            source.let()
            until(lambda before=before: len(always.frames) > before)

    def act():
        give(5)
        run.add(output)
        give(5)
        until(lambda: len(guest.frames) == 5)
        run.remove(output)
        until(lambda: guest.closed == 1)
        give(5)
        run.stop()

    thread = threading.Thread(target=act)
    thread.start()
    outcome = run.run()
    thread.join()
    assert outcome.error is None
    assert always.frames == list(range(15))
    assert guest.frames == list(range(5, 10))
    assert guest.times == [Fraction(n, RATE) for n in range(5)], "its own time line"
    assert guest.closed == 1
    assert guest.packets and all(offset == Fraction(5, RATE) for offset in guest.offsets)
    assert set(guest.packets) <= {bytes([index]) for index in range(5, 12)}
    check_every_frame_counts_once(outcome)


def test_a_slow_output_of_a_live_run_slows_nobody():
    source, quick = Held(), Shown()
    gate = threading.Event()
    slow = Kept(on_frame=lambda frame: gate.wait(30))
    run = make_run(source, policy=LIVE)
    run.add(Output(quick, "display", when_full=WhenFull.LATEST, capacity=1))
    run.add(Output(slow, "slow", when_full=WhenFull.DROP_OLDEST, capacity=3))

    def act():
        for index in range(20):
            source.let()
            until(lambda index=index: len(quick.frames) == index + 1)
        gate.set()
        run.stop()

    thread = threading.Thread(target=act)
    thread.start()
    outcome = run.run()
    thread.join()
    assert len(quick.frames) == 20
    assert slow.frames == [0, 17, 18, 19], "the one in hand, and the newest that wait"
    output = run.outputs[1]
    assert output.figures.dropped == 16
    assert "16 frames are missing in slow" in output.remarks[0]
    assert outcome.counts.dropped == 0, "all were shown"
    assert (outcome.counts.written, outcome.counts.shown) == (4, 16)
    check_every_frame_counts_once(outcome)
    assert run.clock.figures()[CAPTURE_TO_DISPLAY].frames == 20


def test_what_was_not_painted_in_time_is_missing_in_a_file_and_said_though_others_have_it():
    """Records need no painting, so that they miss nothing where a machine is busy for a moment."""
    source, records, busy = Held(), Kept(), threading.Event()

    class Busy(Counted):
        remarks = ()

        def paint(self, frame: Frame, figures=()) -> None:
            busy.wait(30)

    run = make_run(source, policy=LIVE)
    run.add(Output(records, "records", when_full=WhenFull.DROP_OLDEST, capacity=30))
    film = Output(Kept(), "film", Busy("busy", 1), when_full=WhenFull.DROP_OLDEST, capacity=30)
    run.add(film)

    def act():
        for index in range(20):
            source.let()
            until(lambda index=index: len(records.frames) == index + 1)
        busy.set()
        run.stop()

    thread = threading.Thread(target=act)
    thread.start()
    outcome = run.run()
    thread.join()
    assert records.frames == list(range(20)) and run.outputs[0].remarks == []
    assert film.figures.frames + film.figures.unpainted == 20 and film.figures.unpainted >= 18
    said = f"{film.figures.unpainted} frames are missing in film: painting could not keep up"
    assert film.remarks == [said] and film.figures.dropped == 0
    assert outcome.counts.dropped == 0, "all are in the records"


def test_frames_that_are_only_passed_on_wait_for_a_machine_that_is_busy_elsewhere():
    branches = Branches(lambda frame: (), Clock(), LIVE, threading.RLock())
    records = Output(Kept(), "records", when_full=WhenFull.DROP_OLDEST, capacity=30)
    film = Output(Kept(), "film", Counted("film", 1), when_full=WhenFull.DROP_OLDEST, capacity=30)
    figures = Figures(Clock(), CAPTURE_TO_DISPLAY)
    for output in (records, film):
        branches.suiting(output).add(output)
    for frame in itertools.islice(Grey(5), 10):
        if isinstance(frame, Frame):
            for branch in branches.all:  # whose threads have not come to it yet
                branch.put(figures.enter(frame), shared=True)
    assert (records.figures.unpainted, film.figures.unpainted) == (0, 4)
    branches.cancel()


def test_frames_a_display_has_no_time_for_are_dropped_and_counted():
    source = Held()
    gate, busy = threading.Event(), threading.Event()

    def hold(frame):
        busy.set()
        assert gate.wait(30)

    display = Shown(on_frame=hold)
    run = make_run(source, policy=LIVE)
    run.add(Output(display, "display", when_full=WhenFull.LATEST, capacity=1))

    def act():
        source.let()
        assert busy.wait(30)
        source.let(9)
        until(lambda: run.counts.frames_in == 10)
        until(lambda: run.counts.dropped == 8)
        gate.set()
        until(lambda: len(display.frames) == 2)
        run.stop()

    thread = threading.Thread(target=act)
    thread.start()
    outcome = run.run()
    thread.join()
    assert [frame.index for frame in display.frames] == [0, 9]
    assert (outcome.counts.shown, outcome.counts.dropped) == (2, 8)


ROUNDS = int(os.environ.get("OUTPUT_ROUNDS", "1000"))


def write_two_files(folder: Path, look: str) -> None:
    """One run into two video files, one painted and one not, both exact to the frame."""
    source = Grey(12)
    run = make_run(source)
    paths = [folder / "one.mkv", folder / "two.mkv"]
    for path, painter in zip(paths, (make_painter(PictureOptions(look)), None), strict=True):
        sink = VideoSink(path, source.info, codec="ffv1", overwrite=True)
        run.add(Output(sink, path.name, painter))
    outcome = run.run()
    assert outcome.error is None and outcome.counts.written == 12
    with av.open(str(paths[1])) as container:
        plain = [(frame.time, frame.to_ndarray()) for frame in container.decode(video=0)]
    assert [round(time * RATE) for time, _ in plain] == list(range(12))
    for index, (_, planes) in enumerate(plain):
        assert (planes == index).all(), "what is not painted is bit for bit what was decoded"
    with av.open(str(paths[0])) as container:
        painted = [(frame.time, frame.to_ndarray()) for frame in container.decode(video=0)]
    assert [time for time, _ in painted] == [time for time, _ in plain]
    for (_, ours), (_, theirs) in zip(painted, plain, strict=True):
        assert np.mean(ours != theirs) > 0.05, "the person is painted"


@pytest.mark.parametrize("look", ["fill", "binary"])
def test_two_files_of_one_run_are_exact_to_the_frame(tmp_path, look):
    for _ in range(5):
        write_two_files(tmp_path, look)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_times_two_files_of_one_run_are_exact_to_the_frame(tmp_path):
    for _ in range(ROUNDS):
        write_two_files(tmp_path, "fill")


def test_one_of_two_that_share_their_painting_can_be_painted_alone():
    display, other = Kept(), Kept()
    run = make_run(Grey(60))
    first, second = (
        Output(sink, name, Counted("a", 10)) for sink, name in ((display, "one"), (other, "two"))
    )
    run.add(first)
    run.add(second)
    turned = Counted("b", 90)

    def act(frame: Frame) -> None:
        if frame.index == 20:
            run.repaint(first, turned, alone=True)

    run._on_frame = act
    outcome = run.run()
    assert outcome.error is None
    assert second.key == "a" and first.key == "b" and turned.painted > 0
    assert other.frames == list(range(60)), "whoever stays loses nothing"
    assert display.frames == sorted(set(display.frames)) and display.frames[-1] == 59


@pytest.mark.parametrize("aborted", [False, True])
def test_an_output_that_joins_when_all_is_over_is_ended_whatever_is_painted_for_it(aborted):
    """As a recording that is begun while files are being finished."""
    over, joined = threading.Event(), threading.Event()

    class Slow(Kept):
        def close(self) -> None:
            over.set()
            joined.wait(PATIENCE)
            super().close()

        abort = close

    run = make_run(Grey(3), Slow())
    late = [Kept(), Kept()]

    def act() -> None:
        over.wait(PATIENCE)
        until(lambda: run._ended)
        if aborted:
            run.abort()
        for sink, painter in zip(late, (None, Counted("a", 10)), strict=True):
            run.add(Output(sink, "late", painter))
        joined.set()

    thread = threading.Thread(target=act)
    thread.start()
    assert run.run().error is None
    thread.join()
    for sink in late:
        assert sink.frames == [] and sink.closed + sink.aborted == 1
