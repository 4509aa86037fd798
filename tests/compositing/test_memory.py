"""Painting many frames costs no more memory than painting a few."""

import threading
from fractions import Fraction

import numpy as np
import psutil
import pytest

from stream.compositing import LAYERS, Painter
from stream.frame import Frame
from stream.pictures.references import Referencer
from tests.compositing.pictures import astronaut, people

FRAMES, EARLY = 1000, 200
MOST = 4 << 20
"""Bytes that the process may have grown by: what a picture and its masks take."""


@pytest.mark.soak
@pytest.mark.parametrize("name", LAYERS.names())
def test_a_thousand_frames_take_no_more_memory_than_the_first(name):
    rng, refer = np.random.default_rng(0), Referencer()
    picture, process = astronaut(640, 360), psutil.Process()
    painter, threads, early = Painter(name, timing=False), threading.active_count(), 0
    for index in range(FRAMES):
        # Objects walk about, come and go, and get new numbers.
        middle = 320 + 200 * np.sin(index / 30)
        boxes = [
            np.array([middle - 70, 60, middle + 70, 350]) + rng.uniform(-3, 3, 4),
            np.array([100, 40, 220, 200]) + rng.uniform(-3, 3, 4),
        ][: 1 + index // 50 % 2]
        tracks = [1 + index // 200, 1000 + index // 100][: len(boxes)]
        found = people(picture, *boxes, tracks=tracks)
        painter.paint(Frame(refer(picture), index, index, Fraction(1, 25), instances=found))
        if index == EARLY:
            early = process.memory_info().rss
    assert process.memory_info().rss - early < MOST
    painter.close()
    assert threading.active_count() == threads
