"""What viewers want changed, as pages say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from stream.errors import UsageError
from stream.types import JSON


@dataclass(frozen=True, slots=True)
class Wish:
    """What a viewer wants changed; None leaves it as it is."""

    look: str | None = None
    background: str | None = None
    threshold: float | None = None
    classes: tuple[str, ...] | None = None
    model: str | None = None
    labels: bool | None = None


def wish_of(message: Mapping[str, JSON]) -> Wish:
    """A viewer's wish from what the page sent.

    Raises:
        UsageError: a value is not of its kind.
    """
    threshold = message.get("threshold")
    classes = message.get("classes")
    labels = message.get("labels")
    number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if threshold is not None and not (number and 0 <= Fraction(str(threshold)) <= 1):
        raise UsageError("a threshold is a number from 0 to 1")
    if classes is not None and not (
        isinstance(classes, list) and all(isinstance(one, str) for one in classes)
    ):
        raise UsageError("classes are a list of names")
    if labels is not None and not isinstance(labels, bool):
        raise UsageError("labels are true or false")
    texts: dict[str, str | None] = {}
    for key in ("look", "background", "model"):
        text = message.get(key)
        if text is not None and not isinstance(text, str):
            raise UsageError(f"the {key} is a text")
        texts[key] = text
    return Wish(
        look=texts["look"],
        background=texts["background"],
        model=texts["model"],
        threshold=float(threshold) if isinstance(threshold, int | float) else None,
        classes=tuple(str(one) for one in classes) if isinstance(classes, list) else None,
        labels=labels if isinstance(labels, bool) else None,
    )
