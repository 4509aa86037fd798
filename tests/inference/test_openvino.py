"""OpenVINO's plug-in: set up for one inference at once or several, its compiled models kept."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.errors import ProviderError
from stream.inference import providers
from stream.inference import session as sessions
from stream.inference.catalogue import find
from stream.inference.kept_compiled import through_compiled
from stream.inference.openvino import cpu_options
from stream.inference.segmenter import Segmenter
from stream.inference.session import open_session
from stream.instances import Instances
from tests import photos

ASTRONAUT = photos.astronaut()


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


@pytest.mark.slow
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


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    if sys.platform in ("win32", "darwin"):
        pytest.skip("XDG's folders")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "stream-segmentation" / "openvino"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that sessions were made of."""
    told: list[Path] = []
    create = sessions.create

    def watched(chosen: Any, model: str, *about: Any, **options: Any) -> Any:
        told.append(Path(model))
        return create(chosen, model, *about, **options)

    monkeypatch.setattr(sessions, "create", watched)
    return told


MODEL = find("default").pick(("float32",))
"""int8 takes twice as long to compile."""


def _answer(**about: Any) -> Instances:
    return Segmenter.load(MODEL, "openvino", threads=2, **about)(ASTRONAUT)


def _same(one: Instances, other: Instances) -> None:
    for name in ("boxes", "scores", "labels", "masks"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.usefixtures("_on_a_cpu")
def test_what_was_compiled_stands_for_the_model(cache: Path, opened: list[Path]) -> None:
    cache.mkdir(parents=True)
    (cache / "older.blob").write_bytes(b"of an earlier edition")
    size = (ASTRONAUT.shape[1], ASTRONAUT.shape[0])
    kinds: list[dict[str, Any]] = [{}, {"picture_size": size}, {"throughput": True}]
    first = [_answer(**about) for about in kinds]
    assert all(len(one) for one in first)
    kept = sorted(cache.iterdir())
    assert [one.suffix for one in kept].count(".onnx") == len(kinds)
    assert [one.suffix for one in kept].count(".bin") == len(kinds) == len(kept) / 2
    assert opened == [MODEL] * len(kinds)
    for about, before in zip(kinds, first, strict=True):
        opened.clear()
        _same(_answer(**about), before)
        assert len(opened) == 1 and opened[0] in kept
    assert sorted(cache.iterdir()) == kept


@pytest.mark.slow
@pytest.mark.usefixtures("_on_a_cpu")
def test_a_damaged_compiled_model_is_made_anew(cache: Path, opened: list[Path]) -> None:
    first = _answer()
    files = sorted(cache.iterdir())
    assert [one.suffix for one in files] == [".onnx", ".bin"]
    for damaged in files:
        content = damaged.read_bytes()
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        for held in (b"", content[:middle], bytes(1000) + content[1000:], flipped):
            damaged.write_bytes(held)
            opened.clear()
            _same(_answer(), first)
            assert opened == [MODEL]
            assert sorted(cache.iterdir()) == files
            assert damaged.stat().st_size == len(content)


@pytest.mark.usefixtures("_on_a_cpu")
def test_without_a_place_for_it_a_model_is_compiled_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, opened: list[Path]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(_answer()) and opened == [MODEL]


class _Made:
    """Stands for a session."""


def test_of_a_model_that_is_taken_in_part_nothing_is_kept(cache: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"a model")
    made: Any = _Made()

    def create(path: str, *, compiled: Path | None = None, content: bytes | None) -> Any:
        assert path == str(model)
        if compiled is not None and content is not None:
            compiled.write_bytes(content)
        return made

    opened = partial(str, model)
    for content, whole, kept in ((b"compiled", False, 0), (None, True, 0), (b"compiled", True, 1)):
        creating = partial(create, content=content)
        got = through_compiled(creating, model, opened, ["1.0"], {}, lambda _, whole=whole: whole)
        assert got is made and len(list(cache.iterdir())) == kept


def test_where_compiling_into_a_file_fails_it_is_opened_without(
    cache: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"a model")
    made: Any = _Made()
    asked: list[bool] = []

    def create(_: str, *, compiled: Path | None = None) -> Any:
        asked.append(compiled is not None)
        if compiled is not None:
            raise ProviderError("no space left")
        return made

    assert through_compiled(create, model, partial(str, model), ["1.0"], {}, lambda _: True) is made
    assert asked == [True, False] and not list(cache.iterdir())
