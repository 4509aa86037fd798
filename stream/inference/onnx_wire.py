"""Reads the fields of an ONNX file's messages from the file itself, skipping what is large.

The encoding is Protocol Buffers' wire format.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""The ways in which a field is written."""


def enter(file: BinaryIO, end: int, wanted: int) -> int:
    """Goes to a message's first field of a number; returns where that ends.

    Raises:
        ValueError: there is none, or it is in another format.
    """
    while file.tell() < end:
        number, value = next_field(file)
        if value is None:
            continue
        if number == wanted:
            return file.tell() + value
        file.seek(value, 1)
    raise ValueError("it holds no graph")


def next_field(file: BinaryIO) -> tuple[int, int | None]:
    """A field's number and the bytes that follow; None where it is a number itself.

    Raises:
        ValueError: it is in another format, or cut short.
    """
    tag, value = number_in(file), number_in(file)
    if tag & 7 not in (VARINT, BYTES):
        raise ValueError("neither a number nor a string")
    return tag >> 3, None if tag & 7 == VARINT else value


def number_in(file: BinaryIO) -> int:
    """The next base-128 number (a "varint").

    Raises:
        ValueError: it is cut short, or has more than 64 bits.
    """
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("the file ends within a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("a number of more than 64 bits")


def fields_in(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message that holds only numbers and strings.

    Raises:
        ValueError: it holds others, or is cut short.
    """
    file = io.BytesIO(content)
    while file.tell() < len(content):
        tag, value = number_in(file), number_in(file)
        if tag & 7 == VARINT:
            yield tag >> 3, value
        elif tag & 7 == BYTES:
            yield tag >> 3, file.read(value)
        else:
            raise ValueError("neither a number nor a string")
