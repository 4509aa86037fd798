"""The parts of TensorFlow-born models against their definitions, written out plainly."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.inference.contract import Resize
from stream.inference.postprocess import Raw, to_instances
from tests.export.lazily import lazily

skimage_resize = lazily("skimage.transform", "resize")
torch = lazily("torch")
Tensor = lazily("torch", "Tensor")
nn = lazily("torch.nn")
BoxDecoder = lazily("stream_export.blocks", "BoxDecoder")
restore = lazily("stream_export.blocks", "restore")
CropAndResize = lazily("stream_export.blocks.crop_and_resize", "CropAndResize")
frame_masks = lazily("stream_export.blocks.crop_and_resize", "frame_masks")
JointProposals = lazily("stream_export.blocks.joint_proposals", "JointProposals")
ResizedConv = lazily("stream_export.blocks.region_masks", "ResizedConv")
class_conv_masks = lazily("stream_export.blocks.region_masks", "class_conv_masks")
MatterportConfig = lazily("stream_export.converters.matterport.form", "MatterportConfig")
MatterportForm = lazily("stream_export.converters.matterport.form", "MatterportForm")

Array = NDArray[np.float32]


@pytest.fixture(autouse=True, scope="module")
def operators() -> None:
    """`torch.ops.stream` has what these say, whichever tests came before."""
    importlib.import_module("stream_export.blocks.tensorflow_ops")


def crop_and_resize(maps: Array, box: list[float], size: int) -> Array:
    """tf.image.crop_and_resize of maps [C, H, W] with y1, x1, y2, x2, as its kernel does it."""
    channels, height, width = maps.shape
    found = np.zeros((channels, size, size), np.float32)
    y1, x1, y2, x2 = box
    for row in range(size):
        y = y1 * (height - 1) + row * (y2 - y1) * (height - 1) / (size - 1)
        for column in range(size):
            x = x1 * (width - 1) + column * (x2 - x1) * (width - 1) / (size - 1)
            top, left = int(np.floor(y)), int(np.floor(x))
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            down, across = y - top, x - left
            upper = maps[:, top, left] * (1 - across) + maps[:, top, right] * across
            lower = maps[:, bottom, left] * (1 - across) + maps[:, bottom, right] * across
            found[:, row, column] = upper * (1 - down) + lower * down
    return found


def test_regions_are_sampled_corner_on_corner() -> None:
    random = np.random.default_rng(0)
    fine, coarse = (
        random.standard_normal((1, 3, *size)).astype(np.float32) for size in ((24, 32), (12, 16))
    )
    boxes = np.array(
        [[0.1, 0.2, 0.5, 0.9], [0, 0, 1, 1], [0.3, 0.3, 0.3, 0.3], [0.6, 0, 0.7, 1]], np.float32
    )
    levels = torch.tensor([1, 0, 1, 0])
    pooled, order = CropAndResize(7)(
        [torch.from_numpy(fine), torch.from_numpy(coarse)],
        torch.from_numpy(boxes[:, [1, 0, 3, 2]]),
        levels,
    )
    for row, (box, level) in zip(
        restore(pooled, order), zip(boxes, levels, strict=True), strict=True
    ):
        wanted = crop_and_resize((fine, coarse)[int(level)][0], box.tolist(), 7)
        np.testing.assert_allclose(row.numpy(), wanted, atol=2e-5)


def paste(mask: Array, box: Array, height: int, width: int) -> NDArray[np.bool_]:
    """reframe_box_masks_to_image_masks, thresholded; the box is y1, x1, y2, x2, normalised."""
    cells = mask.shape[0] - 1
    found = np.zeros((height, width), np.bool_)
    for row in range(height):
        y = (row / (height - 1) - box[0]) / (box[2] - box[0]) * cells
        for column in range(width):
            x = (column / (width - 1) - box[1]) / (box[3] - box[1]) * cells
            if not (0 <= y <= cells and 0 <= x <= cells):
                continue
            top, left = min(int(y), cells - 1), min(int(x), cells - 1)
            corner = mask[top : top + 2, left : left + 2]
            down, across = y - top, x - left
            upper, lower = corner @ np.array([1 - across, across])
            found[row, column] = upper * (1 - down) + lower * down > 0.5
    return found


@pytest.mark.parametrize("fine", [1, 4, 16])
def test_masks_are_pasted_where_the_object_detection_api_pastes_them(fine: int) -> None:
    random = np.random.default_rng(1)
    height, width = 90, 120
    masks = random.random((3, 15, 15)).astype(np.float32)
    masks[1, 3:12, 3:12] = 0.9
    boxes = np.array([[0.1, 0.2, 0.8, 0.7], [0, 0, 1, 1], [0.55, 0.5, 1, 1]], np.float32)
    swapped = boxes[:, [1, 0, 3, 2]]
    framed, frames = frame_masks(
        torch.from_numpy(masks), torch.from_numpy(swapped), (height, width), fine
    )
    assert framed.shape == (3, 14 * fine + 1, 14 * fine + 1)
    pixels = (swapped * np.array([width, height] * 2)).astype(np.float32)
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    raw = Raw(pixels, scores, np.zeros(3, np.int64), framed.numpy(), frames.numpy())
    found = to_instances(
        raw, Resize("native").geometry(width, height), ("a",), threshold=0.0, mask_threshold=0.5
    ).full_masks()
    for index in range(3):
        wanted = paste(masks[index], boxes[index], height, width)
        overlap = (found[index] & wanted).sum() / (found[index] | wanted).sum()
        # Noise, which no trained network's masks are.
        assert overlap >= {1: 0.65, 4: 0.95, 16: 0.97}[fine]


def test_an_enlargement_and_a_convolution_are_done_as_one() -> None:
    torch.manual_seed(0)
    weight, bias, maps = torch.randn(5, 6, 3, 3), torch.randn(5), torch.randn(2, 6, 4, 7)
    large = nn.functional.interpolate(maps, size=(15, 15), mode="bilinear", align_corners=True)
    wanted = nn.functional.conv2d(large, weight, bias, padding=1)
    with torch.no_grad():
        found = ResizedConv(weight, bias, (4, 7), 15)(maps)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_only_the_detected_class_s_mask_is_computed() -> None:
    torch.manual_seed(0)
    maps, weight, bias = torch.randn(4, 6, 9, 9), torch.randn(3, 6, 3, 3), torch.randn(3)
    labels = torch.tensor([0, 2, 1, 1])
    wanted = torch.sigmoid(nn.functional.conv2d(maps, weight, bias, padding=1))
    found = class_conv_masks(maps, weight, bias, labels)
    torch.testing.assert_close(found, wanted[torch.arange(4), labels])


@pytest.mark.parametrize("size", [(7, 8), (8, 7), (9, 9), (6, 6)])
@pytest.mark.parametrize("kernel", [3, 7])
def test_same_padding_depends_on_the_size(size: tuple[int, int], kernel: int) -> None:
    torch.manual_seed(0)
    maps, weight, bias = torch.randn(1, 2, *size), torch.randn(3, 2, kernel, kernel), torch.randn(3)
    found = torch.ops.stream.same_conv(maps, weight, bias, 2)
    pooled = torch.ops.stream.same_max_pool(maps, 3, 2)
    # TensorFlow's rule, spelt out: an output cell sees the kernel that starts at 2 i - before.
    for edge, cells in zip(size, found.shape[2:], strict=True):
        assert cells == -(-edge // 2)
    before = [max((-(-edge // 2) - 1) * 2 + kernel - edge, 0) // 2 for edge in size]
    wide = nn.functional.pad(maps, (kernel, kernel, kernel, kernel))
    for row in range(found.shape[2]):
        for column in range(found.shape[3]):
            y, x = 2 * row - before[0] + kernel, 2 * column - before[1] + kernel
            seen = wide[0, :, y : y + kernel, x : x + kernel]
            wanted = (weight * seen).sum(dim=(1, 2, 3)) + bias
            torch.testing.assert_close(found[0, :, row, column], wanted, atol=1e-4, rtol=1e-4)
    assert pooled.shape[2:] == found.shape[2:]
    assert float(pooled.max()) == float(maps.max())


@pytest.mark.parametrize("size", [(48, 64), (38, 50), (30, 90), (64, 48)])
def test_pictures_are_resized_as_tensorflow_1_does(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (1, 3, *size)).astype(np.float32)
    found = torch.ops.stream.resize_to_range(torch.from_numpy(picture), 60, 100).numpy()
    scale = min(60 / min(size), 100 / max(size))
    assert found.shape[2:] == tuple(round(edge * scale) for edge in size)
    rows = np.arange(found.shape[2]) * (size[0] / found.shape[2])
    columns = np.arange(found.shape[3]) * (size[1] / found.shape[3])
    top, left = rows.astype(int), columns.astype(int)
    bottom, right = np.minimum(top + 1, size[0] - 1), np.minimum(left + 1, size[1] - 1)
    down, across = (rows - top)[:, None], (columns - left)[None]
    for plane, resized in zip(picture[0], found[0], strict=True):
        upper = plane[np.ix_(top, left)] * (1 - across) + plane[np.ix_(top, right)] * across
        lower = plane[np.ix_(bottom, left)] * (1 - across) + plane[np.ix_(bottom, right)] * across
        np.testing.assert_allclose(resized, upper * (1 - down) + lower * down, atol=1e-2)


def test_proposals_compete_whatever_their_level() -> None:
    anchors = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 5], [6, 6, 9, 9], [8, 8, 20, 20.0]])
    scores = torch.tensor([0.5, 0.9, 0.2, 0.7])

    def propose(clip_last: bool, after: int = 3) -> tuple[Tensor, Tensor]:
        block = JointProposals(
            before=4, after=after, iou=0.6, decoder=BoxDecoder(), clip_last=clip_last
        )
        found: tuple[Tensor, Tensor] = block(
            scores, torch.zeros(4, 4), lambda index: anchors[index], (10, 10)
        )
        return found

    boxes, best = propose(clip_last=False)
    torch.testing.assert_close(best, torch.tensor([0.9, 0.7, 0.2]))
    torch.testing.assert_close(boxes[1], torch.tensor([8.0, 8, 10, 10]))
    boxes, best = propose(clip_last=True)
    torch.testing.assert_close(boxes[1], torch.tensor([8.0, 8, 10, 10]))
    boxes, best = propose(clip_last=False, after=4)
    assert best.tolist()[3] == -1


@pytest.mark.parametrize("size", [(40, 60), (90, 90), (130, 97), (61, 33), (200, 190)])
def test_pictures_are_molded_as_scikit_image_does(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    # A dark border and flat parts, where rounding decides; and no black at all.
    picture = random.integers(3, 256, (*size, 3)).astype(np.uint8)
    picture[: size[0] // 3] = 77
    config = MatterportConfig(
        counts=(1, 1, 1, 1), stem=2, width=1, outputs=2, channels=2, hidden=2, box_channels=2,
        mask_channels=2, shortest=96, longest=128,
    )  # fmt: skip
    form = MatterportForm(config, (128, 128), native=True)
    planes, window = form.mold(torch.from_numpy(picture)[None])
    scale = max(1, 96 / min(size))
    if round(max(size) * scale) > 128:
        scale = 128 / max(size)
    edges = [round(edge * scale) for edge in size]
    resized = picture
    if scale != 1:
        resized = skimage_resize(
            picture, edges, order=1, mode="constant", preserve_range=True, anti_aliasing=False
        ).astype(np.uint8)
    wanted = np.zeros((128, 128, 3), np.uint8)
    top, left = (128 - edges[0]) // 2, (128 - edges[1]) // 2
    wanted[top : top + edges[0], left : left + edges[1]] = resized
    np.testing.assert_array_equal(planes[0].permute(1, 2, 0).numpy(), wanted)
    corners = np.array([left, top, left + edges[1] - 1, top + edges[0] - 1]) / 127
    np.testing.assert_allclose(window.numpy(), corners, atol=1e-6)
