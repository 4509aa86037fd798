"""What is measured on: the demo, made-up people, labelled pictures, a do-nothing segmenter."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.inference.contract import Metadata, Resize
from stream.inference.postprocess import Raw
from stream.inference.preprocess import Picture, Prepared, Preprocessor
from stream.instances import Instances
from stream.system.extras import need_extra

RATE = 25
_LONGEST = 16_384
"""What x264 takes."""


def make_clip(path: Path, width: int, height: int, frames: int) -> None:
    """Writes the demo clip, repeated and scaled, as H.264 of the given size and length.

    Raises:
        UsageError: H.264 has no pictures of that size.
    """
    check_size((width, height))
    with (
        resources.as_file(resources.files("stream") / "assets" / "demo.mp4") as demo,
        av.open(str(path), "w") as target,
    ):
        stream = target.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # Decoded anew each time round: large ones would fill the memory.
        again = itertools.chain.from_iterable(map(_decoded, itertools.repeat(demo)))
        for index, given in enumerate(itertools.islice(again, frames)):
            picture = given.reformat(width, height, format="yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, RATE)
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))


def check_size(size: tuple[int, int]) -> None:
    """Refuses a size of which no clip can be made.

    Raises:
        UsageError: H.264 has no pictures of that size.
    """
    width, height = size
    if width % 2 or height % 2 or max(width, height) > _LONGEST:
        raise UsageError(
            f"clips to measure on have even sides of at most {_LONGEST} pixels, "
            f"not {width}x{height}"
        )


def _decoded(path: Path) -> Iterator[av.VideoFrame]:
    with av.open(str(path)) as source:
        yield from source.decode(video=0)


def person_mask(size: int = 28) -> NDArray[np.float32]:
    """A soft mask shaped like a standing person: head, trunk and legs, float32 [size, size]."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size

    def ellipse(cx: float, cy: float, rx: float, ry: float) -> NDArray[np.float64]:
        return np.asarray(1 - np.hypot((x - cx) / rx, (y - cy) / ry))

    distance = np.maximum.reduce(
        [
            ellipse(0.5, 0.12, 0.18, 0.12),
            ellipse(0.5, 0.42, 0.42, 0.28),
            ellipse(0.35, 0.8, 0.17, 0.25),
            ellipse(0.65, 0.8, 0.17, 0.25),
        ]
    )
    return np.asarray(1 / (1 + np.exp(-12 * distance)), np.float32)


def crowd(count: int, width: int, height: int) -> Instances:
    """`count` people of 160 x 380 pixels, spread over the picture, overlapping."""
    columns = np.linspace(0, width - 160, count)
    rows = np.linspace(0, height - 380, 5)[np.arange(count) % 5]
    boxes = np.stack([columns, rows, columns + 160, rows + 380], 1).astype(np.float32)
    return Instances(
        boxes=boxes,
        scores=np.linspace(0.99, 0.6, count).astype(np.float32),
        labels=np.zeros(count, np.int64),
        masks=np.repeat(person_mask()[None], count, 0),
        class_names=("person",),
        picture_size=(height, width),
    )


@dataclass(frozen=True, slots=True)
class Labelled:
    """One object of a labelled picture.

    Attributes:
        name: of its class.
        box: x1, y1, x2, y2 in pixels.
        area: of its mask, in square pixels.
        sure: whether it is one object with a known mask, and no crowd.
    """

    name: str
    box: tuple[float, float, float, float]
    area: float
    sure: bool
    _polygons: Any


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """One picture of a labelled set.

    Attributes:
        id: its number in the set.
        source: where the set has it from; "" where it does not say.
        width: in pixels.
        height: in pixels.
        objects: what is in it.
    """

    id: int
    source: str
    width: int
    height: int
    objects: Sequence[Labelled]
    _stored: Any

    def rgb(self) -> NDArray[np.uint8]:
        """The picture, uint8 RGB [H, W, 3]."""
        files = importlib.import_module("stream_models.training.picture_files")
        return np.asarray(files.load_picture(self._stored), np.uint8)

    def mask(self, one: Labelled) -> NDArray[np.bool_]:
        """Where one of its objects is, bool [H, W]."""
        polygons = importlib.import_module("stream_models.training.polygons")
        canvas = np.zeros((self.height, self.width), np.uint8)
        polygons.draw(one._polygons, canvas, 1)
        return canvas > 0


def labelled_pictures(folder: Path) -> list[LabelledPicture]:
    """The pictures of a set as `stream train` takes it, of its part that is kept for judging.

    Raises:
        UsageError: it is no such set, or what reads it is not installed.
    """
    need_extra("train", "PIL", what="reading a set of pictures")
    # By name: nothing in this package depends on the trainer.
    reading = importlib.import_module("stream_models.training.reading")
    chosen = reading.read(folder, reading.Purpose.JUDGE)
    return [
        LabelledPicture(
            picture.id,
            picture.source,
            picture.width,
            picture.height,
            [
                Labelled(
                    "" if one.label < 0 else chosen.names[one.label],
                    one.box,
                    one.area,
                    bool(one.mask_weight) and not one.crowd,
                    one.polygons,
                )
                for one in picture.objects
            ],
            picture,
        )
        for picture in chosen.pictures
    ]


_NOTHING = Raw(
    np.zeros((0, 4), np.float32),
    np.zeros(0, np.float32),
    np.zeros(0, np.int64),
    np.zeros((0, 28, 28), np.float32),
)


class FindsNothing:
    """Stands in for a segmenter: makes the model's input as always, then finds nothing."""

    name = "do-nothing"
    provider = "none"
    remarks: tuple[str, ...] = ()
    workers = 1
    gatherer = None
    spares_cores = False
    threshold = 0.5

    def __init__(self) -> None:
        resize = Resize("shortest_edge", shortest=384, longest=640, multiple_of=32)
        self.metadata = Metadata(names=("person",), resize=resize)
        self._preprocess = Preprocessor(resize)

    def preprocess(self, picture: Picture) -> Prepared:
        """Makes the model's input."""
        return self._preprocess(picture)

    def infer(self, prepared: Prepared) -> Raw:
        """Answers at once that nothing is there."""
        return _NOTHING

    def postprocess(
        self, raw: Raw, prepared: Prepared, threshold: float | None = None
    ) -> Instances:
        """Nothing was found."""
        width, height = prepared.geometry.picture
        return Instances.empty(self.metadata.names, (height, width))
