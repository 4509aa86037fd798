"""Pickles, read without letting them run anything.

Numbers, text, containers and arrays are built as they are. Whatever else a pickle names (a class of
a training framework, a whole model) becomes a `StandIn` that holds what belongs to it and does
nothing; names that only an attack would ask for end the reading.
"""

from __future__ import annotations

import collections
import pickle
import pickletools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from stream.errors import ModelError, NoModelError
from stream.types import Array

# What a dictionary of NumPy arrays needs, under the names that NumPy has had, and containers.
_ALLOWED = {
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    *(
        ("builtins", name)
        for name in (
            "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list",
            "range", "set", "slice", "str", "tuple",
        )
    ),
}  # fmt: skip

# Modules of Python's own of which objects lie beside weights and are harmless as stand-ins; the
# rest of its library has no place in a checkpoint.
_BESIDE = {
    "argparse", "collections", "copyreg", "dataclasses", "datetime", "decimal", "enum", "fractions",
    "functools", "logging", "pathlib", "random", "threading", "types", "typing", "uuid", "weakref",
    "zoneinfo", "__main__",
}  # fmt: skip


Content: TypeAlias = Any
"""What a file of somebody else's holds: numbers, texts, containers, arrays, tensors, stand-ins; it
is looked at before it is used."""


# A place in the memo costs the unpickler memory for all places before it, before anything of ours
# is asked: picklers number what they keep one by one, and some leave numbers out.
_SPARE_PLACES = 1 << 20
_PLACES_PER_STEP = 16
_STEPS = {one.code: one for one in pickletools.opcodes}
# Bytes that say how long a step's argument is, by what `pickletools` calls them.
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}


class ForbiddenPickleError(pickle.UnpicklingError):
    """A pickle asks for something that no checkpoint is made of."""


class StandIn:
    """In place of an object of a class that is not loaded: what it was given, and nothing else.

    Attributes:
        named: the class, such as "torch.nn.modules.conv.Conv2d".
        given: arguments that it was built with.
        state: its attributes, where it has any.
        items: what was put into it as into a dictionary or a list.
    """

    named = ""

    def __init__(self, *given: Content, **_named: Content) -> None:
        self.given = given
        self.state: Content = {}
        self.items: dict[Content, Content] = {}

    def __new__(cls, *_given: Content, **_named: Content) -> StandIn:
        """Made empty, since a pickle need not call what a class would."""
        made = super().__new__(cls)
        made.given, made.state, made.items = (), {}, {}
        return made

    def __call__(self, *_given: Content, **_named: Content) -> StandIn:
        """Calling it gives another that does nothing."""
        return StandIn()

    def __setstate__(self, state: Content) -> None:
        self.state = state

    def __setitem__(self, key: Content, value: Content) -> None:
        self.items[key] = value

    def append(self, value: Content) -> None:
        """As a list's."""
        self.items[len(self.items)] = value

    def extend(self, values: Content) -> None:
        """As a list's."""
        for value in values:
            self.append(value)

    def add(self, value: Content) -> None:
        """As a set's."""
        self.append(value)

    def attribute(self, path: str) -> Content:
        """The value under a dotted path of attributes and submodules, or None."""
        found: Content = self
        for part in path.split("."):
            if not isinstance(found, StandIn) or not isinstance(found.state, dict):
                return None
            inside = found.state.get("_modules")
            nested = inside if isinstance(inside, dict) else {}
            found = found.state.get(part, nested.get(part))
        return found


class Unpickler(pickle.Unpickler):
    """Builds data and stand-ins; `extra` has further functions that are safe to call, by name."""

    extra: dict[tuple[str, str], Content] = {}  # noqa: RUF012 - subclasses put theirs in its place

    def __init__(self, file: BinaryIO, **options: Content) -> None:
        super().__init__(file, **options)
        self._read_from = file

    def load(self) -> Content:
        """What the pickle holds, after a look at what it would cost.

        Raises:
            pickle.UnpicklingError: it is damaged.
        """
        start = self._read_from.tell()
        _refuse_far_places(self._read_from)
        self._read_from.seek(start)
        return super().load()

    def find_class(self, module: str, name: str) -> Content:
        """What a name in the pickle stands for.

        Raises:
            ForbiddenPickleError: it could do something.
        """
        module = module.replace("numpy.core", "numpy._core").replace("__builtin__", "builtins")
        if (module, name) in self.extra:
            return self.extra[module, name]
        if (module, name) in _ALLOWED:
            return super().find_class(module, name)
        if (module, name) == ("collections", "defaultdict"):
            return _default_dictionary
        if (module, name) == ("copyreg", "_reconstructor"):
            return _reconstructed
        root = module.partition(".")[0]
        numpys = root == "numpy" and name[:1].islower() and not module.startswith("numpy.random")
        if numpys or (root in sys.stdlib_module_names and root not in _BESIDE):
            raise ForbiddenPickleError(f"{module}.{name}")
        return type("StandIn", (StandIn,), {"named": f"{module}.{name}"})


def _refuse_far_places(file: BinaryIO) -> None:
    """Walks a pickle's steps without doing them, as far as they can be told.

    Raises:
        pickle.UnpicklingError: it keeps something at a place that no pickler would have reached.
    """
    steps = 0
    while (code := file.read(1)) and code != b".":
        step = _STEPS.get(code.decode("latin-1"))
        if step is None:
            return
        steps += 1
        if step.arg is None:
            continue
        size, place = step.arg.n, 0
        if size == pickletools.UP_TO_NEWLINE:
            line = file.readline()
            if step.name in ("GLOBAL", "INST"):
                file.readline()
            elif step.name == "PUT" and line.strip().isdigit():
                place = int(line)
        elif size in _LENGTHS:
            length = int.from_bytes(file.read(_LENGTHS[size]), "little")
            if length > sys.maxsize:
                return
            file.seek(length, 1)
        else:
            argument = file.read(size)
            if step.name == "LONG_BINPUT":
                place = int.from_bytes(argument, "little")
        if place > _SPARE_PLACES + steps * _PLACES_PER_STEP:
            raise pickle.UnpicklingError(f"place {place} in the memo after {steps} steps")


def _default_dictionary(_factory: Content = None, *entries: Content) -> dict[Content, Content]:
    return dict(*entries)


def _reconstructed(kind: Content, _base: Content = None, _state: Content = None) -> Content:
    """An object as Python's older protocols make it."""
    return kind() if isinstance(kind, type) and issubclass(kind, StandIn) else StandIn()


def parameters(model: StandIn, prefix: str = "") -> Iterator[tuple[str, Content]]:
    """Weights and buffers of a whole model that was pickled, by the names of its state dict."""
    state = model.state if isinstance(model.state, dict) else {}
    for kind in ("_parameters", "_buffers"):
        held = state.get(kind)
        for name, value in held.items() if isinstance(held, dict) else ():
            if value is not None and name not in _names(state.get("_non_persistent_buffers_set")):
                yield f"{prefix}{name}", value
    inside = state.get("_modules")
    for name, child in inside.items() if isinstance(inside, dict) else ():
        if isinstance(child, StandIn):
            yield from parameters(child, f"{prefix}{name}.")


def _names(value: Content) -> frozenset[Content]:
    return frozenset(value) if isinstance(value, set | frozenset | list | tuple) else frozenset()


def guarded(path: Path, what: str, load: Callable[[BinaryIO], Content]) -> Content:
    """What `load` makes of a file.

    Args:
        path: of the file.
        what: it should be, in words that fit before "is damaged".
        load: reads the open file.

    Raises:
        ModelError: whatever is wrong with the file, in one sentence.
    """
    try:
        with path.open("rb") as file:
            return load(file)
    except ModelError:
        raise
    except ForbiddenPickleError as error:
        raise ModelError(
            f"{path}: the file asks to run {str(error)!r}, which no checkpoint needs; it was "
            "refused and nothing was executed"
        ) from None
    except FileNotFoundError:
        raise NoModelError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ModelError(f"{path}: it is a folder, a checkpoint is one file") from None
    except OSError as error:
        raise ModelError(f"{path}: it cannot be read ({error.strerror or error})") from error
    except Exception as error:  # a damaged file may raise anything
        raise ModelError(
            f"{path}: {what} is damaged or cut short ({type(error).__name__}); download it again"
        ) from error


def arrays_of(values: collections.abc.Mapping[Content, Content]) -> dict[str, Array]:
    """The numeric arrays among a dictionary's values, by name."""
    return {
        str(name): value
        for name, value in values.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    }
