import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import onnx
import pytest

from stream import Instances, Segmenter
from stream.errors import ModelError, UsageError
from stream.inference.catalogue import find
from stream.inference.contract import Resize
from stream.inference.session import open_session
from tests import photos, tiny_models
from tests.tiny_models import metadata

ASTRONAUT = photos.astronaut()


def square(x: int, y: int, side: int, width: int = 640, height: int = 480) -> np.ndarray:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[y : y + side, x : x + side] = 255
    return picture


def test_the_readme_example(tmp_path: Path) -> None:
    path = tiny_models.constant(tmp_path / "two.onnx", [[8, 8, 32, 32], [0, 0, 16, 16]])
    segmenter = Segmenter.load(path, provider="auto")
    found = segmenter(ASTRONAUT)
    assert isinstance(found, Instances)
    assert found.names == ["person", "person"]
    assert found.masks.shape == (2, 28, 28)
    assert found.full_masks().shape == (2, 512, 512)
    assert segmenter.names == tiny_models.NAMES
    assert segmenter.path == path
    assert segmenter.provider.endswith("(float32)")


RESIZES = [
    Resize("letterbox", width=320, height=240, interpolation="area"),
    Resize("letterbox", width=320, height=320, interpolation="bilinear", anchor="centre"),
    Resize("stretch", width=320, height=320, interpolation="area"),
    Resize("shortest_edge", shortest=240, longest=400, multiple_of=32, interpolation="area"),
    Resize("native"),
    Resize("native", multiple_of=32, anchor="centre"),
    Resize("stretch", width=320, height=240, interpolation="pil_bilinear"),
    Resize("stretch", width=320, height=240, interpolation="tf_bilinear"),
]


@pytest.mark.parametrize("resize", RESIZES, ids=lambda r: f"{r.mode}-{r.interpolation}-{r.anchor}")
@pytest.mark.parametrize("kind", ["rgb", "yuv420p", "yuv444p10le"])
def test_objects_are_found_where_they_are(tmp_path: Path, resize: Resize, kind: str) -> None:
    path = tiny_models.bright(tmp_path / "bright.onnx", 100, metadata(resize))
    segmenter = Segmenter.load(path, provider="cpu")
    for x, y in ((100, 60), (300, 240), (540, 380)):
        picture: np.ndarray | av.VideoFrame = square(x, y, 80)
        if kind != "rgb":
            picture = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=kind)
        found = segmenter(picture)
        assert len(found) == 1
        # One pixel of the input is two of the picture, and its edge may be half covered.
        np.testing.assert_allclose(found.boxes[0], [x, y, x + 80, y + 80], atol=4.1)
        assert found.picture_size == (480, 640)
        mask = found.full_masks()[0]
        assert mask[y + 10 : y + 70, x + 10 : x + 70].all()
        assert mask.sum() == pytest.approx(80 * 80, rel=0.2)


def test_stages_are_the_same_as_one_call(tmp_path: Path) -> None:
    segmenter = Segmenter.load(tiny_models.bright(tmp_path / "b.onnx"), provider="cpu")
    prepared = segmenter.preprocess(ASTRONAUT)
    assert prepared.tensor.shape == (1, 48, 64, 3)
    staged = segmenter.postprocess(segmenter.infer(prepared), prepared)
    whole = segmenter(ASTRONAUT)
    np.testing.assert_array_equal(staged.boxes, whole.boxes)


def test_answers_do_not_change_when_the_next_picture_comes(tmp_path: Path) -> None:
    segmenter = Segmenter.load(tiny_models.bright(tmp_path / "b.onnx"), provider="cpu")
    prepared = segmenter.preprocess(square(100, 100, 100))
    raw = segmenter.infer(prepared)
    first = segmenter.postprocess(raw, prepared)
    kept = [array.copy() for array in (*raw[:4], first.boxes, first.masks)]
    for x in range(0, 500, 50):
        segmenter(square(x, 300, 60))
    for before, after in zip(kept, (*raw[:4], first.boxes, first.masks), strict=True):
        np.testing.assert_array_equal(before, after)


def test_threads_share_one_segmenter(tmp_path: Path) -> None:
    segmenter = Segmenter.load(tiny_models.bright(tmp_path / "b.onnx"), provider="cpu")
    wrong: list[object] = []

    def work(x: int) -> None:
        frame = av.VideoFrame.from_ndarray(square(x, 100, 100), "rgb24")
        for _ in range(20):
            box = segmenter(frame).boxes[0]
            if abs(box[0] - x) > 11:
                wrong.append((x, box))

    threads = [threading.Thread(target=work, args=(x,)) for x in (0, 200, 400, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_thresholds_and_classes(tmp_path: Path) -> None:
    path = tiny_models.constant(
        tmp_path / "three.onnx",
        [[0, 0, 20, 20], [0, 0, 30, 30], [0, 0, 40, 40]],
        scores=[0.9, 0.6, 0.3],
        labels=[2, 1, 0],
        meta=metadata(score_threshold=0.5, mask_threshold=0.4),
    )
    found = Segmenter.load(path, provider="cpu")(ASTRONAUT)
    assert found.names == ["dog", "car"]
    assert found.mask_threshold == 0.4
    segmenter = Segmenter.load(
        path, threshold=0.0, mask_threshold=0.7, classes="person, dog", provider="cpu"
    )
    found = segmenter(ASTRONAUT)
    assert found.names == ["dog", "person"]
    assert found.mask_threshold == 0.7
    segmenter.threshold = 0.95
    assert len(segmenter(ASTRONAUT)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, "threshold must be between 0 and 1"),
        ({"mask_threshold": -0.1}, "mask threshold must be between"),
        ({"threshold": float("nan")}, "threshold must be between"),
        ({"classes": "persn"}, "did you mean person.*it has person, car, dog"),
        ({"threads": 0}, "at least 1"),
        ({"provider": "gpu"}, "there is no provider 'gpu'"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: dict, message: str) -> None:
    path = tiny_models.nothing(tmp_path / "n.onnx")
    with pytest.raises(UsageError, match=message) as caught:
        Segmenter.load(path, **options)
    assert caught.value.exit_code == 2


def test_fixed_sizes(tmp_path: Path) -> None:
    meta = metadata(Resize("letterbox", width=60, height=48, multiple_of=32))
    path = tiny_models.constant(tmp_path / "fixed.onnx", [[0, 0, 64, 64]], meta=meta, size=(64, 64))
    found = Segmenter.load(path, provider="cpu")(ASTRONAUT)
    np.testing.assert_array_equal(found.boxes, [[0, 0, 512, 512]])


def test_a_fixed_square_around_every_shape_of_picture(tmp_path: Path) -> None:
    """Matterport's: the shorter edge enlarged, the rest of the square padded."""
    meta = metadata(Resize("shortest_edge", shortest=48, longest=64, multiple_of=64))
    path = tiny_models.constant(tmp_path / "fixed.onnx", [[0, 0, 64, 64]], meta=meta, size=(64, 64))
    segmenter = Segmenter.load(path, provider="cpu")
    for picture in (ASTRONAUT, ASTRONAUT[:200], ASTRONAUT[:, :100]):
        assert len(segmenter(np.ascontiguousarray(picture))) == 1


@pytest.mark.parametrize(
    ("resize", "message"),
    [
        (Resize("letterbox", width=64, height=48), "fixed at 64x64 pixels, but .* makes 64x48"),
        (Resize("stretch", width=32, height=64), "makes 32x64"),
        (Resize("shortest_edge", shortest=64, longest=64), "another size for every shape"),
        (Resize("native"), "another size for every shape"),
    ],
)
def test_fixed_sizes_that_the_policy_never_makes(
    tmp_path: Path, resize: Resize, message: str
) -> None:
    path = tiny_models.constant(tmp_path / "f.onnx", [], meta=metadata(resize), size=(64, 64))
    with pytest.raises(ModelError, match=message) as caught:
        Segmenter.load(path, provider="cpu")
    assert str(path) in str(caught.value)


def _changed(path: Path, change) -> Path:
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return path


def _rename_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "picture"


def _float_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def _drop_masks(model: onnx.ModelProto) -> None:
    del model.graph.output[3]


def _new_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 99


def _old_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 7
    model.graph.node.append(onnx.helper.make_node("NonZero", ["image"], ["spare"]))


def _new_format(model: onnx.ModelProto) -> None:
    model.ir_version = 99


def _unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Levitate"


def _no_metadata(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def _other_contract(model: onnx.ModelProto) -> None:
    for item in model.metadata_props:
        if item.key == "stream.contract":
            item.value = "3"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_rename_input, r"its inputs are \['picture'\]"),
        (_float_input, r"'image' is tensor\(float\)"),
        (_drop_masks, r"lacks the outputs \['masks'\]"),
        (_new_opset, r"needs ONNX opset 99, and ONNX Runtime [\d.]+ knows up to \d+"),
        (_old_opset, r"of ONNX opset 7, which has no \w+, so another tool has changed it"),
        (_new_format, r"format is version 99, and ONNX Runtime [\d.]+ reads up to \d+"),
        (_unknown_operator, "Levitate"),
        (_no_metadata, "stream export"),
        (_other_contract, "contract version 3"),
    ],
)
def test_models_that_break_the_contract(tmp_path: Path, change, message: str) -> None:
    path = _changed(tiny_models.nothing(tmp_path / "model.onnx"), change)
    with pytest.raises(ModelError, match=message) as caught:
        Segmenter.load(path, provider="cpu")
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert "onnxruntime_src" not in sentence


def test_a_model_damaged_inside(tmp_path: Path) -> None:
    path = tiny_models.bright(tmp_path / "model.onnx")
    content = bytearray(path.read_bytes())
    middle = content.index(b"ReduceMax")
    content[middle - 30 : middle + 30] = b"\xff" * 60
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        Segmenter.load(path, provider="cpu")
    assert str(path) in str(caught.value)


def test_files_that_are_no_model(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("I am a text file.\n")
    (tmp_path / "empty.onnx").touch()
    for name, message in (("text", "not an ONNX model"), ("empty", "is empty")):
        with pytest.raises(ModelError, match=message):
            Segmenter.load(tmp_path / f"{name}.onnx", provider="cpu")
    with pytest.raises(ModelError, match="there is no model file"):
        Segmenter.load(tmp_path / "none.onnx", provider="cpu")


def test_names_may_hold_any_letter(tmp_path: Path) -> None:
    path = tiny_models.nothing(tmp_path / "modèle ünïcode.onnx", metadata(names=("Mensch", "車")))
    assert Segmenter.load(path, classes=["車"], provider="cpu").names == ("Mensch", "車")


def test_warm_up_says_how_long_it_took(tmp_path: Path) -> None:
    segmenter = Segmenter.load(tiny_models.slow(tmp_path / "slow.onnx", 20), provider="cpu")
    assert segmenter.warm_up(640, 480) > 0.001


def test_tiny_pictures(tmp_path: Path) -> None:
    segmenter = Segmenter.load(tiny_models.bright(tmp_path / "b.onnx", 100), provider="cpu")
    for size in ((1, 1), (1, 900), (900, 1), (2, 3)):
        picture = np.full((*size, 3), 255, np.uint8)
        np.testing.assert_allclose(segmenter(picture).boxes, [[0, 0, size[1], size[0]]], atol=1e-3)
        frame = av.VideoFrame.from_ndarray(picture, "rgb24")
        assert len(segmenter(frame)) == 1


@pytest.mark.parametrize(
    ("threads", "throughput", "workers", "each"),
    [(1, True, 1, 1), (2, True, 2, 1), (9, True, 4, 2), (9, False, 1, 9)],
)
def test_throughput_shares_the_threads_out(
    tmp_path: Path, threads: int, throughput: bool, workers: int, each: int
) -> None:
    path = tiny_models.bright(tmp_path / "b.onnx")
    session = open_session(find(path), "cpu", threads, throughput=throughput)
    assert session.workers == workers
    assert session.handle.get_session_options().intra_op_num_threads == each
    segmenter = Segmenter.load(path, "cpu", threads=threads, throughput=throughput)
    assert segmenter.workers == workers


def test_inference_at_once_answers_as_one_by_one(tmp_path: Path) -> None:
    segmenter = Segmenter.load(tiny_models.bright(tmp_path / "b.onnx"), "cpu", throughput=True)
    pictures = [np.roll(ASTRONAUT, 40 * index, axis=1) for index in range(12)]
    alone = [segmenter(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(segmenter, pictures))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.masks, other.masks)
