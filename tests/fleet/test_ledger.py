"""The ledger: what is known of each file survives whatever happens to the driver."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import pytest

from stream.errors import UsageError
from stream.fleet.entries import State, Wanted
from stream.fleet.ledger import Ledger


def _wanted(name: str, fingerprint: str = "1") -> Wanted:
    return Wanted(f"/in/{name}", (f"/out/{name}", f"/out/{name}.ndjson"), fingerprint, "options")


@pytest.fixture
def ledger(tmp_path: Path):
    one = Ledger(tmp_path / "ledger.sqlite")
    yield one
    one.close()


def test_files_wait_in_the_order_in_which_they_came(ledger: Ledger) -> None:
    ledger.want([_wanted("b.mp4"), _wanted("a.mp4")])
    entries = ledger.entries(State.WAITING)
    assert [one.wanted for one in entries] == [_wanted("b.mp4"), _wanted("a.mp4")]


def test_another_driver_finds_what_the_first_has_left(ledger: Ledger) -> None:
    names = ("done", "failed", "running", "waiting")
    ledger.want([_wanted(name) for name in names])
    done, failed, running, _ = (one.number for one in ledger.entries())
    for number in (done, failed, running):
        ledger.begin(number)
    ledger.done(done, seconds=2.5, frames=60, node="here")
    ledger.failed(failed, "it is damaged", seconds=0.1, node="here", last=True)
    # The driver is killed; what it wrote is there for readers, and for the next one.
    reader = Ledger(ledger.path, reading=True)
    assert reader.counts() == {
        State.WAITING: 1, State.RUNNING: 1, State.DONE: 1, State.FAILED: 1
    }  # fmt: skip
    reader.close()
    second = Ledger(ledger.path)
    second.want([_wanted(name) for name in names])
    entries = second.entries()
    second.close()
    assert [one.state for one in entries] == [State.DONE, *[State.WAITING] * 3]
    assert (entries[0].frames, entries[0].seconds, entries[0].node) == (60, 2.5, "here")
    assert [one.number for one in entries] == [done, failed, running, entries[3].number]


@pytest.mark.parametrize("what", ["fingerprint", "options", "targets"])
def test_what_has_changed_is_done_anew(ledger: Ledger, what: str) -> None:
    ledger.want([_wanted("a")])
    (entry,) = ledger.entries()
    ledger.done(entry.number, seconds=1, frames=1, node="here")
    ledger.want([_wanted("a")])
    assert ledger.entries()[0].state == State.DONE
    ledger.want([replace(_wanted("a"), **{what: ("/out/b",) if what == "targets" else "other"})])
    assert ledger.entries()[0].state == State.WAITING


def test_tries_and_losses_are_counted_apart(ledger: Ledger) -> None:
    ledger.want([_wanted("a")])
    number = ledger.entries()[0].number
    ledger.failed(number, "once", seconds=1, node="here", last=False)
    ledger.lost(number, "the machine is gone", last=False)
    ledger.failed(number, "twice", seconds=1, node="here", last=True)
    (entry,) = ledger.entries()
    assert (entry.tries, entry.lost, entry.state, entry.error) == (2, 1, State.FAILED, "twice")
    ledger.again([entry.wanted.source])
    (entry,) = ledger.entries()
    assert (entry.tries, entry.lost, entry.state, entry.error) == (0, 0, State.WAITING, "")


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no fleet has written there"):
        Ledger(tmp_path / "none", reading=True)
    text = tmp_path / "text"
    text.write_text("something else, and long enough to be looked at " * 30)
    with pytest.raises(UsageError, match="is no ledger of ours"):
        Ledger(text)
    assert text.read_text().startswith("something else")
    newer = tmp_path / "newer"
    with sqlite3.connect(newer) as base:
        base.execute("PRAGMA user_version=99")
    base.close()
    with pytest.raises(UsageError, match="another release"):
        Ledger(newer)


@pytest.mark.parametrize(
    "name",
    ["new\nline.mp4", "bytes\udcff.mp4", '["a.mp4', "both\n\udcff.mp4", "naïve 日本 b'c.mp4"],
)
def test_any_name_of_a_file_is_kept(ledger: Ledger, name: str) -> None:
    wanted = Wanted(f"/in/{name}", (name, f"/out/{name}.ndjson"), "1", "options")
    for _ in range(2):
        ledger.want([wanted])
    (entry,) = ledger.entries()
    assert entry.wanted == wanted
    ledger.done(entry.number, seconds=1, frames=1, node="here")
    ledger.want([wanted])
    assert ledger.counts()[State.DONE] == 1
    ledger.again([wanted.source])
    assert ledger.waiting([entry.number]) == [entry.number]


def test_what_is_changed_together_is_there_together_or_not_at_all(ledger: Ledger) -> None:
    ledger.want([_wanted("a"), _wanted("b")])
    first, second = (one.number for one in ledger.entries())

    def done() -> int:
        with closing(Ledger(ledger.path, reading=True)) as reader:
            return reader.counts()[State.DONE]

    def changed(error: Exception | None) -> None:
        with ledger.together():
            ledger.done(first, seconds=1, frames=1, node="here")
            assert done() == 0
            ledger.begin(second)
            if error is not None:
                raise error

    with pytest.raises(KeyError):
        changed(KeyError())
    assert ledger.counts()[State.WAITING] == 2
    changed(None)
    assert done() == 1 and ledger.counts()[State.RUNNING] == 1


def _lying_in(folder: Path) -> dict[str, tuple[int, int]]:
    return {one.name: (one.stat().st_size, one.stat().st_mtime_ns) for one in folder.iterdir()}


def _looked(path: Path) -> int:
    with closing(Ledger(path, reading=True)) as reader:
        assert all(one.wanted.options == "options" for one in reader.each())
        return reader.counts()[State.WAITING]


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with closing(Ledger(path)) as ledger:
        ledger.want([_wanted("a"), _wanted("b")])
        before = _lying_in(tmp_path)
        assert set(before) == {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"}
        assert _looked(path) == 2
        assert _lying_in(tmp_path) == before
        # A look that lasts longer than the driver.
        reader = Ledger(path, reading=True)
    assert set(_lying_in(tmp_path)) == {"ledger.sqlite"}
    reader.close()
    before = _lying_in(tmp_path)
    assert _looked(path) == 2
    assert _lying_in(tmp_path) == before


def test_what_a_killed_driver_has_left_is_read_where_nobody_may_write(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        ledger.want([_wanted("a")])
        for name in ("ledger.sqlite", "ledger.sqlite-wal"):  # as `kill -9` leaves them
            copyfile(tmp_path / name, folder / name)
    for one in (*folder.iterdir(), folder):
        one.chmod(0o500 if one.is_dir() else 0o400)
    before = _lying_in(folder)
    assert _looked(folder / "ledger.sqlite") == 1
    assert _lying_in(folder) == before
    folder.chmod(0o700)


def test_a_ledger_is_read_as_it_was_at_one_moment(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log begins anew between the copies of the database and of the log."""
    ledger.want([_wanted(f"{place}.mp4") for place in range(300)])
    written = itertools.count(1)

    def copied(source: Path, to: Path) -> None:
        copyfile(source, to)
        if source == ledger.path and (time := next(written)) <= most:
            with closing(sqlite3.connect(ledger.path)) as base:
                base.execute("PRAGMA wal_checkpoint(RESTART)")
            ledger.want([_wanted(f"{most}-{time}-{place}.mp4") for place in range(300)])

    monkeypatch.setattr("stream.fleet.looking.copyfile", copied)
    for most in (3, 99):  # what is always written faster than it is copied is read where it lies
        written = itertools.count(1)
        assert _looked(ledger.path) == ledger.counts()[State.WAITING] > 300 * min(most, 10)
