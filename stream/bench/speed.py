"""Frame rates: the pipeline against a plain PyAV loop, and the whole with a model."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import av
from av.video.frame import PictureType

from stream import tracking
from stream.bench.figures import Figure
from stream.bench.material import FindsNothing, check_size, make_clip
from stream.inference.segmenter import Segmenter
from stream.run.finder import Detector, Finder
from stream.run.opening import make_painter
from stream.run.output import Output
from stream.run.run import Run
from stream.run.schedule import EachFrame
from stream.settings.options import PictureOptions, TrackingOptions
from stream.sinks.video import VideoSink
from stream.sources.file import FileSource
from stream.timing import LABELS, StageFigures

_ROUNDS, _FRAMES = 3, 150


def _plain_loop(clip: Path, output: Path, codec: str, options: dict[str, str]) -> float:
    """Frames per second of decoding and encoding with PyAV and nothing else."""
    start = time.perf_counter()
    frames = 0
    with av.open(str(clip)) as source, av.open(str(output), "w") as target:
        video = source.streams.video[0]
        video.thread_type = "AUTO"
        encoder = target.add_stream(codec, rate=video.average_rate, options=options)
        assert isinstance(encoder, av.VideoStream)
        encoder.width, encoder.height = video.width, video.height
        encoder.pix_fmt = video.format.name
        assert video.time_base is not None
        encoder.codec_context.time_base = video.time_base
        for picture in source.decode(video):
            # The encoder must choose picture types afresh, as the pipeline has it do.
            picture.pict_type = PictureType.NONE
            target.mux(encoder.encode(picture))
            frames += 1
        target.mux(encoder.encode(None))
    return frames / (time.perf_counter() - start)


def _pipeline(
    clip: Path, output: Path, detector: Detector, picture: PictureOptions, tracker: str
) -> Run:
    """One run from a file to a file; the figures are the run's."""
    source = FileSource(clip)
    sink = VideoSink(output, source.info, overwrite=True)
    run = Run(
        source,
        EachFrame(Finder(detector, tracking.make(tracker))),
        [Output(sink, output.name, make_painter(picture))],
    )
    outcome = run.run()
    if outcome.error is not None:
        raise outcome.error
    return run


def _rate(run: Run) -> float:
    outcome = run.outcome()
    return outcome.counts.written / outcome.seconds


def measure_pipeline(folder: Path) -> Iterator[Figure]:
    """The pipeline with a do-nothing model against a plain decode-encode loop, at 1080p."""
    clip = folder / "1080p.mp4"
    make_clip(clip, 1920, 1080, _FRAMES)
    source = FileSource(clip)
    sink = VideoSink(folder / "settings.mp4", source.info)
    codec, options = sink.encoder
    sink.abort()
    source.close()
    bare = PictureOptions(timing=False)
    plain, ours = list[float](), list[float]()
    costs: tuple[list[float], list[float]] = [], []
    for _ in range(_ROUNDS):
        used = time.process_time()
        plain.append(_plain_loop(clip, folder / "plain.mp4", codec, options))
        between = time.process_time()
        run = _pipeline(clip, folder / "ours.mp4", FindsNothing(), bare, tracking.NONE)
        ours.append(_rate(run))
        costs[0].append(1e3 * (time.process_time() - between) / _FRAMES)
        costs[1].append(1e3 * (between - used) / _FRAMES)
    each = [statistics.median(one) for one in costs]
    yield Figure(
        "frame rate against decoding and encoding alone, 1080p, no model",
        statistics.median(one / other for one, other in zip(ours, plain, strict=True)),
        "×",
        at_least=0.9,
        detail=f"{codec} {options}; {statistics.median(ours):.1f} against "
        f"{statistics.median(plain):.1f} fps, {each[0]:.1f} against {each[1]:.1f} ms of processor "
        "time a frame",
    )


def measure_model(
    folder: Path, model: str, provider: str, size: tuple[int, int] = (640, 480)
) -> Iterator[Figure]:
    """End to end with a model, from opening it on."""
    check_size(size)
    start = time.perf_counter()
    segmenter = Segmenter.load(model, provider=provider, throughput=True)
    yield from file_to_file(folder, segmenter, size, loaded=time.perf_counter() - start)


def file_to_file(
    folder: Path, segmenter: Segmenter, size: tuple[int, int], *, loaded: float | None = None
) -> Iterator[Figure]:
    """End to end with an open model: decode, find, paint, encode.

    Args:
        folder: for clips.
        segmenter: the model.
        size: of the pictures, in pixels.
        loaded: seconds that opening it took; None where that is not to be told.
    """
    width, height = size
    clip = folder / f"{width}x{height}.mp4"
    make_clip(clip, width, height, 300)
    rates: list[float] = []
    stages: dict[str, StageFigures] = {}
    first: float | None = None
    for _ in range(_ROUNDS):
        run = _pipeline(
            clip, folder / "model.mp4", segmenter, PictureOptions(), TrackingOptions().tracker
        )
        rates.append(_rate(run))
        stages = run.clock.figures()
        first = run.outcome().first_frame_seconds if first is None else first
    detail = ", ".join(
        f"{LABELS.get(name, name)} {figures.p50_ms:.1f}" for name, figures in stages.items()
    )
    yield Figure(
        f"file to file with the model {segmenter.name}, {width}x{height}",
        statistics.median(rates),
        "fps",
        detail=f"{segmenter.provider}; median ms a frame: {detail}",
    )
    if loaded is None:
        return
    yield Figure(
        "load the model and bring out the first frame",
        loaded + (first or 0.0),
        "s",
        at_most=2.0,
        detail="without starting Python",
    )
