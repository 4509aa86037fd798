"""MMDetection's configurations: Python that is read and not run, by detectron2's names."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from stream.errors import UsageError

_LONGEST = 1_000_000
Nested = dict[str, Any]
"""Settings as the configuration nests them; whoever asks checks them."""


class _UnknownError(Exception):
    """What only running the file would tell."""


def parsed(text: str, source: str) -> Nested:
    """The values that a configuration assigns, as MMDetection writes it beside its weights.

    Args:
        text: Python, of which literals, `dict(...)` and names that were assigned before are read.
        source: named in messages.

    Raises:
        UsageError: it is no such text, or builds on others.
    """
    if len(text) > _LONGEST:
        raise UsageError(f"{source}: it is too long for a configuration")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError(f"{source}: it is no configuration of MMDetection") from None
    found: Nested = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Name):
                try:
                    found[target.id] = _value(node.value, found)
                except _UnknownError:
                    found.pop(target.id, None)
    if "_base_" in found:
        raise UsageError(
            f"{source}: it builds on others ({found['_base_']!r}); give the whole one that "
            "training wrote into its folder (work_dirs)"
        )
    if any(isinstance(node, ast.With) for node in tree.body):
        raise UsageError(
            f"{source}: it builds on others (read_base); give the whole one that training wrote "
            "into its folder (work_dirs)"
        )
    if not isinstance(found.get("model"), dict):
        raise UsageError(f"{source}: it describes no model that can be read without running it")
    return found


def _value(node: ast.expr, known: Nested) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(one, known) for one in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _value(node.operand, known)
        if isinstance(number, int | float):
            return -number
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.Dict):
        return dict(_entries(zip(node.keys, node.values, strict=True), known))
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dict" and not node.args:
        named = ((one.arg, one.value) for one in node.keywords)
        return dict(_entries(named, known))
    raise _UnknownError


def _entries(pairs: Any, known: Nested) -> Iterator[tuple[str, Any]]:
    """Entries of a dictionary; one that cannot be read is left out, not the whole."""
    for key, value in pairs:
        try:
            name = key if isinstance(key, str) or key is None else _value(key, known)
            read = _value(value, known)
        except _UnknownError:
            continue
        if name is None:
            # What `**` brings in.
            yield from read.items() if isinstance(read, dict) else ()
        else:
            yield str(name), read


def by_name(found: Nested, source: str) -> Nested:
    """The same settings under detectron2's names.

    Raises:
        UsageError: one of them makes another network than can be converted.
    """
    model = found["model"]
    _only(model, source, "model", type=("MaskRCNN",))
    heads, rpn = _part(model, "roi_head"), _part(model, "rpn_head")
    _only(heads, source, "model.roi_head", type=("StandardRoIHead",))
    _layers(model, source)
    test = _part(model, "test_cfg") or _part(found, "test_cfg")
    return _merged(
        _colours(found, source),
        {"INPUT": _size(found, source)},
        {"INPUT": _padding(found, source)},
        {"MODEL": {"RESNETS": {"STRIDE_IN_1X1": _part(model, "backbone").get("style") == "caffe"}}},
        _anchors(rpn, source),
        _pooled(heads, source),
        _limits(test, source),
    )


def _layers(model: Nested, source: str) -> None:
    """Makes sure of what changes no weight's name or shape, but what is made of it.

    Raises:
        UsageError: something of it is not as it is supported.
    """
    eps, plain = (1e-5,), (None, {"type": "Conv2d"}, {"type": "Conv"})
    body, neck = _part(model, "backbone"), _part(model, "neck")
    where = "model.backbone"
    _only(
        *(body, source, where),
        type=("ResNet", "ResNeXt"),
        strides=([1, 2, 2, 2],),
        dilations=([1, 1, 1, 1],),
        deep_stem=(False,),
        avg_down=(False,),
        conv_cfg=plain,
    )
    _only(_part(body, "norm_cfg"), source, f"{where}.norm_cfg", eps=eps)
    _only(
        *(neck, source, "model.neck"),
        type=("FPN",),
        act_cfg=(None,),
        num_outs=(5,),
        start_level=(0,),
        add_extra_convs=(False,),
        conv_cfg=plain,
    )
    _only(_part(neck, "norm_cfg"), source, "model.neck.norm_cfg", eps=eps)
    _only(_part(neck, "upsample_cfg"), source, "model.neck.upsample_cfg", mode=("nearest",))
    rpn, heads = _part(model, "rpn_head"), _part(model, "roi_head")
    _only(rpn, source, "model.rpn_head", type=("RPNHead",))
    _only(_part(rpn, "loss_cls"), source, "model.rpn_head.loss_cls", use_sigmoid=(True,))
    for head, where in (("bbox_head", "cls_predictor_cfg"), ("bbox_head", "reg_predictor_cfg")):
        told = _part(_part(heads, head), where)
        _only(told, source, f"model.roi_head.{head}.{where}", type=("Linear",))
    mask, where = _part(heads, "mask_head"), "model.roi_head.mask_head"
    _only(mask, source, where, type=("FCNMaskHead",), conv_cfg=plain)
    _only(_part(mask, "upsample_cfg"), source, f"{where}.upsample_cfg", type=("deconv",))
    _only(_part(mask, "predictor_cfg"), source, f"{where}.predictor_cfg", type=("Conv",))


def _colours(found: Nested, source: str) -> Nested:
    """Of the third edition's preprocessor, else of the second one's normalisation."""
    told = _preprocessor(found)
    rgb = told.get("bgr_to_rgb", False)
    if not told:
        told = _part(found, "img_norm_cfg") or next(_steps(found, ("Normalize",)), {})
        rgb = told.get("to_rgb", True)
    if "mean" not in told or "std" not in told:
        return {}
    if told.get("rgb_to_bgr"):
        raise UsageError(f"{source}: rgb_to_bgr is True; pictures that are stored so are not known")
    return {
        "MODEL": {"PIXEL_MEAN": told["mean"], "PIXEL_STD": told["std"]},
        "INPUT": {"FORMAT": "RGB" if rgb else "BGR"},
    }


def _size(found: Nested, source: str) -> Nested:
    kinds = ("MultiScaleFlipAug", "Resize", "FixScaleResize", "ResizeShortestEdge")
    for step in _steps(found, kinds):
        size, kind = step.get("scale", step.get("img_scale")), _kind(step)
        if kind == "ResizeShortestEdge" and isinstance(size, int):
            size = [size, step.get("max_size", _LONGEST)]
        if isinstance(size, list) and len(size) == 2 and all(isinstance(one, int) for one in size):
            if kind in ("Resize", "FixScaleResize") and not step.get("keep_ratio", False):
                raise UsageError(
                    f"{source}: pictures are stretched to {size[0]}x{size[1]} (keep_ratio is not "
                    "True), which is not supported"
                )
            return {"MIN_SIZE_TEST": min(size), "MAX_SIZE_TEST": max(size)}
    return {}


def _padding(found: Nested, source: str) -> Nested:
    """What pictures' edges are padded up to a multiple of, as the network sees these zeros.

    Raises:
        UsageError: they are padded in another way.
    """
    told = _preprocessor(found)
    steps = list(_steps(found, ("Normalize", "Pad")))
    # The third edition normalises behind all steps.
    if any(_kind(one) == "Pad" for one in (steps if told else steps[:1])):
        raise UsageError(
            f"{source}: pictures are padded (Pad in the pipeline) before they are normalised, "
            "which is not supported, as the network sees no zeros there"
        )
    if told:
        _only(told, source, "model.data_preprocessor", pad_value=(0,))
        return {"SIZE_DIVISIBILITY": told.get("pad_size_divisor", 1)}
    made: Nested = {"SIZE_DIVISIBILITY": 1} if steps else {}
    for pad in steps[1:]:
        _only(pad, source, "Pad", size=(None,), pad_to_square=(False,))
        value = pad.get("pad_val", 0)
        value = value.get("img", 0) if isinstance(value, dict) else value
        _only({"pad_val": value}, source, "Pad", pad_val=(0, [0, 0, 0]))
        made["SIZE_DIVISIBILITY"] = pad.get("size_divisor", 1)
    return made


def _preprocessor(found: Nested) -> Nested:
    """The third edition's, where there is one."""
    return _part(found["model"], "data_preprocessor") or _part(found, "data_preprocessor")


def _anchors(rpn: Nested, source: str) -> Nested:
    told, where = _part(rpn, "anchor_generator"), "model.rpn_head.anchor_generator"
    if "anchor_scales" in rpn:
        raise UsageError(
            f"{source}: it is of MMDetection 1, which counted boxes otherwise; that is not "
            "supported"
        )
    if not told:
        return {}
    _only(told, source, where, type=("AnchorGenerator",), center_offset=(0.0,), base_sizes=(None,))
    scales, strides = told.get("scales"), told.get("strides")
    if not isinstance(scales, list) or len(scales) != 1 or not isinstance(strides, list):
        raise UsageError(f"{source}: {where}.scales is {scales!r}; one scale is supported")
    if strides != [4, 8, 16, 32, 64]:
        raise UsageError(f"{source}: {where}.strides is {strides!r}; only 4 to 64 is supported")
    made: Nested = {
        "ANCHOR_GENERATOR": {
            "SIZES": [[stride * scales[0]] for stride in strides],
            "ASPECT_RATIOS": [told.get("ratios", [0.5, 1.0, 2.0])],
        }
    }
    if weights := _weights(rpn, source, "model.rpn_head"):
        made["RPN"] = {"BBOX_REG_WEIGHTS": weights}
    return {"MODEL": made}


def _pooled(heads: Nested, source: str) -> Nested:
    made: Nested = {}
    for ours, theirs in (("ROI_BOX_HEAD", "bbox"), ("ROI_MASK_HEAD", "mask")):
        told, where = (
            _part(heads, f"{theirs}_roi_extractor"),
            f"model.roi_head.{theirs}_roi_extractor",
        )
        if not told:
            continue
        _only(told, source, where, type=("SingleRoIExtractor",), finest_scale=(56,))
        layer = _part(told, "roi_layer")
        _only(layer, source, f"{where}.roi_layer", type=("RoIAlign",), pool_mode=("avg",))
        made[ours] = {
            "POOLER_RESOLUTION": layer.get("output_size", layer.get("out_size", 7)),
            "POOLER_SAMPLING_RATIO": layer.get("sampling_ratio", layer.get("sample_num", 0)),
            "POOLER_TYPE": "ROIAlignV2" if layer.get("aligned", True) else "ROIAlign",
        }
    box = _part(heads, "bbox_head")
    if weights := _weights(box, source, "model.roi_head.bbox_head"):
        made.setdefault("ROI_BOX_HEAD", {})["BBOX_REG_WEIGHTS"] = weights
    # Of another kind of loss probabilities are other than shares of one.
    _only(_part(box, "loss_cls"), source, "model.roi_head.bbox_head.loss_cls", type=_LOSSES)
    return {"MODEL": made}


_LOSSES = ("CrossEntropyLoss", "FocalLoss")


def _weights(head: Nested, source: str, where: str) -> list[float]:
    """What a coder of boxes divides by: detectron2's weights are one over its deviations."""
    coder = _part(head, "bbox_coder")
    if not coder:
        return []
    zeros = [0.0] * 4
    _only(coder, source, f"{where}.bbox_coder", type=("DeltaXYWHBBoxCoder",), target_means=(zeros,))
    deviations = coder.get("target_stds", [1.0] * 4)
    try:
        return [round(1 / float(one), 9) for one in deviations]
    except (TypeError, ValueError, ZeroDivisionError):
        raise UsageError(
            f"{source}: {where}.bbox_coder.target_stds is {deviations!r}, four numbers are needed"
        ) from None


def _limits(test: Nested, source: str) -> Nested:
    rpn, rcnn = _part(test, "rpn"), _part(test, "rcnn")
    _only(rpn, source, "test_cfg.rpn", min_bbox_size=(0,), nms_across_levels=(False,))
    _only(rcnn, source, "test_cfg.rcnn", mask_thr_binary=(0.5,))
    made: list[Nested] = []
    for told, where in ((rpn, "rpn"), (rcnn, "rcnn")):
        nms = _part(told, "nms")
        _only(nms, source, f"test_cfg.{where}.nms", type=("nms",), class_agnostic=(False,))
    overlap = _part(rpn, "nms").get("iou_threshold", rpn.get("nms_thr"))
    proposals = {
        "PRE_NMS_TOPK_TEST": rpn.get("nms_pre"),
        "POST_NMS_TOPK_TEST": rpn.get("max_per_img", rpn.get("max_num")),
        "NMS_THRESH": overlap,
    }
    nms = _part(rcnn, "nms")
    found = {
        "SCORE_THRESH_TEST": rcnn.get("score_thr"),
        "NMS_THRESH_TEST": nms.get("iou_threshold", nms.get("iou_thr")),
    }
    made.append({"MODEL": {"RPN": _told(proposals), "ROI_HEADS": _told(found)}})
    made.append({"TEST": _told({"DETECTIONS_PER_IMAGE": rcnn.get("max_per_img")})})
    return _merged(*made)


def _steps(found: Nested, kinds: tuple[str, ...]) -> Iterator[Nested]:
    """Steps of the pipeline that pictures to be looked at go through, the outer ones first."""
    loaded = _part(_part(found, "test_dataloader"), "dataset")
    waiting = [
        # What is tested with; a pipeline that was written down beside it may be another.
        loaded.get("pipeline"),
        found.get("test_pipeline"),
        _part(_part(found, "data"), "test").get("pipeline"),
    ]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, list):
            waiting[:0] = one
        elif isinstance(one, dict):
            if _kind(one) in kinds:
                yield one
            waiting[:0] = [one.get("transforms")]


def _kind(of: Mapping[str, Any]) -> str:
    """What something is, by the last part of its type: `mmdet.models.MaskRCNN` is a MaskRCNN."""
    return str(of.get("type", "")).rpartition(".")[2]


def _part(of: Mapping[str, Any], name: str) -> Nested:
    part = of.get(name)
    return part if isinstance(part, dict) else {}


def _told(values: Mapping[str, Any]) -> Nested:
    return {name: value for name, value in values.items() if value is not None}


def _only(part: Nested, source: str, where: str, **known: tuple[Any, ...]) -> None:
    """Makes sure that what would make another network is as it is supported.

    Raises:
        UsageError: it is not.
    """
    for name, allowed in known.items():
        value = part.get(name, allowed[0])
        if value not in allowed and not (name == "type" and _kind(part) in allowed):
            raise UsageError(
                f"{source}: {where}.{name} is {value!r}; only {' or '.join(map(str, allowed))} is "
                "supported"
            )


def _merged(*parts: Nested) -> Nested:
    made: Nested = {}
    for part in parts:
        for name, value in part.items():
            old = made.get(name)
            both = isinstance(old, dict) and isinstance(value, dict)
            made[name] = _merged(_part(made, name), value) if both else value
    return made
