"""What became of every file: a SQLite database that only the driver writes and anybody may read."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stream.errors import SinkError, UsageError


class State(StrEnum):
    """How far a file is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is to be done.

    Attributes:
        source: its path or address.
        targets: where its results go, the video first.
        fingerprint: changes where the file does.
        options: changes where what is asked for does.
    """

    source: str
    targets: tuple[str, ...]
    fingerprint: str
    options: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger knows of a file.

    Attributes:
        number: its own, for as long as the ledger lives.
        wanted: what is to be done.
        state: how far it is.
        tries: how often it was tried and failed by itself.
        lost: how often the worker or its machine was lost with it.
        seconds: that its last try took.
        frames: in its result.
        node: the machine that did it.
        error: why it failed, in a sentence.
        begun: when its last try began, in seconds since 1970.
        ended: when that ended.
    """

    number: int
    wanted: Wanted
    state: State
    tries: int = 0
    lost: int = 0
    seconds: float = 0.0
    frames: int = 0
    node: str = ""
    error: str = ""
    begun: float = 0.0
    ended: float = 0.0


_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL UNIQUE, targets TEXT NOT NULL,
    fingerprint TEXT NOT NULL, options TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', tries INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,
    frames INTEGER NOT NULL DEFAULT 0, node TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '', begun REAL NOT NULL DEFAULT 0, ended REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS by_state ON files (state);
"""
_COLUMNS = (
    "number, source, targets, fingerprint, options, state, tries, lost, seconds, frames, node, "
    "error, begun, ended"
)
_BETWEEN = "\n"
"""Stands between targets: no path that we write has one."""

_VERSION = 1


class Ledger:
    """The database; every change is on the disk before the method returns.

    Args:
        path: the file; made where it is not there.
        reading: only read, also while a driver writes; the file must exist.

    Raises:
        UsageError: there is no such ledger, or it is one of another version, or none at all.
        SinkError: it cannot be written.
    """

    def __init__(self, path: Path, *, reading: bool = False) -> None:
        self.path = path
        if reading and not path.is_file():
            raise UsageError(f"there is no ledger {path}: no fleet has written there")
        try:
            address = f"{path.absolute().as_uri()}?mode={'ro' if reading else 'rwc'}"
            self._base = sqlite3.connect(address, uri=True, isolation_level=None)
            version = self._base.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                self._base.close()
                raise UsageError(f"the ledger {path} is of another release; move it away")
            if not reading:
                # With a write-ahead log readers and the writer do not wait for each other.
                self._base.execute("PRAGMA journal_mode=WAL")
                self._base.executescript(f"PRAGMA user_version={_VERSION};{_SCHEMA}")
        except sqlite3.DatabaseError as error:
            if "not a database" in str(error):
                raise UsageError(f"{path} is no ledger of ours") from error
            raise SinkError(f"the ledger {path} cannot be used: {error}") from error

    def close(self) -> None:
        """Lets go of the file."""
        self._base.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        try:
            self._base.execute("BEGIN IMMEDIATE")
            yield self._base
            self._base.execute("COMMIT")
        except sqlite3.Error as error:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            raise SinkError(f"the ledger {self.path} cannot be written: {error}") from error

    def want(self, files: Sequence[Wanted]) -> None:
        """Says what is to be done.

        What is new, or of which the file or the options have changed, waits; what was on its way
        when an earlier driver ended waits again; what has failed is tried anew. Files that are not
        among these any more stay in the ledger as they are.
        """
        with self._change() as base:
            base.executemany(
                "INSERT INTO files (source, targets, fingerprint, options) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (source) DO UPDATE SET targets = excluded.targets, "
                "fingerprint = excluded.fingerprint, options = excluded.options, "
                "state = 'waiting', tries = 0, lost = 0, error = '' "
                "WHERE state != 'done' OR fingerprint != excluded.fingerprint "
                "OR options != excluded.options OR targets != excluded.targets",
                [
                    (one.source, _BETWEEN.join(one.targets), one.fingerprint, one.options)
                    for one in files
                ],
            )

    def again(self, source: str) -> None:
        """A file waits once more, though it was done: its result is gone."""
        with self._change() as base:
            base.execute(
                "UPDATE files SET state = 'waiting', tries = 0, lost = 0, error = '' "
                "WHERE source = ?",
                (source,),
            )

    def begin(self, number: int) -> None:
        """A file is handed to a worker."""
        with self._change() as base:
            base.execute(
                "UPDATE files SET state = 'running', begun = ? WHERE number = ?",
                (time.time(), number),
            )

    def done(self, number: int, *, seconds: float, frames: int, node: str) -> None:
        """A file's results are in their places."""
        with self._change() as base:
            base.execute(
                "UPDATE files SET state = 'done', seconds = ?, frames = ?, node = ?, error = '', "
                "ended = ? WHERE number = ?",
                (seconds, frames, node, time.time(), number),
            )

    def failed(self, number: int, error: str, *, seconds: float, node: str, last: bool) -> None:
        """A try has failed by itself; `last`: it is not tried again."""
        with self._change() as base:
            base.execute(
                "UPDATE files SET state = ?, tries = tries + 1, seconds = ?, node = ?, error = ?, "
                "ended = ? WHERE number = ?",
                (
                    State.FAILED if last else State.WAITING,
                    seconds,
                    node,
                    error,
                    time.time(),
                    number,
                ),
            )

    def lost(self, number: int, error: str, *, last: bool) -> None:
        """The worker was lost with it, which is not the file's fault unless it happens often."""
        with self._change() as base:
            base.execute(
                "UPDATE files SET state = ?, lost = lost + 1, error = ?, ended = ? "
                "WHERE number = ?",
                (State.FAILED if last else State.WAITING, error, time.time(), number),
            )

    def entries(self, *states: State) -> list[Entry]:
        """The files in these states, or all; in the order in which they came."""
        where = f" WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        rows = self._base.execute(
            f"SELECT {_COLUMNS} FROM files{where} ORDER BY number",
            [str(state) for state in states],
        )
        return [_entry(row) for row in rows]

    def entry(self, number: int) -> Entry:
        """The file of that number, which there must be."""
        rows = self._base.execute(f"SELECT {_COLUMNS} FROM files WHERE number = ?", (number,))
        return _entry(rows.fetchone())

    def counts(self) -> dict[State, int]:
        """How many files are in each state."""
        found = dict(self._base.execute("SELECT state, COUNT(*) FROM files GROUP BY state"))
        return {state: found.get(str(state), 0) for state in State}


def _entry(row: Sequence[object]) -> Entry:
    number, source, targets, fingerprint, options, state, *rest = row
    wanted = Wanted(
        str(source), tuple(str(targets).split(_BETWEEN)), str(fingerprint), str(options)
    )
    return Entry(int(str(number)), wanted, State(str(state)), *rest)  # type: ignore[arg-type]
