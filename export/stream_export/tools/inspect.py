"""What a file is: its contract, operators, shapes, size and origin."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stream.errors import first_line
from stream.inference.contract import Resize
from stream.inference.refusals import model_problem
from stream.wording.words import called, counted
from stream_export.metadata import check_contract, load_model, read_metadata, tensors
from stream_export.registry import options_of

if TYPE_CHECKING:
    import onnx


def announce(path: Path) -> None:
    """Says in one line what was written."""
    metadata = read_metadata(load_model(path))
    size = path.stat().st_size / 1e6
    typer.echo(
        f"{path}: {metadata.origin}, {counted(len(metadata.names), 'class', 'classes')}, "
        f"{metadata.precision}, {size:.1f} MB"
    )


def describe(path: Path) -> dict[str, object]:
    """All that can be told of a file without running it, as plain values.

    Raises:
        ModelError: it is no model or breaks the contract.
    """
    model = load_model(path)
    metadata = check_contract(model)
    operators = Counter(node.op_type for node in model.graph.node)
    values = [*model.graph.input, *model.graph.output]
    shapes = {name: f"{kind} {shape}" for name, (kind, shape) in tensors(values).items()}
    weights = sum(_bytes(item.dims, item.data_type) for item in model.graph.initializer)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    return {
        "file": str(path),
        "megabytes": round(path.stat().st_size / 1e6, 2),
        "weights_megabytes": round(weights / 1e6, 2),
        "opset": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "ir_version": model.ir_version,
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "tensors": shapes,
        "metadata": metadata.to_properties(),
        "names": list(metadata.names),
        "options": options_of(properties),
        "operators": dict(operators.most_common()),
        "nodes": len(model.graph.node),
        "problem": _problem(model),
    }


def describe_lines(found: dict[str, object]) -> list[str]:
    """The same for people."""
    metadata = found["metadata"]
    operators = found["operators"]
    shapes = found["tensors"]
    names = found["names"]
    assert isinstance(metadata, dict)
    assert isinstance(operators, dict)
    assert isinstance(shapes, dict)
    assert isinstance(names, list)
    listed = ", ".join(map(called, names[:8])) + (
        f" and {len(names) - 8} more" if len(names) > 8 else ""
    )
    return [
        f"{found['file']}: {found['megabytes']} MB, weights {found['weights_megabytes']} MB",
        f"origin      {metadata['stream.origin']}",
        f"licence     {metadata['stream.licence']}; trained on {metadata['stream.training_data']}",
        f"precision   {metadata['stream.precision']}",
        f"resize      {resizing(Resize(**json.loads(metadata['stream.resize'])))}",
        f"classes     {len(names)}: {listed}",
        f"thresholds  score {metadata['stream.score_threshold']}, "
        f"mask {metadata['stream.mask_threshold']}",
        f"accuracy    {_measured(metadata['stream.accuracy'])}",
        *(f"{name:<11} {shape}" for name, shape in shapes.items()),
        f"made by     {found['producer']}, opset {found['opset']}, IR {found['ir_version']}",
        f"operators   {found['nodes']} nodes: "
        + ", ".join(f"{kind} {count}" for kind, count in operators.items()),
        "contract    kept",
        *([f"problem     {found['problem']}"] if found["problem"] else []),
    ]


def _problem(model: onnx.ModelProto) -> str:
    """Why no runtime can take a graph, though its inputs and outputs are right; empty for none."""
    import onnx

    newest = onnx.defs.onnx_opset_version()
    for entry in model.opset_import:
        if not entry.domain and entry.version > newest:
            return (
                f"it is of ONNX opset {entry.version}, and ONNX {onnx.__version__} knows {newest}"
            )
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        return (
            f"it cannot be run, as ONNX {onnx.__version__} says: {model_problem(first_line(error))}"
        )
    return ""


def resizing(policy: Resize) -> str:
    """How pictures are resized, in words."""
    size = f"{policy.width}x{policy.height}"
    words: str = {
        "shortest_edge": f"shortest edge {policy.shortest}, unless the longest one would pass "
        f"{policy.longest}",
        "letterbox": f"fitted into {size}",
        "stretch": f"stretched to {size}",
        "native": "by the graph, as its origin does",
    }[policy.mode]
    return words if policy.mode == "native" else f"{words}, {policy.interpolation}"


def _measured(written: str) -> str:
    figures = json.loads(written or "{}")
    return "; ".join(f"{value:.3g} {what}" for what, value in figures.items()) or "not measured"


def _bytes(dims: list[int], kind: int) -> int:
    import math

    import onnx

    width = onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize
    return math.prod(dims) * width
