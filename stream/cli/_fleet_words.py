"""What `stream fleet` says: how far it is, and what came of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stream.cli import _common as common

if TYPE_CHECKING:
    from stream.fleet.driver import Progress
    from stream.fleet.entries import Entry
    from stream.fleet.page import Parts

_LINE_EVERY = 60.0
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


def _words(progress: Progress) -> str:
    said = f"{progress.done} of {progress.total} files"
    if progress.parts:
        said += f" ({progress.parts_done} of {progress.parts} tasks of files in parts)"
    said += f", {progress.fps:.1f} frames a second"
    if progress.failed:
        said += f", {progress.failed} failed"
    if progress.left is not None:
        said += f", {_duration(progress.left)} left"
    nodes = ", ".join(f"{name}: {count}" for name, count in sorted(progress.workers.items()))
    said += f" (workers: {nodes or 'starting'})"
    return f"{said}; {progress.note}" if progress.note else said


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def print_table(entries: Sequence[Entry], parts: Parts) -> None:
    """Prints how many files are done, failed and missing, and why the first of them failed.

    Args:
        entries: the files.
        parts: the tasks of those that are done in parts.
    """
    from rich.table import Table

    from stream.cli._hints import without_secrets
    from stream.fleet.entries import State
    from stream.fleet.page import figures, how_far

    known = figures(entries)
    states = {state: sum(one.state == state for one in entries) for state in State}
    table = Table()
    for column in ("files", "done", "failed", "missing", "frames", "frames a second"):
        table.add_column(column, justify="right")
    missing = states[State.WAITING] + states[State.RUNNING]
    table.add_row(
        str(len(entries)),
        str(states[State.DONE]),
        str(states[State.FAILED]),
        str(missing),
        str(known["frames"]),
        f"{known['fps']:.1f}",
    )
    common.results().print(table)
    cut = [one for one in entries if one.state != State.DONE and parts.get(one.number)]
    for one in cut[:_NAMED]:
        common.say(f"{one.wanted.source}: {how_far(parts[one.number])}")
    remarked = [one for one in entries if one.remark]
    for one in remarked[:_NAMED]:
        common.say(f"{one.wanted.source}: {one.remark}")
    failed = [one for one in entries if one.state == State.FAILED]
    for one in failed[:_NAMED]:
        # Most sentences say themselves which file they are about.
        named = "" if one.wanted.source in one.error else f"{one.wanted.source}: "
        common.say_error(without_secrets(f"{named}{one.error}"))
    if len(failed) > _NAMED:
        common.say_error(f"and {len(failed) - _NAMED} more; --report FILE.json has them all")
