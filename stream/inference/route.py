"""What a way to run a model is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from stream.inference.nvidia import Obstacle, failure
from stream.inference.onnx_runtime import Device

ProviderName = Literal["auto", "cpu", "cuda", "tensorrt", "openvino", "coreml", "webgpu"]

LABELS: Mapping[ProviderName, str] = {
    "tensorrt": "TensorRT",
    "cuda": "CUDA",
    "openvino": "OpenVINO",
    "coreml": "CoreML",
    "webgpu": "WebGPU",
    "cpu": "CPU",
}


@dataclass(frozen=True, slots=True)
class Route:
    """A way to run a model here.

    Attributes:
        name: what `--provider` calls it.
        label: for people, such as "CUDA" or "OpenVINO (GPU)".
        execution_provider: ONNX Runtime's name of it.
        options: of the provider, as ONNX Runtime takes them.
        shared: further options for so many threads of the CPU, so many inferences at once that
            share them, and a file's precision; None where the CPU's threads do not compute.
        devices: ONNX Runtime's devices, for plug-in providers; empty for built-in ones.
        precisions: of a model's variants, best first; see `Entry.pick` for what comes after.
        library: the provider's own in ONNX Runtime's package, "cuda" or "tensorrt"; "" where it
            has none.
        advice: what to install where that library cannot be loaded.
        rest: options of providers on the same card, by ONNX Runtime's name, for nodes that this one
            does not take.
        memory: ONNX Runtime's name of the device's memory, in which the model's input is then made
            of a decoder's planes; "" where it is made on the CPU.
        in_flight: inferences at once where throughput counts: one computes while the next one's
            input and the last one's answer are on their way.
        of_model: further options for a model's file, and a sentence for people before it is
            opened, "" for none; None where the provider has no such.
        of_size: further options for a model's file and the sides of its input, by name, that are
            fixed; None where the provider has no such.
        plans: whether it makes itself ready anew for each size of input, which takes longer than
            computing: then few sizes are used.
        pads_regions: whether it does so for each number of regions, too: then that is rounded up.
        batches: whether it may gain by several pictures at once: TensorRT would build for minutes.
        explain: what of its own words means what, and what to do.
        sized: whether it takes more of a model whose input's size is known.
        compiles: its release, where it compiles models and what it compiled can be kept as a file
            that stands for the model; else "".
    """

    name: ProviderName
    label: str
    execution_provider: str
    options: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[Device, ...] = ()
    precisions: tuple[str, ...] = ("float32",)
    library: str = ""
    advice: str = ""
    shared: Callable[[int, int, str], Mapping[str, str]] | None = None
    rest: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    memory: str = ""
    in_flight: int = 1
    of_model: Callable[[Path], tuple[Mapping[str, str], str]] | None = None
    of_size: Callable[[Path, Mapping[str, int]], Mapping[str, str]] | None = None
    plans: bool = False
    pads_regions: bool = False
    batches: bool = False
    compiles: str = ""
    sized: bool = False
    explain: Callable[[str], Obstacle] = failure

    @property
    def by_size(self) -> bool:
        """Whether there is a session for each size of input that is known beforehand."""
        return self.shared is not None or self.plans or self.sized

    def for_size(self, path: Path, fixed: Mapping[str, int]) -> Route:
        """The route with its options for a model's file and the sides of its input, by name."""
        if self.of_size is None:
            return self
        return replace(self, options={**self.options, **self.of_size(path, fixed)})
