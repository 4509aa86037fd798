"""The seam between converters and everything around them: one file per origin.

A module of `stream_export.converters` whose name has no leading underscore holds a `CONVERTER`.
That is all it takes: it becomes a subcommand of `stream export`, and `stream export verify` can ask
it for the origin's own answers. Such a module imports nothing heavy at its top, since the command
line loads it to show its options.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream import extras
from stream.errors import ModelError
from stream.instances import Instances

OPTIONS_KEY = "export.options"
"""The metadata property in which a converter keeps what it was asked for, as JSON."""


class Origin(Protocol):
    """The system that a model came from, ready to answer."""

    def __call__(self, picture: NDArray[np.uint8]) -> Instances:
        """What the origin finds in a picture, uint8 [H, W, 3] RGB.

        Masks are the network's own, before pasting, in the frame of their box.
        """


@dataclass(frozen=True, slots=True)
class Converter:
    """One origin.

    Attributes:
        name: of the subcommand, and the `origin.system` of `export.options`.
        summary: one line for the list of subcommands.
        command: a function with typer options; it converts and writes the file.
        origin: opens the original for `verify`, from what `--against` says (a checkpoint or a
            name; empty for what the model was made from) and the model's `export.options`; None
            where the original cannot be run.
    """

    name: str
    summary: str
    command: Callable[..., None]
    origin: Callable[[str, Mapping[str, Any]], Origin] | None = None


def converters() -> dict[str, Converter]:
    """All converters by name."""
    package = importlib.import_module("stream_export.converters")
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            loaded = importlib.import_module(f"{package.__name__}.{module.name}")
            converter: Converter | None = getattr(loaded, "CONVERTER", None)
            if converter is not None:
                found[converter.name] = converter
    return found


def options_of(properties: Mapping[str, str]) -> dict[str, Any]:
    """What the converter was asked for, from a model's `metadata_props`; empty where unknown.

    Raises:
        ModelError: the property is there but cannot be read.
    """
    text = properties.get(OPTIONS_KEY, "{}")
    try:
        options = json.loads(text)
    except ValueError as error:
        raise ModelError(f"its {OPTIONS_KEY!r} cannot be read: {error}") from error
    if not isinstance(options, dict):
        raise ModelError(f"its {OPTIONS_KEY!r} must be an object, not {text[:40]}")
    return options


def need_extra(*modules: str) -> None:
    """Makes sure that packages which only exporting needs are there.

    Raises:
        UsageError: which one is missing, and what to install.
    """
    needed = modules or ("torch", "torchvision", "onnx", "onnxscript")
    extras.need_extra("export", *needed, what="exporting")
