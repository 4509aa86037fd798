"""The command line: options from the groups of `settings.options`, one module for each command.

A command's module is imported when the command is called, so that `stream --help` loads neither
OpenCV nor PyAV nor ONNX Runtime. `_commands` lists them.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys

TYPE_CHECKING = False  # as in `stream`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

__all__ = ["main"]

_LOADED = 150_000
"""More objects than loading all that a run needs makes."""

_USUAL = (50_000, 20, 20)
"""When garbage is looked for later on; frames hold each other seldom, and die by themselves."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and ends with its exit code.

    That is 0, 1 (failed), 2 (misused), or 128 and the signal that stopped it: 130 for Ctrl-C, 143
    for SIGTERM, as which a shell reports a process that dies of it, as the program's own does
    (`end_process`). What is live ends by them as it should, with 0.

    Args:
        arguments: in place of the program's own.

    Raises:
        SystemExit: always.
    """
    if arguments is None:
        _leave_at_once_by_interrupt()
        _stand_in_for_closed()
        from stream.system.arguments import hide

        # First of all: what others see of a password should be gone before the rest is loaded.
        hide()
        _look_for_garbage_later()
        _print_anything()
    # OpenCV writes lines of its own about a damaged picture, beside the one sentence.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    # NumPy and OpenCV each bring an OpenBLAS whose threads wait busily for a while once they are
    # there: together a third of what a start took. No matrix here is large enough to be shared.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Zero columns, as some terminals and services say, is no width: nothing at all was printed.
    if os.environ.get("COLUMNS", "").strip("0 ") == "":
        os.environ.pop("COLUMNS", None)
    # All of this holds for what is loaded from here on.
    try:
        from stream.cli._main import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "stream":
            raise
        # As in a checkout whose dependencies nobody installed yet.
        print(  # noqa: T201 - what prints otherwise may be what is missing
            f"stream: the package {error.name} is not installed; in the checkout: pip install .",
            file=sys.stderr,
        )
        sys.exit(1)
    run(arguments)


def _stand_in_for_closed() -> None:
    """Opens standard input, output and error where whoever started the program closed them.

    Their numbers would go to the next files that are opened, and what libraries print would get
    into these. Nothing can be written to what is opened here, so that asking for it fails.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # gets the lowest number that is free
            os.set_inheritable(number, True)
            if number == 1:
                sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - to the end
            elif number == 2:
                sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - to the end


def _leave_at_once_by_interrupt() -> None:
    """Lets Ctrl-C end the process until commands can take it, as there is nothing to finish yet.

    Python would show how far it has come with loading. Where Ctrl-C is ignored it stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _print_anything() -> None:
    """Lets standard output write the number of what its encoding lacks, as standard error does.

    Windows gives a file or a pipe an encoding of 256 characters; names of files have others. In the
    locale C bytes of names that are no text are written as they are, where the rest can be too.
    """
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper) and (
        out.errors == "strict" or (out.errors == "surrogateescape" and out.encoding != "utf-8")
    ):
        out.reconfigure(errors="backslashreplace")


def _look_for_garbage_later() -> None:
    """Puts off looking for garbage until all is loaded, which makes many objects and no garbage."""

    def look_as_usual(phase: str, _: dict[str, int]) -> None:
        if phase == "stop":
            gc.callbacks.remove(look_as_usual)
            gc.set_threshold(*_USUAL)

    gc.callbacks.append(look_as_usual)
    gc.set_threshold(_LOADED, *_USUAL[1:])
