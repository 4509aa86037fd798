"""The model's input from a decoder's planes, as a graph that runs where the model does.

Resizing is linear and separable, so it is two matrix products a plane, and the matrices hold
everything that is special about a picture: its size, the position of its chroma, and the margins.
What is left is one product with the colour matrix. All of it is parameters, so one graph serves
planar and semi-planar pictures of every size and subsampling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from stream.inference.contract import INPUT, Geometry, Resize
from stream.inference.onnx_writer import GraphWriter, type_code
from stream.pictures.pixels import (
    MATRICES,
    is_full_range,
    matrix_of,
    paintable,
    plane_view,
    rgb_to_yuv,
)
from stream.pictures.siting import CENTRED, Siting
from stream.types import Array

Matrix = NDArray[np.float32]

POLICIES = ("bilinear", "area")
"""Ways of resizing that the graph knows; the others are made on the CPU, as their origin rounds."""
_SEMI_PLANAR = ("nv12", "p010le")
_siting = Siting()


@dataclass(frozen=True, slots=True)
class Layout:
    """How a picture's samples are to be read; what the graph's parameters are made of.

    Attributes:
        luma: (width, height) of the luma plane, in samples.
        chroma: likewise of each chroma plane.
        steps: luma samples per chroma sample, across and down.
        siting: how far right of and below the first of those chroma lies, in luma samples.
        interleaved: whether U and V share one plane.
        matrix: H.273's MatrixCoefficients, one of `stream.pixels.MATRICES`.
        full: whether samples use the full range.
        bits: significant bits of a sample.
        shift: by how many bits samples are moved up, as in P010.
    """

    luma: tuple[int, int]
    chroma: tuple[int, int]
    steps: tuple[int, int]
    siting: tuple[float, float]
    interleaved: bool
    matrix: int
    full: bool
    bits: int
    shift: int = 0


def layout_of(frame: av.VideoFrame) -> Layout | None:
    """A frame's layout; None where the graph cannot take its pixel format."""
    name = frame.format.name
    interleaved = name in _SEMI_PLANAR
    if not interleaved and not (name.startswith("yuv") and paintable(name)):
        return None
    shape = frame.format
    steps = (64 // shape.chroma_width(64), 64 // shape.chroma_height(64))
    if max(steps) > 2:
        return None
    return Layout(
        (frame.width, frame.height),
        (shape.chroma_width(frame.width), shape.chroma_height(frame.height)),
        steps,
        CENTRED if steps == (1, 1) else _siting(frame),
        interleaved,
        matrix_of(frame),
        is_full_range(name, int(frame.color_range)),
        shape.components[0].bits,
        6 if name == "p010le" else 0,
    )


def planes_of(frame: av.VideoFrame, layout: Layout) -> dict[str, Array]:
    """The graph's inputs that are pixels: `y`, `u`, `v`, uint8 or uint16 [rows, samples].

    They lie on the frame's own memory where its rows have no padding. Of a semi-planar picture,
    `u` and `v` are the same plane.
    """
    luma, *rest = frame.planes
    held = [np.ascontiguousarray(plane_view(luma, layout.bits))]
    # A semi-planar picture's second plane says its width in pairs.
    channels = 2 if layout.interleaved else 1
    for plane in rest:
        view = plane_view(plane, layout.bits, channels)
        held.append(np.ascontiguousarray(view).reshape(view.shape[0], -1))
    return {"y": held[0], "u": held[1], "v": held[-1]}


def parameters(layout: Layout, geometry: Geometry, padding: int) -> dict[str, Matrix]:
    """The graph's other inputs, which stay the same for all pictures of a film.

    Args:
        layout: of the pictures.
        geometry: where they lie in the model's input.
        padding: the level of the margins, 0..255.
    """
    width, height = geometry.content
    x, y = geometry.offset
    across, down = geometry.size
    right, below = (
        0.5 - (at + 0.5) / step if step > 1 else 0.0
        for at, step in zip(layout.siting, layout.steps, strict=True)
    )
    columns = _placed(axis_weights(layout.chroma[0], width, right), across, x)
    u = v = columns
    if layout.interleaved:
        # Of the samples U V U V, every second one.
        u, v = (np.zeros((across, 2 * layout.chroma[0]), np.float32) for _ in range(2))
        u[:, 0::2] = v[:, 1::2] = columns
    colour, offset = _to_rgb(layout)
    inside_rows = _placed(np.ones((height, 1), np.float32), down, y)
    inside_columns = _placed(np.ones((width, 1), np.float32), across, x)
    return {
        "rows_luma": _placed(axis_weights(layout.luma[1], height), down, y),
        "columns_luma": _transposed(_placed(axis_weights(layout.luma[0], width), across, x)),
        "rows_chroma": _placed(axis_weights(layout.chroma[1], height, below), down, y),
        "columns_u": _transposed(u),
        "columns_v": _transposed(v),
        "rows_inside": inside_rows,
        "columns_inside": _transposed(inside_columns),
        # In the margins everything is 0 but `base`.
        "colour": np.vstack([colour.T, offset - padding]).astype(np.float32),
        # The cast to whole levels cuts off, so half a level is added.
        "base": np.full(3, padding + 0.5, np.float32),
    }


def axis_weights(source: int, target: int, shift: float = 0.0) -> Matrix:
    """How samples along one axis are weighted, float32 [target, source]; rows sum to 1.

    As swscale's AREA: the share of each sample that a target covers when shrinking, linear
    between the centres of the two nearest when not. The outermost samples go on outside.

    Args:
        source: how many samples there are.
        target: how many are made of them.
        shift: by how many samples they lie before the middle of what they stand for.
    """
    scale = source / target
    weights = np.zeros((target, source), np.float64)
    taps = np.arange(math.ceil(scale) + 2)
    centres = (np.arange(target) + 0.5) * scale - 0.5 + shift
    first = np.floor(centres - max(scale, 1) / 2 + 0.5).astype(np.int64) - (scale <= 1)
    index = first[:, None] + taps
    away = np.abs(index - centres[:, None])
    share = np.clip((scale + 1) / 2 - away, 0, min(scale, 1)) if scale > 1 else 1 - away
    where = (np.arange(target)[:, None], np.clip(index, 0, source - 1))
    np.add.at(weights, where, np.maximum(share, 0))
    shares: Matrix = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _placed(weights: Matrix, length: int, offset: int) -> Matrix:
    """The rows at their place among `length`, of which the others are 0."""
    if len(weights) == length:
        return weights
    held = np.zeros((length, weights.shape[1]), np.float32)
    held[offset : offset + len(weights)] = weights
    return held


def _transposed(weights: Matrix) -> Matrix:
    return np.ascontiguousarray(weights.T)


def _to_rgb(layout: Layout) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """R, G, B (0..255) of samples as they are stored: [3, 3] and [3], by H.273's equations."""
    known = MATRICES[layout.matrix]
    unit = 2.0 ** (layout.bits - 8)
    black, middle = (0.0 if layout.full else 16 * unit), 128 * unit
    # swscale takes 255 units for the peak, half a level less at 12 bits.
    peak = 2.0**layout.bits - 1
    luma, chroma = (peak, peak) if layout.full else (219 * unit, 224 * unit)
    backward = 255 * np.linalg.inv(rgb_to_yuv(known.red, known.blue))
    colour = backward / np.array([luma, chroma, chroma])
    offset = -colour @ np.array([black, middle, middle])
    return colour / 2.0**layout.shift, offset


def converter(kind: str) -> bytes:
    """The graph, as an ONNX file's content.

    Args:
        kind: of the samples: "uint8" or "uint16".
    """
    graph = GraphWriter(f"planes_to_{INPUT}")
    for plane, columns in (("y", "columns_luma"), ("u", "columns_u"), ("v", "columns_v")):
        part = "luma" if plane == "y" else "chroma"
        graph.input(plane, kind, (f"{part}_rows", f"{plane}_samples"))
        graph.input(columns, "float32", (f"{plane}_samples", "width"))
    graph.input("rows_luma", "float32", ("height", "luma_rows"))
    graph.input("rows_chroma", "float32", ("height", "chroma_rows"))
    graph.input("rows_inside", "float32", ("height", 1))
    graph.input("columns_inside", "float32", (1, "width"))
    graph.input("colour", "float32", (4, 3))
    graph.input("base", "float32", (3,))
    last = graph.constant("last", np.array([2], np.int64))
    first = graph.constant("first", np.array([0], np.int64))
    black = graph.constant("black", np.array(0, np.float32))
    white = graph.constant("white", np.array(255, np.float32))
    parts = []
    for plane, rows, columns in (
        ("y", "rows_luma", "columns_luma"),
        ("u", "rows_chroma", "columns_u"),
        ("v", "rows_chroma", "columns_v"),
    ):
        whole = graph.node("Cast", [plane], f"{plane}_whole", to=type_code("float32"))
        lower = graph.node("MatMul", [rows, whole], f"{plane}_lower")
        small = graph.node("MatMul", [lower, columns], f"{plane}_small")
        parts.append(graph.node("Unsqueeze", [small, last], f"{plane}_part"))
    inside = graph.node("MatMul", ["rows_inside", "columns_inside"], "inside")
    parts.append(graph.node("Unsqueeze", [inside, last], "inside_part"))
    stacked = graph.node("Concat", parts, "stacked", axis=2)
    coloured = graph.node("MatMul", [stacked, "colour"], "coloured")
    based = graph.node("Add", [coloured, "base"], "based")
    clipped = graph.node("Clip", [based, black, white], "clipped")
    levels = graph.node("Cast", [clipped], "levels", to=type_code("uint8"))
    graph.node("Unsqueeze", [levels, first], INPUT)
    graph.output(INPUT, "uint8", (1, "height", "width", 3))
    return graph.model()


def obstacle(resize: Resize) -> str:
    """Why pictures cannot be prepared so for a model; "" where they can."""
    if resize.interpolation in POLICIES:
        return ""
    return f"the model wants them resized as {resize.interpolation} does"
