"""What ONNX Runtime says of an error, without its own source's whereabouts."""

from __future__ import annotations

import re
from typing import NamedTuple

# Its messages start with where in its source they were raised, and with what was not so there.
_ORIGIN = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (?:Load model from .*? failed:)?")
_SOURCE = re.compile(
    r"^\S+\.(?:cc|cu|h|cuh|cpp):\d+ .*?\)(?: const)? (?:\S[^.]* was false\.\s+)?(?=[A-Z])"
)
_LAYER = re.compile(
    r"Non-zero status code returned while running (\S+) node\. Name:'([^']*)'\s*"
    r"Status Message: (.+)"
)


class Failure(NamedTuple):
    """What failed while a model ran.

    Attributes:
        layer: in words, such as "its layer '/roi/Add' (Add)"; "" where that is not said.
        cause: what it says of it, as part of a sentence.
    """

    layer: str
    cause: str


def plain(message: str) -> str:
    """The first sentence of an ONNX Runtime message, without its own source's whereabouts."""
    line = next((part for part in message.splitlines() if part.strip()), "no reason given")
    line = _SOURCE.sub("", _ORIGIN.sub("", line)).strip()
    return line.rstrip(".")


def failure_of(message: str) -> Failure:
    """What an ONNX Runtime message, or any other's, says of a model that failed as it ran."""
    line = plain(message)
    found = _LAYER.search(line)
    layer = ""
    if found is not None:
        kind, name, line = found[1], found[2], plain(found[3])
        layer = f"its layer {name!r} ({kind})" if name else f"a layer of the kind {kind}"
    # One sentence, of which this is a part.
    line = re.sub(r"\.\s+", ": ", line)
    begins = line[:1].lower() if line[1:2].islower() else line[:1]
    return Failure(layer, begins + line[1:])
