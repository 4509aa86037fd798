"""TensorFlow's ROI pooling, and its masks in the frame of their box."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class CropAndResize(nn.Module):
    """`tf.image.crop_and_resize` of boxes within the map: one bilinear sample a cell.

    Along an axis with n map cells a normalised box from a to b is sampled, corners on corners, at
    a * (n - 1) + i * (b - a) * (n - 1) / (P - 1), i = 0..P-1. RoIAlign with one sample per cell
    does the same with a box that is half a step larger on every side, so it is used for that.

    TensorFlow gives 0 outside of the map. Boxes are clipped before they get here, so that only
    rounding puts a sample outside: of the regions that touch the border TensorFlow blanks about one
    in a hundred so, others with every change of the last bit. That is not repeated.
    """

    def __init__(self, size: int) -> None:
        """Sets the cells along an edge of the pooled grid, P (two or more)."""
        super().__init__()
        self.size = size

    def forward(
        self, features: Sequence[Tensor], boxes: Tensor, levels: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Pools.

        Args:
            features: maps, float32 [1, C, Hl, Wl].
            boxes: float32 [R, 4], x1, y1, x2, y2 in 0..1: 0 and 1 are the centres of a map's first
                and last cell.
            levels: int64 [R], which map each box is for; None where there is but one.

        Returns:
            float32 [R, C, P, P], sorted by level, and int64 [R], the box that each row is of;
            `restore` undoes it.
        """
        if levels is None:
            levels = torch.zeros_like(boxes[:, 0], dtype=torch.int64)
        last = torch.stack([_last_cells(maps) for maps in features]).index_select(0, levels)
        cells = boxes * last
        start, end = cells[:, :2], cells[:, 2:]
        half = (end - start) / (2 * (self.size - 1))
        # RoIAlign's half-pixel mode takes 0.5 off.
        rois = torch.cat((start - half, end + half), dim=1) + 0.5
        pooled: tuple[Tensor, Tensor] = torch.ops.stream.roi_align_levels(
            list(features), rois, levels, [1.0] * len(features), self.size, 1, True
        )
        return pooled


def _last_cells(maps: Tensor) -> Tensor:
    """Numbers of the last column and row, twice, float32 [4]."""
    row, column = (
        torch.scalar_tensor(size - 1, dtype=torch.float32)
        for size in (maps.shape[2], maps.shape[3])
    )
    return torch.stack((column, row, column, row))


def frame_masks(
    masks: Tensor, boxes: Tensor, picture: tuple[int, int], fine: int
) -> tuple[Tensor, Tensor]:
    """Masks whose outermost samples lie on their box's edge, in the contract's frame.

    The Object Detection API samples a mask, corners on corners, at pixel number / (size - 1) of the
    normalised picture, and stops sharply at the box (`reframe_box_masks_to_image_masks`). The
    contract has cells that cover a frame evenly, pixels at their centres, and masks that fade to
    zero over one cell beyond the outermost ones. So the frame is half a cell larger than the box;
    more cells, `fine` for each of the original's steps, make the fade short; and it begins at the
    threshold, so that thresholded masks stop where the original's do.

    Args:
        masks: float32 [N, M, M].
        boxes: float32 [N, 4], x1, y1, x2, y2, normalised to the picture.
        picture: height and width in pixels.
        fine: cells per step of the mask.

    Returns:
        Masks, float32 [N, K, K] with K = fine * (M - 1) + 1, and their frames, float32 [N, 4] in
        pixels.
    """
    spread = _enlargement(masks.shape[1], fine)
    found = spread @ masks @ spread.transpose(0, 1)
    edge = torch.zeros(spread.shape[0])
    edge[0] = edge[-1] = 1
    ring = torch.maximum(edge.unsqueeze(0), edge.unsqueeze(1)) > 0
    found = torch.where(ring, found.clamp(max=_ABOVE), found)
    last = torch.stack(
        [torch.scalar_tensor(size, dtype=torch.float32) - 1 for size in reversed(picture)] * 2
    )
    pixels = boxes * last + 0.5
    start, end = pixels[:, :2], pixels[:, 2:]
    half = (end - start) / (2 * (spread.shape[0] - 1))
    return found, torch.cat((start - half, end + half), dim=1)


_ABOVE = 0.501
"""Just above the threshold, which is 0.5 in the API's notebook."""


def _enlargement(samples: int, fine: int) -> Tensor:
    """Weights of linear interpolation, float32 [fine * (samples - 1) + 1, samples]."""
    position = torch.arange(fine * (samples - 1) + 1, dtype=torch.float64) / fine
    distance = (position.unsqueeze(1) - torch.arange(samples)).abs()
    return (1 - distance).clamp(min=0).to(torch.float32)
