"""TensorFlow's padding and resizing, where torch and ONNX do it otherwise."""

from __future__ import annotations

import torch
from onnxscript import FLOAT
from onnxscript import opset18 as op
from torch import Tensor, nn

from stream_export.blocks.operators import TRANSLATIONS
from stream_export.blocks.resizing import scaled_edges


def _same(planes: Tensor, kernel: tuple[int, int], stride: int, value: float) -> Tensor:
    """Pads as TensorFlow's SAME: for ceil(size / stride) cells, an odd one at the end."""
    amounts: list[int] = []
    for edge, size in zip(kernel[::-1], (planes.shape[3], planes.shape[2]), strict=True):
        total = max((-(-size // stride) - 1) * stride + edge - size, 0)
        amounts += [total // 2, total - total // 2]
    return nn.functional.pad(planes, amounts, value=value)


@torch.library.custom_op("stream::same_conv", mutates_args=())
def same_conv(planes: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """A convolution with TensorFlow's SAME padding, which depends on the size of the map.

    Args:
        planes: float32 [B, C, H, W].
        weight: float32 [O, C, kh, kw].
        bias: float32 [O].
        stride: in both directions.

    Returns:
        float32 [B, O, ceil(H / stride), ceil(W / stride)].
    """
    kernel = (weight.shape[2], weight.shape[3])
    return nn.functional.conv2d(_same(planes, kernel, stride, 0.0), weight, bias, stride)


@same_conv.register_fake
def _(planes: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    height, width = planes.shape[2:]
    return planes.new_empty(
        (
            planes.shape[0],
            weight.shape[0],
            (height + stride - 1) // stride,
            (width + stride - 1) // stride,
        )
    )


def _same_conv_onnx(planes: FLOAT, weight: FLOAT, bias: FLOAT, stride: int) -> FLOAT:
    return op.Conv(planes, weight, bias, auto_pad="SAME_UPPER", strides=[stride, stride])


@torch.library.custom_op("stream::same_max_pool", mutates_args=())
def same_max_pool(planes: Tensor, kernel: int, stride: int) -> Tensor:
    """A maximum over kernel x kernel cells with TensorFlow's SAME padding, which never wins.

    Args:
        planes: float32 [B, C, H, W].
        kernel: along an edge.
        stride: in both directions.

    Returns:
        float32 [B, C, ceil(H / stride), ceil(W / stride)].
    """
    padded = _same(planes, (kernel, kernel), stride, -torch.inf)
    return nn.functional.max_pool2d(padded, kernel, stride)


@same_max_pool.register_fake
def _(planes: Tensor, kernel: int, stride: int) -> Tensor:
    height, width = planes.shape[2:]
    return planes.new_empty(
        (*planes.shape[:2], (height + stride - 1) // stride, (width + stride - 1) // stride)
    )


def _same_max_pool_onnx(planes: FLOAT, kernel: int, stride: int) -> FLOAT:
    pooled, _ = op.MaxPool(
        planes, auto_pad="SAME_UPPER", kernel_shape=[kernel, kernel], strides=[stride, stride]
    )
    return pooled


@torch.library.custom_op("stream::resize_to_range", mutates_args=())
def resize_to_range(planes: Tensor, shortest: int, longest: int) -> Tensor:
    """The Object Detection API's `resize_to_range` with TensorFlow 1's bilinear resize.

    The shorter edge becomes `shortest`, unless the longer one would pass `longest`: then that one
    becomes `longest`. Sizes are rounded to the nearest, halves to even, in float32. A pixel is
    sampled at number * (old size / new size), without half-pixel centres.

    Args:
        planes: float32 [1, C, H, W].
        shortest: pixels.
        longest: pixels.

    Returns:
        float32 [1, C, H', W'].
    """
    edges = torch.tensor(planes.shape[2:], dtype=torch.float32)
    large = torch.round(edges * (shortest / edges.min()))
    small = torch.round(edges * (longest / edges.max()))
    height, width = (small if large.max() > longest else large).to(torch.int64).tolist()
    low, high, part = _taps(planes.shape[3], width)
    left = planes.index_select(3, low)
    wide = left + (planes.index_select(3, high) - left) * part
    low, high, part = _taps(planes.shape[2], height)
    top = wide.index_select(2, low)
    return top + (wide.index_select(2, high) - top) * part.unsqueeze(1)


def _taps(old: int, new: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two cells that each new one lies between, int64 [new], and how far along."""
    scale = torch.tensor(float(old)) / torch.tensor(float(new))
    position = torch.arange(new, dtype=torch.float32) * scale
    low = position.floor()
    return low.long(), (low + 1).clamp(max=old - 1).long(), position - low


@resize_to_range.register_fake
def _(planes: Tensor, shortest: int, longest: int) -> Tensor:
    return planes.new_empty((*planes.shape[:2], *scaled_edges(planes, shortest, longest)))


def _resize_to_range_onnx(planes: FLOAT, shortest: int, longest: int) -> FLOAT:
    shape = op.Shape(planes)
    edges = op.Cast(op.Slice(shape, op.Constant(value_ints=[2]), op.Constant(value_ints=[4])), to=1)
    by_short = op.Div(op.Constant(value_float=float(shortest)), op.ReduceMin(edges, keepdims=1))
    by_long = op.Div(op.Constant(value_float=float(longest)), op.ReduceMax(edges, keepdims=1))
    large = op.Round(op.Mul(edges, by_short))
    small = op.Round(op.Mul(edges, by_long))
    too_large = op.Greater(
        op.ReduceMax(large, keepdims=1), op.Constant(value_floats=[float(longest)])
    )
    target = op.Where(too_large, small, large)
    one = op.Constant(value_float=1.0)

    steps = op.Div(edges, target)
    zero = op.Constant(value_float=0.0)
    first, second = op.Constant(value_int=0), op.Constant(value_int=1)

    new, old, step = op.Gather(target, second), op.Gather(edges, second), op.Gather(steps, second)
    position = op.Mul(op.Range(zero, new, one), step)
    low = op.Floor(position)
    high = op.Min(op.Add(low, one), op.Sub(old, one))
    left = op.Gather(planes, op.Cast(low, to=7), axis=3)
    right = op.Gather(planes, op.Cast(high, to=7), axis=3)
    wide = op.Add(left, op.Mul(op.Sub(right, left), op.Sub(position, low)))

    new, old, step = op.Gather(target, first), op.Gather(edges, first), op.Gather(steps, first)
    position = op.Mul(op.Range(zero, new, one), step)
    low = op.Floor(position)
    high = op.Min(op.Add(low, one), op.Sub(old, one))
    part = op.Unsqueeze(op.Sub(position, low), op.Constant(value_ints=[1]))
    top = op.Gather(wide, op.Cast(low, to=7), axis=2)
    bottom = op.Gather(wide, op.Cast(high, to=7), axis=2)
    return op.Add(top, op.Mul(op.Sub(bottom, top), part))


TRANSLATIONS.update(
    {
        torch.ops.stream.same_conv.default: _same_conv_onnx,
        torch.ops.stream.same_max_pool.default: _same_max_pool_onnx,
        torch.ops.stream.resize_to_range.default: _resize_to_range_onnx,
    }
)
