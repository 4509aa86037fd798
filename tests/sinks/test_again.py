"""When an output that failed because of where it lies is tried again."""

from __future__ import annotations

from stream.sinks._again import Again, has_room
from tests.run.parts import Hands


def test_a_folder_that_is_gone_has_no_room(tmp_path):
    assert has_room(tmp_path) and not has_room(tmp_path / "gone")


def test_room_is_looked_for_now_and_then(tmp_path):
    now, asked = Hands(), []
    again = Again(tmp_path, lambda folder: bool(asked.append(folder)), now)
    again.failed()
    for _ in range(1000):
        assert not again.due()
        now.at += 0.01
    assert asked == [tmp_path] * 5


def test_what_soon_fails_again_is_tried_later_each_time_up_to_half_a_minute(tmp_path):
    now, waits = Hands(), []
    again = Again(tmp_path, lambda folder: True, now)
    for lasts in (0, 0, 0, 0, 0, 0, 100, 0):
        again.begun()
        now.at += lasts
        again.failed()
        failed = now.at
        while not again.due():
            now.at += 0.5
        waits.append(now.at - failed)
    assert waits == [1, 2, 4, 8, 16, 30, 1, 2] and again.failures == 8
