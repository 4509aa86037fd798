"""Types that libraries leave open, each said once.

Nothing is imported for them at run time: a module that needs a name from here stays as light as it
was.
"""

from __future__ import annotations

from datetime import date, time
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from av.packet import Packet
    from numpy.typing import NDArray

AnyPacket: TypeAlias = "Packet[Any]"
"""A packet of whatever stream it belongs to: PyAV's type asks for the stream's."""

Array: TypeAlias = "NDArray[Any]"
"""An array whose dtype the values around it decide: samples of 8 or 16 bits, what OpenCV gives."""

Integers: TypeAlias = "NDArray[np.integer[Any]]"
"""An array of whole numbers of any width, such as class numbers [N]."""

Floats: TypeAlias = "NDArray[np.floating[Any]]"
"""An array of floats of any width, such as scores [N] or boxes [N, 4]."""

Whole: TypeAlias = "int | np.integer[Any]"
"""A whole number, of Python's or of NumPy's."""

JSON: TypeAlias = dict[str, "JSON"] | list["JSON"] | str | float | bool | None
"""What JSON holds; whole numbers count as floats, as type checkers have it."""

TOML: TypeAlias = dict[str, "TOML"] | list["TOML"] | str | float | bool | date | time
"""What TOML holds; a `datetime` is a `date`."""
