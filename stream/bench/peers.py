"""A model file against its origin and other ways of running it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stream.bench.figures import Figure
from stream.bench.material import demo_picture
from stream.errors import UsageError
from stream.export.registry import need_extra


def measure(model: Path, against: str = "") -> Iterator[Figure]:
    """Seconds per picture of each engine, in one run.

    Args:
        model: an exported file.
        against: the checkpoint it came from; what its metadata name where nothing is said.

    Raises:
        UsageError: the model is not a file.
    """
    if not model.is_file():
        raise UsageError(f"peers are measured for a model file, and {model} is none")
    need_extra("torch", "torchvision", "onnx")
    from stream.export.compare import speed_table

    for row in speed_table(model, demo_picture(), against=against):
        if row.seconds is None:
            yield Figure(f"{row.engine}, {row.size}", None, "s", detail=row.note)
            continue
        ratio = f"{row.ratio:.2f} × as fast as torchvision; " if row.ratio is not None else ""
        yield Figure(
            f"{row.engine}, {row.size}",
            row.seconds,
            "s",
            detail=f"{ratio}{row.instances} instances. {row.note}".strip(),
        )
