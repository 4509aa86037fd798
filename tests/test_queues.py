"""Queues: what comes out, what is pushed out, and how both sides wake."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import queues
from stream.queues import Cancelled, Closed, Queue, WhenFull


def test_items_come_out_in_order_and_iteration_ends_with_the_producer():
    queue: Queue[int] = Queue("numbers", 2)

    def produce():
        for number in range(100):
            assert queue.put(number) == []
        queue.close()

    producer = threading.Thread(target=produce)
    producer.start()
    assert list(queue) == list(range(100))
    producer.join()
    assert queue.dropped == 0
    assert queue.high_water <= 2


@given(
    items=st.lists(st.integers(-50, 50), min_size=1, max_size=60),
    capacity=st.integers(1, 8),
    when_full=st.sampled_from([WhenFull.DROP_OLDEST, WhenFull.LATEST]),
)
def test_nothing_is_lost_without_being_handed_back(items, capacity, when_full):
    """Every item comes out or is pushed out, once; what may not be dropped always comes out."""
    queue: Queue[tuple[int, int]] = Queue("live", capacity, when_full, lambda item: item[1] >= 0)
    pushed_out = []
    for item in enumerate(items):
        pushed_out += queue.put(item)
        assert sum(one[1] >= 0 for one in queue._items) <= capacity
    queue.close()
    came_out = list(queue)
    assert sorted(came_out + pushed_out) == list(enumerate(items))
    assert came_out == sorted(came_out) and pushed_out == sorted(pushed_out)
    assert all(value >= 0 for _, value in pushed_out)
    assert queue.dropped == len(pushed_out)
    droppable = [item for item in enumerate(items) if item[1] >= 0]
    if droppable:
        assert droppable[-1] in came_out, "the newest survives"


def test_of_a_queue_of_the_latest_all_that_may_go_goes():
    queue: Queue[int] = Queue("display", 2, WhenFull.LATEST)
    assert [queue.put(number) for number in range(4)] == [[], [], [0, 1], []]
    queue.close()
    assert list(queue) == [2, 3]


def test_of_a_queue_that_drops_the_oldest_one_goes_for_each_that_comes():
    queue: Queue[int] = Queue("recording", 3, WhenFull.DROP_OLDEST)
    assert (queue.high_water, queue.figures()["dropped"]) == (0, 0)
    assert [queue.put(number) for number in range(5)] == [[], [], [], [0], [1]]
    queue.close()
    assert list(queue) == [2, 3, 4] and queue.high_water == 3


def test_who_waits_for_a_while_is_given_what_comes_meanwhile():
    queue: Queue[int] = Queue("late", 1)
    taken = []
    waits = threading.Thread(target=lambda: taken.append(queue.take(60)))
    waits.start()
    while waits.is_alive() and not queue._changed._waiters:
        pass
    queue.put(7)
    waits.join()
    assert taken == [7]
    assert queue.take(0.0) is None


def test_what_may_not_be_dropped_is_held_but_not_without_bound():
    queue: Queue[int] = Queue("sound", 2, WhenFull.LATEST, droppable=lambda item: False)
    pushed_out = [one for number in range(1500) for one in queue.put(number)]
    assert pushed_out == list(range(500))
    assert len(queue) == queue.high_water == 1000


def test_cancel_wakes_a_waiting_producer_and_a_waiting_consumer_and_gives_back_what_was_held():
    full: Queue[int] = Queue("full", 1)
    full.put(1)
    empty: Queue[int] = Queue("empty", 1)
    outcomes = []

    def wait(action):
        try:
            action()
        except Cancelled as stop:
            outcomes.append(str(stop))

    threads = [
        threading.Thread(target=wait, args=(lambda: full.put(2),)),
        threading.Thread(target=wait, args=(lambda: list(empty),)),
    ]
    for thread in threads:
        thread.start()
    assert full.cancel() == [1]
    assert empty.cancel() == []
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["empty", "full"]
    with pytest.raises(Cancelled):
        full.take()


def test_closing_wakes_who_waits_and_gives_back_what_comes_after():
    queue: Queue[int] = Queue("numbers", 1)
    given_back = []
    full: Queue[int] = Queue("full", 1)
    full.put(1)

    def consume():
        with pytest.raises(Closed):
            queue.take()

    threads = [
        threading.Thread(target=consume),
        threading.Thread(target=lambda: given_back.extend(full.put(2))),
    ]
    for thread in threads:
        thread.start()
    queue.close()
    full.close()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert given_back == [2]
    assert queue.put(3) == [3]


@pytest.mark.parametrize("clear", [True, False])
def test_closed_it_still_gives_what_it_holds_unless_cleared(clear):
    queue: Queue[int] = Queue("numbers", 3)
    queue.put(1)
    assert queue.close(clear=clear) == ([1] if clear else [])
    assert list(queue) == ([] if clear else [1])


def test_a_taker_can_look_without_waiting():
    queue: Queue[int] = Queue("numbers", 1)
    assert queue.take(0) is None
    queue.put(7)
    assert queue.take(0) == 7


def test_a_queue_without_room_is_refused():
    with pytest.raises(ValueError, match="capacity"):
        Queue("none", 0)


def test_the_report_says_what_went_on():
    queue: Queue[int] = Queue("recording", 1, WhenFull.DROP_OLDEST)
    queue.put(1)
    queue.put(2)
    assert queue.figures() == {
        "name": "recording",
        "capacity": 1,
        "high_water": 1,
        "dropped": 1,
        "when_full": "drop oldest",
    }


def test_who_waits_without_an_end_wakes_now_and_then_where_ctrl_c_needs_it(monkeypatch):
    """As on Windows, where a signal is heard only between two waits."""
    heard = []
    monkeypatch.setattr(queues, "_LONGEST", 0.001)
    full = Queue("full", 1)
    real = full._changed.wait

    def wait(seconds=None):
        heard.append(seconds)
        if len(heard) == 3:
            full.put("item")
        return real(seconds)

    monkeypatch.setattr(full._changed, "wait", wait)
    assert full.take() == "item"
    assert heard == [0.001] * 3
