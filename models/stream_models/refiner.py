"""The architecture of the refiner: a mask's edge drawn to where the object ends.

It sees the picture around one object and the mask that the model made of it. The first blocks of
the bundled model's backbone, at half the size, know what the object is; a few filters at full size
know where edges are; a decoder with skip connections joins them (U-Net, Ronneberger et al. 2015;
MobileNetV2, Sandler et al. 2018). What it answers is added to the mask it was given, so that an
untrained refiner changes nothing.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from stream_models.backbone import Block, MobileNetV2, SameConv

_FROZEN, _BLOCKS = 3, 10
"""Of MobileNetV2's blocks: those that stay as they are, and all that are used."""
_PRIOR = 4.0
"""The logit of a mask that is sure."""


def _unit(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def _depthwise(channels: int, kernel: int, stride: int = 1) -> nn.Module:
    return nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels)


def _same(conv: SameConv) -> nn.Conv2d:
    """The same filter, padded alike on all sides, which costs no step of its own."""
    padding = conv.kernel_size[0] // 2
    out = nn.Conv2d(
        conv.in_channels, conv.out_channels, padding * 2 + 1, conv.stride[0], padding,
        groups=conv.groups,
    )  # fmt: skip
    return out


class _Inverted(nn.Module):
    """MobileNetV2's inverted residual with batch normalisation folded in."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.expand = None if block.expand is None else _same(block.expand)
        self.depthwise = _same(block.depthwise)
        self.project = _same(block.project)
        self.residual = block.residual

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else functional.relu6(self.expand(x))
        out = cast(Tensor, self.project(functional.relu6(self.depthwise(wide))))
        return x + out if self.residual else out


class _Residual(nn.Module):
    """A depthwise filter and a mixing of channels, added to what they were made of."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.look = _depthwise(channels, kernel)
        self.mix = _unit(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.mix(self.look(x)))


class _Down(nn.Module):
    """A map of half the size, by a depthwise filter and a mixing of channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.look = _depthwise(inputs, 3, 2)
        self.mix = _unit(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.mix(self.look(x)))


class _Up(nn.Module):
    """One step of the decoder: a map of half the size joined with a finer one."""

    def __init__(self, inputs: int, beside: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(inputs, outputs, 1)
        self.lateral = nn.Conv2d(beside, outputs, 1)
        self.residual = _Residual(outputs, kernel)

    def forward(self, x: Tensor, finer: Tensor) -> Tensor:
        wide = functional.interpolate(self.narrow(x), scale_factor=2.0, mode="nearest")
        return cast(Tensor, self.residual(functional.relu(wide + self.lateral(finer))))


class Refiner(nn.Module):
    """Input float (B, 4, H, W): red, green, blue and the mask, in -1..1; H and W multiples of 32.

    Returns logits (B, 1, H, W).
    """

    def __init__(self) -> None:
        super().__init__()
        whole = MobileNetV2(0)
        self.stem = _same(whole.stem)
        blocks = (cast(Block, block) for block in list(whole.blocks)[:_BLOCKS])
        self.blocks = nn.ModuleList(_Inverted(block) for block in blocks)
        for module in (self.stem, *self.blocks[:_FROZEN]):
            module.requires_grad_(False)
        self.fine = nn.Conv2d(4, 16, 3, 2, 1)
        self.finer = _Down(16, 32)
        self.enter = _Down(32, 24)
        self.deep = _Residual(64, 5)
        self.up16 = _Up(64, 32, 48, 5)
        self.up8 = _Up(48, 24, 32, 5)
        self.up4 = _Up(32, 48, 24, 3)
        self.last4 = _Residual(24, 3)
        self.narrow = nn.Conv2d(24, 16, 1)
        self.last2 = _depthwise(16, 3)
        self.out = nn.Conv2d(16, 4, 3, 1, 1)
        self.shuffle = 2
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(cast(Tensor, self.out.bias))

    @torch.no_grad()
    def adopt(self, backbone: MobileNetV2) -> None:
        """Begin with the weights of a trained backbone."""
        self.stem.load_state_dict(_weights(backbone.stem))
        for block, other in zip(self.blocks, backbone.blocks, strict=False):
            block.load_state_dict(_weights(other))

    @torch.no_grad()
    def widen(self) -> None:
        """Answer the same with a last filter of sixteen channels, for four pixels at a time.

        Runtimes compute channels by the sixteen: of four, three quarters are computed in vain.
        """
        weight, bias = self.out.weight, cast(Tensor, self.out.bias)
        wide = nn.Conv2d(16, 16, 4, 2, 1).to(weight)
        nn.init.zeros_(wide.weight)
        for channel in range(4):
            row, column = divmod(channel, 2)
            for down in range(2):
                for across in range(2):
                    place = 4 * (2 * down + row) + 2 * across + column
                    wide.weight[place, :, down : down + 3, across : across + 3] = weight[channel]
                    cast(Tensor, wide.bias)[place] = bias[channel]
        self.out, self.shuffle = wide, 4

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        with torch.no_grad():
            half = functional.avg_pool2d(x[:, :3], 2)
            first = cast(Tensor, self.blocks[0](functional.relu6(self.stem(half))))
            y = self.blocks[2](self.blocks[1](first))
        fine = functional.relu(self.fine(x))
        finer = self.finer(fine)
        tap8 = y = y + self.enter(finer)
        for module in self.blocks[_FROZEN:6]:
            y = module(y)
        tap16 = y
        for module in self.blocks[6:]:
            y = module(y)
        y = self.up16(self.deep(y), tap16)
        y = self.up8(y, tap8)
        y = self.last4(self.up4(y, torch.cat([first, finer], 1)))
        wide = functional.interpolate(self.narrow(y), scale_factor=2.0, mode="nearest")
        y = functional.relu(self.last2(functional.relu(wide + fine)))
        change = functional.pixel_shuffle(self.out(y), self.shuffle)
        return change + _PRIOR * x[:, 3:]


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {key: value for key, value in module.state_dict().items() if "reach" not in key}
