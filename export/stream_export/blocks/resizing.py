"""Resizing inside the graph: the origin's own, and a pyramid's way down."""

from __future__ import annotations

import torch
from onnxscript import FLOAT, INT64
from torch import Tensor, nn

from stream_export.blocks._onnx import op


def resize_shortest(planes: Tensor, shortest: int, longest: int) -> Tensor:
    """Scales the shorter edge to `shortest` unless the longer would pass `longest`.

    Bilinear with half-pixel centres, without antialiasing; edges are rounded down, and sampling
    uses the ratio of the rounded edges: torchvision's GeneralizedRCNNTransform to the last bits.
    ONNX's Resize rounds positions differently, which moved pixels by up to 1e-4 of their range; a
    network with random weights made up to a pixel of box error of it.

    Args:
        planes: float32 [1, C, H, W].
        shortest: pixels.
        longest: pixels.

    Returns:
        float32 [1, C, H', W'].
    """
    rows, columns = torch.ops.stream.shortest_edge(planes, shortest, longest)
    for axis, positions in ((2, rows), (3, columns)):
        planes = _interpolate(planes, axis, positions)
    return planes


def resize_fixed(planes: Tensor, height: int, width: int) -> Tensor:
    """Stretches a picture to a size, as `resize_shortest` samples it.

    Args:
        planes: float32 [1, C, H, W].
        height: pixels.
        width: pixels.

    Returns:
        float32 [1, C, height, width].
    """
    for axis, edge in ((2, height), (3, width)):
        planes = _interpolate(planes, axis, torch.arange(edge))
    return planes


def _interpolate(planes: Tensor, axis: int, positions: Tensor) -> Tensor:
    """Resamples along an axis to as many entries as `positions`, int64 0..n-1, holds."""
    size = planes.shape[axis]
    before = torch.scalar_tensor(size, dtype=torch.float32)
    after = torch.scalar_tensor(positions.shape[0], dtype=torch.float32)
    source = ((positions.to(torch.float32) + 0.5) * (before / after) - 0.5).clamp(min=0)
    low = torch.floor(source)
    weight = source - low
    first = low.to(torch.int64)
    second = (first + 1).clamp(max=size - 1)
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    weight = weight.reshape(shape)
    return (
        planes.index_select(axis, first) * (1 - weight) + planes.index_select(axis, second) * weight
    )


@torch.library.custom_op("stream::shortest_edge", mutates_args=())
def shortest_edge(planes: Tensor, shortest: int, longest: int) -> tuple[Tensor, Tensor]:
    """The rows and columns of a picture scaled by its shorter edge, int64 0..H'-1 and 0..W'-1.

    Edges are rounded down in double precision and without tolerance, as torchvision's are.

    Args:
        planes: float32 [1, C, H, W].
        shortest: what the shorter edge becomes, pixels, unless
        longest: would be passed by the longer one.
    """
    height, width = planes.shape[-2:]
    scale = min(shortest / min(height, width), longest / max(height, width))
    return torch.arange(int(height * scale)), torch.arange(int(width * scale))


@shortest_edge.register_fake
def _(planes: Tensor, shortest: int, longest: int) -> tuple[Tensor, Tensor]:
    edges = scaled_edges(planes, shortest, longest)
    return (
        planes.new_empty(edges[0], dtype=torch.int64),
        planes.new_empty(edges[1], dtype=torch.int64),
    )


def scaled_edges(planes: Tensor, shortest: int, longest: int) -> list[int]:
    """What an exporter is told of a resized picture's height and width, about which it asks.

    Made of the picture's own rather than new numbers that only data decide: PyTorch before 2.14
    asks how large a convolution's map is, and cannot say it of those. No graph computes with it.
    """
    height, width = planes.shape[-2:]
    scale = torch.sym_min(
        shortest / torch.sym_min(height, width), longest / torch.sym_max(height, width)
    )
    return [torch.sym_int(edge * scale) for edge in (height, width)]


def shortest_edge_onnx(planes: FLOAT, shortest: int, longest: int) -> tuple[INT64, INT64]:
    """The same in ONNX."""
    double, whole = 11, 7
    shape = op.Shape(planes, start=2, end=4)
    edges = op.Cast(shape, to=double)
    # A float32 ratio would round some edges to one pixel less or more.
    by_short = op.Div(
        op.Cast(op.Constant(value_int=shortest), to=double), op.ReduceMin(edges, keepdims=0)
    )
    by_long = op.Div(
        op.Cast(op.Constant(value_int=longest), to=double), op.ReduceMax(edges, keepdims=0)
    )
    scaled = op.Cast(op.Floor(op.Mul(edges, op.Min(by_short, by_long))), to=whole)
    start, step = op.Constant(value_int=0), op.Constant(value_int=1)
    height = op.Gather(scaled, op.Constant(value_int=0))
    width = op.Gather(scaled, op.Constant(value_int=1))
    return op.Range(start, height, step), op.Range(start, width, step)


@torch.library.custom_op("stream::upsample_like", mutates_args=())
def upsample_like(coarse: Tensor, fine: Tensor, factor: int, cut: bool = False) -> Tensor:
    """Nearest-neighbour upsampling of a pyramid level to the one below it.

    The output has the finer map's size by construction, which spares the exporter the proof, and
    ONNX a size computed anew: its factors are constants there.

    Args:
        coarse: float32 [1, C, H, W].
        fine: float32 [1, D, factor * H, factor * W]; with `cut` a row or a column may be missing.
        factor: how much larger the finer map is.
        cut: whether the finer map may be smaller by less than the factor, which is 2 then: of a
            map that is not divided evenly, ONNX's Resize makes one that is too large.

    Returns:
        float32 [1, C, h, w], h and w being those of `fine`.
    """
    return nn.functional.interpolate(coarse, size=fine.shape[-2:], mode="nearest")


@upsample_like.register_fake
def _(coarse: Tensor, fine: Tensor, factor: int, cut: bool = False) -> Tensor:
    return coarse.new_empty((*coarse.shape[:2], *fine.shape[-2:]))


def upsample_like_onnx(coarse: FLOAT, fine: FLOAT, factor: int, cut: bool = False) -> FLOAT:
    """The same in ONNX."""
    upsampled: FLOAT = op.Resize(
        coarse,
        None,
        op.Constant(value_floats=[1.0, 1.0, float(factor), float(factor)]),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    if not cut:
        return upsampled
    size, axes = op.Shape(fine, start=2, end=4), op.Constant(value_ints=[2, 3])
    kept: FLOAT = op.Slice(upsampled, op.Constant(value_ints=[0, 0]), size, axes)
    return kept
