"""The report: figures and a page from the ledger's entries."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from stream.fleet.entries import Entry, PartEntry, State, Wanted
from stream.fleet.page import figures, kind_of, page
from stream.fleet.parts import PartKey, Step


def _entry(number: int, state: State, **more) -> Entry:
    source = more.pop("source", f"/in/{number}.mp4")
    wanted = Wanted(source, (f"/out/{number}.mp4",), "1", "o")
    return Entry(number=number, wanted=wanted, state=state, **more)


ENTRIES = [
    _entry(1, State.DONE, frames=100, seconds=4.0, node="a", begun=1000.0, ended=1004.0),
    _entry(2, State.DONE, frames=50, seconds=1.0, node="b", begun=1002.0, ended=1010.0),
    _entry(3, State.FAILED, error="/in/3.mp4 is cut short after 12 frames", tries=3),
    _entry(4, State.FAILED, error="/in/4.mp4 is cut short after 7 frames", tries=3),
    _entry(5, State.WAITING, source="s3://user:hunter2@bucket/<b>.mp4"),
]


def test_figures() -> None:
    known = figures(ENTRIES)
    assert known["files"] == {"waiting": 1, "running": 0, "done": 2, "failed": 2}
    assert known["frames"] == 150 and known["wall_seconds"] == 10.0
    assert known["fps"] == pytest.approx(15)
    assert known["nodes"] == {
        "a": {"files": 1, "frames": 100, "fps": 25.0},
        "b": {"files": 1, "frames": 50, "fps": 6.25},
    }
    assert known["failures"] == {"FILE is cut short after N frames": 2}
    assert json.loads(json.dumps(known)) == known


def test_the_documentation_names_every_figure(request) -> None:
    page = (
        (request.config.rootpath / "docs" / "report.md").read_text().partition("## Of a fleet")[2]
    )
    done = PartEntry(number=5, key=PartKey(Step.FIND), begin=0, state=State.DONE)
    known = figures([*ENTRIES, _entry(6, State.DONE, remark="it is cut short")], {5: [done]})
    lists = [one for value in known.values() if isinstance(value, list) for one in value]
    assert {"tasks", "remark", "tries"} <= {key for one in lists for key in one}
    for key in [
        *known,
        *known["files"],
        *known["nodes"]["a"],
        *(key for one in lists for key in one),
    ]:
        assert f"`{key}`" in page, key


def test_time_in_which_a_fleet_rested_slows_nothing() -> None:
    """It was stopped for an hour, and gone on with."""
    later = _entry(6, State.DONE, frames=30, begun=4600.0, ended=4602.0)
    known = figures([later, *ENTRIES])
    assert known["wall_seconds"] == 3602.0 and known["working_seconds"] == 12.0
    assert known["fps"] == pytest.approx(15)


def test_a_clock_that_is_set_back_takes_no_time_away() -> None:
    times = {"seconds": 5.0, "frames": 100}
    entries = [
        _entry(1, State.DONE, begun=1000.0, ended=1005.0, **times),
        _entry(2, State.DONE, begun=1006.0, ended=1011.0 - 7200, **times),
    ]
    known = figures(entries)
    assert (known["wall_seconds"], known["working_seconds"], known["fps"]) == (11.0, 10.0, 20.0)
    assert "11 seconds from left to right" in page(entries)


def test_of_nothing() -> None:
    assert figures([])["fps"] == 0.0
    assert "no files" in page([])


def test_a_page_lists_a_thousand_of_a_kind() -> None:
    failed = [_entry(number, State.FAILED, error="it is broken") for number in range(1200)]
    text = page(failed)
    assert text.count("it is broken") == 1001  # and once by its kind
    assert "And 200 more; the report in JSON has them all" in text
    assert len(figures(failed)["failed"]) == 1200


def test_a_failure_is_known_by_its_kind() -> None:
    assert kind_of("/a/b c.mp4 cannot be read (5)", "/a/b c.mp4") == "FILE cannot be read (N)"


def test_the_page_is_whole_and_shows_no_secret() -> None:
    text = page(ENTRIES)

    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.bars = 0

        def handle_starttag(self, tag: str, attributes: list) -> None:
            self.bars += tag == "rect"
            assert tag not in ("script", "link", "img")

    tags = Tags()
    tags.feed(text)
    assert tags.bars == 60
    assert "<title>Fleet</title>" in text and "hunter2" not in text
    failed = page([_entry(9, State.FAILED, source="/in/<i>.mp4", error="<script>")])
    assert "<script>" not in failed and "&lt;script&gt;" in failed


def test_files_in_parts_are_listed_with_their_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    from stream.cli._fleet_words import print_table

    states = [(Step.FIND, 0), (Step.FIND, 1), (Step.FOLLOW, 0), (Step.PAINT, 0), (Step.PAINT, 1)]
    tasks = [
        PartEntry(
            number=5, key=PartKey(step, place), begin=0, state=State.DONE, seconds=2.0, tries=place
        )
        for step, place in states[:4]
    ]
    tasks.append(PartEntry(number=5, key=PartKey(*states[4]), begin=0, state=State.RUNNING))
    entries = [*ENTRIES, _entry(6, State.DONE, remark="not cut: it has no key frame")]
    (known,) = figures(entries, {5: tasks})["parts"]
    assert (known["parts"], known["tasks"], known["done"], known["tries"]) == (2, 5, 4, 1)
    assert known["seconds"] == {"find": 4.0, "follow": 2.0, "paint": 2.0}
    text = page(entries, {5: tasks})
    assert "1 of 2 parts painted" in text and "find 2, 1 try failed" in text
    assert "not cut: it has no key frame" in text and "hunter2" not in text
    print_table(entries, {5: tasks})
    said = capsys.readouterr().err
    assert "1 of 2 parts painted" in said and "not cut: it has no key frame" in said
    assert "hunter2" not in said
