"""Options that converters share: sizes and class names as a user writes them."""

from __future__ import annotations

import re
from pathlib import Path

from stream.errors import ModelError, UsageError
from stream.inference.contract import Resize


def parse_size(text: str, *, in_graph: bool, padding: int = 116) -> Resize:
    """What `--size` means.

    Args:
        text: "800/1333", the shortest edge and the longest that it may lead to, or "640x384",
            width and height of a letterbox.
        in_graph: whether the graph resizes the picture itself, for the former.
        padding: the letterbox's margins, 0..255; the default is the mean of ImageNet's colours.

    Raises:
        UsageError: it is neither, or too small or large.
    """
    edges = re.fullmatch(r"(\d+)/(\d+)", text)
    box = re.fullmatch(r"(\d+)[xX](\d+)", text)
    found = edges or box
    if found is None:
        raise UsageError(
            f"--size {text!r}: write the shortest edge and its maximum, such as 800/1333, or a "
            "fixed width and height, such as 640x384"
        )
    first, second = int(found[1]), int(found[2])
    if not 32 <= first <= 4096 or not 32 <= second <= 4096:
        raise UsageError(f"--size {text!r}: edges must be 32 to 4096 pixels")
    if box:
        if first % 32 or second % 32:
            raise UsageError(f"--size {text!r}: width and height must be multiples of 32")
        return Resize("letterbox", width=first, height=second, padding=padding, anchor="centre")
    if second < first:
        raise UsageError(f"--size {text!r}: the maximum is below the shortest edge")
    if in_graph:
        return Resize("native")
    return Resize("shortest_edge", shortest=first, longest=second)


def edges_of(text: str) -> tuple[int, int]:
    """The two numbers of a `--size` that `parse_size` accepts."""
    first, second = re.split(r"[/xX]", text)
    return int(first), int(second)


def read_names(path: Path, classes: int) -> tuple[str, ...]:
    """Class names from a text file, one a line; a leading background is left out.

    Args:
        path: the file, UTF-8.
        classes: how many names the model needs, without background.

    Raises:
        ModelError: the file cannot be read or holds another number of names.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: class names cannot be read ({error})") from error
    names = [line for line in lines if line]
    background = {"background", "__background__", "_background_"}
    if len(names) == classes + 1 and names[0].casefold() in background:
        names = names[1:]
    if len(names) != classes:
        raise ModelError(
            f"{path}: it holds {len(names)} names, the model has {classes} classes besides "
            "background"
        )
    return tuple(names)
