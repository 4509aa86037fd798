"""The command that converters of a single checkpoint file share."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.errors import ModelError
from stream_export.registry import Converter, need_extra

if TYPE_CHECKING:
    from stream_export.converters._request import Request


def checkpoint_converter(name: str, summary: str, module: str) -> Converter:
    """A converter whose command takes a checkpoint and the options of `Request`.

    Args:
        name: of the subcommand.
        summary: one line for the list of subcommands.
        module: in `stream_export.converters`, loaded when the command runs; its
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
        from stream_export.converters._request import Request

        run(
            name,
            module,
            Request(
                checkpoint=checkpoint,
                config=config,
                names=names,
                size=size,
                exact=exact,
                detections=detections,
                proposals=proposals,
                score=score,
            ),
            output,
        )

    command.__doc__ = summary
    return Converter(name, summary, command)


def run(name: str, module: str, request: Request, output: Path) -> None:
    """Converts, writes the file and says so.

    Args:
        name: of the system.
        module: in `stream_export.converters`, see `checkpoint_converter`.
        request: what is asked for.
        output: the .onnx file.

    Raises:
        ModelError: the checkpoint cannot be converted; where it is another system's, the message
            names the right command.
        UsageError: the request makes no sense.
    """
    from stream_export.checkpoints.recognise import wrong_file
    from stream_export.metadata import save_model
    from stream_export.report import announce

    loaded: Any = importlib.import_module(f"stream_export.converters.{module}")
    try:
        converted = loaded.convert(request)
    except ModelError as error:
        raise wrong_file(request.checkpoint, name, error) from error
    save_model(converted.to_onnx(name, request), output)
    announce(output)
