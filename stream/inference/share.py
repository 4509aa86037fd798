"""An attribute that is a share, and stays one whoever sets it."""

from __future__ import annotations

from typing import Self, overload

import numpy as np

from stream.errors import UsageError


class Share:
    """A number from 0 to 1; anything else is refused when it is set.

    Args:
        what: its name in the sentence that refuses.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, one: None, owner: type) -> Self: ...

    @overload
    def __get__(self, one: object, owner: type) -> float: ...

    def __get__(self, one: object | None, owner: type) -> Self | float:
        return self if one is None else float(vars(one)[self._name])

    def __set__(self, one: object, value: float) -> None:
        if not isinstance(value, int | float | np.integer | np.floating) or not 0 <= value <= 1:
            raise UsageError(f"the {self._what} must be between 0 and 1, not {value!r}")
        vars(one)[self._name] = float(value)
