"""Modules that are loaded when a test first uses them, so that collecting loads none of them.

PyTorch takes seconds to load, and whoever runs one test file of another room should not wait for
it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any


class Lazily:
    """Stands for a module, or for something in it, until it is used."""

    def __init__(self, module: str, name: str = "") -> None:
        self._module = module
        self._name = name

    def _loaded(self) -> Any:
        module = importlib.import_module(self._module)
        return getattr(module, self._name) if self._name else module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            # Whoever looks for these is not a test: pytest, when it collects.
            raise AttributeError(name)
        return getattr(self._loaded(), name)

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self._loaded()(*given, **named)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._loaded())

    def __instancecheck__(self, one: object) -> bool:
        return isinstance(one, self._loaded())


def lazily(module: str, name: str = "") -> Any:
    """A module, or what is called `name` in it."""
    return Lazily(module, name)
