"""What this machine's processor can do, as far as it decides which model is fast on it."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Processor:
    """This machine's processor.

    Attributes:
        model: its name, for people.
        cores: how many physical cores this process may use.
        features: those of interest here, of "sse2", "avx2", "avx512", "vnni", "bf16", "amx",
            "dotprod" and "i8mm"; empty where the system does not say.
    """

    model: str
    cores: int
    features: frozenset[str]

    @property
    def fast_int8(self) -> bool:
        """Whether int8 models are faster than float32 ones.

        The default model takes 0.66 of the time on an AMD EPYC of Zen 3, which has AVX2 and no
        VNNI.
        """
        return bool(self.features & {"avx2", "vnni", "dotprod", "i8mm"})

    @property
    def narrow_sums(self) -> bool:
        """Whether 8-bit products are added in 16 bits, which cuts off what does not fit there.

        See `stream.inference.bounded_weights`.
        """
        return "sse2" in self.features and "vnni" not in self.features


# Names in /proc/cpuinfo (x86 flags, ARM Features) and of macOS's hw.optional.arm.
_FEATURES = {
    "sse2": ("sse2",),
    "avx2": ("avx2", "avx2_0"),
    "avx512": ("avx512f",),
    "vnni": ("avx512_vnni", "avx_vnni"),
    "bf16": ("avx512_bf16", "bf16", "FEAT_BF16"),
    "amx": ("amx_tile",),
    "dotprod": ("asimddp", "FEAT_DotProd"),
    "i8mm": ("i8mm", "FEAT_I8MM"),
}


@cache
def processor() -> Processor:
    """What the operating system says of the processor; never raises."""
    words = set[str]()
    if sys.platform == "linux":
        # `platform.processor` would start a program, which knows less.
        model, words = _linux(platform.machine() or "unknown")
    else:
        model = platform.processor() or platform.machine() or "unknown"
        if sys.platform == "darwin":
            model, words = _macos(model)
        elif sys.platform == "win32":
            words = _windows()
    features = frozenset(name for name, known in _FEATURES.items() if words & set(known))
    return Processor(model, available_cores(), features)


def available_cores() -> int:
    """Physical cores that this process may use: fewer than the machine's in a container.

    Two threads of one core share its arithmetic units, which inference keeps busy with one.
    """
    if hasattr(os, "sched_getaffinity"):
        logical = len(os.sched_getaffinity(0))
    else:
        logical = os.cpu_count() or 1
    physical = _physical() or logical
    return max(1, min(logical, physical, _quota()))


def _physical(folder: Path = Path("/sys/devices/system/cpu")) -> int | None:
    """The machine's physical cores; None where it does not say."""
    # Linux says of each of its processors which ones share a core with it; older ones in a file of
    # another name. Reading them takes a millisecond, loading psutil twenty.
    for name in ("core_cpus_list", "thread_siblings_list"):
        found = {_read(one) for one in folder.glob(f"cpu[0-9]*/topology/{name}")} - {""}
        if found:
            return len(found)
    import psutil

    try:
        return psutil.cpu_count(logical=False)
    except OSError:  # where /proc is closed
        return None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:  # a processor that was just switched off
        return ""


def _quota(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores that a container's limit amounts to (cgroup v2: microseconds per period)."""
    try:
        time, period = file.read_text(encoding="ascii").split()
        return math.ceil(int(time) / int(period))
    except (OSError, ValueError):
        return sys.maxsize  # no container, or "max"


def _linux(model: str) -> tuple[str, set[str]]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return model, set()
    values: dict[str, str] = {}
    for line in text.partition("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        values[key.strip()] = value.strip()
    flags = values.get("flags", values.get("Features", ""))
    return values.get("model name", model), set(flags.split())


def _macos(model: str) -> tuple[str, set[str]]:
    try:
        answer = subprocess.run(
            ["/usr/sbin/sysctl", "-a"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=5,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return model, set()
    values = dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)
    words = {
        name.rpartition(".")[2]
        for name, value in values.items()
        if name.startswith("hw.optional.") and value.strip() == "1"
    }
    return values.get("machdep.cpu.brand_string", model), words


_OPENCV = {"SSE2": "sse2", "AVX2": "avx2", "AVX512-SKX": "avx512f", "AVX512-ICL": "avx512_vnni"}


def _windows() -> set[str]:
    # Windows names no VNNI; OpenCV's own probe does, bundled with VBMI and BITALG as Ice Lake's
    # set. It marks what it can dispatch to with "*" and what this processor lacks with "?".
    import cv2

    words = cv2.getCPUFeaturesLine().replace("*", " ").split()
    return {_OPENCV[word] for word in words if word in _OPENCV}
