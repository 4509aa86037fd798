"""A model that is not ours is told what it is and what can be done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stream.errors import ModelError
from stream.inference.catalogue import open_model
from stream.inference.foreign import kind
from stream.inference.onnx_ends import read_graph
from stream_export.metadata import load_model
from tests import tiny_models

KNOWN = {
    "YOLO11 detection": ({"output0": (1, 84, 8400)}, "Ultralytics YOLO11n", "a YOLO detector"),
    "YOLOv8 segmentation": (
        {"output0": (1, 116, 8400), "output1": (1, 32, 160, 160)}, "yolov8n-seg", "a YOLO model"),
    "YOLOX, unnamed": ({"output": (1, 8400, 85)}, "", "a one-stage detector"),
    "end-to-end YOLO": ({"output0": (1, 300, 6)}, "yolo26", "a YOLO model"),
    "SSD": ({"scores": (1, 3000, 21), "boxes": (1, 3000, 4)}, "", "an SSD detector"),
    "Faster R-CNN": (
        {"boxes": ("n", 4), "labels": ("n",), "scores": ("n",)}, "", "a detector (Faster R-CNN"),
    "Mask R-CNN": (
        {"boxes": ("n", 4), "labels": ("n",), "scores": ("n",), "masks": ("n", 1, "h", "w")},
        "", "a Mask R-CNN of another program"),
    "Mask R-CNN, numbered": (
        {"6568": ("n", 4), "6570": ("n",), "6572": ("n",), "6887": ("n", 1, 28, 28)},
        "", "a Mask R-CNN of another program"),
    "Faster R-CNN, numbered": (
        {"6379": ("n", 4), "6381": ("n",), "6383": ("n",)}, "", "a detector, which"),
    "detectron2": (
        {"pred_boxes": ("n", 4), "pred_classes": ("n",), "pred_masks": ("n", 1, 28, 28),
         "scores": ("n",)}, "", "a Mask R-CNN of detectron2"),
    "detectron2, traced": (
        {"value": ("n", 4), "v": ("n",), "value.3": ("n", 1, 28, 28), "o": ("n",), "s": (2,)},
        "", "a Mask R-CNN of detectron2"),
    "detectron2 without masks": (
        {"value": ("n", 4), "v": ("n",), "o": ("n",), "s": (2,)}, "", "a detector of detectron2"),
    "YOLACT": (
        {"loc": (1, 19248, 4), "conf": (1, 19248, 81), "mask": (1, 19248, 32),
         "priors": (19248, 4), "proto": (1, 138, 138, 32)}, "", "a one-stage model of objects and"),
    "MMDeploy": (
        {"dets": (1, "n", 5), "labels": (1, "n"), "masks": (1, "n", "h", "w")},
        "", "a model of MMDetection"),
    "MMDeploy without masks": (
        {"dets": (1, "n", 5), "labels": (1, "n")}, "", "a detector of MMDetection"),
    "TensorFlow": (
        {"detection_boxes:0": (1, 100, 4), "num_detections:0": (1,)}, "", "a detector of the"),
    "TensorFlow with masks": (
        {"detection_boxes": (1, 100, 4), "detection_masks": (1, 100, 33, 33)},
        "", "a Mask R-CNN of the TensorFlow"),
    "DETR": ({"pred_logits": (1, 100, 92), "pred_boxes": (1, 100, 4)}, "", "a DETR detector"),
    "RF-DETR": ({"dets": (1, 300, 4), "labels": (1, 300, 91)}, "", "a DETR detector"),
    "RF-DETR with masks": (
        {"dets": (1, 300, 4), "labels": (1, 300, 91), "masks": (1, 300, 108, 108)},
        "", "a DETR model of objects and masks"),
    "SAM's encoder": ({"image_embeddings": (1, 256, 64, 64)}, "", "a part of a SAM"),
    "SAM's decoder": (
        {"masks": (1, 1, "h", "w"), "iou_predictions": (1, 1), "low_res_masks": (1, 1, 256, 256)},
        "", "a part of a SAM"),
    "ResNet": ({"logits": (1, 1000)}, "", "a classifier"),
    "DeepLab": ({"out": (1, 21, "h", "w")}, "", "a network that answers with a map"),
    "sound": ({"text": ("n",)}, "", "an ONNX model of another program"),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_a_network_is_told_by_its_outputs(name):
    outputs, told, what = KNOWN[name]
    assert kind(outputs, told).startswith(what)


def made(path: Path, outputs: dict[str, tuple[int | str, ...]], **properties: str) -> Path:
    """A model with such outputs and some weights, made by nobody in particular."""
    weights = numpy_helper.from_array(np.zeros(5000, np.float32), "weights")
    doubles = helper.make_tensor("doubles", TensorProto.DOUBLE, [3], [0.5, 1.5, 2.5])
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()]
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 640, 640])
    listed = helper.make_tensor_value_info("weights", TensorProto.FLOAT, [5000])
    nodes = [helper.make_node("Identity", ["images"], [name]) for name in outputs]
    graph = helper.make_graph(nodes, "main_graph", [given, listed], values, [weights, doubles])
    model = helper.make_model(graph, producer_name="pytorch")
    helper.set_model_props(model, properties)
    onnx.save(model, path)
    return path


def test_the_ends_of_a_graph_are_read_without_its_inside(tmp_path):
    path = made(tmp_path / "a.onnx", {"output0": (1, 84, 8400), "text": ("n", 4)})
    graph = read_graph(path)
    assert graph.name == "main_graph"
    assert graph.inputs == {"images": ("batch", 3, 640, 640)}  # weights are no input
    assert graph.outputs == {"output0": (1, 84, 8400), "text": ("n", 4)}
    ours = read_graph(tiny_models.nothing(tmp_path / "b.onnx"))
    assert set(ours.inputs) == {"image"} and set(ours.outputs) >= {"boxes", "scores", "labels"}


def test_a_foreign_model_is_one_sentence_that_helps(tmp_path):
    path = made(tmp_path / "yolo11n.onnx", {"output0": (1, 84, 8400)}, author="Ultralytics")
    with pytest.raises(ModelError) as told:
        open_model(path)
    said = str(told.value)
    assert "yolo11n.onnx" in said and "it is a YOLO detector" in said
    assert "made by pytorch, from images to output0" in said
    assert "ONNX cannot be converted" in said and "leave --model out" in said
    assert "\n" not in said and "convert it with" not in said


@pytest.mark.parametrize("cut", [40, 200, 5000])
def test_a_foreign_model_that_is_cut_short_is_refused(tmp_path, cut):
    path = made(tmp_path / "a.onnx", {"output0": (1, 84, 8400)})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelError):
        open_model(path)


def test_weights_that_are_inputs_too_are_none(tmp_path: Path) -> None:
    # As files of version 3 of the format have them, wherever they stand in the file.
    value = helper.make_tensor_value_info
    picture, weight = (value(name, TensorProto.FLOAT, [2, "n"]) for name in ("image", "weight"))
    answer = value("answer", TensorProto.FLOAT, [2, "n"])
    stored = numpy_helper.from_array(np.ones((2, 2), np.float32), "weight")
    node = helper.make_node("Mul", ["image", "weight"], ["answer"])
    path = tmp_path / "old.onnx"
    for inputs in ([picture], [picture, weight], [weight, picture]):
        graph = helper.make_graph([node], "old", inputs, [answer], [stored])
        onnx.save(helper.make_model(graph), path)
        read = read_graph(path)
        assert read.inputs == {"image": (2, "n")} and read.outputs == {"answer": (2, "n")}


def test_a_model_of_ours_whose_metadata_were_left_out_is_told_as_that(tmp_path):
    path = tiny_models.nothing(tmp_path / "mine.onnx")
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"without its metadata, which another tool has left out"):
        open_model(path)
    # Of tools of the export too, who said that another program had made it.
    with pytest.raises(ModelError, match=r"without its metadata, which another tool has left out"):
        load_model(path)
