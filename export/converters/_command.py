"""The command that converters of a single checkpoint file share."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from stream.export.registry import Converter, need_extra


def checkpoint_converter(name: str, summary: str, module: str) -> Converter:
    """A converter whose command takes a checkpoint and the options of `Request`.

    Args:
        name: of the subcommand.
        summary: one line for the list of subcommands.
        module: in `stream.export.converters`, loaded when the command runs; its
            `convert(Request) -> Converted` does the work.
    """

    def command(
        checkpoint: Annotated[Path, typer.Argument(help="The weights, as they were published.")],
        output: Annotated[Path, typer.Option("--output", "-o", help="The .onnx file to write.")],
        config: Annotated[
            str | None,
            typer.Option(
                help="A published configuration's name, or a configuration file, for what the "
                "weights do not tell."
            ),
        ] = None,
        names: Annotated[
            Path | None, typer.Option(help="Class names, one a line, without background.")
        ] = None,
        size: Annotated[
            str | None,
            typer.Option(
                help="Shortest edge and its maximum (800/1333), or a letterbox (640x384)."
            ),
        ] = None,
        exact: Annotated[
            bool,
            typer.Option(
                "--exact/--fast",
                help="Resize pictures as the origin does, or faster and nearly the same.",
            ),
        ] = False,
        detections: Annotated[int | None, typer.Option(min=1, help="At most this many.")] = None,
        proposals: Annotated[int | None, typer.Option(min=1, help="At most this many.")] = None,
        score: Annotated[float | None, typer.Option(min=0, max=1, help="Lowest score.")] = None,
    ) -> None:
        need_extra()
        from stream.export.converters._request import Request
        from stream.export.metadata import save_model
        from stream.export.report import announce

        loaded = importlib.import_module(f"stream.export.converters.{module}")
        request = Request(
            checkpoint=checkpoint,
            config=config,
            names=names,
            size=size,
            exact=exact,
            detections=detections,
            proposals=proposals,
            score=score,
        )
        convert: Callable[..., object] = loaded.convert
        converted = convert(request)
        save_model(converted.to_onnx(name, request), output)  # type: ignore[attr-defined]
        announce(output)

    command.__doc__ = summary
    return Converter(name, summary, command)
