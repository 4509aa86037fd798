"""Converting detectron2's and Detectron's checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.errors import ModelError, UsageError
from stream.inference.segmenter import Segmenter
from stream_export.checkpoints.settings import Settings
from stream_export.converters._command import run
from stream_export.converters.detectron import Detectron
from stream_export.converters.detectron2 import Detectron2
from stream_export.tools.agreement import Tolerance, compare, open_model
from tests.export import made_checkpoints as made
from tests.export.lazily import lazily
from tests.export.reference_answers import exported_distance, unpacked
from tests.export.torch_like import (
    answers_of,
    check_same,
    check_several,
    kept_in_float,
    picture,
    write_names,
)

torch = lazily("torch")
configure = lazily("stream_export.converters.detectron2.config", "configure")
settings_for = lazily("stream_export.converters.detectron2.settings", "settings_for")
Weights = lazily("stream_export.checkpoints.weights", "Weights")
Request = lazily("stream_export.converters._request", "Request")
detectron = lazily("stream_export.converters.detectron.model")
detectron2 = lazily("stream_export.converters.detectron2.model")
RcnnForm = lazily("stream_export.converters.detectron2.form", "RcnnForm")
save_model = lazily("stream_export.metadata", "save_model")

# An export takes seconds of work, and minutes where many programs share the processor.
pytestmark = pytest.mark.timeout(1800)


Exported = tuple[Any, Any, Any]
"""What was asked for, what it was converted to, and the model in ONNX."""


def form_of(arrays: made.Arrays, **settings: object) -> RcnnForm:
    weights = Weights(Path("made.pkl"), arrays)
    config = configure(weights, Settings({"MODEL": settings}, "made"))
    form = RcnnForm(config).eval()
    detectron2.fill(form, weights)
    return form


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A small model with deformable convolutions of both kinds, exported once."""
    folder = tmp_path_factory.mktemp("detectron2")
    request = Request(
        made.write_detectron2(folder / "model.pkl", made.detectron2(offsets=(0, 36, 0, 27))),
        names=write_names(folder, made.CLASSES),
        size="96/160",
        proposals=60,
        score=0.3,
        exact=True,
    )
    converted = detectron2.convert(request)
    return request, converted, converted.to_onnx("detectron2", request)


@pytest.mark.slow
def test_an_fpn_model_exports_as_it_is(exported: Exported) -> None:
    _, converted, model = exported
    assert converted.metadata.origin == "detectron2, R-17 FPN, model.pkl"
    assert converted.metadata.resize.interpolation == "pil_bilinear"
    # Another size than the example's, which needs padding.
    found, expected = answers_of(model, converted, picture(96, 131))
    check_same(found, expected)
    assert found[3].shape[1:] == (28, 28)
    check_several(model.SerializeToString(), picture(96, 131))


def test_quantising_leaves_the_last_layers_alone() -> None:
    assert kept_in_float(form_of(made.detectron2())) == {
        "proposer.logits", "proposer.deltas", "box_head.logits", "box_head.deltas"
    }  # fmt: skip


def test_configurations_are_read_from_shapes() -> None:
    config = form_of(made.detectron2(groups=2)).config
    assert (config.body, config.counts, config.groups) == ("fpn", (2, 1, 1, 1), 2)
    assert config.stride_in_1x1 is False
    assert config.deviation == (57.375, 57.12, 58.395)
    assert (config.classes, config.mask_convs, config.box_layers) == (3, (8, 8), (16, 16))
    assert detectron2.describe(config) == "X-17-2x2d FPN"
    assert form_of(made.detectron2()).config.stride_in_1x1 is True
    assert (
        form_of(made.detectron2(), RESNETS={"STRIDE_IN_1X1": False}).config.stride_in_1x1 is False
    )


@pytest.mark.parametrize(("body", "cells"), [("c4", 14), ("dc5", 28)])
def test_bodies_without_a_pyramid_answer(body: str, cells: int) -> None:
    form = form_of(made.detectron2(body), RPN={"PRE_NMS_TOPK_TEST": 50, "POST_NMS_TOPK_TEST": 20})
    assert form.config.anchor_sizes == ((32.0, 64.0, 128.0, 256.0, 512.0),)
    with torch.no_grad():
        boxes, scores, labels, masks = form(torch.from_numpy(picture(80, 112)))
    assert len(boxes) == len(scores) == len(labels) == len(masks) > 0
    assert masks.shape[1:] == (cells, cells)
    assert (boxes[:, 2] <= 112).all()


def test_published_names_tell_what_weights_do_not() -> None:
    noaug = settings_for("Detectron1-Comparisons/mask_rcnn_R_50_FPN_noaug_1x.yaml")
    assert noaug.get("MODEL.ROI_BOX_HEAD.POOLER_TYPE") == "ROIAlign"
    assert noaug.get("MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO") == 2
    # Trained from nothing, with the colours and strides of all others.
    assert settings_for("new_baselines/mask_rcnn_R_50_FPN_100ep_LSJ.py").values == {}
    assert settings_for("mask_rcnn_R_50_FPN_3x").values == {}
    assert settings_for("Cityscapes/mask_rcnn_R_50_FPN.yaml").get("INPUT.MAX_SIZE_TEST") == 2048
    with pytest.raises(
        UsageError, match=r"published configuration, such as mask_rcnn_R_50_FPN_3x$"
    ):
        settings_for("retinanet_R_50_FPN_3x")
    lvis = settings_for("LVISv1-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml")
    assert lvis.get("TEST.DETECTIONS_PER_IMAGE") == 300
    # A file of one's own that is not there is no published configuration.
    for wrong in ("configs/mask_rcnn_mine.yaml", "mask_rcnn_R_50_FPN_3x_mine.yaml"):
        with pytest.raises(UsageError, match="neither a file nor a published"):
            settings_for(wrong)


def test_what_cannot_be_converted_says_why() -> None:
    arrays = made.detectron2()
    without = {name: value for name, value in arrays.items() if "mask_head" not in name}
    with pytest.raises(ModelError, match="no mask head"):
        form_of(without)
    group = {name: value for name, value in arrays.items() if "fpn" not in name}
    group |= {
        f"{name.rsplit('.', 1)[0]}.norm.weight": np.ones(8, np.float32)
        for name in arrays
        if "fpn" in name
    }
    with pytest.raises(
        ModelError, match=r"fpn_lateral2\.norm' is a group norm \(GN\), which is not supported"
    ):
        form_of(arrays | group)
    del arrays["backbone.bottom_up.res4.0.conv2.weight"]
    with pytest.raises(ModelError, match=r"lacks the weight 'backbone\.bottom_up\.res4\.0\.conv2"):
        form_of(arrays)
    for taken, added, said in (
        ("running", "", r"group norms \(GN\), .* what can be converted has a ResNet"),
        ("bottom_up", "backbone.bottom_up.layers.0.attn.qkv", "body is a transformer .Swin"),
        ("bottom_up", "backbone.bottom_up.s1.b1.f.a", "body is a RegNet"),
        (".conv3", "", r"without bottlenecks \(18 or 34\)"),
        ("box_predictor", "roi_heads.box_predictor.0.cls_score", "it is a cascade"),
        ("mask_head", "roi_heads.mask_head.coarse_head.fc1", "it is a PointRend"),
    ):
        other = {name: value for name, value in made.detectron2().items() if taken not in name}
        if added:
            other[f"{added}.weight"] = np.ones(3, np.float32)
        with pytest.raises(ModelError, match=said):
            form_of(other)
    with pytest.raises(UsageError, match="3 anchors per cell; give --config"):
        form_of(made.detectron2(), ANCHOR_GENERATOR={"ASPECT_RATIOS": [[1.0]]})


def test_each_head_pools_as_it_is_told() -> None:
    head = {"POOLER_SAMPLING_RATIO": 2, "POOLER_TYPE": "ROIAlign"}
    form = form_of(made.detectron2(), ROI_MASK_HEAD=head)
    found = [(pool.sampling_ratio, pool.aligned) for pool in (form.box_pool, form.mask_pool)]
    assert found == [(0, True), (2, False)]
    # The body of C4 has one for both.
    form = form_of(made.detectron2("c4"), ROI_BOX_HEAD=head)
    assert (form.mask_pool.sampling_ratio, form.mask_pool.aligned) == (2, False)


def test_classes_with_a_probability_of_their_own_are_no_shares_of_one() -> None:
    picture_of = torch.from_numpy(picture(80, 112))
    arrays = made.detectron2()
    arrays["roi_heads.box_predictor.cls_score.weight"] *= 0
    arrays["roi_heads.box_predictor.cls_score.bias"] = np.array([2, 2, -3, 2], np.float32)
    with torch.no_grad():
        _, shared, _, _ = form_of(arrays)(picture_of)
        _, own, labels, _ = form_of(arrays, ROI_BOX_HEAD={"USE_SIGMOID_CE": True})(picture_of)
    assert shared.max() == pytest.approx(1 / 3, abs=0.01)
    assert own.max() == pytest.approx(torch.sigmoid(torch.tensor(2.0)).item(), abs=1e-4)
    assert set(labels.tolist()) == {0, 1}


def test_settings_of_the_newer_style_are_read_by_their_names(tmp_path: Path) -> None:
    """Of OmegaConf's file; in 3x3 convolutions the same weights are another network's."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "model:\n  backbone:\n    bottom_up:\n      stages: {depth: 50, stride_in_1x1: false}\n"
        "  input_format: RGB\n  proposal_generator:\n    in_features: [p2, p3, p4, p5, p6]\n"
        "  roi_heads:\n    mask_pooler: {pooler_type: ROIAlign, sampling_ratio: 2}\n"
        "    box_predictor: {use_sigmoid_ce: true}\n"
    )
    config = configure(Weights(Path("made.pkl"), made.detectron2()), settings_for(str(path)))
    assert (config.stride_in_1x1, config.order, config.sigmoid) == (False, "rgb", True)
    assert (config.aligned, config.mask_aligned, config.mask_sampling_ratio) == (True, False, 2)


def test_what_is_taken_for_granted_is_said(tmp_path: Path) -> None:
    path = made.write_detectron2(tmp_path / "model.pkl", made.detectron2(classes=8))
    converted = detectron2.convert(Request(path))
    assert converted.metadata.names[0] == "person"
    resize = converted.metadata.resize
    assert (resize.shortest, resize.longest) == (1024, 2048), "as Cityscapes' own are"
    path = made.write_torch(tmp_path / "model.pth", made.detectron2())
    names = write_names(tmp_path, made.CLASSES)
    said = "\n".join(detectron2.convert(Request(path, names=names)).assumed)
    assert "a shortest edge of 800, 1333 at most (--size" in said
    assert "strides in the 1x1 convolutions (--set MODEL.RESNETS.STRIDE_IN_1X1=False" in said
    told = Request(path, names=names, size="96/160", settings=("MODEL.RESNETS.STRIDE_IN_1X1=0",))
    assert "strid" not in (said := "\n".join(detectron2.convert(told).assumed))
    assert "shortest" not in said


def test_unknown_classes_are_asked_for(tmp_path: Path) -> None:
    path = made.write_detectron2(tmp_path / "model.pkl")
    with pytest.raises(UsageError, match=r"3 classes and does not name them; give --names"):
        detectron2.convert(Request(path))
    with pytest.raises(ModelError, match="holds 2 names"):
        detectron2.convert(Request(path, names=write_names(tmp_path, 2)))


def test_detectron_s_blobs_are_the_same_model(tmp_path: Path) -> None:
    arrays = made.detectron2()
    for name in arrays:
        # Affine channels: what detectron2 makes of them.
        if name.endswith("running_mean"):
            arrays[name] = np.zeros_like(arrays[name])
        elif name.endswith("running_var"):
            arrays[name] = np.ones_like(arrays[name])
    path = made.write_detectron(tmp_path / "model_final.pkl", made.detectron(arrays))
    weights, _ = detectron.read_weights(path)
    assert set(weights) == set(arrays)
    for name, value in arrays.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)
    converted = detectron.convert(Request(path, names=write_names(tmp_path, made.CLASSES)))
    form = converted.module
    assert isinstance(form, RcnnForm)
    assert form.config.mean == (102.9801, 115.9465, 122.7717)
    assert (form.config.sampling_ratio, form.config.aligned) == (2, False)


def test_another_system_s_file_names_the_right_command(tmp_path: Path) -> None:
    path = made.write_torch(tmp_path / "yolact_base_54_800000.pth", made.yolact())
    for converter in (Detectron2, Detectron):
        with pytest.raises(ModelError, match="convert it with: stream export yolact"):
            run(converter, Request(path), tmp_path / "a.onnx")
    other = made.write_detectron(tmp_path / "c2.pkl")
    with pytest.raises(ModelError, match="convert it with: stream export detectron "):
        run(Detectron2, Request(other), tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.slow
def test_the_file_says_what_it_was_made_from(exported: Exported, tmp_path: Path) -> None:
    request, _, model = exported
    said = {entry.key: entry.value for entry in model.metadata_props}
    options = json.loads(said["export.options"])
    assert (options["system"], options["checkpoint"]) == ("detectron2", "model.pkl")
    assert str(request.checkpoint.parent) not in json.dumps(said)
    save_model(model, tmp_path / "a.onnx")
    segmenter = Segmenter.load(tmp_path / "a.onnx", "cpu", threshold=0.05)
    assert segmenter.names[0] == "thing 0"
    found = compare(
        Detectron2.origin(str(request.checkpoint), options),
        open_model(tmp_path / "a.onnx", 0.05),
        [("made", picture(96, 131)[0])],
    )
    assert found.expected > 0
    assert found.failures(Tolerance()) == []


@pytest.mark.parametrize(
    ("offsets", "settings", "groups", "modulated"),
    [
        (18, {}, 1, False),
        (27, {}, 1, True),
        (36, {}, 2, False),
        (108, {}, 4, True),
        (54, {"DEFORM_NUM_GROUPS": 3}, 3, False),
        (54, {"DEFORM_NUM_GROUPS": 2}, 2, True),
    ],
)
def test_deformable_convolutions_are_read_from_shapes(
    offsets: int, settings: dict[str, object], groups: int, modulated: bool
) -> None:
    weights = Weights(Path("made.pkl"), made.detectron2(offsets=(0, 0, 0, offsets)))
    config = configure(weights, Settings({"MODEL": {"RESNETS": settings}}, "made"))
    (last,) = config.deformable[3]
    assert last is not None
    assert (last.groups, last.modulated) == (groups, modulated)
    assert config.deformable[0] == (None, None)


def test_a_deformable_convolution_of_no_kind_is_refused() -> None:
    with pytest.raises(ModelError, match="20 outputs, which are not those of a deformable"):
        form_of(made.detectron2(offsets=(0, 0, 0, 20)))


def test_layers_of_ones_own_are_named_and_can_be_left_out(tmp_path: Path) -> None:
    arrays = made.detectron2()
    arrays |= {
        f"backbone.bottom_up.res4.0.cbam.{part}.weight": np.ones((4, 4), np.float32)
        for part in ("spatial", "channel")
    }
    path = made.write_detectron2(tmp_path / "model.pkl", arrays)
    names = write_names(tmp_path, made.CLASSES)
    with pytest.raises(ModelError, match=r"no part of a network.*res4\.0\.cbam\.spatial\.weight, "):
        detectron2.convert(Request(path, names=names))
    with pytest.raises(UsageError, match="no weight of that name is left over"):
        detectron2.convert(Request(path, names=names, ignore=("*.cbam.*", "*.se.*")))
    assert detectron2.convert(Request(path, names=names, ignore=("*.cbam.*",)))


def test_heads_that_have_no_say_are_told_from_layers_that_do(tmp_path: Path) -> None:
    names = write_names(tmp_path, made.CLASSES)
    one = np.ones(3, np.float32)
    points = {"roi_heads.keypoint_head.conv_fcn1.weight": one}
    scene = {"sem_seg_head.p2.0.weight": one}
    both = "a head for key points and a head for the whole scene beside have no say"
    for beside, said in (
        (points, r"has no say .*--ignore 'roi_heads\.keypoint_\*' leaves it out"),
        (points | scene, both),
        (points | {"mine.weight": one}, "without them it would be another network"),
        (points | {"backbone.conv2_offset.weight": one}, r"deformable convolutions \(DCN\) look"),
    ):
        path = made.write_detectron2(tmp_path / "a.pkl", made.detectron2() | beside)
        with pytest.raises(ModelError, match=said):
            detectron2.convert(Request(path, names=names))
    path = made.write_detectron2(tmp_path / "a.pkl", made.detectron2() | points)
    ignored = Request(path, names=names, ignore=("roi_heads.keypoint_*",))
    assert len(detectron2.convert(ignored).metadata.names) == made.CLASSES


def test_what_the_weights_hold_of_settings_is_used(tmp_path: Path) -> None:
    arrays = made.detectron2()
    arrays["pixel_mean"] = np.array([1.5, 2, 3], np.float32).reshape(3, 1, 1)
    for level, edge in enumerate((8, 16, 32, 64, 128)):
        half = np.array([[-edge / 2, -edge / 2, edge / 2, edge / 2]], np.float32)
        name = f"proposal_generator.anchor_generator.cell_anchors.{level}"
        arrays[name] = np.repeat(half, 3, 0)
    config = configure(Weights(Path("made.pkl"), arrays), None)
    assert config.mean == (1.5, 2, 3)
    assert config.anchor_sizes == ((8,), (16,), (32,), (64,), (128,))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"META_ARCHITECTURE": "RetinaNet"}, "only GeneralizedRCNN is supported"),
        ({"ROI_HEADS": {"NAME": "CascadeROIHeads"}}, "StandardROIHeads or Res5ROIHeads"),
        ({"ROI_HEADS": {"NUM_CLASSES": 80}}, "it says 80 classes, the weights have 3"),
        ({"ANCHOR_GENERATOR": {"SIZES": [[8], [16]]}}, "has 2 levels, the weights have 5"),
        ({"ANCHOR_GENERATOR": {"SIZES": [[0]]}}, "edges above 0"),
        ({"PIXEL_STD": [0, 1, 1]}, "three numbers are needed"),
        ({"RPN": {"PRE_NMS_TOPK_TEST": "many"}}, "'many', a number is needed"),
        ({"RPN": {"POST_NMS_TOPK_TEST": 0}}, "a whole number from 1 on"),
        ({"RPN": {"IN_FEATURES": ["p2", "p3"]}}, r"IN_FEATURES is \['p2', 'p3'\]; of such a body"),
        (
            {"ROI_HEADS": {"IN_FEATURES": ("p2", "p5")}},
            "only .'p2', 'p3', 'p4', 'p5'. is supported",
        ),
        ({"RESNETS": {"RES5_DILATION": 2}}, "RES5_DILATION is 2; of such a body only 1"),
        ({"ROI_BOX_HEAD": {"POOLER_TYPE": "ROIPool"}}, "only ROIAlignV2 or ROIAlign is supported"),
        ({"ROI_MASK_HEAD": {"POOLER_TYPE": "ROIPool"}}, "only ROIAlignV2 or ROIAlign is supported"),
        ({"PROPOSAL_GENERATOR": {"MIN_SIZE": 16}}, r"MIN_SIZE is 16; only 0\.0 is supported"),
    ],
)
def test_settings_that_make_another_network_are_refused(
    settings: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        form_of(made.detectron2(), **settings)


@pytest.mark.reference
@pytest.mark.parametrize(
    ("case", "checkpoint", "expected"),
    [
        ("detectron2_mask_rcnn_R_50_FPN_3x", "model_final_f10217.pkl", 135),
        ("detectron2_mask_rcnn_R_101_FPN_3x", "model_final_a3ec72.pkl", 82),
        ("detectron_c2_e2e_mask_rcnn_R-50-FPN_2x", "model_final.pkl", 112),
    ],
)
def test_the_original_s_answers_are_met(
    shared_reference: Path, tmp_path: Path, case: str, checkpoint: str, expected: int
) -> None:
    system, module = ("detectron", detectron) if "c2" in case else ("detectron2", detectron2)
    packed = shared_reference / case / f"{checkpoint}.xz"
    request = Request(unpacked(packed, tmp_path), exact=True, score=0.5, names="coco")
    answers = shared_reference / case / "reference.npz"
    found = exported_distance(
        shared_reference, module.convert(request), system, request, answers, first=0
    )
    assert found.expected == found.found == found.matched == expected
    assert found.box <= 0.04
    assert found.score <= 6e-4
    assert found.soft_worst <= 4e-3
    assert found.masks >= 0.97
