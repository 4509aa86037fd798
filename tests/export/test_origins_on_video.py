"""One published model of each origin: the command of its page, and a clip through the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from tests.cli.conftest import stream  # noqa: F401 - a fixture
from tests.export.reference_answers import unpacked

FRAMES = 3


@dataclass(frozen=True)
class Origin:
    """A case of the reference folder, its checkpoint, and what its command needs besides."""

    case: str
    checkpoint: str
    options: tuple[str, ...] = ()


ORIGINS = {
    "matterport": Origin("matterport_resnet50", "mask_rcnn_coco.h5"),
    "tensorflow": Origin("tfod_mask_rcnn_inception_v2_coco", "frozen_inference_graph.pb"),
    "detectron2": Origin(
        "detectron2_mask_rcnn_R_50_FPN_3x",
        "model_final_f10217.pkl",
        ("--config", "mask_rcnn_R_50_FPN_3x"),
    ),
    "detectron": Origin(
        "detectron_c2_e2e_mask_rcnn_R-50-FPN_2x", "model_final.pkl", ("--names", "coco")
    ),
    "yolact": Origin("yolact_resnet50", "yolact_resnet50_54_800000.pth"),
    "centermask": Origin(
        "centermask_lite_V_39_eSE_FPN_ms_4x", "centermask2-lite-V-39-eSE-FPN-ms-4x.pth"
    ),
}


@pytest.mark.reference
@pytest.mark.parametrize("system", ORIGINS)
def test_a_published_model_is_exported_and_paints_a_clip(
    system: str,
    shared_reference: Path,
    shared_media: Path,
    tmp_path: Path,
    stream,  # noqa: F811
) -> None:
    origin = ORIGINS[system]
    case = shared_reference / origin.case
    checkpoint = unpacked(case / f"{origin.checkpoint}.xz", tmp_path)
    options = list(origin.options)
    if system == "tensorflow":
        options = ["--config", str(case / "pipeline.config"), "--names", "coco90"]
    made = stream("export", system, checkpoint, *options, "-o", "model.onnx", timeout=3000)
    assert made.code == 0, made.err
    clip = shared_media / "intel_asl_book.mkv"
    painted = stream(
        *("file", clip, "-o", "out.mp4", "--model", "model.onnx", "--provider", "cpu"),
        *("--limit", FRAMES, "--threshold", "0.05", "--no-timing"),
        timeout=3000,
    )
    assert painted.code == 0, painted.err
    before, after = frames_of(clip), frames_of(tmp_path / "out.mp4")
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=1e-3)
    for (_, old), (_, new) in zip(before, after, strict=True):
        assert new.shape == old.shape
        # Masks were painted: far from what encoding alone changes.
        assert (np.abs(new.astype(int) - old).max(axis=2) > 40).mean() > 0.005


def frames_of(path: Path) -> list[tuple[float, np.ndarray]]:
    """Times in seconds and pictures, uint8 [H, W, 3], of the first few frames."""
    with av.open(str(path)) as container:
        found = []
        for frame in container.decode(video=0):
            if len(found) == FRAMES:
                break
            assert frame.time is not None
            found.append((frame.time, frame.to_ndarray(format="rgb24")))
    return found
