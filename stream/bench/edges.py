"""Where edges end and how still they lie, with and without what is done for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from stream import api
from stream.bench.figures import Figure
from stream.bench.material import labelled_pictures
from stream.compositing import Painter, Style
from stream.errors import UsageError
from stream.frame import Frame
from stream.inference.segmenter import Segmenter
from stream.objects.silhouettes import Likeness, Mask, contour, likeness
from stream.pictures.pixels import picture_from_bgr, plane_view
from stream.pictures.references import Referencer

_STILL, _MOVES = 2.0, 8.0
"""Codes by which luma differs around a pixel: below the first nothing moves, above the second
something does."""
_BAND = 4
"""Pixels on both sides of a contour that are looked at."""
_MOST = 240
"""Frames of a clip."""

_WAYS = {
    "as the model has them": Style(refine=False, steady_edges=False),
    "refined by the filter alone": Style(refiner="filter", steady_edges=False),
    "refined": Style(steady_edges=False),
}
"""By name, how edges are drawn."""

Alpha = NDArray[np.uint8]


def measure(
    model: str, provider: str, pictures: Path | None, clips: Sequence[Path]
) -> Iterator[Figure]:
    """Edges of the surest person of each picture, and the shimmer of clips.

    Args:
        model: which finds the people.
        provider: where it runs.
        pictures: a set as `stream train` takes it, of which pictures with one person count.
        clips: video files.

    Raises:
        UsageError: there is nothing to measure on, or no such set.
    """
    if pictures is None and not clips:
        raise UsageError("edges are measured on pictures or clips: name --pictures or --clips")
    segmenter = Segmenter.load(model, provider)
    if pictures is not None:
        yield from _of_pictures(segmenter, pictures)
    for clip in clips:
        yield from of_clip(segmenter, clip)


def cut_out(painter: Painter, frame: Frame) -> Alpha:
    """How opaque each pixel is in a cut-out, uint8 of the picture's size; the frame is painted."""
    painter.paint(frame)
    alpha = frame.alpha
    assert alpha is not None
    return alpha


def _of_pictures(segmenter: Segmenter, folder: Path) -> Iterator[Figure]:
    by_source: dict[str, list[list[Likeness]]] = {}
    for picture in labelled_pictures(folder):
        people = [one for one in picture.objects if one.name == "person"]
        if len(people) != 1 or not people[0].sure:
            continue
        rgb, true = picture.rgb(), picture.mask(people[0])
        found = segmenter(rgb)
        found = found[[name == "person" for name in found.names]][:1]
        bgr = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)
        frame = Frame(picture_from_bgr(bgr), 0, 0, Fraction(1), instances=found)
        scores = [
            likeness(cut_out(painter, replace(frame, image=as_video(frame.image))) > 127, true)
            for painter in (Painter("cutout", style) for style in _WAYS.values())
        ]
        by_source.setdefault(picture.source, []).append(scores)
    for source, pictures_of in by_source.items():
        for place, way in enumerate(_WAYS):
            mean = np.mean([scores[place] for scores in pictures_of], axis=0)
            told = f"F {mean[1]:.3f} within 1 pixel, {mean[2]:.3f} within 2"
            yield Figure(
                f"edges {way}, {source}",
                float(mean[0]),
                "IoU",
                detail=f"{told}; {len(pictures_of)} pictures of one person",
            )


def as_video(picture: av.VideoFrame) -> av.VideoFrame:
    """A picture as most video has it: limited range, chroma of half the size."""
    return picture.reformat(format="yuv420p", dst_color_range="MPEG")


class Shimmer(NamedTuple):
    """How alpha changes from frame to frame near an object's edge.

    Attributes:
        still: mean change where the picture is still, in hundredths of full opacity.
        agrees: IoU with the frame's own mask where the picture moves.
    """

    still: float
    agrees: float


def of_clip(segmenter: Segmenter, clip: Path) -> Iterator[Figure]:
    """The shimmer of a clip, as the model has it, refined, and steadied too."""
    plain, refined, steady = shimmer(
        _frames(segmenter, clip),
        [Style(refine=False, steady_edges=False), Style(steady_edges=False), Style()],
    )
    yield Figure(
        f"shimmer, {clip.name}",
        steady.still / max(refined.still, 1e-9),
        "×",
        at_most=0.5,
        detail=f"mean change of alpha a frame at still edges: {plain.still:.3f} % as the model has "
        f"it, {refined.still:.3f} % refined, {steady.still:.3f} % steadied; IoU with the frame's "
        f"own mask where it moves: {steady.agrees:.4f}",
    )


def _frames(segmenter: Segmenter, clip: Path) -> Iterator[Frame]:
    with api.open(str(clip), segmenter=segmenter, limit=_MOST) as video:
        yield from video


def shimmer(frames: Iterable[Frame], styles: Sequence[Style]) -> list[Shimmer]:
    """How alpha of a cut-out changes in each of several styles; the second is the frame's own.

    Args:
        frames: with what is in them; 8 bits a sample.
        styles: at least two.

    Returns:
        For each style.
    """
    painters = [Painter("cutout", style) for style in styles]
    last: list[Alpha] | None = None
    before: Alpha | None = None
    refer = Referencer()
    changes = np.zeros((len(styles), 2))
    shared = np.zeros((len(styles), 2))
    for frame in frames:
        picture = frame.image
        luma = np.asarray(plane_view(picture.planes[0], 8).copy(), np.uint8)
        alphas = [cut_out(painter, replace(frame, image=refer(picture))) for painter in painters]
        if before is not None and last is not None:
            differs = cv2.blur(cv2.absdiff(luma, before), (9, 9))
            band = _near(alphas[1]) | _near(last[1])
            still, moves = band & (differs < _STILL), band & (differs > _MOVES)
            own = alphas[1] > 127
            for place, alpha in enumerate(alphas):
                change = cv2.absdiff(alpha, last[place])[still]
                changes[place] += change.sum() / 2.55, np.count_nonzero(still)
                inside = alpha > 127
                shared[place] += (
                    np.count_nonzero(inside & own & moves),
                    np.count_nonzero((inside | own) & moves),
                )
        before, last = luma, alphas
    with np.errstate(invalid="ignore", divide="ignore"):
        still_changes, agreement = changes[:, 0] / changes[:, 1], shared[:, 0] / shared[:, 1]
    return [Shimmer(float(a), float(b)) for a, b in zip(still_changes, agreement, strict=True)]


def _near(alpha: Alpha) -> Mask:
    edge = contour(alpha > 127).view(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _BAND + 1, 2 * _BAND + 1))
    return np.asarray(cv2.dilate(edge, disc) > 0, np.bool_)
