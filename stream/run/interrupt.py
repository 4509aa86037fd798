"""Ctrl-C: once drains and finishes, twice stops at once. A closed terminal counts as once."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

EXIT_CODE = 130
"""128 + SIGINT, as shells report a process ended by Ctrl-C."""

_GRACE_SECONDS = 2.0
_SOON_SECONDS = 0.05
_HANG_UP = getattr(signal, "SIGHUP", None)
_BREAK = getattr(signal, "SIGBREAK", None)
"""Windows' Ctrl-Break, by which programs there end others of their console."""


def exit_code(number: int | None = None) -> int:
    """What a command ends with that a signal stopped: 128 and its number, as shells report it.

    Schedulers and containers tell by 143 that it was they who ended a program, by SIGTERM.

    Args:
        number: the signal; None where it was a key.
    """
    return EXIT_CODE if number in (None, _BREAK) else 128 + number


class Ended(KeyboardInterrupt):
    """What does as Ctrl-C does, by another signal; its number is the argument.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Process:
    """Whom this process belongs to: only a command of ours may be ended from inside.

    `noted` is the signal that is why it ends, if one is.
    """

    ours = False
    noted: int | None = None


def end_process_at_last() -> None:
    """Says that this process is a command of ours, which `on_interrupt` may end where it hangs."""
    _Process.ours = True


def note_signal(number: int) -> None:
    """Says that this signal is why a command of ours ends; of several, the first."""
    if _Process.ours and _Process.noted is None:
        _Process.noted = number


def end_process(code: int) -> NoReturn:
    """Ends this process, whose work is done, at once: of the signal that is why, if one is.

    bash and `xargs` go on with the next film where a program that Ctrl-C reached too exits by
    itself, whatever its exit code. Where the system lets it not die of a signal (as the first
    process of a container), and on Windows, it exits with the code.

    Args:
        code: the exit code; the signal's `exit_code` where the process is to die of that.
    """
    number = _Process.noted
    if number is not None and code == exit_code(number) and sys.platform != "win32":
        if threading.current_thread() is threading.main_thread():
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(code)


@contextmanager
def on_interrupt(stop: Callable[[], None], abort: Callable[[], None]) -> Iterator[list[int]]:
    """While the block runs, the first SIGINT or SIGTERM calls `stop` and the second `abort`.

    So does Ctrl-Break on Windows. SIGHUP calls `stop` only: a terminal that is closed, or a
    connection to this machine that breaks off, sends it once or twice. Where it is ignored, as
    under `nohup`, it stays so.

    Both are called in a thread of their own: a signal may interrupt the main thread inside a
    lock that they need. A thread deep in a native call cannot be interrupted, so at the third
    signal, or two seconds after the second, nothing is waited for any more: a command of ours
    (`end_process_at_last`) ends as by the first (`end_process`), and anybody else's program, which
    has things of its own to finish, gets a KeyboardInterrupt in its main thread.

    Gives a list of the signals that came so far.

    Raises:
        KeyboardInterrupt: what was to end has not, in a program of somebody else's.
    """
    seen: list[int] = []

    def end() -> None:
        end_process(exit_code(seen[0]))

    deadline = threading.Timer(_GRACE_SECONDS, end if _Process.ours else _press_again)
    deadline.daemon = True

    def handle(number: int, frame: FrameType | None) -> None:
        if number == _HANG_UP:
            _turn_away_from_terminal()
            if seen:
                return
        seen.append(number)
        note_signal(number)
        if len(seen) == 1:
            threading.Thread(target=stop, name="stream-stop", daemon=True).start()
        elif len(seen) == 2:
            if _Process.ours and sys.platform != "win32":
                # The next one ends it wherever it hangs; only the main thread can say so, and now.
                for one in set(seen):
                    signal.signal(one, signal.SIG_DFL)
            deadline.start()
            threading.Thread(target=abort, name="stream-abort", daemon=True).start()
        elif _Process.ours:
            end()
        else:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield seen  # signals can only be handled in the main thread; a host program has its own way
        return
    numbers = [signal.SIGINT, signal.SIGTERM, *hang_up()]
    numbers += [] if _BREAK is None else [_BREAK]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield seen
    finally:
        deadline.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _press_again() -> None:
    """Ctrl-C once more for the main thread, which may be waiting for a lock."""
    if sys.platform == "win32":
        interrupt_main()
    else:
        # A true signal, as only that wakes who waits.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def press_again_where_unheard() -> None:
    """Has Ctrl-C come again, in this process, where Python prints it and goes on.

    It does so in what a library has called when an object is let go of: the run went on as if
    nobody had pressed it, and showed lines of Python.
    """
    otherwise = sys.unraisablehook

    def hear(what: sys.UnraisableHookArgs) -> None:
        if not issubclass(what.exc_type, KeyboardInterrupt):
            otherwise(what)
            return
        again = threading.Timer(_SOON_SECONDS, _press_again)
        again.daemon = True
        again.start()

    sys.unraisablehook = hear


def hang_up() -> list[signal.Signals]:
    """What a terminal sends that is closed, where it would end this process at once."""
    if _HANG_UP is None or signal.getsignal(_HANG_UP) != signal.SIG_DFL:
        return []
    return [_HANG_UP]


def _turn_away_from_terminal() -> None:
    """Lets what is still said go nowhere where the terminal is gone, as each word would fail."""
    for number in (1, 2):
        try:
            kind = os.fstat(number).st_mode
        except OSError:  # closed
            continue
        if stat.S_ISCHR(kind) and not os.isatty(number):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
