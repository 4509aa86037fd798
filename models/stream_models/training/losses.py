"""The losses of Mask R-CNN (He et al. 2017), with regions that prove nothing left out."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from stream_models.boxes import (
    BOX_WEIGHTS,
    PROPOSAL_WEIGHTS,
    decode,
    encode,
    level_anchors,
    propose,
)
from stream_models.network import FINE_STRIDE, BoxHead, MaskRCNN, build_atlas, clip
from stream_models.training.targets import Targets, crop_masks, dense_truth, match, sample


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """How many regions are sampled a picture, and the overlaps (IoU) that decide.

    Cells at a mask's edge count for `1 + edge_weight` of those elsewhere.
    """

    anchors: int = 192
    anchor_positive: float = 0.6
    anchor_negative: float = 0.3
    proposals: int = 160
    regions: int = 64
    region_positive: float = 0.5
    refined_positive: float = 0.6
    positive_share: float = 0.3
    masks: int = 16
    edge_weight: float = 2.0
    dice_weight: float = 0.5
    dense_weight: float = 0.5


def class_loss(logits: Tensor, wanted: Tensor, allowed: Tensor) -> Tensor:
    """Cross-entropy of each region (R,) over the classes that may be told apart there.

    logits (R, 1 + classes), background first; wanted int64 (R,), 0 for background; allowed bool
    (R, 1 + classes): a class that may be in view without a label is taken out of the softmax,
    so that the region says nothing about it. Where only the background is left, the loss is 0.
    """
    masked = logits.float().masked_fill(~allowed, float("-inf"))
    return functional.cross_entropy(masked, wanted, reduction="none")


def edges(truth: Tensor) -> Tensor:
    """How much of an edge each cell of soft masks (R, M, M) is: the range of its neighbours."""
    highest = functional.max_pool2d(truth[:, None], 3, 1, 1)
    lowest = -functional.max_pool2d(-truth[:, None], 3, 1, 1)
    return (highest - lowest)[:, 0]


def mask_loss(
    logits: Tensor, truth: Tensor, weights: Tensor, dice_weight: float, edge_weight: float = 0.0
) -> Tensor:
    """Binary cross-entropy plus Dice loss (Milletari et al. 2016) of (R, M, M), weighted by (R,).

    In the cross-entropy a cell at an edge counts for `1 + edge_weight`. Returns 0 (with a gradient)
    where all weights are 0.
    """
    logits = logits.float()
    cells = 1.0 + edge_weight * edges(truth)
    cross = functional.binary_cross_entropy_with_logits(logits, truth, cells, reduction="none")
    cross = cross.sum(dim=(1, 2)) / cells.sum(dim=(1, 2))
    soft = logits.sigmoid()
    shared = (soft * truth).sum(dim=(1, 2))
    total = (soft + truth).sum(dim=(1, 2))
    dice = 1.0 - (2.0 * shared + 1.0) / (total + 1.0)
    return ((cross + dice_weight * dice) * weights).sum() / weights.sum().clamp(min=1.0)


def proposal_losses(
    logits: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    targets: list[Targets],
    config: LossConfig,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Objectness and box loss of the region proposal network over a batch.

    logits (B, A), deltas (B, A, 4), anchors (A, 4).
    """
    picked_logits, wanted, picked_deltas, wanted_deltas = [], [], [], []
    for index, target in enumerate(targets):
        best, state = match(
            anchors, target, config.anchor_positive, config.anchor_negative, low_quality=True
        )
        chosen = sample(state, config.anchors, 0.5, generator)
        positive = chosen[state[chosen] == 1]
        picked_logits.append(logits[index, chosen])
        wanted.append((state[chosen] == 1).float())
        picked_deltas.append(deltas[index, positive])
        wanted_deltas.append(
            encode(target.boxes[best[positive]], anchors[positive], PROPOSAL_WEIGHTS)
        )
    truth = torch.cat(wanted)
    objectness = functional.binary_cross_entropy_with_logits(
        torch.cat(picked_logits).float(), truth, reduction="sum"
    ) / max(1, len(truth))
    box = functional.smooth_l1_loss(
        torch.cat(picked_deltas).float(), torch.cat(wanted_deltas), beta=1 / 9, reduction="sum"
    ) / max(1, len(truth))
    return objectness, box


@dataclasses.dataclass
class Regions:
    """Regions of one picture, sampled for the heads. All (R, ...); see `class_loss`."""

    boxes: Tensor
    matches: Tensor
    wanted: Tensor
    allowed: Tensor

    def take(self, index: Tensor) -> Regions:
        """Those at the positions `index` (K,)."""
        return Regions(
            self.boxes[index], self.matches[index], self.wanted[index], self.allowed[index]
        )


def label_regions(boxes: Tensor, target: Targets, overlap: float) -> tuple[Regions, Tensor]:
    """What each of `boxes` (R, 4) shows, and its state (R,), as `match` gives it.

    A box is an object where their IoU is `overlap` or more; a state of -1 proves nothing.
    """
    best, state = match(boxes, target, overlap, overlap, low_quality=False)
    untouched = state == -2
    known = target.known.clone()
    if bool(known.any()):
        state[untouched] = 0
    positive = state == 1
    wanted = torch.zeros(len(boxes), dtype=torch.int64)
    if len(target.labels):
        wanted[positive] = target.labels[best][positive] + 1
    # A region that overlaps a labelled object but misses it is certainly not a good box of that
    # object's class, so that class may be ruled out there even where it is labelled in part.
    touching = known.clone()
    touching[target.labels] = True
    allowed = torch.where(untouched[:, None], known, touching)
    allowed = torch.where(positive[:, None], torch.ones_like(allowed), allowed)
    allowed = torch.cat([torch.ones(len(boxes), 1, dtype=torch.bool), allowed], dim=1)
    return Regions(boxes, best, wanted, allowed), state


def sample_regions(
    proposals: Tensor, target: Targets, config: LossConfig, generator: torch.Generator
) -> Regions:
    """Choose the regions the heads learn from, the labelled boxes themselves among them."""
    boxes = torch.cat([proposals, target.boxes])
    regions, state = label_regions(boxes, target, config.region_positive)
    return regions.take(sample(state, config.regions, config.positive_share, generator))


@torch.no_grad()
def refine_regions(
    regions: list[Regions],
    deltas: Tensor,
    targets: list[Targets],
    shape: tuple[int, int],
    overlap: float,
) -> list[Regions]:
    """The regions where the first box head moved them by `deltas` (R, 4), labelled anew.

    The second head learns from them (Cascade R-CNN, Cai and Vasconcelos 2018). Those that prove
    nothing where they are now are left out.
    """
    out = []
    counts = [len(part.boxes) for part in regions]
    for part, moves, target in zip(
        regions, torch.split(deltas.cpu(), counts), targets, strict=True
    ):
        moved, state = label_regions(
            clip(decode(moves, part.boxes, BOX_WEIGHTS), *shape), target, overlap
        )
        out.append(moved.take((state >= 0).nonzero()[:, 0]))
    return out


def losses(
    network: MaskRCNN,
    images: Tensor,
    targets: list[Targets],
    config: LossConfig,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """All losses of a batch of pictures, uint8 or float (B, 3, H, W) in 0..255.

    Returns scalars `objectness`, `proposal_box`, `class`, `box`, `refined_class`, `refined_box`,
    `mask` and `dense`. Targets are on the CPU; the network may be elsewhere.
    """
    device = images.device
    levels, fine = network.features(images)
    level_logits, level_deltas = network.proposals(levels)
    sizes = [(level.shape[-2], level.shape[-1]) for level in levels]
    per_level = level_anchors(network.config, sizes)
    anchors = torch.cat(per_level)
    # Assignment works on small index tensors and runs on the CPU wherever the network is.
    logits = torch.cat(level_logits, dim=1).cpu()
    deltas = torch.cat(level_deltas, dim=1).cpu()
    objectness, proposal_box = proposal_losses(logits, deltas, anchors, targets, config, generator)
    counts = [len(level) for level in per_level]
    shape = (images.shape[-2], images.shape[-1])
    regions = []
    with torch.no_grad():
        for index, target in enumerate(targets):
            proposals = propose(
                list(torch.split(logits[index].detach(), counts)),
                list(torch.split(deltas[index].detach(), counts)),
                per_level,
                shape,
                per_level=200,
                keep=config.proposals,
            )
            regions.append(sample_regions(proposals, target, config, generator))
    atlas = build_atlas(levels)
    class_value, box_value, moves = _box_losses(
        network, network.box, atlas, sizes, regions, targets
    )
    regions = refine_regions(regions, moves, targets, shape, config.refined_positive)
    refined_class, refined_box, _ = _box_losses(
        network, network.refine, atlas, sizes, regions, targets
    )
    mask_value = _mask_loss(network, atlas, sizes, fine, regions, targets, shape, config)
    return {
        "objectness": objectness.to(device),
        "proposal_box": proposal_box.to(device),
        "class": class_value,
        "box": box_value,
        "refined_class": refined_class,
        "refined_box": refined_box,
        "mask": mask_value,
        "dense": config.dense_weight * _dense_loss(network, fine, targets, shape),
    }


def _rois(boxes: list[Tensor]) -> Tensor:
    rows = [
        torch.cat([torch.full((len(part), 1), float(index)), part], dim=1)
        for index, part in enumerate(boxes)
    ]
    return torch.cat(rows)


def _box_losses(
    network: MaskRCNN,
    head: BoxHead,
    atlas: Tensor,
    sizes: list[tuple[int, int]],
    regions: list[Regions],
    targets: list[Targets],
) -> tuple[Tensor, Tensor, Tensor]:
    """Class and box loss of a box head of the network, and its deltas (R, 4)."""
    device = atlas.device
    rois = _rois([part.boxes for part in regions])
    logits, deltas = head(network.pool_box(atlas, sizes, rois.to(device)))
    wanted = torch.cat([part.wanted for part in regions])
    allowed = torch.cat([part.allowed for part in regions])
    count = max(1, len(wanted))
    classes = class_loss(logits, wanted.to(device), allowed.to(device)).sum() / count
    positive = wanted > 0
    truth = torch.cat(
        [
            target.boxes[part.matches] if len(target.boxes) else torch.zeros(len(part.boxes), 4)
            for part, target in zip(regions, targets, strict=True)
        ]
    )
    wanted_deltas = encode(truth[positive], rois[positive, 1:], BOX_WEIGHTS).to(device)
    box = (
        functional.smooth_l1_loss(
            deltas[positive.to(device)].float(), wanted_deltas, beta=1 / 9, reduction="sum"
        )
        / count
    )
    return classes, box, deltas.detach().float()


def _dense_loss(
    network: MaskRCNN, fine: Tensor, targets: list[Targets], shape: tuple[int, int]
) -> Tensor:
    """Cross-entropy of every cell of the fine map: a person, and anything else, or not.

    It teaches the maps that masks are read from about all of a picture, not only its regions.
    """
    both = [dense_truth(target, shape, FINE_STRIDE) for target in targets]
    truth = torch.stack([part[0] for part in both]).to(fine.device)
    weight = torch.stack([part[1] for part in both]).to(fine.device)
    logits = network.dense(fine).float()
    cross = functional.binary_cross_entropy_with_logits(logits, truth, weight, reduction="sum")
    return cross / weight.sum().clamp(min=1.0)


def _mask_loss(
    network: MaskRCNN,
    atlas: Tensor,
    sizes: list[tuple[int, int]],
    fine: Tensor,
    regions: list[Regions],
    targets: list[Targets],
    shape: tuple[int, int],
    config: LossConfig,
) -> Tensor:
    boxes, truths, weights = [], [], []
    size = network.config.mask_size
    for part, target in zip(regions, targets, strict=True):
        positive = (part.wanted > 0).nonzero()[:, 0]
        weight = target.mask_weights[part.matches[positive]]
        positive, weight = positive[weight > 0], weight[weight > 0]
        # A few regions of every object rather than many of the one with the most proposals.
        order = _spread(part.matches[positive])[: config.masks]
        positive, weight = positive[order], weight[order]
        mask_boxes = network.mask_boxes(part.boxes[positive], *shape)
        boxes.append(mask_boxes)
        truths.append(crop_masks(target, part.matches[positive], mask_boxes, size))
        weights.append(weight)
    rois = _rois(boxes).to(atlas.device)
    if len(rois) == 0:
        return (atlas.sum() + fine.sum()) * 0.0
    logits = network.mask(*network.pool_mask(atlas, sizes, fine, rois))
    truth = torch.cat(truths).to(atlas.device)
    sure = torch.cat(weights).to(atlas.device)
    return mask_loss(logits, truth, sure, config.dice_weight, config.edge_weight)


def _spread(matches: Tensor) -> Tensor:
    """An order that takes one region of each object, then a second of each, and so on."""
    seen: dict[int, int] = {}
    rank = []
    for match_index in matches.tolist():
        seen[match_index] = seen.get(match_index, 0) + 1
        rank.append(seen[match_index])
    return torch.tensor(rank, dtype=torch.int64).argsort(stable=True)
