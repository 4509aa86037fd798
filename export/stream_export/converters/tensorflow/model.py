"""Reading the TensorFlow Object Detection API's frozen Mask R-CNN graphs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stream.errors import ModelError, UsageError
from stream.inference.contract import MASK_BOXES, OUTPUTS, Metadata, Resize
from stream.wording.words import counted
from stream_export.checkpoints.frozen import frozen_weights, without_import
from stream_export.checkpoints.graphdef import GraphNode, read_graphdef
from stream_export.checkpoints.prototext import Message, read_prototext
from stream_export.checkpoints.weights import Weights, fits
from stream_export.converters._request import Converted, Request, example_size
from stream_export.converters.tensorflow.bodies import body_of
from stream_export.converters.tensorflow.form import (
    FIRST_BOXES,
    SECOND_BOXES,
    TensorflowConfig,
    TensorflowForm,
)
from stream_export.names import data_set, names_for

_FINE, _FINER = 56, 240
"""Cells along a mask's edge in the contract's frame, about: as a rule, and where exactness counts.

The outermost ones are lost to the contract's fade, see `frame_masks`; with the finer grid no mask
of the reference pictures loses more than 3 % by it.
"""


def configure(
    nodes: Mapping[str, GraphNode], weights: Weights, pipeline: Message | None = None
) -> TensorflowConfig:
    """The configuration: as `pipeline.config` says, else as the published models have it.

    Args:
        nodes: of the graph.
        weights: of the graph.
        pipeline: the contents of a `pipeline.config`, or None.

    Raises:
        ModelError: the graph is of another architecture.
        UsageError: the configuration is not supported, or contradicts the weights.
    """
    _refuse_others(weights)
    body, _ = body_of(weights)
    clip_last = any(
        "MultiClassNonMaxSuppression/ClipToWindow/split" in name
        and any("SortByField" in entry for entry in node.inputs)
        for name, node in nodes.items()
    )
    # Of the models that were published, those but Inception v2's are "atrous".
    atrous = body != "inception_v2"
    large = body == "inception_resnet_v2"
    config = TensorflowConfig(
        stride=8 if atrous else 16,
        hidden_dilation=2 if atrous else 1,
        crop=17 if large else 14,
        pool=1 if large else 2,
        pool_stride=1 if large else 2,
        mask_size=_mask_size(nodes, 33 if atrous else 15),
        clip_last=clip_last,
    )
    if pipeline is not None:
        config = _configured(config, pipeline, weights)
    anchors = weights.shape(f"{FIRST_BOXES}/ClassPredictor.weight")[0] // 2
    if anchors != len(config.anchor_scales) * len(config.anchor_ratios):
        raise UsageError(
            f"{weights.path}: it has {counted(anchors, 'anchor')} per cell; give its "
            "pipeline.config with --config"
        )
    return config


def _configured(config: TensorflowConfig, pipeline: Message, weights: Weights) -> TensorflowConfig:
    model = pipeline.message("model.faster_rcnn")
    if model is None:
        raise UsageError(f"{pipeline.source}: it does not configure a Faster R-CNN with masks")
    resizer = model.message("image_resizer.keep_aspect_ratio_resizer")
    if resizer is None:
        raise UsageError(
            f"{pipeline.source}: only keep_aspect_ratio_resizer is supported; export with --size "
            "and without --config"
        )
    if resizer.flag("pad_to_max_dimension", default=False):
        raise UsageError(f"{pipeline.source}: pad_to_max_dimension is not supported")
    classes = int(model.number("num_classes", 0))
    found = weights.shape(f"{SECOND_BOXES}/ClassPredictor.weight")[0] - 1
    if classes and classes != found:
        raise UsageError(
            f"{pipeline.source}: it says {counted(classes, 'class', 'classes')}, the graph has "
            f"{found}; it belongs to another model"
        )
    grid = "first_stage_anchor_generator.grid_anchor_generator"
    suppression = "second_stage_post_processing.batch_non_max_suppression"
    predictor = "second_stage_box_predictor.mask_rcnn_box_predictor"
    stride = int(model.number("feature_extractor.first_stage_features_stride", 16))
    for edge in ("height", "width"):
        if model.number(f"{grid}.{edge}_stride", 16) != stride:
            raise UsageError(f"{pipeline.source}: anchors are not {stride} pixels apart as cells")
        if model.number(f"{grid}.{edge}_offset", 0) != 0:
            raise UsageError(f"{pipeline.source}: anchors with an offset are not supported")
    size = model.number(f"{predictor}.mask_height", config.mask_size)
    if model.number(f"{predictor}.mask_width", config.mask_size) != size:
        raise UsageError(f"{pipeline.source}: masks that are not square are not supported")
    converter = model.word("second_stage_post_processing.score_converter")
    if converter not in (None, "SOFTMAX"):
        raise UsageError(f"{pipeline.source}: scores by {converter} are not supported")
    return dataclasses.replace(
        config,
        shortest=int(resizer.number("min_dimension", 600)),
        longest=int(resizer.number("max_dimension", 1024)),
        stride=stride,
        anchor_base=model.number(f"{grid}.height", 256),
        anchor_scales=model.numbers(f"{grid}.scales", (0.5, 1.0, 2.0)),
        anchor_ratios=model.numbers(f"{grid}.aspect_ratios", (0.5, 1.0, 2.0)),
        hidden_dilation=int(model.number("first_stage_atrous_rate", 1)),
        proposals=int(model.number("first_stage_max_proposals", 300)),
        proposal_score=model.number("first_stage_nms_score_threshold", 0.0),
        proposal_iou=model.number("first_stage_nms_iou_threshold", 0.7),
        crop=int(model.number("initial_crop_size", config.crop)),
        pool=int(model.number("maxpool_kernel_size", config.pool)),
        pool_stride=int(model.number("maxpool_stride", config.pool_stride)),
        score=model.number(f"{suppression}.score_threshold", 0.0),
        iou=model.number(f"{suppression}.iou_threshold", 0.6),
        per_class=int(model.number(f"{suppression}.max_detections_per_class", 100)),
        detections=int(model.number(f"{suppression}.max_total_detections", 100)),
        mask_size=int(size),
    )


def looks_like_tensorflow(weights: Weights) -> bool:
    """Whether a frozen graph holds a two-stage detector of the Object Detection API."""
    return f"{SECOND_BOXES}/ClassPredictor.weight" in weights


def _refuse_others(weights: Weights) -> None:
    if not looks_like_tensorflow(weights):
        raise ModelError(
            f"{weights.path}: it is a TensorFlow graph, but no frozen Faster R-CNN of the Object "
            "Detection API (it lacks the constant SecondStageBoxPredictor/ClassPredictor/weights)"
        )
    if f"{SECOND_BOXES}/Conv_1.weight" not in weights:
        raise ModelError(
            f"{weights.path}: it has no mask head (a Faster R-CNN without masks), so it cannot "
            "find masks"
        )


def _mask_size(nodes: Mapping[str, GraphNode], default: int) -> int:
    """Cells along a mask's edge: the size that the graph enlarges to before the mask head."""
    for name, node in nodes.items():
        if node.op != "ResizeBilinear" or not name.startswith(SECOND_BOXES):
            continue
        size = nodes.get(node.inputs[1].split(":")[0]) if len(node.inputs) > 1 else None
        if size is not None and size.value is not None and size.value.size == 2:
            edges = np.unique(size.value)
            if len(edges) == 1:
                return int(edges[0])
    return default


@fits
def convert(request: Request) -> Converted:
    """Converts a frozen graph of the Object Detection API.

    Raises:
        ModelError: the file is damaged or of another architecture.
        UsageError: the request contradicts the file, or lacks what the file does not say.
    """
    if request.key is not None:
        raise UsageError("--key: a frozen graph holds one set of weights; leave it out")
    if request.settings:
        raise UsageError("--set: settings of this origin go into a pipeline.config; give --config")
    nodes = without_import(read_graphdef(request.checkpoint))
    weights = frozen_weights(request.checkpoint, nodes)
    _refuse_others(weights)
    pipeline = None
    if request.config is not None:
        path = Path(request.config)
        if not path.is_file():
            raise UsageError(f"--config {path}: there is no such file; give a pipeline.config")
        pipeline = read_prototext(path)
    config = configure(nodes, weights, pipeline)
    del nodes
    resize = request.resize(f"{config.shortest}/{config.longest}", "tf_bilinear")
    native = request.exact and resize.mode == "shortest_edge"
    config = dataclasses.replace(
        config,
        shortest=resize.shortest or config.shortest,
        longest=resize.longest or config.longest,
        score=config.score if request.score is None else request.score,
        detections=request.detections or config.detections,
        proposals=request.proposals or config.proposals,
    )
    steps = config.mask_size - 1
    fine = -(-(_FINER if native else _FINE) // steps)
    form = TensorflowForm(config, weights, native=native, fine=fine)
    weights.refuse_unused(request.ignore)
    told = None
    label_map = pipeline.word("eval_input_reader.label_map_path") if pipeline is not None else None
    if label_map and data_set(label_map) == "coco":
        told = ("coco90", f"{pipeline and pipeline.source} names {label_map.rsplit('/', 1)[-1]}")
    names, source = names_for(request.checkpoint, form.classes, request.names, told)
    coco = told is not None and request.names is None
    _, scope = body_of(weights)
    metadata = Metadata(
        names=names,
        resize=Resize("native") if native else resize,
        score_threshold=max(0.5, config.score),
        origin=f"TensorFlow Object Detection API, Mask R-CNN {scope}, {request.checkpoint.name}",
        licence="Apache-2.0" if coco else "unknown",
        training_data="COCO" if coco else "unknown",
    )
    height, width, dynamic = (480, 640, True) if native else example_size(resize)
    read = [f"{len(weights)} weights of {request.checkpoint}", f"class names {source}"]
    assumed: tuple[str, ...] = ()
    if pipeline is not None:
        read.append(f"anchors, sizes and thresholds of {pipeline.source}")
    else:
        scales = " ".join(f"{config.anchor_base * scale:g}" for scale in config.anchor_scales)
        assumed = (
            f"anchors of {scales} pixels, pictures of {config.shortest}/{config.longest}, and the "
            "thresholds of the published models (the graph does not tell; --config "
            "pipeline.config)",
        )
    return Converted(
        form,
        metadata,
        height,
        width,
        dynamic,
        (*OUTPUTS, MASK_BOXES),
        read=tuple(read),
        assumed=assumed,
    )
