"""What became of every file: a SQLite database that only the driver writes and anybody may read."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from stream.errors import SinkError, UsageError
from stream.fleet.entries import Entry, Fate, PartEntry, State, Wanted
from stream.fleet.looking import Copy
from stream.fleet.parts import PartKey, Step
from stream.fleet.schema import SCHEMA, VERSION
from stream.fleet.written import joined, parted, read, stored

_KNOWN = tuple(one.name for one in fields(Fate))
_FATE = ", ".join(_KNOWN)
_COLUMNS = f"number, source, targets, fingerprint, options, {_FATE}"
_LITTER = "INSERT OR IGNORE INTO litter SELECT number, targets FROM files WHERE"


class Ledger:
    """The database; every change is on the disk before the method returns.

    Args:
        path: the file; made where it is not there.
        reading: only read, as it is now, also while a driver writes; the file must exist.

    Raises:
        UsageError: there is no such ledger, or it is one of another version, or none at all.
        SinkError: it cannot be written, or not be read.
    """

    def __init__(self, path: Path, *, reading: bool = False) -> None:
        self.path = path
        if reading and not path.is_file():
            raise UsageError(f"there is no ledger {path}: no fleet has written there")
        self._copy = Copy(path) if reading else None
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self._let_go()
            if "not a database" in str(error):
                raise UsageError(f"{path} is no ledger of ours") from error
            raise SinkError(f"the ledger {path} cannot be used: {error}") from error
        except BaseException:
            self._let_go()
            raise

    def _open(self) -> None:
        place, mode = (self.path, "rwc") if self._copy is None else self._copy.readable
        address = f"{place.absolute().as_uri()}?mode={mode}"
        self._base = sqlite3.connect(address, uri=True, isolation_level=None)
        self._version = int(self._base.execute("PRAGMA user_version").fetchone()[0])
        if self._version not in (0, 1, VERSION):
            self._base.close()
            raise UsageError(f"the ledger {self.path} is of another release; move it away")
        self._base.execute("PRAGMA cache_size=-65536")  # KiB; a million names are 100 MiB
        if self._copy is None:
            # With a write-ahead log readers and the writer do not wait for each other.
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.executescript(f"PRAGMA user_version={VERSION};{SCHEMA}")
            self._version = VERSION

    def close(self) -> None:
        """Lets go of the file."""
        self._base.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._copy is not None:
            self._copy.remove()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is changed in the block is on the disk when it ends, all of it or nothing.

        Waiting for the disk is what takes long, and once is enough for all that has come at once.

        Raises:
            SinkError: it cannot be written.
        """
        with self._change():
            yield

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        if self._base.in_transaction:
            yield self._base  # whoever began it ends it
            return
        try:
            self._base.execute("BEGIN IMMEDIATE")
            yield self._base
            self._base.execute("COMMIT")
        except BaseException as error:
            self._undo()
            if isinstance(error, sqlite3.Error):
                problem = f"the ledger {self.path} cannot be written: {error}"
                raise SinkError(problem) from error
            raise

    def _undo(self) -> None:
        if self._base.in_transaction:
            self._base.execute("ROLLBACK")

    def want(self, files: Sequence[Wanted]) -> None:
        """Says what is to be done.

        What is new, or of which the file or the options have changed, waits; what was on its way
        when an earlier driver ended waits again; what has failed is tried anew. Files that are not
        among these any more stay in the ledger as they are.
        """
        given = [
            (stored(one.source), joined(one.targets), one.fingerprint, one.options) for one in files
        ]
        with self._change() as base:
            # What was found of a file's parts holds as long as file and options are the same.
            if base.execute("SELECT 1 FROM parts LIMIT 1").fetchone():
                changed = "source = ?1 AND (targets != ?2 OR fingerprint != ?3 OR options != ?4)"
                _without_parts(base, changed, given)
                base.executemany(
                    "UPDATE parts SET state = 'waiting', tries = 0, lost = 0, error = '' WHERE "
                    "state != 'done' AND number IN (SELECT number FROM files WHERE source = ?1)",
                    [one[:1] for one in given],
                )
            # What other options have made lies there still, and is no less this fleet's.
            base.executemany(
                "INSERT OR IGNORE INTO former SELECT number, targets FROM files "
                "WHERE source = ?1 AND targets != ?2 AND begun > 0",
                [one[:2] for one in given],
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

    def again(self, sources: Iterable[str]) -> None:
        """Files wait once more, though they were done: their results are gone."""
        given = [(stored(one),) for one in sources]
        with self._change() as base:
            _without_parts(base, "source = ?", given)
            base.executemany(
                "UPDATE files SET state = 'waiting', tries = 0, lost = 0, error = '' "
                "WHERE source = ?",
                given,
            )

    def forget(self, sources: Iterable[str]) -> None:
        """Nothing is known of these files any more: their results are others' from here on."""
        given = [(stored(one),) for one in sources]
        if not given:
            return
        with self._change() as base:
            _without_parts(base, "source = ?", given)
            base.executemany(
                "DELETE FROM remarks WHERE number IN (SELECT number FROM files WHERE source = ?)",
                given,
            )
            base.executemany("DELETE FROM files WHERE source = ?", given)

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

    def cut(self, number: int, begins: Sequence[int], version: str = "") -> None:
        """A file is to be done in parts, which begin there; what is known of other parts goes.

        Args:
            number: the file's.
            begins: of its parts, in ticks.
            version: of the file, which all parts are to be of.
        """
        with self._change() as base:
            base.execute("DELETE FROM parts WHERE number = ?", (number,))
            _add(base, number, [(PartKey(Step.FIND, n), at) for n, at in enumerate(begins)])
            base.execute("INSERT OR REPLACE INTO versions VALUES (?, ?)", (number, version))

    def version(self, number: int) -> str:
        """Which version of a file was cut; "" where that is unknown."""
        asked = "SELECT version FROM versions WHERE number = ?"
        row = self._base.execute(asked, (number,)).fetchone()
        return row[0] if row else ""

    def add_parts(self, number: int, keys: Sequence[PartKey]) -> None:
        """The tasks of a file's next step wait."""
        with self._change() as base:
            _add(base, number, [(key, 0) for key in keys])

    def forget_parts(self, number: int) -> None:
        """What was done of a file's parts is of no use any more."""
        self.cut(number, ())

    def useless(self, number: int) -> None:
        """What a file's parts have left in its folders is of no use any more."""
        with self._change() as base:
            base.execute(f"{_LITTER} number = ?", (number,))

    def litter(self) -> list[tuple[int, tuple[str, ...]]]:
        """Of what files' parts have left what is of no use: the files' numbers and results."""
        return [
            (int(number), parted(targets))
            for number, targets in self._base.execute("SELECT number, targets FROM litter")
        ]

    def removed(self, litter: Iterable[tuple[int, Sequence[str]]]) -> None:
        """It is not there any more."""
        gone = [(number, joined(targets)) for number, targets in litter]
        if not gone:
            return
        with self._change() as base:
            base.executemany("DELETE FROM litter WHERE number = ? AND targets = ?", gone)

    def remark(self, number: int, text: str, *, further: bool = False) -> None:
        """Something is to be said of a file.

        Args:
            number: the file's.
            text: what; "" for nothing.
            further: besides what was said before, unless that says it already; else in its place.
        """
        with self._change() as base:
            row = base.execute("SELECT remark FROM remarks WHERE number = ?", (number,)).fetchone()
            if row and further:
                text = row[0] if text in row[0] else f"{row[0]}; {text}"
            if row:
                base.execute("DELETE FROM remarks WHERE number = ?", (number,))
            if text:
                base.execute("INSERT INTO remarks VALUES (?, ?)", (number, text))

    def parts(self, numbers: Iterable[int] | None = None) -> dict[int, list[PartEntry]]:
        """The tasks of files that are cut, by the file's number, steps in their order.

        Args:
            numbers: of the files; None for all.
        """
        if self._version < VERSION:
            return {}
        there = [int(row[0]) for row in self._base.execute("SELECT DISTINCT number FROM parts")]
        if numbers is not None:
            there = sorted(set(numbers).intersection(there))
        return {number: self.parts_of(number) for number in there}

    def parts_of(self, number: int) -> list[PartEntry]:
        """The tasks of a file that is cut, steps in their order."""
        found = [
            PartEntry(number=number, key=PartKey(Step(step), place), begin=begin, **_fate(known))
            for number, step, place, begin, *known in self._base.execute(
                f"SELECT number, step, place, start, {_FATE} FROM parts WHERE number = ?", (number,)
            )
        ]
        order = list(Step)
        return sorted(found, key=lambda one: (order.index(one.key.step), one.key.place))

    def entries(self, *states: State) -> list[Entry]:
        """The files in these states, or all; in the order in which they came."""
        return list(self.each(*states))

    def each(self, *states: State) -> Iterator[Entry]:
        """Likewise, one after the other: a million at once are half a gigabyte."""
        where = f" WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        remark, beside = "NULL", ""
        if self._version == VERSION:
            remark, beside = "remark", " LEFT JOIN remarks USING (number)"
        rows = self._base.execute(
            f"SELECT {remark}, {_COLUMNS} FROM files{beside}{where} ORDER BY number",
            [str(state) for state in states],
        )
        for said, *row in rows:
            yield _entry(row, said or "")

    def former(self) -> dict[int, set[str]]:
        """Where results of each file were to be, by its number, that are elsewhere by now."""
        known = "SELECT 1 FROM sqlite_master WHERE name = 'former'"  # not where it is only read
        if self._base.execute(known).fetchone() is None:
            return {}
        found: dict[int, set[str]] = {}
        for number, targets in self._base.execute("SELECT number, targets FROM former"):
            found.setdefault(int(number), set()).update(parted(targets))
        return found

    def waiting(self, numbers: Iterable[int]) -> list[int]:
        """Of these files those that wait, in the order in which they came."""
        asked = set(numbers)
        rows = self._base.execute(
            "SELECT number FROM files WHERE state = ? ORDER BY number", (State.WAITING,)
        )
        return [number for (number,) in rows if number in asked]

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


def _without_parts(
    base: sqlite3.Connection, where: str, given: Sequence[tuple[str | bytes, ...]]
) -> None:
    """Forgets the parts of some files; what they have left is to be removed.

    Of a file that is done that has happened, or is known: a folder is not looked into for each.
    """
    unfinished = f"{where} AND state != 'done' AND number IN (SELECT number FROM parts)"
    base.executemany(f"{_LITTER} {unfinished}", given)
    base.executemany(
        f"DELETE FROM parts WHERE number IN (SELECT number FROM files WHERE {where})", given
    )


def _add(base: sqlite3.Connection, number: int, keys: Sequence[tuple[PartKey, int]]) -> None:
    base.executemany(
        "INSERT OR IGNORE INTO parts (number, step, place, start) VALUES (?, ?, ?, ?)",
        [(number, str(key.step), key.place, begin) for key, begin in keys],
    )


def _entry(row: Sequence[Any], remark: str = "") -> Entry:
    number, source, targets, fingerprint, options, *known = row
    wanted = Wanted(read(source), parted(targets), str(fingerprint), str(options))
    return Entry(number=number, wanted=wanted, remark=remark, **_fate(known))


def _fate(known: Sequence[Any]) -> dict[str, Any]:
    return {**dict(zip(_KNOWN, known, strict=True)), "state": State(known[0])}
