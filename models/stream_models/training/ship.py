"""From a trained network to the files that the runtime takes, float32 and int8."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from stream.errors import ModelError
from stream.inference.contract import MASK_BOXES, OUTPUTS, Metadata
from stream.inference.soundness import check_sound
from stream_export.copies import on_cpu
from stream_export.onnx_export import export_module
from stream_export.tools.quantize import quantize_model
from stream_models.detect import DetectConfig, Detector
from stream_models.fewer_passes import join_proposals, lay_out_bytes
from stream_models.first_layer import take_bytes
from stream_models.network import ADDED, TRAINING_ONLY, MaskRCNN, network_config
from stream_models.training.evaluate import MASK_THRESHOLD, RESIZE

Image = NDArray[np.uint8]

# Metadata properties, beside the contract's, from which training can go on.
_NETWORK = "training.network"
_HALF = "/half"
# What int8 coarsens most for what it saves: the layers whose outputs are the answers.
FLOAT_LAYERS = (
    r"proposals\.logits|proposals\.deltas",
    r"(box|refine)\.(classes|deltas)",
    r"mask\.logits",
)


def to_onnx(
    network: MaskRCNN, keep: Sequence[str], metadata: Metadata, config: DetectConfig | None = None
) -> onnx.ModelProto:
    """The network as a float32 model of the contract that answers with the classes `keep`."""
    kept = [network.config.names.index(name) for name in keep]
    module = Detector(on_cpu(network), config, kept)
    metadata = dataclasses.replace(metadata, names=tuple(keep), precision="float32")
    model = export_module(
        module,
        metadata,
        height=384,
        width=512,
        dynamic=True,
        outputs=(*OUTPUTS, MASK_BOXES),
    )
    entry = model.metadata_props.add()
    entry.key = _NETWORK
    entry.value = json.dumps(dataclasses.asdict(network.config))
    return model


def metadata(
    names: Sequence[str], trained_on: str, licence: str, accuracy: Mapping[str, float]
) -> Metadata:
    """What a trained model says of itself."""
    return Metadata(
        names=tuple(names),
        resize=RESIZE,
        mask_threshold=MASK_THRESHOLD,
        score_threshold=0.5,
        origin="stream's own Mask R-CNN, MobileNetV2, feature pyramid of strides 8 to 64",
        licence=licence,
        training_data=trained_on,
        accuracy=accuracy,
    )


def quantise(
    model: onnx.ModelProto, pictures: Sequence[Image], exclude: Sequence[str] = FLOAT_LAYERS
) -> onnx.ModelProto:
    """The int8 form, calibrated on `pictures`, uint8 RGB (H, W, 3)."""
    # Ranges that hold every calibration picture whole: silhouettes were better by 0.002 of AP than
    # with ranges averaged over pictures, which cut the strongest answers off.
    quantised = take_bytes(quantize_model(model, pictures, exclude=exclude, averaged=False))
    return join_proposals(lay_out_bytes(quantised))


def store_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that keeps its large weights in half precision and widens them when it is loaded.

    Half the size; it computes in float32 as before. Weights change by at most 1 part in 2,048.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    casts = []
    for item in out.graph.initializer:
        if item.data_type == onnx.TensorProto.FLOAT and int(np.prod(item.dims)) >= 256:
            name = item.name
            half = numpy_helper.to_array(item).astype(np.float16)
            item.CopyFrom(numpy_helper.from_array(half, name + _HALF))
            casts.append(
                onnx.helper.make_node(
                    "Cast", [name + _HALF], [name], name + "/widen", to=onnx.TensorProto.FLOAT
                )
            )
    nodes = list(out.graph.node)
    del out.graph.node[:]
    out.graph.node.extend([*casts, *nodes])
    return out


def from_onnx(path: Path) -> MaskRCNN:
    """The network in a float32 file that `to_onnx` wrote, to train on.

    Raises:
        ModelError: the file is damaged, another model's, or quantised.
    """
    try:
        model = onnx.load(str(path))
    # Of protobuf's or of the file system, whatever a file that is no model brings about.
    except Exception as error:
        raise ModelError(f"{path}: it is damaged or no ONNX model") from error
    notes = {entry.key: entry.value for entry in model.metadata_props}
    if _NETWORK not in notes:
        raise ModelError(f"{path}: only a model trained by `stream train` can be trained on")
    check_sound(path)
    network = MaskRCNN(network_config(json.loads(notes[_NETWORK])))
    stored = {item.name: item for item in model.graph.initializer}
    state = network.state_dict()
    for name, value in network.named_parameters():
        full = f"model.network.{name}"
        if name.startswith(TRAINING_ONLY):
            continue
        item = stored.get(full) or stored.get(full + _HALF)
        if item is None and name.startswith(ADDED):
            continue
        if item is None or list(item.dims) != list(value.shape):
            raise ModelError(f"{path}: the weight {name!r} is missing; take its float32 variant")
        state[name] = torch.from_numpy(numpy_helper.to_array(item).astype(np.float32))
    network.load_state_dict(state)
    return network
