"""Measures where a frame's processor time goes, and draws it: docs/images/frame-time.png.

    python docs/frame_time.py measure CLIP RECORDS.json --name after --provider cpu
    python docs/frame_time.py draw RECORDS.json docs/images/frame-time.png

`measure` adds a record to a file. For two versions of the program it is run with each in turns, by
PYTHONPATH; of several records of a name `draw` takes the median of each part. It is processor time,
of all threads, since on a machine with other work wall time measures that.
"""

from __future__ import annotations

import argparse
import inspect
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
from av.video.frame import PictureType

import stream
from stream import tracking
from stream.run.finder import Finder
from stream.run.opening import make_painter
from stream.run.report import machine
from stream.settings.options import PictureOptions, TrackingOptions
from stream.sinks.video import VideoSink
from stream.sources.file import FileSource

FRAMES, SAMPLE = 120, 60
PARTS = {
    "inference": "#2E7D5B",
    "encoding and decoding": "#3B6FB6",
    "making the model's input": "#8FB8DE",
    "finding and following": "#E2A33B",
    "painting": "#C8553D",
    "handing on": "#9A9A9A",
}
"""The parts of a frame's time, with their colours."""


def measure(clip: Path, provider: str) -> dict[str, float]:
    """Milliseconds of processor time a frame, by part; they sum up to the whole run's."""
    with av.open(str(clip)) as container:
        pictures = [
            picture for picture, _ in zip(container.decode(video=0), range(SAMPLE), strict=False)
        ]
    size = (pictures[0].width, pictures[0].height)
    known: dict[str, Any] = {}
    if "picture_size" in inspect.signature(stream.Segmenter.load).parameters:
        known["picture_size"] = size
    segmenter = stream.Segmenter.load("default", provider, throughput=True, **known)
    segmenter(pictures[0])
    prepared: list[Any] = []
    parts = dict.fromkeys(PARTS, 0.0)
    parts["making the model's input"] = _each(
        pictures, lambda one: prepared.append(segmenter.preprocess(one))
    )
    raws: list[Any] = []
    parts["inference"] = _each(prepared, lambda one: raws.append(segmenter.infer(one)))
    finder = Finder(segmenter, tracking.make(TrackingOptions().tracker))
    found: list[Any] = []

    def follow(index: int) -> None:
        candidates = finder.candidates(raws[index], prepared[index])
        found.append(finder.follow(candidates, index / 25))

    parts["finding and following"] = _each(range(len(raws)), follow)
    painter = make_painter(PictureOptions())
    frames = [
        stream.Frame(picture, index, index, picture.time_base, instances=instances)
        for index, (picture, instances) in enumerate(zip(pictures, found, strict=True))
    ]
    parts["painting"] = _each(frames, lambda frame: painter.paint(frame, ("a line", "another")))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts["encoding and decoding"] = _alone(clip, folder)
        used = time.process_time()
        stream.process(clip, folder / "out.mp4", segmenter=segmenter, limit=FRAMES)
        whole = 1e3 * (time.process_time() - used) / FRAMES
    parts["handing on"] = max(0.0, whole - sum(parts.values()))
    return parts


def _each(items: Any, work: Callable[[Any], object]) -> float:
    used = time.process_time()
    for item in items:
        work(item)
    return 1e3 * (time.process_time() - used) / len(items)


def _alone(clip: Path, folder: Path) -> float:
    """Decoding and encoding with PyAV and nothing else, as the program asks the encoder to."""
    source = FileSource(clip)
    sink = VideoSink(folder / "settings.mp4", source.info)
    codec, options = sink.encoder
    sink.abort()
    source.close()
    used = time.process_time()
    with av.open(str(clip)) as given, av.open(str(folder / "alone.mp4"), "w") as made:
        video = given.streams.video[0]
        video.thread_type = "AUTO"
        encoder = made.add_stream(codec, rate=video.average_rate, options=options)
        encoder.width, encoder.height = video.width, video.height
        encoder.pix_fmt = video.format.name
        for picture, _ in zip(given.decode(video), range(FRAMES), strict=False):
            picture.pict_type = PictureType.NONE
            made.mux(encoder.encode(picture))
        made.mux(encoder.encode(None))
    return 1e3 * (time.process_time() - used) / FRAMES


def draw(records: list[dict[str, Any]], target: Path) -> None:
    """One bar a name; those whose names differ only after their last comma lie together."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(record["name"] for record in records))
    names.sort(key=lambda name: str(name).rpartition(", ")[0].lower())
    figure, axes = pyplot.subplots(figsize=(9, 0.9 + 0.62 * len(names)), layout="constrained")
    for row, name in enumerate(names):
        own = [record["parts"] for record in records if record["name"] == name]
        left = 0.0
        for part, colour in PARTS.items():
            wide = statistics.median(parts[part] for parts in own)
            axes.barh(row, wide, left=left, color=colour, label=part if row == 0 else None)
            if wide > 4:
                axes.text(
                    left + wide / 2, row, f"{wide:.1f}", ha="center", va="center", color="white"
                )
            left += wide
        axes.text(left + 0.5, row, f"{left:.0f} ms", va="center")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    # Of several machines each row's name says which.
    told = {str(record["what"]) for record in records}
    what = told.pop() if len(told) == 1 else records[0]["what"].partition(";")[0]
    axes.set_xlabel(f"processor time a frame, ms ({what})")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(target, dpi=110)


def main() -> None:
    """Measures or draws, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    asked = parser.add_subparsers(dest="asked", required=True)
    one = asked.add_parser("measure")
    one.add_argument("clip", type=Path)
    one.add_argument("records", type=Path)
    one.add_argument("--name", required=True)
    one.add_argument("--provider", default="auto")
    other = asked.add_parser("draw")
    other.add_argument("records", type=Path)
    other.add_argument("target", type=Path)
    given = parser.parse_args()
    records = json.loads(given.records.read_text()) if given.records.is_file() else []
    if given.asked == "draw":
        draw(records, given.target)
        return
    here = machine()
    what = f"{given.clip.name}; {here['processor']}, {here['cores']} cores"
    parts = measure(given.clip, given.provider)
    records.append({"name": given.name, "what": what, "parts": parts})
    given.records.write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
