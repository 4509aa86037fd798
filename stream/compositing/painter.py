"""The entry to compositing: a frame's instances into its picture, in a look."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stream.compositing.canvas import Canvas
from stream.compositing.chroma import coloured, is_grey
from stream.compositing.edges import Edges
from stream.compositing.layer import LAYERS, Layer
from stream.compositing.layers.timing import Timing
from stream.compositing.learned import chosen
from stream.compositing.mask_memory import Memory
from stream.compositing.mirror import mirror as exchange_sides
from stream.compositing.selection import Selection, wanted_by
from stream.compositing.standing import Before
from stream.compositing.style import REFINERS, Style
from stream.compositing.text import unpack
from stream.compositing.tint import Tint, Tints
from stream.errors import UsageError
from stream.frame import Frame
from stream.instances import Instances
from stream.kernels import compiled
from stream.settings.groups import unknown
from stream.types import JSON

ALIASES = {"overlay": "fill+contour+labels"}
"""Looks that have a name of their own."""

_TIMED = "overlay"
"""The look that has the timing panel unless it is told not to."""
_TIMING = "timing"


class Key(NamedTuple):
    """What makes two painters paint the same.

    Attributes:
        look: the names of the layers, from bottom to top, without the timing panel's.
        style: how they paint.
        timing: whether there is a timing panel.
        mirror: whether left and right are exchanged.
    """

    look: tuple[str, ...]
    style: Style
    timing: bool
    mirror: bool = False


class Painter:
    """Paints frames in one look. One thread at a time."""

    def __init__(
        self,
        look: str = "overlay",
        style: Style | None = None,
        timing: bool | None = None,
        *,
        mirror: bool = False,
        photos: Sequence[Path] = (),
    ) -> None:
        """Chooses what is painted.

        Args:
            look: names of layers or of `ALIASES`, joined with +, from bottom to top.
            style: how they paint.
            timing: whether the timing panel is painted; None means where the look is `overlay` or
                names it.
            mirror: exchange left and right first; what is written stays readable.
            photos: the files that pictures come from, one each second, where they are photos.

        Raises:
            UsageError: there is no such layer, it is named twice, or it cannot be loaded.
            ModelError: the style's refiner is a file that is none.
        """
        style = Style() if style is None else style
        if style.refiner not in REFINERS:
            chosen(style.refiner)  # so that what is wrong with a file is said here
        names = expand(look)
        if timing is None:
            timing = _TIMING in names or names == expand(_TIMED)
        names = tuple(name for name in names if name != _TIMING)
        self.key = Key(names, style, timing, mirror)
        self._layers = list(_merged(_in_turn([_known(name)(style) for name in names])))
        # Last, as it is read. A source's notes are shown even where figures are not, unless
        # samples mean something.
        if timing or not any(layer.exact for layer in self._layers):
            self._layers.append(Timing(style, figures=timing))
        self._exact, self._coloured = self.exact, self.coloured
        for layer in self._layers:
            layer.photos = photos
        self._style = style
        self._selection = Selection(style.select)
        if self.pixel_format is not None and len(names) > 1:
            raise UsageError(
                "with identities the look instances stands alone: its values are no colours, which "
                f"{' and '.join(one for one in names if one != 'instances')} would paint over"
            )
        several = sum(layer.pastes for layer in self._layers) > 1
        self._edges = Edges()
        # Compiled loops paste all masks at once.
        self._memory = Memory() if several or compiled() is not None else Memory(0)

    @property
    def timing(self) -> bool:
        """Whether the figures given to `paint` are shown."""
        return self.key.timing

    @property
    def remarks(self) -> list[str]:
        """What users should know of what was painted so far, a sentence each."""
        said = [sentence for layer in self._layers for sentence in layer.remarks]
        return [*said, *self._selection.remarks]

    @property
    def exact(self) -> bool:
        """Whether samples mean something, so that an encoder should not change them."""
        return any(layer.exact for layer in self._layers)

    @property
    def pixel_format(self) -> str | None:
        """The format of all pictures afterwards; None where each keeps its own."""
        formats = [one.pixel_format for one in self._layers if one.pixel_format is not None]
        return formats[-1] if formats else None

    def close(self) -> None:
        """Lets go of files that layers read, such as a video behind; painting opens them again."""
        for layer in self._layers:
            layer.close()

    @property
    def alone(self) -> bool:
        """Whether nothing is left of what is not an object, but for what is painted over it."""
        return any(layer.alone for layer in self._layers)

    @property
    def coloured(self) -> bool:
        """Whether what is painted has colours, so that grey pictures get chroma."""
        return self.pixel_format is None and any(layer.coloured for layer in self._layers)

    @property
    def grey(self) -> bool:
        """Whether frames have no colour afterwards."""
        return bool(self._layers) and self._layers[-1].grey

    @property
    def alpha(self) -> bool:
        """Whether frames say afterwards how opaque their pixels are."""
        return any(layer.alpha for layer in self._layers)

    @property
    def fills(self) -> bool:
        """Whether no pixel is clear afterwards, whatever the source says."""
        return any(layer.fills for layer in self._layers) and not self.alpha

    @property
    def remembers(self) -> bool:
        """Whether what is painted depends on the frames before, and not only by its `state`."""
        style = self._style
        chosen = isinstance(wanted_by(style.select), int)
        # Where labels stand depends on edges then, and these on pictures.
        refined = style.refine is True and self.settles
        steadied = style.steady_edges is True
        return chosen or refined or steadied or any(layer.remembers for layer in self._layers)

    @property
    def settles(self) -> bool:
        """Whether it depends on them by its `state`, which another painter can go on from."""
        return any(layer.settles for layer in self._layers)

    def state(self) -> list[JSON]:
        """What its layers know of the frames before, ready for JSON."""
        return [layer.state() for layer in self._layers]

    def go_on(self, state: Sequence[JSON]) -> None:
        """Goes on where another painter of the same look and style was.

        Args:
            state: of that one.
        """
        for layer, known in zip(self._layers, state, strict=True):
            layer.go_on(known)

    @property
    def covers(self) -> bool:
        """Whether no object may be seen, so that `Instances.unsure` is wanted."""
        return any(layer.covers for layer in self._layers)

    @property
    def conceals(self) -> bool:
        """Whether parts of frames are not to be seen, in no other picture of the same either."""
        return any(one.conceals or one.covers or one.alone for one in self._layers)

    def begin(self) -> None:
        """Readies the thread that will paint, which takes a while, before the first frame comes."""
        if any(layer.writes for layer in self._layers):
            unpack()

    def paint(self, frame: Frame, figures: Sequence[str] = ()) -> None:
        """Paints the frame's instances into its picture.

        The picture is painted in place, after a copy where the decoder still refers to it; where
        its format must change, as that of a grey one for colours, another comes into `frame.image`.
        Layers that only add to the picture leave one without instances exactly as it is, without a
        copy.

        Args:
            frame: its `instances` are those of its picture; None counts as none found. Its `notes`
                are shown in the timing panel's place, also where that is off.
            figures: the timing panel's lines, such as `timing_lines` makes.

        Raises:
            ValueError: the picture is not planar little-endian YUV or grey of 8 to 16 bits.
        """
        if self._coloured and is_grey(frame.image.format.name):
            frame.image = coloured(frame.image)
        if self.fills:
            frame.image = frame.seen()
        picture, instances = frame.image, frame.instances
        size = (picture.height, picture.width)
        if instances is None:
            instances = Instances.empty((), size)
        seconds = frame.pts_seconds
        instances = self._selection(instances, seconds)
        alpha = frame.alpha
        if self.key.mirror:
            exchange_sides(picture)
            alpha = None if alpha is None else np.ascontiguousarray(alpha[:, ::-1])
            instances = instances.mirrored()
        layers = self._layers
        if not len(instances):
            layers = [one for one in layers if not one.only_adds]
        canvas = Canvas(
            picture,
            instances,
            self._style,
            self._memory,
            margin=max([layer.margin(size) for layer in layers], default=0),
            figures=tuple(figures),
            notes=frame.notes,
            seconds=seconds,
            tally=frame.tally,
            edges=self._edges,
            alpha=alpha,
            exact=self._exact,
        )
        canvas.prepare()
        for layer in layers:
            layer.plan(canvas)
        before: Before | None = None
        for layer in layers:
            if layer.stands_before and canvas.alpha is not None and before is None:
                before = Before(canvas.planes)
            layer.paint(canvas)
            if layer.fills:
                canvas.alpha = before = None
        if before is not None and canvas.alpha is not None:
            canvas.alpha = before.shown(canvas.planes, canvas.alpha)
        frame.image, frame.alpha = canvas.picture, canvas.alpha


def expand(look: str) -> tuple[str, ...]:
    """The names of a look's layers, from bottom to top, with aliases written out.

    Raises:
        UsageError: a layer is named twice, or none beside a +.
    """
    written = [name.strip() for name in look.split("+")]
    names = tuple(name for part in written for name in ALIASES.get(part, part).split("+"))
    for name in names:
        if not name and len(names) > 1:
            raise UsageError(f"the look {look!r} has no layer beside a +; name one or leave it out")
        if names.count(name) > 1:
            # Who wrote `overlay+labels` has named labels once.
            why = [f", as {one} is {ALIASES[one]}" for one in written if one in ALIASES][:1]
            raise UsageError(f"the look {look!r} has the layer {name} twice{''.join(why)}")
    return names


def _known(name: str) -> type[Layer]:
    # Of a registered layer that cannot be loaded, the reason is said.
    if name in LAYERS:
        return LAYERS.get(name)
    known = {*ALIASES, *LAYERS.names()}
    parts = [one for one in re.split(r"[^\w-]+", name) if one]
    if len(parts) > 1 and known.issuperset(parts):
        raise UsageError(f"layers are joined with +, not as {name!r}: {'+'.join(parts)}")
    raise unknown("layer", name, sorted(known))


def _in_turn(layers: Iterable[Layer]) -> Iterator[Layer]:
    """The layers, with words after the lines that would go through them."""
    for _, group in groupby(layers, key=lambda layer: layer.stands_before):
        yield from sorted(group, key=lambda layer: layer.to_be_read)


def _merged(layers: Iterable[Layer]) -> Iterator[Layer]:
    """The layers, with those that follow each other and can share one pass as one."""
    for tints, group in groupby(layers, key=lambda layer: isinstance(layer, Tint)):
        members = list(group)
        found = [one for one in members if isinstance(one, Tint)]
        if tints and len(found) > 1:
            yield Tints(found)
        else:
            yield from members
