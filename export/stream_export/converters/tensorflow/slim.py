"""TF-Slim's layers, built and filled from a frozen graph's constants.

Slim names every layer after where it is, and a constant's shape tells the rest, so that networks
are put together from names here instead of being spelt out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from torch import Tensor, nn

# Registers TensorFlow's operators.
import stream_export.blocks.tensorflow_ops  # noqa: F401
from stream_export.checkpoints.weights import Weights


class SlimConv(nn.Module):
    """A convolution with SAME padding, its batch normalisation folded in, and a ReLU."""

    def __init__(
        self,
        weights: Weights,
        name: str,
        *,
        epsilon: float,
        stride: int = 1,
        dilation: int = 1,
        relu: bool = True,
        explicit: bool = False,
        valid: bool = False,
        scale: float = 1.0,
    ) -> None:
        """Builds and fills the layer.

        Args:
            weights: of the checkpoint.
            name: of the layer.
            epsilon: of the batch normalisation, if the layer has one.
            stride: in both directions.
            dilation: in both directions.
            relu: whether a ReLU follows.
            explicit: whether padding is (kernel - 1) / 2 all round whatever the stride, as slim's
                ResNets have it, instead of TensorFlow's SAME.
            valid: whether there is none at all.
            scale: what the result is multiplied by, before the ReLU.

        Raises:
            ModelError: a constant is missing or of the wrong shape.
        """
        super().__init__()
        outputs, inputs, height, width = weights.shape(f"{name}.weight")
        self.same = stride > 1 and not explicit and not valid and (height, width) != (1, 1)
        self.stride = stride
        padding = ((height - 1) * dilation // 2, (width - 1) * dilation // 2)
        self.conv = nn.Conv2d(
            inputs,
            outputs,
            (height, width),
            stride=stride,
            dilation=dilation,
            padding=0 if valid else padding,
        )
        normed = f"{name}/BatchNorm.running_var" in weights
        with torch.no_grad():
            assert self.conv.bias is not None
            self.conv.bias.zero_()
            weights.fill(self.conv, name, f"{name}/BatchNorm" if normed else None, epsilon)
            self.conv.weight.mul_(scale)
            self.conv.bias.mul_(scale)
        self.relu = relu

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [B, C, H, W] to [B, O, H / stride, W / stride], rounded up."""
        found: Tensor
        if self.same:
            found = torch.ops.stream.same_conv(maps, self.conv.weight, self.conv.bias, self.stride)
        else:
            found = self.conv(maps)
        return torch.relu(found) if self.relu else found


class MaxPool(nn.Module):
    """A maximum over 3x3 cells with SAME padding."""

    def __init__(self, stride: int) -> None:
        """Sets the stride in both directions."""
        super().__init__()
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [B, C, H, W] to [B, C, H / stride, W / stride], rounded up."""
        if self.stride == 1:
            return nn.functional.max_pool2d(maps, 3, stride=1, padding=1)
        pooled: Tensor = torch.ops.stream.same_max_pool(maps, 3, self.stride)
        return pooled


class ValidPool(nn.Module):
    """A maximum over 3x3 cells with a stride of 2, without padding."""

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [B, C, H, W] to [B, C, (H - 1) / 2, (W - 1) / 2]."""
        return nn.functional.max_pool2d(maps, 3, stride=2)


class AvgPool(nn.Module):
    """The mean over 3x3 cells, as many as there are: padding does not count."""

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [B, C, H, W] to the same."""
        return nn.functional.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)


class Branches(nn.Module):
    """Inception's module: branches side by side, joined by channel."""

    def __init__(self, branches: list[nn.Module]) -> None:
        """Takes the branches in order."""
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [B, C, H, W] to [B, sum of channels, H', W']."""
        return torch.cat([branch(maps) for branch in self.branches], dim=1)


class Residual(nn.Module):
    """Inception-ResNet's unit: branches, a linear projection, and a shortcut."""

    def __init__(self, branches: nn.Module, projection: nn.Module, *, relu: bool) -> None:
        """Takes the parts; `relu` says whether one follows."""
        super().__init__()
        self.branches = branches
        self.projection = projection
        self.relu = relu

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [B, C, H, W] to the same."""
        added = maps + self.projection(self.branches(maps))
        return torch.relu(added) if self.relu else added


def layers_in(weights: Weights, scope: str) -> list[str]:
    """The convolutions directly in a scope, in order: slim's names (0a, 0b, 1a) sort so."""
    pattern = re.compile(re.escape(scope) + r"/(Conv2d_\w+)\.weight")
    return sorted(match[1] for name in weights if (match := pattern.fullmatch(name)))


def branches_in(weights: Weights, scope: str) -> Iterator[tuple[int, str]]:
    """Numbers and scopes of a module's branches that have convolutions."""
    for number in range(8):
        branch = f"{scope}/Branch_{number}"
        if layers_in(weights, branch):
            yield number, branch


def branch(
    weights: Weights,
    scope: str,
    *,
    epsilon: float,
    stride: int = 1,
    dilation: int = 1,
    valid: bool = False,
) -> list[nn.Module]:
    """A branch's convolutions; the one called 1a has the stride, and no padding if `valid`."""
    found: list[nn.Module] = []
    for layer in layers_in(weights, scope):
        last = "_1a_" in layer
        found.append(
            SlimConv(
                weights,
                f"{scope}/{layer}",
                epsilon=epsilon,
                stride=stride if last else 1,
                dilation=1 if last and stride > 1 else dilation,
                valid=valid and last,
            )
        )
    return found


def module(
    weights: Weights,
    scope: str,
    *,
    epsilon: float,
    pool: nn.Module | None = None,
    stride: int = 1,
    dilation: int = 1,
    valid: bool = False,
) -> Branches:
    """An Inception module.

    Args:
        weights: of the checkpoint.
        scope: of the module.
        epsilon: of batch normalisations.
        pool: what the last branch starts with, or all that it is where it has no convolutions.
        stride: of the layers called 1a.
        dilation: of all convolutions.
        valid: whether those with the stride have no padding.

    Raises:
        ModelError: a constant is missing or of the wrong shape.
    """
    found: list[nn.Module] = []
    numbers = list(branches_in(weights, scope))
    for number, name in numbers:
        layers = branch(
            weights, name, epsilon=epsilon, stride=stride, dilation=dilation, valid=valid
        )
        # Of four branches with convolutions the last one pools first.
        pools = pool is not None and number == 3
        found.append(nn.Sequential(*([pool, *layers] if pools and pool is not None else layers)))
    if pool is not None and not any(number == 3 for number, _ in numbers):
        found.append(pool)
    return Branches(found)
