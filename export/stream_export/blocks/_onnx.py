"""ONNX operators, to be written down in a graph."""

from __future__ import annotations

from typing import Any, TypeAlias

from onnxscript import opset18

Value: TypeAlias = Any
"""A tensor of the graph; whatever may be computed with it gives another."""

op: Any = opset18
"""Untyped: the signatures are of eager evaluation, and here calls only write nodes down."""
