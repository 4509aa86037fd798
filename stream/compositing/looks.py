"""What a look is, and the looks by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import av

from stream.instances import Instances
from stream.roi import Window


@dataclass(frozen=True, slots=True)
class Options:
    """How instances are painted.

    Attributes:
        mask_threshold: a soft mask above this is the object, 0..1; None takes the instances' own.
        show_labels: whether class name and score are written beside each object.
        show_contours: whether each object gets a line around it.
        opacity: of the masks, 0 (invisible) to 1.
    """

    mask_threshold: float | None = None
    show_labels: bool = True
    show_contours: bool = True
    opacity: float = 0.45

    def __post_init__(self) -> None:
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity must be 0 to 1, not {self.opacity}")
        if self.mask_threshold is not None and not 0 <= self.mask_threshold <= 1:
            raise ValueError(f"mask_threshold must be 0 to 1, not {self.mask_threshold}")

    def threshold_for(self, instances: Instances) -> float:
        """Above what a soft mask of these instances is the object."""
        return instances.mask_threshold if self.mask_threshold is None else self.mask_threshold


class Look(ABC):
    """One way of showing instances.

    To add one: subclass it, decorate that with `register`, and import it in the package.
    """

    needs_instances: ClassVar[bool] = True
    """Whether a picture without instances is left exactly as it is, without calling `paint`."""

    def __init__(self, options: Options) -> None:
        self.options = options

    @abstractmethod
    def paint(
        self, picture: av.VideoFrame, instances: Instances, occupied: Sequence[Window]
    ) -> av.VideoFrame:
        """Paints instances into a picture.

        Args:
            picture: of the size that the instances were found in.
            instances: best first, which is on top where they overlap.
            occupied: parts of the picture in which no label should lie.

        Returns:
            The picture that goes on: the same one, or another where the format must change.
        """


LOOKS: dict[str, type[Look]] = {}
"""All looks by the name that users give."""


def register(name: str) -> Callable[[type[Look]], type[Look]]:
    """Makes a look known by a name."""

    def add(look: type[Look]) -> type[Look]:
        LOOKS[name] = look
        return look

    return add
