"""What objects look like: which colours they have, and how alike that makes two of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.instances import Instances
from stream.kernels import compiled
from stream.objects.instance_arrays import with_fields

_BRIGHTNESS, _HUES = 8, 16
"""Steps of brightness, which changes with the light, and of each colour difference."""

COLOURS = _BRIGHTNESS * _HUES**2


def with_colours(
    instances: Instances,
    rgb: NDArray[np.uint8],
    scale: tuple[float, float] = (1.0, 1.0),
    offset: tuple[float, float] = (0.0, 0.0),
) -> Instances:
    """The same instances with their `colours`.

    One pixel is looked at for each cell of a mask that is the object's, so that the cost does not
    grow with the picture.

    Args:
        instances: found in a picture.
        rgb: uint8 [H, W, 3], the picture or a smaller one of it, such as the model's input.
        scale: pixels of the picture per pixel of `rgb`, x and y.
        offset: where the picture begins in `rgb`, x and y.
    """
    kernels = compiled()
    masks, boxes = instances.masks, instances.paste_boxes
    counted: NDArray[np.signedinteger]
    if kernels is None or rgb.strides[1:] != (3, 1):
        counted = _counted(instances, rgb, scale, offset)
    else:
        counted = kernels.colours(
            np.ascontiguousarray(masks),
            np.ascontiguousarray(boxes, np.float32),
            instances.mask_threshold,
            instances.picture_size,
            rgb,
            scale,
            offset,
            (_BRIGHTNESS, _HUES),
        )
    shares = counted.astype(np.float32)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    return with_fields(instances, colours=shares)


def _counted(
    instances: Instances,
    rgb: NDArray[np.uint8],
    scale: tuple[float, float],
    offset: tuple[float, float],
) -> NDArray[np.int64]:
    """How often objects have each colour, int64 [N, COLOURS]."""
    count = len(instances)
    which, row, column = np.nonzero(instances.masks > instances.mask_threshold)
    boxes = instances.paste_boxes[which]
    rows, columns = instances.masks.shape[1:]
    x = boxes[:, 0] + (column + 0.5) / columns * (boxes[:, 2] - boxes[:, 0])
    y = boxes[:, 1] + (row + 0.5) / rows * (boxes[:, 3] - boxes[:, 1])
    height, width = instances.picture_size
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    which, x, y = which[inside], x[inside], y[inside]
    at_x = np.clip((x / scale[0] + offset[0]).astype(np.int64), 0, rgb.shape[1] - 1)
    at_y = np.clip((y / scale[1] + offset[1]).astype(np.int64), 0, rgb.shape[0] - 1)
    red, green, blue = rgb[at_y, at_x].astype(np.int64).T
    # ITU-R BT.601's brightness and colour differences, in 16384ths.
    luma = _descaled(4899 * red + 9617 * green + 1868 * blue)
    differences = _descaled(8061 * (blue - luma)), _descaled(14369 * (red - luma))
    # Colour differences of things lie in the middle half of what there is.
    hues = [np.clip((one + 64) * _HUES // 128, 0, _HUES - 1) for one in differences]
    code = (luma * _BRIGHTNESS // 256 * _HUES + hues[0]) * _HUES + hues[1]
    counted = np.bincount(which * COLOURS + code, minlength=count * COLOURS)
    return counted.reshape(count, COLOURS)


def _descaled(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of 16384ths in whole numbers, rounded."""
    return (sums + (1 << 13)) >> 14


def alike(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """How alike colours are, float32 (N, M): 1 the same, 0 nothing in common (Bhattacharyya).

    Args:
        first: float32 (N, K), shares that add up to 1.
        second: float32 (M, K).
    """
    return np.asarray(np.sqrt(first) @ np.sqrt(second).T, np.float32)
