"""The model that ships, on a real person."""

import numpy as np
from skimage import data

from stream import Segmenter


def test_a_portrait_is_cut_out():
    rgb = data.astronaut()
    found = Segmenter.load("default", provider="auto")(rgb)
    best = found.select(np.array([0]))
    assert best.names == ["person"]
    assert best.masks.shape[1] == best.masks.shape[2] >= 28
    full = best.full_masks()
    assert full.shape == (1, *rgb.shape[:2])
    assert full[0, 120, 220], "her face"
    assert full[0, 400, 150], "her suit"
    assert not full[0, 60, 380], "the wall behind her"


def test_no_phantom_people():
    segmenter = Segmenter.load("default", classes=["person"])
    for picture in (data.coffee(), data.chelsea(), data.rocket()):
        assert len(segmenter(picture)) == 0
