"""Where the cells of small masks lie in a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cell_centres(boxes: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Centres of masks' cells in picture pixels, float32 [N, rows, columns, 2].

    Args:
        boxes: which the masks fill, float32 [N, 4] as x1, y1, x2, y2.
        rows: of each mask.
        columns: of each mask.
    """
    x = (np.arange(columns, dtype=np.float32) + 0.5) / columns
    y = (np.arange(rows, dtype=np.float32) + 0.5) / rows
    centres = np.empty((len(boxes), rows, columns, 2), np.float32)
    centres[..., 0] = (boxes[:, :1] + x * (boxes[:, 2:3] - boxes[:, :1]))[:, None, :]
    centres[..., 1] = (boxes[:, 1:2] + y * (boxes[:, 3:] - boxes[:, 1:2]))[:, :, None]
    return centres
