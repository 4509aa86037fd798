"""Mask heads of the TensorFlow Object Detection API, with the work put where it is least."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResizedConv(nn.Module):
    """A corner-aligned bilinear enlargement and a 3x3 convolution behind it, done as one.

    Both are linear, so their order may change: each of the kernel's nine taps is applied to the
    small map, and one constant matrix enlarges, shifts and sums what they give. From 7x7 to 33x33
    cells with 2048 channels that is a fifteenth of the multiplications.
    """

    spread: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, small: tuple[int, int], large: int) -> None:
        """Sets up.

        Args:
            weight: float32 [O, C, 3, 3], of the convolution.
            bias: float32 [O].
            small: height and width of the map.
            large: cells along an edge of the result.
        """
        super().__init__()
        outputs, inputs = weight.shape[:2]
        self.outputs = outputs
        self.large = large
        self.taps = nn.Conv2d(inputs, 9 * outputs, 1, bias=False)
        with torch.no_grad():
            self.taps.weight.copy_(weight.permute(0, 2, 3, 1).reshape(9 * outputs, inputs, 1, 1))
        self.bias = nn.Parameter(bias.reshape(1, -1, 1).clone())
        rows, columns = (_shifted(_enlargement(size, large)) for size in small)
        spread = torch.einsum("asi,btj->abijst", rows, columns)
        self.register_buffer("spread", spread.reshape(-1, large * large).to(torch.float32))

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [N, C, small] to [N, O, large, large]."""
        taps = self.taps(maps)
        joined = taps.reshape(-1, self.outputs, self.spread.shape[0]) @ self.spread
        found: Tensor = joined + self.bias
        return found.reshape(-1, self.outputs, self.large, self.large)


def _enlargement(small: int, large: int) -> Tensor:
    """Weights of corner-aligned linear interpolation, float64 [large, small]."""
    step = (small - 1) / (large - 1) if large > 1 else 0.0
    position = torch.arange(large, dtype=torch.float64) * step
    return (1 - (position.unsqueeze(1) - torch.arange(small)).abs()).clamp(min=0)


def _shifted(matrix: Tensor) -> Tensor:
    """Rows one up, where they are, and one down, zeros beyond: [3, large, small] of [large, small].

    Result p of a convolution with zero padding is the sum over taps t of the input at p + t - 1.
    """
    padded = nn.functional.pad(matrix, (0, 0, 1, 1))
    size = matrix.shape[0]
    return torch.stack([padded[tap : tap + size] for tap in range(3)])


def class_conv_masks(features: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    """Soft masks of the detected class alone, where the last layer is a 3x3 convolution.

    Args:
        features: float32 [N, C, M, M].
        weight: float32 [K, C, 3, 3], a row per class.
        bias: float32 [K].
        labels: int64 [N], rows of `weight`.

    Returns:
        float32 [N, M, M], 0..1.
    """
    size = features.shape[-1]
    taps = weight.flatten(2).transpose(1, 2).contiguous().index_select(0, labels)
    found = torch.matmul(taps, features.flatten(2)).reshape(-1, 9, size, size)
    padded = nn.functional.pad(found, (1, 1, 1, 1))
    total = bias.index_select(0, labels).reshape(-1, 1, 1)
    for tap in range(9):
        row, column = divmod(tap, 3)
        total = total + padded[:, tap, row : row + size, column : column + size]
    return torch.sigmoid(total)
