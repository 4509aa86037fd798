"""The bundled demo clip and the script that made it."""

from __future__ import annotations

from importlib import resources

import av
import numpy as np
from numpy.typing import NDArray


def demo_picture() -> NDArray[np.uint8]:
    """The demo clip's first picture, uint8 RGB [480, 640, 3]."""
    with (
        resources.as_file(resources.files("stream") / "assets" / "demo.mp4") as demo,
        av.open(str(demo)) as source,
    ):
        return np.asarray(next(source.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)
