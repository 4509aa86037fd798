"""Detection with the trained network, in eager torch and in the exported graph alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stream_export.blocks.operators import marked, quotient, survivors
from stream_models.boxes import BOX_WEIGHTS, PROPOSAL_WEIGHTS, decode, level_anchors
from stream_models.network import MaskRCNN, build_atlas, clip

# Boxes of different classes are moved apart by more than any picture's side (pixels) before they
# are compared, so that they never suppress each other.
_APART = 2048.0


@dataclasses.dataclass(frozen=True)
class DetectConfig:
    """Limits of detection. Overlaps are IoU, scores 0..1.

    The first box head sees at most `proposals` regions, those that the proposal network gives more
    than `proposal_floor`; the second those of them to which the first gives any class more than
    `refined_floor`. So what a picture costs goes by what is in it: of somebody before a wall they
    see some ten regions, not a hundred.
    A picture must have at least `anchors` anchors: some 13,000 pixels for the default.
    """

    anchors: int = 500
    proposals: int = 100
    proposal_floor: float = 0.25
    refined_floor: float = 0.1
    proposal_overlap: float = 0.7
    score_floor: float = 0.06
    overlap: float = 0.5
    detections: int = 40


@dataclasses.dataclass
class Detections:
    """The contract's outputs: boxes (N, 4), scores (N,), labels int64 (N,), masks (N, M, M).

    The masks lie in `mask_boxes` (N, 4), which reach beyond the boxes.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor
    mask_boxes: Tensor


class Detector(nn.Module):
    """Detection on one picture, in operations that export to ONNX without loops or branches."""

    kept: Tensor

    def __init__(
        self,
        network: MaskRCNN,
        config: DetectConfig | None = None,
        kept: Sequence[int] | None = None,
    ) -> None:
        """Detect the classes with the indices `kept`, renumbered in that order; all by default.

        The others still take their share of the probability: what looks most like one of them is
        not forced into a class that is kept.
        """
        super().__init__()
        self.network = network
        self.config = config or DetectConfig()
        indices = range(len(network.config.names)) if kept is None else kept
        self.register_buffer("kept", torch.tensor(list(indices)) + 1, persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Picture uint8 (1, H, W, 3), H and W multiples of 32, to the contract's outputs.

        Returns boxes (N, 4), scores (N,) descending, labels int64 (N,), masks (N, M, M) in 0..1,
        and the boxes that these lie in, (N, 4).
        """
        network = self.network
        shape = (image.shape[1], image.shape[2])
        levels, fine = network.features(image.permute(0, 3, 1, 2))
        sizes = [(level.shape[-2], level.shape[-1]) for level in levels]
        objectness, deltas = network.proposals(levels)
        boxes = self._propose(objectness, deltas, sizes, shape)
        atlas = build_atlas(levels)
        class_logits, box_deltas = network.box(network.pool_box(atlas, sizes, boxes))
        first = class_logits.float().softmax(dim=1).index_select(1, self.kept)
        hopeful = _above(first.amax(dim=1), self.config.refined_floor)
        first = first.index_select(0, hopeful)
        boxes = decode(
            box_deltas.index_select(0, hopeful), boxes.index_select(0, hopeful), BOX_WEIGHTS
        )
        boxes = clip(boxes, *shape)
        class_logits, box_deltas = network.refine(network.pool_box(atlas, sizes, boxes))
        second = class_logits.float().softmax(dim=1).index_select(1, self.kept)
        refined = clip(decode(box_deltas, boxes, BOX_WEIGHTS), *shape)
        rows, best, labels = self._select(refined, 0.5 * (first + second))
        found = refined.index_select(0, rows)
        mask_boxes = network.mask_boxes(found, *shape)
        logits = network.mask(*network.pool_mask(atlas, sizes, fine, mask_boxes))
        masks = logits.float().sigmoid()
        sound = marked(best > self.config.score_floor)
        scores, order = torch.sort(
            (best * certainty(masks)).index_select(0, sound), descending=True
        )
        order = sound.index_select(0, order)
        boxes, labels, masks, mask_boxes = (
            part.index_select(0, order) for part in (found, labels, masks, mask_boxes)
        )
        return boxes, scores, labels, masks, mask_boxes

    def _propose(
        self,
        logits: list[Tensor],
        deltas: list[Tensor],
        sizes: list[tuple[int, int]],
        shape: tuple[int, int],
    ) -> Tensor:
        """Boxes (P, 4), best first: those above the floor, or the best one."""
        config = self.config
        anchors = torch.cat(level_anchors(self.network.config, sizes)).to(logits[0].device)
        best, index = torch.cat(logits, dim=1)[0].float().topk(config.anchors)
        moves = torch.cat(deltas, dim=1)[0].index_select(0, index)
        boxes = decode(moves, anchors.index_select(0, index), PROPOSAL_WEIGHTS)
        boxes = clip(boxes, *shape)
        # They are sorted: the first is the best one, which is always wanted.
        always = torch.zeros(config.anchors).to(best)
        always[0] = 2.0
        wanted = torch.maximum(best.sigmoid(), always)
        kept = survivors(
            boxes, wanted, config.proposal_overlap, config.proposals, config.proposal_floor
        )
        return boxes.index_select(0, kept)

    def _select(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Region indices, scores and labels, (N,) each: those above the floor, or the best one.

        Takes boxes (P, 4) and class scores (P, C); suppression is within a class.
        """
        config, classes = self.config, scores.shape[1]
        every = scores.flatten()
        index = _above(every, config.score_floor)
        best = every.index_select(0, index)
        rows = quotient(index, classes)
        labels = index - rows * classes
        apart = boxes.index_select(0, rows) + labels.to(boxes.dtype)[:, None] * _APART
        keep = survivors(apart, best, config.overlap, config.detections, 0.0)
        return rows.index_select(0, keep), best.index_select(0, keep), labels.index_select(0, keep)


def _above(scores: Tensor, floor: float) -> Tensor:
    """The indices of scores (N,) above a floor; of the best ones where none is.

    ONNX Runtime's int8 convolution crashes on an empty batch: one always stays.
    """
    least = scores.amax(dim=0).clamp(max=floor)
    found: Tensor = marked(scores >= least)
    return found


def certainty(masks: Tensor) -> Tensor:
    """How sure each soft mask (N, M, M) is of what it covers: its mean there, (N,), 0 or 0.5..1.

    As in SOLO (Wang et al. 2020), scores multiplied by it rank good silhouettes first; on our
    validation pictures that is worth 0.6 points of mask AP in crowds, 2 in portraits.
    """
    inside = (masks > 0.5).to(masks.dtype)
    return (masks * inside).sum(dim=(1, 2)) / inside.sum(dim=(1, 2)).clamp(min=1.0)


@torch.no_grad()
def detect(network: MaskRCNN, image: Tensor, config: DetectConfig | None = None) -> Detections:
    """Find the objects of one picture, uint8 (H, W, 3); H and W multiples of 32."""
    return Detections(*Detector(network, config)(image[None]))
