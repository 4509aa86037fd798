"""What `stream fleet` says: how far it is, and what came of it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stream.cli import _common as common
from stream.wording.tables import show_table
from stream.wording.words import counted

if TYPE_CHECKING:
    from stream.fleet.entries import Entry
    from stream.fleet.page import Parts
    from stream.fleet.progress import Progress
    from stream.types import JSON

_LINE_EVERY = 60.0
_FIRST_WORD = 10.0
_MACHINES = 4
"""So many machines are named in a line of progress."""
_NAMED = 20
"""So many failed files are listed at the end; the report has them all."""


class Line:
    """How far it is: a line that is kept up to date, or one a minute where nobody watches."""

    def __init__(self, *, quiet: bool) -> None:
        self._status = None if quiet or not sys.stderr.isatty() else common.errors().status("")
        self._quiet = quiet
        self._said = time.monotonic()

    def __enter__(self) -> Line:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *problem: object) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, progress: Progress) -> None:
        text = _words(progress)
        if self._status is not None:
            self._status.update(text)
        elif time.monotonic() - self._said >= _LINE_EVERY:
            self._said = time.monotonic()
            common.say(text, quiet=self._quiet)


@contextmanager
def said_while_it_takes(
    what: str, *, quiet: bool, over: threading.Event | None = None
) -> Iterator[None]:
    """Says now and then what is being done, where that takes long, as storage does that hangs.

    Args:
        what: is being done.
        quiet: says nothing.
        over: is waited for between two words; set when the block ends.
    """
    over = over or threading.Event()

    def say() -> None:
        begun, pause = time.monotonic(), _FIRST_WORD
        while not over.wait(pause):
            pause = _LINE_EVERY
            common.say(f"{what} ({time.monotonic() - begun:.0f} s so far)", quiet=quiet)

    saying = threading.Thread(target=say, name="stream-fleet-words", daemon=True)
    saying.start()
    try:
        yield
    finally:
        over.set()
        saying.join()


@contextmanager
def said_at_once(what: str, *, quiet: bool) -> Iterator[None]:
    """Says what is being done for as long as it is, a line where nobody watches and then again.

    Args:
        what: is being done.
        quiet: says nothing.
    """
    if not quiet and sys.stderr.isatty():
        with common.errors().status(what):
            yield
        return
    common.say(what, quiet=quiet)
    with said_while_it_takes(what, quiet=quiet):
        yield


def _words(progress: Progress) -> str:
    said = f"{progress.done} of {counted(progress.total, 'file')}"
    if progress.parts:
        said += f" ({progress.parts_done} of {counted(progress.parts, 'task')} of files in parts)"
    said += f", {progress.fps:.1f} frames a second"
    if progress.failed:
        said += f", {progress.failed} failed"
    if progress.left is not None:
        said += f", {_duration(progress.left)} left"
    said += f" ({_machines(progress)})"
    return f"{said}; {progress.note}" if progress.note else said


def _machines(progress: Progress) -> str:
    """What works where; of many machines the first few, and what the others have together."""
    if not progress.workers:
        return "workers are starting"
    names = sorted(progress.workers)
    said = [_share(name, progress, [name]) for name in names[:_MACHINES]]
    if others := names[_MACHINES:]:
        said.append(_share(counted(len(others), "more machine"), progress, others))
    return "; ".join(said)


def _share(what: str, progress: Progress, names: Sequence[str]) -> str:
    workers = sum(progress.workers[name] for name in names)
    frames = sum(progress.node_frames[name] for name in names)
    fps = frames / progress.seconds if progress.seconds else 0.0
    return f"{what}: {counted(workers, 'worker')}, {fps:.1f} frames a second"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def print_table(entries: Sequence[Entry], parts: Parts, *, left: bool = False) -> None:
    """Prints how many files are done, failed and missing, and why the first of them failed.

    Args:
        entries: the files.
        parts: the tasks of those that are done in parts.
        left: also how long those that are missing take, as fast as it went so far.
    """
    from rich.table import Table

    from stream.cli._hints import without_secrets
    from stream.fleet.entries import State
    from stream.fleet.page import figures, how_far
    from stream.fleet.places import shown

    known = figures(entries)
    states = {state: sum(one.state == state for one in entries) for state in State}
    missing = states[State.WAITING] + states[State.RUNNING]
    row = {
        "files": str(len(entries)),
        "done": str(states[State.DONE]),
        "failed": str(states[State.FAILED]),
        "missing": str(missing),
        "frames": str(known["frames"]),
        "frames a second": f"{known['fps']:.1f}",
    }
    if left:
        working, done = float(str(known["working_seconds"])), states[State.DONE]
        row["time left"] = _duration(working / done * missing) if done and missing else "-"
    table = Table()
    for column in row:
        table.add_column(column, justify="right")
    table.add_row(*row.values())
    show_table(common.results(), table)
    _print_machines(known)
    cut = [one for one in entries if one.state != State.DONE and parts.get(one.number)]
    for one in cut[:_NAMED]:
        common.say(f"{one.wanted.source}: {how_far(parts[one.number])}")
    for line in _by_kind([(one.wanted.source, one.remark) for one in entries if one.remark]):
        common.say(without_secrets(line))
    failed = [one for one in entries if one.state == State.FAILED]
    for one in failed[:_NAMED]:
        # Most sentences say themselves which file they are about.
        source = one.wanted.source
        named = "" if source in one.error or shown(source) in one.error else f"{source}: "
        common.say_error(without_secrets(f"{named}{one.error}"))
    if len(failed) > _NAMED:
        common.say_error(f"and {len(failed) - _NAMED} more; --report FILE.json has them all")


def _print_machines(known: Mapping[str, JSON]) -> None:
    """What each machine has done, where there are several."""
    from rich.table import Table

    nodes = known["nodes"]
    assert isinstance(nodes, dict)
    if len(nodes) < 2:
        return
    table = Table()
    table.add_column("machine")
    for column in ("files", "frames", "frames a second"):
        table.add_column(column, justify="right")
    for name, about in list(nodes.items())[:_NAMED]:
        assert isinstance(about, dict)
        table.add_row(name, str(about["files"]), str(about["frames"]), f"{about['fps']:.1f}")
    show_table(common.results(), table)
    if len(nodes) > _NAMED:
        common.say(
            f"and {counted(len(nodes) - _NAMED, 'more machine')}; --report FILE.json has them all"
        )


def _by_kind(said: Sequence[tuple[str, str]]) -> list[str]:
    """What is said of files, what is said of many of them once."""
    from stream.fleet.page import kind_of

    kinds: dict[str, list[tuple[str, str]]] = {}
    for source, text in said:
        kinds.setdefault(kind_of(text, source), []).append((source, text))
    lines = []
    for of in sorted(kinds.values(), key=len, reverse=True):
        source, text = of[0]
        lines.append(
            f"{len(of)} files, such as {source}: {text}" if of[1:] else f"{source}: {text}"
        )
    more = len(lines) - _NAMED
    further = (
        [f"and {counted(more, 'more remark')}; --report FILE.json has them all"] if more > 0 else []
    )
    return lines[:_NAMED] + further
