"""The commands of `stream export`; they parse, call and report."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from stream.errors import ModelError, StreamError, UsageError
from stream_export.registry import Origin, converters, need_extra

app = typer.Typer(
    name="export",
    help="Turn a trained Mask R-CNN into one .onnx file, prove it, and make it smaller and faster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for _converter in converters().values():
    app.command(_converter.name, help=_converter.summary)(_converter.command)

Images = Annotated[Path, typer.Option("--images", help="A folder of pictures.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The .onnx file to write.")]
Model = Annotated[Path, typer.Argument(help="An exported model.")]


@app.command()
def verify(
    model: Model,
    images: Images,
    against: Annotated[
        str,
        typer.Option(
            help="What it must agree with: a checkpoint, a name of the origin's, or another .onnx "
            "file; what it was exported from where nothing is said."
        ),
    ] = "",
    pictures: Annotated[int | None, typer.Option(min=1, help="At most so many pictures.")] = None,
    score: Annotated[float, typer.Option(min=0, max=1, help="Detections above this.")] = 0.05,
    box_error: Annotated[float, typer.Option(help="Allowed, in pixels.")] = 0.5,
    score_error: Annotated[float, typer.Option(help="Allowed.")] = 1e-3,
    mask_overlap: Annotated[float, typer.Option(help="Needed, of pasted masks.")] = 0.99,
    unmatched: Annotated[int, typer.Option(min=0, help="Allowed, on both sides together.")] = 0,
    provider: Annotated[str, typer.Option(help="Where the model runs.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare a model with its origin, picture by picture; fail where they differ."""
    from stream_export.agreement import Tolerance, compare, open_model, read_pictures

    need_extra("onnx")
    tolerance = Tolerance(box_error, score_error, mask_overlap, unmatched)
    options = _options(model)
    if Path(against).suffix == ".onnx":
        origin = open_model(Path(against), score)
    else:
        origin = _origin(model, against, options)
    found = compare(
        origin,
        open_model(model, score, provider),
        read_pictures(images, pictures),
        score=score,
        tolerance=tolerance,
        limit=options.get("detections") or 100,
    )
    failures = found.failures(tolerance)
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "failures": failures}, indent=1))
    else:
        typer.echo("\n".join(found.lines()))
    if failures:
        raise ModelError(f"{model}: it is not what it was exported from: {'; '.join(failures)}")


@app.command()
def quantize(
    model: Model,
    images: Images,
    output: Output,
    pictures: Annotated[int, typer.Option(min=1, help="To calibrate on.")] = 48,
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="A pattern of node names that stay in float; may be repeated."),
    ] = None,
    symmetric: Annotated[
        bool, typer.Option(help="Activations as TensorRT wants them; slower on CPUs.")
    ] = False,
) -> None:
    """Make an int8 model, calibrated on pictures like those it will see."""
    need_extra("onnx")
    from stream_export.quantize import quantize_file
    from stream_export.report import announce

    quantize_file(model, images, output, pictures=pictures, exclude=exclude, symmetric=symmetric)
    announce(output)


@app.command()
def half(model: Model, output: Output) -> None:
    """Make a half-precision model, for GPUs; boxes and suppression stay in float32."""
    need_extra("onnx")
    from stream_export.half import half_file
    from stream_export.report import announce

    half_file(model, output)
    announce(output)


@app.command()
def inspect(
    model: Model,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what a model is: contract, operators, shapes, size, where it came from."""
    need_extra("onnx")
    from stream_export.report import describe, describe_lines

    found = describe(model)
    typer.echo(json.dumps(found, indent=1) if as_json else "\n".join(describe_lines(found)))


def _options(model: Path) -> dict[str, Any]:
    from stream_export.metadata import load_model
    from stream_export.registry import options_of

    return options_of({entry.key: entry.value for entry in load_model(model).metadata_props})


def _origin(model: Path, against: str, options: Mapping[str, Any]) -> Origin:
    system = options.get("system")
    known = converters()
    if system not in known:
        raise UsageError(
            f"{model}: it does not say which converter made it; give --against another .onnx file"
        )
    opener = known[str(system)].origin
    if opener is None:
        raise UsageError(f"{model}: models of {system} cannot be run here as they were")
    return opener(against, options)


def main() -> None:
    """Runs the commands from a checkout: errors are one sentence, without a traceback."""
    try:
        app(prog_name="python -m stream_export")
    except StreamError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
