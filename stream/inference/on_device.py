"""The model's input, made where the model runs: planes go to the card, and no RGB is ever here."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import av
import numpy as np

from stream.errors import ModelError, first_line
from stream.inference.contract import INPUT, Geometry
from stream.inference.converter import Layout, layout_of, parameters, planes_of
from stream.inference.nvidia import memory_is_full
from stream.inference.onnx_runtime import DeviceTensor, InferenceSession, Runtime
from stream.types import Array

_KEPT = 4
"""Films of so many shapes have their parameters ready on the device, for all their views."""


class DeviceInput:
    """Makes the model's input of a decoder's planes, in the device's memory.

    May be used from several threads: each picture has a binding of its own. What is bound has
    arrived and what was run is done when ONNX Runtime returns. Its `synchronize_inputs` is not
    called: it waits for all that the device does, of other threads too, and lets no thread of
    Python run meanwhile.
    """

    def __init__(
        self,
        runtime: Runtime,
        converters: Mapping[str, InferenceSession],
        memory: str,
        padding: int,
        label: str,
    ) -> None:
        """Tries itself on a small picture.

        Args:
            runtime: the module onnxruntime.
            converters: sessions of `converter.converter`, by the type of the samples.
            memory: ONNX Runtime's name of the memory that they compute in, such as "cuda".
            padding: the level of the margins, 0..255.
            label: the provider's, for errors.

        Raises:
            ModelError: it does not run here.
        """
        self._runtime = runtime
        self._converters = converters
        self._memory = memory
        self._padding = padding
        self._label = label
        self._lock = threading.Lock()
        self._parameters: OrderedDict[Layout, dict[Geometry, dict[str, DeviceTensor]]]
        self._parameters = OrderedDict()
        self._refused: list[str] = []
        self._full = 0
        for pixels in ("yuv420p", "yuv420p10le"):
            place = Geometry((16, 16), (8, 8), (0, 0), (8, 8))
            if self(av.VideoFrame(16, 16, pixels), place) is None:
                raise ModelError(f"{label} has too little memory left")
        self._parameters.clear()

    @property
    def remarks(self) -> tuple[str, ...]:
        """Which pictures so far had to be prepared on the CPU."""
        refused = [
            f"pictures in {name} are prepared on the CPU, not by {self._label}"
            for name in self._refused
        ]
        if self._full:
            refused.append(
                f"{self._label} had too little memory left to prepare pictures: {self._full} were "
                "prepared on the CPU"
            )
        return tuple(refused)

    def __call__(self, frame: av.VideoFrame, geometry: Geometry) -> DeviceTensor | None:
        """The model's input, uint8 [1, H, W, 3], on the device; None where it must be made here.

        So it must where the device has too little memory left.

        Raises:
            ModelError: the device fails.
        """
        layout = layout_of(frame)
        if layout is None:
            with self._lock:
                if frame.format.name not in self._refused:
                    self._refused.append(frame.format.name)
            return None
        planes = planes_of(frame, layout)
        session = self._converters[planes["y"].dtype.name]
        try:
            binding = session.io_binding()
            for name, plane in planes.items():
                binding.bind_cpu_input(name, plane)
            for name, value in self._prepared(layout, geometry).items():
                binding.bind_ortvalue_input(name, value)
            binding.bind_output(INPUT, self._memory)
            session.run_with_iobinding(binding)
            return binding.get_outputs()[0]
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            if memory_is_full(error):
                with self._lock:
                    self._full += 1
                return None
            raise ModelError(
                f"{self._label} cannot prepare a picture: {first_line(error)}"
            ) from error

    def _prepared(self, layout: Layout, geometry: Geometry) -> dict[str, DeviceTensor]:
        with self._lock:
            views = self._parameters.setdefault(layout, {})
            self._parameters.move_to_end(layout)
            while len(self._parameters) > _KEPT:
                self._parameters.popitem(last=False)
            found = views.get(geometry)
            if found is None:
                make = self._runtime.OrtValue.ortvalue_from_numpy
                values = parameters(layout, geometry, self._padding)
                found = {name: make(value, self._memory, 0) for name, value in values.items()}
                views[geometry] = found
        return found


def infer(
    session: InferenceSession, outputs: Sequence[str], inputs: Mapping[str, Array | DeviceTensor]
) -> list[Array]:
    """Runs a model on inputs wherever they lie; the answers are brought back."""
    here = {name: value for name, value in inputs.items() if isinstance(value, np.ndarray)}
    if len(here) == len(inputs):
        return session.run(outputs, here)
    binding = session.io_binding()
    for name, value in inputs.items():
        if isinstance(value, np.ndarray):
            binding.bind_cpu_input(name, value)
        else:
            binding.bind_ortvalue_input(name, value)
    for name in outputs:
        binding.bind_output(name, "cpu")
    session.run_with_iobinding(binding)
    return [np.asarray(value) for value in binding.copy_outputs_to_cpu()]
