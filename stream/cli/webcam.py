"""`stream webcam`: a camera, segmented as its pictures come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli import _common as common
from stream.cli._groups import command
from stream.cli._several import plans_of, run_sources
from stream.errors import SinkError, SourceError, UsageError
from stream.run.plan import RunPlan, SourcePlan
from stream.settings.options import CameraOptions, InputOptions, LiveOptions

CAMERA = "camera"
"""The target that stands for the first camera."""


@command
def webcam(
    asked: common.Common,
    camera_options: CameraOptions,
    live: LiveOptions,
    beside: common.BesideOptions,
    cameras: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CAMERA",
            help="Its place in --list, its device or its name; or `pattern`, the bundled clip in "
            "place of a camera. Several share one window and one model. "
            "[default: the first camera]",
            show_default=False,
        ),
    ] = None,
    list_cameras: Annotated[
        bool, typer.Option("--list", help="List the cameras with their modes, and end.")
    ] = False,
    output: common.Outputs = None,
    virtual_camera: common.VirtualCamera = False,
) -> None:
    """Segment a camera live, or several, in a window, at the camera's frame rate."""
    common.set_verbosity(quiet=asked.run.quiet, verbose=asked.run.verbose)
    if list_cameras:
        from stream.sources.camera import describe_cameras, find_cameras, some_camera

        typer.echo(describe_cameras(some_camera(find_cameras()), modes=True))
        return
    if camera_options.as_camera and not cameras and camera_options.device is None:
        raise UsageError("--as-camera plays a file: name it with --device FILE")
    if cameras and camera_options.device is not None:
        if len(cameras) == 1:
            raise UsageError(
                f"--device and {cameras[0]!r} name a source each; leave out one of them"
            )
        raise UsageError("--device names one camera; name several one after another, without it")
    options = InputOptions(replay=asked.replay, camera=camera_options)
    plans = plans_of(
        [SourcePlan(one, options) for one in cameras or [camera_options.device or CAMERA]],
        common.with_camera(output, virtual_camera),
        asked,
        live,
        beside,
    )
    for plan in plans:
        _check_camera(plan.source)
    if len(plans) == 1 and asked.run.save_config is None:
        _check_desk(plans[0])
    run_sources(plans, asked.run)


def _check_desk(plan: RunPlan) -> None:
    """Where there is no camera, also says at once what else is missing, such as a display.

    Raises:
        SourceError: there is no such camera.
    """
    from stream.run.setup import check
    from stream.sources import kind_of
    from stream.sources.camera import CameraSource, find_cameras, pick_camera

    options = plan.source.options.camera
    target = str(plan.source.target)
    if options.as_camera or kind_of(plan.source.target) is not CameraSource:
        return
    wanted = options.device or (None if target == CAMERA else target)
    try:
        pick_camera(wanted, find_cameras())
    except SourceError as missing:
        try:
            check(plan)
        except SinkError as error:
            raise SourceError(f"{missing}; and {error}") from missing
        raise


def _check_camera(source: SourcePlan) -> None:
    """Refuses what is no camera, before a model is loaded for it.

    Raises:
        UsageError: what may have been meant.
    """
    from stream.run.setup import is_live

    target = str(source.target)
    try:
        live = is_live(source)
    except UsageError:
        live = False  # no kind of source takes it
    if live:
        return
    if Path(target).suffix:
        raise UsageError(
            f"{target!r} is no camera; to play a file like one: --device {target} --as-camera"
        )
    raise UsageError(f"there is no camera {target!r}; `stream webcam --list` lists what there is")
