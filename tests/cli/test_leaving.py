"""How the process ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="by the C library's own way to end")

PROGRAM = """
import atexit, ctypes, sys, threading, time
library = ctypes.CDLL(None)
# What libraries do at the end of a process that is taken down in order.
library.__cxa_atexit(library.abort, None, None)
atexit.register(lambda: sys.stderr.write("tidied up"))
if {left}:
    threading.Thread(target=time.sleep, args=(600,), name="stream-room", daemon=True).start()
from stream.cli import main
sys.argv = ["stream", *{arguments!r}]
main()
"""


def ended(left: bool, *arguments: str) -> tuple[int, str, str]:
    program = PROGRAM.format(left=left, arguments=arguments)
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    return found.returncode, found.stdout, found.stderr


@pytest.mark.parametrize(("arguments", "code"), [(("--version",), 0), (("nothing",), 2)])
def test_libraries_are_not_taken_down_under_a_thread_that_was_left_alone(arguments, code):
    status, out, err = ended(True, *arguments)
    assert status == code and err.endswith("tidied up")
    assert out.startswith("stream ") or code


def test_else_the_process_is_taken_down_in_order():
    status, out, err = ended(False, "--version")
    assert status < 0 and out.startswith("stream ") and "tidied up" in err
