import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.channel import Cancelled, Channel, WhenFull


def test_items_come_out_in_order_and_iteration_ends_with_the_producer():
    channel: Channel[int] = Channel("numbers", 2)

    def produce():
        for number in range(100):
            channel.put(number)
        channel.close()

    producer = threading.Thread(target=produce)
    producer.start()
    assert list(channel) == list(range(100))
    producer.join()
    assert channel.dropped == 0
    assert channel.high_water <= 2


@given(count=st.integers(1, 60), capacity=st.integers(1, 8))
@settings(deadline=None)
def test_the_newest_items_survive_in_a_channel_that_replaces(count, capacity):
    channel: Channel[int] = Channel("live", capacity, WhenFull.REPLACE_OLDEST)
    for number in range(count):
        channel.put(number)
    channel.close()
    assert list(channel) == list(range(max(0, count - capacity), count))
    assert channel.dropped == max(0, count - capacity)


def test_what_may_not_be_dropped_is_let_in_above_capacity():
    channel: Channel[int] = Channel(
        "live", 2, WhenFull.REPLACE_OLDEST, droppable=lambda item: item >= 0
    )
    for item in (-1, -2, -3, 5, 6):
        channel.put(item)
    channel.close()
    assert list(channel) == [-1, -2, -3, 6]
    assert channel.dropped == 1


def test_cancel_wakes_a_waiting_producer_and_a_waiting_consumer():
    full: Channel[int] = Channel("full", 1)
    full.put(1)
    empty: Channel[int] = Channel("empty", 1)
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
    full.cancel()
    empty.cancel()
    for thread in threads:
        thread.join(5)
    assert sorted(outcomes) == ["empty", "full"]


def test_a_closed_channel_takes_nothing_more():
    channel: Channel[int] = Channel("closed", 1)
    channel.close()
    with pytest.raises(RuntimeError, match="closed"):
        channel.put(1)


def test_a_channel_without_room_is_refused():
    with pytest.raises(ValueError, match="capacity"):
        Channel("none", 0)
