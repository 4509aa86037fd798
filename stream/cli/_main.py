"""Puts the command line together, and turns errors into one sentence."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer.main import get_command

from stream.cli import _common as common
from stream.cli._commands import EXAMPLES, PLACES, load
from stream.cli._help import Group, write_rows
from stream.cli._hints import no_such_command
from stream.cli._machinery import Context, Formatter, Misuse, Runnable
from stream.cli._misuse import sentence
from stream.errors import StreamError, is_unread, refusal
from stream.plugins import culprit
from stream.run.interrupt import (
    Ended,
    end_process,
    end_process_at_last,
    exit_code,
    note_signal,
    press_again_where_unheard,
)
from stream.system.at_work import somebody_works
from stream.system.installation import explain, unloadable
from stream.system.scarcity import scarcity
from stream.version import __version__

_NAMES = ("stream", "stream-seg")
"""The program's own names; `python -m stream` counts as the first."""

_CLICK_ERRORS: tuple[type[Exception], ...] = tuple(
    one for one in typer.BadParameter.__mro__ if one.__name__ == "ClickException"
)
"""What Typer's machinery raises for a misuse; it lies elsewhere in different versions of Typer."""


class _Commands(Group):
    """The commands of `PLACES`, each imported when it is asked for."""

    def list_commands(self, ctx: Context) -> list[str]:
        return list(PLACES)

    def get_command(self, ctx: Context, cmd_name: str) -> Runnable:
        if cmd_name in PLACES:
            return load(cmd_name)
        if ctx.resilient_parsing or cmd_name.startswith("-"):
            return None
        raise no_such_command(cmd_name, PLACES)

    def invoke(self, ctx: Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            # Typer makes 130 of it, whatever signal it was.
            raise typer.Exit(_interrupted(error)) from error

    def commands_help(self) -> dict[str, str]:
        return {name: place.help for name, place in PLACES.items()}

    def format_commands(self, ctx: Context, formatter: Formatter) -> None:
        with formatter.section("Commands"):
            write_rows([(name, place.help) for name, place in PLACES.items()], formatter)


app = typer.Typer(
    name="stream",
    cls=_Commands,
    help="Mask R-CNN on moving pictures: finds every object with its pixel mask.\n\n"
    "`stream COMMAND --help` says every option of a command.",
    epilog="\n".join(EXAMPLES),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"stream {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


_PRINTERS = ("click", "rich", "typer")
"""Packages that print what commands say."""


def run(arguments: Sequence[str] | None) -> NoReturn:
    """Runs the command line and ends with its exit code: see `stream.cli.main`.

    Args:
        arguments: in place of the program's own.

    Raises:
        SystemExit: always.
    """
    if arguments is None:
        end_process_at_last()
        press_again_where_unheard()
    try:
        code = _run(arguments)
    finally:
        if arguments is None:
            # What is left is leaving: a late Ctrl-C must not turn a finished run into a killed one.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A profiler writes down what it saw only when all is taken down in order.
    if arguments is None and sys.getprofile() is None:
        _leave(code)
    sys.exit(code)


def _left_alone() -> bool:
    """Whether a thread of ours is still at work, such as one that opens a source for long."""
    return somebody_works() or any(
        one.daemon and one.name.startswith("stream-") and one is not threading.current_thread()
        for one in threading.enumerate()
    )


def _leave(code: int) -> NoReturn:
    """Ends the process as it stands; what it holds goes back to the system at once.

    Taken down in order, libraries free what a thread that nobody waits for is still using, and the
    process crashes. It takes time too, a fourteenth of a run of one frame.
    """
    if not _left_alone():
        threading._shutdown()  # type: ignore[attr-defined] # waits for the others, as Python does
    atexit._run_exitfuncs()
    end_process(_flushed(code))


def _flushed(code: int) -> int:
    """Writes out what was printed; returns the exit code, 1 where that was not possible."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except ValueError:
        pass  # it is closed: nobody misses it
    except OSError as error:
        if not is_unread(error):
            common.say_error(f"standard output cannot be written: {error.strerror or error}")
            code = code or 1
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    return code


def _run(arguments: Sequence[str] | None) -> int:
    """Runs the command and says what went wrong; returns the exit code."""
    try:
        if arguments is None and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = get_command(app)(
            list(arguments) if arguments is not None else None,
            prog_name=_own_name() if arguments is None else "stream",
            standalone_mode=False,
        )
    except KeyboardInterrupt as error:
        code = _interrupted(error)
    except typer.Abort:
        code = exit_code()
    except _CLICK_ERRORS as error:
        code = _misused(error, sys.argv[1:] if arguments is None else arguments)
    except StreamError as error:
        if common.verbosity.verbose:
            common.errors().print_exception()
        common.say_error(error)
        code = error.exit_code
    except Exception as error:
        unprinted = _unprinted(error)
        gone = unprinted is not None and isinstance(error, OSError) and is_unread(error)
        if gone or isinstance(error, BrokenPipeError):
            # `stream models | head`: the reader has what it wanted.
            sys.stderr.close()
            return 0
        if common.verbosity.verbose and unprinted is None:
            raise
        short = "; ".join(scarcity(error) or ())
        said = explain(error) or refusal(error) or unloadable(error) or _fault(error)
        common.say_error(unprinted or short or said)
        code = 1
        if unprinted is not None and arguments is None:
            _print_no_more()
    return code if isinstance(code, int) else 0


def _interrupted(error: KeyboardInterrupt) -> int:
    """The exit code of a command that is left by it."""
    number = error.number if isinstance(error, Ended) else signal.SIGINT
    note_signal(number)
    return exit_code(number)


def _unprinted(error: Exception) -> str | None:
    """That what a command prints cannot be written; None where the error is another."""
    if not isinstance(error, OSError) or error.filename is not None:
        return None
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = "" if at is None else at.tb_frame.f_globals.get("__name__", "")
    if where.partition(".")[0] not in _PRINTERS and not where.startswith("stream.cli."):
        return None
    return f"standard output cannot be written: {error.strerror or error}"


def _print_no_more() -> None:
    """Lets go of what could not be printed, which would fail once more as the process ends."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _fault(error: Exception) -> str:
    return (
        f"this is a fault of {culprit(error)}, {type(error).__name__}: {error}; "
        "--verbose shows where it lies"
    )


def _own_name() -> str:
    """The name that the program was called by, for usage lines and completion."""
    called = Path(sys.argv[0]).stem
    return called if called in _NAMES else _NAMES[0]


def _misused(error: Misuse, arguments: Sequence[str]) -> int:
    """Says what Typer's machinery did not understand, in words of ours."""
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.format_message())
        return 2
    ctx = getattr(error, "ctx", None)
    look = "" if ctx is None else f" ({ctx.command_path} --help lists what there is)"
    common.say_error(f"{sentence(error, arguments)}{look}")
    return 2
