"""What an ONNX file says of itself, read from its outermost fields only.

Listing a catalogue or refusing a broken file must not cost a session (hundreds of megabytes, and
seconds), and the runtime does not depend on the package `onnx`. The field numbers are those of
`ModelProto` in ONNX's onnx.proto3, the encoding is Protocol Buffers' wire format.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from stream.errors import ModelError

_IR_VERSION, _PRODUCER, _GRAPH, _OPSET, _METADATA = 1, 2, 7, 8, 14
# Every field of ModelProto as of ONNX 1.23; any other number means that this is something else.
_KNOWN = {*range(1, 9), 14, 20, 25, 26}
_VARINT, _BYTES = 0, 2


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """The outside of an ONNX file.

    Attributes:
        path: where it lies.
        size: in bytes.
        ir_version: of the file format.
        producer: the program that wrote it.
        opsets: the operator set's version by domain; "" is ONNX's own.
        metadata: `metadata_props`.
    """

    path: Path
    size: int
    ir_version: int
    producer: str
    opsets: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


def read_onnx_file(path: Path) -> OnnxFile:
    """Reads the outermost fields of an ONNX file; the graph itself is skipped.

    Raises:
        ModelError: the file is missing, unreadable, no ONNX file, or cut short.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _read(path, size, file)
    except FileNotFoundError:
        raise ModelError(f"there is no model file {str(path)!r}") from None
    except IsADirectoryError:
        raise ModelError(f"{str(path)!r} is a folder, a model is one .onnx file") from None
    except OSError as error:
        raise ModelError(f"cannot read the model {str(path)!r}: {error.strerror}") from error


def _read(path: Path, size: int, file: BinaryIO) -> OnnxFile:
    if size == 0:
        raise ModelError(f"the model {str(path)!r} is empty")
    ir_version, producer, has_graph = 0, "", False
    opsets: dict[str, int] = {}
    metadata: dict[str, str] = {}
    try:
        while file.tell() < size:
            tag, value = _number(file), _number(file)
            number, wire = tag >> 3, tag & 7
            if wire == _VARINT and number in _KNOWN:
                ir_version = value if number == _IR_VERSION else ir_version
                continue
            _check_field(path, tag, value - (size - file.tell()), begun=bool(ir_version))
            if number == _PRODUCER:
                producer = file.read(value).decode()
            elif number == _OPSET:
                parts = dict(_fields(file.read(value)))
                opsets[_text(parts.get(1, b""))] = int(parts.get(2, 0))
            elif number == _METADATA:
                parts = dict(_fields(file.read(value)))
                metadata[_text(parts.get(1, b""))] = _text(parts.get(2, b""))
            else:
                has_graph = has_graph or number == _GRAPH
                file.seek(value, 1)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{str(path)!r} is not an ONNX model") from error
    if not has_graph:
        raise ModelError(f"{str(path)!r} is not an ONNX model: it holds no graph")
    return OnnxFile(path, size, ir_version, producer, opsets, metadata)


def _check_field(path: Path, tag: int, missing: int, *, begun: bool) -> None:
    """Refuses a field that is none of ONNX's or runs past the end of the file."""
    if tag >> 3 not in _KNOWN or tag & 7 != _BYTES:
        raise ValueError("no field of an ONNX file")
    if missing <= 0:
        return
    # Text can look like the start of a field by chance, but hardly after a version number.
    if not begun:
        raise ValueError("no ONNX file")
    raise ModelError(
        f"the model {str(path)!r} is cut short: at least {missing} bytes are missing at its end; "
        "copy or download it again"
    )


def _number(file: BinaryIO) -> int:
    """The next base-128 number (a "varint")."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("the file ends within a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("a number of more than 64 bits")


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message that holds only numbers and strings."""
    file = io.BytesIO(content)
    while file.tell() < len(content):
        tag, value = _number(file), _number(file)
        if tag & 7 == _VARINT:
            yield tag >> 3, value
        elif tag & 7 == _BYTES:
            yield tag >> 3, file.read(value)
        else:
            raise ValueError("neither a number nor a string")


def _text(value: int | bytes) -> str:
    if isinstance(value, int):
        raise TypeError("a number where text belongs")
    return value.decode("utf-8")
