"""What an ONNX file says of itself, read from its outermost fields only.

Listing a catalogue or refusing a broken file must not cost a session (hundreds of megabytes, and
seconds), and the runtime does not depend on the package `onnx`. The field numbers are those of
`ModelProto` in ONNX's onnx.proto3, the encoding is Protocol Buffers' wire format.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from stream.errors import ModelError
from stream.inference.onnx_fields import text

_IR_VERSION, _PRODUCER, _GRAPH, _OPSET, _METADATA = 1, 2, 7, 8, 14
# Every field of ModelProto as of ONNX 1.23; any other number means that this is something else.
_KNOWN = {*range(1, 9), 14, 20, 25, 26}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Entries of a tensor's `external_data`: its key, whole, and what its value begins with.
_LOCATION, _OFFSET, _LENGTH = b"\n\x08location\x12", b"\n\x06offset\x12", b"\n\x06length\x12"
_SHORT = 8192
DAMAGED = "is damaged inside; copy, download or export it again"
# Of GraphProto and TensorProto.
_NODE, _NAME, _WEIGHT, _INPUT, _OUTPUT, _TENSOR_NAME = 1, 2, 5, 11, 12, 8
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


CHECKPOINTS = (".pt", ".pth", ".pkl", ".ckpt", ".bin", ".safetensors", ".h5", ".keras", ".pb")
"""Endings of files that hold weights without a network, or a network of another system."""

_LFS = b"version https://git-lfs"
_HEADS = (
    ((_LFS,), " but a pointer of Git LFS; fetch the file with: git lfs pull"),
    ((b"<!doctype", b"<html", b"<?xml"), " but a web page; download the file itself"),
    ((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd"), " but packed; unpack it first"),
)
"""How files begin that are no models, and what each is."""
_OTHERS = {
    ".engine": "TensorRT",
    ".plan": "TensorRT",
    ".trt": "TensorRT",
    ".tflite": "TensorFlow Lite",
    ".xml": "OpenVINO",
    ".mlmodel": "Core ML",
    ".pdmodel": "Paddle",
    ".pdparams": "Paddle",
    ".param": "ncnn",
}
"""Endings of whole models that only one runtime reads."""
_WEIGHTS = (b"PK\x03\x04", b"\x80", b"\x89HDF")


def _instead(path: Path) -> str:
    """What a file is that is no ONNX model, and what to do: the end of a sentence."""
    try:
        with path.open("rb") as file:
            head = file.read(64).lstrip().lower()
    except OSError:
        return ""
    other = _OTHERS.get(path.suffix.lower())
    if other is not None and not head.startswith(_LFS):
        return (
            f" but, by its name, one for {other} alone; give the .onnx file that `stream export` "
            "made of the Mask R-CNN's checkpoint"
        )
    for heads, what in _HEADS:
        if head.startswith(tuple(one.lower() for one in heads)):
            return what
    if head.startswith(tuple(one.lower() for one in _WEIGHTS)) or path.suffix in CHECKPOINTS:
        return (
            "; if it is the checkpoint of a Mask R-CNN, `stream export` makes one of it "
            "(stream export --help)"
        )
    return "; it may be cut short or damaged: export or download it again"


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
        end = _enter(file, size, _GRAPH)
        while file.tell() < end:
            number, value = _next(file)
            if number == _NAME and value is not None:
                name = file.read(value).decode("utf-8", "replace")
            elif number == _WEIGHT and value is not None:
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
                f"the weights of the model {str(path)!r} are cut short: at least {missing} bytes "
                f"are missing at the end of {str(file)!r}; copy or download it again"
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
    return rest.read(_number(rest)).decode("utf-8", "replace")


def _enter(file: BinaryIO, end: int, wanted: int) -> int:
    """Goes to a message's first field of a number; returns where that ends."""
    while file.tell() < end:
        number, value = _next(file)
        if value is None:
            continue
        if number == wanted:
            return file.tell() + value
        file.seek(value, 1)
    raise ValueError("it holds no graph")


def _next(file: BinaryIO) -> tuple[int, int | None]:
    """A field's number and the bytes that follow; None where it is a number itself."""
    tag, value = _number(file), _number(file)
    if tag & 7 not in (_VARINT, _BYTES):
        raise ValueError("neither a number nor a string")
    return tag >> 3, None if tag & 7 == _VARINT else value


def _weight_name(file: BinaryIO, end: int) -> str:
    """The name of a TensorProto, whose other fields may be large or of fixed width."""
    while file.tell() < end:
        tag = _number(file)
        wire = tag & 7
        if wire in (_FIXED64, _FIXED32):
            file.seek(8 if wire == _FIXED64 else 4, 1)
            continue
        value = _number(file)
        if wire == _BYTES:
            if tag >> 3 == _TENSOR_NAME:
                return file.read(value).decode("utf-8", "replace")
            file.seek(value, 1)
    return ""


def _value(content: bytes) -> tuple[str, tuple[int | str, ...]]:
    """Name and shape of a ValueInfoProto."""
    name, shape = "", b""
    for number, value in _fields(content):
        if number == 1:
            name = text(value)
        elif number == 2 and isinstance(value, bytes):
            tensor = dict(_fields(value)).get(1, b"")  # TypeProto.tensor_type
            shape_of = dict(_fields(tensor)) if isinstance(tensor, bytes) else {}
            found = shape_of.get(2, b"")
            shape = found if isinstance(found, bytes) else b""
    sides: list[int | str] = []
    for _, side in _fields(shape):
        told = dict(_fields(side)) if isinstance(side, bytes) else {}
        size = told.get(1)
        sides.append(size if isinstance(size, int) else text(told.get(2, b"")))
    return name, tuple(sides)


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
                opsets[text(parts.get(1, b""))] = int(parts.get(2, 0))
            elif number == _METADATA:
                parts = dict(_fields(file.read(value)))
                metadata[text(parts.get(1, b""))] = text(parts.get(2, b""))
            else:
                has_graph = has_graph or number == _GRAPH
                file.seek(value, 1)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{str(path)!r} is not an ONNX model{_instead(path)}") from error
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
