"""What a program gives as a picture, and what it can do where that is none."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.types import Array


def is_rgb(picture: object) -> bool:
    """Whether it is uint8 [H, W, 3] with at least one pixel."""
    return (
        isinstance(picture, np.ndarray)
        and picture.dtype == np.uint8
        and picture.ndim == 3
        and picture.shape[2] == 3
        and picture.size > 0
    )


def check_rgb(picture: object, *, others: str = "") -> NDArray[np.uint8]:
    """The picture, if it is uint8 [H, W, 3] with at least one pixel.

    Args:
        picture: what was given.
        others: what else is taken there, such as "a stream.Frame".

    Raises:
        ValueError: what it is instead, and where that is known, how it becomes one.
    """
    if isinstance(picture, np.ndarray) and is_rgb(picture):
        return picture
    if not isinstance(picture, np.ndarray):
        wanted = f"{others} or a" if others else "a"
        wanted += " NumPy array uint8 [H, W, 3] in RGB"
        raise ValueError(  # noqa: TRY004 - a wrong shape and a wrong type are one mistake here
            f"a picture must be {wanted}, not {kind_of(picture)}{advice(picture)}"
        )
    if not picture.size:
        raise ValueError(f"a picture needs at least one pixel, not {list(picture.shape)}")
    raise ValueError(
        f"a picture must be uint8 [H, W, 3] in RGB, not {kind_of(picture)}{advice(picture)}"
    )


def check_size(given: object) -> tuple[int, int]:
    """The width and height in pixels of pictures that are to come.

    Raises:
        UsageError: it is no two whole numbers from 1 on.
    """
    sides = list(given) if isinstance(given, Iterable) else []
    whole = all(isinstance(one, int | np.integer) and one > 0 for one in sides)
    if len(sides) != 2 or not whole:
        raise UsageError(f"a picture's size is (width, height) in pixels, not {given!r}")
    return int(sides[0]), int(sides[1])


def kind_of(picture: object) -> str:
    """What it is, in words: an array's numbers and shape, else its type."""
    if isinstance(picture, np.ndarray):
        return f"{picture.dtype} {list(picture.shape)}"
    return type(picture).__name__


def advice(picture: object) -> str:
    """What makes the wanted array of it, behind a semicolon; "" where nobody knows."""
    made = _of_array(picture) if isinstance(picture, np.ndarray) else _of_other(picture)
    return f"; {made}" if made else ""


def _of_array(picture: Array) -> str:
    shape, steps = picture.shape, []
    if not picture.size:
        return "it has no pixel"
    if len(shape) == 4:
        return "give one at a time, as picture[0]"
    if len(shape) == 3 and shape[0] == 3 and shape[2] > 4:
        steps.append("picture.transpose(1, 2, 0) if channels come first")
    elif len(shape) == 2 or (len(shape) == 3 and shape[2] == 1):
        steps.append("np.dstack([picture] * 3) if it is grey")
    elif len(shape) == 3 and shape[2] == 4:
        steps.append("picture[..., :3] to leave the opacity out")
    elif len(shape) != 3 or shape[2] != 3:
        return ""
    if picture.dtype.kind == "f":
        if not (picture > 1).any():
            steps.append("(255 * picture).round().astype(np.uint8) where values are 0 to 1")
        else:
            steps.append("picture.round().clip(0, 255).astype(np.uint8) where they are 0 to 255")
    elif picture.dtype == np.uint16:
        steps.append("(picture >> 8).astype(np.uint8) where values use all 16 bits")
    elif picture.dtype.kind in "iu" and picture.dtype != np.uint8:
        steps.append("picture.clip(0, 255).astype(np.uint8) where values are 0 to 255")
    elif picture.dtype.kind == "b":
        steps.append("255 * picture.astype(np.uint8)")
    return "take " + " and ".join(steps) if steps else ""


_OF_LIBRARIES = {
    "PIL": "np.asarray(ImageOps.exif_transpose(image).convert('RGB'))",
    "av": "frame.to_ndarray(format='rgb24')",
    "torch": "tensor.permute(1, 2, 0).cpu().numpy() where channels come first",
}


def _of_other(picture: object) -> str:
    library = type(picture).__module__.partition(".")[0]
    made = _OF_LIBRARIES.get(library, "")
    if callable(getattr(picture, "rgb", None)):  # a frame of ours
        made = "frame.rgb()"
    elif type(picture).__name__ == "UMat":
        made = "cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).get() where it is OpenCV's BGR"
    elif isinstance(picture, str | os.PathLike):
        return "stream.open opens files"
    elif callable(getattr(picture, "read", None)):
        return "stream.open opens files, by their names"
    elif isinstance(picture, bytes | bytearray | memoryview):
        decoded = "cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]"
        made = f"{decoded} where it is a file's content"
    elif isinstance(picture, list | tuple) and any(hasattr(one, "shape") for one in picture[:1]):
        return "give one at a time, as picture[0]"
    elif isinstance(picture, list | tuple):
        made = "np.array(picture, np.uint8)"
    elif not made and hasattr(picture, "__array__"):
        made = "np.asarray(picture)"
    return f"take {made}" if made else ""
