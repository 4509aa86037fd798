"""The architecture of the bundled model: a Mask R-CNN sized for two CPU cores.

MobileNetV2 backbone (batch normalisation folded in), four-level feature pyramid (strides 8, 16,
32, 64), a region proposal network with one anchor size per level, two box heads on 7x7 RoIAlign,
the second on what the first made of the proposals, and a mask head that joins 14x14 semantics with
a 56x56 view of a stride-4 map.

Papers: MobileNetV2 (Sandler et al. 2018), FPN (Lin et al. 2017), Mask R-CNN (He et al. 2017),
Cascade R-CNN (Cai and Vasconcelos 2018), PANet's fully connected fusion (Liu et al. 2018).
Every region operation reads one *atlas*, the pyramid levels laid out in a single map, so that
pooling from several levels is a single RoIAlign in training and in the exported graph alike.
"""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import roi_align

from stream_export.blocks.operators import pool_regions
from stream_models.backbone import MobileNetV2
from stream_models.pooling import roi_align_to_learn

STRIDES = (8, 16, 32, 64)
FINE_STRIDE = 4
# Weights that detection does not use, so that a shipped model does not hold them.
TRAINING_ONLY = ("dense.",)
# What makes masks of the pyramid's maps and the first layers', and nothing else.
MASK_PARTS = ("mask.", "fine.", "fine_lateral.", "fine_top.", "context.", "dense.")
# Residual steps that older files lack. They add nothing before they have learnt.
ADDED = ("mask.deeper.", "mask.sharper.", "context.")


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """What must be known to rebuild a network before its weights are loaded.

    Lengths are in pixels of the network's input picture. Masks lie in their box widened about its
    centre by the factor `mask_reach`, as far as the picture goes: boxes often cut a hand off.
    """

    names: tuple[str, ...]
    channels: int = 96
    rpn_channels: int = 64
    box_features: int = 256
    mask_channels: int = 64
    fine_channels: int = 16
    context_channels: int = 32
    anchor_sizes: tuple[float, ...] = (28.0, 64.0, 140.0, 300.0)
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    box_canonical: float = 96.0
    mask_canonical: float = 224.0
    mask_reach: float = 1.15
    box_pool: int = 7
    mask_pool: int = 14
    frozen_blocks: int = 3

    @property
    def mask_size(self) -> int:
        """Side of the predicted masks, in cells."""
        return 4 * self.mask_pool


def network_config(content: dict[str, Any]) -> NetworkConfig:
    """Rebuild a network's description from its JSON form."""
    # Networks that say nothing of it are older than masks that reach beyond their boxes.
    content = {"mask_reach": 1.0, **content}
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }
    return NetworkConfig(**fields)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(cast(Tensor, conv.bias))
    return conv


def _silent_conv(channels: int) -> nn.Conv2d:
    """A 3x3 layer for a residual step, which adds nothing before it has learnt."""
    conv = nn.Conv2d(channels, channels, 3, padding=1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(cast(Tensor, conv.bias))
    return conv


class Pyramid(nn.Module):
    """Feature pyramid: maps of strides 8, 16, 32, 64 with the same number of channels."""

    def __init__(self, inputs: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in inputs)
        self.output = nn.ModuleList(_conv(channels, channels, 3) for _ in inputs)
        self.extra = _conv(channels, channels, 3, stride=2)

    def forward(self, maps: tuple[Tensor, ...]) -> list[Tensor]:
        """Maps of strides 8, 16 and 32 to four levels (B, C, h, w)."""
        tops = [lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)]
        for index in range(len(tops) - 2, -1, -1):
            tops[index] = tops[index] + functional.interpolate(tops[index + 1], scale_factor=2.0)
        levels = [functional.relu(output(x)) for output, x in zip(self.output, tops, strict=True)]
        levels.append(functional.relu(self.extra(levels[-1])))
        return levels


class ProposalHead(nn.Module):
    """Objectness and box deltas of every anchor of every level."""

    def __init__(self, channels: int, hidden: int, anchors: int) -> None:
        super().__init__()
        self.conv = _conv(channels, hidden, 3)
        self.logits = nn.Conv2d(hidden, anchors, 1)
        self.deltas = nn.Conv2d(hidden, 4 * anchors, 1)
        nn.init.normal_(self.logits.weight, std=0.01)
        nn.init.constant_(cast(Tensor, self.logits.bias), -3.0)
        nn.init.normal_(self.deltas.weight, std=0.01)
        nn.init.zeros_(cast(Tensor, self.deltas.bias))

    def forward(self, levels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Per level: logits (B, cells * A) and deltas (B, cells * A, 4), rows first."""
        logits, deltas = [], []
        for level in levels:
            x = functional.relu(self.conv(level))
            logits.append(self.logits(x).permute(0, 2, 3, 1).flatten(1))
            deltas.append(self.deltas(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1, 4))
        return logits, deltas


class BoxHead(nn.Module):
    """Class logits (background first) and class-agnostic box deltas of pooled regions."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.classes = nn.Linear(hidden, 1 + classes)
        self.deltas = nn.Linear(hidden, 4)
        nn.init.normal_(self.classes.weight, std=0.01)
        nn.init.zeros_(self.classes.bias)
        nn.init.normal_(self.deltas.weight, std=0.001)
        nn.init.zeros_(self.deltas.bias)

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """(R, C, P, P) to (R, 1 + classes) and (R, 4)."""
        x = functional.relu(self.fc2(functional.relu(self.fc1(regions.flatten(1)))))
        return self.classes(x), self.deltas(x)


class Context(nn.Module):
    """A residual step for the stride-4 map: what lies around a cell, seen from the pyramid.

    Edges are where the early layers see them, but which edge is a person's is known further up:
    three levels are joined at stride 8 and looked at in ever wider circles (dilated filters, as in
    DeepLab, Chen et al. 2017).
    """

    def __init__(self, channels: int, hidden: int, fine: int) -> None:
        super().__init__()
        self.enter = nn.ModuleList(nn.Conv2d(channels, hidden, 1) for _ in range(3))
        self.around = nn.ModuleList(
            nn.Conv2d(hidden, hidden, 3, padding=far, dilation=far) for far in (1, 2, 4)
        )
        self.leave = nn.Conv2d(hidden, fine, 1)
        self.last = _silent_conv(fine)

    def forward(self, levels: list[Tensor], fine: Tensor) -> Tensor:
        """The pyramid's levels and the stride-4 map (B, F, h, w), F channels, to a new such map."""
        x = self.enter[0](levels[0])
        for index, factor in ((1, 2.0), (2, 4.0)):
            x = x + functional.interpolate(self.enter[index](levels[index]), scale_factor=factor)
        x = functional.relu(x)
        for conv in self.around:
            x = functional.relu(x + conv(x))
        wide = functional.interpolate(self.leave(x), scale_factor=2.0)
        return functional.relu(fine + self.last(functional.relu(fine + wide)))


class MaskHead(nn.Module):
    """Class-agnostic mask logits: coarse semantics refined by a fine view of the region.

    What lies where is settled at `pool` by `pool` cells, with a residual step that looks further
    around, and one layer that sees the whole region at once; edges come from the fine view.
    """

    def __init__(self, channels: int, hidden: int, fine: int, pool: int) -> None:
        super().__init__()
        half = hidden // 2
        self.wide = nn.ModuleList(
            nn.Conv2d(hidden, hidden, 3, padding=2, dilation=2) for _ in range(2)
        )
        self.squeeze = nn.Conv2d(hidden, 8, 1)
        self.whole = nn.Linear(8 * pool**2, (2 * pool) ** 2)
        for silent in (self.wide[1], self.whole):
            nn.init.zeros_(cast(Tensor, silent.weight))
            nn.init.zeros_(cast(Tensor, silent.bias))
        self.coarse = nn.ModuleList(
            (_conv(channels, hidden, 3), _conv(hidden, hidden, 3), _conv(hidden, hidden, 3))
        )
        self.narrow = nn.Conv2d(hidden, half, 1)
        self.fine_down = _conv(fine, half, 3, stride=2)
        self.middle = nn.ModuleList((_conv(half, half, 3), _conv(half, half, 3)))
        self.deeper = _silent_conv(half)
        self.spread = nn.Conv2d(half, 32, 1)
        self.fine_same = _conv(fine, 8, 3)
        self.sharper = _silent_conv(8)
        self.logits = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(R, C, P, P) and (R, fine, 4P, 4P) to logits (R, 4P, 4P)."""
        for conv in self.coarse:
            coarse = functional.relu(conv(coarse))
        first, second = self.wide
        coarse = functional.relu(coarse + second(functional.relu(first(coarse))))
        whole = self.whole(functional.relu(self.squeeze(coarse)).flatten(1))
        x = functional.interpolate(self.narrow(coarse), scale_factor=2.0)
        x = functional.relu(x + self.fine_down(fine))
        for conv in self.middle:
            x = functional.relu(conv(x))
        x = functional.relu(x + self.deeper(x))
        x = functional.pixel_shuffle(self.spread(x), 2)
        x = functional.relu(x + self.fine_same(fine))
        x = functional.relu(x + self.sharper(x))
        side = x.shape[-1] // 2
        blur = functional.interpolate(whole.reshape(-1, 1, side, side), scale_factor=2.0)
        return cast(Tensor, (self.logits(x) + blur).squeeze(1))


def build_atlas(levels: list[Tensor]) -> Tensor:
    """Lay the pyramid out in one map: the finest level left, the others stacked on its right.

    Each level gets a border of one replicated cell, so that a bilinear sample at its edge reads
    its own values. Returns (B, C, h, w) float32.
    """
    finest, *others = [level.float() for level in levels]
    # In flat pictures the column, 7/4 of its first level and its borders, is the taller one;
    # six rows more are always enough.
    base = functional.pad(finest, (1, 1, 1, 7), mode="replicate")
    width = others[0].shape[-1]
    spare = base.shape[2] - sum(level.shape[-2] + 2 for level in others)
    # What fills the corners is never read: the same kind of padding takes one step.
    framed = [
        functional.pad(
            level,
            (1, 1 + width - level.shape[-1], 1, 1 + (spare if level is others[-1] else 0)),
            mode="replicate",
        )
        for level in others
    ]
    return torch.cat([base, torch.cat(framed, dim=2)], dim=3)


def atlas_regions(boxes: Tensor, sizes: list[tuple[int, int]], canonical: float) -> Tensor:
    """Boxes (R, 4) in picture pixels, mapped to the atlas cells of the level that suits each.

    A box of area below canonical^2 reads stride 8; each doubling of its side goes one level up
    (FPN, equation 1). `sizes` are the (height, width) of the levels. Returns (R, 4) for
    RoIAlign with `aligned=True` and scale 1.
    """
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1, keepdim=True)
    least = [(canonical * 2.0 ** (index - 1)) ** 2 for index in range(1, len(sizes))]
    reached = area >= torch.tensor([least], device=boxes.device)
    level = reached.to(boxes.dtype).sum(dim=1).long()
    # A row for each level: what takes pixels to its cells, and where its first one lies.
    right = torch.tensor([[0.0]] + [[1.0]] * (len(sizes) - 1), device=boxes.device)
    places = 1.0 + (sizes[0][1] + 2) * right * torch.tensor([[1.0, 0.0, 1.0, 0.0]]).to(right)
    for index in range(2, len(sizes)):
        below = torch.tensor([[float(row >= index)] for row in range(len(sizes))]).to(right)
        places = places + (sizes[index - 1][0] + 2) * below * torch.tensor(
            [[0.0, 1.0, 0.0, 1.0]]
        ).to(right)
    shrink = torch.tensor([[1.0 / stride] for stride in STRIDES], device=boxes.device)
    return boxes * shrink.index_select(0, level) + places.index_select(0, level)


def clip(boxes: Tensor, height: int, width: int) -> Tensor:
    """Boxes cut to the picture."""
    sides = torch.tensor([1.0, 0.0, 1.0, 0.0]).to(boxes) * width
    sides = sides + torch.tensor([0.0, 1.0, 0.0, 1.0]).to(boxes) * height
    return torch.minimum(boxes.clamp(min=0), sides)


class MaskRCNN(nn.Module):
    """The whole network. Stages are separate methods because training samples between them."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.backbone = MobileNetV2(config.frozen_blocks)
        self.pyramid = Pyramid(self.backbone.outputs[1:], channels)
        self.proposals = ProposalHead(channels, config.rpn_channels, len(config.anchor_ratios))
        self.box = BoxHead(channels * config.box_pool**2, config.box_features, len(config.names))
        self.refine = BoxHead(channels * config.box_pool**2, config.box_features, len(config.names))
        self.mask = MaskHead(channels, config.mask_channels, config.fine_channels, config.mask_pool)
        self.fine_lateral = nn.Conv2d(self.backbone.outputs[0], 24, 1)
        self.fine_top = nn.Conv2d(channels, 24, 1)
        self.fine = _conv(24, config.fine_channels, 3)
        self.context = Context(channels, config.context_channels, config.fine_channels)
        # For training only: a person, and anything else, at each cell of the fine map.
        self.dense = nn.Conv2d(config.fine_channels, 2, 1)

    def features(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Picture (B, 3, H, W), 0..255 of any dtype, to pyramid levels and the stride-4 map."""
        x = image.float() * (1.0 / 127.5) - 1.0
        taps = self.backbone(x)
        levels = self.pyramid(taps[1:])
        fine = self.fine_lateral(taps[0]) + functional.interpolate(
            self.fine_top(levels[0]), scale_factor=2.0
        )
        fine = functional.relu(self.fine(functional.relu(fine)))
        return levels, self.context(levels, fine)

    def mask_boxes(self, boxes: Tensor, height: int, width: int) -> Tensor:
        """Where the masks of `boxes` (R, 4) lie, (R, 4), in a picture of that size in pixels."""
        centre = (boxes[:, :2] + boxes[:, 2:]) * 0.5
        half = (boxes[:, 2:] - boxes[:, :2]) * (0.5 * self.config.mask_reach)
        return clip(torch.cat([centre - half, centre + half], dim=1), height, width)

    def _pool(self, image: Tensor, rois: Tensor, size: int, scale: float = 1.0) -> Tensor:
        if rois.shape[1] == 4:
            pooled: Tensor = pool_regions(image, rois, size, scale)
            return pooled
        if image.requires_grad and image.device.type == "cpu":
            return roi_align_to_learn(image, rois, size, scale)
        out: Tensor = roi_align(image, rois, size, scale, 1, aligned=True)
        return out

    def pool_box(self, atlas: Tensor, sizes: list[tuple[int, int]], rois: Tensor) -> Tensor:
        """Regions to (R, C, P, P) for the box head.

        They are (R, 5: picture index, x1, y1, x2, y2), or of a single picture (R, 4).
        """
        where = atlas_regions(rois[:, -4:], sizes, self.config.box_canonical)
        return self._pool(atlas, _indexed(where, rois), self.config.box_pool)

    def pool_mask(
        self, atlas: Tensor, sizes: list[tuple[int, int]], fine: Tensor, rois: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Regions as `pool_box` takes them to the coarse (R, C, P, P) and fine (R, F, 4P, 4P)."""
        where = atlas_regions(rois[:, -4:], sizes, self.config.mask_canonical)
        coarse = self._pool(atlas, _indexed(where, rois), self.config.mask_pool)
        return coarse, self._pool(fine.float(), rois, self.config.mask_size, 1.0 / FINE_STRIDE)


def _indexed(where: Tensor, rois: Tensor) -> Tensor:
    """Boxes (R, 4) with the index of their picture before them where `rois` has one."""
    return where if rois.shape[1] == 4 else torch.cat([rois[:, :1], where], dim=1)
