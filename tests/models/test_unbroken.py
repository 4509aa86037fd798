import signal
import threading

import pytest

from stream.errors import StreamError
from stream_models.training.unbroken import ended_as_interrupted, resumable, unbroken


@pytest.fixture(autouse=True)
def usual():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_first_interrupt_waits_for_the_end_and_a_second_does_not():
    done = []
    with pytest.raises(KeyboardInterrupt), unbroken():
        signal.raise_signal(signal.SIGINT)
        done.append("whole")
    with pytest.raises(KeyboardInterrupt), unbroken():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        done.append("never")
    assert done == ["whole"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_error_keeps_its_name_and_the_usual_comes_back():
    with pytest.raises(ValueError, match="of ours"), unbroken():
        raise ValueError("of ours")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_does_not_hear_it_is_not_asked():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with unbroken():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN

    def beside():
        with unbroken():
            pass

    thread = threading.Thread(target=beside)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_being_ended_by_a_scheduler_is_an_interrupt_even_where_ctrl_c_is_ignored():
    before = signal.getsignal(signal.SIGTERM)
    for ctrl_c in (signal.default_int_handler, signal.SIG_IGN):  # a shell's `&` in a script
        signal.signal(signal.SIGINT, ctrl_c)
        done = []
        with pytest.raises(KeyboardInterrupt), ended_as_interrupted(), unbroken():
            signal.raise_signal(signal.SIGTERM)
            done.append("whole")
        assert done == ["whole"]
        with pytest.raises(KeyboardInterrupt), ended_as_interrupted(), unbroken():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            done.append("never")
        assert done == ["whole"]
        assert signal.getsignal(signal.SIGTERM) is before
        assert signal.getsignal(signal.SIGINT) is ctrl_c


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device", "out/checkpoint.pt"), "device: out/checkpoint.pt"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("a disk that went away"), "a disk that went away"),
        (ValueError("a.jpg: the picture cannot be read"), "a.jpg: the picture cannot be read"),
    ],
)
def test_what_breaks_on_the_way_is_a_sentence_for_people(tmp_path, error, told):
    with pytest.raises(StreamError) as raised, resumable(tmp_path, print):
        raise error
    said = str(raised.value)
    assert said.startswith("training stopped: ") and said.endswith(told) and "Errno" not in said
