"""Why CUDA cannot be used here: each cause with its own remedy.

The driver is asked through its C interface (the CUDA driver API), which needs no package. ONNX
Runtime says what CUDA it was built for.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

Obstacle = tuple[str, str]
"""A cause and what to do about it; both "" where nothing stands in the way."""

NONE: Obstacle = ("", "")
ROOT = Path("/")
"""Where the system's folders are."""

_CPU = "use --provider cpu"
_VARIABLE = "CUDA_VISIBLE_DEVICES"

# Codes of the CUDA driver API (cuda.h, CUresult).
_NO_DEVICE = 100
_FAILURES: dict[int, Obstacle] = {
    34: (
        "what is loaded as NVIDIA's driver is only CUDA's stub for linking",
        "take the folder `stubs` out of LD_LIBRARY_PATH",
    ),
    802: (
        "NVIDIA's driver is not ready yet (CUDA error 802)",
        "start its fabric manager: sudo systemctl start nvidia-fabricmanager",
    ),
    803: (
        "NVIDIA's driver was updated while it ran: library and kernel module differ",
        "restart the machine",
    ),
    804: (
        "CUDA's compatibility package (cuda-compat) does not work with this card",
        "take it out of LD_LIBRARY_PATH, or update NVIDIA's driver",
    ),
}

_DRIVERS = {11: "450", 12: "525", 13: "580"}
"""The first driver for each major version of CUDA, on Linux (CUDA's release notes)."""

_CAPABILITIES = {11: (3, 5), 12: (5, 0), 13: (7, 5)}
"""The oldest compute capability that each major version of CUDA knows (its release notes)."""

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_...

# The wheels of NVIDIA's libraries, by how the libraries' names begin.
_WHEELS = {
    "cublas": "nvidia-cublas",
    "cudnn": "nvidia-cudnn",
    "cufft": "nvidia-cufft",
    "curand": "nvidia-curand",
    "cudart": "nvidia-cuda-runtime",
    "nvrtc": "nvidia-cuda-nvrtc",
    "nvjitlink": "nvidia-nvjitlink",
    "nvinfer": "tensorrt",
}


@cache
def obstacle() -> Obstacle:
    """Why there is no usable NVIDIA GPU here, and what to do."""
    name = library()
    try:
        driver = ctypes.CDLL(name)
    except OSError as error:
        return _without_driver(name, str(error))
    code = driver.cuInit(0)
    count = ctypes.c_int(0)
    if code == 0:
        code = driver.cuDeviceGetCount(ctypes.byref(count))
    if code == _NO_DEVICE or (code == 0 and count.value == 0):
        return _without_device()
    if code in _FAILURES:
        return _FAILURES[code]
    if code:
        return f"the NVIDIA driver does not start (CUDA error {code})", "check with nvidia-smi"
    return NONE


def library() -> str:
    """The file name of NVIDIA's driver's library."""
    return "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def _without_driver(library: str, reason: str) -> Obstacle:
    absent = "cannot be loaded"
    if (ROOT / "proc/version").exists() and "microsoft" in _text("proc/version").lower():
        remedy = "install NVIDIA's driver on Windows, from where WSL has it"
    elif not _is_missing(reason):
        absent, remedy = f"cannot be loaded: {reason}", "reinstall NVIDIA's driver"
    elif _in_container():
        absent = "cannot be loaded: this container has no access to a GPU"
        remedy = (
            "start the container with --gpus all (NVIDIA's Container Toolkit must be installed on "
            "its host)"
        )
    elif _has_card() is False:
        absent, remedy = "cannot be loaded, and no NVIDIA card is there", "install a card with it"
    else:
        remedy = "install NVIDIA's driver"
    return f"there is no NVIDIA driver here ({library} {absent})", f"{remedy}, or {_CPU}"


def _without_device() -> Obstacle:
    seen = os.environ.get(_VARIABLE)
    if seen is not None and not re.match(r"\s*(\d|GPU-|MIG-)", seen):
        return f"{_VARIABLE} is {seen!r}, which hides every GPU", f"unset {_VARIABLE}"
    if seen is not None:
        return (
            f"the NVIDIA driver finds no GPU here that {_VARIABLE}={seen} names",
            f"unset {_VARIABLE}, or set it to a number that nvidia-smi lists",
        )
    if _in_container():
        return (
            "the NVIDIA driver finds no GPU here",
            f"this is a container: start it with --gpus all, or {_CPU}",
        )
    return "the NVIDIA driver finds no GPU here", "check with nvidia-smi"


def _is_missing(reason: str) -> bool:
    # The loader's words on Linux, and Python's on Windows.
    return "No such file" in reason or "Could not find module" in reason or not reason


def _in_container() -> bool:
    if any((ROOT / mark).exists() for mark in (".dockerenv", "run/.containerenv")):
        return True
    return bool(re.search(r"docker|kubepods|containerd|lxc", _text("proc/1/cgroup")))


def _has_card() -> bool | None:
    """Whether an NVIDIA display adapter is on the PCI bus; None where that cannot be known."""
    if sys.platform == "linux" and (devices := [*(ROOT / "sys/bus/pci/devices").glob("*")]):
        return any(
            _text(one / "vendor").strip() == "0x10de" and _text(one / "class").startswith("0x03")
            for one in devices
        )
    return None


def _text(path: str | Path) -> str:
    try:
        return (ROOT / path).read_text(errors="replace")
    except OSError:
        return ""


def mismatch(cuda: str, version: str) -> Obstacle:
    """Why driver or card are too old for what ONNX Runtime was built for, and what to do.

    Only to be called where there is no `obstacle`.

    Args:
        cuda: the version of CUDA that it was built for, such as "13.0"; "" where it is not known.
        version: ONNX Runtime's own.
    """
    if not cuda[:1].isdigit():
        return NONE
    needed = int(cuda.partition(".")[0])
    try:
        driver = ctypes.CDLL(library())
    except OSError:
        return NONE
    known = ctypes.c_int(0)
    driver.cuDriverGetVersion(ctypes.byref(known))
    if known.value and known.value // 1000 < needed:
        has = f"{known.value // 1000}.{known.value % 1000 // 10}"
        least_driver = f"to {_DRIVERS[needed]} or newer" if needed in _DRIVERS else ""
        return (
            f"the NVIDIA driver is too old: it knows CUDA {has}, and ONNX Runtime {version} is "
            f"built for CUDA {cuda}",
            f"update NVIDIA's driver {least_driver}".strip() + f", or {_CPU}",
        )
    least = _CAPABILITIES.get(needed)
    cards = list(_cards(driver))
    if least is None or any(capability >= least for _, capability in cards) or not cards:
        return NONE
    name, (major, minor) = cards[0]
    return (
        f"{name} is too old for CUDA {needed}: its compute capability is {major}.{minor}, and "
        f"{least[0]}.{least[1]} is needed",
        _CPU,
    )


def _cards(driver: ctypes.CDLL) -> Iterable[tuple[str, tuple[int, int]]]:
    """Names and compute capabilities of the cards."""
    count = ctypes.c_int(0)
    driver.cuDeviceGetCount(ctypes.byref(count))
    for number in range(count.value):
        device, major, minor = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_int(0)
        name = ctypes.create_string_buffer(100)
        driver.cuDeviceGet(ctypes.byref(device), number)
        driver.cuDeviceGetName(name, len(name), device)
        driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
        driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
        yield name.value.decode(errors="replace"), (major.value, minor.value)


def library_obstacle(reason: str, install: str) -> Obstacle:
    """What a loader's complaint about a library of NVIDIA's means, and what to do.

    Args:
        reason: the loader's words.
        install: what brings the libraries, such as "pip install '.[cuda]'".
    """
    missing = re.match(r"(?P<name>lib[\w+-]+\.so[.\d]*): cannot open shared object", reason)
    wrong = re.search(r"(?P<name>lib(?:cu|nv)[\w+-]+\.so[.\d]*)", reason)
    found = missing or wrong
    if found is None:
        return f"its library cannot be loaded ({reason})", install
    wheels = _wheels_of(found["name"])
    cause = f"its library cannot be loaded ({reason})"
    if wheels:
        there = ", ".join(f"{one} {version}" for one, version in wheels.items())
        cause += f"; of another version is {there}, which is installed"
    if not missing and os.environ.get("LD_LIBRARY_PATH"):
        return cause, f"unset LD_LIBRARY_PATH, which comes before the wheels, or {install}"
    remove = f"pip uninstall -y {' '.join(wheels)}, and then " if wheels else ""
    return cause, f"{remove}{install}"


def _wheels_of(library: str) -> dict[str, str]:
    """Installed wheels that bring a library of that name in another version."""
    stem = next((one for one in _WHEELS if library.lower().startswith(f"lib{one}")), None)
    if stem is None:
        return {}
    wanted = _WHEELS[stem]
    # A wheel's major version is its library's, whatever version of CUDA it is part of.
    major = re.search(r"\.so\.(\d+)", library)
    # Only where something is amiss is it worth its thirty modules.
    from importlib import metadata

    found = {}
    for one in metadata.distributions():
        name = str(one.name or "").lower()
        if major is not None and one.version.partition(".")[0] == major[1]:
            continue
        if name == wanted or name.startswith(f"{wanted}-cu"):
            found[name] = one.version
    return dict(sorted(found.items()))


_MEMORY_FULL = "the GPU's memory is full"
_FULL = re.compile(
    rf"out of memory|Failed to allocate memory|_ALLOC(?:ATION)?_FAILED|{_MEMORY_FULL}"
)


def memory_is_full(error: BaseException) -> bool:
    """Whether an error, of ONNX Runtime or of ours, says that there was too little memory."""
    return isinstance(error, MemoryError) or _FULL.search(str(error)) is not None


def failure(sentence: str) -> Obstacle:
    """What an error of CUDA's while a model runs means, and what to do."""
    if "no kernel image" in sentence:
        return "the card is too old (or too new) for this ONNX Runtime's CUDA", _CPU
    if "driver version is insufficient" in sentence:
        return "the NVIDIA driver is too old for this ONNX Runtime", "update NVIDIA's driver"
    if _FULL.search(sentence):
        return (
            _MEMORY_FULL,
            f"close what else uses it (nvidia-smi lists it), or {_CPU}",
        )
    return NONE
