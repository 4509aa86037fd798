"""Files in which models are kept as they were made ready for this processor: their names and seals.

A seal is written behind each, by which a file is known that a failing disk or memory has changed,
or a power cut has left with zeros in it: a provider would compute with it and answer wrongly.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from stream.errors import ModelError
from stream.inference.onnx_ends import weights_beside
from stream.inference.onnx_file import METADATA
from stream.inference.onnx_writer import encoded_bytes, encoded_text
from stream.inference.sums import told, total
from stream.system.cache import cache_folder, cache_path, prune, used
from stream.system.cpu import processor

logger = logging.getLogger(__name__)

_KEPT, _MOST = 16, 2**30
"""Files kept and their bytes, each as large as its model: one has one for each size of input."""
_ENDING, _BESIDE = ".onnx", ".bin"
_ROOM = 8
"""Times a model's size that must be free where what is made of it is to be kept."""
_LOOKS, _LOOK = 16, 4096


def kept_for(
    folder: str, model: Path, told: Sequence[str], fixed: Mapping[str, int]
) -> Path | None:
    """Where what was made of a model for this processor is kept, whether it is there yet or not.

    Args:
        folder: among the user's caches.
        model: the model's file.
        told: what else the result depends on.
        fixed: sides of the input by name.

    Returns:
        None where nothing is kept and nothing can be.
    """
    try:
        here = processor()
        names = (
            *identity(model),
            *told,
            here.model,
            *sorted(here.features),
            *(f"{name}={side}" for name, side in sorted(fixed.items())),
        )
        digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
        kept = cache_path(folder) / f"{model.stem}-{digest[:16]}{_ENDING}"
    except OSError:
        return None
    try:
        _need_room(cache_folder(folder), model)
    except OSError as error:
        # A container's own disk may be read only, with all that was made before in it; what is left
        # of a full one is for what the user makes.
        logger.info("nothing more can be kept in %s: %s", error.filename, error.strerror)
        return kept if is_whole(kept) else None
    return kept


def _need_room(place: Path, model: Path) -> None:
    """Makes sure that what is made of a model can be kept.

    Raises:
        OSError: the disk is nearly full.
    """
    if shutil.disk_usage(place).free < _ROOM * model.stat().st_size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))


def identity(model: Path) -> tuple[str, ...]:
    """What tells a model's file from others, and from what lay in its place before.

    Another training of the same network has the same size, and where times come from an archive or
    a build that is to be reproducible, the same time too; not the same weights. Reading all of them
    would take as long as what is spared, so it is some places of the file that are looked at, and
    of those beside it that hold weights of its.

    Raises:
        OSError: it cannot be read.
    """
    try:
        beside = weights_beside(model)
    except ModelError:
        beside = ()  # whoever opens it says why
    return tuple(part for file in (model, *beside) for part in _looks(file))


def _looks(model: Path) -> tuple[str, ...]:
    status, seen = model.stat(), hashlib.sha256()
    with model.open("rb", buffering=0) as file:
        for place in range(_LOOKS):
            file.seek(max(0, status.st_size - _LOOK) * place // (_LOOKS - 1))
            seen.update(file.read(_LOOK))
    return str(model.resolve()), str(status.st_size), str(status.st_mtime_ns), seen.hexdigest()


@contextmanager
def written(kept: Path) -> Iterator[Path]:
    """A path for a new file that takes the kept one's place once it is whole.

    A file beside it, whose name begins as its own does, comes with it. They are sealed. Nothing is
    left, and nothing kept, where no file or an empty one was written, or where it cannot take the
    place, such as on Windows while another process reads what is there.

    Raises:
        OSError: there is no room for a new file.
    """
    folder = Path(tempfile.mkdtemp(prefix=kept.stem, suffix=".part", dir=kept.parent))
    part = folder / kept.name
    try:
        yield part
        try:
            if part.is_file() and part.stat().st_size:
                _seal(part)
                for one in (*_beside(part), part):
                    one.replace(kept.with_name(one.name))
                for pattern in (f"*{_ENDING}", f"*{_BESIDE}"):
                    prune(kept.parent, pattern, _KEPT, _MOST)
        except OSError as error:
            logger.info("%s is not kept: %s", kept, error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_whole(kept: Path) -> bool:
    """Whether a file and what belongs to it is as it was sealed; it counts as used then.

    Of 8 MB it takes 1 ms: they are read piece by piece, and what is in memory anyway is summed.
    """
    try:
        size = kept.stat().st_size - len(_sealed(0))
        if size <= 0:
            return False
        with kept.open("rb", buffering=0) as file:
            found = total(file, size)
            file.seek(size)
            beside = _beside(kept)
            whole = file.read() == _sealed(found + sum(map(_sum, beside)))
    except FileNotFoundError:
        return False
    except OSError as error:
        logger.info("%s cannot be read: %s", kept, error)
        return False
    if whole:
        for one in (kept, *beside):
            used(one)
    else:
        logger.info("%s is damaged", kept)
    return whole


def _beside(kept: Path) -> list[Path]:
    """Files that a kept one names, with a provider's name behind its own."""
    return sorted(kept.parent.glob(f"{escape(kept.stem)}_*{_BESIDE}"))


def _seal(part: Path) -> None:
    found = _sum(part) + sum(map(_sum, _beside(part)))
    with part.open("ab", buffering=0) as file:
        file.write(_sealed(found))


def _sum(path: Path) -> int:
    size = path.stat().st_size
    with path.open("rb", buffering=0) as file:
        return total(file, size)


def _sealed(found: int) -> bytes:
    """What stands behind the content: a line of metadata, so that it is an ONNX file as before."""
    entry = encoded_text(1, "stream.sum") + encoded_text(2, told(found))
    return encoded_bytes(METADATA, entry)
