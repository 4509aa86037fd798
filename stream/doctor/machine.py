"""The program itself and what it is installed with; the processor and the memory."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata

from stream.doctor.finding import Finding
from stream.version import __version__
from stream.wording.words import counted

_PACKAGES = {
    "onnxruntime-ep-openvino": "OpenVINO plug-in",
    "onnxruntime-ep-nv-tensorrt-rtx": "TensorRT for RTX plug-in",
    "onnxruntime-ep-webgpu": "WebGPU plug-in",
    "torch": "PyTorch",
}


def program() -> Iterator[Finding]:
    """The program, the system, and the packages and libraries that it stands on."""
    yield Finding("program", "stream", "note", __version__)
    yield Finding("program", "Python", "note", f"{platform.python_version()} ({sys.executable})")
    yield Finding("program", "system", "note", f"{platform.platform()}, {platform.machine()}")
    for package, label in _PACKAGES.items():
        try:
            detail = f"{metadata.version(package)} ({package})"
            yield Finding("program", label, "note", detail)
        except metadata.PackageNotFoundError:
            continue
    yield from packages()
    import av

    libraries = ", ".join(
        f"{name} {'.'.join(map(str, version))}"
        for name, version in sorted(av.library_versions.items())
    )
    yield _kernels()
    yield Finding("program", "FFmpeg", "note", f"{av.ffmpeg_version_info} ({libraries})")


def _kernels() -> Finding:
    """Whether inner loops are compiled."""
    from stream import kernels

    found, words = kernels.examined()
    if found is not None:
        more = "" if kernels.layers() is None else ", as are layers of int8 models"
        return Finding("program", "painting", "works", f"by loops that are compiled{more}")
    advice = "install gcc or clang, then this program again" if kernels.wanted() else ""
    detail = f"by NumPy and OpenCV, more slowly: its loops are {words}"
    return Finding("program", "painting", "note", detail, advice)


def packages() -> Iterator[Finding]:
    """What is installed several times, broken, or of a version that does not suit."""
    from stream.system import installation

    whole = True
    for family in installation.FAMILIES:
        for name, version in installation.installed(family).items():
            yield Finding("program", family.label, "note", f"{version} ({name})")
        problem = installation.twins(family) or installation.defect(family)
        if problem is not None:
            whole = False
            yield Finding("program", family.label, "missing", *problem)
    if whole:
        for name, detail, advice in installation.unmet():
            yield Finding("program", name, "missing", detail, advice)


def processor() -> Iterator[Finding]:
    """The processor, what suits it, and the memory."""
    from stream.system.cpu import processor as examined
    from stream.system.memory import installed

    found, memory = examined(), installed()
    features = ", ".join(sorted(found.features)) or "not known"
    yield Finding(
        "processor", "model", "note", f"{found.model}, {counted(found.cores, 'core')} usable"
    )
    yield Finding("processor", "features", "note", features)
    speed = "int8 models are the fast ones" if found.fast_int8 else "float32 models are preferred"
    yield Finding("processor", "on the CPU", "note", speed)
    if memory is not None:
        free, total = (size / 2**30 for size in memory)
        yield Finding("processor", "memory", "note", f"{free:.1f} of {total:.1f} GiB free")
