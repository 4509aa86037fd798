"""A model file against its origin and other ways of running it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from stream.bench.figures import Figure
from stream.bench.material import demo_picture
from stream.errors import UsageError
from stream.extras import need_extra
from stream.inference.cpu import available_cores


def measure(model: Path, against: str = "") -> Iterator[Figure]:
    """Seconds per picture of each engine, in one run, on as many threads as there are cores.

    Args:
        model: an exported file.
        against: the checkpoint it came from; what its metadata name where nothing is said.

    Raises:
        UsageError: the model is not a file.
    """
    if not model.is_file():
        raise UsageError(f"peers are measured for a model file, and {model} is none")
    need_extra("export", "torch", "torchvision", "onnx", "onnxscript", what="this comparison")
    # By name: nothing in this package depends on the exporter.
    speed_table = importlib.import_module("stream_export.tools.speed").speed_table

    picture, threads = demo_picture(), available_cores()
    height, width = picture.shape[:2]
    where = f"the demo clip's first picture, {width}x{height}; {threads} threads"
    sizes: set[str] = set()
    for row in speed_table(model, picture, against=against, threads=threads):
        name = f"{row.engine}, {row.size}"
        if row.seconds is None:
            yield Figure(name, None, "s", detail=row.note)
            continue
        told = [] if row.ratio is None else [f"{row.ratio:.2f} × as fast as torchvision"]
        told += [f"{row.instances} instances", row.note]
        if row.size not in sizes:
            told.append(where)
        sizes.add(row.size)
        yield Figure(name, row.seconds, "s", detail="; ".join(part for part in told if part))
