"""The scripts in docs/ as modules, which no package holds."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).resolve().parents[1] / "docs"


@contextmanager
def script(name: str) -> Iterator[ModuleType]:
    """A script by its name without ending, for as long as it is used."""
    described = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert described is not None and described.loader is not None
    module = importlib.util.module_from_spec(described)
    sys.modules[name] = module  # dataclasses look there
    described.loader.exec_module(module)
    yield module
    sys.modules.pop(name, None)
