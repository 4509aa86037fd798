"""CenterMask2 and CenterMask2-Lite; the work is in `model`, the network in `form`."""

from __future__ import annotations

from typing import Annotated

import typer

from stream_export.converters._command import (
    Checkpoint,
    CheckpointConverter,
    Config,
    Detections,
    Exact,
    Ignore,
    Key,
    Names,
    Output,
    Overwrite,
    Proposals,
    Settings,
    Size,
    run,
)
from stream_export.registry import need_extra


def command(
    checkpoint: Checkpoint,
    output: Output,
    overwrite: Overwrite = False,
    config: Config = None,
    names: Names = None,
    size: Size = None,
    exact: Exact = False,
    detections: Detections = None,
    proposals: Proposals = None,
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
    settings: Settings = None,
    ignore: Ignore = None,
    key: Key = None,
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
        settings=tuple(settings or ()),
        ignore=tuple(ignore or ()),
        key=key,
    )
    run(CenterMask, request, output, overwrite=overwrite)


class CenterMask(CheckpointConverter):
    """With VoVNet of any depth, Lite or not."""

    name = "centermask"
    summary = "Export a CenterMask2, Lite or not, with VoVNet of any depth."
    command = staticmethod(command)
    module = f"{__name__}.model"
    what = "a checkpoint of CenterMask2"
    signs = ("proposal_generator.fcos_head.cls_logits.weight",)
