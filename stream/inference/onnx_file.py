"""What an ONNX file says of itself, read from its outermost fields only.

Listing a catalogue or refusing a broken file must not cost a session (hundreds of megabytes, and
seconds), and the runtime does not depend on the package `onnx`. The field numbers are those of
`ModelProto` in ONNX's onnx.proto3, the encoding is Protocol Buffers' wire format.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from stream.errors import ModelError, NoModelError
from stream.inference.onnx_fields import text
from stream.inference.onnx_wire import BYTES, VARINT, fields_in, number_in
from stream.wording.words import counted

GRAPH, METADATA = 7, 14
_IR_VERSION, _PRODUCER, _OPSET = 1, 2, 8
# Every field of ModelProto as of ONNX 1.23; any other number means that this is something else.
_KNOWN = {*range(1, 9), 14, 20, 25, 26}
DAMAGED = "is damaged inside; copy, download or export it again"


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
        raise NoModelError(f"there is no model file {str(path)!r}") from None
    except IsADirectoryError:
        raise NoModelError(f"{str(path)!r} is a folder, a model is one .onnx file") from None
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
            tag, value = number_in(file), number_in(file)
            number, wire = tag >> 3, tag & 7
            if wire == VARINT and number in _KNOWN:
                ir_version = value if number == _IR_VERSION else ir_version
                continue
            _check_field(path, tag, value - (size - file.tell()), begun=bool(ir_version))
            if number == _PRODUCER:
                producer = file.read(value).decode()
            elif number == _OPSET:
                parts = dict(fields_in(file.read(value)))
                opsets[text(parts.get(1, b""))] = int(parts.get(2, 0))
            elif number == METADATA:
                parts = dict(fields_in(file.read(value)))
                metadata[text(parts.get(1, b""))] = text(parts.get(2, b""))
            else:
                has_graph = has_graph or number == GRAPH
                file.seek(value, 1)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{str(path)!r} is not an ONNX model{_instead(path)}") from error
    if not has_graph:
        raise ModelError(f"{str(path)!r} is not an ONNX model: it holds no graph")
    return OnnxFile(path, size, ir_version, producer, opsets, metadata)


def _check_field(path: Path, tag: int, missing: int, *, begun: bool) -> None:
    """Refuses a field that is none of ONNX's or runs past the end of the file."""
    if tag >> 3 not in _KNOWN or tag & 7 != BYTES:
        raise ValueError("no field of an ONNX file")
    if missing <= 0:
        return
    # Text can look like the start of a field by chance, but hardly after a version number.
    if not begun:
        raise ValueError("no ONNX file")
    raise ModelError(
        f"the model {str(path)!r} is cut short: at least "
        f"{counted(missing, 'byte is', 'bytes are')} missing at its end; copy or download it again"
    )
