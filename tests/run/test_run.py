"""The runner: order, errors, stop and abort, and that every frame has one fate."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import SinkError
from stream.run.policy import LIVE
from stream.timing import END_TO_END
from tests.run.parts import (
    RATE,
    Grey,
    Held,
    Kept,
    Looker,
    Shown,
    check_every_frame_counts_once,
    make_run,
    until,
)


def test_every_frame_and_packet_arrives_once_and_in_order():
    sink = Kept()
    run = make_run(Grey(50), sink)
    outcome = run.run()
    assert outcome.error is None
    assert sink.frames == list(range(50))
    assert sink.packets == [bytes([index]) for index in range(50)]
    assert sink.order == ["packet", "frame"] * 50
    assert (sink.closed, sink.aborted) == (1, 0)
    counts = outcome.counts
    assert (counts.frames_in, counts.written, counts.shown, counts.dropped) == (50, 50, 0, 0)
    figures = run.clock.figures()
    assert list(figures) == [
        "decode",
        "preprocess",
        "infer",
        "postprocess",
        "encode",
        END_TO_END,
    ]
    assert all(one.frames == 50 for one in figures.values())


def test_each_frame_has_its_own_instances():
    sink = Kept()
    make_run(Grey(40), sink, detector=Looker(workers=3)).run()
    assert [round(1000 * float(found.scores[0])) for found in sink.found] == list(range(40))


@given(order=st.permutations(range(3)), rounds=st.integers(1, 5))
@settings(max_examples=20)
def test_frames_inferred_at_once_leave_in_their_order(order, rounds):
    """Three are inferred at once, and each time end in another order."""
    ended = [threading.Event() for _ in range(3 * rounds)]

    def infer(index):
        place = order.index(index % 3)
        if place:
            # The next three may be let in first, and then wait for nobody who is under way.
            ended[3 * (index // 3) + order[place - 1]].wait(0.1)
        ended[index].set()

    sink = Kept()
    outcome = make_run(Grey(3 * rounds), sink, detector=Looker(infer, workers=3)).run()
    assert outcome.error is None
    assert sink.frames == list(range(3 * rounds))
    assert sink.order == ["packet", "frame"] * (3 * rounds)


@pytest.mark.parametrize(
    ("workers", "spares", "lanes"), [(1, False, 1), (2, False, 3), (2, True, 2)]
)
def test_no_more_are_inferred_at_once_than_there_are_lanes(workers, spares, lanes):
    lock = threading.Lock()
    state = {"now": 0, "most": 0}

    def infer(index):
        with lock:
            state["now"] += 1
            state["most"] = max(state["most"], state["now"])
        threading.Event().wait(0.002)
        with lock:
            state["now"] -= 1

    looker = Looker(infer, workers=workers)
    looker.spares_cores = spares
    make_run(Grey(30), Kept(), detector=looker).run()
    assert state["most"] <= lanes


def test_an_error_in_inference_saves_what_was_before_it():
    def infer(index):
        if index == 20:
            raise ValueError("infer broke")

    sink = Kept()
    source = Grey(1000)
    outcome = make_run(source, sink, detector=Looker(infer, workers=3)).run()
    assert str(outcome.error) == "infer broke"
    assert sink.frames == list(range(20))
    assert sink.closed == 1
    assert source.closed.is_set()
    check_every_frame_counts_once(outcome)


@pytest.mark.parametrize("where", ["source", "sink", "on_frame"])
def test_an_error_anywhere_stops_all_and_is_reported_once(where):
    def on_frame(frame):
        if where == "on_frame" and frame.index == 30:
            raise KeyError("the user's own")

    source = Grey(1000, fails_at=30 if where == "source" else None)
    sink = Kept(fails_at=30 if where == "sink" else None)
    outcome = make_run(source, sink, on_frame=on_frame).run()
    expected = {"source": "cable", "sink": "disk", "on_frame": "own"}[where]
    assert expected in str(outcome.error)
    assert sink.frames == list(range(30)), "what came before the error is written"
    assert source.closed.is_set()
    assert (sink.closed, sink.aborted) == ((0, 1) if where == "sink" else (1, 0))
    check_every_frame_counts_once(outcome)


def test_what_an_encoder_took_and_no_file_has_is_not_out():
    class Encoding(Kept):
        def write(self, item):
            if getattr(item, "index", None) == 30:
                raise SinkError("the disk is full", "about 7 frames can be played", frames=7)
            super().write(item)

    outcome = make_run(Grey(1000), Encoding()).run()
    counts = outcome.counts
    assert (counts.written, counts.unsaved) == (7, 23)
    assert counts.frames_in == counts.written + counts.dropped


def test_a_slow_sink_holds_the_source_back_and_queues_stay_bounded():
    source = Grey(60)
    ahead = []
    sink = Kept(on_frame=lambda frame: ahead.append(source.given - frame.index))
    outcome = make_run(source, sink).run()
    assert outcome.counts.written == 60
    assert outcome.counts.dropped == 0
    assert all(queue["high_water"] <= queue["capacity"] for queue in outcome.queues)
    # Three queues of three, and one in each hand.
    assert max(ahead) <= 3 * 3 + 4


def test_a_live_source_is_drained_and_its_old_frames_are_dropped_and_counted():
    source = Grey(60, live=True)
    drained = threading.Event()

    def infer(index):
        assert drained.wait(30)

    class Noted(Grey):
        def __iter__(self):
            yield from super().__iter__()
            drained.set()

    source = Noted(60, live=True)
    sink = Kept()
    run = make_run(source, sink, detector=Looker(infer), policy=LIVE)
    outcome = run.run()
    assert outcome.error is None
    assert sink.frames == sorted(sink.frames)
    assert sink.frames[-1] == 59, "the newest frame wins"
    assert outcome.counts.dropped == 60 - len(sink.frames) >= 50
    assert len(sink.packets) == 60, "copied packets are never dropped"
    check_every_frame_counts_once(outcome)


def test_stop_drains_what_is_under_way_and_finishes_the_output():
    sink = Kept()
    run = make_run(Grey(10**6), sink)
    sink.on_frame = lambda frame: run.stop() if frame.index == 20 else None
    outcome = run.run()
    assert outcome.interrupted
    assert outcome.error is None
    assert (sink.closed, sink.aborted) == (1, 0)
    assert sink.frames == list(range(len(sink.frames)))
    assert 20 < outcome.counts.written == len(sink.frames) < 60
    check_every_frame_counts_once(outcome)


def test_abort_stops_at_once_and_lets_the_output_go():
    sink = Kept()
    run = make_run(Grey(10**6), sink)
    sink.on_frame = lambda frame: run.abort() if frame.index == 20 else None
    outcome = run.run()
    assert outcome.interrupted
    assert (sink.closed, sink.aborted) == (0, 1)
    assert sink.frames == list(range(21))
    check_every_frame_counts_once(outcome)


def test_an_exception_in_the_progress_display_ends_the_threads_too():
    def broken():
        raise KeyError("display")

    with pytest.raises(KeyError):
        make_run(Grey(10**6), Kept()).run(on_tick=broken)
    # The fixture in conftest.py fails this test should a thread go on.


def test_the_rate_and_times_of_a_run_are_told():
    outcome = make_run(Grey(20), Kept()).run()
    assert 0 < outcome.first_frame_seconds < outcome.seconds
    assert outcome.counts.media_seconds == pytest.approx(19 / RATE)
    assert outcome.found["person"].frames == outcome.found_frames == 20


def run_beside(act, run):
    """Runs to the end while another thread acts."""
    thread = threading.Thread(target=act)
    thread.start()
    run.run()
    thread.join()


def test_what_a_key_did_is_shown_for_a_moment():
    source, display = Held(), Shown()
    now = [0.0]
    run = make_run(source, display, policy=LIVE, now=lambda: now[0])

    def act():
        source.let()
        until(lambda: len(display.frames) == 1)
        run.say("saved it.png")
        until(lambda: ("saved it.png",) in display.notices)
        now[0] += 4.0
        source.let()
        until(lambda: display.notices[-1] == ())
        run.stop()

    run_beside(act, run)


def test_of_a_source_that_falls_silent_the_display_says_so_before_the_source_does():
    source, display = Held(), Shown()
    now = [0.0]
    run = make_run(source, display, policy=LIVE, now=lambda: now[0])

    def act():
        source.let()
        until(lambda: len(display.frames) == 1)
        now[0] += 0.9
        until(lambda: display.notices[-1:] == [()])
        now[0] += 0.2
        until(lambda: ("no picture comes",) in display.notices)
        source.let()
        until(lambda: display.notices[-1] == ())
        run.stop()

    run_beside(act, run)


def test_while_no_picture_comes_the_display_says_why():
    source, display = Held(), Shown()
    source.notes = ()
    now = [0.0]
    run = make_run(source, display, policy=LIVE, now=lambda: now[0])

    def act():
        source.let()
        until(lambda: len(display.frames) == 1)
        source.notes = ("no picture for 7 s",)
        now[0] += 0.4
        until(lambda: display.notices[-1:] == [()])
        now[0] += 0.2
        until(lambda: ("no picture for 7 s",) in display.notices)
        source.let()
        until(lambda: display.notices[-1] == ())
        run.stop()

    run_beside(act, run)
