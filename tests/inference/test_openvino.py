"""OpenVINO's plug-in: set up for one inference at once or several, its compiled models kept."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from stream.errors import ProviderError
from stream.inference import providers
from stream.inference.catalogue import find
from stream.inference.openvino import cpu_options
from stream.inference.segmenter import Segmenter
from stream.inference.session import open_session

ASTRONAUT = data.astronaut()


def _config(threads: int, workers: int) -> dict[str, str]:
    config: dict[str, str] = json.loads(cpu_options(threads, workers)["load_config"])["CPU"]
    return config


def test_several_workers_have_a_stream_each() -> None:
    config = _config(4, 4)
    assert (config["NUM_STREAMS"], config["INFERENCE_NUM_THREADS"]) == ("4", "4")
    assert config["PERFORMANCE_HINT"] == "THROUGHPUT"
    assert _config(4, 1)["PERFORMANCE_HINT"] == "LATENCY"


def test_what_int8_leaves_in_float_stays_exact() -> None:
    config: dict[str, str] = json.loads(cpu_options(2, 2, "int8")["load_config"])["CPU"]
    assert config["INFERENCE_PRECISION_HINT"] == "f32"
    assert "INFERENCE_PRECISION_HINT" not in _config(2, 2)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG's folders")
def test_without_a_cache_it_compiles_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "CACHE_DIR" in _config(2, 2)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "CACHE_DIR" not in _config(2, 2)


@pytest.fixture
def _on_a_cpu() -> None:
    try:
        route = providers.route("openvino")
    except ProviderError as error:
        pytest.skip(f"OpenVINO cannot run here: {error}")
    if route.shared is None:
        pytest.skip(f"this is {route.label}, no CPU")


@pytest.mark.usefixtures("_on_a_cpu")
def test_files_get_a_worker_for_each_thread() -> None:
    entry = find("default")
    assert open_session(entry, "openvino", 2, throughput=True).workers == 2
    assert open_session(entry, "openvino", 2).workers == 1


@pytest.mark.usefixtures("_on_a_cpu")
def test_inference_at_once_answers_as_one_by_one() -> None:
    segmenter = Segmenter.load("default", "openvino", threads=2, throughput=True)
    pictures = [np.roll(ASTRONAUT, 40 * index, axis=1) for index in range(6)]
    alone = [segmenter(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(segmenter, pictures))
    assert any(len(found) for found in alone)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.usefixtures("_on_a_cpu")
def test_another_model_under_the_same_name_is_compiled_anew(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    scores = []
    for name in ("default.int8", "default"):
        path.write_bytes(
            find(name).pick(("int8",) if "int8" in name else ("float32",)).read_bytes()
        )
        scores.append(Segmenter.load(path, "openvino")(ASTRONAUT).scores[0])
    assert scores[0] != scores[1]
    path.write_bytes(find("default").pick(("int8",)).read_bytes())
    assert Segmenter.load(path, "openvino")(ASTRONAUT).scores[0] == scores[0]


@pytest.mark.usefixtures("_on_a_cpu")
@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG's folders")
def test_a_damaged_compiled_model_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = find("default").pick(("float32",))  # int8 takes twice as long to compile
    first = Segmenter.load(model, "openvino")(ASTRONAUT)
    (kept,) = tmp_path.rglob("*.blob")
    content = kept.read_bytes()
    kept.chmod(0o600)
    for damaged in (b"", content[: len(content) // 2], bytes(1000) + content[1000:]):
        kept.write_bytes(damaged)
        again = Segmenter.load(model, "openvino")(ASTRONAUT)
        np.testing.assert_array_equal(again.boxes, first.boxes)
        kept.chmod(0o600)
