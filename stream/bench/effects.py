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

from stream.assets import demo_picture
from stream.bench.figures import Figure, medians_in_turns
from stream.bench.material import crowd
from stream.compositing import Painter, Style
from stream.compositing.palette import colour_of
from stream.frame import Frame
from stream.instances import Instances
from stream.pictures.pixels import picture_from_bgr

SIZES = ((1280, 720), (1920, 1080))
COUNTS = (1, 5, 20)
EFFECTS = {
    "overlay": "MaskAnnotator, PolygonAnnotator and LabelAnnotator",
    "fill": "MaskAnnotator",
    "blur": "BlurAnnotator over all, objects put back",
    "pixelate": "PixelateAnnotator, what is beside objects put back",
    "hide": "BlurAnnotator, what is beside objects put back",
    "replace": "BackgroundOverlayAnnotator",
    "grey": "BackgroundOverlayAnnotator",
    "dim": "BackgroundOverlayAnnotator",
    "spotlight": "BackgroundOverlayAnnotator",
    "cutout": "",
    "binary": "",
    "instances": "",
}
"""Each effect and what of supervision's gives the most similar picture."""
_PLAIN = Style(refine=False, steady_edges=False)
_REFINED = ("blur", "replace", "grey", "dim", "spotlight", "cutout")
_TIMES = 15

Work = Callable[[], object]


def measure(times: int = _TIMES) -> Iterator[Figure]:
    """Milliseconds of processor time a frame of each effect, at two sizes, of 1, 5 and 20 objects.

    Ours, ours with edges as the model has them, and theirs take turns, frame by frame. supervision
    paints pictures in BGR, where ours paints the decoder's YUV, so that who uses it for a film pays
    for a conversion there and back in each frame: figures are told with and without it. Where its
    annotators work on whole boxes, what they change beside objects, or of them, is put back, as
    somebody would who wants the same picture.

    Args:
        times: over how many frames the median is taken.
    """
    threads = cv2.getNumThreads()
    # Threads would wait for each other more than they help, and count in processor time.
    cv2.setNumThreads(1)
    try:
        for width, height in SIZES:
            empty = np.asarray(cv2.resize(demo_picture(), (width, height))[..., ::-1], np.uint8)
            for count in COUNTS:
                found = people(count, width, height)
                bgr = with_people(empty, found)
                picture = picture_from_bgr(bgr).reformat(format="yuv420p")
                for look, theirs in EFFECTS.items():
                    yield _figure(look, theirs, picture, bgr, found, times)
    finally:
        cv2.setNumThreads(threads)


def people(count: int, width: int, height: int) -> Instances:
    """People of half the picture's height and more; one alone stands in the middle."""
    found = crowd(count, 1280, 720)
    boxes = found.boxes if count > 1 else np.array([[440, 40, 840, 720]], np.float32)
    boxes = boxes * np.float32(height / 720)
    masks = np.stack([cv2.resize(mask, (56, 56)) for mask in found.masks])
    ids = np.arange(1, count + 1, dtype=np.int64)
    return replace(found, boxes=boxes, masks=masks, picture_size=(height, width), track_ids=ids)


def with_people(bgr: NDArray[np.uint8], found: Instances) -> NDArray[np.uint8]:
    """The picture with each object in a colour of its own, so that edges are where objects end."""
    painted = bgr.copy()
    for index, inside in enumerate(found.full_masks()):
        colour = np.array(colour_of(index + 1), np.float32)
        painted[inside] = (0.4 * painted[inside] + 0.6 * colour).astype(np.uint8)
    return painted


def _figure(
    look: str,
    theirs: str,
    picture: av.VideoFrame,
    bgr: NDArray[np.uint8],
    found: Instances,
    times: int,
) -> Figure:
    height, width = found.picture_size
    works = {"ours": painting(look, picture, found)}
    if look in _REFINED:
        works["plain"] = painting(look, picture, found, _PLAIN)
    annotate = annotating(look, bgr, found)
    if annotate is not None:
        works["theirs"] = annotate
        works["converting"] = converting(picture)
    took = medians_in_turns(list(works.values()), times, clock=process_time)
    taken = dict(zip(works, (1e3 * seconds for seconds in took), strict=True))
    ours, plain, other = taken["ours"], taken.get("plain"), taken.get("theirs")
    name, told = f"{look}, {len(found)} of {width}x{height}", []
    if plain is not None:
        told.append(f"{plain:.1f} ms with edges as the model has them")
    if other is not None:
        whole = other + taken["converting"]
        told.append(f"{other:.1f} ms {theirs}, {whole:.1f} with conversion")
        for how, mine in (("", ours), (" with edges as the model has them", plain)):
            if mine is not None:
                told.append(f"{other / mine:.1f} and {whole / mine:.1f} × as fast{how}")
    return Figure(name, ours, "ms", detail="; ".join(told))


def painting(
    look: str, picture: av.VideoFrame, found: Instances, style: Style | None = None
) -> Work:
    """Paints the same picture again and again as the frames of a clip."""
    painter, index, step = Painter(look, style, timing=False), 0, Fraction(1, 25)

    def paint() -> None:
        nonlocal index
        index += 1
        painter.paint(Frame(picture, index, index, step, instances=found))

    return paint


def converting(picture: av.VideoFrame) -> Work:
    """From the decoder's YUV to BGR, and back to what an encoder takes, as OpenCV does it."""
    yuv = picture.to_ndarray()

    def convert() -> None:
        bgr = cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR_I420)
        cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)

    return convert


def annotating(look: str, bgr: NDArray[np.uint8], found: Instances) -> Work | None:
    """The same by supervision; None where it is not installed or has nothing like it."""
    try:
        import supervision as sv
    except ImportError:
        return None
    scene, detections = bgr.copy(), found.to_supervision()
    height, width = found.picture_size
    objects = found.full_masks()
    labels = [f"{name} {score:.0%}" for name, score in zip(found.names, found.scores, strict=True)]
    whole = sv.Detections(xyxy=np.array([[0, 0, width, height]], np.float32))
    fill, line, words = sv.MaskAnnotator(), sv.PolygonAnnotator(), sv.LabelAnnotator()
    blur, squares, behind = (
        sv.BlurAnnotator(),
        sv.PixelateAnnotator(),
        sv.BackgroundOverlayAnnotator(),
    )

    def overlay() -> None:
        fill.annotate(scene, detections)
        line.annotate(scene, detections)
        words.annotate(scene, detections, labels)

    def put_back(annotate: Work, *, inside: bool) -> None:
        before = scene.copy()
        annotate()
        kept = objects.any(axis=0)
        chosen = np.asarray(kept if inside else ~kept, np.uint8)
        cv2.copyTo(before, chosen, scene)

    works: dict[str, Work] = {
        "overlay": overlay,
        "fill": lambda: fill.annotate(scene, detections),
        "blur": lambda: put_back(lambda: blur.annotate(scene, whole), inside=True),
        "hide": lambda: put_back(lambda: blur.annotate(scene, detections), inside=False),
        "pixelate": lambda: put_back(lambda: squares.annotate(scene, detections), inside=False),
        **dict.fromkeys(
            ("replace", "grey", "dim", "spotlight"), lambda: behind.annotate(scene, detections)
        ),
    }
    return works.get(look)
