"""Patterns of numbered pictures: the files they name, the rate, and what is missing."""

from __future__ import annotations

from fractions import Fraction

import pytest

from stream.errors import UsageError
from stream.sources._numbering import missing, pattern_in, rate_of, step_of
from tests.sources.test_numbered import film


def test_rates_of_film_are_meant_where_they_are_cut_short():
    for asked, rate in ((29.97, "30000/1001"), (23.976, "24000/1001"), (23.98, "24000/1001")):
        assert rate_of(asked) == Fraction(rate)
    assert [rate_of(one) for one in (24, 12.5, 0.5)] == [24, Fraction(25, 2), Fraction(1, 2)]


def test_of_many_gaps_some_are_named():
    numbers = [n for n in range(0, 40, 2) if n % 6]
    assert step_of(numbers) == 2 and step_of([4]) == 1
    (said,) = [one for one in missing(numbers, 2) if "missing" in one]
    assert said.startswith("6 numbers are missing (6, 12, 18, 24, 30, …)")


def test_a_folder_has_the_pattern_of_its_pictures(tmp_path):
    assert pattern_in(tmp_path) is None
    pattern = film(tmp_path / "a", (7, 12345), "take2_{:04d}.png")
    assert pattern_in(tmp_path / "a") == pattern
    assert pattern_in(film(tmp_path / "b", (7, 12), "{:d}.png").parent) == tmp_path / "b" / "%d.png"
    film(tmp_path / "a", (7,), "right_{:04d}.png")
    with pytest.raises(UsageError, match="several films of numbered pictures"):
        pattern_in(tmp_path / "a")
