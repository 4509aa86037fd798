"""Reads the fields of an ONNX file's messages, without the package `onnx`.

The encoding is Protocol Buffers' wire format.
"""

from __future__ import annotations

from collections.abc import Iterator

_OPSET = 8  # ModelProto.opset_import


def text(value: int | bytes | memoryview) -> str:
    """A field's value where it is text.

    Raises:
        TypeError: it is a number.
    """
    if isinstance(value, int):
        raise TypeError("a number where text belongs")
    return bytes(value).decode()


def numbers(value: int | memoryview) -> list[int]:
    """A field's whole numbers, signed, whether it is one or holds several of them packed.

    Raises:
        ValueError: it is cut short.
    """
    found, at = [value] if isinstance(value, int) else [], 0
    while not isinstance(value, int) and at < len(value):
        one, at = _varint(value, at)
        found.append(one)
    return [one - (1 << 64) if one >> 63 else one for one in found]


def fields(content: memoryview) -> Iterator[tuple[int, int | memoryview, memoryview]]:
    """A message's fields: number, value, and all of it as it is.

    Raises:
        ValueError: it is in another format, or cut short.
    """
    at, end = 0, len(content)
    while at < end:
        start = at
        tag, at = _varint(content, at)
        wire = tag & 7
        value: int | memoryview
        if wire == 0:
            value, at = _varint(content, at)
        else:
            length, at = {1: (8, at), 5: (4, at)}.get(wire) or _varint(content, at)
            if wire not in (1, 2, 5) or at + length > end:
                raise ValueError("no ONNX file")
            value, at = content[at : at + length], at + length
        yield tag >> 3, value, content[start:at]


def opset(model: bytes) -> int:
    """The version of ONNX's own operators that a model's file wants; 0 for none.

    Raises:
        ValueError: it is not in the format of an ONNX file.
    """
    newest = 0
    for number, value, _ in fields(memoryview(model)):
        if number != _OPSET or not isinstance(value, memoryview):
            continue
        told = {at: one for at, one, _ in fields(value)}
        version = told.get(2, 0)
        own = text(told.get(1, memoryview(b""))) in ("", "ai.onnx")
        newest = max(newest, version if own and isinstance(version, int) else 0)
    return newest


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise ValueError("the file ends within a number")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")
