"""CenterMask2 and CenterMask2-Lite; the work is in `_centermask_model`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream_export.converters._command import run
from stream_export.registry import Converter, need_extra


def command(
    checkpoint: Annotated[Path, typer.Argument(help="The weights, as they were published.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .onnx file to write.")],
    config: Annotated[
        str | None,
        typer.Option(help="A configuration file, for what the weights do not tell."),
    ] = None,
    names: Annotated[Path | None, typer.Option(help="Class names, one a line.")] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Shortest edge and its maximum (600/1000), or a letterbox (640x384)."),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact/--fast", help="Resize pictures as the origin does, or faster and nearly so."
        ),
    ] = False,
    detections: Annotated[int | None, typer.Option(min=1, help="At most this many.")] = None,
    proposals: Annotated[
        int | None, typer.Option(min=1, help="Candidates per level, at most.")
    ] = None,
    score: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Lowest class probability; the score is less, see the origin."
        ),
    ] = None,
    mask_score: Annotated[
        bool,
        typer.Option("--mask-score", help="Multiply scores by how well the mask should fit."),
    ] = False,
) -> None:
    """Export a CenterMask2, Lite or not, with VoVNet of any depth."""
    need_extra()
    from stream_export.converters._request import Request

    request = Request(
        checkpoint=checkpoint,
        config=config,
        names=names,
        size=size,
        exact=exact,
        detections=detections,
        proposals=proposals,
        score=score,
        mask_score=mask_score,
    )
    run("centermask", "_centermask_model", request, output)


CONVERTER = Converter(
    "centermask", "Export a CenterMask2, Lite or not, with VoVNet of any depth.", command
)
