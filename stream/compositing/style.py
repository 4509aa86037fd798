"""How instances are painted, whichever layers paint them."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Self

from stream.compositing.palette import PALETTE, Colour
from stream.compositing.selection import wanted_by
from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.settings.options import PictureOptions

WORDS = ("name", "number", "score")
_COLOURS = ("track", "object", "class")
_COVERS = ("fill", "blur")
REFINERS = ("learned", "filter")


@dataclass(frozen=True, slots=True)
class Style:
    """What layers are told. Fields are named and written as those of `PictureOptions`.

    Attributes:
        opacity: how strongly colours cover the picture, 0 to 1.
        contour_width: of outlines in pixels, 0 to 12; None suits the picture, 2 at 720p.
        label: what labels say, any of `WORDS`, in the order wanted; none for nothing.
        label_size: as a multiple of the usual, 0.25 to 8.
        colours: what has a colour of its own: `track`, `object` (by rank) or `class`.
        palette: RRGGBB each; None for the usual.
        mask_threshold: a soft mask above this is the object, 0 to 1; None takes the instances' own.
        feather: over how many pixels an effect fades at an edge; None suits the picture, 3 at 720p
            and 1 where a rim would shine, as with dim.
        refine: whether objects end where the picture has an edge; None where effects show edges.
        refiner: what refines, one of `REFINERS`, or the path of a refiner's file (.onnx).
        steady_edges: whether edges lie still where the picture does; None as `refine`.
        blur_strength: how far blur spreads a point, in percent of the picture's height.
        darkness: how much darker dim and spotlight make what is behind, 0 to 1.
        background: what replace puts behind: RRGGBB, or the path of a picture or a video.
        select: which objects are in front: `all`, `largest`, so many of the largest, or identities
            such as `id3,id7`.
        identities: whether the look instances writes numbers instead of colours.
        cover: how hide covers objects, `fill` or `blur`.
        pixel_size: of pixelate's squares, in percent of the picture's height.
        cover_memory: for how many seconds what was covered stays covered when it is not found.
        trail: how many seconds of an object's way trails shows.

    Raises:
        UsageError: a value is out of its range.
    """

    opacity: float = 0.45
    contour_width: float | None = None
    label: str = "name number score"
    label_size: float = 1.0
    colours: str = "track"
    palette: tuple[str, ...] | None = None
    mask_threshold: float | None = None
    feather: float | None = None
    refine: bool | None = None
    refiner: str = "learned"
    steady_edges: bool | None = None
    blur_strength: float = 3.0
    darkness: float = 0.6
    background: str = "000000"
    cover: str = "fill"
    pixel_size: float = 4.0
    cover_memory: float = 1.0
    trail: float = 2.0
    select: str = "all"
    identities: bool = False

    def __post_init__(self) -> None:
        _check("opacity", self.opacity, 0, 1)
        _check("contour_width", self.contour_width, 0, 12)
        _check("label_size", self.label_size, 0.25, 8)
        _check("mask_threshold", self.mask_threshold, 0, 1)
        _check("feather", self.feather, 0, 100)
        _check("blur_strength", self.blur_strength, 0.1, 20)
        _check("darkness", self.darkness, 0, 1)
        _check("pixel_size", self.pixel_size, 0.5, 25)
        _check("cover_memory", self.cover_memory, 0, 60)
        _check("trail", self.trail, 0.1, 600)
        for name, value, choices in (
            ("colours", self.colours, _COLOURS),
            ("cover", self.cover, _COVERS),
        ):
            if value not in choices:
                raise UsageError(f"{name} is {', '.join(choices)}, not {value!r}")
        if self.refiner not in REFINERS and not self.refiner.lower().endswith(".onnx"):
            raise UsageError(
                f"refiner is {', '.join(REFINERS)} or a refiner's file (.onnx), "
                f"not {self.refiner!r}"
            )
        wanted_by(self.select)
        _ = self.words, self.palette_colours  # So that what is wrong is said here.

    @classmethod
    def from_options(cls, options: PictureOptions) -> Self:
        """The style that the options of a run ask for."""
        known = [one.name for one in fields(cls) if hasattr(options, one.name)]
        return cls(**{name: getattr(options, name) for name in known})

    @property
    def words(self) -> tuple[str, ...]:
        """What labels say, in order; empty for no labels."""
        return _words(self.label)

    @property
    def palette_colours(self) -> tuple[Colour, ...]:
        """The colours that objects are painted in."""
        return PALETTE if self.palette is None else _palette(self.palette)


def parse_colour(text: str) -> Colour:
    """A colour from RRGGBB, with or without a # before it.

    Raises:
        UsageError: it is none.
    """
    if re.fullmatch("#?[0-9a-fA-F]{6}", text) is None:
        raise UsageError(f"a colour is RRGGBB in hexadecimal, such as FF8000, not {text!r}")
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def _check(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:  # False for NaN too
        raise UsageError(f"{name.replace('_', ' ')} is {low:g} to {high:g}, not {value:g}")


@lru_cache(maxsize=64)
def _words(label: str) -> tuple[str, ...]:
    words = tuple(label.replace(",", " ").replace("+", " ").split())
    if words == ("none",):
        return ()
    if not set(words) <= set(WORDS) or len(set(words)) < len(words):
        raise UsageError(f"labels say any of {', '.join(WORDS)}, or none, not {label!r}")
    return words


@lru_cache(maxsize=64)
def _palette(palette: tuple[str, ...]) -> tuple[Colour, ...]:
    if not palette:
        raise UsageError("a palette needs at least one colour, such as FF8000")
    return tuple(parse_colour(text) for text in palette)
