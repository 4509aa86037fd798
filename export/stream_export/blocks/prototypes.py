"""YOLACT's parts: suppression in one step, and masks mixed from prototypes (Bolya et al., 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FastDetections(nn.Module):
    """The best (prior, class) pairs after Fast NMS (YOLACT, section 3.3).

    A pair is suppressed by any better one of its class that overlaps it, even by one that is
    suppressed itself; so there is no order to keep and no loop. Only the best `candidates` pairs
    take part, which changes nothing unless fewer than `count` of them survive.
    """

    def __init__(
        self,
        *,
        score: float,
        iou: float = 0.5,
        per_class: int = 200,
        count: int = 100,
        candidates: int = 1000,
    ) -> None:
        """Sets up.

        Args:
            score: a pair must be better than this, 0..1.
            iou: a pair that overlaps a better one by more than this is suppressed, 0..1.
            per_class: of each class, only so many take part.
            count: at most this many detections.
            candidates: pairs that take part, over all classes.
        """
        super().__init__()
        self.score = score
        self.iou = iou
        self.per_class = per_class
        self.count = count
        self.candidates = candidates

    def forward(self, probabilities: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Detects.

        Args:
            probabilities: float32 [P, C], without background.
            boxes: float32 [P, 4], x1, y1, x2, y2.

        Returns:
            Which prior each detection is of, int64 [N], scores float32 [N] (descending) and labels
            int64 [N].
        """
        rows, classes = probabilities.shape
        wanted = min(self.candidates, rows * classes)
        scores, index = torch.topk(probabilities.flatten(), wanted)
        prior = torch.div(index, classes, rounding_mode="trunc")
        labels = index - prior * classes
        overlap = overlaps(boxes.index_select(0, prior))
        numbers = torch.arange(wanted, device=labels.device)
        better = numbers.unsqueeze(0) < numbers.unsqueeze(1)
        rivals = better & (labels.unsqueeze(0) == labels.unsqueeze(1))
        suppressed = (rivals & (overlap > self.iou)).any(dim=1)
        rank = rivals.to(torch.float32).sum(dim=1)
        usable = (scores > self.score) & ~suppressed & (rank < self.per_class)
        best, order = torch.topk(torch.where(usable, scores, -1.0), min(self.count, wanted))
        order = order.index_select(0, torch.ops.stream.candidates(best))
        return prior[order], scores[order], labels[order]


def overlaps(boxes: Tensor) -> Tensor:
    """Intersection over union of every two boxes, float32 [N, 4] to [N, N]; 0 for empty ones."""
    x1, y1, x2, y2 = boxes.unbind(1)
    width = torch.minimum(x2[:, None], x2[None]) - torch.maximum(x1[:, None], x1[None])
    height = torch.minimum(y2[:, None], y2[None]) - torch.maximum(y1[:, None], y1[None])
    shared = width.clamp(min=0) * height.clamp(min=0)
    area = (x2 - x1) * (y2 - y1)
    union = area[:, None] + area[None] - shared
    return shared / union.clamp(min=1e-12)


class PrototypeMasks(nn.Module):
    """Masks mixed from prototypes, cropped to their boxes and resampled into frames around them.

    The crop reaches beyond the box, so a mask's frame is larger than its box: by up to two
    prototype cells to the left and above and three to the right and below. Frames begin with a
    prototype's cell, and those of small boxes hold an odd number of mask cells for each of its
    cells; then every prototype's centre is a mask cell's centre, and painting the mask gives what
    enlarging the prototypes does. Large boxes have no such luck: their peaks lose a little.
    """

    def __init__(self, cells: int, padding: float = 1.0) -> None:
        """Sets up.

        Args:
            cells: along an edge of a mask, M.
            padding: prototype cells that the crop adds on every side.
        """
        super().__init__()
        self.cells = cells
        self.padding = padding

    def forward(
        self, prototypes: Tensor, coefficients: Tensor, boxes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mixes.

        Args:
            prototypes: float32 [1, K, P, P].
            coefficients: float32 [N, K].
            boxes: float32 [N, 4], x1, y1, x2, y2 as parts of the picture, 0..1.

        Returns:
            Masks float32 [N, M, M], 0..1, and their frames float32 [N, 4] as parts of the picture.
        """
        edge = prototypes.shape[-1]
        soft = torch.sigmoid(torch.matmul(coefficients, prototypes[0].flatten(1)))
        soft = soft.reshape(-1, edge, edge)
        low, high = boxes[:, :2] * edge, boxes[:, 2:] * edge
        first = (low - self.padding).clamp(min=0).unsqueeze(2)
        last = (high + self.padding).clamp(max=edge).unsqueeze(2)
        numbers = torch.arange(edge, dtype=torch.float32, device=boxes.device)
        # Float comparisons with whole cell numbers, as the original's crop does them.
        inside = ((numbers >= first) & (numbers < last)).to(torch.float32)
        start, end = self._frame(low, high, edge)
        hats = self._hats(start, end, edge) * inside.unsqueeze(2)
        columns, rows = hats[:, 0], hats[:, 1]
        masks = torch.matmul(torch.matmul(rows, soft), columns.transpose(1, 2))
        return masks, torch.cat((start, end), dim=1) / edge

    def _frame(self, low: Tensor, high: Tensor, edge: int) -> tuple[Tensor, Tensor]:
        """Frames for boxes from `low` to `high`, float32 [N, 2] each, in prototype cells."""
        start = torch.floor((low - self.padding).clamp(min=0, max=edge - 1))
        end = torch.ceil((high + self.padding + 1).clamp(min=1, max=edge))
        needed = torch.maximum(end - start, torch.ones_like(start))
        odd = torch.floor((self.cells / needed + 1) / 2) * 2 - 1
        size = torch.where(odd >= 3, self.cells / odd, needed)
        # A frame that would reach outside moves inside, and by whole mask cells, as it happens.
        start = torch.minimum(start, edge - size)
        return start, start + size

    def _hats(self, start: Tensor, end: Tensor, edge: int) -> Tensor:
        """How much each prototype cell counts at each mask cell: float32 [N, 2, M, P]."""
        steps = (torch.arange(self.cells, dtype=torch.float32, device=start.device) + 0.5) / (
            self.cells
        )
        position = start.unsqueeze(2) + steps * (end - start).unsqueeze(2) - 0.5
        # Beyond the outermost centres the picture's own upsampling repeats the last cell.
        position = position.clamp(min=0, max=edge - 1)
        numbers = torch.arange(edge, dtype=torch.float32, device=start.device)
        return (1 - (position.unsqueeze(3) - numbers).abs()).clamp(min=0)
