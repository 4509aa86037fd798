"""The model contract: what every `.onnx` file says about itself, whatever it came from.

The runtime knows nothing but this. Tensors (batch of one):

| | name | type and shape | meaning |
|---|---|---|---|
| input | `image` | uint8 [1, H, W, 3] | RGB, already resized; normalisation is inside the graph |
| output | `boxes` | float32 [N, 4] | x1, y1, x2, y2 in pixels of the input |
| output | `scores` | float32 [N] | descending |
| output | `labels` | int64 [N] | index into the names, 0-based, no background |
| output | `masks` | float32 [N, M, M] | soft mask (0..1) in the frame of its box |
| output, if any | `mask_boxes` | float32 [N, 4] | where masks lie that reach beyond their boxes |

N may be 0. Files of version 1 call the last one `frames`; they are read all the same. The rest is
in the file's metadata, written and read by `Metadata`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from typing import Literal, get_args

from stream.errors import ModelError

VERSION = "2"
READABLE = ("1", VERSION)
PREFIX = "stream."
INPUT = "image"
OUTPUTS = ("boxes", "scores", "labels", "masks")
MASK_BOXES = "mask_boxes"
"""An output that a model may have: boxes, in pixels of the input, in whose frame its masks lie."""

_OLD_NAMES = {"frames": MASK_BOXES}
"""What files of version 1 call it."""

ResizeMode = Literal["shortest_edge", "letterbox", "stretch", "native"]
Interpolation = Literal["bilinear", "area", "pil_bilinear", "tf_bilinear"]
Rounding = Literal["floor", "round", "ceil"]
Anchor = Literal["corner", "centre"]

TENSOR_TYPES = {
    INPUT: ("tensor(uint8)", 4),
    "boxes": ("tensor(float)", 2),
    "scores": ("tensor(float)", 1),
    "labels": ("tensor(int64)", 1),
    "masks": ("tensor(float)", 3),
    MASK_BOXES: ("tensor(float)", 2),
}


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where a picture lies in the model's input.

    The picture is resized to `content` (width, height) and lies at `offset` (x, y) in an input of
    `size` (width, height), all in input pixels. `picture` is the original's (width, height).
    """

    picture: tuple[int, int]
    content: tuple[int, int]
    offset: tuple[int, int]
    size: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Picture pixels per input pixel, horizontally and vertically."""
        return self.picture[0] / self.content[0], self.picture[1] / self.content[1]


@dataclass(frozen=True, slots=True)
class Resize:
    """How a picture becomes the model's input.

    Attributes:
        mode: `shortest_edge` scales the shorter edge to `shortest` unless the longer one would
            pass `longest`; `letterbox` fits the picture into `width` x `height` and pads;
            `stretch` fills `width` x `height` regardless of shape; `native` does not resize (the
            graph does).
        shortest: pixels, for `shortest_edge`.
        longest: pixels, for `shortest_edge`.
        width: pixels, for `letterbox` and `stretch`.
        height: pixels, for `letterbox` and `stretch`.
        multiple_of: the input's width and height are padded up to a multiple of this.
        interpolation: `bilinear` without antialiasing; `area` averages when shrinking;
            `pil_bilinear` and `tf_bilinear` are those systems' own, for answers that depend on it.
        rounding: of the content's scaled width and height.
        anchor: whether padding goes to the right and bottom (`corner`) or all round (`centre`).
        padding: the value of padded pixels, 0..255.
    """

    mode: ResizeMode
    shortest: int = 0
    longest: int = 0
    width: int = 0
    height: int = 0
    multiple_of: int = 1
    interpolation: Interpolation = "bilinear"
    rounding: Rounding = "floor"
    anchor: Anchor = "corner"
    padding: int = 0

    def __post_init__(self) -> None:
        if self.mode not in get_args(ResizeMode):
            raise ModelError(f"unknown resize mode {self.mode!r}")
        if self.interpolation not in get_args(Interpolation):
            raise ModelError(f"unknown interpolation {self.interpolation!r}")
        if self.rounding not in get_args(Rounding) or self.anchor not in get_args(Anchor):
            raise ModelError(f"unknown rounding {self.rounding!r} or anchor {self.anchor!r}")
        needed = {
            "shortest_edge": (self.shortest, self.longest),
            "letterbox": (self.width, self.height),
            "stretch": (self.width, self.height),
            "native": (),
        }[self.mode]
        if not all(value > 0 for value in needed) or self.multiple_of < 1:
            raise ModelError(f"resize policy {self.mode!r} lacks a size: {asdict(self)}")
        if not 0 <= self.padding <= 255:
            raise ModelError(f"padding must be 0..255, not {self.padding}")

    def geometry(self, width: int, height: int) -> Geometry:
        """Where a picture of width x height pixels lies in the input.

        Raises:
            ValueError: the picture has no pixel.
        """
        if width < 1 or height < 1:
            raise ValueError(f"a picture of {width}x{height} pixels cannot be resized")
        if self.mode == "native":
            content = (width, height)
        elif self.mode == "stretch":
            content = (self.width, self.height)
        elif self.mode == "letterbox":
            scale = min(self.width / width, self.height / height)
            content = (
                min(self.width, self._round(width * scale)),
                min(self.height, self._round(height * scale)),
            )
        else:
            scale = min(self.shortest / min(width, height), self.longest / max(width, height))
            content = (self._round(width * scale), self._round(height * scale))
        box = (self.width, self.height) if self.mode == "letterbox" else content
        multiple = self.multiple_of
        size = (-(-box[0] // multiple) * multiple, -(-box[1] // multiple) * multiple)
        offset = (0, 0)
        if self.anchor == "centre":
            offset = ((size[0] - content[0]) // 2, (size[1] - content[1]) // 2)
        return Geometry((width, height), content, offset, size)

    def roomier(self, geometry: Geometry) -> Geometry:
        """The same picture in one of few sizes of input, with wider margins if need be.

        Where sizes go by the picture's shape, those are: the shorter side as short as the policy
        has it, the longer one as the policy's own shortest, its middle or its longest.
        """
        if self.mode != "shortest_edge":
            return geometry
        multiple = self.multiple_of
        short, middle, long = (
            -(-side // multiple) * multiple
            for side in (self.shortest, -(-(self.shortest + self.longest) // 2), self.longest)
        )
        width, height = geometry.size
        if min(width, height) > short or max(width, height) > long:
            return geometry
        side = next(one for one in (short, middle, long) if one >= max(width, height))
        return self.within(geometry, (side, short) if width >= height else (short, side))

    def within(self, geometry: Geometry, size: tuple[int, int]) -> Geometry:
        """The same picture in an input of that size, which is no smaller than its content."""
        offset = (0, 0)
        if self.anchor == "centre":
            offset = (
                (size[0] - geometry.content[0]) // 2,
                (size[1] - geometry.content[1]) // 2,
            )
        return replace(geometry, size=size, offset=offset)

    @property
    def shorter_side(self) -> int:
        """Of what the model sees, in pixels, where the policy says it; 0 for `native`."""
        return self.shortest or min(self.width, self.height)

    def scaled(self, scale: Fraction) -> Resize:
        """The policy for so many times as large inputs, whose sides the multiple divides."""

        def side(pixels: int) -> int:
            if not pixels:
                return 0
            return max(1, round(pixels * scale / self.multiple_of)) * self.multiple_of

        if scale == 1:
            return self
        return replace(
            self,
            shortest=side(self.shortest),
            longest=side(self.longest),
            width=side(self.width),
            height=side(self.height),
        )

    def _round(self, value: float) -> int:
        # A scaled edge that should be whole may come out as 799.9999999.
        nearest = round(value)
        if abs(value - nearest) < 1e-6:
            return max(1, nearest)
        if self.rounding == "floor":
            return max(1, math.floor(value))
        if self.rounding == "ceil":
            return math.ceil(value)
        return max(1, math.floor(value + 0.5))


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a model says of itself.

    Attributes:
        names: class names; `labels` index into them.
        resize: how a picture becomes the input.
        mask_threshold: a soft mask above this is the object, 0..1.
        score_threshold: the score from which an instance is shown by default, 0..1.
        origin: the system, architecture and weights it came from.
        licence: of the weights.
        training_data: what it was trained on.
        accuracy: measured figures, such as {"person mask AP (COCO val)": 0.41}.
        precision: "float32", "float16" or "int8".
    """

    names: tuple[str, ...]
    resize: Resize
    mask_threshold: float = 0.5
    score_threshold: float = 0.5
    origin: str = "unknown"
    licence: str = "unknown"
    training_data: str = "unknown"
    accuracy: Mapping[str, float] = field(default_factory=dict)
    precision: str = "float32"

    @staticmethod
    def are_in(properties: Mapping[str, str]) -> bool:
        """Whether a file's `metadata_props` hold any, of whichever version."""
        return f"{PREFIX}contract" in properties

    def to_properties(self) -> dict[str, str]:
        """As the key-value pairs of an ONNX file's `metadata_props`."""
        return {
            f"{PREFIX}contract": VERSION,
            f"{PREFIX}names": json.dumps(list(self.names), ensure_ascii=False),
            f"{PREFIX}resize": json.dumps(asdict(self.resize)),
            f"{PREFIX}mask_threshold": repr(float(self.mask_threshold)),
            f"{PREFIX}score_threshold": repr(float(self.score_threshold)),
            f"{PREFIX}origin": self.origin,
            f"{PREFIX}licence": self.licence,
            f"{PREFIX}training_data": self.training_data,
            f"{PREFIX}accuracy": json.dumps(dict(self.accuracy)),
            f"{PREFIX}precision": self.precision,
        }

    @classmethod
    def from_properties(cls, properties: Mapping[str, str]) -> Metadata:
        """Reads `metadata_props`.

        Raises:
            ModelError: what is missing or wrong, in one sentence.
        """
        version = properties.get(f"{PREFIX}contract")
        if version is None:
            raise ModelError("it carries no metadata of the model contract")
        if version not in READABLE:
            raise ModelError(
                f"it keeps contract version {version}, this program reads {' and '.join(READABLE)}"
            )
        try:
            names = json.loads(properties[f"{PREFIX}names"])
            resize = Resize(**json.loads(properties[f"{PREFIX}resize"]))
            metadata = cls(
                names=tuple(names),
                resize=resize,
                mask_threshold=float(properties[f"{PREFIX}mask_threshold"]),
                score_threshold=float(properties[f"{PREFIX}score_threshold"]),
                origin=properties[f"{PREFIX}origin"],
                licence=properties[f"{PREFIX}licence"],
                training_data=properties[f"{PREFIX}training_data"],
                accuracy=json.loads(properties[f"{PREFIX}accuracy"]),
                precision=properties[f"{PREFIX}precision"],
            )
        except KeyError as error:
            raise ModelError(f"its metadata lack {error.args[0]!r}") from error
        except (TypeError, ValueError) as error:
            raise ModelError(f"its metadata cannot be read: {error}") from error
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ModelError("its class names must be a non-empty list of non-empty strings")
        for value in (metadata.mask_threshold, metadata.score_threshold):
            if not 0 <= value <= 1:
                raise ModelError(f"its thresholds must be 0..1, not {value}")
        return metadata


def outputs_to_read(names: Collection[str]) -> list[str]:
    """The outputs that are asked for, in the contract's order, by the names that a file has."""
    extra = [name for name in (MASK_BOXES, *_OLD_NAMES) if name in names]
    return [*OUTPUTS, *extra[:1]]


def check_tensors(
    inputs: Mapping[str, tuple[str, Sequence[int | str | None]]],
    outputs: Mapping[str, tuple[str, Sequence[int | str | None]]],
) -> None:
    """Checks names, types and ranks of a model's tensors, {name: (type, shape)}.

    Types are spelt as ONNX Runtime spells them, such as `tensor(uint8)`.

    Raises:
        ModelError: the first breach of the contract, in one sentence.
    """
    if set(inputs) != {INPUT}:
        raise ModelError(f"its inputs are {sorted(inputs)}, the contract wants one, 'image'")
    outputs = {_OLD_NAMES.get(name, name): told for name, told in outputs.items()}
    missing = [name for name in OUTPUTS if name not in outputs]
    if missing:
        raise ModelError(f"it lacks the outputs {missing}; it has {sorted(outputs)}")
    for name, (kind, rank) in TENSOR_TYPES.items():
        if name == MASK_BOXES and name not in outputs:
            continue
        found, shape = inputs[name] if name == INPUT else outputs[name]
        if found != kind or len(shape) != rank:
            raise ModelError(
                f"its {name!r} is {found} {list(shape)}, the contract wants {kind} of rank {rank}"
            )
    shape = inputs[INPUT][1]
    if shape[0] not in (1, None) and not isinstance(shape[0], str):
        raise ModelError(f"its 'image' has a batch of {shape[0]}, the contract wants 1")
    if isinstance(shape[3], int) and shape[3] != 3:
        raise ModelError(f"its 'image' has {shape[3]} channels, the contract wants 3 (RGB)")


def fixed_size(shape: Sequence[int | str | None], resize: Resize) -> tuple[int | None, int | None]:
    """The width and height that a model's input fixes, each None where it does not.

    Args:
        shape: of the input.
        resize: the model's own policy.

    Raises:
        ModelError: its policy makes other sizes.
    """
    height, width = (edge if isinstance(edge, int) else None for edge in shape[1:3])
    # Padded to a square of at least the longest edge, as Matterport's are.
    square = resize.mode == "shortest_edge" and resize.multiple_of >= resize.longest
    if square or resize.mode in ("letterbox", "stretch"):
        # The same for every picture.
        made = resize.geometry(16, 9).size
        fits = width in (None, made[0]) and height in (None, made[1])
        if not fits:
            raise ModelError(
                f"its input is fixed at {width}x{height} pixels, but its resize policy makes "
                f"{made[0]}x{made[1]}"
            )
    elif width is not None or height is not None:
        raise ModelError(
            f"its input is fixed at {width}x{height} pixels, but its resize policy "
            f"{resize.mode!r} makes another size for every shape of picture"
        )
    return width, height
