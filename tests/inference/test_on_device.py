"""Pictures prepared where the model runs; each test runs on a card (`-m gpu`) and on the CPU."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import onnx
import pytest

from stream import Segmenter
from stream.bench.gpu import stand_in
from stream.errors import ModelError, ProviderError
from stream.inference import engines, on_device, onnx_session, providers, segmenter, session
from stream.inference.assignment import assignment
from stream.inference.card import Card
from stream.inference.catalogue import Entry, find
from stream.inference.contract import Resize
from stream.inference.converter import parameters
from stream.inference.providers import route
from stream.inference.route import Route
from stream.inference.session import Asked, open_on
from tests import tiny_models
from tests.inference.test_canvases import SHAPES
from tests.inference.test_converter import coffee

Opener = Callable[[Path], Segmenter]


@pytest.fixture
def open_there(chosen: Route) -> Opener:
    return lambda path: Segmenter("tiny", open_on(find(path), chosen, Asked(throughput=True)))


def bright_frame(x: int, y: int, pixels: str = "yuv420p") -> av.VideoFrame:
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[y : y + 120, x : x + 80] = 255
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)


@pytest.mark.parametrize("pixels", ["yuv420p", "nv12", "yuv420p10le", "yuvj444p"])
def test_answers_are_those_of_the_cpu_way(tmp_path: Path, open_there: Opener, pixels: str) -> None:
    path = tiny_models.bright(tmp_path / "bright.onnx", 100)
    there, here = open_there(path), Segmenter.load(path, "cpu")
    for x, y in ((0, 0), (200, 160), (560, 360)):
        frame = bright_frame(x, y, pixels)
        prepared = there.preprocess(frame)
        assert not isinstance(prepared.tensor, np.ndarray)  # nothing came back meanwhile
        found = there.postprocess(there.infer(prepared), prepared)
        wanted = here(frame)
        assert len(found) == len(wanted) == 1
        assert np.abs(found.boxes - wanted.boxes).max() <= 0.5
        assert np.abs(found.scores - wanted.scores).max() <= 1e-3
        away = np.abs(prepared.pixels().astype(int) - here.preprocess(frame).pixels())
        assert away.max() <= 3
    assert there.remarks == ()


def test_colours_on_the_device(tmp_path: Path, open_there: Opener) -> None:
    resize = Resize("letterbox", width=200, height=200, padding=114)
    path = tiny_models.nothing(tmp_path / "n.onnx", tiny_models.metadata(resize))
    frame = coffee("yuv420p", 401, 273)
    seen = open_there(path).preprocess(frame).pixels().astype(int)
    away = np.abs(seen - Segmenter.load(path, "cpu").preprocess(frame).pixels())
    assert away.mean() < 0.4 and np.percentile(away, 99) <= 3


def test_no_node_runs_elsewhere(tmp_path: Path, chosen: Route) -> None:
    opened = open_on(find(tiny_models.doubtful(tmp_path / "d.onnx")), chosen)
    nodes = assignment(opened.handle)
    assert nodes and {node.provider for node in nodes} == {chosen.execution_provider}


def test_equal_constants_stay_apart_on_a_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Slice of a constant 0 from 0 on wants one on the card and one on the CPU."""
    path = tiny_models.bright(tmp_path / "bright.onnx")
    kept = tmp_path / "kept.onnx"
    # Only what looks for the card's library and hands it the nodes is left out.
    card = replace(route("cpu"), library="cuda")

    def twice(route: Route) -> list[str]:
        onnx_session.create(route, str(path), 1, "the model", keep=kept)
        nodes = onnx.load(kept).graph.node
        return [one.op_type for one in nodes if len(set(one.input)) < len(one.input)]

    assert twice(route("cpu")) == ["Slice"]
    assert twice(card) == []


def test_four_are_under_way(tmp_path: Path, open_there: Opener) -> None:
    there = open_there(tiny_models.bright(tmp_path / "bright.onnx", 100))
    assert there.workers == 4
    frames = [bright_frame(40 * index, 30 * index) for index in range(12)]
    wanted = [there(frame).boxes for frame in frames]
    barrier = threading.Barrier(4)

    def work(frame: av.VideoFrame) -> np.ndarray:
        barrier.wait(60)
        return there(frame).boxes

    with ThreadPoolExecutor(4) as pool:
        for boxes, alone in zip(pool.map(work, frames), wanted, strict=True):
            assert np.array_equal(boxes, alone)


def test_an_answer_is_the_callers_own(tmp_path: Path, open_there: Opener) -> None:
    there = open_there(tiny_models.bright(tmp_path / "bright.onnx", 100))
    prepared = [there.preprocess(bright_frame(x, 0)) for x in (0, 400)]
    first = there.infer(prepared[0])
    kept = first.boxes.copy()
    there.infer(prepared[1])
    assert np.array_equal(first.boxes, kept)


def test_arrays_and_other_formats_go_the_cpu_way_and_that_is_said(
    tmp_path: Path, open_there: Opener
) -> None:
    there = open_there(tiny_models.bright(tmp_path / "bright.onnx", 100))
    rgb = np.full((48, 64, 3), 255, np.uint8)
    assert isinstance(there.preprocess(rgb).tensor, np.ndarray)
    assert there.remarks == ()
    for _ in range(2):
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        assert isinstance(there.preprocess(frame).tensor, np.ndarray)
        assert len(there(frame)) == 1
    (remark,) = there.remarks
    assert remark.startswith("pictures in rgb24 are prepared on the CPU, not by C")


@pytest.mark.parametrize("way", ["pil_bilinear", "tf_bilinear"])
def test_a_models_own_resizing_is_left_to_the_cpu_and_that_is_said(
    tmp_path: Path, open_there: Opener, way: str
) -> None:
    resize = Resize("stretch", width=64, height=48, interpolation=way)  # type: ignore[arg-type]
    there = open_there(tiny_models.bright(tmp_path / "b.onnx", 100, tiny_models.metadata(resize)))
    assert isinstance(there.preprocess(bright_frame(0, 0)).tensor, np.ndarray)
    (remark,) = there.remarks
    assert f"the model wants them resized as {way} does" in remark


def test_a_converter_that_does_not_open_is_said(
    tmp_path: Path, open_there: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "converter", lambda kind: b"no model")
    there = open_there(tiny_models.bright(tmp_path / "bright.onnx", 100))
    assert len(there(bright_frame(0, 0))) == 1
    (remark,) = there.remarks
    assert remark.startswith("pictures are prepared on the CPU, not on C")
    assert "\n" not in remark


def test_memory_that_is_not_there_is_said(tmp_path: Path) -> None:
    nowhere = replace(stand_in(), memory="npu", label="a card")
    there = Segmenter(
        "tiny", open_on(find(tiny_models.bright(tmp_path / "bright.onnx", 100)), nowhere)
    )
    assert len(there(bright_frame(0, 0))) == 1
    (remark,) = there.remarks
    assert remark.startswith("pictures are prepared on the CPU, not on a card: a card cannot prep")


def test_a_device_that_fails_is_one_sentence(tmp_path: Path, open_there: Opener) -> None:
    size = {"size": (64, 48)}
    there = open_there(tiny_models.constant(tmp_path / "c.onnx", [[0, 0, 9, 9]], **size))
    prepared = there.preprocess(bright_frame(0, 0))
    other = open_there(tiny_models.nothing(tmp_path / "n.onnx"))
    small = replace(other._session.metadata.resize, width=32, height=32)
    wrong = other._session.device_input(bright_frame(0, 0), small.geometry(640, 480))
    with pytest.raises(ModelError, match=r"^the model 'tiny' failed on CP?U\S*") as caught:
        there.infer(replace(prepared, tensor=wrong))
    assert "\n" not in str(caught.value)


FULL = "BFCArena: Failed to allocate memory for requested buffer of size 99"


def test_pictures_are_prepared_here_while_a_cards_memory_is_full(
    tmp_path: Path, open_there: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = open_there(tiny_models.bright(tmp_path / "bright.onnx", 100))

    def full(*told: object) -> None:
        raise RuntimeError(FULL)

    with monkeypatch.context() as patched:
        patched.setattr(on_device, "parameters", full)
        assert isinstance(there.preprocess(bright_frame(0, 0)).tensor, np.ndarray)
        assert len(there(bright_frame(0, 0))) == 1
    assert not isinstance(there.preprocess(bright_frame(0, 0)).tensor, np.ndarray)
    (remark,) = there.remarks
    assert remark.endswith(
        "had too little memory left to prepare pictures: 2 were prepared on the CPU"
    )


def test_a_card_whose_memory_is_full_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = replace(stand_in(), library="cuda", label="CUDA")
    path = tiny_models.bright(tmp_path / "bright.onnx", 100)
    there = Segmenter("tiny", open_on(find(path), card))

    def full(*told: object) -> None:
        raise RuntimeError(f"Non-zero status code returned while running Conv node: {FULL}")

    monkeypatch.setattr(segmenter, "infer", full)
    with pytest.raises(ModelError) as caught:
        there(bright_frame(0, 0))
    assert str(caught.value) == (
        "the model 'tiny' failed on CUDA (float32): the GPU's memory is full; close what else uses "
        "it (nvidia-smi lists it), or use --provider cpu"
    )


def test_parameters_are_kept_for_a_few_shapes_only(tmp_path: Path, open_there: Opener) -> None:
    there = open_there(tiny_models.nothing(tmp_path / "n.onnx"))
    for width in range(16, 48, 2):
        there.preprocess(coffee("yuv420p", width, 16))
    assert len(there._session.device_input._parameters) == 4


def test_all_views_of_a_few_films_have_their_parameters_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def watched(*told: object) -> dict[str, np.ndarray]:
        made.append(told)
        return parameters(*told)  # type: ignore[arg-type]

    large = replace(SHAPES, shortest=8 * SHAPES.shortest, longest=8 * SHAPES.longest)
    path = tiny_models.bright(tmp_path / "b.onnx", 100, tiny_models.metadata(large))
    there = Segmenter("tiny", open_on(find(path), stand_in()), views=6)
    monkeypatch.setattr(on_device, "parameters", watched)
    for _ in range(3):
        for width in (320, 400, 480, 640):
            there.preprocess(av.VideoFrame(width, 320, "yuv420p"))
    assert len({resize for resize, _ in there._views}) == 4
    assert len(made) == 4 * 4


def test_live_runs_have_one_under_way(tmp_path: Path, chosen: Route) -> None:
    opened = open_on(
        find(tiny_models.nothing(tmp_path / "n.onnx")), chosen, Asked(throughput=False)
    )
    assert opened.workers == 1


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_halves_are_taken_on_a_card_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Only what looks for the card is left out.
    for check in ("_need_built_in", "_need_nvidia", "_preload"):
        monkeypatch.setattr(providers, check, lambda *told: None)
    there = route(name)  # type: ignore[arg-type]
    files = {kind: tmp_path / f"m.{kind}.onnx" for kind in ("float16", "int8")}
    plain = {"": tmp_path / "m.onnx"}
    assert Entry("m", files | plain).pick(there.precisions) == files["float16"]
    assert Entry("m", {"int8": files["int8"]} | plain).pick(there.precisions) == plain[""]
    assert there.memory == "cuda"


@pytest.mark.parametrize(("memory", "in_flight"), [(5.8, 2), (7.6, 4), (79.2, 4), (None, 4)])
def test_small_cards_have_fewer_pictures_at_once(
    monkeypatch: pytest.MonkeyPatch, memory: float | None, in_flight: int
) -> None:
    for check in ("_need_built_in", "_need_nvidia", "_preload"):
        monkeypatch.setattr(providers, check, lambda *told: None)
    found = None if memory is None else Card("a card", memory, "580.1", "13.0")
    monkeypatch.setattr(providers, "card", lambda: found)
    assert route("cuda").in_flight == in_flight


def test_no_engine_is_announced_where_tensorrt_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_LIBRARY", "libnvinfer-that-is-not-there.so.10")
    options, said = engines.engine_options(tmp_path, "", tiny_models.nothing(tmp_path / "n.onnx"))
    assert options["trt_engine_cache_enable"] == "True" and said == ""


def test_building_an_engine_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "has_library", lambda: True)
    path, folder = tiny_models.nothing(tmp_path / "n.onnx"), tmp_path / "engines"
    folder.mkdir()
    options, said = engines.engine_options(folder, "H100, 1.31", path)
    assert said == (
        "TensorRT builds the engine of n.onnx for this card: once, it may take a few minutes"
    )
    (folder / f"{options['trt_engine_cache_prefix']}_1_0_sm90.engine").write_bytes(b"built")
    again, quiet = engines.engine_options(folder, "H100, 1.31", path)
    assert (again, quiet) == (options, "")
    # Another card's, or another release's, does not serve.
    for other in ("H200, 1.31", "H100, 1.32"):
        assert engines.engine_options(folder, other, path)[1] == said
    # Another file of that name is another model.
    tiny_models.bright(path, 100)
    changed, said = engines.engine_options(folder, "H100, 1.31", path)
    assert said and changed["trt_engine_cache_prefix"] != options["trt_engine_cache_prefix"]


def test_it_is_said_before_it_is_opened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = replace(stand_in(), of_model=lambda path: ({}, f"building for {path.name}"))
    open_on(find(tiny_models.nothing(tmp_path / "n.onnx")), told)
    assert [record.getMessage() for record in caplog.records] == ["building for n.onnx"]


def test_what_tensorrt_leaves_goes_to_cuda_before_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for check in ("_need_built_in", "_need_nvidia", "_preload"):
        monkeypatch.setattr(providers, check, lambda *told: None)
    there, handed = route("tensorrt"), []
    runtime = providers.runtime()

    class Watched:
        """ONNX Runtime, whose sessions are not made."""

        def __getattr__(self, name: str):
            return getattr(runtime, name)

        def InferenceSession(self, model, sess_options, providers, **more):
            handed.extend(providers)
            raise RuntimeError("no card")

    monkeypatch.setattr(onnx_session, "runtime", Watched)
    monkeypatch.setattr(onnx_session, "loading_problem", lambda chosen: ("", ""))
    with pytest.raises(ProviderError, match="TensorRT refuses the model: no card"):
        onnx_session.create(there, b"", 1, "the model")
    names = [one if isinstance(one, str) else one[0] for one in handed]
    assert names == ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
