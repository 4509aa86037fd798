"""What an ONNX file is that `stream` did not export, told by its names and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from stream.inference.contract import INPUT
from stream.inference.onnx_ends import Graph
from stream.inference.onnx_file import OnnxFile

Shape = Sequence[int | str]

ADVICE = (
    "only Mask R-CNNs that `stream export` made of their checkpoints (.pth, .pkl, .h5, .pb) run "
    "here, and ONNX cannot be converted; export the Mask R-CNN's own checkpoint, or leave --model "
    "out for the bundled model"
)
"""What can be done about such a file."""

STRIPPED = (
    "a model as `stream export` makes them, but without its metadata, which another tool has left "
    "out (class names, how pictures are resized); take the file as it was exported, or copy all "
    "entries of its metadata_props that begin with 'stream.' into this one"
)
"""What is said of a file of ours that went through another tool."""

_OURS = {"boxes", "scores", "labels", "masks"}

_LEAST_TABLE = 500
"""Candidates that a detector of one stage has at least, and a classifier's answers at most."""


def describe(file: OnnxFile, graph: Graph) -> str:
    """What a file is and what can be done, in words that fit behind "it is".

    Args:
        file: its outside.
        graph: what goes in and comes out.
    """
    shape = graph.inputs.get(INPUT, ())
    if (
        set(graph.inputs) == {INPUT}
        and len(shape) == 4
        and shape[3] == 3
        and set(graph.outputs) >= _OURS
    ):
        return STRIPPED
    made = file.producer or "an unnamed program"
    given = _few(list(graph.inputs))
    answers = _few(list(graph.outputs))
    told = " ".join((*file.metadata.keys(), *file.metadata.values(), graph.name))
    what = kind(graph.outputs, told)
    return f"{what} (made by {made}, from {given} to {answers}): {ADVICE}"


def kind(outputs: Mapping[str, Shape], told: str = "") -> str:
    """What kind of network gives such outputs, with its article.

    Args:
        outputs: shapes by name; sizes that are not fixed are text.
        told: what else the file says of itself.
    """
    yolo = re.search(r"yolo|ultralytics", told.lower()) is not None
    names = {re.sub(r"[^a-z]", "", name.lower()) for name in outputs}
    shapes = [list(shape) for shape in outputs.values()]
    masks = any("mask" in name for name in names)
    tables = any(len(shape) == 3 and _long(shape) for shape in shapes)
    maps = any(len(shape) == 4 for shape in shapes)
    alone = len(shapes[0]) if len(shapes) == 1 else 0
    found = "boxes" in names and ("scores" in names or "confidences" in names)
    named = found and bool(names & {"labels", "classes"})
    tensorflow = "numdetections" in names or any(one.startswith("detection") for one in names)
    # MMDeploy's; boxes and scores in one table.
    both = {"dets", "labels"} <= names
    # Each of RF-DETR's queries has a score for each class in `labels`.
    queries = both and len(outputs.get("labels", ())) == 3
    prompted = bool(names & {"ioupredictions", "imageembeddings"})
    # With numbers for names, as PyTorch gives them: boxes, labels and scores, one of each.
    ranks = sorted(len(shape) for shape in shapes)
    numbered = any(len(shape) == 2 and shape[1] == 4 for shape in shapes)
    # detectron2's, by its fields or as tracing leaves them: with the picture's size behind.
    detectron = {"predboxes", "predclasses"} <= names
    sized = numbered and ranks in ([1, 1, 1, 2], [1, 1, 1, 2, 4])
    maker = "a YOLO" if yolo else "a one-stage"
    # The first that holds; each is told by more than those below it.
    kinds = (
        (tensorflow and masks, "a Mask R-CNN of the TensorFlow Object Detection API in ONNX"),
        (tensorflow, "a detector of the TensorFlow Object Detection API (SSD, Faster R-CNN)"),
        (
            prompted,
            "a part of a SAM, which outlines what it is shown and finds nothing by itself",
        ),
        (queries and masks, "a DETR model of objects and masks"),
        (
            (detectron and masks) or (sized and maps),
            "a Mask R-CNN of detectron2's export to ONNX",
        ),
        (detectron or sized, "a detector of detectron2's, which finds boxes and no masks"),
        ("predboxes" in names or queries, "a DETR detector, which finds boxes and no masks"),
        (named and masks, "a Mask R-CNN of another program's export"),
        (named, "a detector (Faster R-CNN, RetinaNet, FCOS), which finds boxes and no masks"),
        (both and masks, "a model of MMDetection (Mask R-CNN, RTMDet-Ins, ...) in ONNX"),
        (both, "a detector of MMDetection, which finds boxes and no masks"),
        (numbered and ranks == [1, 1, 2, 4], "a Mask R-CNN of another program's export"),
        (numbered and ranks == [1, 1, 2], "a detector, which finds boxes and no masks"),
        (tables and maps, f"{maker} model of objects and masks (segmentation by prototypes)"),
        (found, "an SSD detector, which finds boxes and no masks"),
        (tables, f"{maker} detector, which finds boxes and no masks"),
        (yolo, "a YOLO model"),
        (alone == 2, "a classifier, which says what a picture is and not where"),
        (alone in (3, 4), "a network that answers with a map (segmentation by pixels, depth, ...)"),
    )
    usual = "an ONNX model of another program's making"
    return next((what for holds, what in kinds if holds), usual)


def _long(shape: Shape) -> bool:
    return any(isinstance(side, str) or side >= _LEAST_TABLE for side in shape[1:])


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "") if names else "nothing"
