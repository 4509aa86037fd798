"""The obvious loop is honest on whatever clip there is, and says where it cannot be."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import pytest

from stream.bench import obvious, peers
from stream.errors import SourceError, UsageError
from tests import tiny_models
from tests.media import make_clip

CLIPS: dict[str, dict[str, Any]] = {
    "upright.mp4": {"size": (64, 96)},
    "turned.mp4": {"size": (96, 64), "rotation": 90},
    "odd.mkv": {"size": (97, 63), "codec": "ffv1", "pixel_format": "yuv444p"},
    "deep.mkv": {"pixel_format": "yuv420p10le"},
    "wide-samples.mp4": {"aspect": Fraction(4, 3)},
    "sound.mp4": {"audio": "aac"},
    "clock.mkv": {"rate": Fraction(24000, 1001)},
    "one.mp4": {"frames": 1},
    "avi.avi": {"codec": "mpeg4"},
}


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_is_written_by_both(tmp_path: Path, name: str) -> None:
    changes = {"frames": 6, **CLIPS[name]}
    clip = make_clip(tmp_path / name, **changes)
    models = [tiny_models.bright(tmp_path / "bright.onnx", 1)]
    if name in ("upright.mp4", "one.mp4"):
        models.append(tiny_models.nothing(tmp_path / "nothing.onnx"))
    for model in models:
        told = list(obvious.measure(tmp_path, clip, str(model), "cpu", rounds=1))
        theirs, ours, ratio = told
        assert theirs.value and ours.value, told
        assert ratio.value == pytest.approx(ours.value / theirs.value)
        for written in ("theirs.mp4", "ours.mp4"):
            with av.open(str(tmp_path / written)) as container:
                count = sum(1 for _ in container.decode(video=0))
            assert count == changes["frames"], written


def test_what_opencv_does_not_read_leaves_ours_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda name: capture(f"{name}.missing"))
    clip = make_clip(tmp_path / "clip.mp4", frames=4)
    model = str(tiny_models.nothing(tmp_path / "nothing.onnx"))
    theirs, ours = obvious.measure(tmp_path, clip, model, "cpu", rounds=1)
    assert theirs.value is None and f"OpenCV reads no picture of {clip};" in theirs.detail
    assert ours.value and "4 frames" in ours.detail


def test_a_clip_of_which_it_reads_less_is_compared_by_the_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = {"theirs": obvious.Turn(10, 2.0, 1.0), "ours": obvious.Turn(40, 4.0, 1.0)}
    monkeypatch.setattr(obvious, "obvious_loop", lambda *told: turns["theirs"])
    monkeypatch.setattr(obvious, "_ours", lambda *told: turns["ours"])
    clip = make_clip(tmp_path / "clip.mp4", frames=2)
    model = str(tiny_models.nothing(tmp_path / "nothing.onnx"))
    theirs, ours, ratio = obvious.measure(tmp_path, clip, model, "cpu", named=True)
    assert (theirs.value, ours.value, ratio.value) == (5, 10, 2)
    assert theirs.detail.endswith("; 10 frames") and "40 frames" in ours.detail
    assert all(one.name.endswith(", clip.mp4") for one in (theirs, ours, ratio))


@pytest.mark.parametrize("kind", ["photo", "folder", "words", "pattern", "missing"])
def test_what_is_no_film_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(obvious, "measure", lambda *told: pytest.fail("it measured"))
    film = make_clip(tmp_path / "clip.mp4", frames=2)
    other = Path("pattern") if kind == "pattern" else tmp_path / kind
    if kind == "photo":
        other = other.with_suffix(".png")
        cv2.imwrite(str(other), cv2.UMat(48, 64, cv2.CV_8UC3).get())
    elif kind == "folder":
        other.mkdir()
    elif kind == "words":
        other.write_text("words")
    model = str(tiny_models.nothing(tmp_path / "nothing.onnx"))
    with pytest.raises((SourceError, UsageError), match=other.name):
        list(peers.measure(tmp_path, model, "cpu", clips=[film, other]))
