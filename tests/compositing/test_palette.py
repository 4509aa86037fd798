from itertools import combinations

import numpy as np
import pytest

from stream.compositing.palette import (
    BLACK,
    INK,
    PALETTE,
    WHITE,
    colour_of,
    relative_luminance,
    text_colour,
)
from tests.export.lazily import lazily

deltaE_ciede2000 = lazily("skimage.color", "deltaE_ciede2000")
rgb2lab = lazily("skimage.color", "rgb2lab")

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear light.
SIMULATED = {
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


def seen(colours: tuple, by: str | None) -> np.ndarray:
    """CIE L*a*b* of colours as somebody sees them."""
    values = np.array(colours) / 255
    if by is not None:
        light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        light = np.clip(light @ np.array(SIMULATED[by]).T, 0, 1)
        values = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return rgb2lab(values)


@pytest.mark.parametrize(
    ("by", "of_all", "of_first_six"),
    [(None, 9.0, 25.0), ("deuteranopia", 4.0, 13.0), ("protanopia", 4.0, 13.0)],
)
def test_colours_are_well_apart(by, of_all, of_first_six):
    lab = seen(PALETTE, by)
    apart = {
        (i, j): float(deltaE_ciede2000(lab[i], lab[j]))
        for i, j in combinations(range(len(PALETTE)), 2)
    }
    assert min(apart.values()) >= of_all
    assert min(value for (_, j), value in apart.items() if j < 6) >= of_first_six


def test_there_are_at_least_twenty_different_colours():
    assert len(set(PALETTE)) == len(PALETTE) >= 20


def test_the_same_identity_has_the_same_colour_always():
    assert colour_of(1) == PALETTE[0]
    assert colour_of(7) == colour_of(7) != colour_of(8)
    assert colour_of(10**9) in PALETTE
    assert colour_of(-1) in PALETTE


def test_text_contrasts_with_every_colour_of_the_palette():
    for colour in PALETTE:
        light, dark = sorted(map(relative_luminance, (colour, text_colour(colour))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, level AA


def test_text_is_white_on_dark_and_dark_on_white():
    assert text_colour(INK) == WHITE
    assert text_colour(WHITE) == BLACK
