"""The losses of `losses`, of a whole batch at once: for devices that wait for every small step.

Nothing here asks the device for a number, and shapes do not depend on what is in the pictures:
where there are fewer regions than places, the rest count for nothing.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import roi_align

from stream_models.boxes import (
    BOX_WEIGHTS,
    PROPOSAL_WEIGHTS,
    decode,
    encode,
    level_anchors,
)
from stream_models.network import BoxHead, MaskRCNN, build_atlas, clip
from stream_models.training.losses import LossConfig, class_loss, mask_loss
from stream_models.training.packed import PackedTargets

_PER_LEVEL = 200
_ROUNDS = 24


def overlaps(boxes: Tensor, others: Tensor) -> Tensor:
    """IoU of boxes (B, M, 4), or (1, M, 4) for all pictures, and others (B, N, 4): (B, M, N)."""
    a, b = boxes[:, :, None], others[:, None]
    wide = torch.minimum(a[..., 2], b[..., 2]) - torch.maximum(a[..., 0], b[..., 0])
    high = torch.minimum(a[..., 3], b[..., 3]) - torch.maximum(a[..., 1], b[..., 1])
    shared = wide.clamp_(min=0).mul_(high.clamp_(min=0))
    total = _area(boxes)[:, :, None] + _area(others)[:, None]
    return shared / (total - shared).clamp_(min=1e-6)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def match(
    boxes: Tensor, truth: PackedTargets, positive: float, negative: float, low_quality: bool
) -> tuple[Tensor, Tensor]:
    """`targets.match` of boxes (B or 1, M, 4): objects' indices and states, (B, M) each."""
    overlap = overlaps(boxes, truth.boxes).masked_fill_(~truth.real[:, None], -1.0)
    best, index = overlap.max(dim=2)
    best = best.clamp(min=0)
    crowded = _covered(boxes, truth.ignore) > 0.5
    state = torch.where((best < negative) & ~crowded, 0, -1)
    if low_quality:
        peak = overlap.amax(dim=1)
        hit = (overlap >= (peak - 1e-4)[:, None]) & ((peak > 0.1) & truth.real)[:, None]
        order = torch.arange(1, hit.shape[2] + 1, device=hit.device, dtype=torch.int16)
        last = (hit * order).amax(dim=2).long()
        index = torch.where(last > 0, last - 1, index)
        state = torch.where(last > 0, 1, state)
    state = torch.where(best >= positive, 1, state)
    complete = truth.known.all(dim=1)[:, None]
    return index, torch.where((state == 0) & (best < 0.1) & ~complete, -2, state)


def _covered(boxes: Tensor, areas: Tensor) -> Tensor:
    a, b = boxes[:, :, None], areas[:, None]
    wide = torch.minimum(a[..., 2], b[..., 2]) - torch.maximum(a[..., 0], b[..., 0])
    high = torch.minimum(a[..., 3], b[..., 3]) - torch.maximum(a[..., 1], b[..., 1])
    inner = wide.clamp_(min=0).mul_(high.clamp_(min=0)).amax(dim=2)
    size = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3).prod(dim=-1)
    return inner / size


def sample(
    state: Tensor, total: int, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`targets.sample` of states (B, M): indices and which of them count, (B, `total`) each."""
    keys = torch.rand(state.shape, generator=generator, device=state.device)
    width = state.shape[1]
    first, positive = keys.masked_fill(state != 1, -1.0).topk(min(int(total * share), width))
    second, negative = keys.masked_fill(state != 0, -1.0).topk(min(total, width))
    there = first >= 0
    room = total - there.sum(dim=1, keepdim=True)
    left = (second >= 0) & (torch.arange(second.shape[1], device=state.device) < room)
    valid = torch.cat([there, left], dim=1)
    index = torch.cat([positive, negative], dim=1)
    # At most `total` of them count; those to the front.
    order = valid.int().argsort(dim=1, descending=True, stable=True)[:, :total]
    return index.gather(1, order), valid.gather(1, order)


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Rows of values (B, M, D) at index (B, K), to (B, K, D)."""
    return values.gather(1, index[:, :, None].expand(-1, -1, values.shape[2]))


def unsuppressed(boxes: Tensor, usable: Tensor, overlap: float) -> Tensor:
    """Which of boxes (B, M, 4), best first, non-maximum suppression leaves, bool (B, M).

    A box stays if no better one that stays overlaps it. Asked again and again of all boxes at once,
    the answer is right up to one link further each time along chains of overlapping boxes, and
    these are short.
    """
    kind = torch.float16 if boxes.device.type == "cuda" else torch.float32
    over = (overlaps(boxes, boxes) > overlap).triu(1).to(kind)
    keep = usable
    for _ in range(_ROUNDS):
        hit = torch.bmm(keep[:, None].to(kind), over)[:, 0]
        keep = usable & (hit == 0)
    return keep


@torch.no_grad()
def propose(
    logits: list[Tensor],
    deltas: list[Tensor],
    anchors: list[Tensor],
    shape: tuple[int, int],
    keep: int,
    overlap: float = 0.7,
) -> tuple[Tensor, Tensor]:
    """`boxes.propose` of all pictures: boxes (B, `keep`, 4) and which of them count (B, `keep`)."""
    boxes, scores = [], []
    for level_logits, level_deltas, level_boxes in zip(logits, deltas, anchors, strict=True):
        score, index = level_logits.float().topk(min(_PER_LEVEL, level_logits.shape[1]))
        moves = _rows(level_deltas, index).flatten(0, 1)
        made = clip(decode(moves, level_boxes[index].flatten(0, 1), PROPOSAL_WEIGHTS), *shape)
        boxes.append(made.reshape(*index.shape, 4))
        scores.append(score)
    _, order = torch.cat(scores, dim=1).sort(dim=1, descending=True)
    candidates = _rows(torch.cat(boxes, dim=1), order)
    big = ((candidates[..., 2:] - candidates[..., :2]) >= 2.0).all(dim=2)
    stays = unsuppressed(candidates, big, overlap)
    left = stays.int().argsort(dim=1, descending=True, stable=True)[:, :keep]
    return _rows(candidates, left), stays.gather(1, left)


@dataclasses.dataclass
class Regions:
    """Regions of all pictures, (B, R, ...): see `losses.Regions`; `valid` says which count."""

    boxes: Tensor
    matches: Tensor
    wanted: Tensor
    allowed: Tensor
    valid: Tensor


def label_regions(
    boxes: Tensor, valid: Tensor, truth: PackedTargets, overlap: float
) -> tuple[Regions, Tensor]:
    """`losses.label_regions` of boxes (B, R, 4); states are (B, R)."""
    index, state = match(boxes, truth, overlap, overlap, low_quality=False)
    untouched = state == -2
    known = truth.known
    state = torch.where(untouched & known.any(dim=1)[:, None], 0, state)
    positive = state == 1
    wanted = torch.where(positive, truth.labels.gather(1, index) + 1, 0)
    own = functional.one_hot(truth.labels, known.shape[1]).bool() & truth.real[:, :, None]
    touching = known | own.any(dim=1)
    allowed = torch.where(untouched[:, :, None], known[:, None], touching[:, None])
    allowed = functional.pad(allowed | positive[:, :, None], (1, 0), value=True)
    return Regions(boxes, index, wanted, allowed, valid & (state >= 0)), state


def sample_regions(
    proposals: Tensor,
    valid: Tensor,
    truth: PackedTargets,
    config: LossConfig,
    generator: torch.Generator,
) -> Regions:
    """`losses.sample_regions` of proposals (B, P, 4)."""
    boxes = torch.cat([proposals, truth.boxes], dim=1)
    usable = torch.cat([valid, truth.real], dim=1)
    found, state = label_regions(boxes, usable, truth, config.region_positive)
    state = torch.where(usable, state, -1)
    index, chosen = sample(state, config.regions, config.positive_share, generator)
    return Regions(
        _rows(boxes, index),
        found.matches.gather(1, index),
        found.wanted.gather(1, index),
        _rows(found.allowed, index),
        chosen,
    )


def proposal_losses(
    logits: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    truth: PackedTargets,
    config: LossConfig,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """`losses.proposal_losses` of logits (B, A), deltas (B, A, 4) and anchors (A, 4)."""
    with torch.no_grad():
        best, state = match(
            anchors[None], truth, config.anchor_positive, config.anchor_negative, low_quality=True
        )
        index, valid = sample(state, config.anchors, 0.5, generator)
        positive = (state.gather(1, index) == 1) & valid
        count = valid.sum().clamp(min=1)
        boxes = _rows(truth.boxes, best.gather(1, index)).flatten(0, 1)
        moves = encode(boxes, anchors[index].flatten(0, 1), PROPOSAL_WEIGHTS)
    answer = logits.gather(1, index).float()
    cross = functional.binary_cross_entropy_with_logits(answer, positive.float(), reduction="none")
    miss = functional.smooth_l1_loss(
        _rows(deltas, index).flatten(0, 1).float(), moves, beta=1 / 9, reduction="none"
    )
    box = (miss.sum(dim=1) * positive.flatten()).sum() / count
    return (cross * valid).sum() / count, box


def losses(
    network: MaskRCNN,
    images: Tensor,
    truth: PackedTargets,
    config: LossConfig,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """What `losses.losses` gives, of pictures and targets on one device.

    `generator` is of that device, too.
    """
    levels, fine = network.features(images)
    level_logits, level_deltas = network.proposals(levels)
    sizes = [(level.shape[-2], level.shape[-1]) for level in levels]
    anchors = _anchors(network, sizes, images.device)
    counts = [len(level) for level in anchors]
    logits = torch.cat(level_logits, dim=1).float()
    deltas = torch.cat(level_deltas, dim=1).float()
    shape = (images.shape[-2], images.shape[-1])
    objectness, proposal_box = proposal_losses(
        logits, deltas, torch.cat(anchors), truth, config, generator
    )
    with torch.no_grad():
        proposals, valid = propose(
            list(torch.split(logits.detach(), counts, dim=1)),
            list(torch.split(deltas.detach(), counts, dim=1)),
            anchors,
            shape,
            keep=config.proposals,
        )
        regions = sample_regions(proposals, valid, truth, config, generator)
    atlas = build_atlas(levels)
    class_value, box_value, moves = _box_losses(network, network.box, atlas, sizes, regions, truth)
    with torch.no_grad():
        moved = clip(decode(moves, regions.boxes.flatten(0, 1), BOX_WEIGHTS), *shape)
        again, _ = label_regions(
            moved.reshape(regions.boxes.shape), regions.valid, truth, config.refined_positive
        )
    refined_class, refined_box, _ = _box_losses(network, network.refine, atlas, sizes, again, truth)
    return {
        "objectness": objectness,
        "proposal_box": proposal_box,
        "class": class_value,
        "box": box_value,
        "refined_class": refined_class,
        "refined_box": refined_box,
        "mask": _mask_loss(network, atlas, sizes, fine, again, truth, shape, config),
        "dense": config.dense_weight * _dense_loss(network, fine, truth),
    }


_KEPT: dict[tuple[object, ...], list[Tensor]] = {}


def _anchors(network: MaskRCNN, sizes: list[tuple[int, int]], device: torch.device) -> list[Tensor]:
    """The anchors of each level, made once a size of picture."""
    key = (network.config.anchor_sizes, network.config.anchor_ratios, tuple(sizes), device)
    if key not in _KEPT:
        _KEPT[key] = [level.to(device) for level in level_anchors(network.config, sizes)]
    return _KEPT[key]


def _rois(boxes: Tensor) -> Tensor:
    """Boxes (B, R, 4) with the picture's number in front, (B * R, 5)."""
    numbers = torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)
    return torch.cat([numbers[:, None, None].expand(-1, boxes.shape[1], 1), boxes], 2).flatten(0, 1)


def _box_losses(
    network: MaskRCNN,
    head: BoxHead,
    atlas: Tensor,
    sizes: list[tuple[int, int]],
    regions: Regions,
    truth: PackedTargets,
) -> tuple[Tensor, Tensor, Tensor]:
    """Class and box loss of a box head, and the (B * R, 4) deltas that it answers with."""
    rois = _rois(regions.boxes)
    logits, deltas = head(network.pool_box(atlas, sizes, rois))
    valid = regions.valid.flatten()
    count = valid.sum().clamp(min=1)
    wanted = regions.wanted.flatten()
    classes = (class_loss(logits, wanted, regions.allowed.flatten(0, 1)) * valid).sum() / count
    boxes = _rows(truth.boxes, regions.matches).flatten(0, 1)
    moves = encode(boxes, rois[:, 1:], BOX_WEIGHTS)
    miss = functional.smooth_l1_loss(deltas.float(), moves, beta=1 / 9, reduction="none")
    box = (miss.sum(dim=1) * (valid & (wanted > 0))).sum() / count
    return classes, box, deltas.detach().float()


def _dense_loss(network: MaskRCNN, fine: Tensor, truth: PackedTargets) -> Tensor:
    wanted, weight = truth.dense[:, :2].float(), truth.dense[:, 2:].float()
    logits = network.dense(fine).float()
    cross = functional.binary_cross_entropy_with_logits(logits, wanted, weight, reduction="sum")
    return cross / weight.sum().clamp(min=1.0)


def mask_truth(truth: PackedTargets, matches: Tensor, boxes: Tensor, size: int) -> Tensor:
    """`targets.crop_masks` of objects `matches` (B, R) in `boxes` (B, R, 4): (B * R, size, size).

    Read from the masks that were drawn once, with four samples a cell.
    """
    frames = _rows(truth.mask_frames, matches).flatten(0, 1)
    rows = truth.mask_rows.gather(1, matches).flatten()
    side = truth.masks.shape[-1]
    scale = side / (frames[:, 2:] - frames[:, :2]).clamp(min=1e-3)
    flat = boxes.flatten(0, 1)
    low, high = (flat[:, :2] - frames[:, :2]) * scale, (flat[:, 2:] - frames[:, :2]) * scale
    where = torch.cat([rows[:, None].to(flat.dtype), low, high], dim=1)
    drawn = truth.masks[:, None].float() / 255.0
    out: Tensor = roi_align(drawn, where, size, 1.0, 2, aligned=True)
    return out[:, 0]


def _mask_loss(
    network: MaskRCNN,
    atlas: Tensor,
    sizes: list[tuple[int, int]],
    fine: Tensor,
    regions: Regions,
    truth: PackedTargets,
    shape: tuple[int, int],
    config: LossConfig,
) -> Tensor:
    with torch.no_grad():
        weights = truth.mask_weights.gather(1, regions.matches)
        usable = regions.valid & (regions.wanted > 0) & (weights > 0)
        chosen = _spread(regions.matches, usable)[:, : config.masks]
        sure = (weights * usable).gather(1, chosen)
        matches = regions.matches.gather(1, chosen)
        flat = _rows(regions.boxes, chosen).flatten(0, 1)
        boxes = network.mask_boxes(flat, *shape).reshape(len(chosen), -1, 4)
        masks = mask_truth(truth, matches, boxes, network.config.mask_size)
        rois, sure = _rois(boxes), sure.flatten()
        if sure.device.type == "cpu":
            # Here a number can be asked for, and an empty place costs as much as any other.
            there = sure > 0
            rois, sure, masks = rois[there], sure[there], masks[there]
            if not len(rois):
                return (atlas.sum() + fine.sum()) * 0.0
    logits = network.mask(*network.pool_mask(atlas, sizes, fine, rois))
    return mask_loss(logits, masks, sure, config.dice_weight, config.edge_weight)


def _spread(matches: Tensor, usable: Tensor) -> Tensor:
    """An order (B, R) with one usable region of each object first, then a second, and so on."""
    count = matches.shape[1]
    same = (matches[:, :, None] == matches[:, None]) & usable[:, None]
    rank = same.tril(-1).sum(dim=2)
    return rank.masked_fill(~usable, count).argsort(dim=1, stable=True)
