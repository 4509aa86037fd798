"""Exporting Matterport's Mask R-CNN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stream.errors import ModelError, UsageError
from stream.inference.batched import with_batch
from stream.inference.segmenter import Segmenter
from stream_export.converters._command import run
from stream_export.converters.matterport import Matterport
from tests.export import made_tensorflow as made
from tests.export.lazily import lazily
from tests.export.reference_answers import exported_distance, unpacked
from tests.export.torch_like import check_several, kept_in_float

onnx = lazily("onnx")
torch = lazily("torch")
read_keras = lazily("stream_export.checkpoints.keras", "read_keras")
Converted = lazily("stream_export.converters._request", "Converted")
Request = lazily("stream_export.converters._request", "Request")
matterport = lazily("stream_export.converters.matterport.model")
MatterportConfig = lazily("stream_export.converters.matterport.form", "MatterportConfig")
all_anchors = lazily("stream_export.converters.matterport.form", "all_anchors")
check_contract = lazily("stream_export.metadata", "check_contract")
save_model = lazily("stream_export.metadata", "save_model")

# An export takes seconds of work, and minutes where many programs share the processor.
pytestmark = pytest.mark.timeout(1800)

SMALL = "IMAGE_MIN_DIM=96 IMAGE_MAX_DIM=128 RPN_ANCHOR_SCALES=(8,16,32,64,128)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("matterport")
    made.write_keras(path / "small.h5")
    (path / "names.txt").write_text("\n".join(["balloon", "kite", "person"][: made.CLASSES]))
    return path


def small(folder: Path, **asked: object) -> Request:
    values = {"config": SMALL, "names": folder / "names.txt", "score": 0.0, "detections": 20}
    return Request(folder / "small.h5", **{**values, **asked})  # type: ignore[arg-type]


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_what_shapes_tell_is_read_from_them(folder: Path) -> None:
    config = matterport.configure(read_keras(folder / "small.h5"), SMALL)
    assert config.counts == (2, 1, 1, 1)
    assert (config.stem, config.width, config.outputs, config.channels) == (4, 2, 4, 6)
    assert (config.hidden, config.box_channels, config.mask_channels) == (8, 10, 5)
    assert config.classes == made.CLASSES + 1 and config.box_pool == 7
    assert (config.shortest, config.longest) == (96, 128)
    assert config.anchor_sizes == (8, 16, 32, 64, 128)


def test_settings_come_as_words_as_a_printed_list_or_as_python(tmp_path: Path) -> None:
    assert matterport.settings_for(None) == {}
    words = matterport.settings_for("IMAGE_MAX_DIM=512 DETECTION_MIN_CONFIDENCE=0.9")
    assert words == {"longest": 512, "score": 0.9}
    printed = tmp_path / "config.txt"
    printed.write_text(
        "Configurations:\nBACKBONE                       resnet101\n"
        "BBOX_STD_DEV                   [0.1 0.1 0.2 0.2]\nIMAGE_MIN_DIM   800\n"
        "IMAGE_MIN_SCALE                0\nMEAN_PIXEL   [123.7 116.8 103.9]\n"
    )
    found = matterport.settings_for(str(printed))
    assert found["box_deviation"] == (0.1, 0.1, 0.2, 0.2) and found["mean"] == (123.7, 116.8, 103.9)
    assert found["shortest"] == 800 and found["smallest_scale"] == 0.0
    python = tmp_path / "balloon.py"
    python.write_text(
        "import os\nos.system('touch executed')\nclass BalloonConfig(Config):\n"
        "    NUM_CLASSES = 1 + 1  # a comment\n    IMAGE_MAX_DIM = 640  # another\n"
        "    RPN_ANCHOR_SCALES = (8, 16, 32, 64, 128)\n    USE_MINI_MASK = False\n"
        "    MEAN_PIXEL = np.array([1, 2, 3])\n"
    )
    assert matterport.settings_for(str(python)) == {
        "longest": 640, "anchor_sizes": (8, 16, 32, 64, 128), "mean": (1, 2, 3), "classes": 2
    }  # fmt: skip
    python.write_text("IMAGE_MAX_DIM = 64\nNUM_CLASSES = 1 + len(names)\n")
    assert matterport.settings_for(str(python)) == {"longest": 64}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("resnet101", "neither a file nor a setting such as IMAGE_MAX_DIM=512"),
        ("IMAGE_RESIZE_MODE=pad64", "only square is supported"),
        ("RPN_ANCHOR_STRIDE=2", "only 1 is supported"),
        ("IMAGE_MAX_DIM=large", "makes no sense"),
        ("BBOX_STD_DEV=(1,2)", "has 2 numbers, 4 are needed"),
        ("RPN_ANCHOR_RATIOS=(1,2)", "has 3 anchors per cell"),
        ("RPN_ANCHOR_SCALES=(1,2)", "must have five numbers"),
        ("IMAGE_MAX_DIM=100", "must be multiples of 64"),
        ("NUM_CLASSES=3", r"is 3 \(background included\), the weights have 4"),
    ],
)
def test_settings_that_make_no_sense_are_refused(folder: Path, config: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        matterport.convert(small(folder, config=config))


def test_names_are_asked_for_and_counted(folder: Path) -> None:
    with pytest.raises(UsageError, match="3 classes and does not name them; give --names"):
        matterport.convert(small(folder, names=None))
    config = folder / "balloon.py"
    added = "IMAGE_MIN_DIM = IMAGE_MAX_DIM = 64\n" + "".join(
        f"self.add_class('balloon', {number}, '{name}')\n"
        for number, name in ((2, "kite"), (1, "jug"))
    )
    config.write_text(added)
    with pytest.raises(UsageError, match=r"3 classes, but 2 are named \(jug, kite: .* adds them"):
        matterport.convert(small(folder, names=None, config=str(config)))
    config.write_text(f"{added}self.add_class('balloon', 3, 'cup')\n")
    metadata = matterport.convert(small(folder, names=None, config=str(config))).metadata
    assert (metadata.names, metadata.licence) == (("jug", "kite", "cup"), "unknown")


def test_anchors_are_normalised_by_level_row_column_and_ratio() -> None:
    anchors = all_anchors(MatterportConfig(), (128, 128))
    assert len(anchors) == 3 * sum((128 // stride) ** 2 for stride in (4, 8, 16, 32, 64))
    # Level 2, row 0, column 1, ratio 1: 32 pixels about x = 4, y = 0.
    wanted = torch.tensor([(4 - 16) / 127, -16 / 127, (4 + 16 - 1) / 127, (16 - 1) / 127])
    torch.testing.assert_close(anchors[4], wanted)


@pytest.fixture(scope="module")
def exact(folder: Path) -> tuple[Converted, Path]:
    request = small(folder, exact=True)
    converted = matterport.convert(request)
    save_model(converted.to_onnx("matterport", request), folder / "exact.onnx")
    return converted, folder / "exact.onnx"


@pytest.mark.slow
def test_the_exported_file_answers_as_the_form_does(exact: tuple[Converted, Path]) -> None:
    converted, path = exact
    metadata = check_contract(onnx.load(str(path)))
    assert metadata.resize.mode == "native"
    assert metadata.names == ("balloon", "kite", "person")
    assert "ResNet-17" in metadata.origin
    last = {"logits", "deltas", "box_logits", "box_deltas", "mask_predictor"}
    assert kept_in_float(converted.module) == last
    segmenter = Segmenter.load(path, "cpu", threshold=0.0)
    with pytest.raises(ValueError, match="none of its convolutions"):
        with_batch(path.read_bytes(), 2)  # its own resizing knows one picture only
    for height, width in ((70, 110), (128, 96), (300, 280)):
        image = picture(height, width)
        with torch.no_grad():
            boxes, scores, labels, masks = converted.module(torch.from_numpy(image)[None])
        found = segmenter(image)
        assert len(found) == len(boxes) > 3
        np.testing.assert_allclose(found.scores, scores, atol=1e-4)
        np.testing.assert_array_equal(found.labels, labels)
        # A coordinate may be rounded the other way.
        assert np.abs(found.boxes - np.clip(boxes, 0, max(height, width)).numpy()).max() <= 1
        np.testing.assert_allclose(np.median(np.abs(found.masks - masks.numpy())), 0, atol=1e-4)
        # The original answers in whole pixels of the picture.
        assert np.all(found.boxes == np.round(found.boxes))
        assert found.boxes[:, 2].max() <= width and found.boxes[:, 3].max() <= height


def test_the_fast_form_lets_the_runtime_resize(folder: Path) -> None:
    converted = matterport.convert(small(folder))
    resize = converted.metadata.resize
    assert (converted.height, converted.width, converted.dynamic) == (128, 128, False)
    geometry = resize.geometry(200, 100)
    assert geometry.size == (128, 128) and geometry.content == (128, 64)
    assert geometry.offset == (0, 32)
    image = torch.from_numpy(picture(128, 128))[None]
    with torch.no_grad():
        boxes, scores, labels, masks = converted.module(image)
    assert boxes.shape == (len(scores), 4) and masks.shape == (len(scores), 28, 28)
    assert labels.max() < made.CLASSES and float(boxes.max()) <= 128
    letterbox = matterport.convert(small(folder, size="192x128"))
    assert (letterbox.height, letterbox.width) == (128, 192)


@pytest.mark.slow
def test_the_fast_form_takes_several_pictures_at_once(folder: Path) -> None:
    request = small(folder)
    model = matterport.convert(request).to_onnx("matterport", request)
    check_several(model.SerializeToString(), picture(128, 128)[None])


def test_nothing_found_is_an_answer(folder: Path, tmp_path: Path) -> None:
    arrays = made.matterport()
    arrays["mrcnn_class_logits/mrcnn_class_logits/bias:0"][0] = 1e4
    path = made.write_keras(tmp_path / "a.h5", arrays)
    converted = matterport.convert(Request(path, config=SMALL, names=folder / "names.txt"))
    with torch.no_grad():
        boxes, _, _, masks = converted.module(torch.from_numpy(picture(128, 128))[None])
    assert boxes.shape == (0, 4) and masks.shape == (0, 28, 28)


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ("mrcnn_class_logits", "the heads must not have been excluded"),
        ("mrcnn_mask/", "it has no mask head"),
        ("res3a_branch2a", "its backbone is no ResNet of Matterport's"),
        ("fpn_p3", "lacks the weight 'fpn_p3.weight'"),
    ],
)
def test_files_that_lack_something_say_what(
    folder: Path, tmp_path: Path, without: str, said: str
) -> None:
    arrays = {name: value for name, value in made.matterport().items() if without not in name}
    path = made.write_keras(tmp_path / "a.h5", arrays)
    with pytest.raises(ModelError, match=said):
        matterport.convert(Request(path, config=SMALL, names=folder / "names.txt"))


def test_another_system_s_file_names_the_right_command(tmp_path: Path) -> None:
    path = made.write_graph(tmp_path / "graph.pb", made.inception_v2())
    with pytest.raises(ModelError, match="convert it with: stream export tensorflow"):
        run(Matterport, Request(path), tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.reference
@pytest.mark.parametrize(
    ("depth", "edge", "expected"), [(50, 320, 38), (101, 320, 16), (50, 1024, 122), (101, 1024, 43)]
)
def test_the_original_s_answers_are_met(
    shared_reference: Path, tmp_path: Path, depth: int, edge: int, expected: int
) -> None:
    case = shared_reference / f"matterport_resnet{depth}"
    request = Request(
        unpacked(case / "mask_rcnn_coco.h5.xz", tmp_path),
        config="IMAGE_MIN_DIM=256 IMAGE_MAX_DIM=320" if edge == 320 else None,
        exact=True,
    )
    answers = case / f"reference_{edge}.npz"
    found = exported_distance(
        shared_reference, matterport.convert(request), "matterport", request, answers, whole=True
    )
    assert found.expected == found.found == found.matched == expected
    # The original rounds boxes to whole pixels. A coordinate within float noise of a half may be
    # rounded the other way; its mask is the same, a pixel further.
    assert found.moved <= (depth == 50) and found.box <= found.moved
    assert found.score <= 6e-4 and found.soft <= 1e-3
    assert found.masks >= 0.97 and found.moved_masks >= 0.97
