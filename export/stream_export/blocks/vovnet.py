"""VoVNet with effective squeeze and excitation (Lee and Park, CenterMask, 2020), norms folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from onnxscript import FLOAT
from onnxscript import opset18 as op
from torch import Tensor, nn
from torch.nn import functional


@torch.library.custom_op("stream::halve", mutates_args=())
def halve(maps: Tensor) -> Tensor:
    """Max-pooling 3x3 with stride 2 and ceil_mode, as one node of ONNX and a plain size in torch.

    Args:
        maps: float32 [1, C, H, W].

    Returns:
        float32 [1, C, H // 2, W // 2]; the last window may reach one cell outside.
    """
    return functional.max_pool2d(maps, 3, stride=2, ceil_mode=True)


@halve.register_fake
def _(maps: Tensor) -> Tensor:
    return maps.new_empty((*maps.shape[:2], maps.shape[2] // 2, maps.shape[3] // 2))


def halve_onnx(maps: FLOAT) -> FLOAT:
    """The same in ONNX, whose padding does not count either."""
    pooled, _ = op.MaxPool(maps, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])
    return pooled


@dataclass(frozen=True)
class VovStage:
    """One stage's make-up.

    Attributes:
        blocks: one-shot aggregations.
        layers: 3x3 convolutions in each.
        inner: their channels.
        outputs: channels out.
    """

    blocks: int
    layers: int
    inner: int
    outputs: int


class Aggregation(nn.Module):
    """One-shot aggregation: a chain of 3x3 whose maps are all joined by a 1x1, then eSE."""

    def __init__(self, inputs: int, stage: VovStage, *, identity: bool) -> None:
        """Sets up; `identity` adds the input to the output."""
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(stage.inner if number else inputs, stage.inner, 3, padding=1)
            for number in range(stage.layers)
        )
        self.join = nn.Conv2d(inputs + stage.layers * stage.inner, stage.outputs, 1)
        self.squeeze = nn.Conv2d(stage.outputs, stage.outputs, 1)
        self.identity = identity

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [1, inputs, H, W] to [1, outputs, H, W]."""
        found = [maps]
        for layer in self.layers:
            found.append(torch.relu(layer(found[-1])))
        joined = torch.relu(self.join(torch.cat(found, dim=1)))
        # A hard sigmoid over the channels' means: relu6(x + 3) / 6.
        gate = functional.relu6(self.squeeze(joined.mean(dim=(2, 3), keepdim=True)) + 3) / 6
        joined = joined * gate
        return joined + maps if self.identity else joined


class VovNet(nn.Module):
    """A stem of three 3x3 and four stages, strides 4 to 32."""

    def __init__(self, stem: Sequence[int], stages: Sequence[VovStage]) -> None:
        """Sets up; `stem` has the channels of its three convolutions."""
        super().__init__()
        first, second, third = stem
        self.stem = nn.ModuleList(
            [
                nn.Conv2d(3, first, 3, stride=2, padding=1),
                nn.Conv2d(first, second, 3, padding=1),
                nn.Conv2d(second, third, 3, stride=2, padding=1),
            ]
        )
        self.stages = nn.ModuleList()
        inputs = third
        for stage in stages:
            blocks = []
            for number in range(stage.blocks):
                blocks.append(Aggregation(inputs, stage, identity=number > 0))
                inputs = stage.outputs
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, planes: Tensor) -> list[Tensor]:
        """float32 [1, 3, H, W] to each stage's map, finest first."""
        maps = planes
        for layer in self.stem:
            maps = torch.relu(layer(maps))
        found: list[Tensor] = []
        for stage in self.stages:
            if found:
                maps = torch.ops.stream.halve(maps)
            maps = stage(maps)
            found.append(maps)
        return found
