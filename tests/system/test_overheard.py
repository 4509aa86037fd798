"""What libraries write from C."""

import os
import threading

import cv2
import numpy as np
import pytest

from stream.photo_files.photo_facts import tells_damage
from stream.system.overheard import _glibc, overheard
from tests import photos

needs_glibc = pytest.mark.skipif(_glibc() is None, reason="only glibc's stream can be exchanged")


def damaged_jpeg() -> np.ndarray:
    """A JPEG of whose data in the middle some are others, so that libjpeg says so and goes on."""
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(photos.astronaut(), cv2.COLOR_RGB2BGR))
    assert ok
    data[len(data) // 2 : len(data) // 2 + 200 : 7] ^= 0x5A
    return data


@needs_glibc
def test_what_a_library_says_of_a_photo_is_heard_and_not_in_the_terminal(capfd):
    with overheard() as lines:
        assert cv2.imdecode(damaged_jpeg(), cv2.IMREAD_COLOR) is not None
    assert lines and tells_damage(lines), lines
    with overheard() as lines:
        pass
    assert lines == [] and capfd.readouterr().err == ""


@needs_glibc
def test_what_others_write_meanwhile_reaches_the_terminal(capfd):
    library = _glibc()
    with overheard() as lines:
        library.calls.fputs(b"somebody else\n", library.stream)
        os.write(2, b"Python\n")
        with overheard():
            library.calls.fputs(b"within\n", library.stream)
    library.calls.fputs(b"later\n", library.stream)
    library.calls.fflush(library.stream)
    assert lines == []
    assert capfd.readouterr().err.splitlines() == ["Python", "somebody else", "within", "later"]


@needs_glibc
def test_threads_hear_their_own(capfd):
    data, heard = damaged_jpeg(), []

    def listen():
        for _ in range(20):
            with overheard() as lines:
                cv2.imdecode(data, cv2.IMREAD_COLOR)
            heard.append(len(lines))

    threads = [threading.Thread(target=listen) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert heard == [1] * 60 and capfd.readouterr().err == ""


def test_with_another_c_library_nothing_is_exchanged(monkeypatch):
    monkeypatch.setattr("stream.system.overheard._glibc", lambda: None)
    with overheard() as lines:
        assert lines == []


def test_what_changes_no_sample_is_no_damage():
    for line, damage in {
        "Corrupt JPEG data: premature end of data segment": True,
        "Premature end of JPEG file": True,
        "Corrupt JPEG data: 12 extraneous bytes before marker 0xd9": True,
        "Corrupt JPEG data: 12 extraneous bytes before marker 0xd4": True,
        "Warning: unknown JFIF revision number 2.01": False,
        "Unknown Adobe color transform code 7": False,
        "libpng warning: iCCP: known incorrect sRGB profile": False,
    }.items():
        assert tells_damage([line]) == damage, line
