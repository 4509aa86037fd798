"""The command line: puts the commands together and turns errors into one sentence."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from stream.commands import bench, common, demo, file, image, info, live
from stream.errors import StreamError
from stream.interrupt import EXIT_CODE
from stream.version import __version__
from stream_export.command import app as export
from stream_models.training.command import train_command as train

app = typer.Typer(
    name="stream",
    help="Mask R-CNN on moving pictures: finds every object with its pixel mask.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("file")(file.file)
app.command("image")(image.image)
app.command("webcam")(live.webcam)
app.command("url")(live.url)
app.command("models")(info.models)
app.command("doctor")(info.doctor)
app.command("bench")(bench.bench)
app.command("train")(train)
app.add_typer(export)


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


def main() -> None:
    """Runs the command line; the exit code is 0, 1 (failed), 2 (misused) or 130 (Ctrl-C)."""
    try:
        try:
            app()
        finally:
            # What is left is leaving: a late Ctrl-C must not turn a finished run into a killed one.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        sys.exit(EXIT_CODE)
    except StreamError as error:
        if common.verbosity.verbose:
            common.errors.print_exception()
        common.say_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # `stream models | head`: the reader has what it wanted.
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if common.verbosity.verbose:
            raise
        common.say_error(
            f"this is a fault of the program, {type(error).__name__}: {error}; "
            "--verbose shows where it lies"
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
