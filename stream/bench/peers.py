"""`stream file` against the obvious loop, a model file against other ways of running it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from stream.assets import demo_picture
from stream.bench import obvious
from stream.bench.figures import Figure
from stream.inference.catalogue import find
from stream.system.cpu import available_cores
from stream.system.extras import need_extra


def measure(
    folder: Path,
    model: str,
    provider: str = "auto",
    against: str = "",
    clips: Sequence[Path] = (),
) -> Iterator[Figure]:
    """Frames per second of a clip, and of a model file also seconds per picture of each engine.

    Args:
        folder: for what is written.
        model: a name of the catalogue or an exported file.
        provider: where clips are computed.
        against: the checkpoint that a file came from; what its metadata name where nothing is said.
        clips: video files; the demo clip where there are none.

    Raises:
        StreamError: a clip or the model cannot be used, or a package is missing.
    """
    find(model)
    # All that can be refused is before anything takes a minute.
    obvious.need_packages()
    if Path(model).is_file():
        _need_exporter()
    for clip in clips:
        obvious.film_size(clip)
    for one in clips or (None,):
        yield from obvious.measure(folder, one, model, provider, named=len(clips) > 1)
    if Path(model).is_file():
        yield from engines(Path(model), against)


def engines(model: Path, against: str = "") -> Iterator[Figure]:
    """Seconds per picture of each engine, in one run, on as many threads as there are cores.

    Args:
        model: an exported file.
        against: see `measure`.

    Raises:
        UsageError: a package is missing.
    """
    _need_exporter()
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
        plural = "" if row.instances == 1 else "s"
        told += [f"{row.instances} instance{plural}", row.note]
        if row.size not in sizes:
            told.append(where)
        sizes.add(row.size)
        yield Figure(name, row.seconds, "s", detail="; ".join(part for part in told if part))


def _need_exporter() -> None:
    need_extra("export", "torch", "torchvision", "onnx", "onnxscript", what="this comparison")
