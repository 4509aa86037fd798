"""A mailbox never makes the giver wait, holds no more than it may, and counts what it lost."""

from __future__ import annotations

import threading
import time

import pytest

from stream.mailbox import Closed, Mailbox


def test_the_newest_pushes_out_the_oldest():
    box: Mailbox[int] = Mailbox("numbers", 2)
    for number in range(5):
        assert box.put(number)
    assert (len(box), box.dropped, box.high_water) == (2, 3, 2)
    assert [box.take(), box.take()] == [3, 4]
    assert box.take(0.01) is None


def test_what_may_not_be_dropped_stays_but_not_without_bound():
    box: Mailbox[int] = Mailbox("numbers", 2, droppable=lambda number: number % 2 == 0)
    for number in (1, 2, 3, 4):
        box.put(number)
    assert [box.take() for _ in range(3)] == [1, 3, 4]
    for number in range(1, 101, 2):
        box.put(number)
    assert len(box) == 8 and box.dropped == 43
    assert box.take() == 85


def test_closing_wakes_who_waits_and_refuses_more():
    box: Mailbox[int] = Mailbox("numbers", 1)
    threading.Timer(0.05, box.close).start()
    start = time.monotonic()
    with pytest.raises(Closed):
        box.take(5)
    assert time.monotonic() - start < 2
    assert not box.put(1) and not box.put_when_room(1, threading.Event())
    with pytest.raises(ValueError, match="at least 1"):
        Mailbox("none", 0)


def test_closed_it_still_gives_what_it_holds_unless_cleared():
    box: Mailbox[int] = Mailbox("numbers", 2)
    box.put(1)
    box.close()
    assert box.take() == 1
    with pytest.raises(Closed):
        box.take()
    other: Mailbox[int] = Mailbox("numbers", 2)
    other.put(1)
    other.close(clear=True)
    with pytest.raises(Closed):
        other.take()


def test_waiting_for_room_ends_when_there_is_some_or_one_stops():
    box: Mailbox[int] = Mailbox("numbers", 1)
    stop = threading.Event()
    assert box.put_when_room(1, stop)
    threading.Timer(0.05, box.take).start()
    assert box.put_when_room(2, stop)
    stop.set()
    assert not box.put_when_room(3, stop)
    assert box.dropped == 0
