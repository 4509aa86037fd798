"""Inner loops in C, where a compiler was at hand when the program was installed.

Painting's give what the same step of `stream.compositing` does with NumPy and OpenCV, which is
taken where nothing was compiled, and for samples of more than eight bits; inference's what ONNX
Runtime's own kernels do. Each C file that Python calls has a module of its name here, which says
what its functions take.
"""

from __future__ import annotations

import ctypes
import os
import sys
import zlib
from functools import cache
from pathlib import Path

from stream.kernels.blend import Blend
from stream.kernels.blur import Blur
from stream.kernels.cells import Cells
from stream.kernels.colours import Colours
from stream.kernels.conceal import Conceal
from stream.kernels.convolve import Convolve
from stream.kernels.cover import Cover
from stream.kernels.edges import Edges
from stream.kernels.exact import Exact
from stream.kernels.masks import Masks
from stream.kernels.resample import Resample
from stream.kernels.sparse import Sparse
from stream.kernels.specks import Specks
from stream.kernels.stacking import Stacking
from stream.kernels.tint import Tint

FOLDER = Path(__file__).parent
_ENDING = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
LIBRARY = FOLDER / f"kernels{_ENDING}"
QUICK = FOLDER / f"kernels.avx2{_ENDING}"
"""The same, compiled for processors with AVX2."""
SWITCH = "STREAM_KERNELS"
"""The environment variable that has them left out if it is `off`, and taken as they are for any
processor if it is `plain`."""


class Kernels(
    Blend,
    Masks,
    Tint,
    Edges,
    Blur,
    Cover,
    Cells,
    Conceal,
    Colours,
    Sparse,
    Specks,
    Stacking,
    Exact,
    Resample,
    Convolve,
):
    """The compiled loops.

    Args:
        path: of what was compiled from the C files here.

    Attributes:
        path: where they were loaded from.
        source: the number of what they were compiled from.
        quick: whether this processor has what `QUICK` is compiled for.

    Raises:
        OSError: it cannot be loaded.
        AttributeError: it is something else.
    """

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        self.path = path
        self.source: int = library.stream_source()
        self.quick = bool(library.stream_quick())
        super().__init__(library)


@cache
def source() -> int:
    """A number that stands for the C files as they are now; as `hatch_build.py` has it."""
    texts = [path.read_bytes() for path in sorted(FOLDER.glob("*.[ch]"))]
    return zlib.crc32(b"".join(texts)) & 0x7FFFFFFF


def wanted() -> bool:
    """Whether they are to be taken where they are at hand."""
    return os.environ.get(SWITCH, "").lower() not in {"off", "0", "no"}


@cache
def examined() -> tuple[Kernels | None, str]:
    """The compiled loops, or why there are none, in words for users."""
    if not wanted():
        return None, f"not wanted ({SWITCH} says so)"
    if not LIBRARY.exists():
        return None, "not compiled, as no C compiler was found at installation"
    try:
        kernels = Kernels(LIBRARY)
    except (OSError, AttributeError) as error:
        return None, f"not usable, as {LIBRARY.name} cannot be loaded: {error}"
    if kernels.source != source():
        return None, "compiled from another version"
    return _quickest(kernels), "compiled"


def _quickest(kernels: Kernels) -> Kernels:
    """Those for this processor, where they were made of the same files; else those for any."""
    if not kernels.quick or os.environ.get(SWITCH, "").lower() == "plain":
        return kernels
    try:
        quick = Kernels(QUICK)
    except (OSError, AttributeError):  # As with compilers that do not know AVX2.
        return kernels
    return quick if quick.source == kernels.source else kernels


def compiled() -> Kernels | None:
    """The compiled loops; None where there are none."""
    return examined()[0]


def layers() -> Kernels | None:
    """The compiled loops; None where there are none, or none of a network's for this processor."""
    found = compiled()
    return found if found is not None and found.ways() else None
