"""From the contract's uint8 picture to what a backbone sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn


class Pixels(nn.Module):
    """Channel order, cast, normalisation and padding: (pixel / divisor - mean) / std."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        mean: Sequence[float],
        deviation: Sequence[float],
        *,
        divisor: float = 255.0,
        channels: Literal["rgb", "bgr"] = "rgb",
        multiple_of: int = 1,
    ) -> None:
        """Sets up.

        Args:
            mean: subtracted, in the order of `channels` and after division.
            deviation: divided by, in the order of `channels`.
            divisor: pixels of 0..255 are divided by this first.
            channels: the order that the backbone wants; the picture is RGB.
            multiple_of: height and width are padded up to a multiple of this, at the right and
                the bottom, with zeros after normalisation.
        """
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer(
            "deviation", torch.tensor(deviation).reshape(1, -1, 1, 1), persistent=False
        )
        self.divisor = divisor
        self.channels = channels
        self.multiple_of = multiple_of

    def normalise(self, image: Tensor) -> Tensor:
        """uint8 [1, H, W, 3] (RGB) to float32 [1, 3, H, W], not yet padded."""
        planes = image.permute(0, 3, 1, 2).to(torch.float32) / self.divisor
        if self.channels == "bgr":
            planes = planes.flip(1)
        return (planes - self.mean) / self.deviation

    def pad(self, planes: Tensor) -> Tensor:
        """float32 [1, C, H, W], padded with zeros to the multiple."""
        height, width = planes.shape[-2:]
        multiple = self.multiple_of
        if multiple == 1:
            return planes
        # PyTorch 2.11 cannot export `-width % multiple` for pictures of any size.
        right = (width + multiple - 1) // multiple * multiple - width
        below = (height + multiple - 1) // multiple * multiple - height
        return nn.functional.pad(planes, (0, right, 0, below))

    def forward(self, image: Tensor) -> Tensor:
        """uint8 [1, H, W, 3] (RGB) to float32 [1, 3, H', W']."""
        return self.pad(self.normalise(image))
