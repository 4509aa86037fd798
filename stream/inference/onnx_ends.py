"""The ends of an ONNX file's graph, and the files beside it with weights of its.

Nodes and weights are skipped, so that it takes milliseconds. The field numbers are those of
`GraphProto`, `NodeProto` and `TensorProto` in ONNX's onnx.proto3.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from stream.errors import ModelError
from stream.inference.onnx_fields import text
from stream.inference.onnx_file import DAMAGED, GRAPH
from stream.inference.onnx_wire import (
    BYTES,
    FIXED32,
    FIXED64,
    enter,
    fields_in,
    next_field,
    number_in,
)
from stream.wording.words import counted

# Entries of a tensor's `external_data`: its key, whole, and what its value begins with.
_LOCATION, _OFFSET, _LENGTH = b"\n\x08location\x12", b"\n\x06offset\x12", b"\n\x06length\x12"
_SHORT = 8192
# Of GraphProto and TensorProto.
WEIGHT = 5
_NODE, _NAME, _INPUT, _OUTPUT, _TENSOR_NAME = 1, 2, 11, 12, 8
# Of NodeProto: the kinds by which numbers become bytes, or that take them.
_OF_BYTES = tuple(
    b'"' + bytes([len(kind)]) + kind
    for kind in (
        b"QuantizeLinear",
        b"DynamicQuantizeLinear",
        b"QLinearConv",
        b"QLinearMatMul",
        b"QGemm",
        b"ConvInteger",
        b"MatMulInteger",
        b"MatMulIntegerToFloat",
        b"DynamicQuantizeMatMul",
    )
)


@dataclass(frozen=True, slots=True)
class Graph:
    """The ends of an ONNX file's graph.

    Attributes:
        name: of the graph.
        inputs: shapes by name, those of stored weights left out; what is not fixed is text.
        outputs: likewise.
        beside: how many bytes files with weights have at least, by their names as seen from the
            file's folder; sorted.
        of_bytes: whether layers multiply bytes, as in models that were quantised.
    """

    name: str
    inputs: dict[str, tuple[int | str, ...]]
    outputs: dict[str, tuple[int | str, ...]]
    beside: Mapping[str, int] = field(default_factory=dict)
    of_bytes: bool = False


def read_graph(path: Path) -> Graph:
    """Reads what goes into a file's graph and what comes out; nodes and weights are skipped.

    Args:
        path: a file that `read_onnx_file` has read.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        about = path.stat()
        return _graph(path, about.st_size, about.st_mtime_ns)
    except OSError as error:
        raise ModelError(f"the model {str(path)!r} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, IndexError) as error:
        raise ModelError(f"the model {str(path)!r} {DAMAGED}") from error


@lru_cache(maxsize=16)
def _graph(path: Path, size: int, changed: int) -> Graph:
    """The ends of a graph, asked for several times a start; of another file `changed` differs."""
    name = ""
    weights: list[tuple[int, int]] = []
    beside: dict[str, int] = {}
    of_bytes = False
    ends: dict[int, dict[str, tuple[int | str, ...]]] = {_INPUT: {}, _OUTPUT: {}}
    with path.open("rb") as file:
        end = enter(file, size, GRAPH)
        while file.tell() < end:
            number, value = next_field(file)
            if number == _NAME and value is not None:
                name = file.read(value).decode("utf-8", "replace")
            elif number == WEIGHT and value is not None:
                after = file.tell() + value
                weights.append((file.tell(), after))
                # One whose numbers are elsewhere is short.
                if value < _SHORT and (at := _elsewhere(file.read(value))) is not None:
                    beside[at[0]] = max(at[1], beside.get(at[0], 0))
                file.seek(after)
            elif number in ends and value is not None:
                told, shape = _value(file.read(value))
                ends[number][told] = shape
            # A longer node holds a constant's numbers.
            elif number == _NODE and value is not None and value < _SHORT and not of_bytes:
                node = file.read(value)
                of_bytes = any(kind in node for kind in _OF_BYTES)
            elif value is not None:
                file.seek(value, 1)
        # Up to version 3 of the format weights are inputs too; where there is one input, it is
        # the picture, and the names of hundreds of weights need not be read.
        if len(ends[_INPUT]) > 1:
            for start, after in weights:
                file.seek(start)
                ends[_INPUT].pop(_weight_name(file, after), None)
    return Graph(name, ends[_INPUT], ends[_OUTPUT], dict(sorted(beside.items())), of_bytes)


def weights_beside(path: Path) -> tuple[Path, ...]:
    """The files beside an ONNX file that hold weights of its, as far as they are there; sorted.

    Raises:
        ModelError: the file cannot be read.
    """
    files = (path.parent / name for name in read_graph(path).beside)
    return tuple(one for one in files if one.is_file())


def files_of(path: Path) -> tuple[Path, ...]:
    """A model's file and those beside it with weights of its; alone where it cannot be read."""
    try:
        return path, *weights_beside(path)
    except ModelError:
        return (path,)


def size_of(path: Path) -> int:
    """Bytes of a model's file and of those beside it with weights of its."""
    return sum(one.stat().st_size for one in files_of(path))


def check_weights(path: Path) -> None:
    """Sees that files beside an ONNX file are there that hold weights of its, and long enough.

    Raises:
        ModelError: one is missing or cut short, or the file itself cannot be read.
    """
    for name, needed in read_graph(path).beside.items():
        file = path.parent / name
        if not file.is_file():
            raise ModelError(
                f"the model {str(path)!r} has its weights in another file, {str(file)!r}, "
                "which is not there: the two belong into one folder"
            )
        if (missing := needed - file.stat().st_size) > 0:
            raise ModelError(
                f"the weights of the model {str(path)!r} are cut short: at least "
                f"{counted(missing, 'byte is', 'bytes are')} missing at the end of "
                f"{str(file)!r}; copy or download it again"
            )


def _elsewhere(tensor: bytes) -> tuple[str, int] | None:
    """The file that holds a tensor's numbers, and where they end in it.

    None where the tensor holds them itself.
    """
    name = _entry(tensor, _LOCATION)
    if name is None or "\0" in name:
        return None
    numbers = (_entry(tensor, key) or "" for key in (_OFFSET, _LENGTH))
    return name, sum(int(one) if one.isascii() and one.isdecimal() else 0 for one in numbers)


def _entry(tensor: bytes, key: bytes) -> str | None:
    at = tensor.find(key)
    if at < 0:
        return None
    rest = io.BytesIO(tensor[at + len(key) :])
    return rest.read(number_in(rest)).decode("utf-8", "replace")


def _weight_name(file: BinaryIO, end: int) -> str:
    """The name of a TensorProto, whose other fields may be large or of fixed width."""
    while file.tell() < end:
        tag = number_in(file)
        wire = tag & 7
        if wire in (FIXED64, FIXED32):
            file.seek(8 if wire == FIXED64 else 4, 1)
            continue
        value = number_in(file)
        if wire == BYTES:
            if tag >> 3 == _TENSOR_NAME:
                return file.read(value).decode("utf-8", "replace")
            file.seek(value, 1)
    return ""


def _value(content: bytes) -> tuple[str, tuple[int | str, ...]]:
    """Name and shape of a ValueInfoProto."""
    name, shape = "", b""
    for number, value in fields_in(content):
        if number == 1:
            name = text(value)
        elif number == 2 and isinstance(value, bytes):
            tensor = dict(fields_in(value)).get(1, b"")  # TypeProto.tensor_type
            shape_of = dict(fields_in(tensor)) if isinstance(tensor, bytes) else {}
            found = shape_of.get(2, b"")
            shape = found if isinstance(found, bytes) else b""
    sides: list[int | str] = []
    for _, side in fields_in(shape):
        told = dict(fields_in(side)) if isinstance(side, bytes) else {}
        size = told.get(1)
        sides.append(size if isinstance(size, int) else text(told.get(2, b"")))
    return name, tuple(sides)
