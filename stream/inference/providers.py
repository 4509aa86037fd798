"""Execution providers: which of them can run here, and if not, why not.

ONNX Runtime falls back to the CPU with only a log line when a provider cannot be created. Here
every obstacle is looked for first, cheaply and in the order in which a user would mend it, so that
there is one sentence with the cause, and so that `auto` costs nothing on a machine without a GPU.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import io
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import get_args

from stream.errors import ProviderError, first_line
from stream.inference import coreml, webgpu
from stream.inference.card import card
from stream.inference.engines import engine_options
from stream.inference.nvidia import NONE, Obstacle, library_obstacle, mismatch
from stream.inference.nvidia import obstacle as _nvidia_obstacle
from stream.inference.onnx_runtime import Device, Runtime
from stream.inference.openvino import cpu_options
from stream.inference.route import ProviderName, Route
from stream.settings.groups import unknown
from stream.system import installation
from stream.system.cache import cache_folder
from stream.system.cpu import processor
from stream.system.interrupted import interrupted_later

AUTO_ORDER: tuple[ProviderName, ...] = ("tensorrt", "cuda", "openvino", "cpu")
"""What `auto` tries. CoreML and WebGPU are not among them: whether a laptop's graphics are quicker
than its processor has not been measured."""

_CPU = "use --provider cpu"
# The exhaustive search, the default, times every algorithm anew for every shape; a detector's
# second stage has as many shapes as there are objects, and the video would stutter.
# Without TF32, whose ten bits of mantissa move boxes and turn labels, answers are the CPU's; the
# default model takes as long with it on an H100.
_CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
_ON_NVIDIA = ("float16", "float32")
"""Halves are asked for by making the file, and int8's operators have no kernels there. The default
model is bound by launching kernels on an H100 and gains nothing by halves."""

_SMALL = 7.5
"""GiB of memory; a card of "8 GB" has a little more than that."""


class UnavailableError(ProviderError):
    """Why a provider cannot run here, and what to do about it.

    Attributes:
        cause: without the advice.
        advice: what to install or do instead.
    """

    def __init__(self, cause: str, advice: str) -> None:
        super().__init__(f"{cause}; {advice}")
        self.cause = cause
        self.advice = advice


def check_name(provider: str) -> ProviderName:
    """The provider's name, if it is one.

    Raises:
        UsageError: it is none; the message lists them.
    """
    names: tuple[ProviderName, ...] = get_args(ProviderName)
    for name in names:
        if name == provider:
            return name
    raise unknown("provider", str(provider), names)


def runtime() -> Runtime:
    """The module onnxruntime, imported on first use and silent from then on.

    Raises:
        UnavailableError: it is not installed or cannot be loaded.
    """
    # From 1.29 on it reports sessions and models to Microsoft and keeps an identifier in the home
    # folder, unless this is set before it is loaded. What people point a camera at is theirs.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        # It warns of systems that it has not been tried on, which is no news to a user.
        with interrupted_later(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import onnxruntime
    except ImportError as error:
        found = installation.defect(installation.ONNX_RUNTIME)
        cause = f"ONNX Runtime cannot be loaded ({first_line(error)})"
        raise UnavailableError(*(found or (cause, f"pip install {_runtime_package()}"))) from error
    if not hasattr(onnxruntime, "disable_telemetry_events"):
        # What is left where one of two builds was uninstalled is an empty module.
        found = installation.defect(installation.ONNX_RUNTIME)
        raise UnavailableError(*(found or ("ONNX Runtime is not whole", "install it again")))
    # For Windows, and for a program that had loaded it before us.
    onnxruntime.disable_telemetry_events()
    # 4 is "fatal": whatever it would log below that also comes back as an exception, or is told
    # by us as a remark. Its lines would tear the progress line and the timing table apart.
    onnxruntime.set_default_logger_severity(4)
    module: Runtime = onnxruntime
    return module


def route(provider: ProviderName) -> Route:
    """How to run a model on one provider.

    Raises:
        UnavailableError: it cannot run here: the cause, and what to install.
    """
    return _ROUTES[provider]()


def _cpu() -> Route:
    precisions = ("int8",) if processor().fast_int8 else ("float32",)
    return Route(
        "cpu",
        "CPU",
        "CPUExecutionProvider",
        precisions=precisions,
        # Its threads are the session's.
        shared=lambda threads, workers, precision: {},
    )


def _cuda() -> Route:
    name = "CUDAExecutionProvider"
    _need_built_in(name, "CUDA")
    _need_nvidia()
    _preload()
    return Route(
        "cuda",
        "CUDA",
        name,
        _CUDA_OPTIONS,
        precisions=_ON_NVIDIA,
        library="cuda",
        advice="in stream's checkout: pip install '.[cuda]'",
        memory="cuda",
        in_flight=_in_flight(),
        plans=True,
        pads_regions=True,
        batches=True,
    )


def _in_flight() -> int:
    """Inferences at once on this card.

    Files' frames a second on an NVIDIA H100, the default model in float32, with 1 to 4 at once:
    152, 214, 271, 302. Each needs memory for its maps, of which small cards have little.
    """
    found = card()
    return 2 if found is not None and found.memory_gib < _SMALL else 4


def _tensorrt() -> Route:
    if importlib.util.find_spec("onnxruntime_ep_nv_tensorrt_rtx"):
        _need_nvidia()
        devices = _plugin_devices("onnxruntime_ep_nv_tensorrt_rtx", "NVIDIA RTX cards")
        ep_name = str(devices[0].ep_name)
        return Route(
            "tensorrt",
            "TensorRT for RTX",
            ep_name,
            devices=tuple(devices[:1]),
            precisions=_ON_NVIDIA,
            in_flight=2,
        )
    name = "TensorrtExecutionProvider"
    _need_built_in(name, "TensorRT")
    _need_nvidia()
    _preload()
    built = f"{getattr(card(), 'name', '')}, {runtime().__version__}"
    try:
        folder = cache_folder("tensorrt")
    except OSError as error:
        raise UnavailableError(
            f"its engines cannot be kept in {error.filename} ({error.strerror})",
            "make that writable",
        ) from error
    return Route(
        "tensorrt",
        "TensorRT",
        name,
        precisions=_ON_NVIDIA,
        library="tensorrt",
        advice="in stream's checkout: pip install '.[cuda]' 'tensorrt>=10,<11', "
        "or onnxruntime-ep-nv-tensorrt-rtx for an RTX card",
        memory="cuda",
        in_flight=2,
        of_model=partial(engine_options, folder, built),
        rest={"CUDAExecutionProvider": _CUDA_OPTIONS},
    )


def _openvino() -> Route:
    _need_plugin("onnxruntime_ep_openvino", "openvino")
    devices = _plugin_devices("onnxruntime_ep_openvino", "Intel processors and graphics")
    kinds = {str(device.device.type).rpartition(".")[2]: device for device in reversed(devices)}
    machine = processor()
    # With AMX the CPU device computes float32 models in bf16, 4 to 6 times as fast as the built-in
    # provider, and int8 ones in three quarters of that; without it, int8 is the fast way there as
    # it is here. An NPU takes only shapes that are known beforehand, which detectors' are not.
    amx = "amx" in machine.features
    for kind in ("CPU", "GPU") if amx else ("GPU", "CPU"):
        if kind not in kinds:
            continue
        int8 = kind == "CPU" and machine.fast_int8
        return Route(
            "openvino",
            f"OpenVINO ({kind})",
            str(kinds[kind].ep_name),
            devices=(kinds[kind],),
            precisions=("int8",) if int8 else ("float32",),
            shared=cpu_options if kind == "CPU" else None,
            compiles=kinds[kind].ep_metadata.get("version", "") if kind == "CPU" else "",
        )
    raise UnavailableError(
        f"it offers only {', '.join(sorted(kinds))} here, which cannot run detectors",
        _CPU,
    )


def _coreml() -> Route:
    name = "CoreMLExecutionProvider"
    _need_built_in(name, "CoreML")
    return Route(
        "coreml",
        "CoreML",
        name,
        coreml.OPTIONS,
        precisions=("float16", "float32"),
        of_size=partial(coreml.cache_options, runtime().__version__),
        plans=True,
        explain=coreml.failure,
    )


def _webgpu() -> Route:
    _need_plugin(webgpu.PACKAGE, "webgpu")
    # It takes one device, and chooses the graphics processor itself.
    device, *_ = _plugin_devices(webgpu.PACKAGE, "graphics processors")
    return Route(
        "webgpu",
        "WebGPU",
        str(device.ep_name),
        webgpu.OPTIONS,
        devices=(device,),
        sized=True,
        explain=webgpu.failure,
    )


_ROUTES: Mapping[ProviderName, Callable[[], Route]] = {
    "cpu": _cpu,
    "cuda": _cuda,
    "tensorrt": _tensorrt,
    "openvino": _openvino,
    "coreml": _coreml,
    "webgpu": _webgpu,
}


def _need_plugin(module_name: str, extra: str) -> None:
    if not importlib.util.find_spec(module_name):
        raise UnavailableError(
            "its plug-in is not installed", f"in stream's checkout: pip install '.[{extra}]'"
        )


def _need_built_in(execution_provider: str, label: str) -> None:
    if execution_provider in runtime().get_available_providers():
        return
    apples = execution_provider.startswith("CoreML")
    if apples != (sys.platform == "darwin"):
        raise UnavailableError(
            "only macOS has it" if apples else f"there is no {label} on macOS", _CPU
        )
    cause = f"the installed ONNX Runtime is built without {label}"
    several = installation.twins(installation.ONNX_RUNTIME)
    if several is not None:
        raise UnavailableError(f"{cause}: {several[0]}", several[1])
    if apples:
        raise UnavailableError(cause, "pip install --force-reinstall --no-deps onnxruntime")
    if not installation.has_gpu_build():
        raise UnavailableError(f"{cause}, as there is none for this processor", _CPU)
    present = " ".join(installation.installed(installation.ONNX_RUNTIME))
    remove = f"pip uninstall -y {present} && " if present else ""
    raise UnavailableError(
        cause, f"{remove}pip install --force-reinstall --no-deps onnxruntime-gpu"
    )


def _need_nvidia() -> None:
    cause, advice = _nvidia_obstacle()
    if not cause:
        cause, advice = mismatch(_cuda_version(), runtime().__version__)
    if cause:
        raise UnavailableError(cause, advice)


def _cuda_version() -> str:
    """The version of CUDA that ONNX Runtime was built for; "" where it does not say."""
    try:
        built = importlib.import_module("onnxruntime.capi.build_and_package_info")
    except ImportError:
        return ""
    return str(getattr(built, "cuda_version", ""))


def _preload() -> None:
    """Loads NVIDIA's libraries from their wheels in site-packages, where no loader looks.

    What is missing is found out afterwards, by `loading_problem`.
    """
    # It prints what it cannot find, whether that is needed or not.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
        runtime().preload_dlls()


def loading_problem(chosen: Route) -> Obstacle:
    """Why a built-in provider's library cannot be loaded and what to do; `NONE` where it can.

    ONNX Runtime logs this and goes on, so the loader is asked again. Only to be called after ONNX
    Runtime has tried: a provider's library takes what it needs of ONNX Runtime in the moment in
    which it is loaded, and would find nothing before.
    """
    if not chosen.library:
        return NONE
    name = {"win32": "onnxruntime_providers_{}.dll", "darwin": "libonnxruntime_providers_{}.dylib"}
    pattern = name.get(sys.platform, "libonnxruntime_providers_{}.so")
    folder = Path(runtime().__file__).parent / "capi"
    for part in ("shared", chosen.library):
        try:
            # The provider calls functions of the shared library, so its names must be visible.
            ctypes.CDLL(str(folder / pattern.format(part)), mode=getattr(ctypes, "RTLD_GLOBAL", 0))
        except OSError as error:
            return library_obstacle(first_line(error), chosen.advice)
    return NONE


def _plugin_devices(module_name: str, hardware: str) -> list[Device]:
    """The devices that a plug-in provider's package offers here.

    Raises:
        UnavailableError: it cannot be loaded or offers none.
    """
    module = runtime()
    if not hasattr(module, "register_execution_provider_library"):
        raise UnavailableError(
            f"ONNX Runtime {module.__version__} takes no plug-in providers",
            f"pip install -U {_runtime_package()}",
        )
    try:
        ep_name = _register(module_name)
    except Exception as error:  # a third party's package may raise anything
        raise UnavailableError(
            f"its plug-in cannot be loaded ({first_line(error)})",
            f"pip install --force-reinstall {module_name.replace('_', '-')}",
        ) from error
    devices = [device for device in module.get_ep_devices() if device.ep_name == ep_name]
    if not devices:
        raise UnavailableError(
            f"it finds no device of its own here: it runs on {hardware} only", _CPU
        )
    return devices


@cache
def _register(module_name: str) -> str:
    """Registers a plug-in provider's library, once per process; returns the provider's name."""
    plugin = importlib.import_module(module_name)
    ep_name = str(plugin.get_ep_name())
    runtime().register_execution_provider_library(module_name, plugin.get_library_path())
    return ep_name


def _runtime_package() -> str:
    return installation.ONNX_RUNTIME.members[0]
