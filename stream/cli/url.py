"""`stream url`: a network camera or stream, segmented as it comes."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.cli import _common as common
from stream.cli._groups import command
from stream.cli._hints import is_address
from stream.errors import UsageError
from stream.options import InputOptions, LiveOptions, NetworkOptions
from stream.run.plan import RunPlan, SourcePlan


@command
def url(
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            help="rtsp://, rtmp://, http(s):// (HLS, MPEG-TS, MJPEG), udp://, tcp:// or srt://. "
            "User and password in it are never shown.",
        ),
    ],
    asked: common.Common,
    network: NetworkOptions,
    live: LiveOptions,
    beside: common.BesideOptions,
    output: common.Outputs = None,
    virtual_camera: common.VirtualCamera = False,
) -> None:
    """Segment a network camera or stream live; it is reconnected whenever it goes away."""
    common.set_verbosity(quiet=asked.run.quiet, verbose=asked.run.verbose)
    if not is_address(address):
        raise UsageError(f"{address!r} is not an address, such as rtsp://camera/stream")
    plan = RunPlan(
        SourcePlan(address, InputOptions(replay=asked.replay, network=network)),
        common.outputs(
            common.with_camera(output, virtual_camera),
            asked,
            live,
            common.record_targets(beside.records, address),
            beside.masks,
        ),
        asked.model,
        asked.tracking,
        live,
        asked.run,
        counts=asked.counts,
    )
    from stream.cli._runs import run_live, save_or_none

    if not save_or_none(asked.run, [plan]):
        run_live(plan)
