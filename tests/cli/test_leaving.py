"""How the process ends."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from stream.cli import _main
from tests.cli.conftest import environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="by the C library's own way to end")

PROGRAM = """
import atexit, ctypes, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
library = ctypes.CDLL(None)
# What libraries do at the end of a process that is taken down in order.
library.__cxa_atexit(library.abort, None, None)
atexit.register(lambda: sys.stderr.write("tidied up"))
{before}
from stream.cli import main
sys.argv = ["stream", *{arguments!r}]
main()
"""

LEFT = 'threading.Thread(target=time.sleep, args=(600,), name="stream-room", daemon=True).start()'
OWN = """
def late():
    threading.main_thread().join()
    print("at work to the end")
threading.Thread(target=late).start()
"""
POOL = "pool = ThreadPoolExecutor(1); pool.submit(print, end='')"
PROFILED = "sys.setprofile(lambda *_: None)"


def ended(before: str, *arguments: str) -> tuple[int, str, str]:
    program = PROGRAM.format(before=before, arguments=arguments)
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    return found.returncode, found.stdout, found.stderr


@pytest.mark.parametrize(("arguments", "code"), [(("--version",), 0), (("nothing",), 2)])
def test_libraries_are_not_taken_down_under_a_thread_that_was_left_alone(arguments, code):
    status, out, err = ended(LEFT, *arguments)
    assert status == code and err.endswith("tidied up")
    assert out.startswith("stream ") or code


@pytest.mark.parametrize("before", ["", OWN, POOL], ids=["alone", "a thread", "a pool"])
def test_the_process_ends_as_it_stands_once_its_own_threads_have(before):
    status, out, err = ended(before, "--version")
    assert status == 0 and out.startswith("stream ") and err == "tidied up"
    assert ("at work to the end" in out) == (before == OWN)


def test_under_a_profiler_the_process_is_taken_down_in_order():
    status, out, err = ended(PROFILED, "--version")
    assert status < 0 and out.startswith("stream ") and "tidied up" in err


@pytest.mark.parametrize("arguments", [["models"], ["--help"], ["file", "--help"], ["--version"]])
def test_what_a_full_disk_does_not_take_is_said_once(arguments):
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "stream", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    assert found.returncode == 1
    assert found.stderr == "stream: standard output cannot be written: No space left on device\n"


def test_what_could_not_be_printed_is_an_error():
    class Full(io.StringIO):
        def flush(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    class Gone(io.StringIO):
        def flush(self):
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    for stdout, code, words in (
        (Full(), 1, "stream: standard output cannot be written: No space left on device\n"),
        (Gone(), 0, ""),
        (None, 0, ""),
    ):
        with redirect_stdout(stdout), redirect_stderr(io.StringIO()) as said:
            assert _main._flushed(0) == code
        assert said.getvalue() == words


@pytest.mark.parametrize(
    ("both", "further", "code"),
    [(False, (), 0), (True, ("broken.mp4",), 1)],
    ids=["results of a run that ends well", "results and notes of one that fails"],
)
def test_a_reader_that_has_enough_changes_nothing_of_how_a_run_ends(
    clip, nothing, tmp_path, both, further, code
):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    reader, writer = os.pipe()
    os.close(reader)
    options = ("--model", str(nothing), "--provider", "cpu", "--limit", "2", "-o", "out/")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "stream", "file", str(clip), *further, *options],
            stdout=writer,
            stderr=subprocess.STDOUT if both else subprocess.PIPE,
            cwd=tmp_path,
            env=environment(),
            timeout=120,
            check=False,
        )
    finally:
        os.close(writer)
    assert done.returncode == code, done.stderr
    assert (tmp_path / "out" / "in.mp4").stat().st_size > 1000


@pytest.mark.parametrize("ignored", [False, True])
def test_ctrl_c_while_the_program_is_loaded_shows_nothing_of_loading(tmp_path, ignored):
    (tmp_path / "typer.py").write_text(
        "import sys\nprint('loading', flush=True)\nsys.stdin.read(1)\nprint('loaded', flush=True)\n"
        "raise OSError"
    )
    environ = environment()
    environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(tmp_path), environ.get("PYTHONPATH")])
    )
    before = "signal.signal(signal.SIGINT, signal.SIG_IGN);" if ignored else ""
    start = f"import signal; {before} from stream.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", start],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout.readline() == "loading\n"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate("x", timeout=60)
    if ignored:
        assert out == "loaded\n", "as under nohup"
    else:
        assert (child.returncode, out, err) == (-signal.SIGINT, "", "")
