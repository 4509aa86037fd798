"""What decides about a model's answers besides its weights, in whole pickled models and without."""

from __future__ import annotations

import copy
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from stream import Segmenter
from stream.errors import ModelError, UsageError
from stream.inference.contract import Resize
from stream_export.converters.torchvision import Asked, convert, opened
from stream_export.converters.torchvision.conversion import own_size, sized
from stream_export.registry import OPTIONS_KEY
from tests.export.lazily import lazily
from tests.export.shaped import pictures, spread

torch = lazily("torch")
detection = lazily("torchvision.models.detection")
backbones = lazily("torchvision.models.detection.backbone_utils")
ops = lazily("torchvision.ops")
AnchorGenerator = lazily("torchvision.models.detection.anchor_utils", "AnchorGenerator")
FastRCNNPredictor = lazily("torchvision.models.detection.faster_rcnn", "FastRCNNPredictor")
TwoMLPHead = lazily("torchvision.models.detection.faster_rcnn", "TwoMLPHead")
MaskRCNNPredictor = lazily("torchvision.models.detection.mask_rcnn", "MaskRCNNPredictor")
LastLevelP6P7 = lazily("torchvision.ops.feature_pyramid_network", "LastLevelP6P7")
TorchvisionForm = lazily("stream_export.converters.torchvision.form", "TorchvisionForm")
TorchvisionOrigin = lazily("stream_export.converters.torchvision.origin", "TorchvisionOrigin")


def mobile(**settings: Any) -> Any:
    """A small network whose norms have the epsilon that MobileNetV3 has by itself."""
    torch.manual_seed(0)
    backbone = backbones.mobilenet_backbone(
        backbone_name="mobilenet_v3_small",
        weights=None,
        fpn=True,
        norm_layer=partial(torch.nn.BatchNorm2d, eps=1e-3),
    )
    levels = 3
    anchors = AnchorGenerator(((16, 64),) * levels, ((0.5, 1.0),) * levels)
    return small_headed(backbone, anchors, **settings).eval()


def small_headed(backbone: Any, anchors: Any, **settings: Any) -> Any:
    """Its head has few weights: of torchvision's twelve million a file took half a second."""
    heads = {
        "box_head": TwoMLPHead(256 * 7 * 7, 32),
        "box_predictor": FastRCNNPredictor(32, 3),
        "mask_predictor": MaskRCNNPredictor(256, 256, 3),
    }
    return detection.MaskRCNN(backbone, rpn_anchor_generator=anchors, **heads, **settings)


def saved(folder: Path, content: Any) -> str:
    path = folder / "mine.pth"
    torch.save(content, path)
    return str(path)


@pytest.fixture(scope="module")
def unusual() -> Any:
    """Every setting that weights do not tell is another than torchvision's builders have it."""
    network = mobile(
        bbox_reg_weights=(5.0, 5.0, 2.5, 2.5),
        box_roi_pool=ops.MultiScaleRoIAlign(["0", "1"], 7, 4),
        mask_roi_pool=ops.MultiScaleRoIAlign(["0", "1"], 10, 1),
        rpn_nms_thresh=0.6,
    )
    return spread(network, background=2.0)


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "in DataParallel"])
def test_a_whole_models_layers_bring_their_settings(
    unusual: Any, tmp_path: Path, wrapped: bool
) -> None:
    """Norms, pools and codes of boxes were torchvision's own, and each answer another."""
    whole = torch.nn.DataParallel(unusual) if wrapped else unusual
    found = opened(Asked(weights=saved(tmp_path, {"epoch": 3, "model": whole})))
    said = "; ".join(found.read)
    for setting in ("eps 0.001 of backbone.body.0.1 and", "sampling_ratio 4 of", "(10, 10) of"):
        assert setting in said
    assert "bbox_reg_weights (5.0, 5.0, 2.5, 2.5)" in said
    assert found.size == "192/256"
    assert found.assumed == []
    found.model.transform.min_size, found.model.transform.max_size = (192,), 256
    theirs, ours = (
        TorchvisionOrigin(model, ("a", "b"))(pictures()[0]) for model in (unusual, found.model)
    )
    assert len(theirs)
    assert theirs.masks.shape[1:] == (20, 20)
    for name in ("boxes", "scores", "labels", "masks"):
        assert (getattr(theirs, name) == getattr(ours, name)).all(), name


def test_a_whole_models_anchors_and_epsilon_yield_to_what_is_asked_for(
    unusual: Any, tmp_path: Path
) -> None:
    path = saved(tmp_path, unusual)
    found = opened(Asked(weights=path, epsilon=0.5, anchors="8+32,8+32,8+32", ratios="0.5,2"))
    assert found.model.backbone.body["0"][1].eps == 0.5
    assert found.model.rpn.anchor_generator.sizes == ((8, 32),) * 3
    assert found.model.rpn.anchor_generator.aspect_ratios == ((0.5, 2),) * 3


def test_a_layer_of_another_kind_is_named(tmp_path: Path) -> None:
    """It has no weights, by which it could be told."""
    network = mobile()
    network.backbone.body["0"][2] = torch.nn.ReLU()
    with pytest.raises(ModelError, match=r"'backbone\.body\.0\.2' is a ReLU and not a Hardswish"):
        opened(Asked(weights=saved(tmp_path, network)))


def test_the_epsilon_of_a_mobile_networks_norms_is_asked_for(tmp_path: Path) -> None:
    """A state dict does not tell whether it is 1e-3 or 1e-5, frozen or not."""
    path = saved(tmp_path, mobile().state_dict())
    assumed = Asked(weights=path, anchors="16+64,16+64,16+64", ratios="0.5,1")
    found = opened(assumed)
    assert "an epsilon of 1e-05 in the backbone's norms (--epsilon)" in found.assumed
    given = opened(Asked(weights=path, anchors=assumed.anchors, ratios="0.5,1", epsilon=1e-3))
    assert not any("epsilon" in one for one in given.assumed)
    assert given.model.backbone.body["0"][1].eps == 1e-3


def test_the_codes_of_boxes_can_be_set(tmp_path: Path) -> None:
    path = saved(tmp_path, mobile().state_dict())
    anchors = {"anchors": "16+64,16+64,16+64", "ratios": "0.5,1"}
    found = opened(Asked(weights=path, settings=("bbox_reg_weights=[5,5,2.5,2.5]",), **anchors))
    assert list(found.model.roi_heads.box_coder.weights) == [5, 5, 2.5, 2.5]
    for wrong in ("[5,5,2.5]", "[5,5,0,1]", "5"):
        with pytest.raises(UsageError, match=r"bbox_reg_weights is .* makes no sense"):
            opened(Asked(weights=path, settings=(f"bbox_reg_weights={wrong}",), **anchors))


def test_a_pyramid_may_end_in_two_layers_of_its_own(tmp_path: Path) -> None:
    backbone = backbones.resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, extra_blocks=LastLevelP6P7(256, 256)
    )
    levels = tuple((edge,) for edge in (32, 64, 128, 256, 512, 700))
    whole = small_headed(backbone, AnchorGenerator(levels, ((0.5, 1.0, 2.0),) * 6))
    found = opened(Asked(weights=saved(tmp_path, whole)))
    assert found.model.rpn.anchor_generator.sizes == levels
    state = found.model.state_dict()
    assert state.keys() == whole.state_dict().keys()
    assert torch.equal(
        state["backbone.fpn.extra_blocks.p7.weight"], backbone.fpn.extra_blocks.p7.weight
    )


def test_what_a_network_cannot_be_is_told_by_the_files_own_name(tmp_path: Path) -> None:
    """Numbers that are none, and a network for other pictures than there are here."""
    state = {f"module.{name}": one for name, one in mobile().state_dict().items()}
    name = "module.backbone.body.0.0.weight"
    wrong = state[name].clone()
    wrong[0, 0, 0, 0] = float("nan")
    anchors = {"anchors": "16+64,16+64,16+64", "ratios": "0.5,1"}
    path = saved(tmp_path, {"model": state | {name: wrong}})
    with pytest.raises(ModelError, match=rf"mine\.pth: it has weights with .*: {name};"):
        opened(Asked(weights=path, **anchors))
    for channels in (1, 4):
        other = torch.zeros(len(wrong), channels, 3, 3)
        path = saved(tmp_path, {"model": state | {name: other}})
        with pytest.raises(ModelError, match=f"looks at {channels} channels?; pictures have three"):
            opened(Asked(weights=path, **anchors))


def test_of_equal_scores_the_better_proposals_goes_first(unusual: Any) -> None:
    """They were asked in the order in which they are pooled, tile by tile."""
    form = TorchvisionForm(copy.deepcopy(unusual), native=True)
    seen: dict[str, Any] = {}
    form.proposals.register_forward_hook(lambda _, __, output: seen.update(proposed=output))
    form.detections.register_forward_pre_hook(lambda _, given: seen.update(given=given))
    with torch.no_grad():
        form(torch.from_numpy(pictures()[0])[None])
    probabilities, _, boxes, _ = seen["given"]
    proposals, objectness = seen["proposed"]
    assert torch.equal(boxes, proposals)
    assert (objectness.diff() <= 0).all()
    assert torch.equal(probabilities[:, 0] >= 0, objectness > 0)


@pytest.mark.slow
def test_nothing_is_lost_where_scores_round_to_0_and_1(tmp_path: Path) -> None:
    """All anchors of a small picture are proposed, and half of these have an objectness of 0.

    Of the other network's more than are kept have one of 1.
    """
    torch.manual_seed(0)
    maps = backbones.resnet_fpn_backbone(backbone_name="resnet18", weights=None)
    sizes = ((16,), (32,), (64,), (96,), (128,))
    found = 0
    for made in (mobile(), small_headed(maps, AnchorGenerator(sizes, ((0.5, 1.0),) * 5)).eval()):
        network = spread(made, short=96, long=160, background=2.0)
        onnx.save(convert(network, names=("a", "b")), str(tmp_path / "a.onnx"))
        ours = Segmenter.load(tmp_path / "a.onnx", "cpu", threshold=0.05)
        origin = TorchvisionOrigin(network, ("a", "b"))
        for picture in pictures():
            mine, theirs = ours(picture), origin(picture)
            assert len(mine) == len(theirs)
            np.testing.assert_allclose(mine.boxes, theirs.boxes, atol=0.5)
            np.testing.assert_allclose(mine.scores, theirs.scores, atol=1e-3)
            found += len(mine)
    assert found > 20


@pytest.mark.slow
def test_pictures_need_not_be_padded(tmp_path: Path) -> None:
    """Of maps of 7 cells and of 4, which were enlarged to 8, the file had no sum and failed."""

    def network(anchors: int, **body: Any) -> Any:
        torch.manual_seed(0)
        maps = backbones.resnet_fpn_backbone(backbone_name="resnet18", weights=None, **body)
        sizes = tuple((16 * 2**level,) for level in range(anchors))
        made = AnchorGenerator(sizes, ((0.5, 1.0),) * anchors)
        return small_headed(maps, made, size_divisible=1).eval()

    spreading = spread(network(5), short=96, long=160, background=2.0)
    onnx.save(convert(spreading, names=("a", "b")), str(tmp_path / "a.onnx"))
    picture = np.ascontiguousarray(pictures()[0][:, :471])
    theirs = TorchvisionOrigin(spreading, ("a", "b"))(picture)
    ours = Segmenter.load(tmp_path / "a.onnx", "cpu", threshold=0.05)(picture)
    assert len(ours) == len(theirs) > 0
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.05)
    with pytest.raises(UsageError, match=r"size_divisible is 1, .*; only multiples of 16"):
        convert(network(3, returned_layers=[1, 3]), names=("a", "b"))


@pytest.mark.slow
def test_a_fixed_size_and_its_margin_are_the_models_own(tmp_path: Path) -> None:
    """Pictures were scaled by their shorter edge, to 800 pixels, whatever the model had learnt."""
    network = spread(mobile(fixed_size=(160, 96), size_divisible=64), background=2.0)
    found = opened(Asked(weights=saved(tmp_path, network)))
    assert "fixed_size (160, 96), size_divisible 64" in "; ".join(found.read)
    picture = pictures()[0]
    theirs = TorchvisionOrigin(network, ("a", "b"))(picture)
    assert len(theirs)
    exported = convert(found.model, names=("a", "b"))
    onnx.save(exported, str(tmp_path / "exact.onnx"))
    ours = Segmenter.load(tmp_path / "exact.onnx", "cpu", threshold=0.05)(picture)
    assert len(ours) == len(theirs)
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.05)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)
    (kept,) = (one.value for one in exported.metadata_props if one.key == OPTIONS_KEY)
    assert json.loads(kept)["fixed_size"] == [160, 96]


def test_a_size_that_is_asked_for_takes_the_place_of_the_models_own() -> None:
    network = mobile(fixed_size=(160, 96), min_size=100, max_size=180)
    wanted = {
        (None, False): Resize("stretch", width=160, height=96),
        ("128/160", False): Resize("shortest_edge", shortest=128, longest=160),
    }
    for (size, exact), resize in wanted.items():
        assert sized(copy.deepcopy(network), size, exact=exact) == resize
    network.transform.fixed_size = None
    assert own_size(network) == "100/180"
    network.transform.max_size = 90
    assert own_size(network) == "90/90"


def test_a_fixed_size_can_be_set(tmp_path: Path) -> None:
    path = saved(tmp_path, mobile().state_dict())
    anchors = {"anchors": "16+64,16+64,16+64", "ratios": "0.5,1"}
    found = opened(Asked(weights=path, settings=("fixed_size=[160,96]",), **anchors))
    assert list(found.model.transform.fixed_size) == [160, 96]
    for wrong in ("[160,0]", "[160]", "160", "[1.5,2]"):
        with pytest.raises(UsageError, match=r"fixed_size is .* makes no sense"):
            opened(Asked(weights=path, settings=(f"fixed_size={wrong}",), **anchors))
