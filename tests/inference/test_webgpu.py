"""WebGPU's plug-in, on a graphics processor made of software: SwiftShader, of Debian's Chromium."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.inference import webgpu
from stream.inference.catalogue import find
from stream.inference.nvidia import NONE
from tests import photos, tiny_models

DRIVER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")


def test_what_the_plugin_says_becomes_words(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "adapter_result.status == Success was false. Failed to get a WebGPU adapter: No adapters"
    for system, advice in (("linux", "mesa-vulkan-drivers"), ("darwin", "graphics driver")):
        monkeypatch.setattr(sys, "platform", system)
        cause, told = webgpu.failure(said)
        assert "graphics driver" in cause and advice in told and "--provider cpu" in told
    assert "float16" in webgpu.failure("Program Transpose requires f16 but the device")[0]
    assert webgpu.failure("no such file") == NONE


@pytest.fixture
def software(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that are started find a graphics processor."""
    pytest.importorskip("onnxruntime_ep_webgpu")
    if not DRIVER.exists():
        pytest.skip("no SwiftShader: apt-get install chromium")
    monkeypatch.setenv("VK_DRIVER_FILES", str(DRIVER))
    monkeypatch.setenv("VK_ICD_FILENAMES", str(DRIVER))  # what older loaders read
    monkeypatch.setenv("ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER", "1")


def _image(folder: Path, *asked: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "stream", "image", "photo.png", "--overwrite", *asked]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def _objects(folder: Path, provider: str, *asked: str) -> list[dict[str, object]]:
    said = _image(folder, "--provider", provider, "--records", "found.ndjson", *asked)
    assert f"provider {'WebGPU' if provider == 'webgpu' else 'CPU'} (float32)" in said
    found: list[dict[str, object]] = []
    for line in (folder / "found.ndjson").read_text().splitlines():
        found += json.loads(line).get("objects", [])
    return found


@pytest.mark.usefixtures("software")
def test_a_photo_is_answered_as_on_the_cpu(tmp_path: Path) -> None:
    model = str(tiny_models.bright(tmp_path / "bright.onnx"))
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[60:160, 80:240] = 255
    cv2.imwrite(str(tmp_path / "photo.png"), picture)
    asked = ("--model", model, "--threshold", "0.1")
    found = _objects(tmp_path, "webgpu", *asked)
    assert found and found == _objects(tmp_path, "cpu", *asked)


@pytest.mark.usefixtures("software")
def test_without_a_driver_it_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(tiny_models.bright(tmp_path / "bright.onnx"))
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((24, 32, 3), np.uint8))
    for name in ("VK_DRIVER_FILES", "VK_ICD_FILENAMES"):
        monkeypatch.setenv(name, os.devnull)
    said = _image(tmp_path, "--provider", "webgpu", "--model", model, code=1)
    assert "WebGPU cannot be used here: there is no graphics driver" in said
    assert not (tmp_path / "photo.stream.png").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("software")
def test_the_bundled_model_answers_as_on_the_cpu(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), photos.astronaut()[..., ::-1])
    model = str(find("default").pick(("float32",)))
    asked = ("--model", model, "--views", "1", "--input-size", "192")
    (here,), (there,) = (_objects(tmp_path, name, *asked) for name in ("cpu", "webgpu"))
    assert here["class"] == there["class"] == "person"
    np.testing.assert_allclose(here["box"], there["box"], atol=0.01)
    np.testing.assert_allclose(here["score"], there["score"], atol=1e-4)
