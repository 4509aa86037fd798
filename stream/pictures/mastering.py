"""What a film was made on and how bright it gets, which HDR10 says once of the whole film."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import av
from av.sidedata.sidedata import Type as SideDataType

from stream.pictures.references import side_data

# FFmpeg's AVMasteringDisplayMetadata: ten fractions, then whether the two parts are said.
_DISPLAY = struct.Struct("=20i2i")
_LIGHT = struct.Struct("=2I")
_MOST_LIGHT = 10_000
"""In cd/m²: where the scale of SMPTE ST 2084 ends."""


@dataclass(frozen=True, slots=True)
class Mastering:
    """What a film says of how it was made (SMPTE ST 2086) and of its light (CTA-861.3).

    Attributes:
        display: of the display: x and y of red, green, blue and white (CIE 1931), then the least
            and the most light in cd/m²; () where that is not said.
        light: of the brightest sample and the brightest picture on average, in cd/m²; () where
            that is not said.
    """

    display: tuple[Fraction, ...] = ()
    light: tuple[int, ...] = ()

    @property
    def parts(self) -> list[str]:
        """What is said, for people."""
        named = {"mastering display": self.display, "light levels": self.light}
        return [name for name, said in named.items() if said]


def mastering_of(picture: av.VideoFrame) -> Mastering:
    """What a decoded picture says of the film; nothing of what cannot be."""
    try:
        found = side_data(picture)
    except ValueError:  # PyAV lists none where one kind is new to it
        return Mastering()
    display = found.get(SideDataType.MASTERING_DISPLAY_METADATA)
    light = found.get(SideDataType.CONTENT_LIGHT_LEVEL)
    return Mastering(
        () if display is None else _display(bytes(display)),
        () if light is None else _light(bytes(light)),
    )


def _display(data: bytes) -> tuple[Fraction, ...]:
    if len(data) < _DISPLAY.size:
        return ()
    *numbers, primaries, luminance = _DISPLAY.unpack(data[: _DISPLAY.size])
    # Encoders are told of both or of none.
    if not (primaries and luminance and all(numbers[1::2])):
        return ()
    values = tuple(map(Fraction, numbers[::2], numbers[1::2]))
    *places, least, most = values
    possible = all(0 <= place <= 1 for place in places) and 0 <= least < most <= _MOST_LIGHT
    return values if possible else ()


def _light(data: bytes) -> tuple[int, ...]:
    if len(data) < _LIGHT.size:
        return ()
    values = _LIGHT.unpack(data[: _LIGHT.size])
    return values if any(values) and max(values) <= _MOST_LIGHT else ()


_TOLD = {
    "libx264": ("x264-params", "mastering-display", "cll"),
    "libx265": ("x265-params", "master-display", "max-cll"),
    "libsvtav1": ("svtav1-params", "mastering-display", "content-light"),
}
"""By encoder: the option that holds its own settings, and what these two are called there."""
TELLING = tuple(_TOLD)
"""Encoders that put it into what they give."""


def with_mastering(
    options: Mapping[str, str], encoder: str, mastering: Mastering
) -> dict[str, str]:
    """An encoder's options, and that it is to say this of the film, where it can.

    Args:
        options: what it is opened with otherwise.
        encoder: FFmpeg's name of it.
        mastering: what is to be said.
    """
    own, display, light = _TOLD.get(encoder, ("", "", ""))
    settings = [options[own]] if options.get(own) else []
    if own and mastering.display:
        settings.append(f"{display}={_spelt(mastering.display, whole=encoder != 'libsvtav1')}")
    if own and mastering.light:
        settings.append(f"{light}={','.join(map(str, mastering.light))}")
    return {**options, own: ":".join(settings)} if settings else dict(options)


def _spelt(display: tuple[Fraction, ...], *, whole: bool) -> str:
    """A display as encoders want it: in ST 2086's units, which are whole, or in those of people."""
    units = [50_000] * 8 + [10_000] * 2
    red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y, least, most = (
        str(round(value * unit)) if whole else f"{float(value):.6f}"
        for value, unit in zip(display, units, strict=True)
    )
    return (
        f"G({green_x},{green_y})B({blue_x},{blue_y})R({red_x},{red_y})WP({white_x},{white_y})"
        f"L({most},{least})"
    )
