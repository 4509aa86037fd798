"""The contract's metadata in an ONNX file: written and read here, by every converter and tool."""

from __future__ import annotations

from pathlib import Path

import onnx

from stream.errors import ModelError, NoModelError
from stream.inference.contract import PREFIX, Metadata, check_tensors
from stream.inference.foreign import describe
from stream.inference.onnx_ends import Graph, check_weights
from stream.inference.onnx_file import DAMAGED, OnnxFile, read_onnx_file
from stream.inference.soundness import SUM, check_sound, sum_entry
from stream_export.output import replacing

_KINDS: dict[int, str] = {
    onnx.TensorProto.UINT8: "tensor(uint8)",
    onnx.TensorProto.FLOAT: "tensor(float)",
    onnx.TensorProto.FLOAT16: "tensor(float16)",
    onnx.TensorProto.INT64: "tensor(int64)",
    onnx.TensorProto.INT32: "tensor(int32)",
    onnx.TensorProto.DOUBLE: "tensor(double)",
}


def write_metadata(model: onnx.ModelProto, metadata: Metadata) -> None:
    """Writes the contract's metadata into a model, in place of what it said before.

    Properties that are not the contract's stay.
    """
    kept = {
        entry.key: entry.value for entry in model.metadata_props if not entry.key.startswith(PREFIX)
    }
    onnx.helper.set_model_props(model, {**kept, **metadata.to_properties()})


def read_metadata(model: onnx.ModelProto) -> Metadata:
    """What a model says of itself.

    Raises:
        ModelError: the metadata are missing or wrong.
    """
    return Metadata.from_properties({entry.key: entry.value for entry in model.metadata_props})


def tensors(
    values: list[onnx.ValueInfoProto],
) -> dict[str, tuple[str, list[int | str | None]]]:
    """Names, types and shapes of a graph's inputs or outputs, as ONNX Runtime spells them."""
    found: dict[str, tuple[str, list[int | str | None]]] = {}
    for value in values:
        tensor = value.type.tensor_type
        shape: list[int | str | None] = [
            dim.dim_value if dim.HasField("dim_value") else (dim.dim_param or None)
            for dim in tensor.shape.dim
        ]
        found[value.name] = (_KINDS.get(tensor.elem_type, f"type {tensor.elem_type}"), shape)
    return found


def check_contract(model: onnx.ModelProto) -> Metadata:
    """Checks that a model keeps the contract: tensors, metadata, no Loop, If or Scan.

    Raises:
        ModelError: the first breach, in one sentence.
    """
    metadata = read_metadata(model)
    check_tensors(tensors(list(model.graph.input)), tensors(list(model.graph.output)))
    control = sorted({node.op_type for node in model.graph.node} & {"Loop", "If", "Scan"})
    if control:
        raise ModelError(f"its graph holds {', '.join(control)}, which the contract forbids")
    return metadata


def foreign(model: onnx.ModelProto) -> str:
    """What an ONNX model is that may not keep the contract, in words that fit behind "it is"."""
    properties = {entry.key: entry.value for entry in model.metadata_props}
    if f"{PREFIX}contract" in properties:
        return "an exported model already; look at it with: stream export inspect"
    stored = {item.name for item in model.graph.initializer}
    producer = f"{model.producer_name} {model.producer_version}".strip()
    return describe(
        OnnxFile(Path(), 0, model.ir_version, producer, {}, properties),
        Graph(
            f"{model.graph.name} {model.doc_string}",
            {value.name: _shape(value) for value in model.graph.input if value.name not in stored},
            {value.name: _shape(value) for value in model.graph.output},
        ),
    )


def _shape(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    return tuple(
        side.dim_value if side.HasField("dim_value") else side.dim_param
        for side in value.type.tensor_type.shape.dim
    )


def load_model(path: Path) -> onnx.ModelProto:
    """Reads a model that keeps the contract.

    Raises:
        ModelError: the file is missing, no ONNX model, or breaks the contract.
    """
    if not path.exists():
        raise NoModelError(f"{path}: there is no such file")
    if path.is_dir() or not path.stat().st_size:
        read_onnx_file(path)  # which says what it is; ONNX takes nothing for a model
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf's own errors share no public base class
        read_onnx_file(path)  # which says what the file is
        check_weights(path)
        raise ModelError(f"the model {str(path)!r} {DAMAGED} ({error})") from error
    check_weights(path)  # onnx before 1.21 takes whatever there is of them
    check_sound(path)
    if not any(entry.key == f"{PREFIX}contract" for entry in model.metadata_props):
        raise ModelError(f"{path}: it is {foreign(model)}")
    try:
        check_contract(model)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return model


def save_model(model: onnx.ModelProto, path: Path) -> None:
    """Writes a model beside its name first, so that what was there survives a failure.

    Raises:
        ModelError: the file cannot be written.
    """
    if any(entry.key == SUM for entry in model.metadata_props):
        # Of what it was before.
        kept = {entry.key: entry.value for entry in model.metadata_props if entry.key != SUM}
        onnx.helper.set_model_props(model, kept)
    with replacing(path) as partial:
        onnx.save(model, str(partial), format="protobuf")
        entry = sum_entry(partial)
        with partial.open("ab") as file:
            file.write(entry)
