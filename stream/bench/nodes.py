"""Which provider runs each node of a model, and what that costs."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from stream.assets import demo_picture
from stream.bench.figures import Figure
from stream.errors import StreamError
from stream.inference.assignment import Assigned, assignment
from stream.inference.catalogue import find, open_model
from stream.inference.content import content
from stream.inference.contract import INPUT
from stream.inference.onnx_session import create
from stream.inference.preprocess import Preprocessor
from stream.inference.providers import check_name
from stream.inference.route import LABELS, Route
from stream.inference.session import open_session
from stream.inference.sizes import free_sides
from stream.types import Array

_WARM_UP, _RUNS = 2, 5
_SHOWN = 8
"""Operators of the provider asked for that get a line; of the others, all do."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A node as it ran; ONNX Runtime may have made one of several, or copies between devices.

    Attributes:
        name: the node's.
        kind: its operator.
        provider: ONNX Runtime's name of the provider that ran it.
        seconds: per run, median. Of a GPU's nodes this is what launching them takes.
    """

    name: str
    kind: str
    provider: str
    seconds: float


def measure(
    model: str | Path, provider: str = "auto", threads: int | None = None
) -> Iterator[Figure]:
    """Nodes and milliseconds per provider and operator, on the demo clip's first picture.

    The names of nodes that another provider runs than the one asked for are in the detail of their
    line, so that none of them goes unseen.

    Args:
        model: a name of the catalogue or an .onnx file.
        provider: the one asked for.
        threads: for computing on the CPU; None for what suits the machine.

    Raises:
        StreamError: the model cannot be run there.
    """
    name = check_name(provider)
    opened = open_session(find(model), name, threads)
    asked = opened.route.execution_provider
    tensor = Preprocessor(opened.metadata.resize)(demo_picture()).pixels()
    seconds, ran = profiled(opened.route, opened.path, {INPUT: tensor}, threads)
    where = f"{opened.path.name} on {LABELS[opened.route.name]}, {_size(tensor)}"
    yield Figure("one run", 1e3 * seconds, "ms", detail=where)
    yield from table(ran, seconds, asked=asked, assigned=assignment(opened.handle))


def table(
    ran: Sequence[Ran], seconds: float, *, asked: str, assigned: Sequence[Assigned]
) -> Iterator[Figure]:
    """What `measure` tells of a run that took so many seconds.

    Args:
        ran: the nodes as they ran.
        seconds: of the whole run.
        asked: ONNX Runtime's name of the provider that was asked for.
        assigned: the model's own nodes; empty where ONNX Runtime does not tell.
    """
    copies = [one for one in ran if one.kind.startswith("Memcpy")]
    providers = sorted({one.provider for one in ran}, key=lambda one: (one != asked, one))
    for one in providers:
        yield from _of_provider(
            one, asked, [r for r in ran if r.provider == one], assigned, seconds
        )
    if copies:
        yield Figure(
            "copies between devices",
            1e3 * sum(one.seconds for one in copies),
            "ms",
            detail=f"{len(copies)}; one to the host waits for the device",
        )


def _of_provider(
    provider: str, asked: str, ran: Sequence[Ran], assigned: Sequence[Assigned], seconds: float
) -> Iterator[Figure]:
    own = sum(one.seconds for one in ran)
    here = [one for one in assigned if one.provider == provider]
    of = f"{len(here)} of the model's {len(assigned)} nodes, " if assigned else ""
    yield Figure(
        provider.removesuffix("ExecutionProvider"),
        1e3 * own,
        "ms",
        detail=f"{of}{len(ran)} ran; {100 * own / seconds:.1f} % of the run",
    )
    cost: Counter[str] = Counter()
    for one in ran:
        cost[one.kind] += round(1e9 * one.seconds)
    for kind, nanoseconds in cost.most_common(_SHOWN if provider == asked else None):
        names = [one.name for one in ran if one.kind == kind]
        detail = f"{len(names)}" if provider == asked else f"{len(names)}: {', '.join(names)}"
        yield Figure(f"  {kind}", 1e-6 * nanoseconds, "ms", detail=detail)


class _Event(TypedDict, total=False):
    """A line of ONNX Runtime's profile; `dur` in microseconds, `args` of a node's."""

    name: str
    cat: str
    dur: float
    args: dict[str, str]


def profiled(
    route: Route, path: Path, inputs: Mapping[str, Array], threads: int | None = None
) -> tuple[float, list[Ran]]:
    """Runs a model with ONNX Runtime's own profile.

    Args:
        route: where; see `stream.inference.providers.route`.
        path: the model's file.
        inputs: by name, as the model wants them.
        threads: for computing on the CPU.

    Returns:
        Seconds per run, median, and the nodes that ran, in their order.

    Raises:
        StreamError: the model cannot be run, or the profile cannot be read.
    """
    what = f"the model {str(path)!r}"
    with tempfile.TemporaryDirectory(prefix="stream-nodes-") as folder:
        profile, fixed = Path(folder) / "profile", dict[str, int]()
        if route.plans and (sides := free_sides(path)):
            # The session that would run it is for this size too.
            height, width = inputs[INPUT].shape[1:3]
            fixed = dict(zip(sides, (width, height), strict=True))
        loaded = content(route, path, open_model(path)[1])
        handle = create(route, loaded, threads, what, profile, fixed)
        for _ in range(_WARM_UP + _RUNS):
            handle.run(None, dict(inputs))
        written = Path(handle.end_profiling())
        try:
            events = json.loads(written.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StreamError(f"ONNX Runtime's profile cannot be read: {error}") from error
    return read_profile(events)


def read_profile(events: Sequence[_Event]) -> tuple[float, list[Ran]]:
    """Seconds per run and the nodes that ran, in their order, from ONNX Runtime's profile.

    Each node has an event per run, of which the first ones do not count; so has the whole run.
    """
    suffix = "_kernel_time"
    runs: list[float] = []
    nodes: dict[tuple[str, str, str], list[float]] = {}
    for event in events:
        name, seconds = str(event.get("name", "")), 1e-6 * event.get("dur", 0)
        if name == "model_run":
            runs.append(seconds)
        elif event.get("cat") == "Node" and name.endswith(suffix):
            told = event["args"]
            key = (name.removesuffix(suffix), told["op_name"], told["provider"])
            nodes.setdefault(key, []).append(seconds)
    return _usual(runs), [Ran(*key, _usual(some)) for key, some in nodes.items()]


def _usual(durations: Sequence[float]) -> float:
    return statistics.median(durations[_WARM_UP:] or durations or (0.0,))


def _size(tensor: Array) -> str:
    return f"{tensor.shape[2]}x{tensor.shape[1]} pixels"
