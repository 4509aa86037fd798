"""Compiles inner loops of painting and inference while a wheel is built, where a compiler is.

Run as a program it does the same for a checkout: `python hatch_build.py`.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # Run as a program, where nothing is built with it.
    BuildHookInterface = object  # type: ignore[assignment, misc]

FOLDER = Path(__file__).resolve().parent / "stream" / "kernels"
_ENDING = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
LIBRARY = FOLDER / f"kernels{_ENDING}"
# Floats are rounded after each step on every processor, as NumPy does it; nobody asks which steps
# had no answer, so that many are taken at once.
_FLAGS = (
    *("-O3", "-std=gnu11", "-ffp-contract=off", "-fno-trapping-math"),
    *("-shared", "-fPIC"),
)
# A second library for processors of today; the first one says whether this is one.
QUICK = LIBRARY.with_name(f"kernels.avx2{_ENDING}")
_QUICK_FLAGS = ("-mavx2",)
# It takes ten seconds of a desktop's processor, and minutes of a small or a busy one.
_SECONDS = 1200.0


def compilers() -> list[list[str]]:
    """Commands to try: what the environment variable CC says, else what there mostly is."""
    if chosen := os.environ.get("CC"):
        return [shlex.split(chosen)]
    if sys.platform == "darwin" and subprocess.run(["xcode-select", "-p"], check=False).returncode:
        return []  # What is called cc there only asks in a window to install Xcode.
    return [[path] for name in ("cc", "gcc", "clang") if (path := shutil.which(name)) is not None]


def compile_kernels(folder: Path = FOLDER, library: Path = LIBRARY) -> str | None:
    """Compiles the loops, for any processor and, where these are of Intel's kind, for today's.

    Args:
        folder: of the C files.
        library: what is made for any processor; put in its place once it is whole. Beside it is
            what is made for today's.

    Returns:
        None, or why that for any was not made. Without the other it is taken on all.
    """
    reason = _make(folder, library, ())
    quick = library.with_name(QUICK.name)
    if reason is None and platform.machine().lower() in {"x86_64", "amd64"}:
        failed = _make(folder, quick, _QUICK_FLAGS)
        if failed is not None:
            quick.unlink(missing_ok=True)
    return reason


def _make(folder: Path, library: Path, flags: tuple[str, ...]) -> str | None:
    """Compiles one library; None, or why it was not made."""
    # As `stream.kernels.source` has it, so that what was compiled from others is not taken.
    texts = [path.read_bytes() for path in sorted(folder.glob("*.[ch]"))]
    number = zlib.crc32(b"".join(texts)) & 0x7FFFFFFF
    if _known(library) == number:
        return None
    sources = [str(path) for path in sorted(folder.glob("*.c"))]
    reason = "no C compiler (cc, gcc or clang) was found"
    for compiler in compilers():
        # Not all know the newest processors' instructions.
        for more in ([], ["-DPLAIN"]):
            command = [*compiler, *_FLAGS, *flags, *more, f"-DSOURCE={number}"]
            try:
                failed = _compile(command, sources, library)
            except OSError as error:
                reason = f"{compiler[0]}: {error}"
                break
            except subprocess.TimeoutExpired:
                return f"{compiler[0]} had not done after {_SECONDS / 60:.0f} minutes"
            if failed is None:
                return None
            reason = f"{compiler[0]}: {failed}"
    return reason


def _known(library: Path) -> int | None:
    """The number of what a library was compiled from; None where there is none that can be used."""
    if not library.exists():
        return None
    try:
        return int(ctypes.CDLL(str(library)).stream_source())
    except (OSError, AttributeError):
        return None


def _compile(command: list[str], sources: list[str], library: Path) -> str | None:
    """Makes a library beside its place and puts it there; None, or what the compiler said."""
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        made = Path(folder) / library.name
        done = subprocess.run(
            [*command, "-o", str(made), *sources, "-lm"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode == 0 and made.exists():
            made.replace(library)
            return None
        return (done.stderr.strip().splitlines() or ["failed"])[0]


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg, misc, unused-ignore]
    """Adds the compiled loops to a wheel, which then is one for this system only."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compiles them; a wheel without them works too."""
        del version
        if self.target_name != "wheel":
            return
        reason = compile_kernels()
        if reason is not None:
            LIBRARY.unlink(missing_ok=True)
            QUICK.unlink(missing_ok=True)
            self.app.display_warning(f"painting and inference will be slower: {reason}")
            return
        system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{system}"
        made = [library for library in (LIBRARY, QUICK) if library.exists()]
        build_data["artifacts"] += [f"/stream/kernels/{library.name}" for library in made]


if __name__ == "__main__":
    sys.exit(compile_kernels())
