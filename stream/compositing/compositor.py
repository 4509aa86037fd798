"""The entry to compositing: a frame's instances into its picture."""

from __future__ import annotations

from collections.abc import Sequence

from stream.compositing.looks import LOOKS, Options
from stream.errors import UsageError
from stream.frame import Frame
from stream.instances import Instances
from stream.roi import Window


class Compositor:
    """Paints frames in one look. One thread at a time."""

    def __init__(self, look: str = "overlay", options: Options | None = None) -> None:
        """Chooses a look.

        Args:
            look: a name in `LOOKS`.
            options: how it is painted.

        Raises:
            UsageError: there is no such look.
        """
        if look not in LOOKS:
            raise UsageError(f"there is no look {look!r}; there are {', '.join(sorted(LOOKS))}")
        self._look = LOOKS[look](options or Options())

    def paint(self, frame: Frame, occupied: Sequence[Window] = ()) -> None:
        """Paints the frame's instances into its picture.

        The picture is painted in place, after a copy where the decoder still refers to it; a look
        that must change the picture's format puts another into `frame.picture`. A look that only
        adds to the picture leaves one without instances exactly as it is, without a copy.

        Args:
            frame: its `instances` are those of its picture; None counts as none found.
            occupied: parts of the picture that labels keep clear of where they can, such as the
                window that `TimingPanel.paint` returned for the frame before.

        Raises:
            ValueError: the picture is not planar little-endian YUV or grey of 8 to 16 bits.
        """
        picture, instances = frame.picture, frame.instances
        if instances is None:
            instances = Instances.empty((), (picture.height, picture.width))
        if len(instances) or not self._look.needs_instances:
            frame.picture = self._look.paint(picture, instances, occupied)
