"""The ledger: what is known of each file survives whatever happens to the driver."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

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
    reader = Ledger(ledger.path, reading=True)

    def changed(error: Exception | None) -> None:
        with ledger.together():
            ledger.done(first, seconds=1, frames=1, node="here")
            assert reader.counts()[State.DONE] == 0
            ledger.begin(second)
            if error is not None:
                raise error

    with pytest.raises(KeyError):
        changed(KeyError())
    assert ledger.counts()[State.WAITING] == 2
    changed(None)
    assert reader.counts() == {
        State.WAITING: 0, State.RUNNING: 1, State.DONE: 1, State.FAILED: 0
    }  # fmt: skip
    reader.close()
