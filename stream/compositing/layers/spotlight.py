"""What is behind darker, with a wide pool of light around each object."""

from __future__ import annotations

from stream.compositing.layers.dim import Dim
from stream.compositing.mattes import Edge

_POOL = 0.2
"""Of the picture's height, over which light falls off."""


class Spotlight(Dim):
    """Like dim, with light that falls off slowly around the objects."""

    def edge(self, size: tuple[int, int]) -> Edge:
        """As wide as a pool of light."""
        return Edge(_POOL * size[0], held=True)
