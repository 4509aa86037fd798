"""The keywords of `open`, `process`, `draw` and `VideoWriter`, for editors and type checkers.

They are the options of `settings.options` under the same names; where the command line reads a text
in a form of its own, such as `1:30`, that text is taken too. A test holds both together.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class OpenKeywords(TypedDict, total=False):
    """What `open` takes: the model, which part of a file, the camera, the network."""

    model: str
    provider: str
    threshold: float | None
    mask_threshold: float | None
    classes: Sequence[str] | str | None
    every: int | str | None
    views: int | None
    input_size: int | None
    start: float | str | None
    end: float | str | None
    limit: int | None
    from_records: Path | str | None
    line: Sequence[str] | str | None
    zone: Sequence[str] | str | None
    count_at: str
    plot: Path | str | None
    size: tuple[int, int] | str | None
    fps: float | None
    device: str | None
    as_camera: bool
    transport: str
    open_timeout: float
    read_timeout: float
    give_up: float | None
    skip_scrambled: bool
    hwaccel: str


class PictureKeywords(TypedDict, total=False):
    """What is painted into the picture."""

    look: str
    timing: bool | None
    mirror: bool | None
    opacity: float
    contour_width: float | None
    label: str
    label_size: float
    colours: str
    palette: Sequence[str] | str | None
    feather: float | None
    refine: bool | None
    refiner: str
    steady_edges: bool | None
    blur_strength: float
    darkness: float
    background: str
    cover: str
    pixel_size: float
    cover_memory: float
    trail: float
    split: str
    crop: bool
    select: str
    identities: bool


class WriterKeywords(TypedDict, total=False):
    """How files are written."""

    codec: str | None
    crf: float | None
    preset: str | None
    pixel_format: str | None
    overwrite: bool
    format: str | None
    records_masks: str


class ProcessKeywords(OpenKeywords, PictureKeywords, WriterKeywords, total=False):
    """What `process` takes."""


class StyleKeywords(TypedDict, total=False):
    """What `draw` takes: the fields of `stream.compositing.Style`."""

    opacity: float
    contour_width: float | None
    label: str
    label_size: float
    colours: str
    palette: Sequence[str] | None
    mask_threshold: float | None
    feather: float | None
    refine: bool | None
    refiner: str
    steady_edges: bool | None
    blur_strength: float
    darkness: float
    background: str
    cover: str
    pixel_size: float
    cover_memory: float
    trail: float
    select: str
    identities: bool


def spelled_out(
    keywords: type, defaults: Mapping[str, object] | None = None
) -> Callable[[Function], Function]:
    """Lets a function's signature name the keywords that it takes together, for help and notebooks.

    Args:
        keywords: a `TypedDict` of this module.
        defaults: what holds where they are not given; None stands for the options' own, which None
            asks for.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        together = inspect.Parameter.VAR_KEYWORD
        own = [one for one in signature.parameters.values() if one.kind is not together]
        named = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None if defaults is None else defaults[name],
                annotation=getattr(hint, "__forward_arg__", hint),
            )
            for name, hint in keywords.__annotations__.items()
        ]
        told = signature.replace(parameters=[*own, *named])
        function.__signature__ = told  # type: ignore[attr-defined]
        return function

    return decorate
