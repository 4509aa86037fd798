"""Cameras and the modes they offer."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

COMPRESSED = ("MJPG", "JPEG")
"""Formats in which a USB camera delivers large pictures at full rate."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One picture format and size with the rates it comes at.

    Attributes:
        pixel_format: the four-character code, such as MJPG or YUYV.
        width: in pixels.
        height: in pixels.
        rates: pictures per second, highest first; empty where the driver does not say.
    """

    pixel_format: str
    width: int
    height: int
    rates: tuple[Fraction, ...] = ()

    def __str__(self) -> str:
        rates = ", ".join(f"{float(rate):g}" for rate in self.rates)
        return f"{self.pixel_format} {self.width}x{self.height}" + (
            f" at {rates} fps" * bool(rates)
        )


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera of this machine.

    Attributes:
        device: what the system calls it: /dev/video0, or an index or a name elsewhere.
        name: for people.
        modes: what it offers, where the system tells.
        problem: why it cannot be asked, where it cannot.
        lasting: a path by which the system calls it too, also once it was plugged in again, where
            there is one; its number may be another camera's then.
    """

    device: str
    name: str
    modes: tuple[Mode, ...] = ()
    problem: str | None = None
    lasting: str | None = None

    def best_format(self, width: int, height: int, rate: float | None) -> str | None:
        """The format to ask for at a size, compressed before raw; None where any will do."""
        fitting = [
            mode
            for mode in self.modes
            if (mode.width, mode.height) == (width, height)
            and (rate is None or not mode.rates or float(mode.rates[0]) >= rate - 0.5)
        ]
        fitting.sort(key=lambda mode: mode.pixel_format not in COMPRESSED)
        return fitting[0].pixel_format if fitting else None

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The sizes it offers, smallest first."""
        return sorted({(mode.width, mode.height) for mode in self.modes})
