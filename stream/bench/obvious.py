"""`stream file` beside the loop that anyone would write with the same model."""

from __future__ import annotations

import os
import statistics
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from stream import api, sources
from stream.bench.figures import Figure
from stream.errors import SourceError, UsageError
from stream.inference.segmenter import Segmenter
from stream.system.extras import need_extra

if TYPE_CHECKING:
    from collections.abc import Callable

_FRAMES, _ROUNDS = 200, 5
_THEIRS = (
    "OpenCV reads, the same model through Segmenter, picture by picture, ByteTrack, supervision's "
    "mask, box and label annotators, OpenCV writes MPEG-4 without sound"
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One way through a clip.

    Attributes:
        frames: how many there were.
        seconds: that it took, without loading the model.
        processor: seconds of processor time meanwhile, of all threads.
    """

    frames: int
    seconds: float
    processor: float

    @property
    def each(self) -> float:
        """Seconds a frame."""
        return self.seconds / self.frames


def need_packages() -> None:
    """Makes sure that what the loop is written with is there.

    Raises:
        UsageError: a package is missing.
    """
    need_extra("supervision", "supervision", what="the loop that is measured beside ours")
    need_extra("trackers", "trackers", what="the loop that is measured beside ours")


def measure(
    folder: Path,
    clip: Path | None,
    model: str,
    provider: str,
    *,
    frames: int = _FRAMES,
    rounds: int = _ROUNDS,
    named: bool = False,
) -> Iterator[Figure]:
    """Frames per second of both, in turns, medians; and how many times as fast `stream file` is.

    Where OpenCV cannot read the clip, which ours can, ours is timed alone.

    Args:
        folder: for what is written.
        clip: a video file; None for the demo clip.
        model: a name of the catalogue or an .onnx file.
        provider: where both compute.
        frames: of the clip at most.
        rounds: each has so many turns, after one that does not count.
        named: whether the figures are called after the clip, as where there are several.

    Raises:
        StreamError: the clip or the model cannot be used.
        UsageError: a package is missing that the loop needs.
    """
    need_packages()
    if clip is None:
        with resources.as_file(resources.files("stream") / "assets" / "demo.mp4") as demo:
            yield from _in_turns(folder, demo, model, provider, frames, rounds)
    else:
        about = f", {clip.name}" if named else ""
        yield from _in_turns(folder, clip, model, provider, frames, rounds, about)


def _in_turns(
    folder: Path, clip: Path, model: str, provider: str, frames: int, rounds: int, about: str = ""
) -> Iterator[Figure]:
    size = film_size(clip)
    single = Segmenter.load(model, provider)
    several = Segmenter.load(model, provider, throughput=True, picture_size=size)
    ways: dict[str, Callable[[], Turn]] = {
        "theirs": lambda: obvious_loop(clip, folder / "theirs.mp4", single, frames),
        "ours": lambda: _ours(clip, folder / "ours.mp4", several, frames),
    }
    refused = ""
    try:
        ways["theirs"]()
    except SourceError as error:
        refused = str(error)
        del ways["theirs"]
    ways["ours"]()
    turns: dict[str, list[Turn]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            turns[name].append(way())
    ours = turns["ours"]
    where = f"{clip.name}, {size[0]}x{size[1]}, {ours[0].frames} frames; {several.provider}"
    figure = Figure(f"stream file{about}", _rate(ours), "fps", detail=f"{_cost(ours)}; {where}")
    if refused:
        yield Figure(f"the obvious loop{about}", None, "fps", detail=refused)
        yield figure
        return
    theirs = turns["theirs"]
    read = theirs[0].frames
    told = f"; {read} frames" if read != ours[0].frames else ""
    yield Figure(
        f"the obvious loop{about}", _rate(theirs), "fps", detail=f"{_THEIRS}; {_cost(theirs)}{told}"
    )
    yield figure
    yield Figure(
        f"stream file against the obvious loop{about}",
        statistics.median(one.each / other.each for one, other in zip(theirs, ours, strict=True)),
        "×",
        detail=f"median of {rounds} rounds, in turns; loading the model is not counted",
    )


def obvious_loop(clip: Path, output: Path, segmenter: Segmenter, frames: int = _FRAMES) -> Turn:
    """The loop that anyone would write around a model with what is at hand.

    Raises:
        SourceError: OpenCV cannot read the clip, or not write the output.
    """
    # It warns of what it will change one day, which is no news to who measures.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import supervision
        from trackers import ByteTrackTracker
    cv2.setNumThreads(cv2.getNumberOfCPUs())
    # Its FFmpeg would write to standard error what it cannot read; what comes of that is told.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    start, used = time.perf_counter(), time.process_time()
    reader = cv2.VideoCapture(str(clip))
    rate = reader.get(cv2.CAP_PROP_FPS)
    # Some containers give a clock's ticks for it, or nothing.
    rate = rate if 1 <= rate <= 1000 else 25.0
    tracker = ByteTrackTracker(frame_rate=rate)
    masks, boxes = supervision.MaskAnnotator(), supervision.BoxAnnotator()
    words = supervision.LabelAnnotator()
    writer: cv2.VideoWriter | None = None
    count = 0
    while count < frames:
        there, bgr = reader.read()
        if not there:
            break
        if writer is None:
            # Of the size that pictures have once OpenCV has turned them upright: it leaves out
            # those of any other without a word.
            size = bgr.shape[1], bgr.shape[0]
            writer = cv2.VideoWriter(str(output), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
            if not writer.isOpened():
                raise SourceError(
                    f"OpenCV does not write MPEG-4 of {size[0]}x{size[1]} at {rate:g} a second here"
                )
        found = segmenter(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8))
        detections: Any = tracker.update(found.to_supervision())
        labels = [
            f"#{number} {name} {score:.2f}"
            for number, name, score in zip(
                detections.tracker_id,
                detections.data.get("class_name", ()),
                detections.confidence,
                strict=True,
            )
        ]
        scene: Any = bgr
        painted = masks.annotate(scene, detections)
        painted = boxes.annotate(painted, detections)
        writer.write(words.annotate(painted, detections, labels=labels))
        count += 1
    reader.release()
    if writer is None:
        raise SourceError(f"OpenCV reads no picture of {clip}; its FFmpeg may lack the decoder")
    writer.release()
    return Turn(count, time.perf_counter() - start, time.process_time() - used)


def _ours(clip: Path, output: Path, segmenter: Segmenter, frames: int) -> Turn:
    start, used = time.perf_counter(), time.process_time()
    report = api.process(clip, output, segmenter=segmenter, limit=frames, overwrite=True)
    if not report.frames_out:
        raise SourceError(f"{clip} has no picture that can be decoded")
    return Turn(report.frames_out, time.perf_counter() - start, time.process_time() - used)


def film_size(clip: Path) -> tuple[int, int]:
    """Width and height of a film's pictures.

    Raises:
        StreamError: it cannot be opened, or is none.
    """
    source = sources.open(str(clip))
    try:
        if source.live or source.photos or not clip.is_file():
            raise UsageError(f"--clips: {clip} is no video file, which this is measured on")
        return source.info.width, source.info.height
    finally:
        source.close()


def _rate(turns: list[Turn]) -> float:
    return 1 / statistics.median(one.each for one in turns)


def _cost(turns: list[Turn]) -> str:
    each = 1e3 * statistics.median(one.processor / one.frames for one in turns)
    return f"{each:.1f} ms of processor time a frame"
