"""Proposals from all anchors together, as the TensorFlow-born systems take them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from stream_export.blocks.boxes import BoxDecoder, clip


class JointProposals(nn.Module):
    """The best anchors whatever their level, decoded, suppressed together, cut to a fixed count.

    The Object Detection API lets every anchor into suppression. Greedy suppression goes from the
    best down and stops at `after`, so taking the best `before` only changes nothing unless fewer
    than `after` of them survive.
    """

    def __init__(
        self,
        *,
        before: int,
        after: int,
        iou: float,
        score: float = 0.0,
        decoder: BoxDecoder | None = None,
        clip_last: bool = False,
    ) -> None:
        """Sets up.

        Args:
            before: candidates that enter suppression.
            after: proposals.
            iou: suppression threshold, 0..1.
            score: proposals must be better than this, 0..1.
            decoder: of deltas to boxes; weights of 1 by default.
            clip_last: whether boxes are clipped behind suppression instead of before it; those
                that lie wholly outside are then dropped.
        """
        super().__init__()
        self.before = before
        self.after = after
        self.iou = iou
        self.score = score
        self.decoder = decoder or BoxDecoder()
        self.clip_last = clip_last

    def forward(
        self,
        scores: Tensor,
        deltas: Tensor,
        anchors: Callable[[Tensor], Tensor],
        bounds: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """Proposes.

        Args:
            scores: float32 [K], 0..1.
            deltas: float32 [K, 4]: dx, dy, dw, dh.
            anchors: gives the anchors, float32 [n, 4] (x1, y1, x2, y2), at indices, int64 [n].
            bounds: height and width that boxes are clipped to.

        Returns:
            Boxes, float32 [after, 4], and scores, float32 [after], descending; a score of 0 or
            less means that there is no proposal.
        """
        total = scores.shape[0]
        padded = scores
        if not isinstance(total, int) or total < self.before:
            padded = nn.functional.pad(scores, (0, self.before), value=-1.0)
        best, index = torch.topk(padded, self.before)
        index = index.clamp(max=total - 1)
        boxes = self.decoder(deltas.index_select(0, index), anchors(index))
        if not self.clip_last:
            boxes = clip(boxes, *bounds)
        best = torch.where(best > self.score, best, -1.0)
        kept = torch.ops.stream.suppress(boxes[None], best[None], self.iou, self.after)[0]
        if self.clip_last:
            boxes = clip(boxes, *bounds)
            area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
            kept = torch.where(area > 0, kept, -1.0)
        final, index = torch.topk(kept, min(self.after, self.before))
        return boxes.index_select(0, index), final
