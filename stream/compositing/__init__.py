"""Painting instances into pictures, in their own YUV planes."""

from stream.compositing.canvas import Canvas
from stream.compositing.layer import LAYERS, Layer
from stream.compositing.painter import Painter
from stream.compositing.panel import timing_lines
from stream.compositing.style import Style

__all__ = ["LAYERS", "Canvas", "Layer", "Painter", "Style", "timing_lines"]
