"""The region proposal network's second half: from maps of logits and deltas to proposals."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stream_export.blocks.boxes import AnchorGrid, BoxDecoder, clip, large_enough

_LEAST = 1e-30
"""What an objectness that rounds to 0 counts as: what is 0 would be no proposal."""


class Proposals(nn.Module):
    """The best anchors of each level, decoded, suppressed per level, and cut to a fixed count."""

    def __init__(
        self,
        grids: Sequence[AnchorGrid],
        *,
        before: int = 1000,
        after: int = 1000,
        iou: float = 0.7,
        minimum: float = 1e-3,
        score: float = 0.0,
        decoder: BoxDecoder | None = None,
        by_logit: bool = False,
    ) -> None:
        """Sets up.

        Args:
            grids: the anchors of each level.
            before: candidates per level that enter suppression.
            after: proposals over all levels.
            iou: suppression threshold, 0..1.
            minimum: proposals narrower or lower than this (pixels) are dropped.
            score: proposals below this are dropped, 0..1.
            decoder: of deltas to boxes; weights of 1 by default.
            by_logit: whether suppression goes by the logits themselves, as detectron2 does, rather
                than by the sigmoid, which rounds the largest of them together.
        """
        super().__init__()
        self.grids = nn.ModuleList(grids)
        self.before = before
        self.after = after
        self.iou = iou
        self.minimum = minimum
        self.score = score
        self.decoder = decoder or BoxDecoder()
        self.by_logit = by_logit

    def forward(
        self,
        logits: Sequence[Tensor],
        deltas: Sequence[Tensor],
        content: tuple[int, int],
        size: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """Proposes.

        Args:
            logits: per level, float32 [1, A, Hl, Wl]: objectness before the sigmoid.
            deltas: per level, float32 [1, 4A, Hl, Wl].
            content: height and width of the picture in the input, pixels; boxes are clipped to it.
            size: height and width of the whole input, pixels.

        Returns:
            Boxes, float32 [P, 4] in pixels, and scores, float32 [P], descending; P is fixed, and a
            score of 0 or less means that there is no proposal. Scores are 0..1, unless they go
            `by_logit`.
        """
        levels = [
            self._level(grid, objectness, regression, size)
            for grid, objectness, regression in zip(self.grids, logits, deltas, strict=True)
        ]
        best, chosen, anchors = (torch.stack(parts) for parts in zip(*levels, strict=True))
        all_boxes = clip(self.decoder(chosen, anchors), *content)
        # PyTorch's sigmoid to the last bit. ONNX Runtime's is 0 from -18 down and 1 from elsewhere
        # up, so that others were equal; and of equal ones the finest level's are proposed.
        all_scores = torch.reciprocal(1 + torch.exp(-best))
        # A small map's padding is told by its logit, as the originals propose what rounds to 0.
        wanted = large_enough(all_boxes, self.minimum) & (all_scores >= self.score)
        wanted = wanted & (best > -torch.inf)
        if self.by_logit:
            # Suppression wants positive numbers: e^x below zero and 1 + x above keep the order.
            all_scores = torch.where(best > 0, best + 1, torch.exp(best.clamp(max=0)))
        all_scores = torch.where(wanted, all_scores.clamp(min=_LEAST), -1.0)
        limit = min(self.before, self.after)
        kept = torch.ops.stream.suppress(all_boxes, all_scores, self.iou, limit).flatten()
        final, index = torch.topk(kept, min(self.after, self.before * len(levels)))
        return all_boxes.reshape(-1, 4).index_select(0, index), final

    def _level(
        self, grid: nn.Module, objectness: Tensor, regression: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A level's best logits, float32 [K], with their deltas and anchors, float32 [K, 4]."""
        count, height, width = objectness.shape[1:]
        flat = objectness[0].permute(1, 2, 0).flatten()
        total = count * height * width
        # A small map has fewer anchors than are asked for, and how many may not be known yet.
        if not isinstance(total, int) or total < self.before:
            flat = nn.functional.pad(flat, (0, self.before), value=-torch.inf)
        best, index = torch.topk(flat, self.before)
        index = index.clamp(max=total - 1)
        anchors = grid(index, (height, width), size)
        cell = torch.ops.stream.quotient(index, count)
        anchor = index - cell * count
        # Deltas are gathered where they lie; reordering the whole map would copy it.
        plane = height * width
        first = anchor * (4 * plane) + cell
        where = torch.stack([first + plane * part for part in range(4)], dim=1)
        chosen = regression.flatten().index_select(0, where.flatten()).reshape(-1, 4)
        return best, chosen, anchors
