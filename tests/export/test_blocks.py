"""Each block answers as torchvision's own part does."""

from __future__ import annotations

import pytest

from tests.export.lazily import lazily

torch = lazily("torch")
nn = lazily("torch.nn")
BoxCoder = lazily("torchvision.models.detection._utils", "BoxCoder")
AnchorGenerator = lazily("torchvision.models.detection.anchor_utils", "AnchorGenerator")
ImageList = lazily("torchvision.models.detection.image_list", "ImageList")
MaskRCNNPredictor = lazily("torchvision.models.detection.mask_rcnn", "MaskRCNNPredictor")
GeneralizedRCNNTransform = lazily(
    "torchvision.models.detection.transform", "GeneralizedRCNNTransform"
)
MultiScaleRoIAlign = lazily("torchvision.ops", "MultiScaleRoIAlign")
batched_nms = lazily("torchvision.ops", "batched_nms")
symbolic_shapes = lazily("torch.fx.experimental.symbolic_shapes")
blocks = lazily("stream_export.blocks")
tensorflow_ops = lazily("stream_export.blocks.tensorflow_ops")


def _boxes(count: int, size: float = 300.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * size
    return torch.cat((corner, corner + 1 + torch.rand(count, 2, generator=generator) * size), 1)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)])
def test_decoding_is_torchvisions(weights):
    boxes = _boxes(50)
    deltas = torch.randn(50, 4, generator=torch.Generator().manual_seed(1)) * 8
    expected = BoxCoder(weights).decode_single(deltas, boxes)
    assert torch.allclose(blocks.BoxDecoder(weights)(deltas, boxes), expected, atol=1e-3, rtol=1e-6)


def test_anchors_are_torchvisions_wherever_they_are_asked_for():
    sizes, ratios = ((32, 64), (128, 256)), ((0.5, 1.0, 2.0),) * 2
    image = torch.zeros(1, 3, 96, 160)
    maps = [torch.zeros(1, 8, 12, 20), torch.zeros(1, 8, 5, 9)]
    (expected,) = AnchorGenerator(sizes, ratios)(ImageList(image, [(96, 160)]), maps)
    found = []
    for size, ratio, level in zip(sizes, ratios, maps, strict=True):
        grid = blocks.AnchorGrid(blocks.cell_anchors(size, ratio))
        height, width = level.shape[-2:]
        found.append(grid(torch.arange(height * width * 6), (height, width), (96, 160)))
    assert torch.equal(torch.cat(found), expected)


@pytest.mark.parametrize("tile", [0, 64])
def test_pooling_is_torchvisions_in_the_order_it_says(tile):
    maps = [torch.randn(1, 4, 64 >> level, 80 >> level) for level in range(3)]
    boxes = _boxes(60)
    pool = MultiScaleRoIAlign(["0", "1", "2"], 7, 2)
    expected = pool({str(i): level for i, level in enumerate(maps)}, [boxes], [(256, 320)])
    ours = blocks.LevelPool([1 / 4, 1 / 8, 1 / 16], 7, tile=tile)
    pooled, order = ours(maps, boxes)
    assert set(ours.levels(boxes).tolist()) == {0, 1, 2}
    assert torch.allclose(pooled, expected[order], atol=1e-5)
    assert torch.allclose(blocks.restore(pooled, order), expected, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(480, 640), (427, 640), (381, 500), (100, 333)])
def test_resizing_is_torchvisions(height, width):
    planes = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2))
    transform = GeneralizedRCNNTransform(200, 333, [0.0] * 3, [1.0] * 3)
    expected = transform.resize(planes[0])[0]
    found = blocks.resize_shortest(planes, 200, 333)[0]
    assert found.shape == expected.shape
    assert_near(found, expected, reach=max(height, width))


@pytest.mark.parametrize("way", ["shortest_edge", "resize_to_range"])
def test_a_resized_pictures_size_is_none_that_only_data_decide(way):
    """Of one that is, PyTorch 2.11 cannot say how large a convolution's map will be."""

    class Resized(torch.nn.Module):
        def forward(self, planes):
            if way == "shortest_edge":
                return blocks.resize_shortest(planes, 200, 333)
            return tensorflow_ops.resize_to_range(planes, 200, 333)

    sides = {2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    planes = torch.zeros(1, 3, 240, 320)
    program = torch.export.export(Resized(), (planes,), dynamic_shapes=(sides,), strict=False)
    (made,) = next(node for node in program.graph.nodes if node.op == "output").args[0]
    edges = made.meta["val"].shape[2:]
    assert all(isinstance(edge, torch.SymInt) for edge in edges)
    assert not any(symbolic_shapes.free_unbacked_symbols(edge) for edge in edges)
    # What is computed is asked of the resized picture, not reckoned anew.
    assert not [node for node in program.graph.nodes if "sym_min" in str(node.target)]
    small = torch.rand(1, 3, 100, 300, generator=torch.Generator().manual_seed(4))
    assert torch.equal(program.module()(small), Resized()(small))


def test_the_padding_of_any_size_of_picture_can_be_exported():
    """Of what a negative side leaves over PyTorch 2.11 knows no limits; nor does 2.14 in a graph as
    small as this."""

    class Padded(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.pixels = blocks.Pixels([0.0] * 3, [1.0] * 3, multiple_of=32)
            self.layer = torch.nn.Conv2d(3, 1, 3)

        def forward(self, planes):
            return self.layer(self.pixels.pad(planes))

    sides = {2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    planes = torch.zeros(1, 3, 240, 320)
    module = Padded()
    program = torch.export.export(module, (planes,), dynamic_shapes=(sides,), strict=False)
    for height, width in ((33, 64), (64, 95)):
        small = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(4))
        assert torch.equal(program.module()(small), module(small))
        assert module.pixels.pad(small).shape[2:] == (64, 64 if width == 64 else 96)


def assert_near(found: torch.Tensor, expected: torch.Tensor, reach: int) -> None:
    """Values of 0..1 that were sampled at positions of up to `reach` pixels, in float32.

    A position is known to one part in 2^24 of itself, so a sample between black and white is off
    by as many pixels at most, and by half a dozen roundings of the weighing itself.
    """
    unit = torch.finfo(expected.dtype).eps
    torch.testing.assert_close(found, expected, rtol=0, atol=(reach + 6) * unit)


def test_suppression_marks_what_torchvision_removes():
    boxes = _boxes(200, 100)
    scores = torch.rand(200, generator=torch.Generator().manual_seed(3))
    labels = torch.arange(200) % 5
    kept = batched_nms(boxes, scores, labels, 0.4)
    apart = boxes + blocks.class_offsets(labels, 5, (300, 300))
    marked = torch.ops.stream.suppress(apart[None], scores[None], 0.4, 200)[0]
    assert set(torch.where(marked > 0)[0].tolist()) == set(kept.tolist())
    assert torch.equal(marked[kept], scores[kept])


def test_suppression_leaves_out_what_is_no_candidate_and_stops_at_the_limit():
    boxes = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60], [80, 80, 90, 90]])
    scores = torch.tensor([0.9, -1.0, 0.5])
    marked = torch.ops.stream.suppress(boxes[None], scores[None], 0.5, 1)[0]
    assert marked.tolist() == pytest.approx([0.9, -1, -1])


def test_survivors_are_those_that_torchvision_keeps_best_first():
    boxes = _boxes(200, 100)
    scores = torch.rand(200, generator=torch.Generator().manual_seed(3))
    able = torch.where(scores > 0.3)[0]
    kept = able[batched_nms(boxes[able], scores[able], torch.zeros(len(able)), 0.4)]
    found = torch.ops.stream.survivors(boxes, scores, 0.4, 200, 0.3)
    assert torch.equal(found, kept)
    assert torch.equal(torch.ops.stream.survivors(boxes, scores, 0.4, 3, 0.3), kept[:3])
    assert len(torch.ops.stream.survivors(boxes, scores, 0.4, 3, 1.0)) == 0


def test_classes_never_touch_however_many_there_are():
    labels = torch.arange(90)
    whole = torch.tensor([[0.0, 0, 1333, 800]]).repeat(90, 1)
    apart = whole + blocks.class_offsets(labels, 90, (800, 1333))
    marked = torch.ops.stream.suppress(apart[None], torch.ones(1, 90), 0.01, 90)
    assert (marked > 0).all()


def test_a_map_with_fewer_anchors_than_wanted_gives_what_it_has():
    grid = blocks.AnchorGrid(blocks.cell_anchors((32,), (1.0,)))
    proposals = blocks.Proposals([grid], before=50, after=50, iou=1.0)
    boxes, scores = proposals(
        [torch.zeros(1, 1, 3, 4)], [torch.zeros(1, 4, 3, 4)], (96, 128), (96, 128)
    )
    assert boxes.shape == (50, 4)
    assert int((scores > 0).sum()) == 12


@pytest.mark.parametrize("by_logit", [False, True])
def test_what_rounds_to_an_objectness_of_0_is_proposed_in_its_order(by_logit):
    """As the originals do; where a map has fewer anchors than are asked for, the rest is none."""
    grid = blocks.AnchorGrid(blocks.cell_anchors((16,), (1.0,)))
    proposals = blocks.Proposals([grid], before=20, after=20, iou=1.0, by_logit=by_logit)
    logits = torch.linspace(-700, -20, 12)
    none, size = torch.zeros(1, 4, 3, 4), (96, 128)
    boxes, scores = proposals([logits.reshape(1, 1, 3, 4)], [none], size, size)
    assert int((scores > 0).sum()) == 12
    expected, _ = proposals([torch.linspace(0, 1, 12).reshape(1, 1, 3, 4)], [none], size, size)
    # PyTorch's topk, unlike ONNX's, keeps no order of what is equal.
    assert sorted(boxes[:12].tolist()) == sorted(expected[:12].tolist())
    assert torch.equal(boxes[0], expected[0])


def test_nothing_found_is_an_empty_answer():
    detections = blocks.Detections(score=0.5)
    boxes, scores, labels = detections(
        torch.full((10, 3), 0.1), torch.zeros(10, 3, 4), _boxes(10), (300, 300)
    )
    assert (boxes.shape, scores.shape, labels.shape) == ((0, 4), (0,), (0,))


def test_masks_of_the_found_class_are_torchvisions():
    torch.manual_seed(4)
    predictor = MaskRCNNPredictor(6, 5, 4)
    features, labels = torch.randn(3, 6, 14, 14), torch.tensor([2, 0, 3])
    with torch.no_grad():
        expected = torch.sigmoid(predictor(features))[torch.arange(3), labels]
        last = predictor.mask_fcn_logits
        grown = blocks.MaskUpsample(predictor.conv5_mask)(features)
        found = blocks.class_masks(grown, last.weight.flatten(1), last.bias, labels, parts=4)
        plain = torch.relu(predictor.conv5_mask(features))
        whole = blocks.class_masks(plain, last.weight.flatten(1), last.bias, labels)
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(whole, expected, atol=1e-5)


def test_only_a_doubling_convolution_becomes_an_upsampling():
    with pytest.raises(ValueError, match="2x2 transposed"):
        blocks.MaskUpsample(nn.ConvTranspose2d(4, 4, 3, 2))


def test_pixels_are_normalised_first_and_padded_with_zeros():
    image = torch.full((1, 30, 50, 3), 255, dtype=torch.uint8)
    image[..., 2] = 0
    pixels = blocks.Pixels([0.5, 0.5, 0.25], [0.5, 0.25, 0.25], multiple_of=32)
    planes = pixels(image)
    assert planes.shape == (1, 3, 32, 64)
    assert planes[0, :, 0, 0].tolist() == [1.0, 2.0, -1.0]
    assert planes[0, :, 30:].abs().sum() == 0
    assert planes[0, :, :, 50:].abs().sum() == 0


def test_channels_may_be_turned_round():
    image = torch.tensor([10, 20, 30], dtype=torch.uint8).reshape(1, 1, 1, 3)
    planes = blocks.Pixels([1.0, 2.0, 3.0], [1.0] * 3, divisor=1, channels="bgr")(image)
    assert planes.flatten().tolist() == [29.0, 18.0, 7.0]
