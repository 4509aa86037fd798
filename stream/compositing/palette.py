"""The colours that instances are painted in."""

from __future__ import annotations

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255, sRGB."""

# Chosen greedily from a grid of saturated sRGB colours with CIE L* in 50..90: each next colour is
# the one farthest (CIEDE2000) from all before it, where the distance is the least of that seen by
# normal vision and, at a half and a third of the weight, by simulated deuteranopia, protanopia and
# tritanopia (Machado, Oliveira and Fernandes 2009). So the first few, which most pictures need,
# are the best apart.
PALETTE: tuple[Colour, ...] = (
    (0x00, 0x99, 0xFF),
    (0xCC, 0xEE, 0x00),
    (0xCC, 0x55, 0x00),
    (0x00, 0xEE, 0xDD),
    (0xEE, 0x66, 0x99),
    (0x00, 0x99, 0x55),
    (0xDD, 0x99, 0x00),
    (0x99, 0x66, 0xBB),
    (0xEE, 0xAA, 0xFF),
    (0x66, 0xDD, 0x77),
    (0xEE, 0x55, 0x55),
    (0xFF, 0x44, 0xEE),
    (0x66, 0x88, 0x33),
    (0xDD, 0x11, 0xAA),
    (0xDD, 0xBB, 0x44),
    (0x44, 0xBB, 0x88),
    (0xBB, 0x33, 0xEE),
    (0xFF, 0x88, 0x88),
    (0xEE, 0x88, 0xCC),
    (0xCC, 0xEE, 0x88),
    (0xDD, 0x33, 0x77),
    (0x00, 0xFF, 0xAA),
    (0x88, 0xBB, 0x66),
    (0xDD, 0x88, 0x44),
)

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
INK: Colour = (16, 18, 22)
"""Nearly black, for dark backings."""


def colour_of(identity: int, palette: tuple[Colour, ...] = PALETTE) -> Colour:
    """The colour of an object by its identity, from 1 on: the same for the same number, always."""
    return palette[(identity - 1) % len(palette)]


def relative_luminance(colour: Colour) -> float:
    """Relative luminance, 0 (black) to 1 (white): WCAG 2.2, "relative luminance"."""
    red, green, blue = (linear(value / 255) for value in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def text_colour(background: Colour) -> Colour:
    """Black or white, whichever contrasts more with a background.

    One of them always reaches the ratio of 4.5 : 1 of WCAG 2.2, level AA ("contrast ratio").
    """
    behind = relative_luminance(background) + 0.05
    return WHITE if 1.05 / behind > behind / 0.05 else BLACK


def linear(value: float) -> float:
    """Light of an sRGB component, both 0..1 (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)
