"""torchvision's models, exported, answer as torchvision does."""

from __future__ import annotations

import argparse
import json
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from stream.errors import ModelError, StreamError, UsageError
from stream.inference.segmenter import Segmenter
from stream_export.command import app
from stream_export.converters import torchvision as converter
from stream_export.converters.torchvision import Asked, opened
from stream_export.converters.torchvision import origin as origins
from stream_export.registry import options_of
from stream_export.tools.agreement import Tolerance, compare, open_model
from tests import tiny_models
from tests.cli.conftest import clip, stream  # noqa: F401 - fixtures
from tests.export.lazily import lazily
from tests.export.shaped import pictures, shaped, spread
from tests.export.torch_like import check_several, picture

onnx = lazily("onnx")
onnxruntime = lazily("onnxruntime")
torch = lazily("torch")
MaskRCNN = lazily("torchvision.models.detection", "MaskRCNN")
AnchorGenerator = lazily("torchvision.models.detection.rpn", "AnchorGenerator")
resnet_fpn_backbone = lazily("torchvision.models.detection.backbone_utils", "resnet_fpn_backbone")
FastRCNNPredictor = lazily("torchvision.models.detection.faster_rcnn", "FastRCNNPredictor")
MaskRCNNPredictor = lazily("torchvision.models.detection.mask_rcnn", "MaskRCNNPredictor")
models = lazily("stream_export.converters.torchvision.model")
weights = lazily("stream_export.converters.torchvision.weights")
load_model = lazily("stream_export.metadata", "load_model")
read_metadata = lazily("stream_export.metadata", "read_metadata")
onnx_export = lazily("stream_export.onnx_export")
foldable = lazily("stream_export.onnx_export", "foldable")
spell_out_limits = lazily("stream_export.onnx_export", "spell_out_limits")
half_model = lazily("stream_export.tools.half", "half_model")
quantize_model = lazily("stream_export.tools.quantize", "quantize_model")

# An export takes seconds of work, and minutes where many programs share the processor.
pytestmark = pytest.mark.timeout(1800)

NAMES = tuple("abcdef")


def export(folder: Path, network, *options: str) -> tuple[Path, str]:
    """A network's weights through the command, and what that said."""
    checkpoint, path = folder / "mine.pth", folder / "mine.onnx"
    torch.save({"model": network.state_dict()}, checkpoint)
    given = ("torchvision", "-o", str(path), "--weights", str(checkpoint), *options)
    made = CliRunner().invoke(app, given, catch_exceptions=False)
    assert made.exit_code == 0, made.output
    return path, made.output


@pytest.fixture(scope="module")
def network():
    return shaped("maskrcnn_resnet18_fpn")


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("torchvision")
    (folder / "names.txt").write_text("__background__\n" + "\n".join(NAMES))
    path, said = export(
        folder,
        network,
        *("--size", "192/256", "--names", str(folder / "names.txt")),
        *("--detections", "20", "--proposals", "150"),
    )
    assert "read: 142 weights of" in said
    assert "assumed: anchors of 32 64 128 256 512 pixels" in said
    assert "maskrcnn_resnet18_fpn" in said
    return path


@pytest.fixture(scope="module")
def letterboxed(tmp_path_factory) -> tuple[object, Path]:
    network = shaped("maskrcnn_mobilenet_v3_large_fpn", classes=3, background=2.0)
    folder = tmp_path_factory.mktemp("letterboxed")
    (folder / "names.txt").write_text("a\nb\n")
    path, _ = export(
        folder,
        network,
        *("--size", "256x192", "--names", str(folder / "names.txt")),
        *("--detections", "10", "--proposals", "140", "--score", "0.06"),
        *("--set", "box_nms_thresh=0.6"),
    )
    return network, path


@pytest.mark.slow
def test_the_same_detections_without_a_loop(network, exported):
    origin = origins.TorchvisionOrigin(network, NAMES)
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


@pytest.mark.slow
def test_several_at_once_have_their_own_answers(exported, letterboxed):
    for path in (exported, letterboxed[1]):
        model = load_model(path)
        _, height, width, _ = (side.dim_value for side in _input(model).dim)
        check_several(model.SerializeToString(), picture(height or 192, width or 256))


def _input(model):
    (image,) = model.graph.input
    return image.type.tensor_type.shape


@pytest.mark.slow
def test_options_of_the_command_line_reach_the_model(letterboxed):
    network, path = letterboxed
    network.transform.min_size, network.transform.max_size = (192,), 256
    network.roi_heads.detections_per_img = 10
    network.roi_heads.score_thresh, network.roi_heads.nms_thresh = 0.06, 0.6
    for counts in (network.rpn._pre_nms_top_n, network.rpn._post_nms_top_n):
        counts["testing"] = 140
    origin = origins.TorchvisionOrigin(network, ("a", "b"), "256x192")
    found = compare(origin, open_model(path, 0.06), [("astronaut", pictures()[0])], limit=10)
    assert found.expected > 3
    assert found.failures(Tolerance()) == []
    model = load_model(path)
    shape = model.graph.input[0].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [1, 192, 256, 3]
    metadata = read_metadata(model)
    assert metadata.names == ("a", "b")
    assert (metadata.resize.mode, metadata.resize.width, metadata.resize.height) == (
        "letterbox", 256, 192
    )  # fmt: skip
    options = options_of({entry.key: entry.value for entry in model.metadata_props})
    assert (options["detections"], options["proposals"], options["score"]) == (10, 140, 0.06)
    segmenter = Segmenter.load(path, "cpu", threshold=0.0)
    raw = segmenter.infer(segmenter.preprocess(pictures()[0]))
    assert len(raw.scores) == 10
    assert raw.scores.min() > 0.06
    # The origin is asked for the same, so it agrees.
    found = compare(
        origins.open_origin("", options),
        open_model(path, 0.06),
        [("astronaut", pictures()[0])],
        limit=10,
    )
    assert found.expected > 3
    assert found.failures(Tolerance()) == []


@pytest.mark.slow
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


@pytest.mark.slow
def test_nothing_found_is_no_error(exported):
    segmenter = Segmenter.load(exported, "cpu", threshold=0.0)
    raw = segmenter.infer(segmenter.preprocess(np.zeros((40, 60, 3), np.uint8)))
    assert raw.masks.shape[1:] == (28, 28)
    assert len(Segmenter.load(exported, "cpu", threshold=1.0)(pictures()[0])) == 0


@pytest.mark.slow
def test_heads_with_norms_export_and_can_find_nothing(tmp_path):
    network = models.random("maskrcnn_resnet18_fpn_v2", 7)
    path = tmp_path / "strict.onnx"
    onnx.save(converter.convert(network, names=NAMES, size="64x64", score=0.999), str(path))
    segmenter = Segmenter.load(path, "cpu", threshold=0.0)
    raw = segmenter.infer(segmenter.preprocess(np.zeros((64, 64, 3), np.uint8)))
    assert raw.boxes.shape == (0, 4)
    assert raw.masks.shape == (0, 28, 28)


@pytest.mark.slow
def test_no_trace_of_the_machine_it_was_made_on(exported):
    content = exported.read_bytes()
    for trace in (bytes(Path(__file__).parents[2]), b"site-packages", b"torch/nn"):
        assert trace not in content
    assert options_of(
        {entry.key: entry.value for entry in load_model(exported).metadata_props}
    ) == {
        "system": "torchvision",
        "size": "192/256",
        "detections": 20,
        "proposals": 150,
        "score": None,
        "arch": "maskrcnn_resnet18_fpn",
        "weights": str(exported.with_name("mine.pth")),
        "epsilon": None,
    }


@pytest.mark.slow
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


@pytest.mark.slow
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
    """With 32 numbers between the layers of the head, as 1024 are twelve million weights a file."""
    full = dict(models.random("maskrcnn_resnet18_fpn", 3).state_dict())
    few = {name: one[:32] for name, one in full.items() if ".box_head." in name}
    for name in ("box_head.fc7", "box_predictor.cls_score", "box_predictor.bbox_pred"):
        few[f"roi_heads.{name}.weight"] = full[f"roi_heads.{name}.weight"][:32, :32]
    return {name: one.clone() for name, one in (full | few).items()}


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


@pytest.mark.parametrize("stages", [(1, 2, 3), (2, 3, 4), (2, 4), (3,)])
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_a_pyramid_may_take_some_of_a_resnets_maps(backbone, stages):
    with torch.device("meta"):
        body = resnet_fpn_backbone(
            backbone_name=backbone, weights=None, returned_layers=list(stages)
        )
        network = MaskRCNN(
            body,
            num_classes=3,
            rpn_anchor_generator=AnchorGenerator(((32,),) * (len(stages) + 1), ((1.0,),)),
        )
        state = dict(network.state_dict())
        shape = weights.layout(state, "it")
        assert shape.stages == stages
        anchors = (((32.0,),) * (len(stages) + 1), ((1.0,),))
        again = models.build(shape, anchors).state_dict()
    assert {name: one.shape for name, one in again.items()} == {
        name: one.shape for name, one in state.items()
    }


def test_every_weight_is_the_files():
    """None is left as memory was, though layers are not filled before they are read."""
    with torch.device("meta"):
        state = dict(models.random("maskrcnn_mobilenet_v3_large_fpn", 3).state_dict())
    state = {name: torch.rand(one.shape) for name, one in state.items()}
    read = models.from_state(state, None, "it").state_dict()
    assert read.keys() == state.keys()
    assert all(torch.equal(one, state[name]) for name, one in read.items())


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
    found = weights.read_place(path)[1]
    assert set(found) == set(state)
    models.from_state(found, "maskrcnn_resnet18_fpn", "old.pth")


def test_mistakes_are_told_in_one_sentence(tmp_path, state):
    with pytest.raises(ModelError, match="its weights are of maskrcnn_resnet18_fpn"):
        models.from_state(state, "maskrcnn_resnet50_fpn", "mine.pth")
    without = {name: value for name, value in state.items() if "mask" not in name}
    with pytest.raises(ModelError, match="without masks"):
        weights.read_place(_checkpoint(tmp_path, without))
    in_python = r"in Python stream_export\.converters\.torchvision\.convert"
    renamed = {name.replace("box_predictor", "my_head"): one for name, one in state.items()}
    lacks = r"lacks the weight 'roi_heads\.box_predictor\.cls_score\.weight'.*"
    with pytest.raises(ModelError, match=lacks + in_python):
        weights.read_place(_checkpoint(tmp_path, renamed))
    bare = {name: one for name, one in state.items() if ".fpn." not in name}
    with pytest.raises(ModelError, match="has no FPN.*" + in_python):
        weights.layout(bare, "mine.pth")
    wider = {**state, "backbone.fpn.inner_blocks.0.0.weight": torch.zeros(256, 99, 1, 1)}
    with pytest.raises(ModelError, match="its FPN takes other maps.*" + in_python):
        weights.layout(wider, "mine.pth")
    with pytest.raises(ModelError, match=r"lacks 'backbone\.body\.bn1\.weight'"):
        models.from_state(
            {k: v for k, v in state.items() if k != "backbone.body.bn1.weight"}, None, "mine.pth"
        )
    with pytest.raises(ModelError, match="there is no such file"):
        weights.read_place(tmp_path / "none.pth")
    with pytest.raises(ModelError, match="there is no such file"):
        opened(Asked(weights=str(tmp_path / "none.pt2")))
    (tmp_path / "cut.pth").write_bytes(_checkpoint(tmp_path, state).read_bytes()[:5000])
    with pytest.raises(ModelError, match="damaged or cut short"):
        weights.read_place(tmp_path / "cut.pth")


class _Hostile:
    def __reduce__(self):
        import os

        return os.system, ("touch hostile-was-here",)


def test_a_checkpoint_that_runs_code_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.pth"
    path.write_bytes(pickle.dumps({"model": _Hostile()}))
    with pytest.raises(ModelError):
        weights.read_place(path)
    with pytest.raises(ModelError, match="nothing was executed"):
        weights.read_place(_checkpoint(tmp_path, {"model": _Hostile()}, "zip.pth"))
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


def test_architectures_and_sizes_that_are_none(tmp_path, state):
    with pytest.raises(UsageError, match="unknown architecture"):
        models.random("resnet50", 91)
    with pytest.raises(
        UsageError, match=r"^give a checkpoint \(--weights mine\.pth\), or name the"
    ):
        opened(Asked())
    with pytest.raises(UsageError, match=r"^name the architecture with --arch"):
        opened(Asked(weights="COCO_V1"))
    path = str(_checkpoint(tmp_path, state))
    for anchors, said in (("8,16,a", "write numbers above 0"), ("8,16", "3 anchors per cell on 5")):
        with pytest.raises(UsageError, match=said):
            opened(Asked(weights=path, anchors=anchors))
    for name, said in {
        "colour": r"there is no such setting \(known are image_mean",
        "box_nms_tresh": r"there is no such setting; did you mean box_nms_thresh\?",
    }.items():
        with pytest.raises(UsageError, match=f"--set {name}: {said}"):
            opened(Asked(weights=path, settings=(f"{name}=1",)))
    for wrong in ("box_nms_thresh=2", "image_std=[0,1,1]", "box_detections_per_img=0.5"):
        with pytest.raises(UsageError, match="makes no sense"):
            opened(Asked(weights=path, settings=(wrong,)))


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


@pytest.mark.slow
def test_a_fine_tuned_model_is_read_from_its_weights(tmp_path):
    network = tuned()
    found = opened(Asked(weights=str(_checkpoint(tmp_path, network.state_dict()))))
    assert found.arch == "maskrcnn_resnet18_fpn"
    model = found.model
    model.transform.min_size, model.transform.max_size = (192,), 256
    # As many proposals: among more, others may be the best.
    model.rpn._pre_nms_top_n["testing"] = model.rpn._post_nms_top_n["testing"] = 150
    expected, answer = (
        origins.TorchvisionOrigin(one, ("object",))(pictures()[0]) for one in (network, model)
    )
    assert len(expected.scores) > 3
    # The tutorial's thresholds are the model's own, those of its weights torchvision's.
    np.testing.assert_allclose(answer.scores[:3], expected.scores[:3], atol=1e-6)


@pytest.mark.slow
def test_an_export_from_weights_to_verdict(exported, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    import cv2

    cv2.imwrite(str(folder / "astronaut.png"), pictures()[0][..., ::-1])
    run = CliRunner().invoke
    verdict = run(app, ["verify", str(exported), "--images", str(folder), "--json"])
    assert verdict.exit_code == 0, verdict.output
    told = json.loads(verdict.stdout)
    assert told["failures"] == []
    assert told["expected"] > 3
    assert told["against"] == "torchvision's own code with the same weights"
    assert "anchors of 32 64 128 256 512 pixels" in told["assumed"][0]
    shown = run(app, ["inspect", str(exported), "--json"])
    assert json.loads(shown.output)["names"] == list(NAMES)
    strict = run(
        app,
        [
            "verify",
            str(exported),
            "--images",
            str(folder),
            *["--score-error", "0", "--box-error", "0"],
        ],
    )
    assert isinstance(strict.exception, StreamError)
    assert "differs from torchvision's own code with the same weights: " in str(strict.exception)


@pytest.mark.slow
def test_stored_answers_can_be_compared_with(exported, network, tmp_path):
    import cv2

    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), pictures()[0][..., ::-1])
    answer = origins.TorchvisionOrigin(network, NAMES)(pictures()[0])
    stored = tmp_path / "answers.npz"
    parts = ("boxes", "scores", "labels", "masks")
    np.savez(stored, **{f"a.png/{part}": getattr(answer, part) for part in parts})
    given = ["verify", str(exported), "--images", str(folder), "--against", str(stored)]
    verdict = CliRunner().invoke(app, given)
    assert verdict.exit_code == 0, verdict.exception
    assert f"compared with the answers in {stored}" in verdict.output
    np.savez(stored, **{f"a.png/{part}": getattr(answer, part) for part in parts[:3]})
    with pytest.raises(ModelError, match=r"it holds no 'a\.png/masks'"):
        CliRunner().invoke(app, given, catch_exceptions=False)
    stored.write_text("no archive")
    with pytest.raises(ModelError, match=r"no \.npz of plain arrays"):
        CliRunner().invoke(app, given, catch_exceptions=False)


@pytest.fixture(scope="module")
def small_anchors():
    """A network with anchors of its own, as whoever looks for small things makes it."""
    network = models.build(
        weights.layout(models.random("maskrcnn_resnet18_fpn", 3).state_dict(), "it"),
        (((8,), (16,), (32,), (64,), (128,)), ((0.5, 2.0, 1.0),) * 5),
    )
    return spread(network.eval())


@pytest.mark.slow
def test_anchors_are_asked_for_and_said(small_anchors, tmp_path):
    """Weights do not tell them: with others the boxes are others, and a comparison shows it."""
    path = str(_checkpoint(tmp_path, small_anchors.state_dict()))
    origin = origins.TorchvisionOrigin(small_anchors, ("a", "b"))

    def settled(found):
        model = found.model
        model.transform.min_size, model.transform.max_size = (192,), 256
        model.rpn._pre_nms_top_n["testing"] = model.rpn._post_nms_top_n["testing"] = 150
        model.roi_heads.detections_per_img = 20
        return origins.TorchvisionOrigin(model, ("a", "b"))

    def differs(found) -> bool:
        pictured = [("astronaut", pictures()[0])]
        return bool(compare(origin, settled(found), pictured, limit=20).failures(Tolerance()))

    default = opened(Asked(weights=path))
    assert "anchors of 32 64 128 256 512 pixels" in default.assumed[0]
    assert differs(default)
    asked = opened(Asked(weights=path, anchors="8,16,32,64,128", ratios="0.5,2,1"))
    assert not any("anchors" in one for one in asked.assumed)
    assert not differs(asked)


@pytest.mark.slow
def test_a_whole_model_is_read_without_running_it(small_anchors, tmp_path):
    """Its weights, its anchors and its thresholds; nothing of its code."""
    small_anchors.roi_heads.nms_thresh = 0.42
    path = tmp_path / "whole.pth"
    for content in (small_anchors, {"epoch": 3, "model": small_anchors}):
        torch.save(content, path)
        found = opened(Asked(weights=str(path)))
        assert found.model.rpn.anchor_generator.sizes == ((8,), (16,), (32,), (64,), (128,))
        assert found.model.roi_heads.nms_thresh == 0.42
        assert found.model.roi_heads.detections_per_img == 20
        assert found.size == "192/256"
        assert found.assumed == []
        state = found.model.state_dict()
        for name, value in small_anchors.state_dict().items():
            torch.testing.assert_close(state[name], value)


def test_layers_of_ones_own_are_named_and_can_be_left_out(tmp_path, state):
    more = state | {"backbone.body.layer4.0.se.fc.weight": torch.ones(4, 4)}
    path = str(_checkpoint(tmp_path, more))
    with pytest.raises(ModelError, match=r"no part of a network.*layer4\.0\.se\.fc\.weight"):
        opened(Asked(weights=path))
    assert opened(Asked(weights=path, ignore=("*.se.*",)))


@pytest.mark.slow
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


# How far scores may lie from torchvision's. These networks of pseudo-random weights make rounding
# large: of the second, torchvision's own answers in float64 are 0.0105 away from those in float32,
# and those of another release in float32 are 0.0007. A wrong step loses detections outright.
@pytest.mark.reference
@pytest.mark.parametrize(("case", "score"), [("", 1e-3), ("_v2", 5e-3)])
def test_the_reference_answers(shared_reference, tmp_path, case, score):
    from tests.export.reference_answers import distance, unpacked
    from tests.export.reference_answers import pictures as photographs

    folder = shared_reference / f"torchvision_maskrcnn_resnet50_fpn{case}"
    checkpoint = unpacked(next(folder.glob("*.pth.xz")), tmp_path)
    model = models.from_state(weights.read_place(checkpoint)[1], None, checkpoint.name)
    path = tmp_path / "it.onnx"
    names = tuple(str(number) for number in range(90))
    onnx.save(converter.convert(model, names=names), str(path))
    segmenter = Segmenter.load(path, "cpu", threshold=0.0)
    found = distance(folder / "reference.npz", segmenter, photographs(shared_reference))
    assert found.expected == found.found == found.matched
    assert found.box < 0.5
    assert found.score < score
    assert found.soft < 1e-2


def test_what_pytorch_does_not_export_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unable(torch.nn.Module):
        def forward(self, image):
            return image.nonzero().tolist()

    metadata = tiny_models.metadata()
    with pytest.raises(
        ModelError,
        match=r"^PyTorch \S+ does not export this model: .*; exports are "
        r"tested with PyTorch 2\.11 and 2\.14: pip install 'torch==2\.14\.\*'$",
    ) as told:
        onnx_export.export_module(Unable(), metadata, height=8, width=8, dynamic=False)
    assert "\n" not in str(told.value)


def test_a_frozen_norm_without_an_epsilon_stays_what_it_is() -> None:
    import torch
    from torch import nn
    from torchvision.ops import FrozenBatchNorm2d

    # torchvision's own weights have none, and PyTorch 2.11 takes no such norm.
    frozen = FrozenBatchNorm2d(6, eps=0.0)
    generator = torch.Generator().manual_seed(3)
    for name, held in frozen.named_buffers():
        held.copy_(torch.rand(6, generator=generator) * (1e-3 if "var" in name else 2) + 1e-7)
    module = nn.ModuleDict({"norm": frozen})
    picture = torch.rand(2, 6, 5, 5, generator=generator)
    wanted = frozen(picture)
    spelled = foldable(module)["norm"]
    assert isinstance(spelled, nn.BatchNorm2d) and spelled.eps > 0
    assert torch.allclose(spelled(picture), wanted, rtol=1e-5, atol=1e-4)
    torch.export.export(spelled, (picture,))
