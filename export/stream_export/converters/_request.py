"""What a user asks of a converter, and what it gives back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stream.errors import UsageError
from stream.inference.contract import OUTPUTS, Interpolation, Metadata, Resize
from stream_export.options import parse_size
from stream_export.registry import OPTIONS_KEY

if TYPE_CHECKING:
    import onnx
    from torch import nn


@dataclass(frozen=True)
class Request:
    """One conversion. None leaves a value to the origin.

    Attributes:
        checkpoint: the file.
        config: a published configuration's name, or a configuration file.
        names: a file of class names, or a data set's name, see `stream_export.names`.
        size: `800/1333` (shortest edge and its maximum) or `640x384` (a fixed letterbox).
        exact: whether the picture is resized as the origin does it, at some cost in time.
        score: detections must be better than this, 0..1.
        detections: at most this many.
        proposals: per level before and over all after suppression.
        mask_score: CenterMask's scores are multiplied by the predicted IoU of the mask.
        settings: `NAME=VALUE` each, with the origin's own names, above what a configuration says.
        ignore: patterns of weights that may be left over.
        key: where in the file the weights lie, for files with several copies.
    """

    checkpoint: Path
    config: str | None = None
    names: str | Path | None = None
    size: str | None = None
    exact: bool = False
    score: float | None = None
    detections: int | None = None
    proposals: int | None = None
    mask_score: bool = False
    settings: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    key: str | None = None

    def __post_init__(self) -> None:
        if self.score is not None and not 0 <= self.score <= 1:
            raise UsageError(f"the score must be 0..1, not {self.score}")
        for name in ("detections", "proposals"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"there must be at least 1 of the {name}, not {value}")

    @property
    def inputs(self) -> list[Path]:
        """The files that are read."""
        named = [str(one) for one in (self.config, self.names) if one]
        return [self.checkpoint, *(Path(one) for one in named if _is_file(one))]

    def resize(self, default: str, interpolation: Interpolation, padding: int = 116) -> Resize:
        """How pictures are resized.

        Args:
            default: the origin's own size, such as "800/1333".
            interpolation: the origin's own, used where `exact` is asked for.
            padding: the value of a letterbox's margin, 0..255.

        Raises:
            UsageError: the size is not understood.
        """
        found = parse_size(self.size or default, in_graph=False, padding=padding)
        return replace(
            found, interpolation=interpolation if self.exact else "area", rounding="round"
        )


@dataclass(frozen=True)
class Converted:
    """A module that speaks the contract, with what its file will say.

    Attributes:
        module: takes uint8 [1, H, W, 3] and returns the contract's four outputs.
        metadata: of the file.
        height: of a typical picture, pixels, and of every one unless `dynamic`.
        width: likewise.
        dynamic: whether the picture's size may vary.
        outputs: what the module returns.
        read: what was taken from where, a line each, for the user.
        assumed: what the file does not tell and was taken for granted, likewise.
    """

    module: nn.Module
    metadata: Metadata
    height: int
    width: int
    dynamic: bool
    outputs: tuple[str, ...] = OUTPUTS
    read: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()

    def to_onnx(self, system: str, request: Request) -> onnx.ModelProto:
        """The model as ONNX, with what was asked for in its `export.options`.

        Args:
            system: the converter's name.
            request: what was converted.

        Raises:
            ModelError: it cannot be exported.
        """
        from stream_export.onnx_export import export_module

        model = export_module(
            self.module,
            self.metadata,
            height=self.height,
            width=self.width,
            dynamic=self.dynamic,
            outputs=self.outputs,
        )
        entry = model.metadata_props.add()
        entry.key = OPTIONS_KEY
        # A path says something about the machine, a name does not.
        asked = asdict(request) | {
            "checkpoint": request.checkpoint.name,
            "names": _without_folder(request.names),
            "config": _without_folder(request.config),
        }
        entry.value = json.dumps({"system": system, **asked})
        return model


def _without_folder(value: str | Path | None) -> str | None:
    if value is None:
        return None
    return Path(value).name if _is_file(value) else str(value)


def _is_file(value: str | Path) -> bool:
    """Whether there is such a file; a text of settings may be too long to be a name."""
    try:
        return Path(value).is_file()
    except (OSError, ValueError):
        return False


def example_size(resize: Resize) -> tuple[int, int, bool]:
    """Height and width of a typical input, and whether they vary.

    Multiples of 32, since torch's solver of constraints fails on some that need padding.
    """
    if resize.mode == "native":
        return 480, 640, True
    if resize.mode == "shortest_edge":
        wide = min(resize.longest, resize.shortest * 4 // 3)
        return -(-resize.shortest // 32) * 32, -(-wide // 32) * 32, True
    return resize.height, resize.width, False
