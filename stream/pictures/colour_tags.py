"""What a film says of its colours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ColourTags:
    """How sample values mean colours, as the numbers of ITU-T H.273; 2 is 'unspecified'."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool | None = None
