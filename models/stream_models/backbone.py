"""MobileNetV2, the backbone of the bundled model, with batch normalisation folded in.

Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

# (output channels, stride, expansion, residual) of MobileNetV2 1.0's blocks 0 to 16.
_BLOCKS = (
    (16, 1, 1, False),
    (24, 2, 6, False),
    (24, 1, 6, True),
    (32, 2, 6, False),
    (32, 1, 6, True),
    (32, 1, 6, True),
    (64, 2, 6, False),
    (64, 1, 6, True),
    (64, 1, 6, True),
    (64, 1, 6, True),
    (96, 1, 6, False),
    (96, 1, 6, True),
    (96, 1, 6, True),
    (160, 2, 6, False),
    (160, 1, 6, True),
    (160, 1, 6, True),
    (320, 1, 6, False),
)


def _round_filters(weight: Tensor) -> Tensor:
    """Each output channel's weights in the 255 steps of its greatest magnitude."""
    step = weight.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12) / 127.0
    return (weight / step).round() * step


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: at stride 2, right and bottom only.

    Attributes:
        fake_quantized: whether it computes as int8 does, from a rounded input with rounded
            weights. For frozen layers: there is no gradient through it.
        reach: lowest and highest input that was rounded so far, float32 (2,).
    """

    reach: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups)
        self.fake_quantized = False
        # Kept in checkpoints: a run that is taken up again would otherwise round more finely at
        # first than it did before.
        self.register_buffer("reach", torch.zeros(2))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *rest: Any, **more: Any
    ) -> None:
        # Weights from elsewhere know no range.
        state_dict.setdefault(prefix + "reach", self.reach)
        super()._load_from_state_dict(state_dict, prefix, *rest, **more)

    def _round(self, x: Tensor) -> Tensor:
        """`x` in 256 steps of the range of all inputs so far, as after a calibration on them."""
        # In the order of memory, or it would be copied first.
        ends = torch.stack(torch.aminmax(x.detach().permute(0, 2, 3, 1))).float()
        # Assigned whole: several threads may be here.
        self.reach = torch.stack(
            [torch.minimum(self.reach[0], ends[0]), torch.maximum(self.reach[1], ends[1])]
        )
        # Left on the device: asking it for a number would make it wait.
        step = (self.reach[1] - self.reach[0]).clamp(min=1e-6) / 255.0
        # In place, since these maps are the largest: without that training took a fifth longer.
        wide = x.to(torch.float32, copy=True)
        return wide.div_(step).round_().mul_(step).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        weight: Tensor = self.weight
        if self.fake_quantized:
            x, weight = self._round(x), _round_filters(weight)
        if self.stride[0] == 1:
            return cast(Tensor, self._conv_forward(x, weight, self.bias))
        learns = self.training and weight.requires_grad
        if learns and self.groups > 1 and x.device.type == "cpu":
            # The same numbers: the windows of stride 1, padded all round, that the strided filter
            # would visit. PyTorch's CPU gradient of strided depthwise filters is so slow in bf16
            # that this saves a quarter of the whole training time.
            full = functional.conv2d(x, self.weight, self.bias, 1, 1, 1, self.groups)
            return full[:, :, 1::2, 1::2]
        padded = functional.pad(x, (0, 1, 0, 1))
        return cast(Tensor, self._conv_forward(padded, weight, self.bias))


class Block(nn.Module):
    """MobileNetV2's inverted residual; `expanded` is kept apart because a tap reads it."""

    def __init__(self, inputs: int, outputs: int, stride: int, factor: int, residual: bool) -> None:
        super().__init__()
        hidden = inputs * factor
        self.expand = SameConv(inputs, hidden, 1, 1, 1) if factor != 1 else None
        self.depthwise = SameConv(hidden, hidden, 3, stride, hidden)
        self.project = SameConv(hidden, outputs, 1, 1, 1)
        self.residual = residual

    def expanded(self, x: Tensor) -> Tensor:
        """The widened input, (B, factor * inputs, H, W)."""
        return x if self.expand is None else functional.relu6(self.expand(x), inplace=True)

    def contract(self, x: Tensor, wide: Tensor) -> Tensor:
        """Depthwise filter and projection of `wide`, plus the shortcut from `x`."""
        out: Tensor = self.project(functional.relu6(self.depthwise(wide), inplace=True))
        return x + out if self.residual else out

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        return self.contract(x, self.expanded(x))


class MobileNetV2(nn.Module):
    """The backbone. Input float (B, 3, H, W) in [-1, 1]; H, W multiples of 32.

    Returns maps of strides 4, 8, 16, 32 with 24, 32, 576 and 1280 channels.
    """

    outputs = (24, 32, 576, 1280)

    def __init__(self, frozen_blocks: int) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2, 1)
        blocks, channels = [], 32
        for width, stride, factor, residual in _BLOCKS:
            blocks.append(Block(channels, width, stride, factor, residual))
            channels = width
        self.blocks = nn.ModuleList(blocks)
        self.last = SameConv(channels, 1280, 1, 1, 1)
        self.frozen_blocks = frozen_blocks
        if frozen_blocks:
            for module in (self.stem, *blocks[:frozen_blocks]):
                module.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Picture to maps; see the class."""
        first = min(self.frozen_blocks, 3)
        if self.training and first:
            # Picture by picture their maps, the largest, stay in a CPU's cache.
            size = 1 if x.device.type == "cpu" else len(x)
            with torch.no_grad():
                x = torch.cat([self._begin(part, first) for part in torch.split(x, size)])
        else:
            x = self._begin(x, first)
        stride4 = stride8 = stride16 = x
        for index, module in enumerate(self.blocks[first:], first):
            block = cast(Block, module)
            wide = block.expanded(x)
            if index == 13:
                stride16 = wide
            x = block.contract(x, wide)
            if index == 2:
                stride4 = x
            elif index == 5:
                stride8 = x
        return stride4, stride8, stride16, functional.relu6(self.last(x), inplace=True)

    def _begin(self, x: Tensor, blocks: int) -> Tensor:
        """The stem and the first blocks."""
        x = functional.relu6(self.stem(x), inplace=True)
        for module in self.blocks[:blocks]:
            x = module(x)
        return x

    def fake_quantize_frozen(self, on: bool) -> None:
        """Let the frozen layers compute as int8 does, or exactly again.

        Their filters, with batch normalisation folded in, span very unlike ranges, so that int8
        coarsens them most. Layers that learn behind them learn to read the coarse maps.
        """
        for module in (self.stem, *self.blocks[: self.frozen_blocks]):
            for part in module.modules():
                if isinstance(part, SameConv):
                    part.fake_quantized = on

    def load_npz(self, path: Path) -> None:
        """Load weights with keys `stem`, `block0` ... `last` (`.weight`, `.bias`).

        Raises KeyError or RuntimeError where a key is missing or has another shape.
        """
        state = {}
        with np.load(path) as stored:
            for key in stored.files:
                name = key.replace("block", "blocks.") if key.startswith("block") else key
                state[name] = torch.from_numpy(stored[key])
        self.load_state_dict(state)
