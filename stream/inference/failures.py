"""Why a model failed as it ran, and what to do, as the rest of a sentence."""

from __future__ import annotations

from typing import Literal

from stream.errors import StreamError
from stream.inference.nvidia import NONE, failure
from stream.inference.route import Route
from stream.system.runtime_words import failure_of
from stream.system.scarcity import scarcity

_OTHER_SIZE = (
    "it may be made for pictures of another size only: export it anew with --size 640x384, or ask "
    "who made it"
)
BROKEN = "the file is at fault: export it anew, or ask who made it"

Sizes = Literal["one", "chosen", "own"]
"""What a model sees: pictures of one size, of a size that can be chosen (`--input-size`), or of
sizes that come of the pictures' own and can be chosen."""


def why(error: Exception, route: Route, picture: tuple[int, int], sizes: Sizes) -> str:
    """What stands behind "the model failed on the CPU".

    Args:
        error: as it came; what it says in full is left to whoever asks for details.
        route: where the model runs.
        picture: width and height, in pixels, of the picture that it failed on.
        sizes: what it can be shown.

    Returns:
        Such as " in its layer '/roi/Add' (Add), for a picture of 640x480: ...; ...".
    """
    if isinstance(error, StreamError):
        return f": {error}"
    cause, advice = failure(str(error)) if route.library else NONE
    if cause:
        return f": {cause}; {advice}"
    if (scarce := scarcity(error)) is not None:
        cause, advice = scarce
        return f": {cause}; {advice}" + (
            "" if sizes == "one" else ", or take a smaller --input-size"
        )
    layer, cause = failure_of(str(error) or type(error).__name__)
    if not layer and not type(error).__module__.startswith("onnxruntime"):
        return f": {cause}"
    advice = _OTHER_SIZE if sizes == "own" else BROKEN
    if route.name != "cpu":
        advice = f"try --provider cpu; {advice}"
    where = f" in {layer}" if layer else ""
    width, height = picture
    return (
        f"{where}, for a picture of {width}x{height}: {cause}; {advice} (--verbose shows ONNX "
        "Runtime's own words)"
    )
