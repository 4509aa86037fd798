"""torchvision's Mask R-CNNs, published or fine-tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.errors import ModelError, UsageError
from stream_export.converters._command import (
    Detections,
    Ignore,
    Key,
    Names,
    Output,
    Overwrite,
    Proposals,
    Score,
    Settings,
    say,
)
from stream_export.converters.torchvision.conversion import SIZE, SYSTEM, Asked, convert, opened
from stream_export.registry import Converter, Kept, Origin, need_extra


def command(
    output: Output,
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            metavar="CHECKPOINT",
            help="The same as --weights. [default: none]",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    arch: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Such as maskrcnn_resnet50_fpn. [default: read from the weights]",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME|random",
            help="A checkpoint (mine.pth), one of torchvision's names (COCO_V1), or random. "
            "[default: torchvision's own for --arch]",
        ),
    ] = None,
    names: Names = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="SHORT/LONG|WxH",
            help="Shortest edge and its maximum, or a letterbox (640x384). [default: 800/1333, or "
            "what a whole pickled model says]",
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact/--fast",
            help="Resize in the graph as torchvision does, or before it, faster.",
        ),
    ] = True,
    detections: Detections = None,
    proposals: Proposals = None,
    score: Score = None,
    anchors: Annotated[
        str | None,
        typer.Option(
            metavar="N,…",
            help="Edges of the anchors per level, such as 8,16,32,64,128, which weights do not "
            "tell; several of a level are joined by +. [default: 32,64,128,256,512, or a whole "
            "pickled model's own]",
        ),
    ] = None,
    ratios: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER,…",
            help="Heights per width of the anchors. [default: 0.5,1,2, or a whole pickled model's "
            "own]",
        ),
    ] = None,
    epsilon: Annotated[
        float | None,
        typer.Option(
            help="Of the backbone's norms, which a state dict does not hold. [default: 0 for "
            "ResNet-50 with frozen ones, else 1e-5; a whole pickled model's own]"
        ),
    ] = None,
    settings: Settings = None,
    ignore: Ignore = None,
    key: Key = None,
) -> None:
    """Export a Mask R-CNN of torchvision, published or fine-tuned."""
    need_extra()
    from stream_export.checkpoints.recognise import wrong_file
    from stream_export.converters.torchvision.model import classes_of
    from stream_export.metadata import save_model
    from stream_export.names import names_for
    from stream_export.output import check_output
    from stream_export.tools.inspect import announce

    if checkpoint is not None and weights is not None:
        raise UsageError(f"{checkpoint} and --weights {weights} are both weights; give one of them")
    weights = weights or checkpoint
    inputs = [Path(one) for one in (weights, names) if one]
    check_output(output, *inputs, overwrite=overwrite)
    asked = Asked(
        arch=arch,
        weights=weights,
        epsilon=epsilon,
        anchors=anchors,
        ratios=ratios,
        settings=tuple(settings or ()),
        ignore=tuple(ignore or ()),
        key=key,
    )
    try:
        found = opened(asked)
    except ModelError as error:
        if weights is None or not Path(weights).exists():
            raise
        raise wrong_file(Path(weights), SYSTEM, error) from error
    published = found.source.startswith("torchvision ")
    classes, where = names_for(
        Path(weights or found.arch), classes_of(found.model), names, found.told
    )
    fixed = found.model.transform.fixed_size is not None
    if size is None and found.size is None and not published and not fixed:
        found.assumed.append(f"pictures of {SIZE} pixels (weights do not tell; --size)")
    say((*found.read, f"class names {where}"), tuple(found.assumed))
    exported = convert(
        found.model,
        names=classes,
        size=size or (None if fixed else found.size or SIZE),
        exact=exact,
        detections=detections,
        proposals=proposals,
        score=score,
        origin=f"torchvision {found.arch}, weights {found.source}",
        licence="BSD-3-Clause" if published else "unknown",
        training_data="COCO 2017" if published else "unknown",
        options={**asked.to_options(), "arch": found.arch},
    )
    save_model(exported, output)
    announce(output)


class Torchvision(Converter):
    """Any backbone of torchvision's with a pyramid."""

    name = SYSTEM
    summary = "Export a Mask R-CNN of torchvision, published or fine-tuned."
    command = staticmethod(command)
    what = "a checkpoint of torchvision"
    signs = ("rpn.head.cls_logits.weight", "rpn.head.conv.0.0.weight")
    flag = "--weights"

    @classmethod
    def origin(cls, against: str, options: Kept) -> Origin:
        """Torchvision's own code with the weights that a file was exported from.

        Raises:
            ModelError: the checkpoint cannot be read.
            UsageError: it is not said which.
        """
        from stream_export.converters.torchvision.origin import open_origin

        return open_origin(against, options)


__all__ = ["Asked", "Torchvision", "convert", "opened"]
