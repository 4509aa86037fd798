"""Small made-up checkpoints in the layouts of Keras and of TensorFlow's frozen graphs.

Names, nesting and axes are those of the published files; channels are few and weights random.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]

CLASSES = 3


class Maker:
    """Fills a dictionary with random weights in TensorFlow's order of axes."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.arrays: Arrays = {}

    def add(self, name: str, *shape: int, scale: float | None = None) -> None:
        """Weights that keep a signal's size; of biases and the like, small numbers."""
        inside = int(np.prod(shape[:-1]))
        wanted = scale if scale is not None else (2 / inside) ** 0.5 if inside > 1 else 0.1
        self.arrays[name] = (self.random.standard_normal(shape) * wanted).astype(np.float32)

    def norm(self, names: tuple[str, str, str, str], size: int) -> None:
        gamma, beta, mean, variance = names
        self.arrays[gamma] = self.random.uniform(0.8, 1.2, size).astype(np.float32)
        self.add(beta, size, scale=0.1)
        self.add(mean, size, scale=0.1)
        self.arrays[variance] = self.random.uniform(0.8, 1.2, size).astype(np.float32)


def _keras_norm(make: Maker, name: str, size: int) -> None:
    parts = ("gamma", "beta", "moving_mean", "moving_variance")
    make.norm(tuple(f"{name}/{name}/{part}:0" for part in parts), size)  # type: ignore[arg-type]


def matterport(*, classes: int = CLASSES, blocks: tuple[int, ...] = (2, 1, 1, 1)) -> Arrays:
    """Weights of Matterport's model by HDF5 path; `classes` does not count the background."""
    make = Maker()

    def conv(name: str, size: int, inside: int, out: int, norm: str | None = None) -> None:
        make.add(f"{name}/{name}/kernel:0", size, size, inside, out)
        make.add(f"{name}/{name}/bias:0", out, scale=0.1)
        if norm is not None:
            _keras_norm(make, norm, out)

    conv("conv1", 7, 3, 4, "bn_conv1")
    # Pixels come in as 0..255; without this every score would be exactly 1, and order chance.
    make.arrays["conv1/conv1/kernel:0"] *= 0.01
    inside = 4
    for stage, count in enumerate(blocks, 2):
        inner, out = 2 * 2 ** (stage - 2), 4 * 2 ** (stage - 2)
        for block in range(count):
            name = f"{stage}{chr(ord('a') + block)}_branch"
            conv(f"res{name}2a", 1, inside, inner, f"bn{name}2a")
            conv(f"res{name}2b", 3, inner, inner, f"bn{name}2b")
            conv(f"res{name}2c", 1, inner, out, f"bn{name}2c")
            if block == 0:
                conv(f"res{name}1", 1, inside, out, f"bn{name}1")
            inside = out
        conv(f"fpn_c{stage}p{stage}", 1, out, 6)
        conv(f"fpn_p{stage}", 3, 6, 6)
    for name, size, channels, out in (
        ("rpn_conv_shared", 3, 6, 8),
        ("rpn_class_raw", 1, 8, 6),
        ("rpn_bbox_pred", 1, 8, 12),
    ):
        scale = 0.1 if name == "rpn_class_raw" else None
        make.add(f"rpn_model/{name}/kernel:0", size, size, channels, out, scale=scale)
        make.add(f"rpn_model/{name}/bias:0", out, scale=0.1)
    conv("mrcnn_class_conv1", 7, 6, 10, "mrcnn_class_bn1")
    conv("mrcnn_class_conv2", 1, 10, 10, "mrcnn_class_bn2")
    for name, out in (("mrcnn_class_logits", classes + 1), ("mrcnn_bbox_fc", 4 * (classes + 1))):
        make.add(f"{name}/{name}/kernel:0", 10, out, scale=0.1)
        make.add(f"{name}/{name}/bias:0", out, scale=0.1)
    channels = 6
    for number in range(1, 5):
        conv(f"mrcnn_mask_conv{number}", 3, channels, 5, f"mrcnn_mask_bn{number}")
        channels = 5
    make.add("mrcnn_mask_deconv/mrcnn_mask_deconv/kernel:0", 2, 2, 5, 5)
    make.add("mrcnn_mask_deconv/mrcnn_mask_deconv/bias:0", 5, scale=0.1)
    conv("mrcnn_mask", 1, 5, classes + 1)
    return make.arrays


def write_keras(path: Path, arrays: Arrays | None = None, root: str = "") -> Path:
    """As Keras' `save_weights` writes it, or `save` with a root of model_weights/."""
    import h5py  # where it is used, so that collecting loads it nowhere

    with h5py.File(path, "w") as file:
        for name, value in (matterport() if arrays is None else arrays).items():
            file.create_dataset(root + name, data=value)
        file.attrs["backend"] = b"tensorflow"
    return path


def inception_v2(*, classes: int = CLASSES) -> Arrays:
    """Constants of a frozen Inception v2 graph by name."""
    make = _Slim()
    first = "FirstStageFeatureExtractor/InceptionV2"
    make.add(f"{first}/Conv2d_1a_7x7/depthwise_weights", 7, 7, 3, 2, scale=0.2)
    make.add(f"{first}/Conv2d_1a_7x7/pointwise_weights", 1, 1, 6, 6)
    make.batch_norm(f"{first}/Conv2d_1a_7x7", 6)
    make.conv(f"{first}/Conv2d_2b_1x1", 1, 6, 6)
    make.conv(f"{first}/Conv2d_2c_3x3", 3, 6, 8)
    channels = 8
    for name in ("3b", "3c", "4a", "4b", "4c", "4d", "4e"):
        channels = make.mixed(f"{first}/Mixed_{name}", channels, down=name == "4a")
    head = channels
    for name in ("5a", "5b", "5c"):
        scope = f"SecondStageFeatureExtractor/InceptionV2/Mixed_{name}"
        head = make.mixed(scope, head, down=name == "5a")
    make.predictors(channels, head, classes, mask_convs=2)
    return make.arrays


def resnet(*, classes: int = CLASSES, units: tuple[int, ...] = (2, 2, 1, 1)) -> Arrays:
    """Constants of a frozen ResNet v1 graph by name."""
    make = _Slim()
    first = "FirstStageFeatureExtractor/resnet_v1_50"
    make.conv(f"{first}/conv1", 7, 3, 6)
    # Pixels come in as 0..255; without this the background's probability would be exactly 1.
    make.arrays[f"{first}/conv1/weights"] *= 0.001
    inside, out = 6, 8
    for block, count in enumerate(units, 1):
        scope = first if block < 4 else "SecondStageFeatureExtractor/resnet_v1_50"
        for unit in range(1, count + 1):
            name = f"{scope}/block{block}/unit_{unit}/bottleneck_v1"
            if unit == 1:
                make.conv(f"{name}/shortcut", 1, inside, out)
            make.conv(f"{name}/conv1", 1, inside, 4)
            make.conv(f"{name}/conv2", 3, 4, 4)
            make.conv(f"{name}/conv3", 1, 4, out)
            inside = out
        out += 2
    make.predictors(12, 14, classes, mask_convs=4)
    return make.arrays


def inception_resnet(*, classes: int = CLASSES) -> Arrays:
    """Constants of a frozen Inception-ResNet v2 graph by name; its norms have no gamma."""
    make = _Slim(gamma=False)
    first = "FirstStageFeatureExtractor/InceptionResnetV2"
    for name, size, inside, out in (
        ("Conv2d_1a_3x3", 3, 3, 4),
        ("Conv2d_2a_3x3", 3, 4, 4),
        ("Conv2d_2b_3x3", 3, 4, 6),
        ("Conv2d_3b_1x1", 1, 6, 6),
        ("Conv2d_4a_3x3", 3, 6, 8),
    ):
        make.conv(f"{first}/{name}", size, inside, out)
    scope = f"{first}/Mixed_5b"
    make.chain(f"{scope}/Branch_0", 8, (("Conv2d_1x1", 1),))
    make.chain(f"{scope}/Branch_1", 8, (("Conv2d_0a_1x1", 1), ("Conv2d_0b_5x5", 5)))
    make.chain(f"{scope}/Branch_2", 8, (("Conv2d_0a_1x1", 1), ("Conv2d_0b_3x3", 3)))
    make.chain(f"{scope}/Branch_3", 8, (("Conv2d_0b_1x1", 1),))
    for number in (1, 2):
        make.unit(f"{first}/Repeat/block35_{number}", 12, "0b_3x3", "0c_3x3")
    scope = f"{first}/Mixed_6a"
    make.chain(f"{scope}/Branch_0", 12, (("Conv2d_1a_3x3", 3),))
    make.chain(f"{scope}/Branch_1", 12, (("Conv2d_0a_1x1", 1), ("Conv2d_1a_3x3", 3)))
    make.unit(f"{first}/Repeat_1/block17_1", 18, "0b_1x7", "0c_7x1")
    second = "SecondStageFeatureExtractor/InceptionResnetV2"
    for number in range(3):
        make.chain(
            f"{second}/Mixed_7a/Branch_{number}", 18, (("Conv2d_0a_1x1", 1), ("Conv2d_1a_3x3", 3))
        )
    make.unit(f"{second}/Repeat/block8_1", 27, "0b_1x3", "0c_3x1")
    make.unit(f"{second}/Block8", 27, "0b_1x3", "0c_3x1")
    make.conv(f"{second}/Conv2d_7b_1x1", 1, 27, 10)
    make.predictors(18, 10, classes, mask_convs=3)
    return make.arrays


class _Slim(Maker):
    def __init__(self, *, gamma: bool = True) -> None:
        super().__init__()
        self.gamma = gamma

    def batch_norm(self, name: str, size: int) -> None:
        parts = ("gamma", "beta", "moving_mean", "moving_variance")
        self.norm(tuple(f"{name}/BatchNorm/{part}" for part in parts), size)  # type: ignore[arg-type]
        if not self.gamma:
            del self.arrays[f"{name}/BatchNorm/gamma"]

    def conv(self, name: str, size: int, inside: int, out: int) -> None:
        kernel = name.rsplit("_", 1)[-1]
        edges = [int(edge) for edge in kernel.split("x")] if "x" in kernel else [size, size]
        self.add(f"{name}/weights", *edges, inside, out)
        self.batch_norm(name, out)

    def biased(self, name: str, *shape: int, scale: float | None = None) -> None:
        self.add(f"{name}/weights", *shape, scale=scale)
        self.add(f"{name}/biases", shape[-1], scale=0.1)

    def chain(self, scope: str, inside: int, layers: tuple[tuple[str, int], ...]) -> None:
        for name, size in layers:
            self.conv(f"{scope}/{name}", size, inside, 3)
            inside = 3

    def mixed(self, scope: str, inside: int, *, down: bool) -> int:
        """An Inception module with three channels a branch; gives its channels."""
        if down:
            self.chain(f"{scope}/Branch_0", inside, (("Conv2d_0a_1x1", 1), ("Conv2d_1a_3x3", 3)))
            self.chain(f"{scope}/Branch_1", inside, (("Conv2d_0a_1x1", 1), ("Conv2d_1a_3x3", 3)))
            return 6 + inside
        self.chain(f"{scope}/Branch_0", inside, (("Conv2d_0a_1x1", 1),))
        self.chain(f"{scope}/Branch_1", inside, (("Conv2d_0a_1x1", 1), ("Conv2d_0b_3x3", 3)))
        self.chain(f"{scope}/Branch_2", inside, (("Conv2d_0a_1x1", 1), ("Conv2d_0b_3x3", 3)))
        self.chain(f"{scope}/Branch_3", inside, (("Conv2d_0b_1x1", 1),))
        return 12

    def unit(self, scope: str, inside: int, *layers: str) -> None:
        self.chain(f"{scope}/Branch_0", inside, (("Conv2d_1x1", 1),))
        sizes = tuple((f"Conv2d_{layer}", 0) for layer in layers)
        self.chain(f"{scope}/Branch_1", inside, (("Conv2d_0a_1x1", 1), *sizes))
        self.biased(f"{scope}/Conv2d_1x1", 1, 1, 6, inside)

    def predictors(self, channels: int, head: int, classes: int, *, mask_convs: int) -> None:
        self.biased("Conv", 3, 3, channels, 8)
        self.biased("FirstStageBoxPredictor/ClassPredictor", 1, 1, 8, 24)
        self.biased("FirstStageBoxPredictor/BoxEncodingPredictor", 1, 1, 8, 48)
        second = "SecondStageBoxPredictor"
        self.biased(f"{second}/ClassPredictor", head, classes + 1, scale=1.0)
        self.biased(f"{second}/BoxEncodingPredictor", head, 4 * classes)
        inside = head
        for number in range(mask_convs):
            out = classes if number == mask_convs - 1 else 5
            name = f"{second}/Conv_{number}" if number else f"{second}/Conv"
            self.biased(name, 3, 3, inside, out)
            inside = out


def write_graph(path: Path, arrays: Arrays, extra: bytes = b"") -> Path:
    """As a frozen graph with the reads that TensorFlow puts behind every constant."""
    content = b""
    for name, value in arrays.items():
        content += constant(name, value)
        content += node(f"{name}/read", "Identity", [name])
    path.write_bytes(content + extra)
    return path


def node(name: str, op: str, inputs: list[str], *attributes: bytes) -> bytes:
    body = _field(1, name.encode()) + _field(2, op.encode())
    body += b"".join(_field(3, entry.encode()) for entry in inputs)
    return _field(1, body + b"".join(_field(5, attribute) for attribute in attributes))


def constant(name: str, value: np.ndarray, kind: int = 1) -> bytes:
    """A node with the raw content of an array, float32 (1) by default."""
    return tensor_node(name, kind, value.shape, _field(4, value.tobytes()))


def tensor_node(name: str, kind: int, shape: tuple[int, ...], content: bytes) -> bytes:
    dims = b"".join(_field(2, _key(1, 0) + varint(edge)) for edge in shape)
    tensor = _key(1, 0) + varint(kind) + _field(2, dims) + content
    value = _field(1, b"value") + _field(2, _field(8, tensor))
    return node(name, "Const", [], value)


def floats(values: list[float]) -> bytes:
    """TensorProto.float_val, packed."""
    return _field(5, struct.pack(f"<{len(values)}f", *values))


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _key(number: int, kind: int) -> bytes:
    return varint(number << 3 | kind)


def _field(number: int, content: bytes) -> bytes:
    return _key(number, 2) + varint(len(content)) + content
