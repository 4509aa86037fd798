"""The seam between converters and everything around them: one folder per origin.

A folder in `stream_export.converters` whose `__init__.py` holds a subclass of `Converter` becomes a
subcommand of `stream export`; the checkpoints that carry its signs are told from others', and
`stream export verify` asks it for answers to compare with. Nothing else is touched. Other
distributions register theirs in the entry-point group `stream.converters`. A converter's
`__init__.py` imports nothing heavy, since the command line loads it to show its options.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stream.errors import ModelError, UsageError
from stream.instances import Instances
from stream.plugins import Kind
from stream.system import extras

OPTIONS_KEY = "export.options"
"""The metadata property in which a converter keeps what it was asked for, as JSON."""


Kept: TypeAlias = Mapping[str, Any]
"""What a converter was asked for, as JSON keeps it, by name."""


class Origin(Protocol):
    """What a model is compared with, ready to answer.

    Attributes:
        what: it is, in words that fit behind "compared with".
        assumed: what it takes for granted as the export does, so that no comparison can show it.
    """

    what: str
    assumed: tuple[str, ...]

    def __call__(self, picture: NDArray[np.uint8]) -> Instances:
        """What it finds in a picture, uint8 [H, W, 3] RGB.

        Masks are the network's own, before pasting, in the frame of their box.
        """


class Converter:
    """One origin.

    Attributes:
        name: of the folder, of the subcommand, and the `system` in `export.options`.
        summary: one line for the list of subcommands.
        command: a function with typer options; it converts and writes the file.
        what: a file of this origin is, in words that fit behind "it is".
        signs: names of weights that only this origin's files hold; one is enough. `GraphDef` stands
            for any frozen graph of TensorFlow.
        flag: the option that takes the file, where it is no argument.
        needs: what the command needs besides the file, as it is typed.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    command: ClassVar[Callable[..., None]]
    what: ClassVar[str] = ""
    signs: ClassVar[tuple[str, ...]] = ()
    flag: ClassVar[str] = ""
    needs: ClassVar[str] = ""

    @classmethod
    def origin(cls, against: str, options: Kept) -> Origin:
        """Opens what `verify` compares a model with.

        Args:
            against: what `--against` says: a checkpoint or a name; empty for what the model was
                made from.
            options: the model's `export.options`.

        Raises:
            UsageError: models of this origin cannot be run here.
        """
        raise UsageError(
            f"models of {cls.name} cannot be run here; give --against another .onnx file, or an "
            ".npz with the answers of the original"
        )


CONVERTERS: Kind[Converter] = Kind("stream_export.converters", Converter, "stream.converters")
"""All converters, ours and registered ones."""


def converters() -> dict[str, type[Converter]]:
    """All converters by name."""
    return {one.name: one for one in CONVERTERS}


def options_of(properties: Mapping[str, str]) -> Kept:
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
