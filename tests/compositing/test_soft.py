"""Mattes of soft masks, pixel by pixel."""

import numpy as np
import pytest

from stream.compositing.mattes import Edge
from stream.compositing.soft import EDGE, Soft, shaped

WIDE, HIGH = 160, 12
MIDDLE = WIDE // 2


def rising(pixels):
    """A mask that becomes an object's over so many pixels."""
    share = np.clip((np.arange(WIDE) + 0.5 - MIDDLE) / pixels + 0.5, 0, 1)
    values = np.broadcast_to(np.rint(255 * share).astype(np.uint8), (HIGH, WIDE))
    return Soft((0, HIGH, 0, WIDE), values, 1.0, 4.0)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("feather", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("pixels", [2, 12, 40])
def test_an_edge_where_all_looks_alike_is_no_haze(pixels, feather, held):
    """A refined mask rises slowly there, which says nothing about how clear a pixel is."""
    found = shaped(rising(pixels), (HIGH, WIDE), Edge(feather, held))
    assert found is not None
    (_, _, left, _), alpha = found
    row = alpha[alpha.shape[0] // 2].astype(int)
    fades = np.flatnonzero((row > 5) & (row < 250)) + left
    assert len(fades) <= 0.42 * pixels + 1.5 * feather + 2
    if held:
        assert (row[MIDDLE - left :] == 255).all(), "the object itself is whole"
    elif len(fades):
        assert abs(fades.mean() + 0.5 - MIDDLE) < 1.5
    inside = rising(pixels).values[0] >= EDGE + 0.3 * 255
    beyond = np.flatnonzero(inside) + round(feather)
    assert (row[beyond[beyond < WIDE] - left] >= 250).all()
