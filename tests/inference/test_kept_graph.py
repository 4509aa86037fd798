"""Optimised graphs are found again, and made anew where they are damaged."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream import Segmenter
from stream.errors import ModelError
from stream.inference import session as sessions
from stream.inference.catalogue import find
from stream.inference.contract import Resize
from stream.inference.kept_graph import kept_graph
from stream.instances import Instances
from stream.kernels import layers
from tests import photos, tiny_models
from tests.tiny_models import metadata

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="XDG's folders")
ASTRONAUT = photos.astronaut()
SIZE = (ASTRONAUT.shape[1], ASTRONAUT.shape[0])
ANY = Resize("shortest_edge", shortest=48, longest=96, multiple_of=32, interpolation="area")


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "stream-segmentation" / "graphs"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """The files that were opened, and whether as optimised ones."""
    told: list[tuple[str, bool]] = []
    create = sessions.create

    def watched(chosen: Any, model: Any, **options: Any) -> Any:
        name = "edited" if isinstance(model, bytes) else Path(model).name
        told.append((name, bool(options.get("optimised"))))
        return create(chosen, model, **options)

    monkeypatch.setattr(sessions, "create", watched)
    return told


def test_the_second_opening_finds_the_graph_of_the_first(
    cache: Path, opened: list[tuple[str, bool]]
) -> None:
    def answer() -> Instances:
        return Segmenter.load("default.int8", "cpu", threads=1, picture_size=SIZE)(ASTRONAUT)

    answers = [answer()]
    (kept,) = cache.iterdir()
    # Made, run to see what its enlargements do, run with its layers as compiled loops compute them,
    # and opened again with all that spelt otherwise.
    seen = 1 if layers() is None else 2
    assert [optimised for _, optimised in opened] == [False, *[True] * seen, True]
    opened.clear()
    answers.append(answer())
    assert opened == [(kept.name, True)]
    assert len(answers[0])
    np.testing.assert_array_equal(answers[0].boxes, answers[1].boxes)
    np.testing.assert_array_equal(answers[0].masks, answers[1].masks)


def test_other_models_sizes_and_versions_have_graphs_of_their_own(
    tmp_path: Path, cache: Path
) -> None:
    first = tiny_models.bright(tmp_path / "a.onnx")
    second = tiny_models.bright(tmp_path / "b" / "a.onnx")
    sides = {"width": 64, "height": 48}
    paths = {
        kept_graph(first, "1.31", sides),
        kept_graph(first, "1.31", {**sides, "width": 96}),
        kept_graph(first, "1.32", sides),
        kept_graph(second, "1.31", sides),
    }
    assert len(paths) == 4
    assert kept_graph(first, "1.31", sides) in paths


def _flipped(held: bytes) -> bytes:
    """With one bit another, as a failing disk has it."""
    at = len(held) // 2
    return held[:at] + bytes([held[at] ^ 0x40]) + held[at + 1 :]


@pytest.mark.parametrize(
    "damage", [lambda held: b"", lambda held: held[: len(held) // 2], _flipped]
)
def test_a_damaged_graph_is_made_anew(tmp_path: Path, cache: Path, damage: Any) -> None:
    model = tiny_models.bright(tmp_path / "b.onnx", 100, metadata(ANY))
    whole = Segmenter.load(model, "cpu", picture_size=SIZE)(ASTRONAUT)
    (kept,) = cache.iterdir()
    content = kept.read_bytes()
    kept.write_bytes(damage(content))
    again = Segmenter.load(model, "cpu", picture_size=SIZE)(ASTRONAUT)
    np.testing.assert_array_equal(again.boxes, whole.boxes)
    assert [one.read_bytes() for one in cache.iterdir()] == [content]


def test_without_a_cache_it_opens_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[tuple[str, bool]]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    model = tiny_models.bright(tmp_path / "b.onnx", 100, metadata(ANY))
    assert kept_graph(model, "1.31", {}) is None
    assert Segmenter.load(model, "cpu", picture_size=SIZE).provider == "CPU (float32)"
    assert len(opened) == 1


def test_a_full_disk_is_no_reason_not_to_open_it(
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    opened: list[tuple[str, bool]],
) -> None:
    model = tiny_models.bright(tmp_path / "b.onnx", 100, metadata(ANY))
    whole = Segmenter.load(model, "cpu", picture_size=SIZE)(ASTRONAUT)
    (kept,) = cache.iterdir()
    kept.unlink()
    create = sessions.create

    def full(chosen: Any, model: Any, **options: Any) -> Any:
        if options.get("keep") is not None:
            options["keep"].write_bytes(b"a few bytes")
            raise ModelError("No space left on device")
        return create(chosen, model, **options)

    monkeypatch.setattr(sessions, "create", full)
    opened.clear()
    again = Segmenter.load(model, "cpu", picture_size=SIZE)(ASTRONAUT)
    np.testing.assert_array_equal(again.boxes, whole.boxes)
    assert len(opened) == 1
    assert not list(cache.iterdir())


def test_nothing_is_kept_for_pictures_of_any_size(cache: Path) -> None:
    Segmenter.load(find("default").pick(("int8",)), "cpu", threads=1)
    assert not cache.exists()


def test_a_model_of_one_size_is_as_quick_without_being_told(
    tmp_path: Path, cache: Path, opened: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exported for a letterbox it has no sides to fix, and was opened as it lies there."""
    import onnx

    model = onnx.load(find("default").pick(("int8",)))
    sides = model.graph.input[0].type.tensor_type.shape.dim
    for side, pixels in zip(sides[1:3], (256, 384), strict=True):
        side.dim_value = pixels
    (resize,) = (one for one in model.metadata_props if one.key == "stream.resize")
    said = {"mode": "letterbox", "width": 384, "height": 256, "shortest": 0, "longest": 0}
    resize.value = json.dumps(json.loads(resize.value) | said | {"multiple_of": 1})
    path = tmp_path / "boxed.onnx"
    onnx.save(model, path)

    def answer() -> Instances:
        return Segmenter.load(path, "cpu", threads=1)(ASTRONAUT)

    answers = [answer()]
    (kept,) = cache.iterdir()
    opened.clear()
    answers.append(answer())
    assert opened == [(kept.name, True)]
    monkeypatch.setattr("stream.inference.kept_graph._width", lambda model, fixed: 0)
    answers.append(answer())
    assert [optimised for _, optimised in opened[1:]] == [False]
    assert len(answers[0])
    assert answers[0] == answers[1] == answers[2]
