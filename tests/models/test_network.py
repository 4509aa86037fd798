import copy
import dataclasses
import json
from urllib.error import URLError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import ModelError, UsageError


@pytest.fixture(scope="module")
def network():
    import torch

    from stream_models.network import MaskRCNN, NetworkConfig

    torch.manual_seed(0)
    return MaskRCNN(NetworkConfig(("person", "dog"))).eval()


def levels_for(height, width, channels=3):
    import torch

    from stream_models.network import STRIDES

    return [torch.randn(2, channels, -(-height // s), -(-width // s)) for s in STRIDES]


@pytest.mark.parametrize("shape", [(384, 512), (640, 384), (96, 640)])
def test_the_atlas_pools_what_each_level_would(shape):
    import torch
    from torchvision.ops import roi_align

    from stream_models.network import STRIDES, atlas_regions, build_atlas

    torch.manual_seed(1)
    height, width = shape
    levels = levels_for(height, width)
    sizes = [tuple(level.shape[-2:]) for level in levels]
    corners = torch.rand(100, 2, 2) * torch.tensor([width, height])
    boxes = torch.cat([corners.min(dim=1).values, corners.max(dim=1).values], dim=1)
    boxes[0] = torch.tensor([0.0, 0.0, width, height])
    picture = torch.randint(0, 2, (100, 1)).float()
    where = torch.cat([picture, atlas_regions(boxes, sizes, 96.0)], dim=1)
    pooled = roi_align(build_atlas(levels), where, 7, 1.0, 1, aligned=True)
    side = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).clamp(min=1).sqrt()
    chosen = torch.floor(torch.log2(side / 96.0) + 1).clamp(0, 3).long().tolist()
    rois = torch.cat([picture, boxes], dim=1)
    for row, level in enumerate(chosen):
        alone = roi_align(
            levels[level], rois[row : row + 1], 7, 1 / STRIDES[level], 1, aligned=True
        )
        torch.testing.assert_close(pooled[row], alone[0], rtol=1e-3, atol=1e-3)


def test_strided_filters_answer_alike_in_training_and_after():
    import torch

    from stream_models.backbone import SameConv

    torch.manual_seed(2)
    conv = SameConv(8, 8, 3, 2, 8)
    x = torch.randn(2, 8, 24, 32)
    torch.testing.assert_close(conv.train()(x), conv.eval()(x))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_rounded_filter_computes_in_steps_of_eight_bits(stride):
    import torch

    from stream_models.backbone import SameConv

    torch.manual_seed(3)
    exact = SameConv(4, 6, 3, stride, 1).requires_grad_(False)
    # Channels of very unlike weights, as folded batch normalisation leaves them.
    exact.weight *= torch.logspace(-3, 1, 6)[:, None, None, None]
    rounded = copy.deepcopy(exact)
    rounded.fake_quantized = True
    x = torch.rand(2, 4, 16, 24) * 6 - 1
    step = 6.0 / 255
    inputs = (x / step).round() * step
    scale = exact.weight.abs().amax(dim=(1, 2, 3), keepdim=True) / 127
    exact.weight.copy_((exact.weight / scale).round() * scale)
    x[0, 0, 0, :2] = inputs[0, 0, 0, :2] = torch.tensor([-1.0, 5.0])
    inputs = (x / step).round() * step
    torch.testing.assert_close(rounded(x), exact(inputs), rtol=1e-3, atol=1e-3)
    # Later inputs of a smaller range are not rounded more finely.
    torch.testing.assert_close(
        rounded(x / 4), exact(((x / 4) / step).round() * step), rtol=1e-3, atol=1e-3
    )


def test_the_rounding_of_a_layer_outlives_it():
    """A run that is taken up again rounds as it did, not in the finer steps of its next input."""
    import torch

    from stream_models.backbone import SameConv

    torch.manual_seed(3)
    first = SameConv(4, 6, 3, 1, 1).requires_grad_(False)
    first.fake_quantized = True
    x = torch.rand(1, 4, 8, 8) * 6 - 1
    first(x)
    assert first.reach.tolist() == pytest.approx([float(x.min()), float(x.max())])
    second = SameConv(4, 6, 3, 1, 1).requires_grad_(False)
    second.fake_quantized = True
    second.load_state_dict(first.state_dict())
    assert torch.equal(second(x / 50), first(x / 50))
    finer = SameConv(4, 6, 3, 1, 1).requires_grad_(False)
    finer.fake_quantized = True
    weights = {name: value for name, value in first.state_dict().items() if name != "reach"}
    finer.load_state_dict(weights)
    assert finer.reach.tolist() == [0.0, 0.0]
    assert not torch.equal(finer(x / 50), first(x / 50))


@pytest.mark.parametrize("size", [1, 7, 14])
def test_regions_are_pooled_to_learn_as_they_are_to_answer(size):
    import torch
    from torchvision.ops import roi_align

    from stream_models.pooling import roi_align_to_learn

    torch.manual_seed(5)
    image = torch.randn(2, 5, 20, 30)
    corners = torch.rand(60, 2, 2) * torch.tensor([180.0, 130.0]) - 30
    boxes = torch.cat([corners.min(dim=1).values, corners.max(dim=1).values], dim=1)
    # The whole picture, a box of no area, and one that ends where the picture does.
    boxes[:3] = torch.tensor([[0.0, 0, 120, 80], [40, 40, 40, 40], [100, 60, 120, 80]])
    rois = torch.cat([torch.randint(0, 2, (60, 1)).float(), boxes], dim=1)
    answers, gradients = [], []
    for pool in (
        lambda x: roi_align(x, rois, size, 0.25, 1, aligned=True),
        lambda x: roi_align_to_learn(x, rois, size, 0.25),
    ):
        maps = image.clone().requires_grad_()
        out = pool(maps)
        (out * torch.arange(out.numel()).reshape(out.shape).cos()).sum().backward()
        answers.append(out.detach())
        gradients.append(maps.grad)
    torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("blocks", [0, 2, 3, 5])
def test_the_backbone_answers_alike_in_training_and_after(blocks):
    import torch

    from stream_models.backbone import MobileNetV2

    torch.manual_seed(6)
    backbone = MobileNetV2(blocks)
    x = torch.rand(2, 3, 64, 96) * 2 - 1
    with torch.no_grad():
        learning, answering = backbone.train()(x), backbone.eval()(x)
    for one, other in zip(learning, answering, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    learnt = {name.split(".")[1] for name, p in backbone.named_parameters() if p.requires_grad}
    assert {"1", "2", "4"} & learnt == {str(i) for i in (1, 2, 4) if i >= blocks}


def test_only_frozen_layers_are_rounded_and_only_while_asked(network):
    import torch

    from stream_models.backbone import SameConv

    backbone = copy.deepcopy(network.backbone)
    x = torch.rand(1, 3, 64, 96) * 2 - 1
    before = backbone(x)
    backbone.fake_quantize_frozen(True)
    rounded = [part.fake_quantized for part in backbone.modules() if isinstance(part, SameConv)]
    frozen = [
        not part.weight.requires_grad for part in backbone.modules() if isinstance(part, SameConv)
    ]
    assert rounded == frozen
    assert any(rounded)
    assert not torch.equal(backbone(x)[0], before[0])
    backbone.fake_quantize_frozen(False)
    assert all(torch.equal(one, other) for one, other in zip(backbone(x), before, strict=True))


def test_levels_and_heads_have_the_shapes_they_promise(network):
    import torch

    from stream_models.boxes import level_anchors
    from stream_models.network import build_atlas

    image = torch.randint(0, 256, (1, 3, 96, 160), dtype=torch.uint8)
    levels, fine = network.features(image)
    sizes = [tuple(level.shape[-2:]) for level in levels]
    assert sizes == [(12, 20), (6, 10), (3, 5), (2, 3)]
    assert fine.shape == (1, 16, 24, 40)
    logits, deltas = network.proposals(levels)
    anchors = level_anchors(network.config, sizes)
    assert [x.shape[1] for x in logits] == [len(a) for a in anchors]
    assert [x.shape[1:] for x in deltas] == [a.shape for a in anchors]
    atlas = build_atlas(levels)
    rois = torch.tensor([[0.0, 5.0, 5.0, 90.0, 60.0], [0.0, 0.0, 0.0, 160.0, 96.0]])
    classes, boxes = network.box(network.pool_box(atlas, sizes, rois))
    assert classes.shape == (2, 3)
    assert boxes.shape == (2, 4)
    classes, boxes = network.refine(network.pool_box(atlas, sizes, rois))
    assert classes.shape == (2, 3)
    assert boxes.shape == (2, 4)
    masks = network.mask(*network.pool_mask(atlas, sizes, fine, rois))
    assert masks.shape == (2, 56, 56)
    assert network.dense(fine).shape == (1, 2, 24, 40)


def test_the_layer_that_sees_the_whole_region_adds_its_view(network):
    import torch

    torch.manual_seed(4)
    coarse, fine = torch.randn(2, 96, 14, 14), torch.randn(2, 16, 56, 56)
    before = network.mask(coarse, fine)
    with torch.no_grad():
        network.mask.whole.bias[0] = 1.0
        after = network.mask(coarse, fine)
        network.mask.whole.bias[0] = 0.0
    changed = torch.zeros(56, 56)
    changed[:2, :2] = 1.0
    torch.testing.assert_close(after - before, changed.expand(2, 56, 56))


def test_late_residual_steps_add_nothing_before_they_have_learnt(network):
    import torch

    torch.manual_seed(4)
    coarse, fine = torch.randn(2, 96, 14, 14), torch.randn(2, 16, 56, 56)
    before = network.mask(coarse, fine)
    for name in ("deeper", "sharper"):
        head = copy.deepcopy(network.mask)
        layer = head.get_submodule(name)
        assert not any(part.any() for part in layer.parameters())
        torch.nn.init.normal_(layer.weight)
        assert not torch.equal(before, head(coarse, fine))


def test_the_wider_view_adds_nothing_before_it_has_learnt(network):
    import torch

    torch.manual_seed(4)
    levels = [torch.rand(2, 96, 96 // s, 160 // s) for s in (8, 16, 32)]
    fine = torch.rand(2, 16, 24, 40)
    context = copy.deepcopy(network.context)
    torch.testing.assert_close(context(levels, fine), fine)
    torch.nn.init.normal_(context.last.weight)
    before = context(levels, fine)
    # What one cell of stride 32 shows reaches the cells around it.
    levels[2][:, :, 1, 2] += 10.0
    changed = (context(levels, fine) != before).any(dim=1)[0]
    assert changed[8:16, 16:24].all()
    assert changed.sum() > 8 * 8


def test_files_from_before_the_wider_view_can_be_trained_on(network, tmp_path):
    import onnx
    import torch
    from onnx import numpy_helper

    from stream_models.training.ship import from_onnx

    weights = [
        numpy_helper.from_array(value.detach().numpy(), f"model.network.{name}")
        for name, value in network.named_parameters()
        if not name.startswith("context.")
    ]
    config = dataclasses.asdict(network.config)
    del config["context_channels"]
    model = onnx.helper.make_model(onnx.helper.make_graph([], "old", [], [], weights))
    model.metadata_props.add(key="training.network", value=json.dumps(config))
    onnx.save(model, tmp_path / "old.onnx")
    again = from_onnx(tmp_path / "old.onnx")
    assert not again.context.last.weight.any()
    torch.testing.assert_close(again.mask.logits.weight, network.mask.logits.weight)


def test_masks_reach_beyond_their_box_but_not_beyond_the_picture(network):
    import torch

    boxes = torch.tensor([[40.0, 20.0, 60.0, 60.0], [0.0, 0.0, 100.0, 96.0]])
    out = network.mask_boxes(boxes, 96, 160)
    expected = torch.tensor([[38.5, 17.0, 61.5, 63.0], [0.0, 0.0, 107.5, 96.0]])
    torch.testing.assert_close(out, expected)


def test_descriptions_from_before_masks_reached_beyond_their_boxes_are_kept():
    from stream_models.network import NetworkConfig, network_config

    content = dataclasses.asdict(NetworkConfig(("person",)))
    assert network_config(content) == NetworkConfig(("person",))
    del content["mask_reach"]
    assert network_config(content).mask_reach == 1.0


def test_the_second_box_head_moves_what_the_first_one_found(network):
    import torch

    from stream_models.detect import DetectConfig, detect

    image = torch.randint(0, 256, (96, 160, 3), dtype=torch.uint8)
    config = DetectConfig(score_floor=0.0, detections=10, overlap=1.0)
    before = detect(network, image, config)
    with torch.no_grad():
        bias = network.refine.deltas.bias.clone()
        network.refine.deltas.bias += torch.tensor([0.0, 0.0, -5.0, -5.0])
        after = detect(network, image, config)
        network.refine.deltas.bias.copy_(bias)
    size = (before.boxes[:, 2:] - before.boxes[:, :2]).prod(dim=1).max()
    smaller = (after.boxes[:, 2:] - after.boxes[:, :2]).prod(dim=1).max()
    assert smaller < 0.5 * size


def test_anchors_are_centred_on_their_cells_and_keep_their_area(network):
    import torch

    from stream_models.boxes import level_anchors
    from stream_models.network import STRIDES

    anchors = level_anchors(network.config, [(2, 3), (1, 2), (1, 1), (1, 1)])
    for level, stride, size in zip(anchors, STRIDES, network.config.anchor_sizes, strict=True):
        sides = level[:, 2:] - level[:, :2]
        torch.testing.assert_close(sides.prod(dim=1), torch.full((len(level),), size**2))
        assert (level[0, :2] + level[0, 2:]).tolist() == pytest.approx([stride, stride])


corner = st.floats(0, 500)
side = st.floats(1, 400)


@given(st.tuples(corner, corner, side, side), st.tuples(corner, corner, side, side))
def test_boxes_survive_being_coded(first, second):
    import torch

    from stream_models.boxes import BOX_WEIGHTS, decode, encode

    box = torch.tensor([[first[0], first[1], first[0] + first[2], first[1] + first[3]]])
    reference = torch.tensor([[second[0], second[1], second[0] + second[2], second[1] + second[3]]])
    ratio = (box[:, 2:] - box[:, :2]) / (reference[:, 2:] - reference[:, :2])
    if ratio.max() > 60:
        return
    out = decode(encode(box, reference, BOX_WEIGHTS), reference, BOX_WEIGHTS)
    torch.testing.assert_close(out, box, rtol=1e-3, atol=0.05)


def test_detection_keeps_its_promises(network):
    import torch

    from stream_models.detect import DetectConfig, detect

    image = torch.randint(0, 256, (96, 160, 3), dtype=torch.uint8)
    found = detect(network, image, DetectConfig(score_floor=0.0, detections=10))
    count = len(found.scores)
    assert 0 < count <= 10
    assert found.boxes.shape == (count, 4)
    assert found.masks.shape == (count, 56, 56)
    torch.testing.assert_close(found.mask_boxes, network.mask_boxes(found.boxes, 96, 160))
    assert (found.scores.diff() <= 0).all()
    assert found.labels.dtype == torch.int64
    assert set(found.labels.tolist()) <= {0, 1}
    assert 0 <= found.masks.min() <= found.masks.max() <= 1
    assert found.boxes.min() >= 0
    assert found.boxes[:, 2].max() <= 160
    assert found.boxes[:, 3].max() <= 96


def test_nothing_found_is_an_empty_answer(network):
    import torch

    from stream_models.detect import DetectConfig, detect

    image = torch.zeros(96, 160, 3, dtype=torch.uint8)
    found = detect(network, image, DetectConfig(score_floor=0.999))
    assert found.boxes.shape == (0, 4)
    assert found.masks.shape == (0, 56, 56)


@pytest.mark.parametrize(
    ("floors", "regions"),
    # However little hope there is, the best one is looked at.
    [((1.0, 1.0), [1, 1]), ((0.0, 0.0), [50, 50]), ((0.0, 1.0), [50, 1])],
)
def test_regions_without_hope_are_left_out(network, monkeypatch, floors, regions):
    import torch

    from stream_models.detect import DetectConfig, detect

    seen, pool = [], network.pool_box

    def watched(atlas, sizes, rois):
        seen.append(len(rois))
        return pool(atlas, sizes, rois)

    monkeypatch.setattr(network, "pool_box", watched)
    torch.manual_seed(0)
    image = torch.randint(0, 256, (96, 160, 3), dtype=torch.uint8)
    config = DetectConfig(
        proposals=50, proposal_overlap=1.0, proposal_floor=floors[0], refined_floor=floors[1]
    )
    detect(network, image, config)
    assert seen == regions


def test_known_classes_keep_their_weights_under_other_names(network):
    import torch

    from stream_models.training.initial import adopt

    other = adopt(network, ("cat", "person"))
    assert other.config.names == ("cat", "person")
    torch.testing.assert_close(other.box.classes.weight[2], network.box.classes.weight[1])
    torch.testing.assert_close(other.box.classes.weight[0], network.box.classes.weight[0])
    torch.testing.assert_close(other.refine.classes.weight[2], network.refine.classes.weight[1])
    torch.testing.assert_close(other.mask.logits.weight, network.mask.logits.weight)


def test_a_known_class_may_be_written_as_labelling_tools_write_it(network):
    import torch

    from stream_models.training.initial import adopt

    assert network.config.names[0] == "person"
    other = adopt(network, ("Person", "car_Door", "PERSON ", "personal"))
    for mine in (1, 3):
        torch.testing.assert_close(other.box.classes.weight[mine], network.box.classes.weight[1])
    for mine in (2, 4):
        assert not torch.equal(other.box.classes.weight[mine], network.box.classes.weight[1])
    # One that is spelled as it is there comes before one that is alike.
    with torch.no_grad():
        other.box.classes.weight[1] += 1
    last = adopt(other, ("PERSON ", "person"))
    torch.testing.assert_close(last.box.classes.weight[1], other.box.classes.weight[3])
    torch.testing.assert_close(last.box.classes.weight[2], other.box.classes.weight[1])


def test_torchvisions_file_is_as_good_as_its_download(tmp_path, monkeypatch):
    import torch
    import torchvision

    from stream_models.training.initial import initial_network

    torch.manual_seed(4)
    source = torchvision.models.mobilenet_v2(weights=None)
    monkeypatch.setattr(torchvision.models, "mobilenet_v2", lambda weights: source)
    downloaded, knows = initial_network("imagenet", ("person",))
    assert not knows
    torch.save(source.state_dict(), tmp_path / "mobilenet.pth")
    monkeypatch.undo()
    read, knows = initial_network(str(tmp_path / "mobilenet.pth"), ("person",))
    assert not knows
    for one, other in zip(
        downloaded.backbone.parameters(), read.backbone.parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_without_a_network_imagenet_says_what_to_do(monkeypatch):
    import torchvision

    from stream_models.training.initial import initial_network

    def fail(weights):
        raise URLError("no route")

    monkeypatch.setattr(torchvision.models, "mobilenet_v2", fail)
    with pytest.raises(UsageError, match=r"no route.*mobilenet_v2-\w+\.pth from elsewhere"):
        initial_network("imagenet", ("person",))


def test_another_networks_file_is_refused(tmp_path):
    import torch

    from stream_models.training.initial import initial_network

    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="holds no weights of torchvision's MobileNetV2"):
        initial_network(str(tmp_path / "other.pth"), ("person",))
    torch.save({"model": {"rpn.head.cls_logits.weight": torch.zeros(3)}}, tmp_path / "mine.pth")
    said = (
        r"MobileNetV2, but is a checkpoint of torchvision: .* stream export torchvision --weights"
    )
    with pytest.raises(ModelError, match=said):
        initial_network(str(tmp_path / "mine.pth"), ("person",))


def test_torchvisions_backbone_is_folded_exactly(network):
    import torch
    import torchvision

    from stream_models.backbone import SameConv
    from stream_models.training.initial import load_torchvision

    torch.manual_seed(3)
    source = torchvision.models.mobilenet_v2(weights=None).eval()
    for module in source.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    load_torchvision(network, source)
    # Strides pad differently: torchvision's windows are ours in a picture turned by 180 degrees,
    # with filters turned likewise. A grey picture needs no normalisation at its border.
    for module in network.backbone.modules():
        if isinstance(module, SameConv):
            module.weight.data = module.weight.data.flip(2, 3)
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        ours = network.backbone.stem(torch.flip(x * 2 - 1, (2, 3))).flip(2, 3)
        block = source.features[0]
        theirs = block[1](block[0]((x - mean) / deviation))
        inner = ours[:, :, 1:-1, 1:-1], theirs[:, :, 1:-1, 1:-1]
        torch.testing.assert_close(*inner, rtol=1e-3, atol=1e-4)
        deep = torch.rand(1, 32, 32, 48)
        ours = deep.flip(2, 3)
        for part in network.backbone.blocks:
            ours = part(ours)
        ours = torch.nn.functional.relu6(network.backbone.last(ours)).flip(2, 3)
        theirs = source.features[1:](deep)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
