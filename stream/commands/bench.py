"""`stream bench`: measures this program on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from stream.commands import common
from stream.errors import UsageError
from stream.report import machine, write_json
from stream.version import __version__

if TYPE_CHECKING:
    from stream.bench.figures import Figure


class Part(StrEnum):
    """What can be measured."""

    PIPELINE = "pipeline"
    COMPOSITING = "compositing"
    MEMORY = "memory"
    SPEED = "speed"
    NODES = "nodes"
    PEERS = "peers"


def bench(
    part: Annotated[
        list[Part] | None,
        typer.Option(
            help="Only this part; may be repeated. nodes says which provider runs each of a "
            "model's nodes, and what that costs; peers times a model file against its origin "
            "and other runtimes, and needs the extra [export]. [default: all but nodes and peers; "
            "speed, nodes and peers where --model is a file]"
        ),
    ] = None,
    model: common.ModelOption = "default",
    provider: common.ProviderOption = common.Provider.AUTO,
    against: Annotated[
        str,
        typer.Option(
            metavar="CHECKPOINT", help="For peers: the weights that the model was exported from."
        ),
    ] = "",
    size: Annotated[
        str, typer.Option(metavar="WIDTHxHEIGHT", help="Picture size for speed, in pixels.")
    ] = "640x480",
    json: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Also write the figures here.")
    ] = None,
    verbose: common.VerboseOption = False,
) -> None:
    """Measure the pipeline, compositing, memory and a model's speed on this machine."""
    common.set_verbosity(quiet=False, verbose=verbose)
    from stream.bench import compositing, memory, nodes, peers, speed

    pixels = _size(size)
    with tempfile.TemporaryDirectory(prefix="stream-bench-") as name:
        folder = Path(name)
        parts: dict[Part, Callable[[], Iterator[Figure]]] = {
            Part.PIPELINE: lambda: speed.measure_pipeline(folder),
            Part.COMPOSITING: compositing.measure,
            Part.MEMORY: lambda: memory.measure(folder),
            Part.SPEED: lambda: speed.measure_model(folder, model, provider.value, pixels),
            Part.NODES: lambda: nodes.measure(model, provider.value),
            Part.PEERS: lambda: peers.measure(Path(model), against),
        }
        if part is None:
            is_file = Path(model).is_file()
            of_files = [Part.SPEED, Part.NODES, Part.PEERS]
            others = [Part.PIPELINE, Part.COMPOSITING, Part.MEMORY, Part.SPEED]
            part = of_files if is_file else others
        figures: list[Figure] = []
        for chosen in part:
            with common.errors.status(f"measuring {chosen}"):
                figures += parts[chosen]()
    here = machine()
    table = Table(
        title=f"{here['processor']}, {here['cores']} cores, {here['memory_gib']} GiB",
        title_justify="left",
    )
    asked = any(figure.met is not None for figure in figures)
    for column in ("what", "value", *(("asked", "") if asked else ()), "how"):
        table.add_column(column, overflow="fold")
    for figure in figures:
        verdict = _verdict(figure) if asked else ()
        table.add_row(figure.name, _value(figure), *verdict, figure.detail)
    common.results.print(table)
    if json is not None:
        write_json(
            json,
            {
                "stream": __version__,
                "machine": here,
                "figures": [{**asdict(figure), "met": figure.met} for figure in figures],
            },
        )


def _value(figure: Figure) -> str:
    return "did not run" if figure.value is None else f"{figure.value:.2f} {figure.unit}"


def _verdict(figure: Figure) -> tuple[str, str]:
    if figure.met is None:
        return "", ""
    asked = f"≥ {figure.at_least:g}" if figure.at_least is not None else f"≤ {figure.at_most:g}"
    return asked, "[green]met[/]" if figure.met else "[red]missed[/]"


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) > 15 and int(height) > 15):
        raise UsageError(f"--size wants something like 640x480, not {text!r}")
    return int(width), int(height)
