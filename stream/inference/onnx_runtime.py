"""What is used of ONNX Runtime, whose package has no types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from stream.types import Array


class Node(Protocol):
    """A node of a model, before ONNX Runtime joined any."""

    name: str
    op_type: str


class Part(Protocol):
    """Nodes that one provider was given."""

    ep_name: str

    def get_nodes(self) -> Sequence[Node]:
        """The nodes."""


class TensorInfo(Protocol):
    """An input or output; `type` such as `tensor(float)`, `shape` with names where it is free."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class DeviceTensor(Protocol):
    """An `OrtValue`: a tensor in whichever memory."""

    def numpy(self) -> Array:
        """Its content, copied to the CPU's memory where it lies elsewhere."""

    def shape(self) -> list[int]:
        """Its sides."""


class DeviceTensors(Protocol):
    """The class `OrtValue`."""

    def ortvalue_from_numpy(self, value: Array, memory: str, device: int, /) -> DeviceTensor:
        """An array's copy in a device's memory."""


class Binding(Protocol):
    """Where one run finds its inputs and leaves its outputs."""

    def bind_cpu_input(self, name: str, value: Array) -> None:
        """An array, brought to the device where it computes elsewhere."""

    def bind_ortvalue_input(self, name: str, value: DeviceTensor) -> None:
        """A tensor where it lies."""

    def bind_output(self, name: str, memory: str) -> None:
        """Leaves an output in that memory; its size is found out by the run."""

    def get_outputs(self) -> list[DeviceTensor]:
        """The outputs where they lie, in the order in which they were bound."""

    def copy_outputs_to_cpu(self) -> list[Array]:
        """The outputs as arrays."""


class InferenceSession(Protocol):
    """A model that is open on a provider; several threads may run it at once."""

    def run(self, outputs: Sequence[str] | None, inputs: Mapping[str, Array]) -> list[Array]:
        """The outputs of those names, None for all."""

    def io_binding(self) -> Binding:
        """A new binding, for one run at a time."""

    def run_with_iobinding(self, binding: Binding) -> None:
        """Runs on what is bound; returns when the outputs are there."""

    def get_inputs(self) -> Sequence[TensorInfo]:
        """What it takes."""

    def get_outputs(self) -> Sequence[TensorInfo]:
        """What it gives."""

    def get_providers(self) -> list[str]:
        """ONNX Runtime's names of the providers that it was made with, in their order."""

    def end_profiling(self) -> str:
        """Ends the profile that its options asked for; returns the file's name."""

    def get_provider_graph_assignment_info(self) -> Sequence[Part]:
        """Which provider runs what; from ONNX Runtime 1.24 on."""


class Kind(Protocol):
    """A kind of hardware: CPU, GPU or NPU."""

    name: str


class Hardware(Protocol):
    """What computes in a device."""

    type: Kind


class Device(Protocol):
    """A device that a plug-in provider offers."""

    ep_name: str
    ep_metadata: Mapping[str, str]
    device: Hardware


class SessionOptions(Protocol):
    """How a session is made."""

    enable_profiling: bool
    graph_optimization_level: object
    optimized_model_filepath: str
    profile_file_prefix: str
    log_severity_level: int
    intra_op_num_threads: int

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Sets an option that has no attribute."""

    def add_free_dimension_override_by_name(self, name: str, size: int, /) -> None:
        """Fixes the sides of inputs that have this name."""

    def register_custom_ops_library(self, path: str, /) -> None:
        """Takes operators from a library."""

    def add_provider_for_devices(self, devices: list[Device], options: dict[str, str]) -> None:
        """Asks for a plug-in provider."""


class Levels(Protocol):
    """The enumeration `GraphOptimizationLevel`."""

    ORT_DISABLE_ALL: object


class Runtime(Protocol):
    """The module `onnxruntime`."""

    __file__: str
    __version__: str
    OrtValue: DeviceTensors
    GraphOptimizationLevel: Levels

    def InferenceSession(  # noqa: N802 - it is a class
        self,
        model: str | bytes,
        sess_options: SessionOptions,
        providers: list[str | tuple[str, dict[str, str]]] | None = None,
        *,
        enable_fallback: bool,
        disabled_optimizers: Sequence[str] | None = None,
    ) -> InferenceSession:
        """Opens a model; without those steps of its optimisation."""

    def SessionOptions(self) -> SessionOptions:  # noqa: N802 - it is a class
        """Options with ONNX Runtime's defaults."""

    def get_available_providers(self) -> list[str]:
        """Names of the providers that are built in."""

    def get_ep_devices(self) -> Sequence[Device]:
        """The devices of all providers that are registered."""

    def register_execution_provider_library(self, name: str, path: str) -> None:
        """Adds a plug-in provider."""

    def preload_dlls(self) -> None:
        """Loads the libraries of CUDA that lie in packages of Python's."""
