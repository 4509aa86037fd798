"""Models that leave their weights in files beside them are opened as others are."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import external_data_helper, numpy_helper

from stream import Segmenter
from stream.assets import demo_picture
from stream.bench.gpu import stand_in
from stream.cli._fleet_wanted import wanted_of
from stream.errors import ModelError
from stream.fleet.finding import Input
from stream.inference import content, session
from stream.inference.catalogue import FOLDER, find, listing
from stream.inference.kept_model import identity
from stream.inference.onnx_ends import check_weights, files_of, read_graph, weights_beside
from stream.inference.session import Asked, open_on
from stream.inference.soundness import SUM
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.settings.options import ModelOptions
from stream.system.cpu import Processor
from stream_export.metadata import load_model

PICTURE = demo_picture()


def parted(name: str, path: Path) -> Path:
    """A bundled model with its large weights in a file of their own."""
    model = onnx.load(FOLDER / name)
    onnx.save_model(
        model, path, save_as_external_data=True, location="weights.data", size_threshold=1000
    )
    return path


def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Processor("a processor", 2, frozenset({"sse2", "avx2"}))
    monkeypatch.setattr(content, "processor", lambda: machine)


def on_cpu(path: Path) -> Segmenter:
    return Segmenter.load(path, "cpu", threads=1, picture_size=(PICTURE.shape[1], PICTURE.shape[0]))


def in_a_cards_place(path: Path) -> Segmenter:
    return Segmenter(str(path), open_on(find(path), stand_in(), Asked(threads=1)))


@pytest.mark.parametrize(
    ("name", "opened"),
    [
        ("default.int8.onnx", on_cpu),
        pytest.param("default.onnx", on_cpu, marks=pytest.mark.slow),
        ("default.onnx", in_a_cards_place),
    ],
)
def test_it_answers_as_with_all_in_one_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    opened: Callable[[Path], Segmenter],
) -> None:
    narrow(monkeypatch)
    path = parted(name, tmp_path / "parted.onnx")
    assert weights_beside(path) == (tmp_path / "weights.data",)
    whole = opened(FOLDER / name)(PICTURE)
    # Of the one that all tests share others might make it go before it is opened again.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = opened(path)(PICTURE)
    if opened is on_cpu:  # from what was kept, which is none of theirs any more
        monkeypatch.setattr(session, "content", None)
    for one in (found, opened(path)(PICTURE)):
        assert len(one) == len(whole) > 0
        np.testing.assert_array_equal(one.scores, whole.scores)
        np.testing.assert_array_equal(one.boxes, whole.boxes)


def test_other_weights_beside_it_make_it_another_model(tmp_path: Path) -> None:
    path = parted("default.onnx", tmp_path / "m.onnx")
    before = identity(path)
    assert identity(path) == before and len(before) == 8
    data = tmp_path / "weights.data"
    data.write_bytes(data.read_bytes()[::-1])
    assert identity(path) != before
    data.unlink()
    assert weights_beside(path) == () and list(read_graph(path).beside) == ["weights.data"]
    with pytest.raises(ModelError, match=r"weights\.data"):
        on_cpu(path)


def test_weights_that_are_not_there_or_cut_short_are_said_in_a_sentence(tmp_path: Path) -> None:
    path, data = parted("default.onnx", tmp_path / "m.onnx"), tmp_path / "weights.data"
    whole = data.read_bytes()
    data.write_bytes(whole[:-3])
    short = f"are cut short: at least 3 bytes are missing at the end of '{data}'; copy or"
    for opens in (on_cpu, load_model):
        with pytest.raises(ModelError, match=re.escape(short)):
            opens(path)
    (one,) = listing(tmp_path)
    assert one.metadata is None and short in one.problem
    data.unlink()
    for opens in (on_cpu, load_model):
        with pytest.raises(ModelError, match=re.escape(f"'{data}', which is not there: the two")):
            opens(path)
    data.write_bytes(whole)
    check_weights(path)


def test_a_model_that_is_damaged_inside_is_said_so(tmp_path: Path) -> None:
    content = (FOLDER / "default.onnx").read_bytes()
    # Without its sum, which tells before anybody else does.
    content = content.replace(SUM.encode(), b"x" * len(SUM))
    path = tmp_path / "m.onnx"
    # Where a field begins, and within a node, which is read by the runtime alone.
    for start, length in ((500, 20), (content.index(b"Cast*") - 1, 1)):
        path.write_bytes(content[:start] + b"\xff" * length + content[start + length :])
        for opens in (on_cpu, load_model):
            with pytest.raises(ModelError, match=r" is damaged inside; copy, download or export"):
                opens(path)


def test_files_are_told_by_what_the_graph_says(tmp_path: Path) -> None:
    assert weights_beside(FOLDER / "default.onnx") == ()
    one = numpy_helper.from_array(np.arange(6, dtype=np.float32), "one")
    texts = numpy_helper.from_array(np.array([b"location", b"\n\x08location"], object), "texts")
    far = "a" * 200 + "/ü.data"
    external_data_helper.set_external_data(one, far, offset=4096, length=24)
    one.ClearField("raw_data")
    path = tmp_path / "m.onnx"
    graph = onnx.helper.make_graph([], "empty", [], [], [one, texts])
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    assert read_graph(path).beside == {far: 4096 + 24}
    assert weights_beside(path) == ()
    (tmp_path / far).parent.mkdir()
    (tmp_path / far).write_bytes(b"\0" * 5000)
    assert weights_beside(path) == (tmp_path / far,)


def test_the_file_beside_it_counts_in_its_size_and_in_what_a_fleet_has_done(tmp_path: Path) -> None:
    path, weights = parted("default.onnx", tmp_path / "m.onnx"), tmp_path / "weights.data"
    assert files_of(path) == (path, weights)
    (one,) = listing(tmp_path)
    assert one.size == path.stat().st_size + weights.stat().st_size > 10e6
    plan = RunPlan(
        SourcePlan("in.mp4"), (OutputPlan("out.mp4"),), model=ModelOptions(model=str(path))
    )
    (before,) = wanted_of([Input("in.mp4", "in.mp4", "1")], "out", plan, [])
    weights.write_bytes(weights.read_bytes() + b"more")
    (after,) = wanted_of([Input("in.mp4", "in.mp4", "1")], "out", plan, [])
    assert before.options != after.options
    # What is no model at all is told of where it is opened.
    path.write_bytes(b"nothing")
    assert files_of(path) == (path,)
