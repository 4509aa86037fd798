"""How long threads may keep the interpreter, and that it is as before afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from stream.run.switching import quick_switching


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def test_it_is_short_until_the_last_has_left() -> None:
    sys.setswitchinterval(0.005)
    with quick_switching(1):
        assert sys.getswitchinterval() == pytest.approx(0.005), "one source gains nothing"
    first, second = quick_switching(2), quick_switching(4)
    for one in (first, second):
        one.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() == pytest.approx(0.0005)
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == pytest.approx(0.005)


def test_an_error_sets_it_back_and_what_is_shorter_stays() -> None:
    sys.setswitchinterval(0.00025)
    with pytest.raises(OSError, match="gone"), quick_switching(2):
        assert sys.getswitchinterval() == pytest.approx(0.00025)
        raise OSError("gone")
    assert sys.getswitchinterval() == pytest.approx(0.00025)
