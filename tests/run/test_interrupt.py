import os
import signal
import subprocess
import sys
import textwrap
import threading
from functools import partial

import numpy as np
import pytest

import stream
from stream.errors import StreamError
from stream.inference.segmenter import Segmenter
from stream.run import interrupt
from stream.run.finder import Finder
from stream.run.interrupt import (
    on_interrupt,
    press_again_where_unheard,
)
from stream.run.run import Run
from stream.run.schedule import EachFrame
from tests import tiny_models
from tests.run.parts import Grey, Looker, until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


def test_the_first_signal_stops_and_handlers_are_put_back():
    calls = []
    before = signal.getsignal(signal.SIGINT)
    with on_interrupt(lambda: calls.append("stop"), lambda: calls.append("abort")):
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: calls == ["stop"])
        os.kill(os.getpid(), signal.SIGTERM)
        until(lambda: calls == ["stop", "abort"])
    assert signal.getsignal(signal.SIGINT) is before


def test_a_command_s_process_ends_after_the_second_signal_even_when_a_call_hangs():
    script = textwrap.dedent(
        """
        import time
        from stream.run.interrupt import end_process_at_last, on_interrupt
        end_process_at_last()
        with on_interrupt(lambda: print("stop", flush=True), lambda: time.sleep(600)):
            print("ready", flush=True)
            while True:
                time.sleep(1)
        """
    )
    numbers = [signal.SIGINT, signal.SIGTERM]
    command = [sys.executable, "-c", script]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in numbers]
    try:
        for number, process in zip(numbers, processes, strict=True):
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(number)
            assert process.stdout.readline() == b"stop\n"
            process.send_signal(signal.SIGINT)
        for number, process in zip(numbers, processes, strict=True):
            assert process.wait(60) == -number, "what came first is why it ends"
    finally:
        for process in processes:
            process.kill()
            process.stdout.close()
            process.wait()


def test_ctrl_c_within_what_is_let_go_of_is_heard_and_nothing_of_it_shown(monkeypatch, capfd):
    class LetGo:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    others = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: others.append(what.exc_type))
    press_again_where_unheard()
    with pytest.raises(KeyboardInterrupt):
        LetGo()
        assert others == [], "Python forgets it here"
        threading.Event().wait(60)

    class Faulty:
        def __del__(self):
            raise OSError

    Faulty()
    assert others == [OSError]
    assert capfd.readouterr().err == ""


def test_somebody_s_program_is_not_ended_but_left_by_an_interrupt(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    for presses, grace in ((2, 0.05), (3, 600)):  # the main thread waits for what hangs
        monkeypatch.setattr(interrupt, "_GRACE_SECONDS", grace)
        calls = []
        stop, abort = (partial(calls.append, what) for what in ("stop", "abort"))
        never = threading.Lock()
        never.acquire()
        with pytest.raises(KeyboardInterrupt), on_interrupt(stop, abort):
            for _ in range(presses):
                press()
            never.acquire()
        until(lambda calls=calls: sorted(calls) == ["abort", "stop"])
        assert signal.getsignal(signal.SIGINT) is before


def test_a_run_that_hangs_is_left_by_the_last_ctrl_c():
    hangs, goes_on = threading.Event(), threading.Event()

    def on_frame(frame):
        hangs.set()
        goes_on.wait(60)

    run = Run(Grey(3), EachFrame(Finder(Looker())), [], on_frame=on_frame)

    def pressed() -> None:
        if hangs.is_set():
            press()

    with pytest.raises(KeyboardInterrupt), on_interrupt(run.stop, run.abort):
        run.run(on_tick=pressed, tick=0.01)
    assert not goes_on.is_set()
    goes_on.set()
    run.finish()


def test_in_python_an_interrupt_comes_out_though_the_model_hangs(tmp_path, monkeypatch):
    path = tiny_models.constant(tmp_path / "m.onnx", [[4, 4, 24, 24]], scores=[0.9])
    segmenter = stream.Segmenter.load(path, provider="cpu")
    stopped, goes_on = threading.Event(), threading.Event()
    stop = Run.stop

    def stops(self: Run) -> None:
        stop(self)
        stopped.set()

    def infer(*given, **named):
        if not stopped.is_set():
            press()
            until(stopped.is_set)
            press()
        goes_on.wait(60)
        raise StreamError("it goes on")

    monkeypatch.setattr(interrupt, "_GRACE_SECONDS", 0.05)
    monkeypatch.setattr(Run, "stop", stops)
    monkeypatch.setattr(Segmenter, "infer", infer)
    pictures = [np.zeros((48, 64, 3), np.uint8)]
    try:
        with pytest.raises(KeyboardInterrupt):
            stream.process(pictures, tmp_path / "out.mp4", segmenter=segmenter)
        assert not goes_on.is_set()
    finally:
        goes_on.set()
        until(lambda: not any(one.name.startswith("stream-") for one in threading.enumerate()))


def test_a_terminal_that_is_closed_stops_once_however_often_it_says_so():
    """A shell says it to its jobs, and the system to those in front: two make no second Ctrl-C."""
    calls = []
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with on_interrupt(lambda: calls.append("stop"), lambda: calls.append("abort")):
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGHUP)
            until(lambda: calls == ["stop"])
            os.kill(os.getpid(), signal.SIGINT)
            until(lambda: calls == ["stop", "abort"])
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
        # Under `nohup` it goes on.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with on_interrupt(lambda: calls.append("stop"), lambda: calls.append("abort")):
            os.kill(os.getpid(), signal.SIGHUP)
        assert calls == ["stop", "abort"]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_is_said_after_the_terminal_was_closed_fails_nobody():
    import pty  # which only such systems have

    script = textwrap.dedent(
        """
        import signal, sys, threading
        from stream.run.interrupt import on_interrupt
        # Tests that are run under `nohup` would have it ignored.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        stopped = threading.Event()
        with on_interrupt(stopped.set, stopped.set):
            print("ready", flush=True)
            stopped.wait(60)
        print("all is written", flush=True)
        print("and said", file=sys.stderr, flush=True)
        sys.exit(7)
        """
    )
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", script])
    assert os.read(terminal, 100).startswith(b"ready")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_windows_ctrl_break_stops_as_ctrl_c_does(monkeypatch):
    calls = []
    monkeypatch.setattr(interrupt, "_BREAK", signal.SIGUSR1)  # which stands for SIGBREAK
    before = signal.getsignal(signal.SIGUSR1)
    with on_interrupt(lambda: calls.append("stop"), lambda: calls.append("abort")):
        os.kill(os.getpid(), signal.SIGUSR1)
        until(lambda: calls == ["stop"])
    assert signal.getsignal(signal.SIGUSR1) is before


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)
