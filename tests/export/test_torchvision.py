"""torchvision's models, exported, answer as torchvision does."""

from __future__ import annotations

import argparse
import json
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from typer.testing import CliRunner

from stream.errors import ModelError, StreamError, UsageError
from stream.inference.segmenter import Segmenter
from stream_export.agreement import Tolerance, compare, open_model
from stream_export.command import app
from stream_export.converters import _torchvision_model as models
from stream_export.converters import _torchvision_weights as weights
from stream_export.converters import torchvision as converter
from stream_export.half import half_model
from stream_export.metadata import load_model, read_metadata
from stream_export.onnx_export import spell_out_limits
from stream_export.quantize import quantize_model
from stream_export.registry import options_of
from tests.cli.conftest import clip, stream  # noqa: F401 - fixtures
from tests.export.shaped import pictures, shaped, spread

NAMES = tuple("abcdef")


@pytest.fixture(scope="module")
def network():
    return shaped("maskrcnn_resnet18_fpn")


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("torchvision") / "resnet18.onnx"
    onnx.save(converter.convert(network, names=NAMES, size="192/256"), str(path))
    return path


@pytest.fixture(scope="module")
def letterboxed(tmp_path_factory) -> tuple[object, Path]:
    network = shaped("maskrcnn_mobilenet_v3_large_fpn", classes=3, background=2.0)
    path = tmp_path_factory.mktemp("torchvision") / "mobilenet.onnx"
    model = converter.convert(network, names=("a", "b"), size="256x192", detections=10)
    onnx.save(model, str(path))
    return network, path


def test_the_same_detections_without_a_loop(network, exported):
    origin = converter.TorchvisionOrigin(network, NAMES)
    found = compare(
        origin,
        open_model(exported, 0.05),
        ((str(i), p) for i, p in enumerate(pictures())),
        limit=20,
    )
    assert found.expected > 20
    assert found.failures(Tolerance()) == []
    operators = {node.op_type for node in load_model(exported).graph.node}
    assert not operators & {"Loop", "If", "Scan", "BatchNormalization", "ConvTranspose"}


def test_a_letterboxed_network_with_other_heads_is_the_same_network(letterboxed):
    network, path = letterboxed
    network.transform.min_size, network.transform.max_size = (192,), 256
    network.roi_heads.detections_per_img = 10
    origin = converter.TorchvisionOrigin(network, ("a", "b"), "256x192")
    found = compare(origin, open_model(path, 0.05), [("astronaut", pictures()[0])], limit=10)
    assert found.expected > 3
    assert found.failures(Tolerance()) == []
    shape = load_model(path).graph.input[0].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [1, 192, 256, 3]


def test_opencv_need_not_clip_integers(exported):
    """It knows Clip for floats only and refuses the whole file for one of integers."""
    model = onnx.shape_inference.infer_shapes(load_model(exported))
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    clipped = {kinds[node.output[0]] for node in model.graph.node if node.op_type == "Clip"}
    assert clipped == {onnx.TensorProto.FLOAT}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Clip", ["x", "low", "high"], ["y"], "limits")],
        "limits",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.INT64, [4])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT64, [4])],
        [onnx.numpy_helper.from_array(np.array(n), name) for name, n in (("low", 2), ("high", 5))],
        value_info=[onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT64, [4])],
    )
    spell_out_limits(graph)
    assert [node.op_type for node in graph.node] == ["Max", "Min"]
    opsets = [onnx.helper.make_opsetid("", 18)]
    session = onnxruntime.InferenceSession(
        onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString(),
        providers=["CPUExecutionProvider"],
    )
    assert session.run(None, {"x": np.array([-1, 2, 4, 9])})[0].tolist() == [2, 2, 4, 5]


def test_nothing_found_is_no_error(exported):
    segmenter = Segmenter.load(exported, "cpu", threshold=0.0)
    raw = segmenter.infer(segmenter.prepare(np.zeros((40, 60, 3), np.uint8)))
    assert raw.masks.shape[1:] == (28, 28)
    assert len(Segmenter.load(exported, "cpu", threshold=1.0)(pictures()[0])) == 0


def test_heads_with_norms_export_and_can_find_nothing(tmp_path):
    network = models.random("maskrcnn_resnet18_fpn_v2", 7)
    path = tmp_path / "strict.onnx"
    onnx.save(converter.convert(network, names=NAMES, size="64x64", score=0.999), str(path))
    segmenter = Segmenter.load(path, "cpu", threshold=0.0)
    raw = segmenter.infer(segmenter.prepare(np.zeros((64, 64, 3), np.uint8)))
    assert raw.boxes.shape == (0, 4)
    assert raw.masks.shape == (0, 28, 28)


def test_no_trace_of_the_machine_it_was_made_on(exported):
    content = exported.read_bytes()
    for trace in (bytes(Path(__file__).parents[2]), b"site-packages", b"torch/nn"):
        assert trace not in content
    assert options_of(
        {entry.key: entry.value for entry in load_model(exported).metadata_props}
    ) == {
        "system": "torchvision",
        "size": "192/256",
        "detections": None,
        "proposals": None,
        "score": None,
    }


def test_half_precision_keeps_the_answers(exported, tmp_path):
    path = tmp_path / "half.onnx"
    onnx.save(half_model(load_model(exported)), str(path))
    found = compare(
        open_model(exported, 0.05), open_model(path, 0.05), [("astronaut", pictures()[0])]
    )
    assert found.matched >= 0.9 * found.expected
    assert (found.box_median, found.score_median) < (0.5, 0.01)
    assert path.stat().st_size < 0.55 * exported.stat().st_size
    assert read_metadata(load_model(path)).precision == "float16"


def test_int8_keeps_most_answers_and_its_contract(exported, tmp_path):
    path = tmp_path / "int8.onnx"
    onnx.save(quantize_model(load_model(exported), pictures()), str(path))
    found = compare(
        open_model(exported, 0.05),
        open_model(path, 0.05),
        [("astronaut", pictures()[0])],
        score=0.3,
    )
    assert found.matched >= 0.5 * found.expected
    assert path.stat().st_size < 0.35 * exported.stat().st_size
    model = load_model(path)
    assert read_metadata(model).precision == "int8"
    assert options_of({e.key: e.value for e in model.metadata_props})["system"] == "torchvision"
    with pytest.raises(ModelError, match="only a float32 model"):
        quantize_model(model, pictures())
    with pytest.raises(ModelError, match="only a float32 model"):
        half_model(model)


def _checkpoint(tmp_path: Path, content: object, name: str = "mine.pth") -> Path:
    path = tmp_path / name
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return dict(models.random("maskrcnn_resnet18_fpn", 3).state_dict())


@pytest.mark.parametrize(
    "arch",
    [
        "maskrcnn_resnet101_fpn",
        "maskrcnn_resnet50_fpn_v2",
        "maskrcnn_mobilenet_v3_large_fpn",
    ],
)
def test_the_layout_is_read_from_the_weights(arch):
    with torch.device("meta"):
        state = dict(models.random(arch, 3).state_dict())
    found = weights.layout(state, "it")
    assert (found.arch, found.classes) == (arch, 3)


def test_checkpoints_of_any_age_and_wrapping(tmp_path, state):
    old = OrderedDict()
    for name, value in state.items():
        before = name.replace("_blocks.0.0.", "_blocks.0.")
        before = before.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        if name.startswith("roi_heads.mask_head."):
            number, rest = name.removeprefix("roi_heads.mask_head.").split(".0.")
            before = f"roi_heads.mask_head.mask_fcn{int(number) + 1}.{rest}"
        old[f"module.{before}"] = value
    path = tmp_path / "old.pth"
    torch.save(
        {"model": old, "args": argparse.Namespace(lr=0.1)},
        path,
        _use_new_zipfile_serialization=False,
    )
    found = weights.read_checkpoint(path)
    assert set(found) == set(state)
    models.from_state(found, "maskrcnn_resnet18_fpn", "old.pth")


def test_mistakes_are_told_in_one_sentence(tmp_path, state):
    with pytest.raises(ModelError, match="its weights are of maskrcnn_resnet18_fpn"):
        models.from_state(state, "maskrcnn_resnet50_fpn", "mine.pth")
    without = {name: value for name, value in state.items() if "mask" not in name}
    with pytest.raises(ModelError, match="without masks"):
        weights.read_checkpoint(_checkpoint(tmp_path, without))
    with pytest.raises(ModelError, match=r"lacks 'backbone\.body\.bn1\.weight'"):
        models.from_state(
            {k: v for k, v in state.items() if k != "backbone.body.bn1.weight"}, None, "mine.pth"
        )
    with pytest.raises(ModelError, match="no such checkpoint"):
        weights.read_checkpoint(tmp_path / "none.pth")
    (tmp_path / "cut.pth").write_bytes(_checkpoint(tmp_path, state).read_bytes()[:5000])
    with pytest.raises(ModelError, match="cannot be read"):
        weights.read_checkpoint(tmp_path / "cut.pth")


class _Hostile:
    def __reduce__(self):
        import os

        return os.system, ("touch hostile-was-here",)


def test_a_checkpoint_that_runs_code_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.pth"
    path.write_bytes(pickle.dumps({"model": _Hostile()}))
    with pytest.raises(ModelError):
        weights.read_checkpoint(path)
    with pytest.raises(ModelError, match="could run code"):
        weights.read_checkpoint(_checkpoint(tmp_path, {"model": _Hostile()}, "zip.pth"))
    assert not (tmp_path / "hostile-was-here").exists()


def test_without_a_network_it_says_what_to_fetch_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(ModelError) as caught:
        weights.published("maskrcnn_resnet50_fpn", None)
    text = str(caught.value)
    assert "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth" in text
    assert str(tmp_path / "hub" / "checkpoints" / "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth") in text
    with pytest.raises(ModelError, match="publishes no weights"):
        weights.published("maskrcnn_resnet18_fpn", None)


def test_classes_that_no_names_are_given_for(network):
    with pytest.raises(UsageError, match="--names"):
        converter._names(network, None)
    with pytest.raises(UsageError, match="unknown architecture"):
        models.random("resnet50", 91)


def tuned() -> MaskRCNN:
    """As the fine-tuning tutorial makes it: both predictors replaced by ones for two classes."""
    network = models.random("maskrcnn_resnet18_fpn", 91)
    # The same weights whatever ran before: some draws have boxes on the brink of suppression.
    torch.manual_seed(2)
    heads = network.roi_heads
    heads.box_predictor = FastRCNNPredictor(heads.box_predictor.cls_score.in_features, 2)
    heads.mask_predictor = MaskRCNNPredictor(
        heads.mask_predictor.conv5_mask.in_channels, 128, num_classes=2
    )
    return spread(network, background=1.0)


def test_a_fine_tuned_model_from_weights_to_verdict(tmp_path):
    checkpoint = _checkpoint(tmp_path, tuned().state_dict())
    folder = tmp_path / "pictures"
    folder.mkdir()
    import cv2

    cv2.imwrite(str(folder / "astronaut.png"), pictures()[0][..., ::-1])
    path = tmp_path / "mine.onnx"
    run = CliRunner().invoke
    made = run(
        app,
        [
            *("torchvision", "-o", str(path), "--weights", str(checkpoint), "--size", "192/256"),
            *("--detections", "20", "--proposals", "150"),
        ],
        catch_exceptions=False,
    )
    assert made.exit_code == 0, made.output
    assert "maskrcnn_resnet18_fpn" in made.output
    verdict = run(app, ["verify", str(path), "--images", str(folder), "--json"])
    assert verdict.exit_code == 0, verdict.output
    told = json.loads(verdict.output)
    assert told["failures"] == []
    assert told["expected"] > 3
    shown = run(app, ["inspect", str(path), "--json"])
    assert json.loads(shown.output)["names"] == ["object"]
    strict = run(
        app,
        ["verify", str(path), "--images", str(folder), "--score-error", "0", "--box-error", "0"],
    )
    assert isinstance(strict.exception, StreamError)
    assert "not what it was exported from" in str(strict.exception)


def test_options_of_the_command_line_reach_the_model(tmp_path, network):
    checkpoint = _checkpoint(tmp_path, network.state_dict())
    names = tmp_path / "names.txt"
    names.write_text("__background__\n" + "\n".join(NAMES))
    path = tmp_path / "small.onnx"
    made = CliRunner().invoke(
        app,
        [
            *("torchvision", "--weights", str(checkpoint), "--names", str(names)),
            *("-o", str(path), "--size", "256x192"),
            *("--detections", "3", "--proposals", "60", "--score", "0.3"),
        ],
        catch_exceptions=False,
    )
    assert made.exit_code == 0, made.output
    model = load_model(path)
    shape = model.graph.input[0].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [1, 192, 256, 3]
    resize = read_metadata(model).resize
    assert (resize.mode, resize.width, resize.height) == ("letterbox", 256, 192)
    options = options_of({entry.key: entry.value for entry in model.metadata_props})
    assert (options["detections"], options["proposals"], options["score"]) == (3, 60, 0.3)
    segmenter = Segmenter.load(path, "cpu", threshold=0.0)
    raw = segmenter.infer(segmenter.prepare(pictures()[0]))
    assert len(raw.scores) == 3
    assert raw.scores.min() > 0.3
    # The origin is asked for the same, so it agrees.
    found = compare(
        converter.open_origin("", options),
        open_model(path, 0.05),
        [("astronaut", pictures()[0])],
        limit=3,
    )
    assert found.expected == 3
    assert found.failures(Tolerance()) == []


def test_an_exported_file_runs_on_video(letterboxed, stream, clip, tmp_path):  # noqa: F811
    report = tmp_path / "report.json"
    result = stream(
        *("file", clip, "-o", "out.mp4", "--model", letterboxed[1], "--threshold", "0.05"),
        *("--report", report, "--provider", "cpu"),
    )
    assert result.code == 0, result.err
    run = json.loads(report.read_text())["runs"][0]
    assert (run["frames_in"], run["frames_out"], run["error"]) == (24, 24, None)
    assert (tmp_path / "out.mp4").stat().st_size > 1000


@pytest.mark.reference
@pytest.mark.parametrize("case", ["", "_v2"])
def test_the_reference_answers(shared_reference, tmp_path, case):
    from tests.export.reference_answers import distance, unpacked
    from tests.export.reference_answers import pictures as photographs

    folder = shared_reference / f"torchvision_maskrcnn_resnet50_fpn{case}"
    checkpoint = unpacked(next(folder.glob("*.pth.xz")), tmp_path)
    model = models.from_state(weights.read_checkpoint(checkpoint), None, checkpoint.name)
    path = tmp_path / "it.onnx"
    names = tuple(str(number) for number in range(90))
    onnx.save(converter.convert(model, names=names), str(path))
    segmenter = Segmenter.load(path, "cpu", threshold=0.0)
    found = distance(folder / "reference.npz", segmenter, photographs(shared_reference))
    assert found.expected == found.found == found.matched
    assert found.box < 0.5
    assert found.score < 1e-3
    assert found.soft < 1e-2
