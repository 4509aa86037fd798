"""Options that several commands share, and what each command does first and last."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.compositing import Painter
    from stream.inference.segmenter import Segmenter
    from stream.sources.base import Source

errors = Console(stderr=True, soft_wrap=True)
"""Where progress, notes and errors go; results go to `results`."""

results = Console(soft_wrap=True)


class Provider(StrEnum):
    """Execution providers that can be asked for."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"


class Look(StrEnum):
    """How found objects are shown."""

    OVERLAY = "overlay"
    BINARY = "binary"


_MODEL = "Model"
_PICTURE = "Picture"
_OUTPUT = "Output"

ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|PATH",
        help="A model of the catalogue (see `stream models`) or an .onnx file.",
        rich_help_panel=_MODEL,
    ),
]
ProviderOption = Annotated[
    Provider,
    typer.Option(
        help="Where the network runs. Only auto may choose, and says what it chose.",
        rich_help_panel=_MODEL,
    ),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Objects scored below this are left out, 0 to 1. [default: the model's own]",
        rich_help_panel=_MODEL,
    ),
]
MaskThresholdOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="A pixel is the object's where its soft mask is above this, 0 to 1. "
        "[default: the model's own]",
        rich_help_panel=_MODEL,
    ),
]
ClassesOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,…",
        help="Only these classes, separated by commas, such as person,car. [default: all]",
        rich_help_panel=_MODEL,
    ),
]
SteadyOption = Annotated[
    bool,
    typer.Option(
        "--steady/--no-steady",
        help="Keep what is in view while its score dips a little below the threshold, so that "
        "masks do not come and go.",
        rich_help_panel=_MODEL,
    ),
]
LookOption = Annotated[
    Look,
    typer.Option(
        help="overlay: a colour per object over the picture; binary: white objects on black.",
        rich_help_panel=_PICTURE,
    ),
]
TimingOption = Annotated[
    bool | None,
    typer.Option(
        "--timing/--no-timing",
        help="Draw the timing panel (milliseconds per stage) on the picture, top left. "
        "[default: on for overlay, off for every other look]",
        rich_help_panel=_PICTURE,
    ),
]
OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace an existing output; without this it is refused before any work.",
        rich_help_panel=_OUTPUT,
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json",
        help="Also write the figures of the run to this file (see docs/report.md).",
        rich_help_panel=_OUTPUT,
    ),
]
CodecOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Video encoder, as FFmpeg names it: libx264, libx265, libsvtav1, ffv1, … "
        "[default: what suits the output's ending]",
        rich_help_panel=_OUTPUT,
    ),
]
CrfOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=63,
        help="Quality on the encoder's own scale; lower is better and larger. "
        "[default: the encoder's usual, 20 for libx264]",
        rich_help_panel=_OUTPUT,
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Speed against size, as the encoder names it, such as veryfast. [default: a fast one]",
        rich_help_panel=_OUTPUT,
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say more, and show tracebacks.")
]


@dataclass(slots=True)
class _Verbosity:
    verbose: bool = False


verbosity = _Verbosity()


def set_verbosity(*, quiet: bool, verbose: bool) -> None:
    """Sets up logging to standard error, once a command runs."""
    verbosity.verbose = verbose
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", force=True)
    # FFmpeg's and ONNX Runtime's own chatter only on request.
    logging.getLogger("libav").setLevel(logging.INFO if verbose else logging.CRITICAL)


def class_list(classes: str | None) -> list[str] | None:
    """`person,car` as a list; None stands for all classes."""
    if classes is None:
        return None
    return [name.strip() for name in classes.split(",") if name.strip()]


def parse_every(text: str) -> int | None:
    """`auto` as None, else the number.

    Raises:
        UsageError: it is neither.
    """
    if text == "auto":
        return None
    if text.isdigit() and int(text) >= 1:
        return int(text)
    raise UsageError(f"--every is a number from 1 on, or auto, not {text!r}")


def load_segmenter(
    model: str,
    provider: Provider,
    threshold: float | None,
    mask_threshold: float | None,
    classes: str | None,
    *,
    footage: bool = False,
) -> Segmenter:
    """Loads the model with what the options ask of it; `footage` as in `Segmenter.load`."""
    from stream.inference.segmenter import Segmenter

    return Segmenter.load(
        model,
        provider=provider.value,
        threshold=threshold,
        mask_threshold=mask_threshold,
        classes=class_list(classes),
        footage=footage,
    )


def make_painter(look: Look, timing: bool | None) -> Painter:
    """The painter for a look; `timing` None means that the look decides on the panel."""
    from stream.compositing import Painter

    return Painter(look.value, timing=timing)


def progress_console(*, quiet: bool) -> Console:
    """Where the live line goes: standard error, or nowhere."""
    return Console(file=io.StringIO()) if quiet else errors


def say_error(error: object) -> None:
    """Prints one sentence on standard error."""
    errors.print(f"stream: {error}", markup=False, highlight=False)


@contextmanager
def released_on_error(source: Source) -> Iterator[None]:
    """Closes the source where what follows its opening fails."""
    try:
        yield
    except BaseException:
        source.close()
        raise
