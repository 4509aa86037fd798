"""How the process ends."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from stream.cli import _main
from stream.run import setup
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
UNENDING = """
from stream.inference.yielding import Background
def wait():
    begun.set()
    time.sleep(600)
begun = threading.Event()
threading.Thread(target=Background(), args=(wait,), daemon=True).start()
begun.wait()
"""
PROFILED = "sys.setprofile(lambda *_: None)"


def ended(before: str, *arguments: str) -> tuple[int, str, str]:
    program = PROGRAM.format(before=before, arguments=arguments)
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    return found.returncode, found.stdout, found.stderr


@pytest.mark.parametrize(("arguments", "code"), [(("--version",), 0), (("nothing",), 2)])
@pytest.mark.parametrize("left", [LEFT, UNENDING], ids=["opening", "a model in the background"])
def test_libraries_are_not_taken_down_under_a_thread_that_was_left_alone(arguments, code, left):
    status, out, err = ended(left, *arguments)
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
    # As users have it: without a buffer nothing is left over to fail once more at the end.
    environ = {k: v for k, v in environment().items() if k != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "stream", *arguments],
            env=environ,
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


def test_a_full_log_ends_no_run_and_changes_no_exit_code(clip, nothing, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    options = ("--model", str(nothing), "--provider", "cpu", "--limit", "2", "-o", "out/")
    for arguments, code in (
        (("file", "broken.mp4", str(clip), *options), 1),
        (("file", "--oops"), 2),
    ):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "stream", *arguments],
                stdout=subprocess.PIPE,
                stderr=full,
                cwd=tmp_path,
                env=environment(),
                timeout=120,
                check=False,
            )
        assert done.returncode == code
    assert (tmp_path / "out" / "in.mp4").stat().st_size > 1000


def test_no_file_gets_the_number_of_a_standard_stream_that_was_closed(tmp_path):
    # What libraries print would get into it.
    told = tmp_path / "told"
    script = f"""
import os, sys
for number in range(3):
    os.close(number)
sys.stdin = sys.stdout = sys.stderr = None
from stream.cli import main
leave = os._exit
def tell(code):
    with open({str(told)!r}, "w") as file:
        file.write(f"{{code}} {{file.fileno() > 2}}")
    leave(code)
os._exit = tell
sys.argv = ["stream", "models"]
main()
"""
    subprocess.run([sys.executable, "-c", script], env=environment(), timeout=120, check=False)
    assert told.read_text() == "0 True"


def outcome_of(folder, *words, **streams):
    """What Python with these words ends with, and says on standard error."""
    done = subprocess.run(
        [sys.executable, *words],
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(),
        text=True,
        timeout=120,
        check=False,
        **streams,
    )
    return done.returncode, done.stderr


def test_records_are_refused_where_standard_output_is_closed(clip, nothing, tmp_path):
    script = f"""
import os, sys
os.close(1)
from stream.cli import main
sys.argv = ["stream", "file", {str(clip)!r}, "--model", {str(nothing)!r}, "--records", "-"]
main()
"""
    assert outcome_of(tmp_path, "-c", script) == (
        1,
        "stream: there is no standard output to write records to\n",
    )


def test_a_full_device_is_not_called_a_closed_one(clip, nothing, tmp_path):
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("there is no /dev/full")
    for asked in (("--records", "-"), ("-o", "-", "--format", "mkv")):
        with full.open("w") as out:
            found = outcome_of(
                *(tmp_path, "-m", "stream", "file", clip, "--model", nothing, *asked), stdout=out
            )
        words = "stream: standard output cannot be written: No space left on device\n"
        assert found == (1, words), asked


def models_listed(environ):
    return subprocess.run(
        [sys.executable, "-m", "stream", "models"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_no_columns_are_no_width():
    assert "default" in models_listed({**environment(), "COLUMNS": "0"}).stdout


def test_a_checkout_without_its_dependencies_says_so(tmp_path):
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('none', name='typer')")
    environ = environment()
    environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environ["PYTHONPATH"]])
    found = models_listed(environ)
    assert (found.returncode, found.stderr) == (
        1,
        "stream: the package typer is not installed; in the checkout: pip install .\n",
    )


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


@pytest.mark.parametrize("at", [0, 1, 2])
def test_ctrl_c_between_films_loses_nothing_of_what_is_said_of_those_before(
    stream, clip, nothing, tmp_path, monkeypatch, at
):
    for name in "abc":
        (tmp_path / f"{name}.mp4").write_bytes(clip.read_bytes())
    execute, came = setup.execute, []

    def executed(*given, **named):
        came.append(given)
        if len(came) > at:
            raise KeyboardInterrupt
        return execute(*given, **named)

    monkeypatch.setattr(setup, "execute", executed)
    films = ("a.mp4", "b.mp4", "c.mp4")
    asked = ("-o", "done/", "--model", nothing, "--report", "report.json")
    result = stream("file", *films, *asked)
    assert result.code == 130
    assert "stopped before the first picture" in result.err
    assert len(came) == at + 1, "the films behind it are not begun"
    if at:
        assert f"{at} of 3 written" in result.err
        reports = json.loads((tmp_path / "report.json").read_text())
        assert "a.mp4" in json.dumps(reports) and "c.mp4" not in json.dumps(reports)
