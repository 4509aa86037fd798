"""Residual networks and feature pyramids, with batch normalisation already folded in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stream_export.blocks.deformable import Deformable, DeformConv


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a shortcut (ResNet, figure 5; ResNeXt where there are groups)."""

    def __init__(
        self,
        inputs: int,
        inner: int,
        outputs: int,
        *,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        stride_in_1x1: bool = False,
        projected: bool | None = None,
        deformable: Deformable | None = None,
    ) -> None:
        """Sets up.

        Args:
            inputs: channels in.
            inner: channels of the 3x3.
            outputs: channels out.
            stride: of the whole.
            groups: of the 3x3.
            dilation: of the 3x3.
            stride_in_1x1: whether the first 1x1 has the stride (MSRA, Detectron, Keras) or the
                3x3 (torchvision, ResNeXt).
            projected: whether the shortcut is a 1x1 convolution; where channels change by default.
            deformable: how the 3x3 is deformed, if it is.
        """
        super().__init__()
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(inputs, inner, 1, stride=first)
        self.conv2: nn.Module
        if deformable is None:
            self.conv2 = nn.Conv2d(
                inner, inner, 3, stride=second, padding=dilation, dilation=dilation, groups=groups
            )
        else:
            self.conv2 = DeformConv(
                inner, inner, deformable, stride=second, dilation=dilation, groups=groups
            )
        self.conv3 = nn.Conv2d(inner, outputs, 1)
        needed = inputs != outputs if projected is None else projected
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride) if needed else None

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [B, inputs, H, W] to [B, outputs, H / stride, W / stride]."""
        inner = torch.relu(self.conv1(maps))
        inner = torch.relu(self.conv2(inner))
        short = maps if self.shortcut is None else self.shortcut(maps)
        return torch.relu(self.conv3(inner) + short)


def residual_stage(
    count: int,
    inputs: int,
    inner: int,
    outputs: int,
    *,
    stride: int,
    groups: int = 1,
    dilation: int = 1,
    stride_in_1x1: bool = False,
    deformable: Sequence[Deformable | None] = (),
) -> nn.Sequential:
    """Bottlenecks at one scale, the first of which has the stride and a projected shortcut."""
    return nn.Sequential(
        *(
            Bottleneck(
                outputs if number else inputs,
                inner,
                outputs,
                stride=1 if number else stride,
                groups=groups,
                dilation=dilation,
                stride_in_1x1=stride_in_1x1,
                projected=number == 0,
                deformable=deformable[number] if deformable else None,
            )
            for number in range(count)
        )
    )


class ResNet(nn.Module):
    """A stem and stages of bottlenecks, each with twice the channels of the one before."""

    def __init__(
        self,
        counts: Sequence[int],
        *,
        groups: int = 1,
        width: int = 64,
        stem: int = 64,
        outputs: int = 256,
        stride_in_1x1: bool = False,
        last_dilated: bool = False,
        deformable: Sequence[Sequence[Deformable | None]] = (),
    ) -> None:
        """Sets up.

        Args:
            counts: bottlenecks per stage, such as (3, 4, 6, 3) for ResNet-50.
            groups: of the 3x3 convolutions.
            width: channels per group of the first stage's 3x3.
            stem: channels of the stem.
            outputs: of the first stage.
            stride_in_1x1: see `Bottleneck`.
            last_dilated: whether the fourth stage dilates by 2 instead of striding (DC5).
            deformable: per stage and bottleneck, how its 3x3 is deformed, if it is.
        """
        super().__init__()
        self.stem = nn.Conv2d(3, stem, 7, stride=2, padding=3)
        self.stages = nn.ModuleList()
        inputs = stem
        for number, count in enumerate(counts):
            dilated = last_dilated and number == 3
            self.stages.append(
                residual_stage(
                    count,
                    inputs,
                    groups * width * 2**number,
                    outputs * 2**number,
                    stride=1 if number == 0 or dilated else 2,
                    groups=groups,
                    dilation=2 if dilated else 1,
                    stride_in_1x1=stride_in_1x1,
                    deformable=deformable[number] if deformable else (),
                )
            )
            inputs = outputs * 2**number

    def forward(self, planes: Tensor) -> list[Tensor]:
        """float32 [1, 3, H, W] to each stage's map, finest first: strides 4, 8, 16, 32."""
        maps = nn.functional.max_pool2d(torch.relu(self.stem(planes)), 3, stride=2, padding=1)
        found = []
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        return found


class Pyramid(nn.Module):
    """A feature pyramid: 1x1 laterals, nearest upsampling by 2, addition, 3x3 (FPN, figure 3)."""

    def __init__(self, inputs: Sequence[int], channels: int, *, uneven: bool = False) -> None:
        """Sets up.

        Args:
            inputs: channels of the maps, finest first.
            channels: of every level out.
            uneven: whether a map may have a row or column less than twice those of the next.
        """
        super().__init__()
        self.uneven = uneven
        self.laterals = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in inputs)
        self.outputs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in inputs)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Per level float32 [1, C, H, W], finest first, each half as large as the one before."""
        inner = self.laterals[-1](maps[-1])
        levels = [self.outputs[-1](inner)]
        for number in range(len(maps) - 2, -1, -1):
            lateral = self.laterals[number](maps[number])
            inner = lateral + torch.ops.stream.upsample_like(inner, lateral, 2, self.uneven)
            levels.insert(0, self.outputs[number](inner))
        return levels
