"""How long Ctrl-Z stopped a run."""

from __future__ import annotations

import signal
import threading

import pytest

from stream.run import pauses as module
from stream.run.pauses import Pauses, pauses


def test_the_time_since_the_last_tick_is_a_pause_where_the_process_goes_on_again():
    at = [0.0]
    found = Pauses(lambda: at[0])
    for seconds, stopped in ((0.1, False), (30.0, True), (0.1, False), (5.0, True), (60.0, False)):
        at[0] += seconds
        if stopped:
            found.go_on()
        found.tick()
    assert found.seconds == 35.0


@pytest.mark.skipif(not hasattr(signal, "SIGCONT"), reason="no job control")
def test_the_signal_is_heard_and_given_back(monkeypatch):
    at = [0.0]
    monkeypatch.setattr(module, "Pauses", lambda: Pauses(lambda: at[0]))
    heard = []

    def own(number, frame):
        heard.append(number)

    before = signal.signal(signal.SIGCONT, own)
    try:
        with pauses() as found:
            at[0] = 12.0
            signal.raise_signal(signal.SIGCONT)
        assert found.seconds == 12.0
        assert heard == [signal.SIGCONT], "a program's own handler is called too"
        assert signal.getsignal(signal.SIGCONT) is own
    finally:
        signal.signal(signal.SIGCONT, before)


def test_in_another_thread_nothing_is_heard():
    seen = []

    def ask():
        with pauses() as found:
            seen.append(found.seconds)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert seen == [0.0]
