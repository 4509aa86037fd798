"""The catalogue: which models there are, by name.

A model is one or more files in the package `stream_models`: `NAME.onnx`, and variants of it in
another precision, `NAME.float32.onnx`, `NAME.float16.onnx`, `NAME.int8.onnx`. `NAME` alone lets
the runtime take the variant that suits the execution provider; `NAME.int8` asks for that one.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stream.errors import ModelError, NoModelError
from stream.inference.contract import Metadata
from stream.inference.foreign import describe
from stream.inference.onnx_ends import check_weights, read_graph, size_of
from stream.inference.onnx_file import CHECKPOINTS, OnnxFile, read_onnx_file
from stream.inference.soundness import check_sound
from stream.wording.names import at_home
from stream.wording.words import called


def _bundled() -> Path:
    """Where the bundled models lie; found by name, so that nothing of that package is imported."""
    spec = importlib.util.find_spec("stream_models")
    places = None if spec is None else spec.submodule_search_locations
    return Path(next(iter(places))) if places else Path("stream_models")


FOLDER = _bundled()
DEFAULT = "default"
PRECISIONS = ("float32", "float16", "int8")


@dataclass(frozen=True, slots=True)
class Entry:
    """One model under one name.

    Attributes:
        name: the catalogue's name, or the file's path where it is not from the catalogue.
        files: the model's files by precision; the plain `NAME.onnx` is under "".
    """

    name: str
    files: Mapping[str, Path]

    def pick(self, precisions: Sequence[str] = ()) -> Path:
        """The file of the first precision that there is, else the plain one, else any.

        Raises:
            ModelError: there is no file at all.
        """
        for precision in (*precisions, "", *PRECISIONS):
            if precision in self.files:
                return self.files[precision]
        raise ModelError(f"the model {self.name!r} has no file")


@dataclass(frozen=True, slots=True)
class Listing:
    """One line of `stream models`.

    Attributes:
        name: what `--model` takes.
        file: where it lies.
        size: in bytes, with that of files of weights beside it.
        metadata: what the file says of itself; None where it cannot be used.
        problem: why it cannot be used, "" where it can.
    """

    name: str
    file: Path
    size: int
    metadata: Metadata | None
    problem: str = ""

    def cells(self) -> tuple[str, str, str, str, str, str, str]:
        """Name, precision, size, classes, accuracy, licence and file, for people."""
        size = f"{self.size / 1e6:.1f} MB"
        if self.metadata is None:
            return self.name, "unusable", size, "", self.problem, "", str(self.file)
        names = self.metadata.names
        classes = ", ".join(map(called, names)) if len(names) <= 3 else str(len(names))
        accuracy = "\n".join(
            f"{what} {value:.3g}" for what, value in self.metadata.accuracy.items()
        )
        return (
            self.name,
            self.metadata.precision,
            size,
            classes,
            accuracy or "not measured",
            self.metadata.licence,
            str(self.file),
        )


def entries(folder: Path = FOLDER) -> dict[str, Entry]:
    """The catalogue, by name: `default` first, the others sorted."""
    files: dict[str, dict[str, Path]] = {}
    for path in folder.glob("*.onnx"):
        name, precision = path.stem, ""
        if path.stem.rpartition(".")[2] in PRECISIONS:
            name, _, precision = path.stem.rpartition(".")
        files.setdefault(name, {})[precision] = path
    order = sorted(files, key=lambda name: (name != DEFAULT, name))
    return {name: Entry(name, files[name]) for name in order}


def is_bundled(path: Path, folder: Path = FOLDER) -> bool:
    """Whether a model's file is one of the catalogue."""
    return path.parent == folder


def find(model: str | Path, folder: Path = FOLDER) -> Entry:
    """A model by its catalogue name (`default`, `default.int8`) or by the path of its file.

    Raises:
        ModelError: there is no such name or file; the message lists what there is.
    """
    catalogue = entries(folder)
    text = str(model)
    if text in catalogue:
        return catalogue[text]
    name, _, precision = text.rpartition(".")
    if name in catalogue and precision in catalogue[name].files:
        return Entry(text, {precision: catalogue[name].files[precision]})
    path = Path(at_home(text))
    named = path.suffix.lower() in (".onnx", *CHECKPOINTS)
    try:
        is_folder, there = path.is_dir(), path.exists()
    except OSError as error:  # too long, say, or in a folder that is closed to us
        raise ModelError(f"there is no model file {text!r}: {error.strerror}") from error
    if named or there or len(path.parts) > 1:
        if is_folder:
            raise NoModelError(f"{text!r} is a folder, a model is one .onnx file")
        if not there:
            raise NoModelError(f"there is no model file {text!r}")
        return Entry(text, {"": path})
    if not catalogue:
        raise NoModelError(
            f"there is no model {text!r}: the catalogue is empty; name an .onnx file instead"
        )
    close = difflib.get_close_matches(text, catalogue, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise NoModelError(
        f"there is no model {text!r} in the catalogue, which holds {', '.join(catalogue)}{hint} "
        "(a file is named by its path)"
    )


def open_model(path: Path) -> tuple[OnnxFile, Metadata]:
    """The outside of a model file and what it says of itself.

    Raises:
        ModelError: the file is none or does not keep the contract; names the file.
    """
    file = read_onnx_file(path)
    if not Metadata.are_in(file.metadata):
        what = describe(file, read_graph(path))
        raise ModelError(f"the model {str(path)!r} cannot be used: it is {what}")
    try:
        metadata = Metadata.from_properties(file.metadata)
    except ModelError as error:
        raise ModelError(f"the model {str(path)!r} cannot be used: {error}") from error
    check_weights(path)
    # Who quantises a file with other tools than ours leaves what it said of itself before.
    if metadata.precision != "int8" and read_graph(path).of_bytes:
        metadata = replace(metadata, precision="int8")
    return file, metadata


def listing(folder: Path = FOLDER) -> list[Listing]:
    """Every file of the catalogue, usable or not."""
    found = []
    for entry in entries(folder).values():
        for precision, path in sorted(entry.files.items()):
            name = f"{entry.name}.{precision}" if precision else entry.name
            size = size_of(path)
            try:
                metadata = open_model(path)[1]
                check_sound(path)
                found.append(Listing(name, path, size, metadata))
            except ModelError as error:
                found.append(Listing(name, path, size, None, str(error)))
    return found
