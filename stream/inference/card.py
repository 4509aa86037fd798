"""Which NVIDIA card is here, as its driver says."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from stream.inference import nvidia

_LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class Card:
    """The card that CUDA computes on.

    Attributes:
        name: as the driver calls it.
        memory_gib: of the card.
        driver: the driver's version, "" where it does not say.
        cuda: the newest version of CUDA that the driver knows, such as "13.0".
    """

    name: str
    memory_gib: float
    driver: str
    cuda: str


def card() -> Card | None:
    """The first card; None where there is none that can be used."""
    if nvidia.obstacle() != nvidia.NONE:
        return None
    driver = ctypes.CDLL(nvidia.library())
    device, version = ctypes.c_int(0), ctypes.c_int(0)
    name, memory = ctypes.create_string_buffer(_LONGEST_NAME), ctypes.c_size_t(0)
    driver.cuDeviceGet(ctypes.byref(device), 0)
    driver.cuDeviceGetName(name, _LONGEST_NAME, device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    driver.cuDriverGetVersion(ctypes.byref(version))
    return Card(
        name.value.decode(errors="replace"),
        round(memory.value / 2**30, 1),
        _driver_version(),
        f"{version.value // 1000}.{version.value % 1000 // 10}",
    )


def _driver_version() -> str:
    """From the kernel module's own words, on Linux."""
    told = nvidia.ROOT / "proc/driver/nvidia/version"
    if not told.is_file():
        return ""
    words = told.read_text(errors="replace").split()
    return next((word for word in words if word.count(".") >= 1 and word[:3].isdigit()), "")
