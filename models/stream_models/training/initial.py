"""Where a network's first weights come from: the default model, ImageNet, or a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from stream.errors import ModelError, UsageError
from stream.inference.catalogue import FOLDER
from stream.wording.words import some_of
from stream_export.checkpoints.recognise import recognise
from stream_models.network import MaskRCNN, NetworkConfig
from stream_models.training.checkpoints import load_network
from stream_models.training.data import class_among
from stream_models.training.ship import from_onnx

# torchvision's ImageNet weights were trained on (x - mean) / deviation with x in 0..1.
_MEAN = torch.tensor([0.485, 0.456, 0.406])
_DEVIATION = torch.tensor([0.229, 0.224, 0.225])


def initial_network(init: str, names: tuple[str, ...]) -> tuple[MaskRCNN, frozenset[str] | None]:
    """A network for the classes `names`, and which of these it knows how to detect already.

    None where it does not know how to detect at all.

    Args:
        init: "default", "imagenet", or the path of a checkpoint (.pt), a float32 model written by
            training (.onnx), backbone weights (.npz) or torchvision's MobileNetV2 (.pth).
        names: of the classes.

    Raises:
        UsageError: there is no such file, or imagenet's weights cannot be downloaded.
        ModelError: the file is damaged, or holds no weights of this network.
    """
    if init == "imagenet":
        network = MaskRCNN(NetworkConfig(names))
        load_torchvision(network, _download())
        return network, None
    path = default_weights() if init == "default" else Path(init)
    if not path.is_file():
        raise UsageError(f"--init {init}: there is no such file; use default, imagenet or a file")
    if path.suffix == ".npz":
        network = MaskRCNN(NetworkConfig(names))
        try:
            network.backbone.load_npz(path)
        # Of a damaged archive, one of objects, or of other names and shapes.
        except Exception as error:
            raise ModelError(f"{path}: holds no weights of this backbone") from error
        return network, None
    if path.suffix == ".pth":
        network = MaskRCNN(NetworkConfig(names))
        source = torchvision.models.mobilenet_v2(weights=None)
        try:
            source.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        # Torch raises many kinds for a file that it did not write.
        except Exception as error:
            raise ModelError(
                f"{path}: holds no weights of torchvision's MobileNetV2{_what_it_is(path)}"
            ) from error
        load_torchvision(network, source)
        return network, None
    if path.suffix not in (".onnx", ".pt"):
        raise UsageError(f"--init {init}: takes a .pt, .onnx, .npz or .pth file")
    network = from_onnx(path) if path.suffix == ".onnx" else load_network(path)
    theirs = network.config.names
    known = frozenset(name for name in names if class_among(name, theirs) is not None)
    return adopt(network, names), known


def untrained(
    names: tuple[str, ...], known: frozenset[str] | None, masks_alone: bool = False
) -> str | None:
    """Which classes a network does not know yet, in a sentence.

    None where it knows all of them, or how to detect nothing at all (`known` is None). Where masks
    alone learn it will not know them afterwards.
    """
    new = [] if known is None else [name for name in names if name not in known]
    what = "not found afterwards either, as only masks learn" if masks_alone else "begun untrained"
    return f"new to the network, and so {what}: {some_of(new)}" if new else None


def check_initial(init: str) -> None:
    """Refuses what no run can begin with, before it is known for which classes.

    Raises:
        UsageError: see `initial_network`.
        ModelError: likewise.
    """
    initial_network(init, ("object",))


def origin_of(init: str) -> str:
    """What tells whether a run was begun from other weights: a word, or the sum of a file."""
    path = Path(init)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else init


def _what_it_is(path: Path) -> str:
    """What to do with another system's checkpoint, behind a sentence; "" of none."""
    try:
        found = recognise(path)
    except ModelError:
        return ""  # it is refused already
    if found is None or found.system is None:
        return ""
    return (
        f", but is {found.what}: training begins with the network of its own alone, and yours is "
        f"made a model by: {found.command(path)}"
    )


def _download() -> nn.Module:
    weights = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1
    try:
        network: nn.Module = torchvision.models.mobilenet_v2(weights=weights)
    except OSError as error:
        raise UsageError(
            f"--init imagenet: torchvision's MobileNetV2 could not be downloaded ({error}); bring "
            f"{weights.url.rsplit('/', 1)[-1]} from elsewhere and give it as --init FILE.pth"
        ) from error
    return network


def default_weights() -> Path:
    """The bundled model's float32 file.

    Raises:
        ModelError: it is missing.
    """
    for name in ("default.float32.onnx", "default.onnx"):
        if (FOLDER / name).is_file():
            return FOLDER / name
    raise ModelError(f"the bundled model is missing from {FOLDER}")


@torch.no_grad()
def adopt(network: MaskRCNN, names: tuple[str, ...]) -> MaskRCNN:
    """The same network for other classes: those it knows keep their weights, others start anew."""
    old = network.config
    if old.names == names:
        return network
    content = {**vars(old), "names": names}
    out = MaskRCNN(NetworkConfig(**content))
    state = {
        key: value
        for key, value in network.state_dict().items()
        if not key.startswith(("box.classes.", "refine.classes."))
    }
    out.load_state_dict(state, strict=False)
    for mine, theirs in ((out.box, network.box), (out.refine, network.refine)):
        target, source = mine.classes, theirs.classes
        target.weight[0], target.bias[0] = source.weight[0], source.bias[0]
        for index, name in enumerate(names, 1):
            place = class_among(name, old.names)
            if place is not None:
                known = place + 1
                target.weight[index], target.bias[index] = source.weight[known], source.bias[known]
            else:
                # As likely as the rarest known class, or a new one would start as every answer.
                target.bias[index] = source.bias[1:].min()
    return out


@torch.no_grad()
def load_torchvision(network: MaskRCNN, source: nn.Module) -> None:
    """Take the backbone from torchvision's MobileNetV2, its normalisations folded in."""
    state: dict[str, Tensor] = {}
    features = source.get_submodule("features")
    parts = list(features.children())
    _fold(state, "stem", parts[0].get_submodule("0"), parts[0].get_submodule("1"))
    # Our input is x * 2 - 1 with x in 0..1: take torchvision's normalisation into the filter.
    weight = state["stem.weight"]
    shift = (0.5 - _MEAN) / _DEVIATION
    state["stem.bias"] += (weight * shift[:, None, None]).sum(dim=(1, 2, 3))
    state["stem.weight"] = weight * (0.5 / _DEVIATION)[:, None, None]
    for index, part in enumerate(parts[1:-1]):
        steps = list(part.get_submodule("conv").children())
        names = ["depthwise", "project"] if len(steps) == 3 else ["expand", "depthwise", "project"]
        for name, step in zip(names[:-1], steps, strict=False):
            prefix = f"blocks.{index}.{name}"
            _fold(state, prefix, step.get_submodule("0"), step.get_submodule("1"))
        _fold(state, f"blocks.{index}.project", steps[-2], steps[-1])
    _fold(state, "last", parts[-1].get_submodule("0"), parts[-1].get_submodule("1"))
    network.backbone.load_state_dict(state)


def _fold(state: dict[str, Tensor], name: str, conv: nn.Module, norm: nn.Module) -> None:
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        raise TypeError(f"{name}: expected a convolution and its batch normalisation")
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise TypeError(f"{name}: the batch normalisation keeps no statistics")
    factor = norm.weight / torch.sqrt(variance + norm.eps)
    state[f"{name}.weight"] = conv.weight * factor[:, None, None, None]
    state[f"{name}.bias"] = norm.bias - mean * factor
