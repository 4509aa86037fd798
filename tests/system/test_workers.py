"""Threads that do what is handed over to them."""

import gc
import subprocess
import sys
import threading
import weakref
from concurrent.futures import CancelledError

import pytest

from stream.system.workers import Workers
from tests.cli.conftest import environment


def names():
    return {one.name for one in threading.enumerate() if one.name.startswith("mine")}


def test_what_is_handed_over_is_done_side_by_side_and_no_more_at_once_than_there_are():
    workers = Workers(2, "mine")
    meeting = threading.Barrier(2)
    met = [workers.submit(lambda: meeting.wait(60)) for _ in range(4)]
    assert sorted(one.result(60) for one in met) == [0, 0, 1, 1]
    assert names() == {"mine_0", "mine_1"}
    assert workers.submit(lambda: 1 / 1).result(60) == 1
    with pytest.raises(ZeroDivisionError):
        workers.submit(lambda: 1 / 0).result(60)
    workers.close()
    workers.close()
    assert not names()
    with pytest.raises(RuntimeError, match="mine is closed"):
        workers.submit(names)


def test_one_thread_does_what_comes_one_after_another_and_begins_once():
    begun, workers = list[str](), Workers(3, "mine", lambda: begun.append("once"))
    for number in range(20):
        assert workers.submit(lambda number=number: number).result(60) == number
    assert len(names()) <= 3 and len(begun) == len(names())
    workers.close()
    failing = Workers(1, "mine", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        failing.submit(names).result(60)
    failing.close()


def test_closing_leaves_what_has_not_begun_and_waits_for_the_rest():
    workers, held, began = Workers(1, "mine"), threading.Event(), threading.Event()
    first = workers.submit(lambda: began.set() or held.wait(60))
    second = workers.submit(names)
    assert began.wait(60)
    workers.close(wait=False)
    with pytest.raises(CancelledError):
        second.result(60)
    held.set()
    workers.close()
    assert first.result(0) and not names()


def test_they_end_and_let_go_once_nothing_refers_to_them():
    class Held:
        pass

    workers, held = Workers(1, "mine"), Held()
    gone = weakref.ref(held)
    workers.submit(lambda held=held: None).result(60)
    workers.submit(names).result(60)
    (thread,) = (one for one in threading.enumerate() if one.name == "mine_0")
    del held
    gc.collect()
    assert gone() is None, "what was done is not held on to"
    del workers
    gc.collect()
    thread.join(60)
    assert not thread.is_alive()


PROGRAM = """
import threading, time
from stream.system.workers import Workers

def work():
    threading.main_thread().join()
    workers = Workers(2, "late")
    print([workers.submit(lambda n=n: n).result() for n in range(3)], flush=True)
    ended = threading.Event()
    workers.submit(lambda: (ended.set(), refused.wait(60), print("done", flush=True)))
    ended.wait()
    globals()["kept"] = workers

    def more():  # as whoever reads a film goes on to hand frames over
        while True:
            workers.submit(time.time)

    threading.Thread(target=more, daemon=True).start()

def said(told):
    print(told.exc_value, flush=True)
    refused.set()

refused = threading.Event()
threading.excepthook = said
threading.Thread(target=work).start()
"""


def test_work_is_taken_where_the_main_thread_has_ended_and_waited_for_at_the_end():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (
        "[0, 1, 2]\nlate is closed\ndone\n",
        "",
        0,
    )
