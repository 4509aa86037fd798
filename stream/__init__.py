"""Mask R-CNN on moving pictures.

    import stream

    with stream.open("in.mp4") as video:
        for frame in video:
            print(frame.pts_seconds, frame.instances)

`open` gives a source's frames with the objects found in them, `process` writes a video with them
painted in, `draw` paints them on an array, `VideoWriter` writes a video. `Segmenter` finds the
objects of a single picture, `Instances` holds them, each one as an `Instance`, and `Frame` is what
`open` gives. What a user can mend is raised as a `StreamError`. docs/python.md has examples.
"""

from __future__ import annotations

import importlib
import os

from stream.version import __version__

# Loading `typing` for its name of this takes nearly all of the time in which the program cannot yet
# take Ctrl-C, and Python shows how far it has come.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from stream.api import Video, draw, open, process
    from stream.errors import StreamError
    from stream.frame import SegmentedFrame as Frame
    from stream.inference.segmenter import Segmenter
    from stream.instances import Instances
    from stream.objects.instance import Instance
    from stream.writer import VideoWriter

__all__ = [
    "Frame",
    "Instance",
    "Instances",
    "Segmenter",
    "StreamError",
    "Video",
    "VideoWriter",
    "__version__",
    "draw",
    "open",
    "process",
]

# ONNX Runtime reports its use to its makers from the moment it is imported; ours is nobody's
# business but the user's. Whoever wants it on sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Each is loaded on first use, so that `import stream` and `stream --help` wait for nothing.
_MODULES = {
    "Frame": "frame",
    "Instance": "objects.instance",
    "Instances": "instances",
    "Segmenter": "inference.segmenter",
    "StreamError": "errors",
    "Video": "api",
    "VideoWriter": "writer",
    "draw": "api",
    "open": "api",
    "process": "api",
}


if not TYPE_CHECKING:  # a type checker is to know the names above, and no others

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'stream' has no attribute {name!r}")
        try:
            value = getattr(importlib.import_module(f"stream.{_MODULES[name]}"), name)
        except (ImportError, AttributeError) as error:
            from stream.system.installation import explain

            # A package that is not whole shows itself here first.
            raise explain(error) or error from error
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
