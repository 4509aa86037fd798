"""The backbones of the TensorFlow Object Detection API, cut in two as its Faster R-CNN does.

The first half sees the picture, the second half every region. Structure after slim's inception_v2,
inception_resnet_v2 and resnet_v1; widths and depths are read from the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from stream.errors import ModelError
from stream_export.checkpoints.weights import Weights
from stream_export.converters.tensorflow.slim import (
    AvgPool,
    Branches,
    MaxPool,
    Residual,
    SlimConv,
    ValidPool,
    branch,
    branches_in,
    module,
)

FIRST, SECOND = "FirstStageFeatureExtractor", "SecondStageFeatureExtractor"
INCEPTION_EPSILON, RESNET_EPSILON = 1e-3, 1e-5

Body = Literal["inception_v2", "inception_resnet_v2", "resnet"]


def body_of(weights: Weights) -> tuple[Body, str]:
    """Which backbone a checkpoint has, and slim's name of it.

    Raises:
        ModelError: none that is known.
    """
    scopes = {name.split("/")[1] for name in weights if name.startswith(f"{FIRST}/")}
    for scope in sorted(scopes):
        if scope == "InceptionV2":
            return "inception_v2", scope
        if scope == "InceptionResnetV2":
            return "inception_resnet_v2", scope
        if scope.startswith("resnet_v1_"):
            return "resnet", scope
    raise ModelError(
        f"{weights.path}: its backbone ({', '.join(sorted(scopes)) or 'none'}) is none of "
        "Inception v2, Inception-ResNet v2 and ResNet v1"
    )


def build(weights: Weights, stride: int) -> tuple[nn.Module, nn.Module]:
    """Both halves of a checkpoint's backbone, filled.

    Args:
        weights: of the checkpoint.
        stride: input pixels per cell of the first half's map, 8 or 16.

    Raises:
        ModelError: the backbone is not known, or a constant is missing.
    """
    body, scope = body_of(weights)
    first, second = f"{FIRST}/{scope}", f"{SECOND}/{scope}"
    if body == "inception_v2":
        if stride != 16:
            raise ModelError(f"{weights.path}: Inception v2 with a stride of {stride} is not known")
        return _inception_v2(weights, first), _inception_v2_head(weights, second)
    if body == "inception_resnet_v2":
        return _inception_resnet(weights, first, stride), _inception_resnet_head(weights, second)
    return _resnet(weights, first, stride), _resnet_head(weights, second)


def _inception_v2(weights: Weights, scope: str) -> nn.Module:
    epsilon = INCEPTION_EPSILON
    layers: list[nn.Module] = [
        _separable(weights, f"{scope}/Conv2d_1a_7x7"),
        MaxPool(2),
        SlimConv(weights, f"{scope}/Conv2d_2b_1x1", epsilon=epsilon),
        SlimConv(weights, f"{scope}/Conv2d_2c_3x3", epsilon=epsilon),
        MaxPool(2),
    ]
    for name in ("3b", "3c", "4a", "4b", "4c", "4d", "4e"):
        down = name == "4a"
        layers.append(
            module(
                weights,
                f"{scope}/Mixed_{name}",
                epsilon=epsilon,
                pool=MaxPool(2) if down else AvgPool(),
                stride=2 if down else 1,
            )
        )
    return nn.Sequential(*layers)


def _inception_v2_head(weights: Weights, scope: str) -> nn.Module:
    pools = {"5a": MaxPool(2), "5b": AvgPool(), "5c": MaxPool(1)}
    return nn.Sequential(
        *(
            module(
                weights,
                f"{scope}/Mixed_{name}",
                epsilon=INCEPTION_EPSILON,
                pool=pool,
                stride=2 if name == "5a" else 1,
            )
            for name, pool in pools.items()
        )
    )


def _separable(weights: Weights, name: str) -> nn.Module:
    """A depthwise and a pointwise convolution with nothing between them are one, done once."""
    depthwise = weights[f"{name}.depthwise"].double()
    pointwise = weights[f"{name}.pointwise"].double()
    channels, multiplier = weights.shape(f"{name}.depthwise")[:2]
    mixed = torch.einsum(
        "ocm,cmhw->ochw", pointwise.reshape(-1, channels, multiplier), depthwise
    ).float()
    joined = Weights(weights.path, {**_norm_of(weights, name), f"{name}.weight": mixed})
    return SlimConv(joined, name, epsilon=INCEPTION_EPSILON, stride=2)


def _norm_of(weights: Weights, name: str) -> dict[str, Tensor]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}/BatchNorm.{part}": weights[f"{name}/BatchNorm.{part}"] for part in parts}


def _inception_resnet(weights: Weights, scope: str, stride: int) -> nn.Module:
    epsilon = INCEPTION_EPSILON
    if stride not in (8, 16):
        raise ModelError(f"{weights.path}: a stride of {stride} is not known, 8 and 16 are")

    def conv(name: str, step: int = 1) -> nn.Module:
        return SlimConv(weights, f"{scope}/{name}", epsilon=epsilon, stride=step)

    step = stride // 8
    return nn.Sequential(
        conv("Conv2d_1a_3x3", 2),
        conv("Conv2d_2a_3x3"),
        conv("Conv2d_2b_3x3"),
        MaxPool(2),
        conv("Conv2d_3b_1x1"),
        conv("Conv2d_4a_3x3"),
        MaxPool(2),
        module(weights, f"{scope}/Mixed_5b", epsilon=epsilon, pool=AvgPool()),
        *_units(weights, f"{scope}/Repeat/block35", 0.17),
        module(weights, f"{scope}/Mixed_6a", epsilon=epsilon, pool=MaxPool(step), stride=step),
        # What the dropped stride would have skipped, dilation skips.
        *_units(weights, f"{scope}/Repeat_1/block17", 0.10, dilation=3 - step),
    )


def _inception_resnet_head(weights: Weights, scope: str) -> nn.Module:
    epsilon = INCEPTION_EPSILON
    return nn.Sequential(
        module(
            weights, f"{scope}/Mixed_7a", epsilon=epsilon, pool=ValidPool(), stride=2, valid=True
        ),
        *_units(weights, f"{scope}/Repeat/block8", 0.20),
        _unit(weights, f"{scope}/Block8", 1.0, relu=False),
        SlimConv(weights, f"{scope}/Conv2d_7b_1x1", epsilon=epsilon),
    )


def _units(weights: Weights, scope: str, scale: float, dilation: int = 1) -> Sequence[nn.Module]:
    """Residual units, numbered from 1."""
    found: list[nn.Module] = []
    while f"{scope}_{len(found) + 1}/Conv2d_1x1.weight" in weights:
        found.append(_unit(weights, f"{scope}_{len(found) + 1}", scale, dilation=dilation))
    if not found:
        raise ModelError(f"{weights.path}: the checkpoint lacks the layers {scope}_1 and so on")
    return found


def _unit(
    weights: Weights, scope: str, scale: float, *, dilation: int = 1, relu: bool = True
) -> nn.Module:
    epsilon = INCEPTION_EPSILON
    branches: list[nn.Module] = [
        nn.Sequential(*branch(weights, name, epsilon=epsilon, dilation=dilation))
        for _, name in branches_in(weights, scope)
    ]
    projection = SlimConv(weights, f"{scope}/Conv2d_1x1", epsilon=epsilon, relu=False, scale=scale)
    return Residual(Branches(branches), projection, relu=relu)


class _Unit(nn.Module):
    """Slim's bottleneck: the stride is in the 3x3, and the shortcut takes every other cell."""

    def __init__(self, weights: Weights, scope: str, stride: int, dilation: int) -> None:
        super().__init__()
        epsilon = RESNET_EPSILON
        self.stride = stride
        self.conv1 = SlimConv(weights, f"{scope}/conv1", epsilon=epsilon)
        self.conv2 = SlimConv(
            weights,
            f"{scope}/conv2",
            epsilon=epsilon,
            stride=stride,
            dilation=dilation,
            explicit=True,
        )
        self.conv3 = SlimConv(weights, f"{scope}/conv3", epsilon=epsilon, relu=False)
        self.shortcut: nn.Module | None = None
        if f"{scope}/shortcut.weight" in weights:
            self.shortcut = SlimConv(
                weights, f"{scope}/shortcut", epsilon=epsilon, stride=stride, relu=False
            )

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [B, C, H, W] to [B, O, H / stride, W / stride], rounded up."""
        short = maps
        if self.shortcut is not None:
            short = self.shortcut(maps)
        elif self.stride > 1:
            short = nn.functional.max_pool2d(maps, 1, stride=self.stride)
        return torch.relu(short + self.conv3(self.conv2(self.conv1(maps))))


def _blocks(
    weights: Weights,
    scope: str,
    numbers: Sequence[int],
    strides: dict[int, int],
    reached: int,
    wanted: int,
) -> list[nn.Module]:
    """Blocks of units, the last of which has the stride until `wanted` is reached.

    From there on strides become dilations (resnet_utils.stack_blocks_dense).
    """
    found: list[nn.Module] = []
    dilation = 1
    for number in numbers:
        name = f"{scope}/block{number}/unit_{{}}/bottleneck_v1"
        count = 0
        while f"{name.format(count + 1)}/conv1.weight" in weights:
            count += 1
        if not count:
            raise ModelError(
                f"{weights.path}: the checkpoint lacks the layers {name.format(1)}/conv1"
            )
        for unit in range(1, count + 1):
            stride = strides.get(number, 1) if unit == count else 1
            if reached == wanted:
                found.append(_Unit(weights, name.format(unit), 1, dilation))
                dilation *= stride
            else:
                found.append(_Unit(weights, name.format(unit), stride, dilation))
                reached *= stride
    return found


def _resnet(weights: Weights, scope: str, stride: int) -> nn.Module:
    if stride not in (8, 16):
        raise ModelError(f"{weights.path}: a stride of {stride} is not known, 8 and 16 are")
    stem = SlimConv(weights, f"{scope}/conv1", epsilon=RESNET_EPSILON, stride=2, explicit=True)
    blocks = _blocks(weights, scope, (1, 2, 3), {1: 2, 2: 2, 3: 2}, 4, stride)
    return nn.Sequential(stem, MaxPool(2), *blocks)


def _resnet_head(weights: Weights, scope: str) -> nn.Module:
    return nn.Sequential(*_blocks(weights, scope, (4,), {}, 1, 1))
