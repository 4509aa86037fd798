"""What became of every file: a SQLite database that only the driver writes and anybody may read."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from stream.errors import SinkError, UsageError
from stream.fleet.parts import PartKey, Step


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
        remark: what is to be said of it, a sentence.
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
    remark: str = ""


@dataclass(frozen=True, slots=True)
class PartEntry:
    """What the ledger knows of a task of a file that is cut.

    Attributes:
        number: the file's.
        key: which part, and what is done with it.
        begin: where the part begins, in ticks on the frames' clock.
        state: how far it is; the others likewise as in `Entry`.
    """

    number: int
    key: PartKey
    begin: int
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
CREATE TABLE IF NOT EXISTS remarks (number INTEGER PRIMARY KEY, remark TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS parts (
    number INTEGER NOT NULL, step TEXT NOT NULL, place INTEGER NOT NULL, start INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', tries INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,
    frames INTEGER NOT NULL DEFAULT 0, node TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '', begun REAL NOT NULL DEFAULT 0, ended REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (number, step, place)
);
"""
_FATE = "state, tries, lost, seconds, frames, node, error, begun, ended"
_COLUMNS = f"number, source, targets, fingerprint, options, {_FATE}"
_BETWEEN = "\n"
"""Stands between targets: no path that we write has one."""

_VERSION = 2
"""1 knew of no parts; it is read as it is, and taken over where it is written."""


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
            self._version = int(self._base.execute("PRAGMA user_version").fetchone()[0])
            if self._version not in (0, 1, _VERSION):
                self._base.close()
                raise UsageError(f"the ledger {path} is of another release; move it away")
            if not reading:
                # With a write-ahead log readers and the writer do not wait for each other.
                self._base.execute("PRAGMA journal_mode=WAL")
                self._base.executescript(f"PRAGMA user_version={_VERSION};{_SCHEMA}")
                self._version = _VERSION
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
        given = [
            (one.source, _BETWEEN.join(one.targets), one.fingerprint, one.options) for one in files
        ]
        with self._change() as base:
            # What was found of a file's parts holds as long as file and options are the same.
            if base.execute("SELECT 1 FROM parts LIMIT 1").fetchone():
                base.executemany(
                    "DELETE FROM parts WHERE number IN (SELECT number FROM files WHERE source = ?1 "
                    "AND (targets != ?2 OR fingerprint != ?3 OR options != ?4))",
                    given,
                )
                base.executemany(
                    "UPDATE parts SET state = 'waiting', tries = 0, lost = 0, error = '' WHERE "
                    "state != 'done' AND number IN (SELECT number FROM files WHERE source = ?1)",
                    [one[:1] for one in given],
                )
            base.executemany(
                "INSERT INTO files (source, targets, fingerprint, options) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (source) DO UPDATE SET targets = excluded.targets, "
                "fingerprint = excluded.fingerprint, options = excluded.options, "
                "state = 'waiting', tries = 0, lost = 0, error = '' "
                "WHERE state != 'done' OR fingerprint != excluded.fingerprint "
                "OR options != excluded.options OR targets != excluded.targets",
                given,
            )

    def again(self, source: str) -> None:
        """A file waits once more, though it was done: its result is gone."""
        with self._change() as base:
            base.execute(
                "DELETE FROM parts WHERE number IN (SELECT number FROM files WHERE source = ?)",
                (source,),
            )
            base.execute(
                "UPDATE files SET state = 'waiting', tries = 0, lost = 0, error = '' "
                "WHERE source = ?",
                (source,),
            )

    def begin(self, number: int, key: PartKey | None = None) -> None:
        """A file, or a part of one, is handed to a worker."""
        with self._change() as base:
            _set(base, number, key, "state = 'running', begun = ?", time.time())
            if key is not None:
                base.execute("UPDATE files SET state = 'running' WHERE number = ?", (number,))

    def done(
        self, number: int, *, seconds: float, frames: int, node: str, key: PartKey | None = None
    ) -> None:
        """A file's results, or a part's, are in their places."""
        with self._change() as base:
            said = "state = 'done', seconds = ?, frames = ?, node = ?, error = '', ended = ?"
            _set(base, number, key, said, seconds, frames, node, time.time())

    def failed(
        self,
        number: int,
        error: str,
        *,
        seconds: float,
        node: str,
        last: bool,
        key: PartKey | None = None,
    ) -> None:
        """A try has failed by itself; `last`: it is not tried again."""
        state = State.FAILED if last else State.WAITING
        with self._change() as base:
            said = "state = ?, tries = tries + 1, seconds = ?, node = ?, error = ?, ended = ?"
            _set(base, number, key, said, state, seconds, node, error, time.time())

    def lost(self, number: int, error: str, *, last: bool, key: PartKey | None = None) -> None:
        """The worker was lost with it, which is not the file's fault unless it happens often."""
        state = State.FAILED if last else State.WAITING
        with self._change() as base:
            said = "state = ?, lost = lost + 1, error = ?, ended = ?"
            _set(base, number, key, said, state, error, time.time())

    def cut(self, number: int, begins: Sequence[int]) -> None:
        """A file is to be done in parts, which begin there; what is known of other parts goes."""
        with self._change() as base:
            base.execute("DELETE FROM parts WHERE number = ?", (number,))
            _add(base, number, [(PartKey(Step.FIND, n), at) for n, at in enumerate(begins)])

    def add_parts(self, number: int, keys: Sequence[PartKey]) -> None:
        """The tasks of a file's next step wait."""
        with self._change() as base:
            _add(base, number, [(key, 0) for key in keys])

    def forget_parts(self, number: int) -> None:
        """What was done of a file's parts is of no use any more."""
        self.cut(number, ())

    def remark(self, number: int, text: str) -> None:
        """Something is to be said of a file; in place of what was said before."""
        with self._change() as base:
            base.execute("DELETE FROM remarks WHERE number = ?", (number,))
            if text:
                base.execute("INSERT INTO remarks VALUES (?, ?)", (number, text))

    def parts(self) -> dict[int, list[PartEntry]]:
        """The tasks of files that are cut, by the file's number, steps in their order."""
        found: dict[int, list[PartEntry]] = {}
        for one in self._parts("", ()):
            found.setdefault(one.number, []).append(one)
        return found

    def parts_of(self, number: int) -> list[PartEntry]:
        """The tasks of a file that is cut, steps in their order."""
        return self._parts(" WHERE number = ?", (number,))

    def _parts(self, where: str, values: Sequence[object]) -> list[PartEntry]:
        if self._version < _VERSION:
            return []
        found = [
            PartEntry(number, PartKey(Step(step), place), begin, State(state), *rest)
            for number, step, place, begin, state, *rest in self._base.execute(
                f"SELECT number, step, place, start, {_FATE} FROM parts{where}", values
            )
        ]
        order = list(Step)
        return sorted(found, key=lambda one: (order.index(one.key.step), one.key.place))

    def entries(self, *states: State) -> list[Entry]:
        """The files in these states, or all; in the order in which they came."""
        where = f" WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        rows = self._base.execute(
            f"SELECT {_COLUMNS} FROM files{where} ORDER BY number",
            [str(state) for state in states],
        )
        said: dict[int, str] = {}
        if self._version == _VERSION:
            said = dict(self._base.execute("SELECT number, remark FROM remarks"))
        return [_entry(row, said.get(int(row[0]), "")) for row in rows]

    def entry(self, number: int) -> Entry:
        """The file of that number, which there must be."""
        rows = self._base.execute(f"SELECT {_COLUMNS} FROM files WHERE number = ?", (number,))
        return _entry(rows.fetchone())

    def counts(self) -> dict[State, int]:
        """How many files are in each state."""
        found = dict(self._base.execute("SELECT state, COUNT(*) FROM files GROUP BY state"))
        return {state: found.get(str(state), 0) for state in State}


def _set(
    base: sqlite3.Connection, number: int, key: PartKey | None, what: str, *values: object
) -> None:
    """Changes the row of a file, or of a part of it."""
    if key is None:
        base.execute(f"UPDATE files SET {what} WHERE number = ?", (*values, number))
    else:
        where = "number = ? AND step = ? AND place = ?"
        base.execute(
            f"UPDATE parts SET {what} WHERE {where}", (*values, number, str(key.step), key.place)
        )


def _add(base: sqlite3.Connection, number: int, keys: Sequence[tuple[PartKey, int]]) -> None:
    base.executemany(
        "INSERT OR IGNORE INTO parts (number, step, place, start) VALUES (?, ?, ?, ?)",
        [(number, str(key.step), key.place, begin) for key, begin in keys],
    )


def _entry(row: Sequence[object], remark: str = "") -> Entry:
    number, source, targets, fingerprint, options, state, *rest = row
    wanted = Wanted(
        str(source), tuple(str(targets).split(_BETWEEN)), str(fingerprint), str(options)
    )
    entry = Entry(int(str(number)), wanted, State(str(state)), *rest)  # type: ignore[arg-type]
    return replace(entry, remark=remark)
