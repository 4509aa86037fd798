"""`stream webcam` and `stream url`: live pictures, segmented as they come."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands import common
from stream.commands.live_run import Options, run_live
from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.sources.base import Source

PATTERN = "pattern"
_INPUT = "Input"
_OUTPUT = "Output"

OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Also record what is shown to this file; its ending chooses the container.",
        rich_help_panel=_OUTPUT,
    ),
]
DisplayOption = Annotated[
    bool,
    typer.Option(
        "--display/--no-display",
        help="Show a window. Press ? in it for its keys.",
        rich_help_panel=_OUTPUT,
    ),
]
EveryOption = Annotated[
    str,
    typer.Option(
        metavar="N|auto",
        help="Run the model on every Nth frame and carry the masks to the others by motion. "
        "1: each frame that is shown is inferred, and waits for it. "
        "auto: as often as the display's full frame rate allows.",
        rich_help_panel="Model",
    ),
]
SecondsOption = Annotated[
    float | None,
    typer.Option(
        min=0.0, help="Stop after so many seconds. [default: never]", rich_help_panel=_INPUT
    ),
]


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`1280x720` as width and height.

    Raises:
        UsageError: it is not a size.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d{2,5})[xX×](\d{2,5})", text)
    if match is None:
        raise UsageError(f"--size is WIDTHxHEIGHT in pixels, such as 1280x720, not {text!r}")
    return int(match[1]), int(match[2])


def webcam(
    camera: Annotated[
        str | None,
        typer.Argument(
            metavar="[CAMERA]",
            help="Its place in --list, its device or its name; or `pattern`, a moving test "
            "picture. [default: the first camera]",
        ),
    ] = None,
    list_cameras: Annotated[
        bool,
        typer.Option("--list", help="List the cameras with their modes, and end."),
    ] = False,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH",
            help="Picture size in pixels. [default: 640x480 where the camera has it]",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            min=1.0, help="Pictures per second. [default: the camera's]", rich_help_panel=_INPUT
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE|FILE",
            help="The camera's device; with --as-camera, a video file.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    as_camera: Annotated[
        bool,
        typer.Option(
            "--as-camera",
            help="Play the file given as --device in real time, over and over, like a camera.",
            rich_help_panel=_INPUT,
        ),
    ] = False,
    seconds: SecondsOption = None,
    model: common.ModelOption = "default",
    provider: common.ProviderOption = common.Provider.AUTO,
    threshold: common.ThresholdOption = None,
    mask_threshold: common.MaskThresholdOption = None,
    classes: common.ClassesOption = None,
    steady: common.SteadyOption = True,
    every: EveryOption = "auto",
    look: common.LookOption = common.Look.OVERLAY,
    timing: common.TimingOption = None,
    output: OutputOption = None,
    display: DisplayOption = True,
    codec: common.CodecOption = None,
    crf: common.CrfOption = None,
    preset: common.PresetOption = None,
    overwrite: common.OverwriteOption = False,
    report: common.ReportOption = None,
    quiet: common.QuietOption = False,
    verbose: common.VerboseOption = False,
) -> None:
    """Segment a camera live, in a window, at the camera's frame rate."""
    common.set_verbosity(quiet=quiet, verbose=verbose)
    if list_cameras:
        from stream.sources.camera import describe_cameras, find_cameras

        common.results.print(
            describe_cameras(find_cameras(), modes=True), highlight=False, markup=False
        )
        return
    options = Options(
        model=model,
        provider=provider,
        threshold=threshold,
        mask_threshold=mask_threshold,
        classes=classes,
        steady=steady,
        look=look,
        timing=timing,
        every=common.parse_every(every),
        output=output,
        display=display,
        seconds=seconds,
        codec=codec,
        crf=crf,
        preset=preset,
        overwrite=overwrite,
        report=report,
        quiet=quiet,
    )
    wanted = parse_size(size)
    if as_camera and device is None:
        raise UsageError("--as-camera plays a file: name it with --device FILE")
    run_live(lambda: _open_camera(camera, device, as_camera, wanted, fps, quiet=quiet), options)


def url(
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            help="rtsp://, rtmp://, http(s):// (HLS, MPEG-TS, MJPEG), udp://, tcp:// or srt://. "
            "User and password in it are never shown.",
        ),
    ],
    transport: Annotated[
        str,
        typer.Option(
            metavar="tcp|udp|udp_multicast|http",
            help="How RTSP carries its packets.",
            rich_help_panel=_INPUT,
        ),
    ] = "tcp",
    open_timeout: Annotated[
        float,
        typer.Option(min=0.1, help="Seconds that opening may take.", rich_help_panel=_INPUT),
    ] = 5.0,
    read_timeout: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Seconds without data after which the source counts as gone.",
            rich_help_panel=_INPUT,
        ),
    ] = 5.0,
    give_up: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="End after the source has been gone for so many seconds. [default: try for ever]",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    seconds: SecondsOption = None,
    model: common.ModelOption = "default",
    provider: common.ProviderOption = common.Provider.AUTO,
    threshold: common.ThresholdOption = None,
    mask_threshold: common.MaskThresholdOption = None,
    classes: common.ClassesOption = None,
    steady: common.SteadyOption = True,
    every: EveryOption = "auto",
    look: common.LookOption = common.Look.OVERLAY,
    timing: common.TimingOption = None,
    output: OutputOption = None,
    display: DisplayOption = True,
    codec: common.CodecOption = None,
    crf: common.CrfOption = None,
    preset: common.PresetOption = None,
    overwrite: common.OverwriteOption = False,
    report: common.ReportOption = None,
    quiet: common.QuietOption = False,
    verbose: common.VerboseOption = False,
) -> None:
    """Segment a network camera or stream live; it is reconnected whenever it goes away."""
    common.set_verbosity(quiet=quiet, verbose=verbose)
    options = Options(
        model=model,
        provider=provider,
        threshold=threshold,
        mask_threshold=mask_threshold,
        classes=classes,
        steady=steady,
        look=look,
        timing=timing,
        every=common.parse_every(every),
        output=output,
        display=display,
        seconds=seconds,
        codec=codec,
        crf=crf,
        preset=preset,
        overwrite=overwrite,
        report=report,
        quiet=quiet,
    )

    def open_source() -> Source:
        from stream.sources.network import NetworkSource, Patience

        patience = Patience(open_timeout, read_timeout, give_up)
        return NetworkSource(address, transport=transport, patience=patience)

    run_live(open_source, options)


def _open_camera(
    camera: str | None,
    device: str | None,
    as_camera: bool,
    size: tuple[int, int] | None,
    fps: float | None,
    *,
    quiet: bool,
) -> Source:
    rate = None if fps is None else Fraction(fps).limit_denominator(1001)
    if as_camera and device is not None:
        from stream.sources.file import FileSource
        from stream.sources.looped import LoopedSource

        path = Path(device)
        return LoopedSource(lambda: FileSource(path), rate=rate)
    if camera == PATTERN:
        from stream.sources.looped import LoopedSource
        from stream.sources.pattern import PatternSource

        width, height = size or (640, 480)
        return LoopedSource(lambda: PatternSource(width, height, rate or 30))
    from stream.sources.camera import CameraSource, find_cameras, pick_camera

    source = CameraSource(pick_camera(device or camera, find_cameras()), size=size, rate=fps)
    if not quiet:
        common.errors.print(f"{source.info.name}: {source.mode}", highlight=False, markup=False)
    return source
