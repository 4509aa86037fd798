"""Whether the packages that this program stands on are whole, and how to mend those that are not.

Some come in several distributions that write the same files: ONNX Runtime with and without GPU,
OpenCV with and without windows. Where two of a family are installed, the last one's files are in
use; where one of them is uninstalled again, the files of both are gone, and what is left imports
as an empty module.
"""

from __future__ import annotations

import importlib
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stream.errors import StreamError, first_line
from stream.system.scarcity import scarcity


class InstallationError(StreamError):
    """A package that everything stands on is missing, broken, or there twice."""


@dataclass(frozen=True, slots=True)
class Family:
    """Distributions that bring the same module.

    Attributes:
        label: for people.
        module: what is imported.
        members: the distributions, first the one to keep where there are several.
        needs: attributes of the module without which it is not whole.
    """

    label: str
    module: str
    members: tuple[str, ...]
    needs: tuple[str, ...]


def has_gpu_build() -> bool:
    """Whether ONNX Runtime's GPU build is made for this kind of machine."""
    return platform.machine() in ("x86_64", "AMD64") and sys.platform in ("linux", "win32")


_PLAIN = ("onnxruntime-gpu", "onnxruntime") if has_gpu_build() else ("onnxruntime",)

ONNX_RUNTIME = Family(
    "ONNX Runtime",
    "onnxruntime",
    (
        *_PLAIN,
        *(name for name in ("onnxruntime-gpu", "onnxruntime") if name not in _PLAIN),
        "onnxruntime-directml",
        "onnxruntime-openvino",
        "onnxruntime-qnn",
        "onnxruntime-rocm",
        "onnxruntime-migraphx",
        "onnxruntime-silicon",
        "ort-nightly",
        "ort-nightly-gpu",
    ),
    ("InferenceSession", "disable_telemetry_events", "get_available_providers"),
)
OPENCV = Family(
    "OpenCV",
    "cv2",
    (
        "opencv-python",
        "opencv-contrib-python",
        "opencv-python-headless",
        "opencv-contrib-python-headless",
    ),
    ("getBuildInformation", "imshow", "resize"),
)
FAMILIES = (
    Family("NumPy", "numpy", ("numpy",), ("ndarray", "dtype")),
    Family("PyAV", "av", ("av",), ("open", "VideoFrame")),
    OPENCV,
    ONNX_RUNTIME,
)


_OWN = re.compile(r"-[0-9a-f]{8}\.")
"""In the name of a library that a wheel brings itself; others are the system's."""
_LACKING = re.compile(r"(lib[\w.+-]+\.so[.\d]*): cannot open shared object")
_CARD = re.compile(r"lib(cu|nv|nccl|torch)")
"""Libraries that come with wheels of their own, beside the one that wants them."""
_OURS = ("__main__", "stream", "stream_models", "stream_export")


def installed(family: Family) -> dict[str, str]:
    """The distributions of a family that are installed, with their versions, in its order."""
    from importlib import metadata  # its import is a fifth of `stream --help`

    found = {}
    for name in family.members:
        try:
            found[name] = str(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
    return found


def twins(family: Family) -> tuple[str, str] | None:
    """What is wrong with having several of a family, and what to do; None where there is one."""
    found = installed(family)
    if len(found) < 2:
        return None
    keep, *rest = found
    names = " and ".join([", ".join([keep, *rest[:-1]]), rest[-1]])
    cause = f"{names} are installed together, and write over each other's files"
    return cause, f"{_uninstall(rest)} && {_reinstall({keep: found[keep]})}"


def defect(family: Family) -> tuple[str, str] | None:
    """Why a family's module cannot be used, and what to do; None where it can."""
    reason = _defect(family)
    if reason is None:
        return None
    if short := scarcity(reason):
        return f"{family.label} cannot be loaded: {short[0]}", short[1]
    found = installed(family)
    library = _LACKING.search(reason)
    if not found:
        return f"{family.label} is not installed", f"pip install {family.members[0]}"
    if library and not _OWN.search(library[1]):
        advice = "install the system's package of it"
        if family is OPENCV:  # What these two bring besides is all that it wants, libxcb among it.
            advice += (
                " (Debian: apt-get install libgl1 libglib2.0-0), or do without windows: "
                f"{_uninstall(found)} && pip install opencv-python-headless"
            )
        return f"{family.label} cannot be loaded: this system lacks {library[1]}", advice
    both = twins(family)
    if both is not None:
        return f"{family.label} is not whole ({reason}): {both[0]}", both[1]
    (name,) = found
    cause = f"{family.label} is not whole: {reason}, though {name} {found[name]} is installed"
    if len(family.members) > 1:
        cause += "; another package with the same files may have been removed"
    return cause, _reinstall(found)


def explain(error: BaseException) -> InstallationError | None:
    """What an error while importing or using a module has to do with the installation.

    Args:
        error: raised by anything.

    Returns:
        One sentence with what to do, where a package is not whole; None where all are, or where
        the error is of another kind.
    """
    if not isinstance(error, (ImportError, AttributeError)):
        return None
    for family in FAMILIES:
        found = defect(family)
        if found is not None:
            return InstallationError("; ".join(found))
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        if package in _required():
            return InstallationError(
                f"the package {package} is not installed; pip install '{_required()[package]}'"
            )
    return None


def unloadable(error: BaseException) -> InstallationError | None:
    """What an error has to do with a package of an extra that is there and cannot be imported.

    Such packages raise whatever they like: torchvision a RuntimeError where torch is of another
    version, others a ValueError where NumPy is, or an OSError where a library is missing.

    Args:
        error: raised by anything, with its traceback.

    Returns:
        One sentence with what to do; None where nothing that this distribution names in its
        requirements was being imported.
    """
    module = _being_imported(error)
    if module is None:
        return None
    from importlib import metadata

    names = metadata.packages_distributions().get(module, [module])
    asked = _requirements()
    name = next((name for name in names if name in asked), None)
    if name is None:
        return None
    reason = first_line(error)
    cause = f"{name} {metadata.version(name)} is installed and cannot be loaded"
    library = _LACKING.search(reason)
    if library and not _OWN.search(library[1]) and not _CARD.match(library[1]):
        advice = "install the system's package of it"
        return InstallationError(f"{cause}: this system lacks {library[1]}; {advice}")
    kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
    return InstallationError(
        f"{cause}: {kind}{reason}; it may not fit what it stands on: "
        f"pip install --upgrade --force-reinstall '{asked[name][0]}'"
    )


def _being_imported(error: BaseException) -> str | None:
    """The package of another, not of ours, whose import an error broke off; None without one."""
    at = error.__traceback__
    while at is not None:
        module = str(at.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if at.tb_frame.f_code.co_name == "<module>" and module not in _OURS:
            return module
        at = at.tb_next
    return None


def unmet() -> Iterator[tuple[str, str, str]]:
    """Dependencies that are missing or of another version than is needed.

    Yields:
        Name, what is wrong with it, and what to do.
    """
    from importlib import metadata

    from packaging.requirements import Requirement

    for name, written in _required().items():
        family = next((one for one in FAMILIES if name in one.members), None)
        kept = Requirement(written)
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            others = {} if family is None else installed(family)
            # Another of its family may do as well; whether it does is looked at elsewhere.
            if not others:
                yield name, "is not installed", f"pip install '{written}'"
            continue
        if not kept.specifier.contains(version, prereleases=True):
            yield name, f"{version} is not {kept.specifier}", f"pip install '{written}'"


def _required() -> Mapping[str, str]:
    """What this distribution asks for here, by name, without extras; empty in a mere checkout."""
    return {name: written for name, (written, extra) in _requirements().items() if not extra}


def _requirements() -> Mapping[str, tuple[str, bool]]:
    """The same with what extras ask for, and whether it is for these alone."""
    from importlib import metadata

    from packaging.requirements import Requirement

    try:
        lines = metadata.requires("stream-segmentation") or []
    except metadata.PackageNotFoundError:
        return {}
    found: dict[str, tuple[str, bool]] = {}
    for line in lines:
        one = Requirement(line)
        written = f"{one.name}{one.specifier}"
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            found[one.name] = written, False
        elif "extra" in str(one.marker):
            found.setdefault(one.name, (written, True))
    return found


def _defect(family: Family) -> str | None:
    try:
        module = importlib.import_module(family.module)
    except Exception as error:  # noqa: BLE001 - a broken package may raise anything
        return first_line(error)
    missing = [name for name in family.needs if not hasattr(module, name)]
    return f"it has no {missing[0]}" if missing else None


def _uninstall(names: Mapping[str, str] | list[str]) -> str:
    return f"pip uninstall -y {' '.join(names)}"


def _reinstall(found: Mapping[str, str]) -> str:
    names = " ".join(f"{name}=={version}" for name, version in found.items())
    return f"pip install --force-reinstall --no-deps {names}"
