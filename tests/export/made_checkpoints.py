"""Small made-up checkpoints in the layouts of the systems they stand for.

Names, wrapping and serialisation are those of the published files; channels are few and weights
random, scaled so that signals neither die nor explode.
"""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np

from tests.export.lazily import lazily

torch = lazily("torch")

Arrays = dict[str, np.ndarray]

CLASSES = 3


class Maker:
    """Fills a dictionary with random weights, the same ones each time."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.arrays: Arrays = {}

    def conv(self, name: str, out: int, inside: int, size: int = 1, *, bias: bool = True) -> None:
        scale = (2 / (inside * size * size)) ** 0.5
        self.arrays[f"{name}.weight"] = self._normal((out, inside, size, size), scale)
        if bias:
            self.arrays[f"{name}.bias"] = self._normal((out,), 0.1)

    def norm(self, name: str, size: int, *, counted: bool = False) -> None:
        self.arrays[f"{name}.weight"] = self.random.uniform(0.8, 1.2, size).astype(np.float32)
        self.arrays[f"{name}.bias"] = self._normal((size,), 0.1)
        self.arrays[f"{name}.running_mean"] = self._normal((size,), 0.1)
        self.arrays[f"{name}.running_var"] = self.random.uniform(0.8, 1.2, size).astype(np.float32)
        if counted:
            self.arrays[f"{name}.num_batches_tracked"] = np.array(7, np.int64)

    def linear(self, name: str, out: int, inside: int) -> None:
        self.arrays[f"{name}.weight"] = self._normal((out, inside), (2 / inside) ** 0.5)
        self.arrays[f"{name}.bias"] = self._normal((out,), 0.1)

    def deconv(self, name: str, inside: int, out: int) -> None:
        self.arrays[f"{name}.weight"] = self._normal((inside, out, 2, 2), (1 / inside) ** 0.5)
        self.arrays[f"{name}.bias"] = self._normal((out,), 0.1)

    def _normal(self, shape: tuple[int, ...], scale: float) -> np.ndarray:
        return (self.random.standard_normal(shape) * scale).astype(np.float32)


def _bottleneck(
    make: Maker,
    name: str,
    inside: int,
    inner: int,
    out: int,
    *,
    groups: int,
    first: bool,
    offsets: int = 0,
) -> None:
    if offsets:
        make.conv(f"{name}.conv2_offset", offsets, inner, 3)
        make.arrays[f"{name}.conv2_offset.weight"] *= 0.3
    parts = [("conv1", inner, inside, 1), ("conv2", inner, inner // groups, 3)]
    parts += [("conv3", out, inner, 1)]
    parts += [("shortcut", out, inside, 1)] if first else []
    for part, outputs, inputs, size in parts:
        make.conv(f"{name}.{part}", outputs, inputs, size, bias=False)
        make.norm(f"{name}.{part}.norm", outputs)


def detectron2(
    body: str = "fpn",
    *,
    groups: int = 1,
    classes: int = CLASSES,
    convs: int = 2,
    offsets: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> Arrays:
    """A state dict of detectron2, one bottleneck a stage, two in the first.

    `offsets` has the outputs of each stage's offset layers: 18 a group for deformable convolution
    v1, 27 for v2, 0 for none.
    """
    make = Maker()
    prefix = "backbone.bottom_up" if body == "fpn" else "backbone"
    make.conv(f"{prefix}.stem.conv1", 4, 3, 7, bias=False)
    make.norm(f"{prefix}.stem.conv1.norm", 4)
    inside = 4
    for stage in range(4):
        name = "roi_heads.res5" if body == "c4" and stage == 3 else f"{prefix}.res{stage + 2}"
        out = 8 * 2**stage
        for block in range(2 if stage == 0 else 1):
            _bottleneck(
                make,
                f"{name}.{block}",
                inside,
                out // 2,
                out,
                groups=groups,
                first=block == 0,
                offsets=offsets[stage],
            )
            inside = out
    channels = {"fpn": 8, "c4": 32, "dc5": 64}[body]
    if body == "fpn":
        for level in range(2, 6):
            make.conv(f"backbone.fpn_lateral{level}", 8, 8 * 2 ** (level - 2))
            make.conv(f"backbone.fpn_output{level}", 8, 8, 3)
    anchors = 3 if body == "fpn" else 15
    head = "proposal_generator.rpn_head"
    make.conv(f"{head}.conv", channels, channels, 3)
    make.conv(f"{head}.objectness_logits", anchors, channels)
    make.conv(f"{head}.anchor_deltas", 4 * anchors, channels)
    make.arrays[f"{head}.anchor_deltas.weight"] *= 0.1
    width = 64 if body == "c4" else 16
    if body != "c4":
        make.linear("roi_heads.box_head.fc1", 16, channels * 49)
        make.linear("roi_heads.box_head.fc2", 16, 16)
    make.linear("roi_heads.box_predictor.cls_score", classes + 1, width)
    make.linear("roi_heads.box_predictor.bbox_pred", 4 * classes, width)
    # Scores and boxes must not saturate, or float noise decides between equals.
    for name in ("cls_score", "bbox_pred"):
        make.arrays[f"roi_heads.box_predictor.{name}.weight"] *= 0.1
    if any(offsets):
        # Deformed maps are larger, and boxes that explode have no area to compare.
        for name in ("roi_heads.box_predictor.bbox_pred", f"{head}.anchor_deltas"):
            for part in ("weight", "bias"):
                make.arrays[f"{name}.{part}"] *= 0.02
        make.arrays["roi_heads.box_predictor.cls_score.weight"] *= 0.05
    channels = 64 if body == "c4" else channels
    for number in range(1, 1 + (0 if body == "c4" else convs)):
        make.conv(f"roi_heads.mask_head.mask_fcn{number}", channels, channels, 3)
    make.deconv("roi_heads.mask_head.deconv", channels, 8)
    make.conv("roi_heads.mask_head.predictor", classes, 8)
    return make.arrays


def write_detectron2(path: Path, arrays: Arrays | None = None) -> Path:
    """As the model zoo's files: with buffers that a loader must ignore."""
    content = dict(arrays or detectron2())
    content["pixel_mean"] = np.zeros((3, 1, 1), np.float32)
    content["proposal_generator.anchor_generator.cell_anchors.0"] = np.zeros((3, 4), np.float32)
    return _pickled(path, {"model": content, "__author__": "Detectron2 Model Zoo"})


def detectron(arrays: Arrays | None = None) -> Arrays:
    """Caffe2's blobs with the weights of a detectron2 FPN model: background first."""
    blobs: Arrays = {}
    for name, value in (arrays or detectron2()).items():
        blob = _blob(name)
        if blob is None:
            continue
        blobs[blob] = _background_first(blob, value)
        if not blob.endswith("_s"):
            blobs[f"{blob}_momentum"] = np.zeros_like(blobs[blob])
    blobs |= {"fc1000_w": np.zeros((10, 4), np.float32), "conv1_b": np.zeros(4, np.float32)}
    return blobs


def _background_first(blob: str, value: np.ndarray) -> np.ndarray:
    if blob.startswith("cls_score"):
        return np.concatenate([value[-1:], value[:-1]])
    if blob.startswith(("bbox_pred", "mask_fcn_logits")):
        rows = len(value) // CLASSES
        return np.concatenate([np.full_like(value[:rows], 9), value])
    return value


def _blob(name: str) -> str | None:
    ending = {"weight": "_w", "bias": "_b"}.get(name.rsplit(".", 1)[1])
    part = name.rsplit(".", 1)[0].removeprefix("backbone.bottom_up.")
    if ending is None:
        return None
    norm = part.endswith(".norm")
    part = part.removesuffix(".norm")
    branches = {"shortcut": "1", "conv1": "2a", "conv2": "2b", "conv3": "2c"}
    if part == "stem.conv1":
        stem = "res_conv1_bn" if norm else "conv1"
        return stem + ("_s" if norm and ending == "_w" else ending)
    if found := re.fullmatch(r"res(\d)\.(\d)\.(\w+)", part):
        base = f"res{found[1]}_{found[2]}_branch{branches[found[3]]}"
        return base + (f"_bn{'_s' if ending == '_w' else '_b'}" if norm else ending)
    last = {"2": 1, "3": 0, "4": 0, "5": 0}
    if found := re.fullmatch(r"backbone\.fpn_(lateral|output)(\d)", part):
        level = found[2]
        base = f"res{level}_{last[level]}_sum"
        if found[1] == "output":
            return f"fpn_{base}{ending}"
        return f"fpn_inner_{base}{'' if level == '5' else '_lateral'}{ending}"
    known = {
        "proposal_generator.rpn_head.conv": "conv_rpn_fpn2",
        "proposal_generator.rpn_head.objectness_logits": "rpn_cls_logits_fpn2",
        "proposal_generator.rpn_head.anchor_deltas": "rpn_bbox_pred_fpn2",
        "roi_heads.box_head.fc1": "fc6",
        "roi_heads.box_head.fc2": "fc7",
        "roi_heads.box_predictor.cls_score": "cls_score",
        "roi_heads.box_predictor.bbox_pred": "bbox_pred",
        "roi_heads.mask_head.mask_fcn1": "_[mask]_fcn1",
        "roi_heads.mask_head.mask_fcn2": "_[mask]_fcn2",
        "roi_heads.mask_head.deconv": "conv5_mask",
        "roi_heads.mask_head.predictor": "mask_fcn_logits",
    }
    return known[part] + ending


def write_detectron(path: Path, blobs: Arrays | None = None) -> Path:
    """As Python 2 wrote it: strings and data of arrays are its `str`."""
    content = {"blobs": blobs or detectron(), "cfg": "MODEL:\n  TYPE: generalized_rcnn\n"}
    path.write_bytes(python2_pickle(content))
    return path


def python2_pickle(content: dict[str, object]) -> bytes:
    """Protocol 2 with every string, array data included, as an 8-bit string (BINSTRING)."""
    out = bytearray(b"\x80\x02")
    _python2(out, content)
    return bytes(out + b".")


def _python2(out: bytearray, value: object) -> None:
    if isinstance(value, str | bytes):
        data = value.encode() if isinstance(value, str) else value
        out += b"T" + len(data).to_bytes(4, "little") + data
    elif isinstance(value, dict):
        out += b"}("
        for key, entry in value.items():
            _python2(out, key)
            _python2(out, entry)
        out += b"u"
    elif isinstance(value, np.ndarray):
        kind = value.dtype.str[1:].encode()
        out += b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01bt"
        out += b"R(K\x01("
        for size in value.shape:
            out += b"J" + int(size).to_bytes(4, "little")
        out += b"tcnumpy\ndtype\n(U" + bytes([len(kind)]) + kind + b"K\x00K\x01tR"
        out += b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        _python2(out, value.tobytes())
        out += b"tb"
    else:
        raise TypeError(type(value))


def yolact(*, darknet: bool = False, classes: int = CLASSES, anchors: int = 3) -> Arrays:
    """A state dict of YOLACT."""
    make = Maker()
    if darknet:
        make.conv("backbone._preconv.0", 4, 3, 3, bias=False)
        make.norm("backbone._preconv.1", 4, counted=True)
        for stage in range(5):
            out = 8 * 2**stage
            name = f"backbone.layers.{stage}"
            make.conv(f"{name}.0.0", out, out // 2, 3, bias=False)
            make.norm(f"{name}.0.1", out, counted=True)
            for part, outputs, inputs, size in (
                ("conv1", out // 2, out, 1),
                ("conv2", out, out // 2, 3),
            ):
                make.conv(f"{name}.1.{part}.0", outputs, inputs, size, bias=False)
                make.norm(f"{name}.1.{part}.1", outputs, counted=True)
    else:
        make.conv("backbone.conv1", 4, 3, 7, bias=False)
        make.norm("backbone.bn1", 4, counted=True)
        inside = 4
        for stage in range(4):
            inner, out = 4 * 2**stage, 16 * 2**stage
            name = f"backbone.layers.{stage}.0"
            for part, outputs, inputs, size in (
                ("1", inner, inside, 1),
                ("2", inner, inner, 3),
                ("3", out, inner, 1),
            ):
                make.conv(f"{name}.conv{part}", outputs, inputs, size, bias=False)
                make.norm(f"{name}.bn{part}", outputs, counted=True)
            make.conv(f"{name}.downsample.0", out, inside, bias=False)
            make.norm(f"{name}.downsample.1", out, counted=True)
            inside = out
    for place, inputs in enumerate((128, 64, 32)):
        make.conv(f"fpn.lat_layers.{place}", 8, inputs)
        make.conv(f"fpn.pred_layers.{place}", 8, 8, 3)
    for place in range(2):
        make.conv(f"fpn.downsample_layers.{place}", 8, 8, 3)
    for place in (0, 2, 4, 8):
        make.conv(f"proto_net.{place}", 8, 8, 3)
    make.conv("proto_net.10", 4, 8)
    head = "prediction_layers.0"
    make.conv(f"{head}.upfeature.0", 8, 8, 3)
    make.conv(f"{head}.bbox_layer", 4 * anchors, 8, 3)
    make.conv(f"{head}.conf_layer", anchors * (classes + 1), 8, 3)
    make.conv(f"{head}.mask_layer", 4 * anchors, 8, 3)
    for name in ("bbox_layer", "conf_layer"):
        make.arrays[f"{head}.{name}.weight"] *= 0.1
    make.conv("semantic_seg_conv", classes, 8)
    return make.arrays


def centermask() -> Arrays:
    """A state dict of CenterMask2-Lite: VoVNet with two blocks in its third and fourth stages."""
    make = Maker()
    body = "backbone.bottom_up"
    for number, (out, inside) in enumerate(((8, 3), (8, 8), (16, 8)), 1):
        make.conv(f"{body}.stem.stem_{number}/conv", out, inside, 3, bias=False)
        make.norm(f"{body}.stem.stem_{number}/norm", out)
    inside = 16
    for stage, blocks in ((2, 1), (3, 1), (4, 2), (5, 2)):
        for block in range(1, blocks + 1):
            title = f"OSA{stage}_{block}"
            name = f"{body}.stage{stage}.{title}"
            for layer in range(3):
                part = f"{name}.layers.{layer}.{title}_{layer}"
                make.conv(f"{part}/conv", 8, 8 if layer else inside, 3, bias=False)
                make.norm(f"{part}/norm", 8)
            make.conv(f"{name}.concat.{title}_concat/conv", 16, inside + 24, bias=False)
            make.norm(f"{name}.concat.{title}_concat/norm", 16)
            make.conv(f"{name}.ese.fc", 16, 16)
            inside = 16
    for level in (3, 4, 5):
        make.conv(f"backbone.fpn_lateral{level}", 32, 16)
        make.conv(f"backbone.fpn_output{level}", 32, 32, 3)
    for level in (6, 7):
        make.conv(f"backbone.top_block.p{level}", 32, 32, 3)
    head = "proposal_generator.fcos_head"
    for tower in ("cls_tower", "bbox_tower"):
        for place in (0, 3):
            make.conv(f"{head}.{tower}.{place}", 32, 32, 3)
            make.linear(f"{head}.{tower}.{place + 1}", 32, 1)
            del make.arrays[f"{head}.{tower}.{place + 1}.weight"]
            make.arrays[f"{head}.{tower}.{place + 1}.weight"] = np.ones(32, np.float32)
    make.conv(f"{head}.cls_logits", CLASSES, 32, 3)
    make.conv(f"{head}.bbox_pred", 4, 32, 3)
    make.arrays[f"{head}.bbox_pred.bias"] += 2
    make.conv(f"{head}.ctrness", 1, 32, 3)
    for level in range(5):
        make.arrays[f"{head}.scales.{level}.scale"] = np.array([1 + level / 10], np.float32)
    mask, iou = "roi_heads.mask_head", "roi_heads.maskiou_head"
    for number in (1, 2):
        make.conv(f"{mask}.mask_fcn{number}", 32, 32, 3)
    make.conv(f"{mask}.spatialAtt.conv", 1, 2, 3, bias=False)
    make.deconv(f"{mask}.deconv", 32, 32)
    make.conv(f"{mask}.predictor", CLASSES, 32)
    make.conv(f"{iou}.maskiou_fcn1", 8, 33, 3)
    make.conv(f"{iou}.maskiou_fcn2", 8, 8, 3)
    make.linear(f"{iou}.maskiou_fc1", 16, 8 * 49)
    make.linear(f"{iou}.maskiou_fc2", 16, 16)
    make.linear(f"{iou}.maskiou", CLASSES, 16)
    make.arrays[f"{iou}.maskiou.bias"] += 0.5
    return make.arrays


def write_torch(path: Path, arrays: Arrays, *, wrapped: bool = False, legacy: bool = True) -> Path:
    """As torch.save writes it, in the old serialisation by default; perhaps in {"model": ...}."""
    state: object = OrderedDict((name, torch.from_numpy(value)) for name, value in arrays.items())
    if wrapped:
        state = {"model": state, "iteration": 7}
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    return path


def _pickled(path: Path, content: object) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path
