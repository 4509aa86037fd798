"""From a trained refiner to the file that the runtime takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from stream.compositing.learned import CLASSES, INPUT, OUTPUT, VERSION
from stream.errors import ModelError
from stream_export.copies import on_cpu
from stream_export.onnx_export import OPSET, foldable, quiet
from stream_export.output import replacing
from stream_models.refiner import Refiner
from stream_models.training.ship import store_half


class _Whole(nn.Module):
    """From bytes to bytes, so that the runtime has nothing to compute."""

    def __init__(self, refiner: nn.Module) -> None:
        super().__init__()
        self.refiner = refiner

    def forward(self, seen: Tensor) -> Tensor:
        """uint8 [1, H, W, 4] to uint8 [1, H, W]."""
        x = seen.permute(0, 3, 1, 2).float() * (2 / 255) - 1.0
        probable = torch.sigmoid(self.refiner(x))[:, 0]
        return torch.round(probable * 255).to(torch.uint8)


def to_onnx(refiner: Refiner, classes: Sequence[str], told: Mapping[str, str]) -> onnx.ModelProto:
    """The refiner as a model; weights are kept in half precision, arithmetic is in float32.

    Args:
        refiner: trained.
        classes: whose masks it learnt to draw.
        told: what else the file says of itself, such as its licence.

    Raises:
        ModelError: it cannot be exported.
    """
    fast = on_cpu(refiner)
    fast.widen()
    module = _Whole(foldable(fast)).eval()
    # Dynamic sides must be multiples of 32, or the steps of the decoder would not meet.
    sides = {1: 32 * torch.export.Dim("height"), 2: 32 * torch.export.Dim("width")}
    with torch.no_grad(), quiet():
        program = torch.onnx.export(
            module,
            (torch.zeros((1, 256, 192, 4), dtype=torch.uint8),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={"seen": sides},
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ModelError("torch returned no model")
    model = store_half(_clean(program.model_proto))
    told = {**told, VERSION: "1", CLASSES: json.dumps(list(classes))}
    onnx.helper.set_model_props(model, dict(told))
    onnx.checker.check_model(model, full_check=True)
    return model


def _clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without what the exporter says of where it found each step."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    for value, sides in ((model.graph.input[0], (1, 2)), (model.graph.output[0], (1, 2))):
        for side, name in zip(sides, ("height", "width"), strict=True):
            value.type.tensor_type.shape.dim[side].dim_param = name
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    model.graph.name = "refiner"
    return model


def save(model: onnx.ModelProto, file: Path) -> None:
    """Writes a file; one that is there is replaced whole."""
    with replacing(file) as partial:
        partial.write_bytes(model.SerializeToString())
