"""Exporting the TensorFlow Object Detection API's Mask R-CNN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stream.errors import ModelError, UsageError
from stream.inference.segmenter import Segmenter
from stream_export.checkpoints.graphdef import read_graphdef
from stream_export.converters._command import run
from stream_export.converters.tensorflow import Tensorflow
from stream_export.names import coco_numbers
from tests.export import made_tensorflow as made
from tests.export.lazily import lazily
from tests.export.reference_answers import exported_distance, unpacked
from tests.export.torch_like import check_several, kept_in_float

onnx = lazily("onnx")
torch = lazily("torch")
frozen_weights = lazily("stream_export.checkpoints.frozen", "frozen_weights")
Converted = lazily("stream_export.converters._request", "Converted")
Request = lazily("stream_export.converters._request", "Request")
tensorflow = lazily("stream_export.converters.tensorflow.model")
body_of = lazily("stream_export.converters.tensorflow.bodies", "body_of")
build = lazily("stream_export.converters.tensorflow.bodies", "build")
check_contract = lazily("stream_export.metadata", "check_contract")
save_model = lazily("stream_export.metadata", "save_model")

# An export takes seconds of work, and minutes where many programs share the processor.
pytestmark = pytest.mark.timeout(1800)

PIPELINE = """model {
  faster_rcnn {
    num_classes: 3
    image_resizer { keep_aspect_ratio_resizer { min_dimension: 96 max_dimension: 160 } }
    feature_extractor { type: "faster_rcnn_inception_v2" first_stage_features_stride: 16 }
    first_stage_anchor_generator {
      grid_anchor_generator {
        height_stride: 16 width_stride: 16 height: 64 width: 64
        scales: 0.25 scales: 0.5 scales: 1.0 scales: 2.0
        aspect_ratios: 0.5 aspect_ratios: 1.0 aspect_ratios: 2.0
      }
    }
    first_stage_max_proposals: 20
    initial_crop_size: 14 maxpool_kernel_size: 2 maxpool_stride: 2
    second_stage_box_predictor {
      mask_rcnn_box_predictor { predict_instance_masks: true mask_height: 15 mask_width: 15 }
    }
    second_stage_post_processing {
      batch_non_max_suppression { score_threshold: 0.1 iou_threshold: 0.6
        max_detections_per_class: 10 max_total_detections: 12 }
      score_converter: SOFTMAX
    }
  }
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tensorflow")
    # What the graph says of itself: clipping behind suppression, and the masks' size.
    scope = "BatchMultiClassNonMaxSuppression/map/while/MultiClassNonMaxSuppression"
    glue = made.node(f"{scope}/SortByField/GatherV2", "GatherV2", [])
    glue += made.node(
        f"{scope}/ClipToWindow/split", "Split", ["d", f"{scope}/SortByField/GatherV2"]
    )
    size = "SecondStageBoxPredictor_1/ResizeBilinear/size"
    glue += made.constant(size, np.array([9, 9], np.int32), kind=3)
    glue += made.node("SecondStageBoxPredictor_1/ResizeBilinear", "ResizeBilinear", ["x", size])
    made.write_graph(path / "small.pb", made.inception_v2(), glue)
    (path / "pipeline.config").write_text(PIPELINE)
    (path / "names.txt").write_text("balloon\nkite\nperson\n")
    return path


def small(folder: Path, **asked: object) -> Request:
    values = {"config": str(folder / "pipeline.config"), "names": folder / "names.txt"}
    return Request(folder / "small.pb", **{**values, **asked})  # type: ignore[arg-type]


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_the_pipeline_says_what_weights_do_not(folder: Path) -> None:
    nodes = read_graphdef(folder / "small.pb")
    weights = frozen_weights(folder / "small.pb", nodes)
    message = tensorflow.read_prototext(folder / "pipeline.config")
    config = tensorflow.configure(nodes, weights, message)
    assert (config.shortest, config.longest, config.stride) == (96, 160, 16)
    assert (config.anchor_base, config.proposals, config.score) == (64, 20, 0.1)
    assert (config.per_class, config.detections, config.mask_size) == (10, 12, 15)
    assert config.hidden_dilation == 1 and config.clip_last
    # Without one the published models' values hold, and what the graph tells.
    config = tensorflow.configure(nodes, weights)
    assert (config.shortest, config.longest, config.proposals) == (800, 1365, 100)
    assert (config.score, config.iou, config.mask_size) == (0.3, 0.6, 9)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("num_classes: 3", "num_classes: 90", "it says 90 classes, the graph has 3"),
        ("keep_aspect_ratio_resizer", "fixed_shape_resizer", "only keep_aspect_ratio_resizer"),
        ("max_dimension: 160", "pad_to_max_dimension: true", "pad_to_max_dimension is not"),
        ("height_stride: 16", "height_stride: 8", "not 16 pixels apart"),
        ("height_stride: 16", "height_stride: 16 width_offset: 8", "an offset are not supported"),
        ("mask_width: 15", "mask_width: 14", "masks that are not square"),
        ("SOFTMAX", "SIGMOID", "scores by SIGMOID"),
        ("scales: 0.25", "", "12 anchors per cell"),
        ("faster_rcnn {", "ssd {", "does not configure a Faster R-CNN"),
        ("num_classes: 3", "num_classes", "not in protobuf's text format"),
    ],
)
def test_pipelines_that_do_not_fit_are_refused(
    folder: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    (tmp_path / "pipeline.config").write_text(PIPELINE.replace(old, new))
    with pytest.raises(UsageError, match=said):
        tensorflow.convert(small(folder, config=str(tmp_path / "pipeline.config")))


def test_what_is_missing_is_asked_for(folder: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file; give a pipeline"):
        tensorflow.convert(small(folder, config="none.config"))
    with pytest.raises(UsageError, match="3 classes and does not name them"):
        tensorflow.convert(small(folder, names=None))


@pytest.fixture(scope="module")
def exact(folder: Path) -> tuple[Converted, Path]:
    request = small(folder, exact=True)
    converted = tensorflow.convert(request)
    save_model(converted.to_onnx("tensorflow", request), folder / "exact.onnx")
    return converted, folder / "exact.onnx"


@pytest.mark.slow
def test_the_exported_file_answers_as_the_form_does(exact: tuple[Converted, Path]) -> None:
    converted, path = exact
    metadata = check_contract(onnx.load(str(path)))
    assert metadata.resize.mode == "native" and "InceptionV2" in metadata.origin
    last = {"logits", "deltas", "box_logits", "box_deltas", "mask_last"}
    assert kept_in_float(converted.module) == last
    segmenter = Segmenter.load(path, "cpu", threshold=0.0)
    check_several(path.read_bytes(), picture(70, 110)[None])
    for height, width in ((70, 110), (129, 97), (300, 283)):
        image = picture(height, width)
        with torch.no_grad():
            boxes, scores, labels, masks, frames = converted.module(torch.from_numpy(image)[None])
        found = segmenter(image)
        assert len(found) == len(boxes) >= 3
        np.testing.assert_allclose(found.scores, scores, atol=1e-4)
        np.testing.assert_array_equal(found.labels, labels)
        np.testing.assert_allclose(found.boxes, boxes, atol=0.02)
        assert masks.shape[1:] == found.masks.shape[1:] == (253, 253)
        assert frames.shape == boxes.shape
        assert float(scores.min()) > 0.1 and len(scores) <= 12


def test_the_fast_form_lets_the_runtime_resize(folder: Path) -> None:
    converted = tensorflow.convert(small(folder))
    assert converted.metadata.resize.mode == "shortest_edge" and converted.dynamic
    assert converted.metadata.resize.geometry(200, 100).content == (160, 80)
    with torch.no_grad():
        boxes, _, _, masks, _ = converted.module(torch.from_numpy(picture(96, 128))[None])
    assert masks.shape == (len(boxes), 57, 57)
    letterbox = tensorflow.convert(small(folder, size="192x128", score=1.0))
    assert (letterbox.height, letterbox.width, letterbox.dynamic) == (128, 192, False)
    with torch.no_grad():
        boxes, _, _, masks, _ = letterbox.module(torch.from_numpy(picture(128, 192))[None])
    assert boxes.shape == (0, 4) and masks.shape == (0, 57, 57)


@pytest.mark.slow
def test_the_fast_form_takes_several_pictures_at_once(folder: Path) -> None:
    request = small(folder)
    model = tensorflow.convert(request).to_onnx("tensorflow", request)
    check_several(model.SerializeToString(), picture(96, 128)[None])


@pytest.mark.parametrize(
    ("arrays", "body", "strides"),
    [
        (made.inception_v2(), "inception_v2", (16,)),
        (made.resnet(), "resnet", (8, 16)),
        (made.inception_resnet(), "inception_resnet_v2", (8, 16)),
    ],
)
def test_backbones_are_put_together_from_names(
    tmp_path: Path, arrays: made.Arrays, body: str, strides: tuple[int, ...]
) -> None:
    path = made.write_graph(tmp_path / "a.pb", arrays)
    weights = frozen_weights(path, read_graphdef(path))
    assert body_of(weights)[0] == body
    for stride in strides:
        first, second = build(weights, stride)
        with torch.no_grad():
            maps = first(torch.randn(1, 3, 65, 48))
            assert maps.shape[1:] == (
                weights.shape("Conv.weight")[1],
                -(-65 // stride),
                48 // stride,
            )
            assert torch.isfinite(maps).all() and float(maps.std()) > 0
            seen = second(torch.randn(2, maps.shape[1], 7, 7))
            head = weights.shape("SecondStageBoxPredictor/ClassPredictor.weight")[1]
            assert seen.shape[:2] == (2, head)
    with pytest.raises(ModelError, match="stride of 4"):
        build(weights, 4)


@pytest.mark.parametrize("arrays", [made.resnet(), made.inception_resnet()])
def test_the_other_backbones_find_instances_too(tmp_path: Path, arrays: made.Arrays) -> None:
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    request = Request(
        made.write_graph(tmp_path / "a.pb", arrays), names=tmp_path / "names.txt", score=0.05
    )
    converted = tensorflow.convert(request)
    with torch.no_grad():
        boxes, scores, labels, masks, _ = converted.module(torch.from_numpy(picture(96, 130))[None])
    assert len(boxes) == len(scores) == len(labels) >= 1
    assert masks.shape == (len(boxes), 65, 65)


def test_a_plain_inception_of_the_same_weights_gives_the_same_maps(tmp_path: Path) -> None:
    """One residual unit and the separable stem, written out in TensorFlow's own terms."""
    arrays = made.inception_v2()
    path = made.write_graph(tmp_path / "a.pb", arrays)
    first, _ = build(frozen_weights(path, read_graphdef(path)), 16)
    scope = "FirstStageFeatureExtractor/InceptionV2/Conv2d_1a_7x7"
    image = torch.randn(1, 3, 20, 21)
    depthwise = torch.from_numpy(arrays[f"{scope}/depthwise_weights"])
    pointwise = torch.from_numpy(arrays[f"{scope}/pointwise_weights"])
    # 20 cells in steps of 2 under a kernel of 7 need 5 more, 21 need 6; the odd one at the end.
    padded = torch.nn.functional.pad(image, (3, 3, 2, 3))
    kernel = depthwise.permute(2, 3, 0, 1).reshape(6, 1, 7, 7)
    maps = torch.nn.functional.conv2d(padded, kernel, stride=2, groups=3)
    maps = torch.nn.functional.conv2d(maps, pointwise.permute(3, 2, 0, 1))
    gamma, beta, mean, variance = (
        torch.from_numpy(arrays[f"{scope}/BatchNorm/{part}"]).reshape(1, -1, 1, 1)
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    wanted = torch.relu((maps - mean) / torch.sqrt(variance + 1e-3) * gamma + beta)
    assert isinstance(first, torch.nn.Sequential)
    with torch.no_grad():
        torch.testing.assert_close(first[0](image), wanted, atol=1e-4, rtol=1e-4)


def test_coco_s_numbers_keep_their_gaps() -> None:
    names = coco_numbers()
    assert len(names) == 90 and names.count("N/A") == 10
    assert (names[0], names[11], names[12], names[89]) == (
        "person", "N/A", "stop sign", "toothbrush"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ("SecondStageBoxPredictor/ClassPredictor", "no frozen Faster R-CNN"),
        ("SecondStageBoxPredictor/Conv", "it has no mask head"),
        ("Conv2d_2b_1x1", "lacks the weight '.*Conv2d_2b_1x1.weight'"),
        ("Mixed_4c/Branch_1/", "its layers do not fit together"),
        ("FirstStageFeatureExtractor", "its backbone .none. is none of"),
    ],
)
def test_graphs_that_lack_something_say_what(tmp_path: Path, without: str, said: str) -> None:
    arrays = {name: value for name, value in made.inception_v2().items() if without not in name}
    path = made.write_graph(tmp_path / "a.pb", arrays)
    with pytest.raises(ModelError, match=said):
        tensorflow.convert(Request(path))


def test_another_system_s_file_names_the_right_command(tmp_path: Path) -> None:
    path = made.write_keras(tmp_path / "mask_rcnn.h5")
    with pytest.raises(ModelError, match="convert it with: stream export matterport"):
        run(Tensorflow, Request(path), tmp_path / "a.onnx")


@pytest.mark.reference
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("inception_v2", 121),
        ("resnet50_atrous", 150),
        ("resnet101_atrous", 56),
        ("inception_resnet_v2_atrous", 91),
    ],
)
def test_the_original_s_answers_are_met(
    shared_reference: Path, tmp_path: Path, name: str, expected: int
) -> None:
    case = shared_reference / f"tfod_mask_rcnn_{name}_coco"
    request = Request(
        unpacked(case / "frozen_inference_graph.pb.xz", tmp_path),
        config=str(case / "pipeline.config"),
        exact=True,
        names="coco90",
    )
    answers = case / "reference.npz"
    found = exported_distance(
        shared_reference, tensorflow.convert(request), "tensorflow", request, answers
    )
    assert found.expected == found.found == found.matched == expected
    assert found.box <= 0.04 and found.score <= 6e-4
    # Beyond 4e-3: two of 150 masks of ResNet-50 (4.9e-3 at worst), 7 of 91 of Inception-ResNet v2
    # (1.84e-2). These masks amplify their box's float noise: from the export's boxes, 0.009 pixel
    # away, the original graph makes the same 91 masks within 1.1e-4; run with other convolution
    # kernels, it differs from these answers by 5.3e-3 and 1.3e-2 (docs/origins.md).
    worst = {"resnet50_atrous": 6e-3, "inception_resnet_v2_atrous": 2.5e-2}.get(name, 4e-3)
    assert found.soft <= 2e-3 and found.soft_worst <= worst
    assert found.masks >= 0.97
