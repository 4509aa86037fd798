"""Names of classes."""

from __future__ import annotations

from pathlib import Path

from stream.errors import UsageError
from stream_export.options import read_names

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


def names_for(checkpoint: Path, classes: int, given: Path | None) -> tuple[str, ...]:
    """The names of a checkpoint's classes: those given, else the data set's that has as many.

    Args:
        checkpoint: named in the message.
        classes: how many there are, without background.
        given: a file of names, one a line, or None.

    Raises:
        ModelError: the file cannot be read or holds another number of names.
        UsageError: none are given and nothing can be guessed.
    """
    if given is not None:
        return read_names(given, classes)
    known = {len(COCO): COCO, len(CITYSCAPES): CITYSCAPES}
    if classes not in known:
        raise UsageError(
            f"{checkpoint}: the checkpoint has {classes} classes and does not name them; give "
            "--names FILE with one name a line"
        )
    return known[classes]
