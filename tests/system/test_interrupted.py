import os
import signal

import pytest

from stream.system import interrupted
from stream.system.interrupted import interrupted_later
from tests.run.parts import until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def as_python_has_it():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_until_a_block_is_done(as_python_has_it):
    done = []
    with pytest.raises(KeyboardInterrupt), interrupted_later():
        press()
        press()
        done.append("all of it")
    assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with interrupted_later():
        done.append("nobody pressed")


def test_a_block_that_takes_long_is_left_by_the_next_ctrl_c(as_python_has_it, monkeypatch):
    monkeypatch.setattr(interrupted, "_GRACE_SECONDS", -1)
    with pytest.raises(KeyboardInterrupt), interrupted_later():
        press()
        pytest.fail("it goes on")


def test_what_is_left_already_is_left_once(as_python_has_it):
    first = KeyboardInterrupt("the first")
    with pytest.raises(KeyboardInterrupt) as found:
        try:
            raise first
        finally:
            with interrupted_later():
                press()
    assert found.value is first


def test_an_iterator_that_is_forgotten_loses_no_ctrl_c_and_says_nothing(as_python_has_it):
    def given():
        try:
            yield 1
        finally:
            with interrupted_later():
                press()

    iterator = given()
    next(iterator)
    with pytest.raises(KeyboardInterrupt):
        del iterator  # Where it raised, pytest would tell of what Python ignored.
        until(lambda: False)


def test_a_program_s_own_handler_stays(as_python_has_it):
    calls = []
    signal.signal(signal.SIGINT, lambda *_: calls.append(1))
    with interrupted_later():
        press()
    assert calls == [1]
