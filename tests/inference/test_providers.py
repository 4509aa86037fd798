import ctypes
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from stream import Segmenter
from stream.errors import ModelError, ProviderError, UsageError
from stream.inference import onnx_session, providers, session
from stream.inference.assignment import elsewhere
from stream.inference.catalogue import find
from stream.inference.providers import AUTO_ORDER, UnavailableError, route
from stream.inference.route import LABELS, ProviderName, Route
from stream.system import cpu
from tests import tiny_models

needs_no_gpu = pytest.mark.skipif(
    providers._nvidia_obstacle() == ("", ""), reason="this machine has an NVIDIA GPU"
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_models.nothing(tmp_path / "nothing.onnx")


@needs_no_gpu
@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_a_provider_that_cannot_run_is_an_error_with_its_cause(
    model: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ProviderError) as caught:
        Segmenter.load(model, provider=name)
    sentence = str(caught.value)
    assert "cannot be used here: there is no NVIDIA driver here" in sentence or "GPU" in sentence
    assert "install" in sentence or "check" in sentence
    assert "\n" not in sentence
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


@needs_no_gpu
def test_auto_says_what_it_chose_and_why(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    segmenter = Segmenter.load(model)
    if segmenter.provider != "CPU (float32)":
        pytest.skip(f"another provider works here: {segmenter.provider}")
    (remark,) = segmenter.remarks
    assert remark.startswith("auto chose CPU (float32); not TensorRT or CUDA: there is no NVIDIA")
    assert "not OpenVINO: it" in remark
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


def test_the_cpu_when_asked_for_needs_no_remark(model: Path) -> None:
    assert Segmenter.load(model, provider="cpu").remarks == ()


def test_an_unknown_provider_is_a_misuse(model: Path) -> None:
    with pytest.raises(UsageError, match=r"no provider 'cudnn'; did you mean cuda\?"):
        Segmenter.load(model, provider="cudnn")


@pytest.mark.parametrize("name", ["openvino", "webgpu"])
def test_the_plugin_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, name: ProviderName
) -> None:
    monkeypatch.setattr(providers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError) as caught:
        route(name)
    assert caught.value.advice == f"in stream's checkout: pip install '.[{name}]'"


def test_a_plugin_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> str:
        raise RuntimeError(f"{name}: undefined symbol\nand a long trace")

    monkeypatch.setattr(providers.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(providers, "_register", broken)
    with pytest.raises(UnavailableError, match=r"plug-in cannot be loaded .*undefined symbol"):
        route("openvino")


class _Device:
    """A device as ONNX Runtime lists it."""

    def __init__(self, kind: str) -> None:
        self.ep_name = "OpenVINOExecutionProvider"
        self.ep_metadata = {"version": "1.0"}
        self.device = type("Hardware", (), {"type": f"OrtHardwareDeviceType.{kind}"})


@pytest.mark.parametrize(
    ("kinds", "features", "label", "precision"),
    [
        (["CPU", "GPU", "NPU"], {"amx", "vnni"}, "OpenVINO (CPU)", "int8"),
        (["CPU", "GPU", "NPU"], {"vnni"}, "OpenVINO (GPU)", "float32"),
        (["CPU"], {"vnni"}, "OpenVINO (CPU)", "int8"),
        (["CPU"], {"avx2"}, "OpenVINO (CPU)", "int8"),
        (["CPU"], {"sse2"}, "OpenVINO (CPU)", "float32"),
    ],
)
def test_which_of_openvinos_devices(
    monkeypatch: pytest.MonkeyPatch,
    kinds: list[str],
    features: set[str],
    label: str,
    precision: str,
) -> None:
    machine = cpu.Processor("a processor", 2, frozenset(features))
    monkeypatch.setattr(providers, "processor", lambda: machine)
    monkeypatch.setattr(providers.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(providers, "_plugin_devices", lambda *about: [_Device(k) for k in kinds])
    chosen = route("openvino")
    assert (chosen.label, chosen.precisions) == (label, (precision,))


def test_an_npu_alone_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(providers, "_plugin_devices", lambda *about: [_Device("NPU")])
    with pytest.raises(UnavailableError, match="offers only NPU here"):
        route("openvino")


class _Runtime:
    """ONNX Runtime as it may be installed somewhere: with these providers and devices."""

    __version__ = "1.30"

    def __init__(self, *names: str, devices: Sequence[object] = ()) -> None:
        self.names, self.devices = names, list(devices)
        self.preloaded = 0

    def get_available_providers(self) -> list[str]:
        return [*self.names, "CPUExecutionProvider"]

    def preload_dlls(self) -> None:
        self.preloaded += 1
        raise OSError("libcudnn is not there")

    def register_execution_provider_library(self, name: str, path: str) -> None:
        """Any is taken."""

    def get_ep_devices(self) -> list[object]:
        return self.devices


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., _Runtime]:
    """Makes it look as if this ONNX Runtime were installed, with a card that works."""

    def install(*names: str, devices: Sequence[object] = ()) -> _Runtime:
        module = _Runtime(*names, devices=devices)
        monkeypatch.setattr(providers, "runtime", lambda: module)
        monkeypatch.setattr(providers, "_nvidia_obstacle", lambda: ("", ""))
        monkeypatch.setattr(providers, "mismatch", lambda *_: ("", ""))
        monkeypatch.setattr(providers.importlib.util, "find_spec", lambda _: None)
        return module

    return install


@pytest.mark.parametrize(
    ("name", "system", "twins", "gpu_build", "there", "sentence"),
    [
        ("coreml", "linux", None, True, [], "only macOS has it; use --provider cpu"),
        ("cuda", "darwin", None, True, [], "there is no CUDA on macOS; use --provider cpu"),
        ("tensorrt", "darwin", None, True, [], "there is no TensorRT on macOS; use --provider cpu"),
        (
            "coreml", "darwin", None, True, [],
            "the installed ONNX Runtime is built without CoreML; "
            "pip install --force-reinstall --no-deps onnxruntime",
        ),
        (
            "cuda", "linux", ("two are there", "remove one"), True, [],
            "the installed ONNX Runtime is built without CUDA: two are there; remove one",
        ),
        (
            "cuda", "linux", None, False, [],
            "the installed ONNX Runtime is built without CUDA, as there is none for this "
            "processor; use --provider cpu",
        ),
        (
            "tensorrt", "linux", None, True, ["onnxruntime", "onnxruntime-directml"],
            "the installed ONNX Runtime is built without TensorRT; "
            "pip uninstall -y onnxruntime onnxruntime-directml && "
            "pip install --force-reinstall --no-deps onnxruntime-gpu",
        ),
        (
            "cuda", "win32", None, True, [],
            "the installed ONNX Runtime is built without CUDA; "
            "pip install --force-reinstall --no-deps onnxruntime-gpu",
        ),
    ],
)  # fmt: skip
def test_what_a_build_of_onnx_runtime_lacks_is_said_with_what_to_install(
    installed: Callable[..., _Runtime],
    monkeypatch: pytest.MonkeyPatch,
    name: ProviderName,
    system: str,
    twins: tuple[str, str] | None,
    gpu_build: bool,
    there: list[str],
    sentence: str,
) -> None:
    installed()
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(providers.installation, "twins", lambda _: twins)
    monkeypatch.setattr(providers.installation, "has_gpu_build", lambda: gpu_build)
    monkeypatch.setattr(providers.installation, "installed", lambda _: there)
    with pytest.raises(UnavailableError) as caught:
        route(name)
    assert str(caught.value) == sentence


def test_what_nvidia_s_own_providers_are_asked_for(
    installed: Callable[..., _Runtime], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = installed("CUDAExecutionProvider", "TensorrtExecutionProvider")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cuda, tensorrt = route("cuda"), route("tensorrt")
    assert module.preloaded == 2, "what is missing is found out later"
    assert cuda.options == tensorrt.rest["CUDAExecutionProvider"]
    assert cuda.options["use_tf32"] == "0"
    assert (cuda.plans, cuda.pads_regions, cuda.batches, cuda.by_size) == (True, True, True, True)
    assert tensorrt.in_flight == 2
    assert not (tensorrt.plans or tensorrt.pads_regions or tensorrt.batches or tensorrt.by_size)
    for gibibytes, at_once in ((6.0, 2), (8.0, 4), (None, 4)):
        found = None if gibibytes is None else SimpleNamespace(memory_gib=gibibytes)
        monkeypatch.setattr(providers, "card", lambda found=found: found)
        assert route("cuda").in_flight == at_once


def test_a_driver_that_does_not_fit_is_said_before_anything_is_loaded(
    installed: Callable[..., _Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = installed("CUDAExecutionProvider", "TensorrtExecutionProvider")
    monkeypatch.setattr(providers, "mismatch", lambda *_: ("it is too old", "update it"))
    for name in ("cuda", "tensorrt"):
        with pytest.raises(UnavailableError, match=r"^it is too old; update it$"):
            route(name)
    assert module.preloaded == 0


def test_coreml_is_made_ready_for_each_size_and_the_cpu_has_a_session_for_each(
    installed: Callable[..., _Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("CoreMLExecutionProvider")
    chosen = route("coreml")
    assert chosen.plans and chosen.by_size and not chosen.batches
    assert chosen.of_size is not None and chosen.precisions == ("float16", "float32")
    processor = route("cpu")
    assert processor.by_size and not processor.plans and processor.in_flight == 1
    bare = Route("cuda", "CUDA", "CUDAExecutionProvider")
    assert not bare.by_size and bare.in_flight == 1
    assert Route("webgpu", "WebGPU", "x", sized=True).by_size


def test_only_a_plugin_s_own_devices_are_taken(
    installed: Callable[..., _Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = _Device("CPU"), SimpleNamespace(ep_name="CPUExecutionProvider")
    module = installed(devices=[other, own])
    monkeypatch.setattr(providers.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(providers, "_register", lambda _: own.ep_name)
    chosen = route("openvino")
    assert chosen.devices == (own,)
    assert chosen.compiles == "1.0" and chosen.shared is not None
    module.devices = [_Device("GPU")]
    chosen = route("openvino")
    assert chosen.compiles == "" and chosen.shared is None, "graphics do not compute on the CPU"
    module.devices = [other]
    with pytest.raises(UnavailableError, match="finds no device of its own here: it runs on Intel"):
        route("openvino")
    monkeypatch.delattr(_Runtime, "register_execution_provider_library")
    with pytest.raises(UnavailableError, match=r"1\.30 takes no plug-in providers; pip install -U"):
        route("openvino")


def test_tensorrt_s_plugin_takes_the_first_card_where_it_is_installed(
    installed: Callable[..., _Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(devices=[_Device("GPU"), _Device("GPU")])
    monkeypatch.setattr(providers.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(providers, "_register", lambda _: "OpenVINOExecutionProvider")
    chosen = route("tensorrt")
    assert chosen.label == "TensorRT for RTX" and chosen.in_flight == 2
    assert chosen.devices == tuple(providers.runtime().devices[:1])


@pytest.mark.parametrize("how", ["gone", "hollow"])
def test_an_onnx_runtime_that_is_not_whole_is_said_with_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    hollow = ModuleType("onnxruntime") if how == "hollow" else None
    monkeypatch.setitem(sys.modules, "onnxruntime", hollow)
    for defect in (None, ("two builds lie over each other", "remove both")):
        monkeypatch.setattr(providers.installation, "defect", lambda _, defect=defect: defect)
        with pytest.raises(UnavailableError) as caught:
            providers.runtime()
        usual = {
            "gone": "ONNX Runtime cannot be loaded (",
            "hollow": "ONNX Runtime is not whole; install it again",
        }
        said = str(caught.value)
        assert said.startswith(usual[how] if defect is None else "two builds lie over each other;")


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_ctrl_c_while_onnx_runtime_is_loaded_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its library goes on where an attribute cannot be asked for, whatever the reason."""
    (tmp_path / "onnxruntime.py").write_text(
        "import signal\n"
        "try:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    pass\n"
        "disable_telemetry_events = lambda: None\n"
        "set_default_logger_severity = lambda severity: None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            providers.runtime()
    finally:
        signal.signal(signal.SIGINT, before)


def test_telemetry_is_off_for_a_program_that_had_loaded_onnx_runtime_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    off: list[bool] = []
    module = providers.runtime()
    monkeypatch.setattr(module, "disable_telemetry_events", lambda: off.append(True))
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    providers.runtime()
    assert off == [True] and os.environ["ORT_DISABLE_TELEMETRY"] == "1"


class _Driver:
    """A CUDA driver that answers as told."""

    def __init__(self, start: int, devices: int) -> None:
        self.start, self.devices = start, devices

    def cuInit(self, flags: int) -> int:
        return self.start

    def cuDeviceGetCount(self, count: object) -> int:
        count._obj.value = self.devices  # type: ignore[attr-defined]
        return 0


@pytest.mark.parametrize(
    ("driver", "cause"),
    [
        (_Driver(0, 1), ""),
        (_Driver(0, 0), "the NVIDIA driver finds no GPU here"),
        (_Driver(100, 0), "the NVIDIA driver finds no GPU here"),
        (_Driver(999, 0), "the NVIDIA driver does not start (CUDA error 999)"),
    ],
)
def test_what_the_driver_says(monkeypatch: pytest.MonkeyPatch, driver: _Driver, cause: str) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert providers._nvidia_obstacle.__wrapped__()[0] == cause


@needs_no_gpu
@pytest.mark.skipif(
    "CUDAExecutionProvider" not in providers.runtime().get_available_providers(),
    reason="ONNX Runtime's build here has no CUDA",
)
def test_a_library_that_cuda_needs_is_named(
    model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # As on a machine with a driver but without CUDA's libraries.
    monkeypatch.setattr(providers, "_nvidia_obstacle", lambda: ("", ""))
    monkeypatch.setattr(providers.runtime(), "preload_dlls", lambda: print("noise"))
    with pytest.raises(ProviderError, match=r"\(lib\w+\.so\S*: cannot open") as caught:
        Segmenter.load(model, provider="cuda")
    sentence = str(caught.value)
    assert sentence.startswith("CUDA cannot be used here: its library cannot be loaded (lib")
    assert sentence.endswith("; in stream's checkout: pip install '.[cuda]'")
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


@needs_no_gpu
@pytest.mark.skipif(
    "TensorrtExecutionProvider" not in providers.runtime().get_available_providers(),
    reason="ONNX Runtime's build here has no TensorRT",
)
def test_a_library_that_tensorrt_needs_is_named(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(providers, "_nvidia_obstacle", lambda: ("", ""))
    with pytest.raises(ProviderError, match=r"library cannot be loaded \(lib\w+\.so\S*: "):
        Segmenter.load(model, provider="tensorrt")


@needs_no_gpu
def test_the_silent_fallback_of_onnx_runtime_is_noticed(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All checks beforehand pass, and ONNX Runtime still hands out a session on the CPU.
    lie = Route("cuda", "CUDA", "CUDAExecutionProvider")
    if lie.execution_provider not in providers.runtime().get_available_providers():
        pytest.skip("ONNX Runtime's build here has no CUDA")
    monkeypatch.setattr(session, "route", lambda name: lie)
    with pytest.raises(ProviderError, match="would have used CPUExecutionProvider"):
        Segmenter.load(model, provider="cuda")


def test_nothing_is_reported_to_anybody(tmp_path: Path, model: Path) -> None:
    # ONNX Runtime reports by default, except where it recognises a test or a CI machine.
    kept = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import sys; from stream import Segmenter; "
        "Segmenter.load(sys.argv[1], provider='cpu').warm_up(64, 48)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(model)],
        env=environment | {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        timeout=60,
    )
    assert [str(path) for path in home.rglob("*") if "onnxruntime" in path.name] == []


def test_auto_goes_on_when_a_provider_refuses_the_model(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> Route:
        if name == "cpu":
            return Route("cpu", "CPU", "CPUExecutionProvider")
        raise ProviderError(f"{name} refuses the model")

    monkeypatch.setattr(session, "route", refuse)
    opened = session.open_session(find(model))
    assert opened.route.name == "cpu"
    assert "not CUDA: cuda refuses the model" in opened.remarks[0]


def test_the_cpu_takes_int8_where_it_is_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_models.nothing(tmp_path / "default.onnx")
    tiny_models.nothing(tmp_path / "default.int8.onnx", tiny_models.metadata(precision="int8"))
    entry = find("default", tmp_path)
    for feature, precision in (("vnni", "int8"), ("avx2", "int8"), ("sse2", "float32")):
        machine = cpu.Processor("a processor", 2, frozenset({feature}))
        monkeypatch.setattr(providers, "processor", lambda machine=machine: machine)
        opened = session.open_session(entry, "cpu")
        assert opened.metadata.precision == precision


class _Node:
    def __init__(self, op_type: str) -> None:
        self.op_type = self.name = op_type


class _Part:
    def __init__(self, ep_name: str, kinds: list[str]) -> None:
        self.ep_name, self.kinds = ep_name, kinds

    def get_nodes(self) -> list[_Node]:
        return [_Node(kind) for kind in self.kinds]


class _Handle:
    def __init__(self, *parts: _Part) -> None:
        self.parts = parts

    def get_provider_graph_assignment_info(self) -> tuple[_Part, ...]:
        return self.parts


def test_nodes_that_run_elsewhere_are_named() -> None:
    chosen = Route("cuda", "CUDA", "CUDAExecutionProvider")
    cuda, other = _Part("CUDAExecutionProvider", ["Conv"] * 8), "CPUExecutionProvider"
    assert elsewhere(_Handle(cuda), chosen) == []
    (remark,) = elsewhere(_Handle(cuda, _Part(other, ["TopK", "NonZero"])), chosen)
    assert remark == "2 of 10 nodes run on the CPU instead of CUDA: 1 TopK, 1 NonZero"
    # What counts sides and regions is there on purpose.
    assert elsewhere(_Handle(cuda, _Part(other, ["Shape", "Div", "Concat"])), chosen) == []
    with pytest.raises(ProviderError, match=r"takes none of the model's 1 node$"):
        elsewhere(_Handle(_Part(other, ["Conv"])), chosen)


def test_onnx_runtime_says_where_nodes_run(model: Path) -> None:
    handle = onnx_session.create(route("cpu"), str(model), 1, "the model")
    if not hasattr(handle, "get_provider_graph_assignment_info"):
        pytest.skip("ONNX Runtime before 1.24 does not")
    parts = handle.get_provider_graph_assignment_info()
    assert {part.ep_name for part in parts} <= {"CPUExecutionProvider"}


def test_every_provider_but_auto_has_a_route() -> None:
    assert set(providers._ROUTES) == set(LABELS)
    # What has not been measured is only used where it is asked for.
    assert set(LABELS) - set(AUTO_ORDER) == {"coreml", "webgpu"}


def test_the_processor_is_known(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        machine = cpu.processor()
    assert machine.cores >= 1
    assert machine.model
    assert not caplog.records


def test_what_linux_says_of_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(text: str) -> None:
        monkeypatch.setattr(cpu.Path, "read_text", lambda self, **options: text)

    answer("processor : 0\nmodel name : Xeon\nflags : fpu avx512_vnni amx_tile\n\nprocessor : 1")
    assert cpu._linux("?") == ("Xeon", {"fpu", "avx512_vnni", "amx_tile"})
    answer("processor : 0\nFeatures : fp asimddp\n")
    assert cpu._linux("arm64") == ("arm64", {"fp", "asimddp"})


@pytest.mark.parametrize(("limit", "cores"), [("150000 100000", 2), ("400000 100000", 4)])
def test_a_containers_limit_counts(tmp_path: Path, limit: str, cores: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(f"{limit}\n")
    assert cpu._quota(file) == cores
    file.write_text("max 100000\n")
    assert cpu._quota(file) > 1000
    assert cpu._quota(tmp_path / "none") > 1000
    assert cpu.available_cores() >= 1


def test_a_failing_session_names_model_and_cause(tmp_path: Path) -> None:
    path = tiny_models.nothing(tmp_path / "fixed.onnx", size=(64, 48))
    segmenter = Segmenter.load(path, provider="cpu")
    prepared = segmenter.preprocess(np.zeros((48, 64, 3), np.uint8))
    broken = type(prepared)(prepared.tensor[:, :10], prepared.geometry)
    with pytest.raises(ModelError, match=r"fixed.onnx' failed on CPU") as caught:
        segmenter.infer(broken)
    assert "\n" not in str(caught.value)
