"""What a card does with a model: by precision and provider, and what it leaves to the CPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import av

from stream.assets import demo_picture
from stream.bench import nodes, speed
from stream.bench.figures import Figure, median_seconds
from stream.bench.material import check_size
from stream.errors import ProviderError, StreamError, UsageError
from stream.inference.card import card
from stream.inference.catalogue import Entry, find, open_model
from stream.inference.contract import INPUT
from stream.inference.preprocess import Prepared, Preprocessor
from stream.inference.providers import check_name, route
from stream.inference.route import Route
from stream.inference.segmenter import Segmenter
from stream.inference.session import Asked, Session, open_on

_TIMES = 20
_AT_ONCE = (1, 2, 4)
STAND_IN = "the CPU in a card's place: that it runs counts, not how fast"


def stand_in() -> Route:
    """The CPU, treated as a card whose memory happens to be the CPU's."""
    return replace(
        route("cpu"),
        label="CPU in a card's place",
        memory="cpu",
        shared=None,
        in_flight=4,
        precisions=("float16", "float32"),
        plans=True,
        pads_regions=True,
        batches=True,
    )


def with_tf32(chosen: Route) -> Route:
    """CUDA, where it may round what it multiplies in float32 to 10 bits."""
    return replace(chosen, options={**chosen.options, "use_tf32": "1"})


def measure(
    folder: Path, model: str, provider: str = "auto", size: tuple[int, int] = (640, 480)
) -> Iterator[Figure]:
    """A card's figures; on the CPU in its place where that is asked for.

    Args:
        folder: for clips.
        model: a name of the catalogue or an .onnx file.
        provider: `auto` for CUDA and TensorRT, either of them, or `cpu` for a dry run.
        size: of the pictures, in pixels.

    Raises:
        StreamError: there is no card, or the model cannot be used.
    """
    entry, name = find(model), check_name(provider)
    check_size(size)
    yield _card(dry=name == "cpu")
    routes = _routes(name)
    frame = _frame(size)
    for label, chosen in routes.items():
        if isinstance(chosen, StreamError):
            yield Figure(label, None, "ms", detail=str(chosen))
            continue
        for precision, one in _variants(entry, chosen).items():
            yield from _inference(f"{label}, {precision}", one, chosen, frame)
    best = next((one for one in routes.values() if isinstance(one, Route)), None)
    if best is None:
        return
    opened = open_on(entry, best, Asked(throughput=True))
    segmenter = Segmenter(model, opened)
    yield from _preparing(opened, frame)
    yield _latency(Segmenter(model, open_on(entry, best)), frame)
    yield from speed.file_to_file(folder, segmenter, size)
    yield from _at_once(folder, entry, best, size)


def _card(*, dry: bool) -> Figure:
    found = None if dry else card()
    if found is not None:
        told = f"{found.name}; driver {found.driver or 'unknown'}, CUDA up to {found.cuda}"
        return Figure("card", found.memory_gib, "GiB", detail=told)
    return Figure("card", None, "GiB", detail=STAND_IN if dry else "none was found")


def _routes(name: str) -> Mapping[str, Route | StreamError]:
    if name == "cpu":
        return {"CPU in a card's place": stand_in()}
    if name not in ("auto", "cuda", "tensorrt"):
        raise UsageError(
            f"--part gpu is for auto, cuda, tensorrt, or cpu in a card's place, not {name}"
        )
    found: dict[str, Route | StreamError] = {}
    if name != "tensorrt":
        # Without CUDA there is nothing to measure, and its cause is what a user needs.
        try:
            found["CUDA"] = route("cuda")
        except ProviderError as error:
            raise ProviderError(f"CUDA cannot be used here: {error}") from error
    if name != "cuda":
        try:
            found["TensorRT"] = route("tensorrt")
        except ProviderError as error:
            if name == "tensorrt":
                raise
            found["TensorRT"] = error
    return found


def _variants(entry: Entry, chosen: Route) -> dict[str, tuple[Entry, Route]]:
    """The model's files as a card can run them, by what to call them."""
    found: dict[str, tuple[Entry, Route]] = {}
    for precision, path in entry.files.items():
        told = precision or open_model(path)[1].precision
        if told in found or told == "int8":
            continue
        found[told] = (Entry(entry.name, {"": path}), chosen)
        if chosen.name == "cuda" and told != "float16":
            found[f"{told}, with TF32"] = (found[told][0], with_tf32(chosen))
    return found


def _inference(
    what: str, variant: tuple[Entry, Route], chosen: Route, frame: av.VideoFrame
) -> Iterator[Figure]:
    """One file on one provider: a run, and what of it is not on the card."""
    entry, there = variant
    try:
        opened = open_on(entry, there)
        segmenter = Segmenter(entry.name, opened)
        prepared = segmenter.preprocess(frame)
        start = time.perf_counter()
        segmenter.infer(prepared)
        first = time.perf_counter() - start
        seconds = median_seconds(lambda: segmenter.infer(prepared), _TIMES)
    except StreamError as error:
        yield Figure(what, None, "ms", detail=str(error))
        return
    size = "{2}x{1}".format(*prepared.pixels().shape)
    yield Figure(what, 1e3 * seconds, "ms", detail=f"{size}; the first run {first:.2f} s")
    run, ran = nodes.profiled(opened.route, opened.path, {INPUT: prepared.pixels()})
    # What TensorRT leaves to CUDA is on the card all the same.
    on_card = {chosen.execution_provider, *chosen.rest}
    away = [one for one in ran if one.provider not in on_card or one.kind.startswith("Memcpy")]
    kinds = ", ".join(sorted({one.kind for one in away}))
    yield Figure(
        "  nodes not on the card",
        100 * len(away) / max(1, len(ran)),
        "%",
        detail=f"{len(away)} of {len(ran)}{': ' if kinds else ''}{kinds}",
    )
    yield Figure(
        "  time not on the card",
        100 * sum(one.seconds for one in away) / run if run else 0.0,
        "%",
        detail=f"of {1e3 * run:.2f} ms; on the card launching counts, not computing",
    )
    yield from _several(segmenter, prepared)


def _several(segmenter: Segmenter, prepared: Prepared) -> Iterator[Figure]:
    """A picture's time where several come at once: in one run, and in runs side by side."""
    gatherer, name = segmenter.gatherer, "  a picture of {} in one run"
    if gatherer is None:
        cause = "each number of pictures would need an engine of its own"
        yield Figure(name.format("several"), None, "ms", detail=cause)
        return
    batches = gatherer.batches
    batches.prepare(prepared.geometry.size)
    if all(one.together is None for one in batches.trials):
        yield Figure(name.format("several"), None, "ms", detail=batches.obstacle)
    for trial in batches.trials:
        told = f"{1e3 * trial.alone:.2f} ms one by one"
        if trial.together is not None:
            yield Figure(name.format(trial.count), 1e3 * trial.together, "ms", detail=told)
        beside = f"  a picture of {trial.count} in runs side by side"
        yield Figure(beside, 1e3 * trial.apart, "ms", detail=told)


def _preparing(opened: Session, frame: av.VideoFrame) -> Iterator[Figure]:
    """The model's input of a decoded picture, made there and here."""
    resize = opened.metadata.resize
    for where, device in (("there", opened.device_input), ("on the CPU", None)):
        name = f"make the model's input {where}"
        if where == "there" and device is None:
            yield Figure(name, None, "ms", detail="; ".join(opened.remarks))
            continue
        prepare = Preprocessor(resize, device)
        seconds = median_seconds(lambda one=prepare: one(frame), _TIMES)  # type: ignore[misc]
        told = f"{frame.width}x{frame.height} {frame.format.name}"
        yield Figure(name, 1e3 * seconds, "ms", detail=told)


def _latency(segmenter: Segmenter, frame: av.VideoFrame) -> Figure:
    """One picture alone, from decoded to instances."""
    durations = []
    for index in range(_TIMES + 3):
        start = time.perf_counter()
        segmenter(frame)
        if index >= 3:
            durations.append(time.perf_counter() - start)
    worst = sorted(durations)[round(0.95 * (len(durations) - 1))]
    return Figure(
        "latency of one picture, decoded to instances",
        1e3 * statistics.median(durations),
        "ms",
        detail=f"{segmenter.provider}; p95 {1e3 * worst:.2f} ms",
    )


def _at_once(folder: Path, entry: Entry, chosen: Route, size: tuple[int, int]) -> Iterator[Figure]:
    """End to end with other numbers of inferences under way than a card of that size has."""
    for count in _AT_ONCE:
        if count == chosen.in_flight:
            continue
        opened = open_on(entry, replace(chosen, in_flight=count), Asked(throughput=True))
        for figure in speed.file_to_file(folder, Segmenter(entry.name, opened), size):
            yield replace(figure, name=f"  with {count} under way at once")


def _frame(size: tuple[int, int]) -> av.VideoFrame:
    width, height = size
    return av.VideoFrame.from_ndarray(demo_picture(), format="rgb24").reformat(
        width, height, format="yuv420p"
    )
