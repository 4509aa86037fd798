"""Static int8: the convolutions and matrix products, calibrated on real pictures."""

from __future__ import annotations

import contextlib
import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from stream.errors import ModelError, UsageError
from stream.inference.contract import INPUT, Resize
from stream.inference.preprocess import Preprocessor
from stream.wording.words import some_of
from stream_export.graph import widened
from stream_export.metadata import check_contract, load_model, save_model, write_metadata
from stream_export.tools.agreement import read_pictures
from stream_export.tools.ranges import calibrating

SENSITIVE = (
    r"cls_logits|bbox_pred|cls_score|box_predictor",
    r"(^|[._])(logits|deltas)/|head\.(distances|centres)/|iou_head\.last/",
    r"mask_last|mask_predictor|mask_logits",
    r"\.offsets/",
)
"""Names of last layers, which stay in float: they are small, and nothing after them averages their
rounding away; and of what moves samples, by pixels."""

_PRODUCTS = {"Conv", "Gemm", "MatMul", "ConvTranspose"}
# What lies between products and would otherwise force a way back to float.
_BETWEEN = {"Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Resize", "Add"}


def quantize_file(
    source: Path,
    images: Path,
    output: Path,
    *,
    pictures: int = 48,
    exclude: Sequence[str] | None = None,
    symmetric: bool = False,
    watch: Callable[[int], None] | None = None,
) -> None:
    """Quantises a file; see `quantize_model`.

    Raises:
        ModelError: the model cannot be read or quantised.
        SourceError: there are no pictures.
    """
    model = load_model(source)
    save_model(
        quantize_model(
            model,
            [picture for _, picture in read_pictures(images, pictures)],
            exclude=exclude,
            symmetric=symmetric,
            watch=watch,
        ),
        output,
    )


def quantize_model(
    model: onnx.ModelProto,
    pictures: Sequence[NDArray[np.uint8]],
    *,
    exclude: Sequence[str] | None = None,
    symmetric: bool = False,
    averaged: bool = True,
    watch: Callable[[int], None] | None = None,
) -> onnx.ModelProto:
    """Makes an int8 model of a float one.

    Weights are int8 per channel, activations uint8 per tensor, as QuantizeLinear and
    DequantizeLinear pairs that every provider understands. Feature maps stay in eight bits from
    the first convolution to the pooling; boxes, scores and suppression stay in float32.

    Args:
        model: keeps the contract, float32.
        pictures: to calibrate on, uint8 [H, W, 3] RGB, like those that it will see; each goes
            through the model's own resize policy.
        exclude: patterns of names of nodes that stay in float; `SENSITIVE` by default.
        symmetric: int8 activations without a zero point, as TensorRT wants them; CPUs are slower
            with them.
        averaged: ranges are the mean over pictures of each one's extremes rather than the
            extremes of all, so that one odd picture does not coarsen every other.
        watch: is told which picture is next, from 1 on.

    Raises:
        ModelError: it is quantised already, or nothing in it can be.
        UsageError: no pictures, nothing is found in any of them, or a pattern that is none or that
            no node has.
    """
    metadata = check_contract(model)
    if metadata.precision != "float32":
        raise ModelError(f"only a float32 model can be quantised, this one is {metadata.precision}")
    if not pictures:
        raise UsageError("quantising needs pictures to calibrate on; give a folder with --images")
    model = widened(model)
    nodes = _quantisable(model.graph, SENSITIVE if exclude is None else exclude)
    if not any(node.op_type in _PRODUCTS for node in nodes):
        raise ModelError("no convolution or matrix product is left to quantise")
    activation = QuantType.QInt8 if symmetric else QuantType.QUInt8
    needed = {name for node in nodes for name in (node.input[0], *node.output)}
    with tempfile.TemporaryDirectory() as folder, _quiet(), calibrating(needed):
        path = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            path,
            _Reader(pictures, metadata.resize, watch),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=sorted({node.op_type for node in nodes}),
            nodes_to_quantize=[node.name for node in nodes],
            per_channel=True,
            activation_type=activation,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": symmetric,
                "WeightSymmetric": True,
                "CalibMovingAverage": averaged,
            },
        )
        quantised = onnx.load(str(path))
    del quantised.graph.value_info[:]
    for entry in model.metadata_props:
        if not entry.key.startswith("stream."):
            quantised.metadata_props.append(entry)
    write_metadata(quantised, replace(metadata, precision="int8", accuracy={}))
    check_contract(quantised)
    return quantised


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Feeds pictures to the calibration as the runtime would."""

    def __init__(
        self,
        pictures: Sequence[NDArray[np.uint8]],
        resize: Resize,
        watch: Callable[[int], None] | None,
    ) -> None:
        self._prepare = Preprocessor(resize)
        self._pictures = enumerate(pictures, 1)
        self._watch = watch

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        number, picture = next(self._pictures, (0, None))
        if picture is None:
            return None
        if self._watch is not None:
            self._watch(number)
        return {INPUT: self._prepare(picture).pixels()}


def _quantisable(graph: onnx.GraphProto, exclude: Sequence[str]) -> list[onnx.NodeProto]:
    """Products with constant weights, and what only joins feature maps between them."""
    try:
        patterns = [re.compile(pattern) for pattern in exclude]
    except re.error as error:
        raise UsageError(f"--exclude: {error.pattern!r} is no pattern ({error})") from error
    for pattern in patterns:
        named = any(pattern.search(node.name) for node in graph.node)
        # The usual ones are for networks of every origin.
        if not named and pattern.pattern not in SENSITIVE:
            layers = [node.name for node in graph.node if node.op_type in _PRODUCTS]
            raise UsageError(
                f"--exclude {pattern.pattern!r}: no node's name has it; layers are called "
                f"{some_of(layers, 6)}"
            )
    constants = {item.name for item in graph.initializer}
    maps: set[str] = set()
    chosen = []
    for node in graph.node:
        if any(pattern.search(node.name) for pattern in patterns):
            continue
        if node.op_type in _PRODUCTS:
            fits = len(node.input) > 1 and node.input[1] in constants
        elif node.op_type == "Add":
            fits = all(name in maps for name in node.input)
        else:
            fits = node.op_type in _BETWEEN and node.input[0] in maps
        if fits:
            chosen.append(node)
            maps.update(node.output)
    return chosen


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the calibration's advice, meant for other callers, off the terminal."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        root.setLevel(level)
