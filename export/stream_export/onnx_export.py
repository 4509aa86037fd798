"""From a torch module that speaks the contract's tensors to a checked, clean ONNX model."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence

import onnx
import onnxscript.rewriter
import torch
from onnxscript.rewriter.rules import common
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.ops import FrozenBatchNorm2d

from stream.errors import ModelError, first_line
from stream.inference.contract import INPUT, OUTPUTS, Metadata
from stream.version import __version__
from stream_export.blocks import TRANSLATIONS
from stream_export.copies import on_cpu
from stream_export.metadata import check_contract, write_metadata

OPSET = 18
"""Old enough for OpenCV, OpenVINO and TensorRT of some years ago, new enough for all we need."""

TESTED = "PyTorch 2.11 and 2.14"
"""Exports of every kind of origin run with the latter in the suite, of torchvision with both."""

_SCOPES = "pkg.torch.onnx.name_scopes"


def export_module(
    module: nn.Module,
    metadata: Metadata,
    *,
    height: int,
    width: int,
    dynamic: bool,
    outputs: Sequence[str] = OUTPUTS,
) -> onnx.ModelProto:
    """Exports a module to a model that keeps the contract.

    Args:
        module: takes uint8 [1, H, W, 3] and returns the contract's boxes, scores, labels and
            masks, in this order; in any mode and on any device, and left so.
        metadata: written into the model.
        height: of the example picture, pixels, and of every picture unless `dynamic`.
        width: likewise.
        dynamic: whether height and width may vary.
        outputs: what the module returns; the contract's, and perhaps `frames`.

    Returns:
        The model: norms folded into convolutions, nodes named after the modules they came from,
        checked by ONNX and against the contract.

    Raises:
        ModelError: the module cannot be exported, has weights that are no numbers, or breaks the
            contract.
    """
    _refuse_no_numbers(module)
    image = torch.zeros((1, height, width, 3), dtype=torch.uint8, device="cpu")
    dims: dict[int, object] = {}
    if dynamic:
        dims = {1: torch.export.Dim("height"), 2: torch.export.Dim("width")}
    module = foldable(on_cpu(module)).eval()
    with torch.no_grad(), torch.device("cpu"), quiet(), _in_one_sentence():
        program = torch.onnx.export(
            _Named(module),
            (image,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(outputs),
            dynamic_shapes={INPUT: dims},
            custom_translation_table=TRANSLATIONS,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ModelError("torch returned no model")
    folded = onnxscript.rewriter.rewrite(
        program.model_proto,
        pattern_rewrite_rules=[
            common.fuse_batchnorm_into_conv_rule,
            common.fuse_batchnorm_into_conv_transpose_rule,
            common.fuse_batchnorm_into_gemm_rule,
        ],
    )
    model: onnx.ModelProto = folded
    spell_out_limits(model.graph)
    _clean(model)
    write_metadata(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    check_contract(model)
    return model


def _refuse_no_numbers(module: nn.Module) -> None:
    """What a training that ran away, or a precision too small, leaves would find nothing, or all.

    Raises:
        ModelError: a weight has values that are NaN, or infinite where it is one that is learnt.
    """
    wrong = [name for name, one in module.named_parameters() if not one.isfinite().all()]
    wrong += [name for name, one in module.named_buffers() if one.isnan().any()]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ModelError(
            f"there are weights with values that are no numbers (NaN or infinite): "
            f"{', '.join(wrong[:3])}{more}; the training ran away, or they were saved in too small "
            "a precision: take an earlier checkpoint"
        )


@contextlib.contextmanager
def _in_one_sentence() -> Iterator[None]:
    """Makes a ModelError of what PyTorch's exporter says in paragraphs."""
    try:
        yield
    except torch.onnx.OnnxExporterError as error:
        cause = error.__cause__ or error
        told = first_line(cause).rstrip(".")
        raise ModelError(
            f"PyTorch {torch.__version__} does not export this model: {told}; exports are tested "
            f"with {TESTED}: pip install 'torch=={TESTED.rpartition(' ')[2]}.*'"
        ) from error


class _Named(nn.Module):
    """Gives the input the contract's name, which the exporter takes from the signature."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = self.model(image)
        return found


def _spelled(frozen: FrozenBatchNorm2d) -> nn.BatchNorm2d:
    """A frozen norm as one that PyTorch knows how to export.

    Its statistics go into scale and shift: torchvision's own weights have an epsilon of 0, which
    PyTorch 2.11 refuses in a norm.
    """
    norm = nn.BatchNorm2d(frozen.weight.shape[0])
    scale = frozen.weight.double() / torch.sqrt(frozen.running_var.double() + frozen.eps)
    shift = frozen.bias.double() - frozen.running_mean.double() * scale
    with torch.no_grad():
        # The new norm's own variance is 1.
        norm.weight.copy_(scale * (1 + norm.eps) ** 0.5)
        norm.bias.copy_(shift)
    return norm.eval()


def foldable(module: nn.Module) -> nn.Module:
    """Folds norms into the convolutions before them, or spells them so that the exporter can.

    A norm over detections, whose number is not known, would ask whether there are any at all.
    """
    before: nn.Module | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, FrozenBatchNorm2d):
            setattr(module, name, _spelled(child))
        else:
            foldable(child)
        current = getattr(module, name)
        # Only in a sequence does the order of children say who follows whom.
        if (
            isinstance(module, nn.Sequential)
            and isinstance(before, nn.Conv2d)
            and isinstance(current, nn.BatchNorm2d)
        ):
            fused = fuse_conv_bn_eval(before.eval(), current.eval())
            before.weight, before.bias = fused.weight, fused.bias
            setattr(module, name, nn.Identity())
        before = current
    return module


_INTEGERS = {onnx.TensorProto.INT64, onnx.TensorProto.INT32}


def spell_out_limits(graph: onnx.GraphProto) -> None:
    """Makes each Clip of integers Max and Min, which are the same; OpenCV clips only floats."""
    kinds = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "Clip" or kinds.get(node.output[0]) not in _INTEGERS:
            nodes.append(node)
            continue
        limits = [*node.input[1:], "", ""][:2]
        steps = [(kind, limit) for kind, limit in zip(("Max", "Min"), limits, strict=True) if limit]
        data, result = node.input[0], node.output[0]
        for number, (kind, limit) in enumerate(steps):
            last = number == len(steps) - 1
            step = onnx.NodeProto()
            step.CopyFrom(node)
            step.op_type, step.name = kind, f"{node.name}/{kind}"
            del step.input[:], step.output[:], step.attribute[:]
            step.input.extend([data, limit])
            step.output.append(result if last else f"{result}/{kind}")
            nodes.append(step)
            data = step.output[0]
    del graph.node[:]
    graph.node.extend(nodes)


def _clean(model: onnx.ModelProto) -> None:
    """Names nodes after modules and drops what only the exporter needs, paths of sources first."""
    seen: Counter[str] = Counter()
    for node in model.graph.node:
        notes = {entry.key: entry.value for entry in node.metadata_props}
        scope = _scope(notes.get(_SCOPES, ""))
        name = f"{scope}/{node.op_type}" if scope else node.op_type
        seen[name] += 1
        node.name = name if seen[name] == 1 else f"{name}_{seen[name]}"
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        del value.metadata_props[:]
        value.doc_string = ""
    for value in model.graph.output:
        dim = value.type.tensor_type.shape.dim[0]
        if not dim.HasField("dim_value"):
            dim.dim_param = "instances"
    del model.metadata_props[:]
    model.graph.name = "mask_rcnn"
    model.doc_string = ""
    model.producer_name = "stream"
    model.producer_version = __version__
    used = {node.domain for node in model.graph.node}
    domains = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(domains)


def _scope(scopes: str) -> str:
    """The innermost module's path, from the exporter's list of enclosing ones; "" for none."""
    parts = [part.strip(" '\"") for part in scopes.strip("[]").split(",")]
    path = parts[-2] if len(parts) > 1 else ""
    # Nodes that torch adds itself carry a name of its own in place of a module's.
    return path.removeprefix("model").removeprefix(".") if path.startswith("model") else ""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps the exporter's progress and its remarks about itself off the terminal."""
    names = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir", "torch.fx")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
