"""What all commands share: where they print, how much they say, the output option."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from stream.cli._batch import ANY
from stream.cli._hints import without_secrets
from stream.disk.twins import Twins
from stream.errors import UsageError, is_unread
from stream.run.plan import OutputPlan, beside_masks, masks_plan
from stream.settings.option import option
from stream.settings.options import (
    STANDARD_OUTPUT,
    CountOptions,
    LiveOptions,
    ModelOptions,
    OutputOptions,
    PictureOptions,
    ReplayOptions,
    RunOptions,
    TrackingOptions,
)
from stream.wording.names import numbered, refuse_unknown_words
from stream.wording.words import visible

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class BesideOptions:
    """What is written beside the pictures, or in their place."""

    records: tuple[str, ...] | None = option(
        None,
        "Write what was found as data: .ndjson (a line a frame, as it happens), .csv, .parquet, "
        ".json (COCO), .txt (MOTChallenge), or - for lines of JSON on standard output. May be "
        "given several times; {name} in it is the input's name.",
        said="none",
        metavar="FILE",
        many=True,
    )
    masks: str | None = option(
        None,
        "Write a mask for each frame as PNG, 000000.png on, pure 0 and 255; with --identities "
        "16-bit values, with --split a folder for each object or class. Of several inputs each has "
        "a folder in it.",
        said="none",
        metavar="FOLDER",
    )


@dataclass(frozen=True, slots=True)
class Common:
    """The groups of every command that puts moving pictures through the model."""

    model: ModelOptions = ModelOptions()
    replay: ReplayOptions = ReplayOptions()
    tracking: TrackingOptions = TrackingOptions()
    counts: CountOptions = CountOptions()
    picture: PictureOptions = PictureOptions()
    files: OutputOptions = OutputOptions()
    run: RunOptions = RunOptions()


Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="OUTPUT",
        help="A video to write; its ending chooses the container. Or an address to send to "
        "(rtmp://, rtsp://, srt://, whip://, udp://, tcp://), or a playlist (live.m3u8). May be "
        "given several times; {name} in it is the source's name, which several sources need. "
        "[default: none]",
        rich_help_panel="Output",
    ),
]


VirtualCamera = Annotated[
    bool,
    typer.Option(
        "--virtual-camera",
        help="Also be a camera to video calls and other programs (`-o virtual-camera:DEVICE` "
        "names one). Needs the extra [virtual-camera]. [default: off]",
        rich_help_panel="Output",
    ),
]


Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Say more, and show tracebacks."),
]


def with_camera(files: Sequence[str] | None, virtual_camera: bool) -> list[str]:
    """The outputs, with the virtual camera where it is asked for."""
    return [*(files or ()), *(["virtual-camera"] if virtual_camera else ())]


def outputs(
    files: Sequence[str] | None,
    asked: Common,
    live: LiveOptions,
    records: Sequence[str] = (),
    masks: str | None = None,
) -> tuple[OutputPlan, ...]:
    """What a live run goes to: where it is shown, and each of the files.

    Raises:
        UsageError: two of them have the same name, or nothing shows the look asked for.
    """
    picture, pasted = with_masks(masks, asked.picture, asked.files)
    shown = () if live.display == "none" else (OutputPlan(live.display, picture),)
    files_of = list(files or ())
    named = [*files_of, *records]
    keep_clear(named)
    twins: Twins[bool] = Twins()
    if any(twins.take(one, True) for one in named):
        raise UsageError("an output is named twice; give each a name of its own")
    all_of_them = (*shown, *written(files_of, records, picture, asked.files), *pasted)
    from stream.run.unused import refuse_unpainted

    refuse_unpainted(asked.picture, all_of_them)
    return all_of_them


def written(
    files: Iterable[str], records: Iterable[str], picture: PictureOptions, options: OutputOptions
) -> tuple[OutputPlan, ...]:
    """Outputs of pictures and of records, with how they are written.

    Raises:
        UsageError: a format is asked for of standard output, which nothing goes to.
    """
    files = tuple(files)
    check_format(files, options)
    plain = replace(options, format=None)
    return (
        *(OutputPlan(one, picture, options) for one in files),
        *(OutputPlan(one, picture, plain) for one in records),
    )


def check_format(files: Sequence[str], options: OutputOptions) -> None:
    """Refuses a format for standard output where nothing goes there.

    Raises:
        UsageError: see above.
    """
    if options.format is not None and STANDARD_OUTPUT not in files:
        raise UsageError(
            f"--format {options.format} is about standard output: -o -; of files the ending says it"
        )


def with_masks(
    masks: str | None, picture: PictureOptions, files: OutputOptions, place: Path | None = None
) -> tuple[PictureOptions, tuple[OutputPlan, ...]]:
    """How other outputs are painted, and the output of masks where there is one.

    Args:
        masks: the folder.
        picture: how outputs are painted.
        files: how they are written.
        place: of several inputs, where the folder of this one's masks lies in that.

    Raises:
        UsageError: the folder is a file.
    """
    if masks is None:
        return picture, ()
    if not masks or "\0" in masks or Path(masks).is_file():
        raise UsageError(f"--masks is a folder to write pictures into, not {masks!r}")
    refuse_unknown_words(masks, known=())
    path = Path(masks)
    if path.suffix.lower() in ANY.pictures and not (
        path.is_dir() or masks.endswith(("/", "\\")) or numbered(masks)
    ):
        raise UsageError(
            f"--masks is a folder to write pictures into, and {masks!r} has a picture's ending; "
            "name a folder, or end it with a slash"
        )
    folder = masks_folder(masks, place)
    return beside_masks(picture), (masks_plan(folder, picture, files),)


def masks_folder(masks: str, place: Path | None) -> str:
    """Where an input's masks go: of several each into a folder of its own, at a place in that."""
    return masks if place is None else f"{masks.rstrip('/')}/{place.as_posix()}"


def record_targets(
    records: Sequence[str] | None,
    source: str | Sequence[str],
    *,
    several: bool = False,
    name: str | None = None,
    folder: Path = Path(),
) -> tuple[str, ...]:
    """Where an input's records go.

    Args:
        records: as they were typed; `{name}` stands for the input's name.
        source: the input, or the first of those that go together.
        several: whether other inputs have records of their own.
        name: the input's, where it is not made from the input itself.
        folder: that the input lies in, below the one that was gone through.

    Raises:
        UsageError: a format that there is not, one file for several inputs, or one named twice.
    """
    if not records:
        return ()
    from stream.sinks import check_records
    from stream.wording.names import NAME, below, name_of

    name = name or name_of(source)
    for one in records:
        check_records(one)
        refuse_unknown_words(one)
        if several and NAME not in one:
            raise UsageError(
                f"{one} cannot hold the records of several inputs; put {NAME} into it, which "
                f"stands for each input's name, such as --records '{NAME}.ndjson'"
            )
    found = tuple(below(one, folder).replace(NAME, name) for one in records)
    if len(set(found)) < len(found):
        raise UsageError("records are named twice; give each a file of their own")
    return found


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class Quiet(Console):
        """One of which a reader that has enough (`| head`) is no error: the run goes on.

        Rich itself ends the program there, with exit code 1, whatever the run came to. Neither
        does a run end because a log that standard error goes to is full.
        """

        def print(self, *objects: Any, **how: Any) -> None:
            try:
                super().print(*objects, **how)
            except OSError as error:  # Windows, and releases of rich before `on_broken_pipe`
                if not is_unread(error) and not stderr:
                    raise
                self.on_broken_pipe()

        def on_broken_pipe(self) -> None:
            self.quiet = True
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.file.fileno())
                os.close(nowhere)

    return Quiet(stderr=stderr, soft_wrap=True)


@cache
def errors() -> Console:
    """Where progress, notes and errors go."""
    return _console(stderr=True)


@cache
def results() -> Console:
    """Where results go."""
    return _console(stderr=verbosity.piped)


def progress_console(*, quiet: bool) -> Console | None:
    """Where the live line goes: standard error, or nowhere."""
    return None if quiet else errors()


@dataclass(slots=True)
class _Verbosity:
    verbose: bool = False
    piped: bool = False


verbosity = _Verbosity()


class _ToStandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at that moment, not what it was once."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


_handler = _ToStandardError()
_handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))


def set_verbosity(*, quiet: bool = False, verbose: bool = False) -> None:
    """Sets up logging to standard error, once a command runs."""
    verbosity.verbose = verbose
    root = logging.getLogger()
    root.addHandler(_handler)  # adding it again changes nothing
    root.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING)
    # FFmpeg's and ONNX Runtime's own chatter only on request.
    logging.getLogger("libav").setLevel(logging.INFO if verbose else logging.CRITICAL)


def keep_clear(targets: Iterable[str]) -> None:
    """Where records go to standard output, nothing else does."""
    verbosity.piped = STANDARD_OUTPUT in targets
    results.cache_clear()


def say_error(error: object) -> None:
    """Prints one sentence on standard error, without the secrets of addresses in it."""
    say(f"stream: {error}")


def say(line: str, *, quiet: bool = False) -> None:
    """Prints a line for people on standard error, unless nothing is to be said."""
    if not quiet:
        with suppress(OSError):  # of that nobody can be told
            typer.echo(visible(without_secrets(line)), err=True)
