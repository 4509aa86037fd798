"""Converting YOLACT's checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream.errors import ModelError, UsageError
from stream.roi import paste_mask
from tests.export import made_checkpoints as made
from tests.export.lazily import lazily
from tests.export.reference_answers import exported_distance, unpacked
from tests.export.torch_like import (
    answers_of,
    check_same,
    check_several,
    picture,
    write_names,
)

torch = lazily("torch")
Deformable = lazily("stream_export.blocks.deformable", "Deformable")
FastDetections = lazily("stream_export.blocks.prototypes", "FastDetections")
PrototypeMasks = lazily("stream_export.blocks.prototypes", "PrototypeMasks")
overlaps = lazily("stream_export.blocks.prototypes", "overlaps")
Request = lazily("stream_export.converters._request", "Request")
yolact = lazily("stream_export.converters.yolact.model")
YolactForm = lazily("stream_export.converters.yolact.form", "YolactForm")

# An export takes seconds of work, and minutes where many programs share the processor.
pytestmark = pytest.mark.timeout(1800)


def config_of(path: Path, **options: object):
    request = Request(path, **options)
    return yolact.configure(yolact.read_weights(path), request)


@pytest.mark.slow
def test_a_model_exports_as_it_is_and_resizes_by_itself(tmp_path: Path) -> None:
    request = Request(
        made.write_torch(tmp_path / "yolact_made.pth", made.yolact()),
        names=write_names(tmp_path, made.CLASSES),
        size="160x160",
        exact=True,
        score=0.3,
    )
    converted = yolact.convert(request)
    assert converted.metadata.resize.mode == "native"
    model = converted.to_onnx("yolact", request)
    found, expected = answers_of(model, converted, picture(120, 200))
    check_same(found, expected)
    np.testing.assert_allclose(found[4], expected[4], atol=1e-2)
    assert found[0][:, 0::2].max() <= 200
    check_several(model.SerializeToString(), picture(120, 200))


def test_darknet_is_filled_and_answers(tmp_path: Path) -> None:
    path = made.write_torch(tmp_path / "yolact_darknet53_54_800000.pth", made.yolact(darknet=True))
    converted = yolact.convert(
        Request(path, names=write_names(tmp_path, made.CLASSES), size="160x160")
    )
    form = converted.module
    assert isinstance(form, YolactForm)
    assert form.config.counts == (1, 1, 1, 1, 1)
    assert converted.metadata.resize.mode == "stretch"
    with torch.no_grad():
        boxes, scores, *_ = form.eval()(torch.from_numpy(picture(160, 160)))
    assert len(boxes) == len(scores) > 0


def test_sizes_follow_the_name_or_the_request(tmp_path: Path) -> None:
    path = made.write_torch(tmp_path / "yolact_im700_54_800000.pth", made.yolact())
    config = config_of(path)
    assert (config.edge, config.scales) == (700, (30, 61, 122, 244, 488))
    assert config_of(path, size="400").scales == (17, 34, 69, 139, 279)
    assert config_of(path, size="550x550").scales == (24, 48, 96, 192, 384)
    with pytest.raises(UsageError, match="input is square"):
        config_of(path, size="640x384")
    pascal = config_of(path, config="yolact_resnet50_pascal_config")
    assert (pascal.square, pascal.edge) == (False, 550)
    for wrong in ("yolact_cells", "yolact_base_config.py", "base"):
        with pytest.raises(UsageError, match="none of YOLACT's published configurations"):
            config_of(path, config=wrong)


def test_names_are_told_by_a_published_name_of_file_or_configuration(tmp_path: Path) -> None:
    arrays = made.yolact(classes=80)
    for name in ("Yolact_Base_54_800000.pth", "yolact_im400_54_800000 (1).pth"):
        found = yolact.convert(Request(made.write_torch(tmp_path / name, arrays)))
        assert found.metadata.names[0] == "person" and found.metadata.licence == "MIT"
    path = made.write_torch(tmp_path / "weights.pth", arrays)
    found = yolact.convert(Request(path, config="yolact_im700"))
    assert found.metadata.names[0] == "person" and found.metadata.licence == "unknown"
    assert any("input of 700 pixels" in one and "is yolact_im700" in one for one in found.assumed)
    with pytest.raises(UsageError, match=r"80 classes and does not name them; .* --names coco"):
        yolact.convert(Request(path))


def test_what_the_original_deletes_is_left_out(tmp_path: Path) -> None:
    arrays = made.yolact()
    arrays["fpn.downsample_layers.2.weight"] = arrays["fpn.downsample_layers.0.weight"]
    arrays["backbone.layer1.0.conv1.weight"] = np.zeros((1, 1, 1, 1), np.float32)
    weights = yolact.read_weights(made.write_torch(tmp_path / "yolact.pth", arrays))
    assert set(weights) == set(made.yolact())


def plus(*, rescored: bool) -> made.Arrays:
    """As YOLACT++ has it: deformable convolutions, nine anchors per cell, and a mask-IoU net."""
    arrays = made.yolact(anchors=9)
    make = made.Maker(5)
    name = "backbone.layers.1.0.conv2"
    inner = arrays[f"{name}.weight"].shape[1]
    make.conv(f"{name}.conv_offset_mask", 27, inner, 3)
    make.arrays[f"{name}.bias"] = np.full(len(arrays[f"{name}.weight"]), 0.1, np.float32)
    if rescored:
        make.conv("maskiou_net.maskiou_net.0", 8, 1, 3)
    return arrays | make.arrays


def test_deformable_convolutions_and_nine_anchors_are_yolact_plus(tmp_path: Path) -> None:
    path = made.write_torch(tmp_path / "yolact_plus.pth", plus(rescored=False))
    names = write_names(tmp_path, made.CLASSES)
    converted = yolact.convert(Request(path, names=names, size="160x160"))
    form = converted.module
    assert form.config.deformable[1][0] == Deformable(1, modulated=True)
    assert form.config.deformable[0] == (None,) * len(form.config.deformable[0])
    assert (form.config.per_cell, form.config.square) == (9, False)
    with torch.no_grad():
        boxes, scores, *_ = form.eval()(torch.from_numpy(picture(160, 160)))
    assert len(boxes) == len(scores) > 0
    # Scales in the outer loop, shapes in the inner.
    priors = form.priors([(1, 1)] * 5)[:9, 2] * 160
    roots = torch.tensor([1.0, 0.5**0.5, 2**0.5])
    wide = torch.cat([24 * 160 // 550 * 2 ** (step / 3) * roots for step in range(3)])
    torch.testing.assert_close(priors, wide)


def test_what_rescores_masks_is_left_out_only_when_it_is_asked_for(tmp_path: Path) -> None:
    path = made.write_torch(tmp_path / "yolact_plus.pth", plus(rescored=True))
    request = Request(path, names=write_names(tmp_path, made.CLASSES), size="160x160")
    with pytest.raises(ModelError, match=r"no part of a network.*maskiou_net"):
        yolact.convert(request)
    assert yolact.convert(replace(request, ignore=("maskiou_net.*",)))


def test_offsets_of_another_kind_are_refused(tmp_path: Path) -> None:
    arrays = plus(rescored=False)
    arrays["backbone.layers.1.0.conv2.conv_offset_mask.weight"] = np.zeros((18, 4, 3, 3))
    path = made.write_torch(tmp_path / "yolact_plus.pth", arrays)
    with pytest.raises(ModelError, match="has 18 outputs, 27 are needed"):
        config_of(path)


def test_a_suppressed_pair_suppresses_too() -> None:
    # Each overlaps the next by more than half, but not the one after that.
    boxes = torch.tensor([[0.0, 0, 10, 10], [2, 0, 12, 10], [4, 0, 14, 10], [40, 0, 50, 10]])
    scores = torch.tensor([[0.9, 0.0], [0.8, 0.0], [0.7, 0.6], [0.5, 0.0]])
    assert overlaps(boxes)[0, 1] > 0.5 > overlaps(boxes)[0, 2]
    prior, found, labels = FastDetections(score=0.1)(scores, boxes)
    assert prior.tolist() == [0, 2, 3]
    assert labels.tolist() == [0, 1, 0]
    torch.testing.assert_close(found, torch.tensor([0.9, 0.6, 0.5]))
    assert len(FastDetections(score=0.1, per_class=1)(scores, boxes)[0]) == 2


@pytest.mark.parametrize(
    "box",
    [[0.3, 0.2, 0.45, 0.5], [0.9, 0.9, 1.2, 1.1], [-0.1, 0.0, 0.05, 0.04], [0.0, 0.0, 1.0, 1.0]],
)
def test_painting_a_mask_is_enlarging_its_prototypes(box: list[float]) -> None:
    edge, width, height = 138, 320, 240
    random = np.random.default_rng(1)
    prototypes = torch.from_numpy(random.normal(0, 3, (1, 2, edge // 6, edge // 6))).float()
    prototypes = torch.nn.functional.interpolate(prototypes, (edge, edge), mode="bilinear")
    coefficients, boxes = torch.tensor([[1.0, -0.5]]), torch.tensor([box])
    masks, frames = PrototypeMasks(224)(prototypes, coefficients, boxes)
    soft = torch.sigmoid((coefficients[0].reshape(2, 1, 1) * prototypes[0]).sum(0))
    x1, y1, x2, y2 = (
        float(value) for value in (boxes[0] * edge + torch.tensor([-1.0, -1, 1, 1])).clamp(0, edge)
    )
    numbers = torch.arange(edge)
    crop = ((numbers >= y1) & (numbers < y2))[:, None] & ((numbers >= x1) & (numbers < x2))
    large = torch.nn.functional.interpolate(
        (soft * crop)[None, None], (height, width), mode="bilinear", align_corners=False
    )
    expected = (large[0, 0] > 0.5).numpy()
    painted = np.zeros_like(expected)
    frame = frames[0].numpy() * np.array([width, height, width, height], np.float32)
    pasted = paste_mask(masks[0].numpy(), frame, width, height, 0.5)
    assert pasted is not None
    (top, bottom, left, right), inside = pasted
    painted[top:bottom, left:right] = inside
    either = (painted | expected).sum()
    assert either == 0 or (painted & expected).sum() / either >= 0.97


@pytest.mark.reference
@pytest.mark.parametrize(
    ("case", "checkpoint", "expected"),
    [
        ("yolact_resnet50", "yolact_resnet50_54_800000.pth", 147),
        ("yolact_base", "yolact_base_54_800000.pth", 118),
        ("yolact_darknet53", "yolact_darknet53_54_800000.pth", 180),
    ],
)
def test_the_original_s_answers_are_met(
    shared_reference: Path, tmp_path: Path, case: str, checkpoint: str, expected: int
) -> None:
    packed = shared_reference / case / f"{checkpoint}.xz"
    request = Request(unpacked(packed, tmp_path), exact=True, score=0.15)
    answers = shared_reference / case / "reference.npz"
    found = exported_distance(
        shared_reference, yolact.convert(request), "yolact", request, answers, first=0
    )
    assert found.expected == found.found == found.matched == expected
    assert found.box <= 0.04
    assert found.score <= 6e-4
    assert found.masks >= 0.97
