"""Painting instances into pictures, in their own YUV planes."""

from stream.compositing import binary as _binary
from stream.compositing import overlay as _overlay
from stream.compositing.compositor import Compositor
from stream.compositing.looks import LOOKS, Look, Options
from stream.compositing.panel import TimingPanel, timing_lines

__all__ = ["LOOKS", "Compositor", "Look", "Options", "TimingPanel", "timing_lines"]

# Imported so that they register themselves.
_ = _binary, _overlay
