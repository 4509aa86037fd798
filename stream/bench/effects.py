"""What each effect costs, beside supervision's annotators on the same objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from time import process_time

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from stream.bench.figures import Figure, median_seconds
from stream.bench.material import crowd, demo_picture
from stream.compositing import Painter, Style
from stream.frame import Frame
from stream.instances import Instances
from stream.pixels import picture_from_bgr

SIZES = ((1280, 720), (1920, 1080))
COUNTS = (1, 5, 20)
EFFECTS = {
    "overlay": "MaskAnnotator",
    "blur": "BlurAnnotator",
    "pixelate": "PixelateAnnotator",
    "hide": "BlurAnnotator",
    "replace": "BackgroundOverlayAnnotator",
    "grey": "BackgroundOverlayAnnotator",
    "dim": "BackgroundOverlayAnnotator",
    "spotlight": "BackgroundOverlayAnnotator",
    "cutout": "",
    "binary": "",
    "instances": "",
}
"""Each effect and the annotator that does the most similar thing."""
_TIMES = 25

Work = Callable[[], object]


def measure(times: int = _TIMES) -> Iterator[Figure]:
    """Milliseconds of processor time a frame of each effect, at two sizes, of 1, 5 and 20 objects.

    Ours and theirs take turns. supervision paints pictures in RGB, where ours paints the decoder's
    YUV; its copy of the picture is not counted. `BlurAnnotator` and `PixelateAnnotator` work on
    whole boxes and leave edges as they fall.

    Args:
        times: over how many frames the median is taken.
    """
    for width, height in SIZES:
        bgr = np.asarray(cv2.resize(demo_picture(), (width, height))[..., ::-1], np.uint8)
        picture = picture_from_bgr(np.ascontiguousarray(bgr)).reformat(format="yuv420p")
        for count in COUNTS:
            found = people(count, width, height)
            for look, theirs in EFFECTS.items():
                yield _figure(look, theirs, picture, bgr, found, times)


def people(count: int, width: int, height: int) -> Instances:
    """People of half the picture's height and more; one alone stands in the middle."""
    found = crowd(count, 1280, 720)
    boxes = found.boxes if count > 1 else np.array([[440, 40, 840, 720]], np.float32)
    boxes = boxes * np.float32(height / 720)
    masks = np.stack([cv2.resize(mask, (56, 56)) for mask in found.masks])
    ids = np.arange(1, count + 1, dtype=np.int64)
    return replace(found, boxes=boxes, masks=masks, picture_size=(height, width), track_ids=ids)


def _figure(
    look: str,
    theirs: str,
    picture: av.VideoFrame,
    bgr: NDArray[np.uint8],
    found: Instances,
    times: int,
) -> Figure:
    height, width = found.picture_size
    ours = _milliseconds(painting(look, picture, found), times)
    name = f"{look}, {len(found)} of {width}x{height}"
    annotate = annotator(theirs, bgr, found) if theirs else None
    if annotate is None:
        return Figure(name, ours, "ms")
    other = _milliseconds(annotate, max(3, times // 5))
    return Figure(name, ours, "ms", detail=f"{other:.1f} ms {theirs}, {other / ours:.1f} ×")


def painting(
    look: str, picture: av.VideoFrame, found: Instances, style: Style | None = None
) -> Work:
    """Paints the same picture again and again as the frames of a clip."""
    painter, index = Painter(look, style, timing=False), 0

    def paint() -> None:
        nonlocal index
        index += 1
        painter.paint(Frame(picture, index, index, Fraction(1, 25), instances=found))

    return paint


def annotator(name: str, bgr: NDArray[np.uint8], found: Instances) -> Work | None:
    """The same by supervision; None where it is not installed."""
    try:
        import supervision
    except ImportError:
        return None
    scene, detections = bgr.copy(), found.to_supervision()
    made = getattr(supervision, name)()
    return lambda: made.annotate(scene, detections)


def _milliseconds(work: Work, times: int) -> float:
    return 1e3 * median_seconds(work, times, clock=process_time)
