"""Names of classes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from stream.errors import UsageError
from stream.wording.words import counted
from stream_export.options import UNUSED, read_names

COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
"""COCO's 80 classes in the order of their category numbers."""

CITYSCAPES = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
"""Cityscapes' classes with instances, as Detectron and Detectron2 order them."""


_UNUSED = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
"""COCO's category numbers of 1..90 that belong to no class."""


def coco_numbers() -> tuple[str, ...]:
    """Names by COCO's category numbers, 1..90; numbers without a class are called N/A."""
    names = iter(COCO)
    return tuple(UNUSED if number in _UNUSED else next(names) for number in range(1, 91))


_SETS: dict[str, Callable[[], tuple[str, ...]]] = {
    "coco": lambda: COCO,
    "coco90": coco_numbers,
    "cityscapes": lambda: CITYSCAPES,
}


def names_for(
    checkpoint: Path,
    classes: int,
    given: str | Path | None,
    told: tuple[str | tuple[str, ...], str] | None = None,
) -> tuple[tuple[str, ...], str]:
    """The names of a checkpoint's classes; they are never guessed from how many there are.

    Args:
        checkpoint: named in the message.
        classes: how many there are, without background.
        given: a file of names, a data set's name, or `numbers` for made-up ones; or None.
        told: the data set that the checkpoint or its configuration names, or the names themselves,
            and what says so.

    Returns:
        The names, and where they are from, in words.

    Raises:
        ModelError: the file cannot be read or holds another number of names.
        UsageError: none are given and nothing tells them.
    """
    if given == "numbers":
        return tuple(f"class {number}" for number in range(1, classes + 1)), "by number"
    if given is not None and str(given) not in _SETS:
        path = Path(given)
        if not path.exists() and not path.suffix:
            raise UsageError(
                f"--names {given}: it is neither a file nor one of {', '.join(_SETS)}, numbers"
            )
        return read_names(path, classes), f"from {path}"
    if given is not None:
        names = _SETS[str(given)]()
        if len(names) != classes:
            raise UsageError(
                f"--names {given}: it has {counted(len(names), 'class', 'classes')}, the "
                f"checkpoint has {classes}"
            )
        return names, f"{given}'s, as asked"
    if told is not None:
        named, why = told
        listed = _SETS[named]() if isinstance(named, str) else named
        if len(listed) == classes:
            return listed, f"{named}'s, since {why}" if isinstance(named, str) else f"as {why}"
    if told is not None and classes > 1:
        shown = ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "")
        raise UsageError(
            f"{checkpoint}: the checkpoint has {classes} classes, but {len(listed)} are named "
            f"({shown}: {why}); give --names FILE with one name a line"
        )
    if classes == 1:
        return ("object",), "not given: the one class is called 'object'"
    fitting = [name for name, names in _SETS.items() if len(names()) == classes]
    or_set = f", or --names {fitting[0]} if they are that data set's" if fitting else ""
    raise UsageError(
        f"{checkpoint}: the checkpoint has {classes} classes and does not name them; give "
        f"--names FILE with one name a line{or_set}"
    )


def data_set(text: str) -> str | None:
    """The data set that a text names as what was trained on, such as `coco_2017_train`."""
    text = text.lower()
    if re.search(r"(?<![a-z])(ms)?coco(?![a-z])", text):
        return "coco"
    return "cityscapes" if "cityscapes" in text else None
