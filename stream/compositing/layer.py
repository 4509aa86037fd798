"""What a layer is, and where layers are found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from stream.plugins import Kind

if TYPE_CHECKING:
    from stream.compositing.canvas import Canvas
    from stream.compositing.style import Style
    from stream.types import JSON


class Layer(ABC):
    """One effect. Layers are painted one over the other; each is used by one thread at a time.

    To add one, put a module with a subclass into `stream/compositing/layers`, or register the class
    in the entry-point group `stream.compositing.layers`. The module's name, or the registered one,
    is what users write in a look.
    """

    only_adds: ClassVar[bool] = False
    """Whether a picture without instances stays exactly as it is: then nobody is called for it."""

    exact: ClassVar[bool] = False
    """Whether every sample has a meaning, so that nothing that was not asked for is painted over
    it: neither the timing panel nor a source's notes."""

    pastes: ClassVar[int] = 1
    """How often the layer looks at each mask pixel by pixel. Masks are kept where they are looked
    at again; else it is faster to let each have the last one's memory."""

    alpha: ClassVar[bool] = False
    """Whether it says how opaque each pixel is, in `canvas.alpha`."""

    covers: ClassVar[bool] = False
    """Whether no object may be seen: then it is told also of what is unsure."""

    conceals: ClassVar[bool] = False
    """Whether parts of the picture are not to be seen afterwards, as with those that cover or leave
    objects alone: then no other picture of the same goes with it, such as a film's cover."""

    fills: ClassVar[bool] = False
    """Whether each pixel is its own or an object's afterwards, so that where the source was clear
    the picture is not."""

    stands_before: ClassVar[bool] = False
    """Whether what it paints is seen also where the picture is clear, as text is."""

    to_be_read: ClassVar[int] = 0
    """Of layers that stand before the picture and follow each other, those with more are painted
    later, whatever the look's order: a line through words makes them unreadable."""

    alone: ClassVar[bool] = False
    """Whether nothing is left of what is not an object: without any, all is black or clear."""

    grey: ClassVar[bool] = False
    """Whether it leaves no colour."""

    remembers: ClassVar[bool] = False
    """Whether what is painted depends on the frames before, and not only by its `state`."""

    coloured: bool = False
    """Whether what it paints has colours, so that a grey picture becomes one that can hold them."""

    writes: bool = False
    """Whether it writes words on nearly every picture."""

    photos: Sequence[Path] = ()
    """The files that pictures come from, one each second, where they are photos."""

    settles: bool = False
    """Whether it depends on them by its `state`."""

    def __init__(self, style: Style) -> None:
        self.style = style

    @property
    def pixel_format(self) -> str | None:
        """The format of the pictures that it makes; None where it paints into those that come."""
        return None

    def close(self) -> None:  # noqa: B027 - most layers hold nothing
        """Lets go of files that it reads; it may be painted with again."""

    @property
    def remarks(self) -> list[str]:
        """What users should know of what was painted so far, a sentence each."""
        return []

    def state(self) -> JSON:
        """What it knows of the frames before, ready for JSON, where it settles."""
        return None

    def go_on(self, state: JSON) -> None:  # noqa: B027 - most layers know nothing
        """Goes on with what another one of the same style gave as its state."""

    def margin(self, size: tuple[int, int]) -> int:
        """By how many pixels windows of masks shall reach beyond them, in a (height, width)."""
        return 0

    def plan(self, canvas: Canvas) -> None:  # noqa: B027 - most layers have nothing to plan
        """Called before any layer paints: for `canvas.occupied` and `canvas.want_crests`."""

    @abstractmethod
    def paint(self, canvas: Canvas) -> None:
        """Paints into `canvas.planes`, or puts another picture in the place of the canvas's."""


LAYERS: Kind[Layer] = Kind("stream.compositing.layers", Layer)  # type: ignore[type-abstract]
"""All layers by the name that users give."""
