"""The commands of `stream export`; they parse, call and report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from stream.errors import ModelError, StreamError, UsageError
from stream.instances import Instances
from stream_export.registry import Kept, Origin, converters, need_extra

if TYPE_CHECKING:
    from stream.inference.contract import Resize
    from stream_export.tools.answers import StoredAnswers


def build() -> typer.Typer:
    """The command `export` with a subcommand for every converter and every tool."""
    made = typer.Typer(
        name="export",
        help="Turn a trained Mask R-CNN into one .onnx file, prove it, and make it smaller and "
        "faster.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for converter in converters().values():
        made.command(converter.name, help=converter.summary)(converter.command)
    for tool in (verify, quantize, half, inspect):
        made.command()(tool)
    return made


Images = Annotated[Path, typer.Option("--images", metavar="FOLDER", help="A folder of pictures.")]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE.onnx", help="The .onnx file to write.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the output where it exists, once it is whole.")
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="An exported model.")]


def verify(
    model: Model,
    images: Images,
    against: Annotated[
        str,
        typer.Option(
            metavar="FILE|NAME",
            help="What it must agree with: a checkpoint, a name of the origin's, another .onnx "
            "file, or an .npz with the original's answers. [default: what it was exported from, "
            "of torchvision's models]",
        ),
    ] = "",
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME",
            help="The configuration that the model was exported with, where it had one. [default: "
            "the one that the model names]",
        ),
    ] = None,
    pictures: Annotated[
        int | None, typer.Option(min=1, help="At most so many pictures. [default: all]")
    ] = None,
    score: Annotated[float, typer.Option(min=0, max=1, help="Detections above this.")] = 0.05,
    box_error: Annotated[
        float | None,
        typer.Option(min=0, help="Allowed, in pixels. [default: 0.5; rounded models: any]"),
    ] = None,
    score_error: Annotated[
        float | None, typer.Option(min=0, help="Allowed. [default: 0.001; rounded models: any]")
    ] = None,
    mask_overlap: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Needed, of pasted masks. [default: 0.99; rounded models: none]"
        ),
    ] = None,
    unmatched: Annotated[
        int | None,
        typer.Option(
            min=0, help="Allowed, on both sides together. [default: 0; rounded models: any]"
        ),
    ] = None,
    provider: Annotated[str, typer.Option(metavar="NAME", help="Where the model runs.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare a model with its origin, picture by picture; fail where they differ.

    A model that was rounded, to int8 or float16, differs anyhow: it fails by limits that are given.
    So does one that is compared with such a model.
    """
    from stream.inference.catalogue import open_model as look_into
    from stream_export.progress import pictures_of
    from stream_export.tools.agreement import (
        NO_LIMIT,
        compare,
        limits,
        open_model,
        picture_files,
        read_pictures,
    )
    from stream_export.tools.answers import StoredAnswers

    need_extra("onnx")
    _refuse_checkpoint(model)
    options = dict(_options(model))
    seen = look_into(model)[1]
    rounded = {model: seen.precision}
    asked = (box_error, score_error, mask_overlap, unmatched)
    if config is not None:
        options["config"] = config
    count = len(picture_files(images, pictures))
    read: Iterable[tuple[str, NDArray[np.uint8]]] = read_pictures(images, pictures)
    origin: Callable[[NDArray[np.uint8]], Instances]
    what = f"the model {against}"
    assumed: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    if Path(against).suffix == ".onnx":
        origin = open_model(Path(against), score)
        other = look_into(Path(against))[1]
        rounded[Path(against)] = other.precision
        differing = _resized_otherwise(other.resize, seen.resize)
    elif Path(against).suffix == ".npz":
        origin = stored = StoredAnswers(Path(against))
        what, read = stored.what, _named(stored, read)
        differing = _resized_faster(seen.resize, options)
    else:
        origin = opened = _origin(model, against, options)
        what, assumed = opened.what, opened.assumed
        if options.get("system") == "torchvision" and seen.resize.mode != "letterbox":
            differing = _resized_faster(seen.resize, options)
    judged = open_model(model, score, provider)
    rounded = {file: name for file, name in rounded.items() if name != "float32"}
    tolerance = limits("rounded" if rounded else "float32", *asked)
    with pictures_of("comparing", count) as watch:
        found = compare(
            origin,
            judged,
            _followed(read, watch),
            score=score,
            tolerance=limits("float32", *asked),
            limit=options.get("detections") or 100,
        )
    failures = found.failures(tolerance)
    if as_json:
        said = {"against": what, "assumed": assumed, "differing": differing}
        typer.echo(json.dumps({**said, **found.to_json(), "failures": failures}, indent=1))
    else:
        alike = [f"assumed alike on both sides, so not compared: {one}" for one in assumed]
        typer.echo("\n".join([f"compared with {what}", *found.lines(), *alike, *differing]))
        if tolerance == NO_LIMIT:
            which = " and ".join(f"{file} is rounded to {name}" for file, name in rounded.items())
            typer.echo(
                f"judge for yourself: {which}, and such a model differs from what it was made of; "
                "it fails only by limits that are given (--unmatched, --box-error, ...)"
            )
    if failures:
        raise ModelError(f"{model}: it differs from {what}: {'; '.join((*failures, *differing))}")


def quantize(
    model: Model,
    images: Images,
    output: Output,
    overwrite: Overwrite = False,
    pictures: Annotated[int, typer.Option(min=1, help="To calibrate on.")] = 48,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Names of nodes that stay in float beside the last layers. May be given "
            "several times.",
        ),
    ] = None,
    symmetric: Annotated[
        bool, typer.Option(help="Activations as TensorRT wants them; slower on CPUs.")
    ] = False,
) -> None:
    """Make an int8 model, calibrated on pictures like those it will see."""
    need_extra("onnx")
    from stream_export.output import check_output
    from stream_export.progress import pictures_of
    from stream_export.tools.agreement import picture_files
    from stream_export.tools.inspect import announce
    from stream_export.tools.quantize import SENSITIVE, quantize_file

    check_output(output, model, overwrite=overwrite)
    _refuse_checkpoint(model)
    with pictures_of("calibrating", len(picture_files(images, pictures))) as watch:
        quantize_file(
            *(model, images, output),
            pictures=pictures,
            exclude=(*SENSITIVE, *(exclude or ())),
            symmetric=symmetric,
            watch=watch,
        )
    announce(output)


def half(model: Model, output: Output, overwrite: Overwrite = False) -> None:
    """Make a half-precision model, for GPUs; boxes and suppression stay in float32."""
    need_extra("onnx")
    from stream_export.output import check_output
    from stream_export.tools.half import half_file
    from stream_export.tools.inspect import announce

    check_output(output, model, overwrite=overwrite)
    _refuse_checkpoint(model)
    half_file(model, output)
    announce(output)


def inspect(
    model: Model,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what a model is: contract, operators, shapes, size, where it came from."""
    need_extra("onnx")
    from stream_export.tools.inspect import describe, describe_lines

    _refuse_checkpoint(model)
    found = describe(model)
    typer.echo(json.dumps(found, indent=1) if as_json else "\n".join(describe_lines(found)))


def _refuse_checkpoint(model: Path) -> None:
    """Names the command for a checkpoint, where an exported model is wanted.

    Raises:
        ModelError: it is one, or damaged.
    """
    if model.suffix.lower() == ".onnx" or not model.is_file():
        return
    from stream_export.checkpoints.recognise import recognise

    found = recognise(model)
    if found is not None and found.system is not None:
        raise ModelError(
            f"{model}: it is {found.what}, not exported yet; convert it with: "
            f"{found.command(model)}"
        )


def _options(model: Path) -> Kept:
    from stream_export.metadata import load_model
    from stream_export.registry import options_of

    return options_of({entry.key: entry.value for entry in load_model(model).metadata_props})


def _origin(model: Path, against: str, options: Kept) -> Origin:
    system = options.get("system")
    known = converters()
    if system not in known:
        raise UsageError(
            f"{model}: it does not say which converter made it; give --against another .onnx file"
        )
    return known[str(system)].origin(against, options)


def _resized_otherwise(there: Resize, here: Resize) -> tuple[str, ...]:
    """A sentence where two models do not see a picture in the same size and way."""
    from stream_export.tools.inspect import resizing

    if there == here:
        return ()
    return (f"pictures are resized otherwise: there {resizing(there)}; here {resizing(here)}",)


def _resized_faster(here: Resize, options: Kept) -> tuple[str, ...]:
    """A sentence where a model's pictures are not resized as its origin does it.

    The other origins are not asked but for their stored answers, as they resize as the model does.
    """
    from stream_export.tools.inspect import resizing

    if here.mode == "native" or here.interpolation not in ("bilinear", "area"):
        return ()
    if here.mode == "letterbox":
        return (
            f"pictures are {resizing(here)} here, which --size asked for; answers of pictures in "
            "another size are others",
        )
    shaky = "random weights" if options.get("weights") == "random" else "some networks"
    return (
        "pictures are resized otherwise: there as the origin does it, here faster, in eight bits; "
        f"{shaky} amplify that until detections are others: only a model exported with --exact "
        "tells whether that is all",
    )


def _named(
    answers: StoredAnswers, pictures: Iterable[tuple[str, NDArray[np.uint8]]]
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Pictures by name, each told to the stored answers before it is compared."""
    for name, picture in pictures:
        answers.picture = name
        yield name, picture


def _followed(
    pictures: Iterable[tuple[str, NDArray[np.uint8]]], watch: Callable[[int], None]
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """The same, and somebody is told which is next."""
    for number, one in enumerate(pictures, 1):
        watch(number)
        yield one


app = build()


def main() -> None:
    """Runs the commands from a checkout: errors are one sentence, without a traceback."""
    try:
        app(prog_name="python -m stream_export")
    except StreamError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
