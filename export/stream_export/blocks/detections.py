"""The last steps: from class probabilities of proposals to detections and their masks."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from stream_export.blocks.boxes import BoxDecoder, clip, large_enough


class Detections(nn.Module):
    """The best (proposal, class) pairs, suppressed per class, as many as there are.

    Only the best `candidates` pairs enter suppression. Greedy suppression goes from the best down
    and stops at `count`, so this changes nothing unless more than `candidates - count` of the best
    pairs are suppressed.
    """

    def __init__(
        self,
        *,
        score: float = 0.05,
        iou: float = 0.5,
        count: int = 100,
        candidates: int = 2000,
        minimum: float = 1e-2,
        decoder: BoxDecoder | None = None,
        per_class: bool = True,
    ) -> None:
        """Sets up.

        Args:
            score: a pair must be better than this, 0..1.
            iou: suppression threshold, 0..1.
            count: at most this many detections.
            candidates: pairs that enter suppression.
            minimum: boxes narrower or lower than this (pixels) are dropped.
            decoder: of deltas to boxes; Fast R-CNN's weights 10, 10, 5, 5 by default.
            per_class: whether classes are suppressed apart (as usual) or all together.
        """
        super().__init__()
        self.score = score
        self.iou = iou
        self.count = count
        self.candidates = candidates
        self.minimum = minimum
        self.decoder = decoder or BoxDecoder((10.0, 10.0, 5.0, 5.0))
        self.per_class = per_class

    def forward(
        self,
        probabilities: Tensor,
        deltas: Tensor,
        proposals: Tensor,
        content: tuple[int, int],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Detects.

        Args:
            probabilities: float32 [P, C], without background; rows of what is no proposal must
                be 0 or less.
            deltas: float32 [P, C, 4], or [P, 1, 4] where classes share a box.
            proposals: float32 [P, 4], x1, y1, x2, y2 in pixels.
            content: height and width of the picture in the input, pixels; boxes are clipped to it.

        Returns:
            Boxes float32 [N, 4], scores float32 [N] (descending), labels int64 [N].
        """
        rows, classes = probabilities.shape
        wanted = min(self.candidates, rows * classes)
        scores, index = torch.topk(probabilities.flatten(), wanted)
        proposal = torch.ops.stream.quotient(index, classes)
        labels = index - proposal * classes
        row = index if deltas.shape[1] == classes else proposal
        boxes = self.decoder(
            deltas.reshape(-1, 4).index_select(0, row), proposals.index_select(0, proposal)
        )
        boxes = clip(boxes, *content)
        usable = (scores > self.score) & large_enough(boxes, self.minimum)
        scores = torch.where(usable, scores, -1.0)
        apart = boxes + class_offsets(labels, classes, content) if self.per_class else boxes
        kept = torch.ops.stream.suppress(apart[None], scores[None], self.iou, self.count)[0]
        best, index = torch.topk(kept, min(self.count, wanted))
        # From here on, and not before, sizes depend on the picture.
        index = index.index_select(0, torch.ops.stream.candidates(best))
        return boxes.index_select(0, index), scores.index_select(0, index), labels[index]


def class_offsets(labels: Tensor, classes: int, content: tuple[int, int]) -> Tensor:
    """Shifts, float32 [N, 4], that keep boxes of different classes from touching.

    Classes are laid out on a square of tiles rather than on a line, since large coordinates cost
    precision: with 90 classes on a line of 1333-pixel tiles a float32 resolves 1/128 pixel, on a
    square ten times less wide 1/1024.

    Args:
        labels: int64 [N], 0..classes-1.
        classes: how many there are.
        content: height and width that boxes are clipped to, pixels.
    """
    side = math.isqrt(max(classes - 1, 0)) + 1
    row = torch.ops.stream.quotient(labels, side)
    x = ((labels - row * side) * (content[1] + 1)).to(torch.float32)
    y = (row * (content[0] + 1)).to(torch.float32)
    return torch.stack((x, y, x, y), dim=1)


class MaskUpsample(nn.Module):
    """A 2x2 transposed convolution of stride 2 and its ReLU, as one 1x1 convolution.

    Such a convolution writes four pixels for each it reads and none twice, so it is four 1x1
    convolutions side by side. They run as fast as any other, also as int8, for which ONNX Runtime
    has no transposed convolution; and only the finished mask has to be put in order.
    """

    def __init__(self, upsample: nn.ConvTranspose2d) -> None:
        """Takes the weights of a transposed convolution.

        Raises:
            ValueError: it is not 2x2 with a stride of 2.
        """
        super().__init__()
        if (upsample.kernel_size, upsample.stride, upsample.padding, upsample.groups) != (
            (2, 2),
            (2, 2),
            (0, 0),
            1,
        ):
            raise ValueError(f"only a 2x2 transposed convolution of stride 2 will do: {upsample}")
        channels = upsample.out_channels
        self.convolution = nn.Conv2d(
            upsample.in_channels, 4 * channels, 1, bias=upsample.bias is not None
        )
        with torch.no_grad():
            # [in, out, row, column] to [(row, column, out), in, 1, 1].
            weight = upsample.weight.permute(2, 3, 1, 0).reshape(4 * channels, -1, 1, 1)
            self.convolution.weight.copy_(weight)
            if upsample.bias is not None and self.convolution.bias is not None:
                self.convolution.bias.copy_(upsample.bias.repeat(4))

    def forward(self, features: Tensor) -> Tensor:
        """float32 [N, C, M, M] to float32 [N, 4 * D, M, M], for `class_masks` with parts=4."""
        return torch.relu(self.convolution(features))


def class_masks(
    features: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, *, parts: int = 1
) -> Tensor:
    """Soft masks of the detected class alone.

    A mask predictor is a 1x1 convolution with a channel per class, of which one is wanted: each
    detection is multiplied by its own row of weights instead of by all.

    Args:
        features: float32 [N, parts * C, M, M], before the predictor.
        weight: float32 [K, C], the predictor's, a row per class.
        bias: float32 [K], or None.
        labels: int64 [N], rows of `weight`.
        parts: 4 where `features` are of `MaskUpsample`, else 1.

    Returns:
        float32 [N, M, M], or [N, 2M, 2M] of four parts, 0..1.
    """
    size = features.shape[-1]
    rows = weight.index_select(0, labels).reshape(-1, 1, 1, weight.shape[1])
    logits = torch.matmul(rows, features.reshape(-1, parts, weight.shape[1], size * size))
    if bias is not None:
        logits = logits + bias.index_select(0, labels).reshape(-1, 1, 1, 1)
    if parts == 1:
        return torch.sigmoid(logits.reshape(-1, size, size))
    split = logits.reshape(-1, 2, 2, size, size).permute(0, 3, 1, 4, 2)
    return torch.sigmoid(split.reshape(-1, 2 * size, 2 * size))
