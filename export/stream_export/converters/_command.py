"""The command that converters of a single checkpoint file share."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from stream.errors import ModelError, NoModelError, UsageError
from stream_export.registry import Converter, Kept, Origin, need_extra

if TYPE_CHECKING:
    from stream_export.converters._request import Request

Checkpoint = Annotated[
    Path, typer.Argument(metavar="CHECKPOINT", help="The weights, as they were published or saved.")
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE.onnx", help="The .onnx file to write.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the output where it exists, once it is whole.")
]
Config = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|NAME",
        help="A configuration file, or a published configuration's name, for what the weights do "
        "not tell. [default: what the weights tell, and the origin's own]",
    ),
]
Names = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|NAME",
        help="Class names: a file with one a line, a label map, a data set's yaml or json; or the "
        "name of a data set: coco (80), coco90 (with gaps) or cityscapes (8). [default: what the "
        "file itself tells]",
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="SHORT/LONG|WxH",
        help="Shortest edge and its maximum (800/1333), or a letterbox (640x384). [default: the "
        "model's own]",
    ),
]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact/--fast", help="Resize pictures as the origin does, or faster and nearly the same."
    ),
]
Detections = Annotated[
    int | None,
    typer.Option(min=1, help="At most this many objects a picture. [default: the model's own]"),
]
Proposals = Annotated[
    int | None,
    typer.Option(min=1, help="At most this many proposals. [default: the model's own]"),
]
Score = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Lowest score, 0 to 1. [default: the model's own]"),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="One setting under the origin's own name, above the configuration. May be given "
        "several times. [default: none]",
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Weights that may be left over, such as '*.se.*'. May be given several times. "
        "Without it every weight must be used.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Where in the file the weights lie, where there are several copies, such as ema. "
        "[default: the model's own]",
    ),
]


class CheckpointConverter(Converter):
    """A converter whose command takes a checkpoint and the options of `Request`.

    Attributes:
        module: loaded when the command runs; its `convert(Request) -> Converted` does the work.
    """

    module: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Gives every origin its command."""
        super().__init_subclass__()
        if "command" not in vars(cls):
            cls.command = staticmethod(_command(cls))

    @classmethod
    def origin(cls, against: str, options: Kept) -> Origin:
        """This program's own reading of the checkpoint, run by torch.

        Raises:
            UsageError: it is not said which checkpoint.
        """
        need_extra()
        from stream_export.converters._form_origin import FormOrigin, request_of

        if not against:
            raise UsageError(
                "give the checkpoint with --against (it was called "
                f"{options.get('checkpoint')!r}), or an .npz with the answers of the original"
            )
        converted = importlib.import_module(cls.module).convert(request_of(Path(against), options))
        return FormOrigin(converted, cls.name)


def _command(converter: type[CheckpointConverter]) -> Any:
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
        score: Score = None,
        settings: Settings = None,
        ignore: Ignore = None,
        key: Key = None,
    ) -> None:
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
            settings=tuple(settings or ()),
            ignore=tuple(ignore or ()),
            key=key,
        )
        run(converter, request, output, overwrite=overwrite)

    command.__doc__ = converter.summary
    return command


def run(
    converter: type[CheckpointConverter], request: Request, output: Path, *, overwrite: bool = False
) -> None:
    """Converts, writes the file and says what was read and what was assumed.

    Args:
        converter: of the origin.
        request: what is asked for.
        output: the .onnx file.
        overwrite: whether it may exist.

    Raises:
        ModelError: the checkpoint cannot be converted; where it is another system's, the message
            names the right command.
        UsageError: the request makes no sense.
    """
    from stream_export.output import check_output

    check_output(output, *request.inputs, overwrite=overwrite)
    if not request.checkpoint.exists():
        # Before PyTorch is loaded, which takes seconds.
        raise NoModelError(f"{request.checkpoint}: there is no such file")
    from stream_export.checkpoints.recognise import wrong_file
    from stream_export.metadata import save_model
    from stream_export.tools.inspect import announce

    try:
        converted = importlib.import_module(converter.module).convert(request)
    except ModelError as error:
        raise wrong_file(request.checkpoint, converter.name, error) from error
    say(converted.read, converted.assumed)
    save_model(converted.to_onnx(converter.name, request), output)
    announce(output)


def say(read: tuple[str, ...], assumed: tuple[str, ...]) -> None:
    """Prints what was taken from where, and what no file told."""
    for line in read:
        typer.echo(f"read: {line}")
    for line in assumed:
        typer.echo(f"assumed: {line}")
