"""Anchors, the box code and non-maximum suppression, for training and evaluation.

Boxes are float32 (N, 4): x1, y1, x2, y2 in pixels of the network's input picture.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.ops import nms

from stream_models.network import STRIDES, NetworkConfig, clip

# Weights of the box code (Faster R-CNN's customary ones) for the box head; the proposals use 1.
BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
PROPOSAL_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
_MAX_LOG_RATIO = math.log(1000.0 / 16.0)


def level_anchors(config: NetworkConfig, sizes: list[tuple[int, int]]) -> list[Tensor]:
    """Anchors of every level, (cells * ratios, 4) each, rows first, then columns, then ratios.

    `sizes` are the (height, width) of the levels. Anchors are centred on their cells.
    """
    out = []
    for (height, width), stride, size in zip(sizes, STRIDES, config.anchor_sizes, strict=True):
        shapes = [
            (size / math.sqrt(ratio), size * math.sqrt(ratio)) for ratio in config.anchor_ratios
        ]
        half = torch.tensor([[-w, -h, w, h] for w, h in shapes]) * 0.5
        ys = (torch.arange(height) + 0.5) * stride
        xs = (torch.arange(width) + 0.5) * stride
        grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
        centres = torch.stack([grid_x, grid_y, grid_x, grid_y], dim=-1).reshape(-1, 1, 4)
        out.append((centres + half).reshape(-1, 4))
    return out


def encode(boxes: Tensor, reference: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Deltas (N, 4) that take `reference` to `boxes` (Faster R-CNN, equation 2)."""
    size = (reference[:, 2:] - reference[:, :2]).clamp(min=1e-3)
    target = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
    shift = (boxes[:, :2] + boxes[:, 2:] - reference[:, :2] - reference[:, 2:]) * 0.5 / size
    scale = torch.log(target / size)
    return torch.cat([shift, scale], dim=1) * torch.tensor(weights, device=boxes.device)


def decode(deltas: Tensor, reference: Tensor, weights: tuple[float, ...]) -> Tensor:
    """The inverse of `encode`; growth is limited to a factor of 62.5."""
    deltas = deltas.float() / torch.tensor(weights, device=deltas.device)
    size = reference[:, 2:] - reference[:, :2]
    centre = (reference[:, :2] + reference[:, 2:]) * 0.5 + deltas[:, :2] * size
    half = torch.exp(deltas[:, 2:].clamp(max=_MAX_LOG_RATIO)) * size * 0.5
    return torch.cat([centre - half, centre + half], dim=1)


def best_proposals(boxes: Tensor, scores: Tensor, overlap: float, keep: int) -> Tensor:
    """Suppress boxes (N, 4) that overlap a better one; at most `keep` remain, best first."""
    return boxes[nms(boxes, scores, overlap)[:keep]]


def propose(
    logits: list[Tensor],
    deltas: list[Tensor],
    anchors: list[Tensor],
    shape: tuple[int, int],
    per_level: int,
    keep: int,
    overlap: float = 0.7,
) -> Tensor:
    """The proposals of one picture to learn from, (at most `keep`, 4), best first.

    `logits` (cells,) and `deltas` (cells, 4) of each level; `shape` is the picture's height and
    width. Candidates are cut to `per_level` a level before suppression, so that every level
    has a say while objectness is still rough.
    """
    boxes, scores = [], []
    for level_logits, level_deltas, level_boxes in zip(logits, deltas, anchors, strict=True):
        score, index = level_logits.float().topk(min(per_level, level_logits.numel()))
        boxes.append(decode(level_deltas[index], level_boxes[index], PROPOSAL_WEIGHTS))
        scores.append(score)
    candidates = clip(torch.cat(boxes), *shape)
    strength = torch.cat(scores)
    big = ((candidates[:, 2:] - candidates[:, :2]) >= 2.0).all(dim=1)
    return best_proposals(candidates[big], strength[big], overlap, keep)
