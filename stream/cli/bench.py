"""`stream bench`: measures this program on this machine."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli import _common as common
from stream.cli._groups import command, shared
from stream.errors import StreamError, UsageError
from stream.settings.option import option, parse_names, parse_size
from stream.settings.options import ModelOptions
from stream.version import __version__
from stream.wording.tables import show_table

if TYPE_CHECKING:
    from stream.bench.figures import Figure


PARTS = (
    "pipeline",
    "compositing",
    "effects",
    "edges",
    "identity",
    "memory",
    "speed",
    "nodes",
    "peers",
    "gpu",
    "fleet",
    "cost",
)
"""What can be measured."""

_ALL = "all"
_COMPUTING = (
    "av",
    "numpy",
    "onnxruntime",
    "onnxruntime-ep-nv-tensorrt-rtx",
    "onnxruntime-ep-openvino",
    "onnxruntime-ep-webgpu",
    "onnxruntime-gpu",
    "opencv-python",
    "opencv-python-headless",
    "supervision",
    "tensorrt",
    "torch",
    "torchvision",
    "trackers",
)
_OF_FILES = ("speed", "nodes", "peers")
_OF_OTHERS = ("pipeline", "compositing", "memory", "speed")


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What is measured, and how."""

    model: str = shared(ModelOptions, "model")
    provider: str = shared(ModelOptions, "provider")
    against: str | None = option(
        None,
        "For peers: the weights that the model was exported from.",
        said="none",
        metavar="CHECKPOINT",
    )
    size: tuple[int, int] = option(
        (640, 480),
        "Picture size for speed and gpu, in pixels.",
        said="640x480",
        metavar="WxH",
        parse=parse_size,
    )
    pictures: Path | None = option(
        None,
        "For edges and identity: pictures with true masks, in a layout that `stream train` takes.",
        said="none",
        metavar="FOLDER",
    )
    clips: tuple[str, ...] | None = option(
        None,
        "For edges, identity, peers and cost: video files, separated by commas.",
        said="none",
        metavar="FILE,…",
        parse=parse_names,
    )
    files: int = option(
        100_000, "For fleet: of how many files, which are only thought of.", low=50_000
    )
    json: Path | None = option(
        None, "Also write the figures here.", said="not written", metavar="FILE.json"
    )


@command
def bench(
    options: BenchOptions,
    part: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help=f"Only this part: {', '.join([*PARTS, _ALL])}. May be given several times. "
            "nodes says which provider runs each of a model's nodes, and what that costs; peers "
            "times `stream file` beside the loop that anyone would write (extras [supervision] "
            "and [trackers]), and a model file against its origin and other runtimes (extra "
            "[export]); effects times each beside supervision's annotators; edges says how near "
            "they come to the true ones, and how still they lie; identity says who is taken for "
            "whom by each tracker; gpu measures an NVIDIA card, or tries the same on the CPU "
            "with --provider cpu; fleet drives a thousand machines that are only thought of; "
            "cost says what an hour of film like the clips takes; all does each of them that "
            "can be done here. [default: pipeline, compositing, memory and speed; speed, nodes "
            "and peers where --model is a file]",
        ),
    ] = None,
    verbose: common.Verbose = False,
) -> None:
    """Measure the pipeline, compositing, memory and a model's speed on this machine."""
    common.set_verbosity(verbose=verbose)
    for name in part or ():
        if name not in (*PARTS, _ALL):
            raise UsageError(f"--part is one of {', '.join([*PARTS, _ALL])}, not {name!r}")
    from stream.bench import (
        compositing,
        cost,
        edges,
        effects,
        fleet,
        gpu,
        identity,
        memory,
        nodes,
        peers,
        speed,
    )
    from stream.run.guard import check_report

    model, provider, size = options.model, options.provider, options.size
    if options.json is not None:
        check_report(
            options.json, [Path(one) for one in (model, options.against) if one], option="--json"
        )
    clips = [Path(clip) for clip in options.clips or ()]
    with tempfile.TemporaryDirectory(prefix="stream-bench-") as temporary:
        folder = Path(temporary)
        parts: dict[str, Callable[[], Iterator[Figure]]] = {
            "pipeline": lambda: speed.measure_pipeline(folder),
            "compositing": compositing.measure,
            "effects": effects.measure,
            "edges": lambda: edges.measure(model, provider, options.pictures, clips),
            "identity": lambda: identity.measure(model, provider, options.pictures, clips),
            "memory": lambda: memory.measure(folder),
            "speed": lambda: speed.measure_model(folder, model, provider, size),
            "nodes": lambda: nodes.measure(model, provider),
            "cost": lambda: cost.measure(folder, model, provider, clips),
            "fleet": lambda: fleet.measure(folder, options.files),
            "gpu": lambda: gpu.measure(folder, model, provider, size),
            "peers": lambda: peers.measure(folder, model, provider, options.against or "", clips),
        }
        usual = _OF_FILES if _is_file(model) else _OF_OTHERS
        every = _ALL in (part or ())
        wanted = PARTS if every else tuple(dict.fromkeys(part or usual))
        figures, ended_by = _measured({name: parts[name] for name in wanted})
    if ended_by is None or any(one.value is not None for one in figures):
        _tell(figures, options.json)
    if ended_by is not None and not (every and isinstance(ended_by, StreamError)):
        raise ended_by


def _is_file(name: str) -> bool:
    with contextlib.suppress(OSError):  # a name that is too long
        return Path(name).is_file()
    return False


def _measured(
    parts: Mapping[str, Callable[[], Iterator[Figure]]],
) -> tuple[list[Figure], BaseException | None]:
    """The figures of all parts that can be measured, and why the first other one cannot.

    What took minutes is not lost to a part that cannot be done, or to who has seen enough.
    """
    from stream.bench.figures import Figure

    figures: list[Figure] = []
    refused: BaseException | None = None
    for name, measure in parts.items():
        try:
            with common.errors().status(f"measuring {name}"):
                for figure in measure():
                    figures.append(figure)
        except StreamError as error:
            refused = refused or error
            figures.append(Figure(name, None, "", detail=str(error)))
        except KeyboardInterrupt as stopped:
            return figures, stopped
    return figures, refused


def _tell(figures: Sequence[Figure], file: Path | None) -> None:
    """Prints a table, and writes it to a file where there is one."""
    from rich.markup import escape
    from rich.table import Table

    from stream.run.report import machine, write_json

    here = machine()
    table = Table(
        title=f"{here['processor']}, {here['cores']} cores, {here['memory_gib']} GiB",
        title_justify="left",
    )
    for column in ("what", "value", "how"):
        table.add_column(column, overflow="fold")
    for figure in figures:
        table.add_row(escape(figure.name), _value(figure), escape(figure.detail))
    show_table(common.results(), table)
    if file is not None:
        write_json(
            file,
            {
                "stream": __version__,
                "machine": here,
                "packages": _packages(),
                "figures": [{**asdict(figure), "met": figure.met} for figure in figures],
            },
        )


def _packages() -> dict[str, str]:
    """Releases of what computes, as far as it is installed: figures mean little without them."""
    from importlib import metadata

    found = {}
    for name in _COMPUTING:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _value(figure: Figure) -> str:
    if figure.value is None:
        return "did not run"
    if isinstance(figure.value, int):
        return f"{figure.value} {figure.unit}"
    # Of what is small, two digits that say something.
    digits = ".2f" if figure.value >= 0.1 or not figure.value else ".2g"
    return f"{figure.value:{digits}} {figure.unit}"
