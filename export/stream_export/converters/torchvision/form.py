"""The export form of a torchvision Mask R-CNN: same weights, same arithmetic, other plumbing."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from stream.errors import UsageError
from stream_export.blocks import (
    AnchorGrid,
    BoxDecoder,
    Detections,
    LevelPool,
    MaskUpsample,
    Pixels,
    Proposals,
    class_masks,
    resize_fixed,
    resize_shortest,
    restore,
)

if TYPE_CHECKING:
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.backbone_utils import BackboneWithFPN
    from torchvision.ops import MultiScaleRoIAlign

_BLANK = 256
"""Pixels along the edge of a picture whose maps tell strides; a backbone's coarsest are 32."""


class TorchvisionForm(nn.Module):
    """Speaks the contract's tensors with the parts of a `torchvision.models.detection.MaskRCNN`.

    Everything is read from the model: normalisation, anchors, thresholds, pooling, heads. Any
    backbone that returns one map or a dictionary of maps will do; one with an FPN gets constant
    upsampling factors.
    """

    def __init__(
        self,
        model: MaskRCNN,
        *,
        detections: int | None = None,
        proposals: int | None = None,
        score: float | None = None,
        native: bool = False,
    ) -> None:
        """Takes a model apart.

        Args:
            model: a `MaskRCNN`; it is used, not copied.
            detections: at most this many, instead of the model's own number.
            proposals: kept per level before, and over all after suppression, instead of its own.
            score: detections must be better than this, instead of its own threshold, 0..1.
            native: whether the graph resizes the picture itself as the model does.
        """
        super().__init__()
        transform, rpn, heads = model.transform, model.rpn, model.roi_heads
        self.resize: partial[Tensor] | None = None
        if native and transform.fixed_size is not None:
            width, height = map(int, transform.fixed_size)
            self.resize = partial(resize_fixed, height=height, width=width)
        elif native:
            shortest, longest = int(transform.min_size[-1]), int(transform.max_size)
            self.resize = partial(resize_shortest, shortest=shortest, longest=longest)
        self.pixels = Pixels(
            transform.image_mean,
            transform.image_std,
            multiple_of=int(transform.size_divisible),
        )
        self.features = _Features(model.backbone, int(transform.size_divisible))
        self.rpn_head = rpn.head
        self.proposals = Proposals(
            [AnchorGrid(cells.clone()) for cells in rpn.anchor_generator.cell_anchors],
            before=proposals or rpn.pre_nms_top_n(),
            after=proposals or rpn.post_nms_top_n(),
            iou=rpn.nms_thresh,
            minimum=rpn.min_size,
            score=rpn.score_thresh,
            decoder=BoxDecoder(rpn.box_coder.weights, rpn.box_coder.bbox_xform_clip),
        )
        strides = self.features.probe()
        self.box_names, self.box_pool = _pool(heads.box_roi_pool, strides, tile=64)
        self.box_head = heads.box_head
        self.box_predictor = heads.box_predictor
        self.detections = Detections(
            score=heads.score_thresh if score is None else score,
            iou=heads.nms_thresh,
            count=detections or heads.detections_per_img,
            decoder=BoxDecoder(heads.box_coder.weights, heads.box_coder.bbox_xform_clip),
        )
        self.mask_names, self.mask_pool = _pool(heads.mask_roi_pool, strides)
        self.mask_head = heads.mask_head
        # The predictor's last layer has a channel per class; only the found class's is computed.
        self.mask_upsample = MaskUpsample(heads.mask_predictor.conv5_mask)
        self.mask_last = heads.mask_predictor.mask_fcn_logits

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Finds instances.

        Args:
            image: uint8 [1, H, W, 3], RGB.

        Returns:
            Boxes float32 [N, 4] in pixels of `image`, scores float32 [N], labels int64 [N] and
            masks float32 [N, M, M].
        """
        planes = self.pixels.normalise(image)
        if self.resize is not None:
            planes = self.resize(planes)
        content = (planes.shape[-2], planes.shape[-1])
        padded = self.pixels.pad(planes)
        features = self.features(padded)
        logits, regressions = self.rpn_head(list(features.values()))
        proposals, objectness = self.proposals(
            logits, regressions, content, (padded.shape[-2], padded.shape[-1])
        )
        pooled, order = self.box_pool([features[name] for name in self.box_names], proposals)
        # Of equal scores, such as several of 1.0, the better proposal's goes first.
        classes, deltas = (
            restore(part, order) for part in self.box_predictor(self.box_head(pooled))
        )
        probabilities = torch.softmax(classes, dim=-1)[:, 1:]
        boxes, scores, labels = self.detections(
            torch.where(objectness.unsqueeze(1) > 0, probabilities, -1.0),
            deltas.reshape(deltas.shape[0], -1, 4)[:, 1:],
            proposals,
            content,
        )
        pooled, order = self.mask_pool([features[name] for name in self.mask_names], boxes)
        grown = self.mask_upsample(self.mask_head(pooled))
        # Channel 0 is the background's.
        rows = labels.index_select(0, order) + 1
        weight = self.mask_last.weight.flatten(1)
        masks = restore(class_masks(grown, weight, self.mask_last.bias, rows, parts=4), order)
        if self.resize is not None:
            boxes = boxes * _ratio(image.shape[1:3], content, boxes)
        return boxes, scores, labels, masks


class _Features(nn.Module):
    """A backbone's maps by name, with constant factors on an FPN's way down."""

    def __init__(self, backbone: BackboneWithFPN, multiple_of: int) -> None:
        super().__init__()
        self.multiple_of = multiple_of
        self.body = backbone.body if hasattr(backbone, "fpn") else backbone
        self.fpn = getattr(backbone, "fpn", None)
        self.factors: list[int] = []
        self.uneven = False

    def probe(self) -> dict[str, int]:
        """Finds each map's stride by running a blank picture.

        Raises:
            UsageError: maps are of sizes that cannot be told beforehand.
        """
        image = torch.zeros(1, 3, _BLANK, _BLANK)
        with torch.no_grad():
            if self.fpn is not None:
                sizes = [maps.shape[-1] for maps in self.body(image).values()]
                self.factors = [round(fine / coarse) for fine, coarse in itertools.pairwise(sizes)]
                coarsest = round(_BLANK / sizes[-1])
                self.uneven = self.multiple_of % coarsest != 0
                if self.uneven and not {1, 2}.issuperset(self.factors):
                    raise UsageError(
                        f"size_divisible is {self.multiple_of}, and the FPN enlarges by "
                        f"{max(self.factors)}, so that maps would not fit each other; only "
                        f"multiples of {coarsest} are supported"
                    )
            return {name: round(_BLANK / maps.shape[-1]) for name, maps in self(image).items()}

    def forward(self, planes: Tensor) -> dict[str, Tensor]:
        maps = self.body(planes)
        if isinstance(maps, Tensor):
            return {"0": maps}
        if self.fpn is None:
            return dict(maps)
        names, inputs = list(maps), list(maps.values())
        inner = self.fpn.inner_blocks[-1](inputs[-1])
        outputs = [self.fpn.layer_blocks[-1](inner)]
        for level in range(len(inputs) - 2, -1, -1):
            lateral = self.fpn.inner_blocks[level](inputs[level])
            if self.factors[level] != 1:
                inner = torch.ops.stream.upsample_like(
                    inner, lateral, self.factors[level], self.uneven
                )
            inner = lateral + inner
            outputs.insert(0, self.fpn.layer_blocks[level](inner))
        if self.fpn.extra_blocks is not None:
            outputs, names = self.fpn.extra_blocks(outputs, inputs, names)
        return dict(zip(names, outputs, strict=True))


def _pool(
    pool: MultiScaleRoIAlign, strides: Mapping[str, int], tile: int = 0
) -> tuple[list[str], LevelPool]:
    """The names of the maps that a MultiScaleRoIAlign uses, and its export form."""
    names = [name for name in strides if name in pool.featmap_names]
    used = [strides[name] for name in names]
    return names, LevelPool(
        [1 / stride for stride in used],
        pool.output_size[0],
        sampling_ratio=pool.sampling_ratio,
        lowest=used[0].bit_length() - 1,
        canonical_size=pool.canonical_scale,
        canonical_level=pool.canonical_level,
        tile=tile,
    )


def _ratio(picture: Sequence[int], content: Sequence[int], like: Tensor) -> Tensor:
    """Picture pixels per network pixel, float32 [4], for x1, y1, x2, y2."""
    edges = [
        torch.scalar_tensor(a, dtype=like.dtype) / torch.scalar_tensor(b, dtype=like.dtype)
        for a, b in zip(picture, content, strict=True)
    ]
    return torch.stack((edges[1], edges[0], edges[1], edges[0]))
