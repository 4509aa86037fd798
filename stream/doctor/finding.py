"""What the examination of a machine finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["works", "missing", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination.

    Attributes:
        topic: what it belongs to, such as "providers".
        name: what was looked at.
        state: `works`, `missing` (something a user may want does not work), or `note`.
        detail: what was found.
        advice: what to install or do; "" where nothing needs doing.
    """

    topic: str
    name: str
    state: State
    detail: str
    advice: str = ""
