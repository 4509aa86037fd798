"""What painting costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from time import thread_time

import av
import numpy as np

from stream.bench.figures import Figure, median_seconds
from stream.bench.material import crowd
from stream.compositing import Painter, timing_lines
from stream.frame import Frame
from stream.instances import Instances

WIDTH, HEIGHT = 1280, 720


def measure() -> Iterator[Figure]:
    """Milliseconds to composite a 1280 x 720 frame with 20 people, with none, with the panel.

    Painting is done by one thread, so its processor time is what it costs; wall time on a busy
    machine would measure the scheduler.
    """
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT * 3 // 2, WIDTH), np.uint8)
    picture = av.VideoFrame.from_ndarray(noise, format="yuv420p")
    people = crowd(20, WIDTH, HEIGHT)
    nobody = Instances.empty(people.class_names, people.picture_size)

    def cost(look: str, instances: Instances, lines: Sequence[str] = ()) -> float:
        frame = Frame(picture, 0, 0, Fraction(1, 25), instances=instances)
        painter = Painter(look, timing=bool(lines))
        return 1e3 * median_seconds(lambda: painter.paint(frame, lines), 100, clock=thread_time)

    size = f"{WIDTH}x{HEIGHT}"
    yield Figure(
        "paint 20 people, overlay",
        cost("overlay", people),
        "ms",
        at_most=5.0,
        detail=f"{size}, boxes of 160x380 pixels, contours, labels; processor time, median",
    )
    yield Figure("paint 20 people, binary", cost("binary", people), "ms", at_most=5.0)
    yield Figure("paint nobody, overlay", cost("overlay", nobody), "ms", at_most=0.3)
    stages = {"decode": 0.002, "infer": 0.012, "encode": 0.004}
    lines = timing_lines(stages, fps=60.0, provider="CPU (int8)")
    yield Figure("timing panel", cost("overlay", nobody, lines), "ms")
