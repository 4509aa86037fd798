import ctypes
from pathlib import Path

import pytest

from stream.inference import nvidia
from stream.inference.card import Card, card


class FakeDriver:
    """What is asked of NVIDIA's driver, answered as on a machine with one card."""

    def cuDeviceGet(self, device, index) -> int:
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name, length: int, device) -> int:
        name.value = b"NVIDIA H100 80GB HBM3"
        return 0

    def cuDeviceTotalMem_v2(self, memory, device) -> int:
        memory._obj.value = 79 * 2**30
        return 0

    def cuDriverGetVersion(self, version) -> int:
        version._obj.value = 13000
        return 0


def test_the_card_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "obstacle", lambda: nvidia.NONE)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeDriver())
    monkeypatch.setattr(nvidia, "ROOT", tmp_path)
    assert card() == Card("NVIDIA H100 80GB HBM3", 79.0, "", "13.0")
    told = tmp_path / "proc/driver/nvidia/version"
    told.parent.mkdir(parents=True)
    told.write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n"
        "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2)\n"
    )
    assert card() == Card("NVIDIA H100 80GB HBM3", 79.0, "580.65.06", "13.0")


def test_no_card() -> None:
    if nvidia.obstacle() == nvidia.NONE:
        pytest.skip("there is a card here")
    assert card() is None
