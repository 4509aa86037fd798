"""Converting CenterMask2's checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stream.errors import ModelError
from stream_export.converters._command import run
from stream_export.converters.centermask import CenterMask
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
Request = lazily("stream_export.converters._request", "Request")
centermask = lazily("stream_export.converters.centermask.model")
CenterMaskForm = lazily("stream_export.converters.centermask.form", "CenterMaskForm")

# An export takes seconds of work, and minutes where many programs share the processor.
pytestmark = pytest.mark.timeout(1800)


def request_of(folder: Path, arrays: made.Arrays | None = None, **options: object) -> Request:
    path = made.write_torch(folder / "lite.pth", arrays or made.centermask(), wrapped=True)
    return Request(path, names=write_names(folder, made.CLASSES), proposals=40, **options)


@pytest.mark.slow
def test_a_model_exports_as_it_is_with_the_mask_s_score(tmp_path: Path) -> None:
    request = request_of(tmp_path, size="128/200", score=0.2, detections=12, mask_score=True)
    converted = centermask.convert(request)
    assert converted.metadata.origin == "CenterMask2-Lite, VoVNet, lite.pth"
    model = converted.to_onnx("centermask", request)
    found, expected = answers_of(model, converted, picture(128, 150))
    check_same(found, expected)
    assert found[3].shape[1:] == (28, 28)
    check_several(model.SerializeToString(), picture(128, 150))


def test_configurations_are_read_from_shapes(tmp_path: Path) -> None:
    form = centermask.convert(request_of(tmp_path)).module
    assert isinstance(form, CenterMaskForm)
    config = form.config
    assert [stage.blocks for stage in config.stages] == [1, 1, 2, 2]
    assert (config.stages[0].layers, config.towers, config.classes) == (3, 2, 3)
    assert (config.mask_convs, config.iou_convs, config.iou_layers) == ((32, 32), (8, 8), (16, 16))
    assert (config.score, config.iou, config.detections) == (0.05, 0.6, 50)
    assert kept_in_float(form) == {"head.class_logits", "head.distances", "head.centres"}


def test_the_mask_s_score_is_a_share_of_the_box_s(tmp_path: Path) -> None:
    image = torch.from_numpy(picture(128, 160))
    scores = {}
    for option in (False, True):
        form = centermask.convert(request_of(tmp_path, mask_score=option)).module.eval()
        with torch.no_grad():
            scores[option] = form(image)[1]
    assert (scores[True] <= scores[False]).all()
    assert (torch.diff(scores[True]) <= 0).all()


def test_boxes_are_clipped_after_their_masks_are_made(tmp_path: Path) -> None:
    form = centermask.convert(request_of(tmp_path)).module.eval()
    with torch.no_grad():
        boxes, *_ = form(torch.from_numpy(picture(100, 140)))
        raw, *_ = form.detections(
            form.head(form.features(form.pixels(torch.from_numpy(picture(100, 140)))))
        )
    assert (raw.amin() < 0) or (raw.amax() > 140)
    assert boxes.amin() >= 0
    assert boxes[:, 2].amax() <= 140
    assert boxes[:, 3].amax() <= 100


def test_what_cannot_be_converted_says_why(tmp_path: Path) -> None:
    arrays = made.centermask()
    arrays["backbone.bottom_up.stage2.x/dw_conv3x3.weight"] = np.zeros(1, np.float32)
    with pytest.raises(ModelError, match="depthwise"):
        centermask.convert(request_of(tmp_path, arrays))
    arrays = {name: v for name, v in made.centermask().items() if "maskiou" not in name}
    centermask.convert(request_of(tmp_path, arrays))
    with pytest.raises(ModelError, match="no mask-IoU head"):
        centermask.convert(request_of(tmp_path, arrays, mask_score=True))


def test_another_system_s_file_names_the_right_command(tmp_path: Path) -> None:
    path = made.write_detectron2(tmp_path / "model_final.pkl")
    with pytest.raises(ModelError, match="convert it with: stream export detectron2"):
        run(CenterMask, Request(path), tmp_path / "a.onnx")


@pytest.mark.reference
@pytest.mark.parametrize(
    ("case", "checkpoint", "expected"),
    [
        ("centermask_lite_V_39_eSE_FPN_ms_4x", "centermask2-lite-V-39-eSE-FPN-ms-4x.pth", 140),
        ("centermask_V_39_eSE_FPN_ms_3x", "centermask2-V-39-eSE-FPN-ms-3x.pth", 148),
    ],
)
def test_the_original_s_answers_are_met(
    shared_reference: Path, tmp_path: Path, case: str, checkpoint: str, expected: int
) -> None:
    packed = shared_reference / case / f"{checkpoint}.xz"
    request = Request(unpacked(packed, tmp_path), exact=True, score=0.4)
    answers = shared_reference / case / "reference.npz"
    found = exported_distance(
        shared_reference, centermask.convert(request), "centermask", request, answers, first=0
    )
    assert found.expected == found.found == found.matched == expected
    assert found.box <= 0.04
    assert found.score <= 6e-4
    assert found.soft_worst <= 4e-3
    assert found.masks >= 0.97
