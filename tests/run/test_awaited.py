"""A source that is not there when others begin is waited for as long as one of them goes on."""

from __future__ import annotations

import threading
from fractions import Fraction

import pytest

from stream.errors import SourceError, UsageError
from stream.frame import VideoInfo
from stream.run import awaited
from stream.run.awaited import Company
from stream.sources.base import Source
from tests.run.parts import until

GONE = SourceError("nobody is there")


class Found(Source):
    info = VideoInfo("it", 64, 48, "yuv420p", Fraction(1, 25), Fraction(25), Fraction(1))

    def __iter__(self):
        return iter(())

    def close(self) -> None:
        pass


class Opening:
    """Fails with these errors, one after the other, and then opens."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.asked = 0

    def __call__(self) -> Source:
        self.asked += 1
        if self._errors:
            raise self._errors.pop(0)
        return Found()


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(awaited, "_FIRST", 0.001)
    monkeypatch.setattr(awaited, "_LONGEST", 0.001)


def wait_for(company: Company, opening: Opening, **how) -> tuple[object, list[str]]:
    said: list[str] = []
    how = {"wanted": lambda: True, **how}
    try:
        return company.awaited("b", opening, lambda error: said.append(str(error)), **how), said
    except (SourceError, UsageError) as error:
        return error, said


def test_it_comes_later_and_that_it_is_missing_is_said_once():
    opening = Opening(GONE, GONE, GONE)
    found, said = wait_for(Company("ab"), opening)
    assert isinstance(found, Found) and said == ["nobody is there"] and opening.asked == 4
    assert wait_for(Company("ab"), Opening())[1] == []


def test_where_no_other_goes_on_it_is_not_waited_for():
    company = Company("ab")
    company.left("a")
    opening = Opening(GONE)
    assert wait_for(company, opening) == (GONE, []) and opening.asked == 1
    # Of two that are not there neither waits for the other.
    both = Company("ab")
    assert wait_for(both, Opening(GONE, GONE), wanted=lambda: False)[0] is GONE
    with pytest.raises(SourceError):
        both.awaited("a", Opening(GONE), lambda error: None, wanted=lambda: True)


def test_one_that_came_later_is_company_for_others():
    company = Company("ab")
    assert isinstance(wait_for(company, Opening(GONE))[0], Found)
    company.left("a")
    there = company.awaited("a", Opening(GONE), lambda error: None, wanted=lambda: True)
    assert isinstance(there, Found)


def test_what_is_of_no_use_is_not_tried_again():
    for error in (SourceError("a wrong password", lasting=True), UsageError("no address")):
        opening = Opening(error)
        assert wait_for(Company("ab"), opening) == (error, []) and opening.asked == 1


def test_it_is_given_up_when_it_has_been_away_for_as_long_as_was_said():
    hours = iter(range(100))
    company = Company("ab", now=lambda: 3600.0 * next(hours))
    opening = Opening(*[GONE] * 50)
    assert wait_for(company, opening, patience=4 * 3600.0) == (GONE, ["nobody is there"])
    assert opening.asked == 4


@pytest.mark.parametrize("end", ["nobody wants it", "the last other ends"])
def test_whoever_waits_is_woken(monkeypatch, end):
    monkeypatch.setattr(awaited, "_FIRST", 3600.0)
    company, stopping, opening = Company("ab"), threading.Event(), Opening(GONE, GONE)
    told = threading.Event()
    ended: list[SourceError] = []

    def waiting() -> None:
        try:
            company.awaited(
                "b", opening, lambda error: told.set(), wanted=lambda: not stopping.is_set()
            )
        except SourceError as error:
            ended.append(error)

    thread = threading.Thread(target=waiting)
    thread.start()
    assert told.wait(60)
    if end == "nobody wants it":
        stopping.set()
        company.look()
    else:
        company.left("a")
    until(lambda: bool(ended))
    thread.join()
    assert ended == [GONE] and opening.asked == 1
