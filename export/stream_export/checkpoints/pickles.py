"""Pickles of arrays (Detectron, Detectron2's model zoo), read without letting them run anything."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from stream.errors import ModelError

# What a dictionary of NumPy arrays needs, under the names that NumPy has had, and nothing that
# does anything but build data.
_ALLOWED = {
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
}


class ForbiddenPickleError(pickle.UnpicklingError):
    """A pickle asks for something that no array is made of."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise ForbiddenPickleError(f"{module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_pickle(path: Path) -> Any:
    """Reads a pickle of plain values and NumPy arrays; strings of Python 2 become text.

    Args:
        path: of a .pkl file, written by Python 2 or 3.

    Returns:
        What it holds: dictionaries, lists, strings, numbers, arrays.

    Raises:
        ModelError: the file is missing, no pickle, cut short, or asks for anything else; nothing
            of it is executed.
    """
    try:
        with path.open("rb") as file:
            return _Unpickler(file, encoding="latin1").load()
    except ForbiddenPickleError as error:
        raise ModelError(
            f"{path}: the file asks to run {str(error)!r}, which no checkpoint needs; it was "
            "refused and nothing was executed"
        ) from None
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ModelError(f"{path}: it cannot be read ({error.strerror})") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise ModelError(
            f"{path}: the pickle is damaged or cut short ({type(error).__name__}); download it "
            "again"
        ) from error


def arrays_of(values: dict[Any, Any]) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """The numeric arrays among a dictionary's values, by name."""
    return {
        str(name): value
        for name, value in values.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    }
