"""`stream url`: a network camera or stream, segmented as it comes."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.cli import _common as common
from stream.cli._groups import command
from stream.cli._hints import is_address, without_secrets
from stream.cli._several import plans_of, run_sources
from stream.errors import UsageError
from stream.run.plan import SourcePlan
from stream.settings.options import DecodingOptions, InputOptions, LiveOptions, NetworkOptions


@command
def url(
    addresses: Annotated[
        list[str],
        typer.Argument(
            metavar="ADDRESS",
            help="rtsp://, rtmp://, http(s):// (HLS, MPEG-TS, MJPEG), udp://, tcp:// or srt://. "
            "User and password in it are never shown. Several share one window and one model.",
        ),
    ],
    asked: common.Common,
    network: NetworkOptions,
    decoding: DecodingOptions,
    live: LiveOptions,
    beside: common.BesideOptions,
    output: common.Outputs = None,
    virtual_camera: common.VirtualCamera = False,
) -> None:
    """Segment network cameras or streams live; each is reconnected whenever it goes away."""
    common.set_verbosity(quiet=asked.run.quiet, verbose=asked.run.verbose)
    for address in addresses:
        if not is_address(address):
            raise UsageError(f"{address!r} is not an address, such as rtsp://camera/stream")
        if "://" not in address and _of_network(address):
            # Read on, it would be the path of a file.
            meant = without_secrets(address.replace(":/", "://", 1))
            raise UsageError(f"an address has two slashes behind its colon: {meant}")
    options = InputOptions(replay=asked.replay, network=network, decoding=decoding)
    plans = plans_of(
        [SourcePlan(address, options) for address in addresses],
        common.with_camera(output, virtual_camera),
        asked,
        live,
        beside,
    )
    run_sources(plans, asked.run)


def _of_network(address: str) -> bool:
    """Whether an address is a network's, and not what stands before a file, as `loop:` does."""
    from stream.sources.network import SCHEMES

    return address.partition(":")[0].lower() in SCHEMES
