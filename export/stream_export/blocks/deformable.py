"""Deformable convolution, v1 and v2 (Dai et al., 2017; Zhu et al., 2019), from sampled maps.

ONNX has `DeformConv` from opset 19 on, which few providers take; `GridSample` is old enough for all
of them. One sampling fetches what the nine cells of every kernel see, and a 1x1 convolution weighs
it, which is the same sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from onnxscript import FLOAT
from torch import Tensor, nn
from torch.nn import functional

from stream_export.blocks._onnx import Value, op


@dataclass(frozen=True)
class Deformable:
    """How a 3x3 convolution is deformed.

    Attributes:
        groups: of channels that share their offsets.
        modulated: whether each sample also has a weight (v2).
    """

    groups: int = 1
    modulated: bool = True


class DeformConv(nn.Module):
    """A 3x3 convolution whose cells are moved by offsets that another one predicts.

    The offsets are ordered as torchvision's `deform_conv2d` has them: group, cell, then y and x in
    pixels of the map; the weights of samples follow behind all offsets.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kind: Deformable,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        """Sets up; padding keeps the size, as in the bottlenecks that have this."""
        super().__init__()
        self.kind, self.stride, self.dilation, self.groups = kind, stride, dilation, groups
        self.weight = nn.Parameter(torch.zeros(outputs, inputs // groups, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        predicted = (27 if kind.modulated else 18) * kind.groups
        self.offsets = nn.Conv2d(
            inputs, predicted, 3, stride=stride, padding=dilation, dilation=dilation
        )

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [B, inputs, H, W] to [B, outputs, H / stride, W / stride]."""
        samples = torch.ops.stream.deformed_samples(
            maps,
            self.offsets(maps),
            maps.shape[1],
            self.kind.groups,
            self.kind.modulated,
            self.stride,
            self.dilation,
        )
        weight = self.weight.flatten(1).reshape(self.weight.shape[0], -1, 1, 1)
        return functional.conv2d(samples, weight, self.bias, groups=self.groups)


@torch.library.custom_op("stream::deformed_samples", mutates_args=())
def deformed_samples(
    maps: Tensor,
    predicted: Tensor,
    channels: int,
    groups: int,
    modulated: bool,
    stride: int,
    dilation: int,
) -> Tensor:
    """What the nine cells of every moved kernel see.

    One operator, since torch's solver takes minutes over the many shapes in between.

    Args:
        maps: float32 [B, channels, H, W].
        predicted: float32 [B, 18 or 27 a group, H', W'], offsets and perhaps weights.
        channels: of the maps.
        groups: of channels that share their offsets.
        modulated: whether samples have weights.
        stride: of the kernels.
        dilation: of the kernels.

    Returns:
        float32 [B, 9 * channels, H', W'], by channel, then by cell, row by row.
    """
    batch, _, high, wide = maps.shape
    rows, columns = predicted.shape[-2], predicted.shape[-1]
    moved = predicted[:, : 18 * groups].reshape(batch * groups, 9, 2, rows, columns)
    down, across = (maps.new_tensor(cells).reshape(9, 1, 1) for cells in _cells(dilation))
    y = moved[:, :, 0] + down + stride * torch.arange(rows, dtype=maps.dtype).reshape(-1, 1)
    x = moved[:, :, 1] + across + stride * torch.arange(columns, dtype=maps.dtype)
    # From pixels to -1..1 between the outer edges of the map.
    grid = torch.stack(((2 * x + 1) / wide - 1, (2 * y + 1) / high - 1), dim=-1)
    samples = functional.grid_sample(
        maps.reshape(batch * groups, channels // groups, high, wide),
        grid.reshape(batch * groups, 9 * rows, columns, 2),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    ).reshape(batch * groups, channels // groups, 9, rows, columns)
    if modulated:
        weights = torch.sigmoid(predicted[:, 18 * groups :])
        samples = samples * weights.reshape(batch * groups, 1, 9, rows, columns)
    return samples.reshape(batch, 9 * channels, rows, columns).contiguous()


@deformed_samples.register_fake
def _(
    maps: Tensor,
    predicted: Tensor,
    channels: int,
    groups: int,
    modulated: bool,
    stride: int,
    dilation: int,
) -> Tensor:
    rows, columns = predicted.shape[-2], predicted.shape[-1]
    return maps.new_empty((maps.shape[0], 9 * channels, rows, columns))


def _cells(dilation: int) -> tuple[list[float], list[float]]:
    """Where a kernel's nine cells lie, down and across, row by row."""
    steps = [-float(dilation), 0.0, float(dilation)]
    return [step for step in steps for _ in range(3)], steps * 3


def deformed_samples_onnx(
    maps: FLOAT,
    predicted: FLOAT,
    channels: int,
    groups: int,
    modulated: bool,
    stride: int,
    dilation: int,
) -> FLOAT:
    """The same in ONNX."""

    def whole(*numbers: int) -> Value:
        return op.Constant(value_ints=list(numbers))

    def pixels(count: Value) -> Value:
        numbers = op.Range(
            op.Constant(value_int=0), op.Squeeze(count, whole(0)), op.Constant(value_int=1)
        )
        return op.Mul(op.Cast(numbers, to=1), op.Constant(value_float=float(stride)))

    def edge(count: Value) -> Value:
        return op.Cast(count, to=1)

    def normalised(moved: Value, cells: list[float], along: Value, size: Value) -> Value:
        start = op.Reshape(op.Constant(value_floats=cells), whole(9, 1, 1))
        place = op.Add(op.Add(moved, start), along)
        twice = op.Add(op.Mul(place, op.Constant(value_float=2.0)), op.Constant(value_float=1.0))
        return op.Sub(op.Div(twice, edge(size)), op.Constant(value_float=1.0))

    high, wide = op.Shape(maps, start=2, end=3), op.Shape(maps, start=3, end=4)
    rows, columns = op.Shape(predicted, start=2, end=3), op.Shape(predicted, start=3, end=4)
    offsets = op.Slice(predicted, whole(0), whole(18 * groups), whole(1))
    moved = op.Reshape(offsets, op.Concat(whole(-1, 9, 2), rows, columns, axis=0))
    down, across = _cells(dilation)
    first, second = op.Constant(value_int=0), op.Constant(value_int=1)
    y = normalised(
        op.Gather(moved, first, axis=2), down, op.Unsqueeze(pixels(rows), whole(1)), high
    )
    x = normalised(op.Gather(moved, second, axis=2), across, pixels(columns), wide)
    pair = op.Concat(op.Unsqueeze(x, whole(-1)), op.Unsqueeze(y, whole(-1)), axis=-1)
    nine = op.Mul(rows, whole(9))
    grid = op.Reshape(pair, op.Concat(whole(-1), nine, columns, whole(2), axis=0))
    grouped = op.Reshape(maps, op.Concat(whole(-1, channels // groups), high, wide, axis=0))
    samples = op.GridSample(grouped, grid, align_corners=0, mode="bilinear", padding_mode="zeros")
    if modulated:
        last = op.Slice(predicted, whole(18 * groups), whole(27 * groups), whole(1))
        weights = op.Reshape(op.Sigmoid(last), op.Concat(whole(-1, 1), nine, columns, axis=0))
        samples = op.Mul(samples, weights)
    found: FLOAT = op.Reshape(samples, op.Concat(whole(-1, 9 * channels), rows, columns, axis=0))
    return found
