"""CoreML's way, with ONNX Runtime on the CPU in its place: no Mac has been seen yet."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream import Segmenter
from stream.doctor.inference import kept
from stream.errors import ProviderError
from stream.inference import coreml, onnx_session, providers, session
from stream.inference.catalogue import Entry
from stream.inference.contract import Resize
from stream.inference.nvidia import NONE
from stream.inference.providers import AUTO_ORDER, UnavailableError, route
from tests import tiny_models

NAME = "CoreMLExecutionProvider"


class Mac:
    """ONNX Runtime with a CoreML that takes of a model what `takes` says, and the CPU computes.

    Attributes:
        opened: the options of each session that was opened.
    """

    def __init__(self, *takes: str) -> None:
        self._takes, self._real = takes, providers.runtime()
        self.opened: list[dict[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __call__(self) -> Mac:
        return self

    def get_available_providers(self) -> list[str]:
        return [NAME, "CPUExecutionProvider"]

    def InferenceSession(self, model: Any, providers: Sequence[Any], **more: Any) -> Any:
        if len(providers) == 1:  # the CPU is asked for
            return self._real.InferenceSession(model, providers=providers, **more)
        (name, options), cpu = providers
        assert (name, cpu) == (NAME, "CPUExecutionProvider")
        self.opened.append(options)
        return Handle(self._real.InferenceSession(model, providers=[cpu], **more), self._takes)


class Handle:
    def __init__(self, real: Any, takes: Sequence[str]) -> None:
        self._real, self._takes = real, takes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get_providers(self) -> list[str]:
        return [NAME, "CPUExecutionProvider"]

    def get_provider_graph_assignment_info(self) -> Iterator[Any]:
        for part in self._real.get_provider_graph_assignment_info():
            for node in part.get_nodes():
                there = NAME if node.op_type in self._takes else "CPUExecutionProvider"
                yield type(
                    "Part", (), {"ep_name": there, "get_nodes": lambda self, one=node: [one]}
                )()


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mac:
    made = Mac("Sub", "Cast", "Greater")
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("HOME", str(tmp_path))
    for module in (onnx_session, providers, session):
        monkeypatch.setattr(module, "runtime", made)
    return made


def test_only_macos_has_it() -> None:
    if sys.platform == "darwin":
        pytest.skip("this is one")
    with pytest.raises(UnavailableError) as caught:
        route("coreml")
    assert str(caught.value) == "only macOS has it; use --provider cpu"


def test_a_build_without_it(mac: Mac, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mac, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(UnavailableError, match=r"built without CoreML; pip install .*onnxruntime"):
        route("coreml")
    with pytest.raises(UnavailableError, match="there is no CUDA on macOS"):
        route("cuda")


def test_it_is_never_chosen_unasked(mac: Mac, tmp_path: Path) -> None:
    assert "coreml" not in AUTO_ORDER
    assert route("coreml").options == coreml.OPTIONS
    files = {kind: tmp_path / f"m.{kind}.onnx" for kind in ("float16", "int8")}
    entry = Entry("m", files | {"": tmp_path / "m.onnx"})
    assert entry.pick(route("coreml").precisions) == files["float16"]


def test_each_size_of_input_has_a_session_and_a_cache_of_its_own(mac: Mac, tmp_path: Path) -> None:
    resize = Resize("shortest_edge", shortest=96, longest=200)
    path = tiny_models.bright(tmp_path / "bright.onnx", 100, tiny_models.metadata(resize))
    there, here = Segmenter.load(path, "coreml"), Segmenter.load(path, "cpu")
    for width, height in ((128, 96), (160, 96), (128, 96), (96, 140)):
        picture = np.zeros((height, width, 3), np.uint8)
        picture[20:60, 30:70] = 255
        assert np.array_equal(there(picture).boxes, here(picture).boxes)
    folders = [Path(options.pop("ModelCacheDirectory")) for options in mac.opened]
    assert mac.opened == [coreml.OPTIONS] * 3
    assert len(set(folders)) == 3 and all(one.is_dir() for one in folders)
    assert folders[0].parent == tmp_path / "Library/Caches/stream-segmentation/coreml"
    assert f"in {folders[0].parents[1]}, for quicker" in kept().detail
    (remark,) = there.remarks
    assert " nodes run on the CPU instead of CoreML: " in remark


def test_a_model_that_was_replaced_is_compiled_anew(mac: Mac, tmp_path: Path) -> None:
    path, size = tiny_models.nothing(tmp_path / "m.onnx"), {"width": 64}
    first = coreml.cache_options("1.27", path, size)
    assert coreml.cache_options("1.27", path, size) == first
    assert coreml.cache_options("1.28", path, size) != first
    tiny_models.bright(path, 100)
    assert coreml.cache_options("1.27", path, size) != first
    for number in range(20):
        kept = Path(coreml.cache_options("1.27", path, {"width": number})["ModelCacheDirectory"])
        os.utime(kept, (number, number))
    assert len(list(kept.parent.iterdir())) <= 17 and kept.is_dir()


def test_what_another_process_removes_meanwhile_ends_nothing(mac: Mac, tmp_path: Path) -> None:
    path, size = tiny_models.nothing(tmp_path / "m.onnx"), {"width": 64}
    first = coreml.cache_options("1.27", path, size)
    Path(first["ModelCacheDirectory"]).with_name("gone").symlink_to(tmp_path / "nowhere")
    assert coreml.cache_options("1.27", path, size) == first


def test_a_model_of_which_it_takes_nothing_is_refused(
    mac: Mac, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mac, "_takes", ())
    with pytest.raises(ProviderError, match="CoreML takes none of the model's"):
        Segmenter.load(tiny_models.bright(tmp_path / "b.onnx", 100), provider="coreml")


def test_what_it_says_becomes_words() -> None:
    cause, advice = coreml.failure("Error compiling model: Failed to parse /tmp/a.mlmodelc")
    assert cause.startswith("CoreML cannot compile") and "--provider cpu" in advice
    assert coreml.failure("no such file") == NONE
