"""Converting MMDetection's checkpoints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.errors import ModelError, UsageError
from stream_export.converters._command import run
from stream_export.converters.detectron2 import Detectron2
from stream_export.converters.mmdetection import MMDetection
from stream_export.converters.mmdetection.settings import by_name, parsed
from tests.export import made_checkpoints as made
from tests.export.lazily import lazily
from tests.export.torch_like import answers_of, check_same, picture, write_names

torch = lazily("torch")
Request = lazily("stream_export.converters._request", "Request")
mmdetection = lazily("stream_export.converters.mmdetection.model")
RcnnForm = lazily("stream_export.converters.detectron2.form", "RcnnForm")

pytestmark = pytest.mark.timeout(1800)

THIRD = """
model = dict(
    type='MaskRCNN',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False, pad_size_divisor=32),
    backbone=dict(type='ResNet', depth=50, style='caffe', norm_cfg=dict(type='BN')),
    rpn_head=dict(
        type='RPNHead',
        anchor_generator=dict(
            type='AnchorGenerator', scales=[4], ratios=[0.5, 1.0, 2.0],
            strides=[4, 8, 16, 32, 64]),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder', target_means=[.0, .0, .0, .0],
            target_stds=[1.0, 1.0, 1.0, 1.0])),
    roi_head=dict(
        type='StandardRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0)),
        bbox_head=dict(
            type='Shared2FCBBoxHead',
            bbox_coder=dict(
                type='DeltaXYWHBBoxCoder', target_means=[0., 0., 0., 0.],
                target_stds=[0.1, 0.1, 0.25, 0.2]),
            loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False)),
        mask_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=2, aligned=False))),
    test_cfg=dict(
        rpn=dict(nms_pre=60, max_per_img=40, nms=dict(type='nms', iou_threshold=0.6),
                 min_bbox_size=0),
        rcnn=dict(score_thr=0.1, nms=dict(type='nms', iou_threshold=0.4), max_per_img=30,
                  mask_thr_binary=0.5)))
backend_args = None
test_pipeline = [
    dict(type='LoadImageFromFile', backend_args=backend_args),
    dict(type='Resize', scale=(160, 96), keep_ratio=True)]
"""
SECOND = """
img_norm_cfg = dict(mean=[1.5, 2, 3], std=[4, 5, 6], to_rgb=True)
model = dict(type='MaskRCNN', backbone=dict(type='ResNet', style='pytorch'))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiScaleFlipAug', img_scale=(1600, 900), flip=False, transforms=[
        dict(type='Resize', keep_ratio=True), dict(type='Normalize', **img_norm_cfg)])]
data = dict(test=dict(type='CocoDataset', pipeline=test_pipeline, workers=int('4')))
"""


def theirs(arrays: made.Arrays) -> made.Arrays:
    """Weights of a detectron2 FPN model under MMDetection's names."""
    rules = [
        (r"^backbone\.bottom_up\.stem\.conv1\.norm", "backbone.bn1"),
        (r"^backbone\.bottom_up\.stem\.conv1", "backbone.conv1"),
        (
            r"^backbone\.bottom_up\.res(\d)\.(\d)\.shortcut\.norm",
            "backbone.layer{}.{}.downsample.1",
        ),
        (r"^backbone\.bottom_up\.res(\d)\.(\d)\.shortcut", "backbone.layer{}.{}.downsample.0"),
        (r"^backbone\.bottom_up\.res(\d)\.(\d)\.conv(\d)\.norm", "backbone.layer{}.{}.bn{}"),
        (r"^backbone\.bottom_up\.res(\d)\.(\d)\.conv(\d)", "backbone.layer{}.{}.conv{}"),
        (r"^backbone\.fpn_lateral(\d)", "neck.lateral_convs.{}.conv"),
        (r"^backbone\.fpn_output(\d)", "neck.fpn_convs.{}.conv"),
        (r"^proposal_generator\.rpn_head\.conv", "rpn_head.rpn_conv"),
        (r"^proposal_generator\.rpn_head\.objectness_logits", "rpn_head.rpn_cls"),
        (r"^proposal_generator\.rpn_head\.anchor_deltas", "rpn_head.rpn_reg"),
        (r"^roi_heads\.box_head\.fc(\d)", "roi_head.bbox_head.shared_fcs.{}"),
        (r"^roi_heads\.box_predictor\.cls_score", "roi_head.bbox_head.fc_cls"),
        (r"^roi_heads\.box_predictor\.bbox_pred", "roi_head.bbox_head.fc_reg"),
        (r"^roi_heads\.mask_head\.mask_fcn(\d)", "roi_head.mask_head.convs.{}.conv"),
        (r"^roi_heads\.mask_head\.deconv", "roi_head.mask_head.upsample"),
        (r"^roi_heads\.mask_head\.predictor", "roi_head.mask_head.conv_logits"),
    ]
    less = {"layer": 1, "lateral": 2, "fpn_convs": 2, "shared": 1, "mask_head.convs": 1}
    found: made.Arrays = {}
    for name, value in arrays.items():
        pattern, new = next(rule for rule in rules if re.match(rule[0], name))
        match = re.match(pattern, name)
        assert match is not None
        off = next((count for part, count in less.items() if part in new), 0)
        numbers = [
            int(one) - (off if place == 0 else 0) for place, one in enumerate(match.groups())
        ]
        found[new.format(*numbers) + name[match.end() :]] = value
    return found


def calm() -> made.Arrays:
    """Weights whose boxes do not explode, which had no area to compare, and scores saturate not."""
    arrays = made.detectron2()
    for name in ("roi_heads.box_predictor.bbox_pred", "proposal_generator.rpn_head.anchor_deltas"):
        for part in ("weight", "bias"):
            arrays[f"{name}.{part}"] *= 0.02
    arrays["roi_heads.box_predictor.cls_score.weight"] *= 0.05
    return arrays


def checkpoint(path: Path, arrays: made.Arrays | None = None, **meta: object) -> Path:
    """As MMDetection saves one, with counters and an averaged copy beside it."""
    arrays = theirs(made.detectron2()) if arrays is None else arrays
    state = {name: torch.from_numpy(value) for name, value in arrays.items()}
    state["backbone.bn1.num_batches_tracked"] = torch.tensor(3)
    averaged = {f"module.{name}": value + 1 for name, value in state.items()}
    held = {"meta": meta, "state_dict": state, "ema_state_dict": averaged, "optimizer": {}}
    torch.save(held, path)
    return path


def test_the_weights_are_those_of_the_same_network(tmp_path: Path) -> None:
    arrays = made.detectron2()
    content = mmdetection.read_content(checkpoint(tmp_path / "epoch_12.pth"))
    weights = mmdetection.read_weights(tmp_path / "epoch_12.pth", content)
    assert set(weights) - {"backbone.bottom_up.stem.conv1.norm.num_batches_tracked"} == set(arrays)
    for name, value in arrays.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)
    averaged = mmdetection.read_weights(tmp_path / "epoch_12.pth", content, "ema_state_dict")
    np.testing.assert_array_equal(
        averaged["backbone.fpn_lateral2.bias"], arrays["backbone.fpn_lateral2.bias"] + 1
    )


def test_what_a_checkpoint_says_of_itself_is_used(tmp_path: Path) -> None:
    names = ["cup", "bowl", "jug"]
    path = checkpoint(tmp_path / "a.pth", dataset_meta={"classes": names}, cfg=THIRD)
    converted = mmdetection.convert(Request(path, exact=True))
    form = converted.module
    assert isinstance(form, RcnnForm)
    config, metadata = form.config, converted.metadata
    assert metadata.names == ("cup", "bowl", "jug")
    resize = metadata.resize
    assert (resize.shortest, resize.longest, resize.interpolation) == (96, 160, "bilinear")
    assert (config.order, config.mean, config.deviation) == (
        "bgr", (103.53, 116.28, 123.675), (1.0, 1.0, 1.0),
    )  # fmt: skip
    assert config.stride_in_1x1 is True
    assert config.anchor_sizes == ((16,), (32,), (64,), (128,), (256,))
    assert config.box_weights == (10.0, 10.0, 4.0, 5.0)
    assert (config.sampling_ratio, config.aligned) == (0, True)
    assert (config.mask_sampling_ratio, config.mask_aligned) == (2, False)
    assert (config.proposals_before, config.proposals_after) == (60, 40)
    assert (config.proposal_iou, config.iou, config.score) == (0.6, 0.4, 0.1)
    assert (config.detections, config.level_epsilon) == (30, 2.5e-7)
    assert any("settings of the configuration in" in line for line in converted.read)
    assert not any("anchors" in line or "colours" in line for line in converted.assumed)


def test_what_the_second_edition_says_is_used_too(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a.pth", CLASSES=("a", "b", "c"), config=SECOND)
    converted = mmdetection.convert(Request(path))
    config = converted.module.config
    assert converted.metadata.names == ("a", "b", "c")
    assert (config.order, config.mean, config.deviation) == ("rgb", (1.5, 2, 3), (4, 5, 6))
    assert config.stride_in_1x1 is False
    assert (converted.metadata.resize.shortest, converted.metadata.resize.longest) == (900, 1600)


def test_without_a_configuration_the_usual_one_is_taken_and_said(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a.pth")
    with pytest.raises(UsageError, match="3 classes and does not name them; give --names"):
        mmdetection.convert(Request(path))
    names = write_names(tmp_path, made.CLASSES)
    converted = mmdetection.convert(Request(path, names=names))
    assert (converted.module.config.order, converted.module.config.stride_in_1x1) == ("rgb", False)
    said = "\n".join(converted.assumed)
    assert "anchors of 32 64 128 256 512 pixels" in said and "give training's with --config" in said
    # Names of a data set that it was not trained on, as of a configuration that was taken over.
    other = checkpoint(tmp_path / "b.pth", CLASSES=("a", "b"))
    with pytest.raises(UsageError, match=r"3 classes, but 2 are named \(a, b: the file names them"):
        mmdetection.convert(Request(other))
    config = tmp_path / "config.py"
    config.write_text(THIRD)
    told = mmdetection.convert(Request(path, names=names, config=str(config)))
    assert told.module.config.order == "bgr"


def test_types_may_be_written_with_the_modules_that_hold_them() -> None:
    whole = re.sub(r"type='(\w+)'", r"type='mmdet.models.\1'", THIRD)
    assert by_name(parsed(whole, "a.py"), "a.py") == by_name(parsed(THIRD, "a.py"), "a.py")


@pytest.mark.parametrize(
    ("step", "size"),
    [
        ("dict(type='Resize', scale=(640, 320), keep_ratio=True)", (320, 640)),
        ("dict(type='FixScaleResize', scale=(640, 320), keep_ratio=True)", (320, 640)),
        ("dict(type='ResizeShortestEdge', scale=320, max_size=640)", (320, 640)),
    ],
)
def test_pictures_are_resized_as_what_is_tested_with_says(step: str, size: tuple[int, int]) -> None:
    text = f"{THIRD}\ntest_dataloader = dict(dataset=dict(pipeline=[{step}]))\n"
    found = by_name(parsed(text, "a.py"), "a.py")["INPUT"]
    assert (found["MIN_SIZE_TEST"], found["MAX_SIZE_TEST"]) == size


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ("dict(type='Normalize'), dict(type='Pad', size_divisor=64, pad_val=dict(img=0))", 64),
        ("dict(type='Normalize'), dict(type='Collect')", 1),
        ("dict(type='Collect')", None),
        ("dict(type='Normalize'), dict(type='Pad', size=(9, 9))", r"Pad\.size is \[9, 9\]"),
        ("dict(type='Normalize'), dict(type='Pad', pad_val=dict(img=114))", "pad_val is 114"),
        ("dict(type='Pad', size_divisor=32), dict(type='Normalize')", "before they are normalised"),
    ],
)
def test_the_second_edition_pads_in_a_step(steps: str, wanted: int | str | None) -> None:
    text = f"model = dict(type='MaskRCNN')\ntest_pipeline = [dict(type='A', transforms=[{steps}])]"
    if isinstance(wanted, str):
        with pytest.raises(UsageError, match=wanted):
            by_name(parsed(text, "a.py"), "a.py")
    else:
        found = by_name(parsed(text, "a.py"), "a.py")["INPUT"]
        assert found.get("SIZE_DIVISIBILITY") == wanted


def test_what_an_average_is_of_is_left_out(tmp_path: Path) -> None:
    arrays = theirs(made.detectron2())
    kept = {f"ema_{name.replace('.', '_')}": value + 1 for name, value in arrays.items()}
    path = checkpoint(tmp_path / "a.pth", arrays | kept, CLASSES=("a", "b", "c"))
    assert mmdetection.convert(Request(path)).metadata.names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("'MaskRCNN'", "'CascadeRCNN'", "model.type is 'CascadeRCNN'; only MaskRCNN"),
        ("scales=[4]", "scales=[4, 8]", "one scale is supported"),
        ("strides=[4, 8, 16, 32, 64]", "strides=[8, 16, 32, 64, 128]", "only 4 to 64"),
        ("'AnchorGenerator'", "'LegacyAnchorGenerator'", "LegacyAnchorGenerator"),
        ("'RoIAlign'", "'RoIPool'", r"roi_layer\.type is 'RoIPool'"),
        ("target_means=[.0", "target_means=[.5", "target_means"),
        ("type='nms', iou_threshold=0.4", "type='soft_nms', iou_threshold=0.4", "'soft_nms'"),
        ("'CrossEntropyLoss'", "'SeesawLoss'", "'SeesawLoss'"),
        ("mask_thr_binary=0.5", "mask_thr_binary=0.3", "mask_thr_binary is 0.3"),
        ("keep_ratio=True", "keep_ratio=False", "stretched to 160x96"),
        ("type='ResNet'", "type='mmdet.models.ResNetV1d'", r"backbone\.type is 'mmdet.*ResNetV1d'"),
        ("depth=50", "conv_cfg=dict(type='ConvWS')", r"backbone\.conv_cfg is .*ConvWS"),
        ("depth=50", "dilations=(1, 1, 1, 2)", r"dilations is \[1, 1, 1, 2\]"),
        ("depth=50", "avg_down=True", "avg_down is True"),
        ("norm_cfg=dict(type='BN')", "norm_cfg=dict(type='BN', eps=1e-3)", r"eps is 0\.001"),
        ("roi_head=dict", "neck=dict(type='PAFPN'), roi_head=dict", "'PAFPN'; only FPN"),
        ("roi_head=dict", "neck=dict(act_cfg=dict(type='ReLU')), roi_head=dict", "act_cfg"),
        ("roi_head=dict", "neck=dict(num_outs=4), roi_head=dict", "num_outs is 4"),
        (
            "roi_head=dict",
            "neck=dict(upsample_cfg=dict(mode='bilinear')), roi_head=dict",
            "'bilinear'; only nearest",
        ),
        ("'RPNHead'", "'CascadeRPNHead'", "only RPNHead"),
        ("'Shared2FCBBoxHead'", "'a', cls_predictor_cfg=dict(type='NormedLinear')", "NormedLinear"),
        (
            "mask_roi_extractor=",
            "mask_head=dict(upsample_cfg=dict(type='carafe')), mask_roi_extractor=",
            "'carafe'; only deconv",
        ),
        ("iou_threshold=0.4", "iou_threshold=0.4, class_agnostic=True", "class_agnostic is True"),
        ("bgr_to_rgb=False,", "bgr_to_rgb=False, pad_value=9,", "pad_value is 9"),
        ("keep_ratio=True)", "keep_ratio=True), dict(type='Pad', size=(9, 9))", "before they are"),
        ("model = dict(", "with read_base():\n    from a import *\nmodel = dict(", "read_base"),
        ("anchor_generator=dict", "anchor_scales=[8], anchor_generator=dict", "MMDetection 1"),
        ("backend_args = None", "_base_ = './a.py'", "builds on others"),
        ("model = dict(", "model = load(", "describes no model"),
        ("model = dict(", "model = = dict(", "no configuration of MMDetection"),
    ],
)
def test_settings_that_make_another_network_are_refused(old: str, new: str, said: str) -> None:
    assert old in THIRD
    with pytest.raises(UsageError, match=said):
        by_name(parsed(THIRD.replace(old, new), "config.py"), "config.py")


@pytest.mark.parametrize(
    ("missing", "added", "said"),
    [
        ("roi_head.mask_head", "mask_head.conv_logits", "of MMDetection 1"),
        ("roi_head.mask_head", "roi_head.bbox_head.0.fc_cls", "a cascade"),
        ("roi_head.mask_head", "", "no head that makes masks"),
        ("backbone.layer", "backbone.stages.0", "no ResNet"),
        (".conv3.", "", r"without bottlenecks \(18 or 34\)"),
        ("neck.lateral_convs.3", "", "no pyramid over all four stages"),
        ("", "backbone.layer2.0.conv2.conv_offset", "deformable convolutions"),
        ("", "neck.lateral_convs.0.gn", r"group norms \(GN\), .*; what can be converted is"),
        ("backbone.conv1", "backbone.stem.0", r"ResNetV1c or V1d"),
        ("backbone.layer", "backbone.stages.0.blocks.0.attn.w_msa.qkv", "transformer .*Swin"),
        ("", "roi_head.point_head.fcs.0.conv", "a PointRend"),
        ("", "roi_head.mask_iou_head.fcs.0", "mask_iou_head"),
    ],
)
def test_other_networks_of_its_are_refused_in_a_sentence(
    tmp_path: Path, missing: str, added: str, said: str
) -> None:
    arrays = theirs(made.detectron2())
    if missing:
        arrays = {name: value for name, value in arrays.items() if missing not in name}
    if added:
        arrays[f"{added}.weight"] = np.ones(3, np.float32)
    path = checkpoint(tmp_path / "a.pth", arrays, CLASSES=("a", "b", "c"))
    with pytest.raises(ModelError, match=said):
        mmdetection.convert(Request(path))


def test_its_files_are_told_from_others(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "epoch_12.pth")
    with pytest.raises(ModelError, match="convert it with: stream export mmdetection"):
        run(Detectron2, Request(path), tmp_path / "a.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("divisor", [1, 32, 64])
def test_the_file_answers_as_the_network(tmp_path: Path, divisor: int) -> None:
    told = THIRD.replace("divisor=32", f"divisor={divisor}")
    path = checkpoint(tmp_path / "a.pth", theirs(calm()), CLASSES=("a", "b", "c"), cfg=told)
    request = Request(path, exact=True)
    converted = mmdetection.convert(request)
    found, expected = answers_of(
        converted.to_onnx(MMDetection.name, request), converted, picture(96, 131)
    )
    assert len(expected[1])
    check_same(found, expected)


class Plain:
    """The steps of MMDetection's code with torchvision's operators, by its own names of weights."""

    def __init__(self, weights: made.Arrays) -> None:
        self.weights = {name: torch.from_numpy(value) for name, value in weights.items()}

    def conv(self, maps: Any, name: str, norm: str = "", **more: int) -> Any:
        weight, bias = self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")
        maps = torch.nn.functional.conv2d(maps, weight, bias, **more)
        if not norm:
            return maps
        mean, variance = (self.weights[f"{norm}.running_{part}"] for part in ("mean", "var"))
        scale, shift = self.weights[f"{norm}.weight"], self.weights[f"{norm}.bias"]
        return torch.nn.functional.batch_norm(maps, mean, variance, scale, shift)

    def linear(self, values: Any, name: str) -> Any:
        found = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return torch.nn.functional.linear(values, *found)

    def body(self, maps: Any) -> list[Any]:
        maps = self.conv(maps, "backbone.conv1", "backbone.bn1", stride=2, padding=3).relu()
        maps = torch.nn.functional.max_pool2d(maps, 3, 2, 1)
        stages = []
        for stage in range(1, 5):
            block = 0
            while f"backbone.layer{stage}.{block}.conv1.weight" in self.weights:
                name = f"backbone.layer{stage}.{block}"
                stride = 2 if stage > 1 and block == 0 else 1
                # Of Caffe's style: the first convolution has the stride.
                new = self.conv(maps, f"{name}.conv1", f"{name}.bn1", stride=stride).relu()
                new = self.conv(new, f"{name}.conv2", f"{name}.bn2", padding=1).relu()
                new = self.conv(new, f"{name}.conv3", f"{name}.bn3")
                if f"{name}.downsample.0.weight" in self.weights:
                    parts = (f"{name}.downsample.0", f"{name}.downsample.1")
                    maps = self.conv(maps, *parts, stride=stride)
                maps, block = (new + maps).relu(), block + 1
            stages.append(maps)
        return stages

    def levels(self, stages: list[Any]) -> list[Any]:
        sides = [self.conv(one, f"neck.lateral_convs.{n}.conv") for n, one in enumerate(stages)]
        for place in (3, 2, 1):
            size = sides[place - 1].shape[-2:]
            sides[place - 1] += torch.nn.functional.interpolate(sides[place], size=size)
        found = [
            self.conv(one, f"neck.fpn_convs.{n}.conv", padding=1) for n, one in enumerate(sides)
        ]
        return [*found, torch.nn.functional.max_pool2d(found[-1], 1, stride=2)]

    def proposals(self, levels: list[Any], shape: tuple[int, int]) -> Any:
        from torchvision.ops import batched_nms

        found = []
        for place, level in enumerate(levels):
            hidden = self.conv(level, "rpn_head.rpn_conv", padding=1).relu()
            scores = self.conv(hidden, "rpn_head.rpn_cls")[0].permute(1, 2, 0).flatten()
            deltas = self.conv(hidden, "rpn_head.rpn_reg")[0].permute(1, 2, 0).reshape(-1, 4)
            stride = 4 * 2**place
            ratios = torch.tensor([0.5, 1.0, 2.0]).sqrt()
            wide, high = stride * 4 / ratios / 2, stride * 4 * ratios / 2
            cells = torch.stack([-wide, -high, wide, high], 1)
            sides = (torch.arange(side) * stride for side in level.shape[-2:])
            y, x = torch.meshgrid(*sides, indexing="ij")
            shifts = torch.stack([x, y, x, y], -1).reshape(-1, 1, 4)
            anchors = (shifts + cells).reshape(-1, 4)
            best = scores.sort(descending=True).indices[:60]
            boxes = decoded(anchors[best], deltas[best], (1.0, 1.0, 1.0, 1.0), shape)
            found.append((boxes, scores[best], torch.full((len(best),), place)))
        boxes, scores, places = (torch.cat(parts) for parts in zip(*found, strict=True))
        kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        boxes, scores, places = boxes[kept], scores[kept], places[kept]
        return boxes[batched_nms(boxes, scores, places, 0.6)[:40]]

    def pooled(self, levels: list[Any], boxes: Any, size: int, ratio: int, aligned: bool) -> Any:
        from torchvision.ops import roi_align

        scale = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
        places = torch.floor(torch.log2(scale / 56 + 1e-6)).clamp(0, 3).long()
        found = torch.zeros(len(boxes), levels[0].shape[1], size, size)
        for place in range(4):
            own = places == place
            given = levels[place], [boxes[own]], size, 1 / (4 * 2**place), ratio, aligned
            found[own] = roi_align(*given)
        return found

    def __call__(self, image: Any, height: int, width: int) -> tuple[Any, Any, Any, Any]:
        """float32 [1, 3, H, W], normalised and padded, to boxes, scores, labels and masks."""
        from torchvision.ops import batched_nms

        levels = self.levels(self.body(image))
        regions = self.proposals(levels, (height, width))
        values = self.pooled(levels, regions, 7, 0, aligned=True).flatten(1)
        for place in range(2):
            values = self.linear(values, f"roi_head.bbox_head.shared_fcs.{place}").relu()
        scores = self.linear(values, "roi_head.bbox_head.fc_cls").softmax(-1)[:, :-1]
        deltas = self.linear(values, "roi_head.bbox_head.fc_reg").reshape(-1, 4)
        classes = scores.shape[1]
        every = regions.repeat_interleave(classes, 0)
        boxes = decoded(every, deltas, (0.1, 0.1, 0.25, 0.2), (height, width))
        labels = torch.arange(classes).repeat(len(regions))
        flat = scores.flatten()
        sure = flat > 0.1
        boxes, flat, labels = boxes[sure], flat[sure], labels[sure]
        kept = batched_nms(boxes, flat, labels, 0.4)[:30]
        boxes, flat, labels = boxes[kept], flat[kept], labels[kept]
        maps = self.pooled(levels, boxes, 14, 2, aligned=False)
        for place in range(2):
            maps = self.conv(maps, f"roi_head.mask_head.convs.{place}.conv", padding=1).relu()
        upsample = [
            self.weights[f"roi_head.mask_head.upsample.{one}"] for one in ("weight", "bias")
        ]
        maps = torch.nn.functional.conv_transpose2d(maps, *upsample, stride=2).relu()
        masks = self.conv(maps, "roi_head.mask_head.conv_logits").sigmoid()
        return boxes, flat, labels, masks[torch.arange(len(labels)), labels]


def decoded(boxes: Any, deltas: Any, deviations: tuple[float, ...], shape: tuple[int, int]) -> Any:
    """As its coder of boxes does (DeltaXYWHBBoxCoder), clipped to a height and width."""
    moved = deltas * torch.tensor(deviations)
    size, centre = boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2
    most = abs(np.log(16 / 1000))
    centre, size = centre + size * moved[:, :2], size * moved[:, 2:].clamp(-most, most).exp()
    found = torch.cat([centre - size / 2, centre + size / 2], 1)
    height, width = shape
    return found.clamp(min=0).minimum(torch.tensor([width, height, width, height]))


@pytest.mark.parametrize(("divisor", "edges"), [(32, (96, 160)), (1, (96, 131)), (64, (128, 192))])
def test_it_answers_as_the_same_steps_written_down_once_more(
    tmp_path: Path, divisor: int, edges: tuple[int, int]
) -> None:
    weights = theirs(calm())
    told = THIRD.replace("divisor=32", f"divisor={divisor}")
    path = checkpoint(tmp_path / "a.pth", weights, CLASSES=("a", "b", "c"), cfg=told)
    image = picture(96, 131)
    bgr = torch.from_numpy(image[..., ::-1].copy()).float().permute(0, 3, 1, 2)
    given = bgr - torch.tensor([103.53, 116.28, 123.675]).reshape(1, 3, 1, 1)
    given = torch.nn.functional.pad(given, (0, edges[1] - 131, 0, edges[0] - 96))
    with torch.no_grad():
        expected = [one.numpy() for one in Plain(weights)(given, 96, 131)]
        form = mmdetection.convert(Request(path)).module.eval()
        found = [one.numpy() for one in form(torch.from_numpy(image))]
    assert len(expected[1]) > 3
    check_same(found, expected)
