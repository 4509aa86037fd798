"""Each cause of CUDA's absence has its own remedy."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from stream.errors import ProviderError
from stream.inference import nvidia
from tests.system.test_installation import distribution


class Driver:
    """A CUDA driver that answers as told."""

    def __init__(self, start=0, cards=(("A card", (8, 6)),), version=13000) -> None:
        self.start, self.cards, self.version = start, cards, version

    def cuInit(self, flags):
        return self.start

    def cuDeviceGetCount(self, count):
        count._obj.value = len(self.cards)
        return 0

    def cuDriverGetVersion(self, version):
        version._obj.value = self.version
        return 0

    def cuDeviceGet(self, device, number):
        device._obj.value = number
        return 0

    def cuDeviceGetName(self, name, size, device):
        name.value = self.cards[device.value][0].encode()
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = self.cards[device.value][1][attribute - 75]
        return 0


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """The folders of a system on which nothing is known."""
    monkeypatch.setattr(nvidia, "ROOT", tmp_path)
    monkeypatch.setattr(nvidia.sys, "platform", "linux")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    return tmp_path


def put(root: Path, path: str, text: str = "") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def without_driver(
    monkeypatch, reason="libcuda.so.1: cannot open shared object file: No such file or directory"
):
    def fail(name):
        raise OSError(reason)

    monkeypatch.setattr(ctypes, "CDLL", fail)


DEVICE = "sys/bus/pci/devices/0000:01:00.0"


@pytest.mark.parametrize(
    ("files", "cause", "advice"),
    [
        ({}, "(libcuda.so.1 cannot be loaded)", "install NVIDIA's driver, or"),
        (
            {f"{DEVICE}/vendor": "0x8086\n", f"{DEVICE}/class": "0x030000\n"},
            "and no NVIDIA card is there",
            "install a card with it, or use --provider cpu",
        ),
        (
            {f"{DEVICE}/vendor": "0x10de\n", f"{DEVICE}/class": "0x030200\n"},
            "(libcuda.so.1 cannot be loaded)",
            "install NVIDIA's driver, or",
        ),
        (
            # The sound of a card is no card.
            {f"{DEVICE}/vendor": "0x10de\n", f"{DEVICE}/class": "0x040300\n"},
            "and no NVIDIA card is there",
            "use --provider cpu",
        ),
        ({".dockerenv": ""}, "this container has no access", "--gpus all"),
        ({"run/.containerenv": ""}, "this container has no access", "--gpus all"),
        ({"proc/1/cgroup": "0::/kubepods/besteffort\n"}, "this container has", "--gpus all"),
        ({"proc/version": "Linux 5.15 microsoft-standard-WSL2"}, "cannot be loaded", "on Windows"),
    ],
)
def test_without_a_driver(root, monkeypatch, files, cause, advice):
    without_driver(monkeypatch)
    for path, text in files.items():
        put(root, path, text)
    found = nvidia.obstacle.__wrapped__()
    assert found[0].startswith("there is no NVIDIA driver here") and cause in found[0]
    assert advice in found[1]


def test_a_driver_that_does_not_load(root, monkeypatch):
    without_driver(monkeypatch, "/usr/lib/libcuda.so.1: file too short")
    cause, advice = nvidia.obstacle.__wrapped__()
    assert "file too short" in cause and "reinstall NVIDIA's driver" in advice


@pytest.mark.parametrize(
    ("visible", "container", "cause", "advice"),
    [
        (None, False, "the NVIDIA driver finds no GPU here", "check with nvidia-smi"),
        (None, True, "the NVIDIA driver finds no GPU here", "--gpus all"),
        ("", False, "CUDA_VISIBLE_DEVICES is '', which hides every GPU", "unset CUDA_VISIBLE"),
        ("-1", True, "CUDA_VISIBLE_DEVICES is '-1', which hides", "unset CUDA_VISIBLE_DEVICES"),
        ("7", False, "CUDA_VISIBLE_DEVICES=7 names", "a number that nvidia-smi lists"),
    ],
)
def test_a_driver_without_a_gpu(root, monkeypatch, visible, container, cause, advice):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    if container:
        put(root, ".dockerenv")
    for driver in (Driver(100), Driver(cards=())):
        monkeypatch.setattr(ctypes, "CDLL", lambda name, driver=driver: driver)
        found = nvidia.obstacle.__wrapped__()
        assert cause in found[0] and advice in found[1]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (34, "stubs"),
        (802, "fabricmanager"),
        (803, "restart"),
        (804, "LD_LIBRARY_PATH"),
        (999, "nvidia-smi"),
    ],
)
def test_a_driver_that_does_not_start(root, monkeypatch, code, advice):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(code))
    assert advice in nvidia.obstacle.__wrapped__()[1]


@pytest.mark.parametrize(
    ("driver", "cuda", "cause", "advice"),
    [
        (Driver(version=13000), "13.0", "", ""),
        (Driver(version=13020), "12.8", "", ""),
        # Within a major version newer builds run on older drivers.
        (Driver(version=12040), "12.8", "", ""),
        (Driver(version=12040), "13.0",
         "knows CUDA 12.4, and ONNX Runtime 1.31 is built for CUDA 13.0", "driver to 580 or newer"),
        (Driver(version=11080), "12.8", "it knows CUDA 11.8", "driver to 525 or newer"),
        (Driver(version=12040), "14.1", "is too old", "update NVIDIA's driver, or"),
        (Driver(version=12040), "", "", ""),
        (Driver(cards=(("GTX 1080", (6, 1)),)), "13.0",
         "GTX 1080 is too old for CUDA 13: its compute capability is 6.1", "--provider cpu"),
        (Driver(cards=(("GTX 1080", (6, 1)), ("RTX", (8, 6)))), "13.0", "", ""),
        (Driver(cards=(("GTX 1080", (6, 1)),)), "12.8", "", ""),
    ],
)  # fmt: skip
def test_what_is_too_old(monkeypatch, driver, cuda, cause, advice):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    found = nvidia.mismatch(cuda, "1.31")
    assert cause in found[0] and advice in found[1] and bool(cause) == bool(found[0])


MISSING = "lib{}: cannot open shared object file: No such file or directory"


def test_missing_libraries_and_those_of_another_version(root, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.metadata.distributions", lambda: MADE)
    MADE: list[object] = []
    assert nvidia.library_obstacle(MISSING.format("cudnn.so.9"), "INSTALL") == (
        f"its library cannot be loaded ({MISSING.format('cudnn.so.9')})",
        "INSTALL",
    )
    from importlib import metadata

    for name, version in (("nvidia-cublas-cu12", "12.9.1"), ("nvidia-cudnn-cu13", "9.13")):
        distribution(tmp_path / "site", name, version)
    MADE += [metadata.PathDistribution(one) for one in (tmp_path / "site").iterdir()]
    cause, advice = nvidia.library_obstacle(MISSING.format("cublasLt.so.13"), "INSTALL")
    assert cause.endswith("of another version is nvidia-cublas-cu12 12.9.1, which is installed")
    assert advice == "pip uninstall -y nvidia-cublas-cu12, and then INSTALL"
    # Of the right version: it is only not found.
    assert nvidia.library_obstacle(MISSING.format("cudnn.so.9"), "INSTALL")[1] == "INSTALL"
    assert nvidia.library_obstacle(MISSING.format("cufft.so.12"), "INSTALL")[1] == "INSTALL"
    undefined = "/opt/lib/libcudnn.so.9: undefined symbol: cudnnGraph, version libcudnn.so.9"
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    cause, advice = nvidia.library_obstacle(undefined, "INSTALL")
    assert "undefined symbol" in cause and advice.startswith("unset LD_LIBRARY_PATH")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("CUDA error 209: no kernel image is available for execution on the device", "too old"),
        ("CUDA failure 35: CUDA driver version is insufficient for CUDA runtime", "driver"),
        ("BFCArena: Failed to allocate memory for requested buffer of size 99", "memory is full"),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0", "memory is full"),
    ],
)
def test_what_cuda_says_while_it_runs(said, words):
    cause, advice = nvidia.failure(said)
    assert words in cause and advice
    # What is said of it is recognised as well.
    for one in (RuntimeError(said), ProviderError(f"{cause}; {advice}")):
        assert nvidia.memory_is_full(one) == ("full" in words)
    assert nvidia.failure("something else") == nvidia.NONE
