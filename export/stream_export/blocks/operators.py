"""Operators that torch and ONNX spell too differently for the exporter to translate.

Each is a torch operator (`torch.ops.stream.*`) with an eager implementation, a shape rule, and its
ONNX form in `TRANSLATIONS`, which `stream_export.onnx_export` hands to the exporter. A module built
from them therefore runs in eager torch and exports to plain ONNX nodes, without Loop or If.

They exist to keep shapes static: what Mask R-CNN usually does by making lists shorter, these do by
marking entries, so that no size depends on the picture before the very last step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torchvision.ops
from onnxscript import BOOL, FLOAT, INT64
from torch import Tensor

from stream_export.blocks._onnx import op
from stream_export.blocks.deformable import deformed_samples_onnx
from stream_export.blocks.resizing import shortest_edge_onnx, upsample_like_onnx
from stream_export.blocks.vovnet import halve_onnx


@torch.library.custom_op("stream::suppress", mutates_args=())
def suppress(boxes: Tensor, scores: Tensor, iou: float, limit: int) -> Tensor:
    """Greedy non-maximum suppression that marks instead of removing.

    Args:
        boxes: float32 [B, N, 4], x1, y1, x2, y2; the B groups do not see each other.
        scores: float32 [B, N]; an entry of 0 or less is no candidate.
        iou: a box that overlaps a better one by more than this is suppressed, 0..1.
        limit: at most this many survive per group.

    Returns:
        float32 [B, N]: the score where a box survives, -1 elsewhere.
    """
    result = torch.full_like(scores, -1.0)
    for group in range(boxes.shape[0]):
        candidates = torch.where(scores[group] > 0)[0]
        kept = torchvision.ops.nms(boxes[group, candidates], scores[group, candidates], iou)
        chosen = candidates[kept[:limit]]
        result[group, chosen] = scores[group, chosen]
    return result


@suppress.register_fake
def _(boxes: Tensor, scores: Tensor, iou: float, limit: int) -> Tensor:
    return torch.empty_like(scores)


def _suppress_onnx(boxes: FLOAT, scores: FLOAT, iou: float, limit: int) -> FLOAT:
    selected = op.NonMaxSuppression(
        boxes,
        op.Unsqueeze(scores, op.Constant(value_ints=[1])),
        op.Constant(value_ints=[limit]),
        op.Constant(value_floats=[iou]),
        op.Constant(value_floats=[0.0]),
    )
    # Rows are (group, class, box); there is one class.
    where = op.Gather(selected, op.Constant(value_ints=[0, 2]), axis=1)
    nothing = op.Expand(op.Constant(value_floats=[-1.0]), op.Shape(scores))
    marked: FLOAT = op.ScatterND(nothing, where, op.GatherND(scores, where))
    return marked


@torch.library.custom_op("stream::survivors", mutates_args=())
def survivors(boxes: Tensor, scores: Tensor, iou: float, limit: int, floor: float) -> Tensor:
    """Greedy non-maximum suppression that says who survives, where lists may be of any length.

    Args:
        boxes: float32 [N, 4], x1, y1, x2, y2.
        scores: float32 [N]; an entry of `floor` or less is no candidate.
        iou: a box that overlaps a better one by more than this is suppressed, 0..1.
        limit: at most this many survive.
        floor: see `scores`.

    Returns:
        int64 [M]: indices, best first.
    """
    able = torch.where(scores > floor)[0]
    kept = torchvision.ops.nms(boxes[able], scores[able], iou)
    return able[kept[:limit]]


@survivors.register_fake
def _(boxes: Tensor, scores: Tensor, iou: float, limit: int, floor: float) -> Tensor:
    count = torch.library.get_ctx().new_dynamic_size()
    return scores.new_empty(count, dtype=torch.int64)


def _survivors_onnx(boxes: FLOAT, scores: FLOAT, iou: float, limit: int, floor: float) -> INT64:
    selected = op.NonMaxSuppression(
        op.Unsqueeze(boxes, op.Constant(value_ints=[0])),
        op.Unsqueeze(scores, op.Constant(value_ints=[0, 1])),
        op.Constant(value_ints=[limit]),
        op.Constant(value_floats=[iou]),
        op.Constant(value_floats=[floor]),
    )
    # Rows are (group, class, box); there is one of each of the first two.
    index: INT64 = op.Gather(selected, op.Constant(value_int=2), axis=1)
    return index


@torch.library.custom_op("stream::marked", mutates_args=())
def marked(marks: Tensor) -> Tensor:
    """The indices of what is true, int64 [M], of bool [N]."""
    return torch.where(marks)[0]


@marked.register_fake
def _(marks: Tensor) -> Tensor:
    count = torch.library.get_ctx().new_dynamic_size()
    return marks.new_empty(count, dtype=torch.int64)


def _marked_onnx(marks: BOOL) -> INT64:
    index: INT64 = op.Squeeze(op.NonZero(marks), op.Constant(value_ints=[0]))
    return index


@torch.library.custom_op("stream::pool_regions", mutates_args=())
def pool_regions(feature: Tensor, boxes: Tensor, size: int, scale: float) -> Tensor:
    """RoIAlign of a single picture with one sample a cell, aligned to half pixels.

    Args:
        feature: float32 [1, C, H, W].
        boxes: float32 [R, 4], x1, y1, x2, y2.
        size: cells along an edge of the pooled grid, P.
        scale: from the boxes' units to cells of the map.

    Returns:
        float32 [R, C, P, P].
    """
    pooled: Tensor = torchvision.ops.roi_align(feature, [boxes], size, scale, 1, True)
    return pooled


@pool_regions.register_fake
def _(feature: Tensor, boxes: Tensor, size: int, scale: float) -> Tensor:
    return feature.new_empty((boxes.shape[0], feature.shape[1], size, size))


def _pool_regions_onnx(feature: FLOAT, boxes: FLOAT, size: int, scale: float) -> FLOAT:
    count = op.Shape(boxes, start=0, end=1)
    pooled: FLOAT = op.RoiAlign(
        feature,
        boxes,
        op.Expand(op.Constant(value_ints=[0]), count),
        coordinate_transformation_mode="half_pixel",
        mode="avg",
        output_height=size,
        output_width=size,
        sampling_ratio=1,
        spatial_scale=scale,
    )
    return pooled


@torch.library.custom_op("stream::candidates", mutates_args=())
def candidates(scores: Tensor) -> Tensor:
    """The indices of positive scores, int64 [M], of float32 [N]: the one size that may vary."""
    return torch.where(scores > 0)[0]


@candidates.register_fake
def _(scores: Tensor) -> Tensor:
    count = torch.library.get_ctx().new_dynamic_size()
    return scores.new_empty(count, dtype=torch.int64)


def _candidates_onnx(scores: FLOAT) -> INT64:
    found = op.NonZero(op.Greater(scores, op.Constant(value_float=0.0)))
    index: INT64 = op.Squeeze(found, op.Constant(value_ints=[0]))
    return index


@torch.library.custom_op("stream::roi_align_levels", mutates_args=())
def roi_align_levels(
    features: Sequence[Tensor],
    boxes: Tensor,
    levels: Tensor,
    scales: Sequence[float],
    size: int,
    sampling_ratio: int,
    aligned: bool,
) -> tuple[Tensor, Tensor]:
    """RoIAlign of each box on its own level, one pass per level.

    The result is sorted by level, since putting pooled features back in order would copy them all;
    the caller reorders boxes, or what the heads make of the features, which is small.

    Args:
        features: L maps, float32 [1, C, Hl, Wl].
        boxes: float32 [R, 4], x1, y1, x2, y2 in input pixels.
        levels: int64 [R], 0..L-1.
        scales: L factors from input pixels to cells of the map.
        size: cells along an edge of the pooled grid, P.
        sampling_ratio: samples along an edge of a cell; 0 takes as many as the cell is wide.
        aligned: whether coordinates are shifted by half a cell (RoIAlignV2).

    Returns:
        Pooled features, float32 [R, C, P, P], and int64 [R]: which box each row is of.
    """
    pooled, order = [], []
    for level, (feature, scale) in enumerate(zip(features, scales, strict=True)):
        index = torch.where(levels == level)[0]
        rois = [boxes[index]]
        pooled.append(
            torchvision.ops.roi_align(feature, rois, size, scale, sampling_ratio, aligned)
        )
        order.append(index)
    return torch.cat(pooled), torch.cat(order)


@roi_align_levels.register_fake
def _(
    features: Sequence[Tensor],
    boxes: Tensor,
    levels: Tensor,
    scales: Sequence[float],
    size: int,
    sampling_ratio: int,
    aligned: bool,
) -> tuple[Tensor, Tensor]:
    shape = (boxes.shape[0], features[0].shape[1], size, size)
    return features[0].new_empty(shape), torch.empty_like(levels)


def _roi_align_levels_onnx(
    features: Sequence[FLOAT],
    boxes: FLOAT,
    levels: INT64,
    scales: Sequence[float],
    size: int,
    sampling_ratio: int,
    aligned: bool,
) -> tuple[FLOAT, INT64]:
    pooled, order = [], []
    for level, (feature, scale) in enumerate(zip(features, scales, strict=True)):
        here = op.NonZero(op.Equal(levels, op.Constant(value_int=level)))
        index = op.Squeeze(here, op.Constant(value_ints=[0]))
        rois = op.Gather(boxes, index, axis=0)
        # One picture: every box belongs to batch entry 0.
        batch = op.Sub(index, index)
        pooled.append(
            op.RoiAlign(
                feature,
                rois,
                batch,
                coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
                mode="avg",
                output_height=size,
                output_width=size,
                sampling_ratio=sampling_ratio,
                spatial_scale=scale,
            )
        )
        order.append(index)
    if len(pooled) == 1:
        return pooled[0], order[0]
    return op.Concat(*pooled, axis=0), op.Concat(*order, axis=0)


@torch.library.custom_op("stream::quotient", mutates_args=())
def quotient(index: Tensor, divisor: int) -> Tensor:
    """Divides int64 [...] without negative entries, rounding down: one node in ONNX, not five."""
    return torch.div(index, divisor, rounding_mode="trunc")


@quotient.register_fake
def _(index: Tensor, divisor: int) -> Tensor:
    return torch.empty_like(index)


def _quotient_onnx(index: INT64, divisor: INT64) -> INT64:
    result: INT64 = op.Div(index, divisor)
    return result


TRANSLATIONS: dict[Callable[..., object], Callable[..., object]] = {
    torch.ops.stream.quotient.default: _quotient_onnx,
    torch.ops.stream.suppress.default: _suppress_onnx,
    torch.ops.stream.survivors.default: _survivors_onnx,
    torch.ops.stream.marked.default: _marked_onnx,
    torch.ops.stream.pool_regions.default: _pool_regions_onnx,
    torch.ops.stream.candidates.default: _candidates_onnx,
    torch.ops.stream.roi_align_levels.default: _roi_align_levels_onnx,
    torch.ops.stream.shortest_edge.default: shortest_edge_onnx,
    torch.ops.stream.upsample_like.default: upsample_like_onnx,
    torch.ops.stream.halve.default: halve_onnx,
    torch.ops.stream.deformed_samples.default: deformed_samples_onnx,
}
"""ONNX forms of the operators above, for `torch.onnx.export(custom_translation_table=...)`."""
