"""What works on this machine, what does not, and what to install: `stream doctor`."""

from __future__ import annotations

import base64
import logging
import os
import platform
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from ctypes.util import find_library
from dataclasses import asdict, dataclass
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stream.errors import first_line
from stream.version import __version__
from stream.words import counted

if TYPE_CHECKING:
    from rich.console import Console

State = Literal["works", "missing", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination.

    Attributes:
        topic: what it belongs to, such as "providers".
        name: what was looked at.
        state: `works`, `missing` (something a user may want does not work), or `note`.
        detail: what was found.
        advice: what to install or do; "" where nothing needs doing.
    """

    topic: str
    name: str
    state: State
    detail: str
    advice: str = ""


def examine() -> list[dict[str, str]]:
    """Examines the machine; every finding as a dict of strings (see `Finding`), ready for JSON.

    Each provider is tried with a session of its own, each hardware encoder is opened. Takes a
    second or two. Never raises: what cannot be examined is a finding too.
    """
    topics: dict[str, Callable[[], Iterator[Finding]]] = {
        "program": _program,
        "processor": _processor,
        "providers": _providers,
        "models": _models,
        "cameras": _cameras,
        "codecs": _codecs,
        "display": _display,
    }
    findings: list[dict[str, str]] = []
    for topic, look in topics.items():
        try:
            findings += [asdict(finding) for finding in look()]
        except Exception as error:  # noqa: BLE001 - one topic's failure must not hide the others
            cause = (str(error).splitlines() or [""])[0]
            detail = f"cannot be examined: {type(error).__name__}: {cause}"
            findings.append(asdict(Finding(topic, topic, "missing", detail)))
    return findings


def print_findings(console: Console, findings: Sequence[dict[str, str]]) -> None:
    """Prints findings by topic, with what to do under what is missing."""
    from rich.markup import escape

    plain = not (console.encoding or "").lower().startswith("utf")
    good, bad, note, arrow = ("+", "-", " ", "->") if plain else ("✓", "✗", "·", "→")
    signs = {"works": f"[green]{good}[/]", "missing": f"[red]{bad}[/]", "note": note}
    topic = ""
    for finding in findings:
        if finding["topic"] != topic:
            topic = finding["topic"]
            console.print(f"[bold]{escape(topic)}[/]", highlight=False)
        line = f"{signs[finding['state']]} {escape(finding['name'])}: {escape(finding['detail'])}"
        console.print(f"  {line}", highlight=False, soft_wrap=True)
        if finding["advice"]:
            advice = f"      {arrow} {escape(finding['advice'])}"
            console.print(advice, highlight=False, soft_wrap=True)


_PACKAGES = {
    "onnxruntime-ep-openvino": "OpenVINO plug-in",
    "onnxruntime-ep-nv-tensorrt-rtx": "TensorRT for RTX plug-in",
    "onnxruntime-ep-webgpu": "WebGPU plug-in",
    "torch": "PyTorch",
}


def _program() -> Iterator[Finding]:
    yield Finding("program", "stream", "note", __version__)
    yield Finding("program", "Python", "note", f"{platform.python_version()} ({sys.executable})")
    yield Finding("program", "system", "note", f"{platform.platform()}, {platform.machine()}")
    for package, label in _PACKAGES.items():
        try:
            detail = f"{metadata.version(package)} ({package})"
            yield Finding("program", label, "note", detail)
        except metadata.PackageNotFoundError:
            continue
    yield from _packages()
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


def _packages() -> Iterator[Finding]:
    """What is installed several times, broken, or of a version that does not suit."""
    from stream import installation

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


def _processor() -> Iterator[Finding]:
    from stream.cpu import processor
    from stream.memory import installed

    found, memory = processor(), installed()
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


# An ONNX model of one node, Relu on float32 [1, 4] (opset 13, format 8).
_PROBE = base64.b64decode(
    "CAgSADo/CgwKAXgSAXkiBFJlbHUSBXByb2JlWhMKAXgSDgoMCAESCAoCCAEKAggEYhMKAXkSDgoMCAESCAoCCAEKAggE"
    "QgQKABAN"
)


def _providers() -> Iterator[Finding]:
    import numpy as np

    from stream.inference.card import card
    from stream.inference.nvidia import failure
    from stream.inference.onnx_session import create
    from stream.inference.providers import AUTO_ORDER, UnavailableError, route
    from stream.inference.route import LABELS

    first = ""
    for name in LABELS:
        start = time.perf_counter()
        try:
            chosen = route(name)
            handle = create(chosen, _PROBE, 1, "the probe")
            handle.run(None, {"x": np.ones((1, 4), np.float32)})
        except UnavailableError as error:
            yield Finding("providers", LABELS[name], "missing", error.cause, error.advice)
        except Exception as error:  # noqa: BLE001 - drivers and plug-ins may raise anything
            cause, advice = failure(str(error))
            yield Finding("providers", LABELS[name], "missing", cause or first_line(error), advice)
        else:
            milliseconds = (time.perf_counter() - start) * 1e3
            there = card() if name in ("cuda", "tensorrt") else None
            where = "" if there is None else f" on {there.name} of {there.memory_gib:.0f} GiB"
            driver = f", driver {there.driver}" if there is not None and there.driver else ""
            detail = (
                f"runs as {chosen.label}{where}{driver} (opened and tried in {milliseconds:.0f} ms)"
            )
            yield Finding("providers", LABELS[name], "works", detail)
            first = first or (chosen.label if name in AUTO_ORDER else "")
    yield Finding("providers", "auto", "note", f"chooses {first or 'nothing'}")


def _models() -> Iterator[Finding]:
    from stream.inference.catalogue import DEFAULT, entries, listing

    for line in listing():
        state: State = "works" if line.metadata else "missing"
        detail = f"{line.cells()[1]}, {line.cells()[2]}" if line.metadata else line.problem
        yield Finding("models", line.name, state, detail)
    if DEFAULT not in entries():
        advice = "reinstall stream, or name a model with --model FILE.onnx"
        yield Finding("models", DEFAULT, "missing", "the bundled model is not there", advice)
    yield _kept()


def _kept() -> Finding:
    """What was made of models at earlier starts, and whether the next one can find it."""
    from stream.cache import cache_folder

    name = "made ready"
    try:
        folder = cache_folder("graphs").parent
    except OSError as error:
        return Finding(
            "models",
            name,
            "missing",
            f"nothing can be kept in {error.filename} ({error.strerror}): opening a model takes "
            "longer each time",
            "make it writable"
            + (", or set XDG_CACHE_HOME to a folder that is" if sys.platform == "linux" else ""),
        )
    kinds = ("graphs", "openvino", "tensorrt", "coreml")
    kept = [one for kind in kinds for one in folder.glob(f"{kind}/**/*") if one.is_file()]
    size = sum(one.stat().st_size for one in kept) / 1e6
    files = f"{counted(len(kept), 'file')}, {size:.0f} MB in {folder}"
    detail = f"{files}, for quicker starts; may be removed"
    return Finding("models", name, "note", detail)


def _cameras() -> Iterator[Finding]:
    from stream.sources._camera_faults import remedy_of
    from stream.sources.camera import find_cameras

    found = find_cameras()
    for index, camera in enumerate(found):
        name = camera.device if sys.platform == "linux" else str(index)
        if camera.problem is None:
            yield Finding("cameras", name, "works", camera.name)
        else:
            what = f"{camera.name}: {camera.problem}"
            yield Finding("cameras", name, "missing", what, remedy_of(camera, sys.platform))
    if not found:
        advice = "plug one in; in a container or virtual machine, pass the device through"
        yield Finding("cameras", "cameras", "missing", "none found", advice)


_ENCODERS = {
    "libx264": "H.264",
    "libx265": "HEVC",
    "libsvtav1": "AV1",
    "libvpx-vp9": "VP9",
    "ffv1": "FFV1, lossless",
    "prores_ks": "ProRes",
    "aac": "AAC sound",
    "h264_nvenc": "H.264 on NVIDIA",
    "hevc_nvenc": "HEVC on NVIDIA",
    "h264_qsv": "H.264 on Intel graphics",
    "h264_videotoolbox": "H.264 on Apple",
}
_DECODERS = {"h264": "H.264", "hevc": "HEVC", "libdav1d": "AV1", "vp9": "VP9", "vvc": "VVC"}
# Present in FFmpeg says little about these, so they are opened; elsewhere they are no loss.
_HARDWARE = ("_nvenc", "_qsv", "_videotoolbox")


def _codecs() -> Iterator[Finding]:
    import av

    quiet = logging.getLogger("libav")
    before, quiet.disabled = quiet.disabled, True
    try:
        for name, label in _ENCODERS.items():
            hardware = name.endswith(_HARDWARE)
            problem = "" if name in av.codecs_available else "not in this FFmpeg"
            if hardware and not problem:
                problem = _try_encoder(name)
            lack: State = "note" if hardware else "missing"
            detail = f"{label}: {problem or 'there'}"
            yield Finding("codecs", f"encoder {name}", lack if problem else "works", detail)
    finally:
        quiet.disabled = before
    for name, label in _DECODERS.items():
        present = name in av.codecs_available
        detail = f"{label}: {'there' if present else 'not in this FFmpeg'}"
        yield Finding("codecs", f"decoder {name}", "works" if present else "missing", detail)


def _try_encoder(name: str) -> str:
    """Why a hardware encoder cannot be opened here; "" where it can."""
    import av

    from stream.sinks._encoder_refusals import why_refused, without_hardware

    formats = [form.name for form in av.Codec(name, "w").video_formats or ()]
    pixels = "yuv420p" if "yuv420p" in formats else "nv12"
    said = why_refused(name, {}, 320, 240, pixels, Fraction(1, 25))
    if not said:
        return ""
    return without_hardware(name, said).partition("; use ")[0] or f"does not open here ({said})"


def _display() -> Iterator[Finding]:
    import cv2

    gui = _opencv_gui(cv2.getBuildInformation())
    if gui:
        yield Finding("display", "OpenCV windows", "works", f"built with {gui}")
    else:
        advice = (
            "pip uninstall -y opencv-python-headless && pip install --force-reinstall "
            "--no-deps opencv-python"
        )
        yield Finding("display", "OpenCV windows", "missing", "built without windows", advice)
    if sys.platform == "linux":
        if gui.startswith("QT") and find_library("X11-xcb") is None:
            advice = "apt-get install libx11-xcb1"
            yield Finding("display", "libX11-xcb", "missing", "a window may stay black", advice)
        yield from _linux_screen()
    else:
        yield Finding("display", "screen", "note", "the system's own")


def _linux_screen() -> Iterator[Finding]:
    for name, address in _display_sockets():
        problem = _cannot_connect(address)
        if not problem:
            yield Finding("display", name, "works", f"{address} answers")
            return
        yield Finding("display", name, "missing", f"{address} does not answer ({problem})")
    host, colon, _ = os.environ.get("DISPLAY", "").partition(":")
    if host and colon:
        # As with ssh -X; connecting could take seconds.
        yield Finding("display", "X11", "note", f"{os.environ['DISPLAY']}, over the network")
        return
    advice = "write a file with -o, or log in with a screen (or ssh -X)"
    yield Finding("display", "screen", "missing", "neither Wayland nor X11 answers", advice)


def _opencv_gui(build: str) -> str:
    """The window system named in OpenCV's build information; "" for none."""
    lines = iter(build.splitlines())
    for line in lines:
        if line.strip().startswith("GUI:"):
            kind = line.partition(":")[2].strip()
            if kind:
                return "" if kind == "NONE" else kind
            following = next(lines, "")
            return following.partition(":")[0].strip() if "YES" in following else ""
    return ""


def _display_sockets() -> Iterator[tuple[str, str]]:
    """Where a local Wayland or X11 server would answer: (name, path of its socket)."""
    wayland = os.environ.get("WAYLAND_DISPLAY")
    if wayland:
        runtime = os.environ.get("XDG_RUNTIME_DIR", "/run/user")
        yield "Wayland", str(Path(runtime) / wayland)
    host, colon, screen = os.environ.get("DISPLAY", "").partition(":")
    if colon and not host:
        yield "X11", f"/tmp/.X11-unix/X{screen.partition('.')[0]}"


def _cannot_connect(address: str) -> str:
    if sys.platform != "win32":  # whose Python knows no such sockets
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(1)
                link.connect(address)
        except OSError as error:
            return error.strerror or str(error)
    return ""
