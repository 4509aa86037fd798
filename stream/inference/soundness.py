"""Whether a model's weights are those that were written, and numbers at all.

A flipped bit of a weight, or a hole of zeros that a broken download left, breaks no file: a model
opens, and answers wrongly or finds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from stream.errors import ModelError
from stream.inference.contract import PREFIX
from stream.inference.onnx_ends import WEIGHT
from stream.inference.onnx_fields import fields, text
from stream.inference.onnx_file import DAMAGED, GRAPH, METADATA, read_onnx_file
from stream.inference.onnx_wire import enter, next_field
from stream.inference.onnx_writer import encoded_bytes, encoded_text
from stream.inference.sums import told, total
from stream.types import Array

SUM = f"{PREFIX}sum_of_graph"
"""The property of a file that holds its graph's length in bytes and their sum."""

_WORDS = {
    1: (np.uint32, 0x7F800000, 0x007FFFFF),
    10: (np.uint16, 0x7C00, 0x03FF),
    11: (np.uint64, 0x7FF0000000000000, 0x000FFFFFFFFFFFFF),
    16: (np.uint16, 0x7F80, 0x007F),
}
"""Of each kind of float number (TensorProto.DataType) a word, its exponent and its fraction."""
_KIND, _NAME, _NUMBERS = 2, 8, {4, 9, 10}
"""Fields of TensorProto; the numbers are in one of three."""
_FEW = 8


def sum_entry(path: Path) -> bytes:
    """What is to stand behind an ONNX file's content so that it tells the sum of its graph.

    Args:
        path: a file that tells none.

    Raises:
        ModelError: it cannot be read.
    """
    entry = encoded_text(1, SUM) + encoded_text(2, _sum(path))
    return encoded_bytes(METADATA, entry)


def check_sound(path: Path) -> None:
    """Sees that a model's weights are those that were written, and all of them numbers.

    It reads the whole file, 8 MB in 1 to 3 ms: for when that is read anyway.

    Args:
        path: an ONNX file. One of another tool tells no sum, and one that a tool has changed has
            another length as a rule; their weights must be numbers.

    Raises:
        ModelError: they are not, or it cannot be read.
    """
    try:
        about = path.stat()
        _check(path, about.st_size, about.st_mtime_ns)
    except OSError as error:
        raise ModelError(f"the model {str(path)!r} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=16)
def _check(path: Path, size: int, changed: int) -> None:
    written = read_onnx_file(path).metadata.get(SUM, "")
    found = _sum(path)
    if written == found:
        return  # `stream export` and `stream train` have seen to it that they are numbers
    # Another tool that has changed the graph leaves the file's properties as they were.
    if written.partition(" ")[0] == found.partition(" ")[0]:
        raise ModelError(
            f"the model {str(path)!r} is damaged inside, as it holds other weights than were "
            "written; copy, download or export it again (if you have changed it yourself, remove "
            f"{SUM!r} from its metadata_props)"
        )
    try:
        names = list(_no_numbers(path))
    except (ValueError, TypeError) as error:
        raise ModelError(f"the model {str(path)!r} {DAMAGED}") from error
    if names:
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        raise ModelError(
            f"the model {str(path)!r} cannot be used: its weight {names[0]!r}{more} holds values "
            "that are no numbers (NaN or infinite); copy or download it again, or export a "
            "checkpoint from before its training diverged"
        )


def _sum(path: Path) -> str:
    """The length and the sum of a file's graph, as they are written."""
    try:
        with path.open("rb") as file:
            end = enter(file, path.stat().st_size, GRAPH)
            begin = file.tell()
        with path.open("rb", buffering=0) as raw:
            raw.seek(begin)
            return f"{end - begin} {told(total(raw, end - begin))}"
    except (OSError, ValueError) as error:
        raise ModelError(f"the model {str(path)!r} cannot be read: {error}") from error


def _no_numbers(path: Path) -> Iterator[str]:
    """Names of stored weights in which not all are numbers.

    Infinity by itself, or in what is added to scores to leave some out, is a limit and no fault.
    """
    with path.open("rb") as file:
        end = enter(file, path.stat().st_size, GRAPH)
        while file.tell() < end:
            number, value = next_field(file)
            if number == WEIGHT and value is not None:
                name, found = _stored(memoryview(file.read(value)))
                if found is not None and _faulty(*found):
                    yield name
            elif value is not None:
                file.seek(value, 1)


def _stored(tensor: memoryview) -> tuple[str, tuple[Array, int, int] | None]:
    """A weight's name, and its words with their exponent and fraction where it is of floats."""
    name, kind, held = "", 0, memoryview(b"")
    for number, value, _ in fields(tensor):
        if number == _KIND and isinstance(value, int):
            kind = value
        elif number == _NAME:
            name = text(value)
        elif number in _NUMBERS and not isinstance(value, int):
            held = value
    if kind not in _WORDS:
        return name, None
    word, exponent, fraction = _WORDS[kind]
    count = len(held) // np.dtype(word).itemsize
    return name, (np.frombuffer(held, word, count), exponent, fraction)


def _faulty(words: Array, exponent: int, fraction: int) -> bool:
    """Whether float numbers hold NaN, or infinity that is no limit."""
    odd = (words & exponent) == exponent
    if not odd.any():
        return False
    # Limits of boxes are few, and what leaves scores out is 0 elsewhere.
    return bool((words[odd] & fraction).any()) or (len(words) > _FEW and bool(words[~odd].any()))
