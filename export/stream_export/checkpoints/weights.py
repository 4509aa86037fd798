"""Named weights of a checkpoint, and filling layers with them."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from stream.errors import ModelError, UsageError
from stream_export.blocks import MaskUpsample
from stream_export.checkpoints.pickles import Content


class Weights(Mapping[str, Tensor]):
    """The tensors of one checkpoint by name, as the file has them.

    Errors name the file and the weight, since a user can do something about those.
    """

    def __init__(
        self,
        path: Path,
        tensors: Mapping[str, Content],
        beside: Sequence[str] = (),
        assumed: Sequence[str] = (),
    ) -> None:
        """Takes tensors or NumPy arrays; what is neither is left out.

        Args:
            path: of the file, for messages.
            tensors: by name.
            beside: names of further weights in the file that are not of this network.
            assumed: see `Place`.
        """
        self.assumed = tuple(assumed)
        self.path = path
        self._used: set[str] = set()
        self._beside = beside
        self._tensors: dict[str, Tensor] = {}
        for name, value in tensors.items():
            if isinstance(value, Tensor):
                self._tensors[str(name)] = value
            elif isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
                # NumPy data may be read-only or of the other byte order.
                native = np.array(value, dtype=value.dtype.newbyteorder("="))
                self._tensors[str(name)] = torch.from_numpy(native)

    def __getitem__(self, name: str) -> Tensor:
        found = self._found(name)
        if name not in self._used:
            refuse_no_numbers(self.path, {name: found})
        self._used.add(name)
        return found

    def _found(self, name: str) -> Tensor:
        try:
            return self._tensors[name]
        except KeyError:
            raise ModelError(
                f"{self.path}: the checkpoint lacks the weight {name!r}; it is cut short, or of a "
                "variant that this converter does not know"
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """A weight's shape; asking for it does not count as using the weight.

        Raises:
            ModelError: the checkpoint lacks it.
        """
        return tuple(self._found(name).shape)

    def count(self, pattern: str) -> int:
        """How many numbers 0, 1, 2... a name goes through; the pattern has one group for it.

        The largest number plus one, 0 where no name matches.
        """
        numbers = [int(found[1]) for name in self if (found := re.match(pattern, name))]
        return max(numbers, default=-1) + 1

    def chain(self, pattern: str, first: int = 1) -> tuple[int, ...]:
        """Outputs (the first dimension) of layers that are numbered through.

        Args:
            pattern: of the weights' names, with {} for the number.
            first: the number that it begins with.
        """
        found: list[int] = []
        while pattern.format(first + len(found)) in self:
            found.append(self.shape(pattern.format(first + len(found)))[0])
        return tuple(found)

    def fill(
        self, layer: nn.Module, name: str, norm: str | None = None, epsilon: float = 1e-5
    ) -> None:
        """Fills a layer's weight and bias from `name`.weight and, if there is one, `name`.bias.

        Args:
            layer: with a weight and perhaps a bias, such as a convolution.
            name: without `.weight`.
            norm: name of a batch normalisation behind a convolution that is folded into it, as
                scale = weight / sqrt(running_var + epsilon) and
                shift = bias - running_mean * scale; without running statistics (Caffe2's affine
                channels) scale and shift are weight and bias themselves.
            epsilon: the normalisation's.

        Raises:
            ModelError: a weight is missing or of the wrong shape.
        """
        weight = self[f"{name}.weight"].double()
        has_bias = f"{name}.bias" in self
        bias = self[f"{name}.bias"].double() if has_bias else torch.zeros(1, dtype=torch.double)
        if norm is not None:
            scale, shift = self._affine(norm, epsilon)
            if weight.ndim != 4 or len(scale) != weight.shape[0]:
                raise self._mismatch(f"{norm}.weight", (weight.shape[0],))
            weight = weight * scale.reshape(-1, 1, 1, 1)
            bias = bias * scale + shift
        elif getattr(layer, "bias", None) is not None and not has_bias:
            raise self._missing(f"{name}.bias")
        self.put(layer, "weight", weight, name)
        if getattr(layer, "bias", None) is not None:
            self.put(layer, "bias", bias, name)

    def unused(self) -> list[str]:
        """The names of weights that nothing was filled with, in the order of the file."""
        return [*(name for name in self._tensors if name not in self._used), *self._beside]

    def refuse_unused(self, ignore: Iterable[str] = (), harmless: str = "") -> None:
        """Makes sure that the network is the whole of what the file holds.

        Args:
            ignore: patterns (`*` stands for anything) of weights that the user knows to be of no
                use.
            harmless: a regular expression of names that have no say in what is found.

        Raises:
            ModelError: a weight is left over; it belongs to a layer that is not converted.
            UsageError: a pattern fits none that is left over.
        """
        refuse_left(self.path, self.unused(), ignore, harmless)

    def upsample(self, name: str) -> MaskUpsample:
        """A 2x2 transposed convolution with stride 2, in its exported form.

        Raises:
            ModelError: it is missing or not 2x2.
        """
        shape = self.shape(f"{name}.weight")
        if len(shape) != 4 or shape[2:] != (2, 2):
            raise self._mismatch(f"{name}.weight", (*shape[:2], 2, 2))
        layer = nn.ConvTranspose2d(shape[0], shape[1], 2, stride=2)
        self.fill(layer, name)
        return MaskUpsample(layer)

    def put(self, layer: nn.Module, part: str, value: Tensor, name: str) -> None:
        """Copies a value into a layer's parameter.

        Raises:
            ModelError: the shape is another, told with the `name` it has in the file.
        """
        parameter = getattr(layer, part)
        if tuple(value.shape) != tuple(parameter.shape):
            raise ModelError(
                f"{self.path}: the weight '{name}.{part}' is {list(value.shape)} where "
                f"{list(parameter.shape)} is needed; the variant is not the one it was taken for"
            )
        with torch.no_grad():
            parameter.copy_(value)

    def _affine(self, norm: str, epsilon: float) -> tuple[Tensor, Tensor]:
        scale, shift = self[f"{norm}.weight"].double(), self[f"{norm}.bias"].double()
        if f"{norm}.running_var" in self:
            scale = scale / torch.sqrt(self[f"{norm}.running_var"].double() + epsilon)
            shift = shift - self[f"{norm}.running_mean"].double() * scale
        return scale, shift

    def _missing(self, name: str) -> ModelError:
        return ModelError(f"{self.path}: the checkpoint lacks the weight {name!r}")

    def _mismatch(self, name: str, wanted: tuple[int, ...]) -> ModelError:
        return ModelError(
            f"{self.path}: the weight {name!r} is {list(self.shape(name))} where {list(wanted)} is "
            "needed"
        )


def refuse_left(path: Path, left: Iterable[str], ignore: Iterable[str], harmless: str = "") -> None:
    """Makes sure that no weight is left over; see `Weights.refuse_unused`.

    Raises:
        ModelError: one is.
        UsageError: a pattern fits none.
    """
    patterns = tuple(ignore)
    left = [name for name in left if not (harmless and re.search(harmless, name))]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in left):
            raise UsageError(
                f"--ignore {pattern!r}: no weight of that name is left over; leave it out"
            )
    left = [name for name in left if not any(fnmatchcase(name, one) for one in patterns)]
    if left:
        count = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise ModelError(
            f"{path}: it has weights that are no part of a network this converter knows: "
            f"{', '.join(left[:3])}{count}; {_advice(left)}"
        )


_HEADS = (
    ("roi_heads.keypoint_", "a head for key points"),
    ("sem_seg_head.", "a head for the whole scene"),
)


def _advice(left: Sequence[str]) -> str:
    """What to do about weights that are left over."""
    if any(re.search(r"conv\w*_offset", name) for name in left):
        return "they tell where deformable convolutions (DCN) look, which are not supported here"
    found = [one for one in _HEADS if any(name.startswith(one[0]) for name in left)]
    if found and all(name.startswith(tuple(begin for begin, _ in found)) for name in left):
        what = " and ".join(words for _, words in found)
        options = " ".join(f"--ignore '{begin}*'" for begin, _ in found)
        have, leave, them = ("have", "leave", "them") if found[1:] else ("has", "leaves", "it")
        return f"{what} beside {have} no say in boxes and masks: {options} {leave} {them} out"
    return (
        "without them it would be another network (if you know that they have no say, --ignore "
        "'PATTERN' leaves them out)"
    )


_COUNTED = re.compile(r"\.(running_mean|running_var|num_batches_tracked)$")
"""Weights that are counted and not learnt."""


def refuse_no_numbers(path: Path, tensors: Mapping[str, Tensor], prefix: str = "") -> None:
    """What a training that ran away, or a precision too small, leaves would find nothing, or all.

    Args:
        path: of the file, for the message.
        tensors: its weights by name.
        prefix: of their names in the file.

    Raises:
        ModelError: one has values that are NaN, or infinite where it is one that is learnt.
    """
    wrong = [
        f"{prefix}{name}"
        for name, one in tensors.items()
        if (one.isnan() if _COUNTED.search(name) else ~torch.isfinite(one)).any()
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ModelError(
            f"{path}: it has weights with values that are no numbers (NaN or infinite): "
            f"{', '.join(wrong[:3])}{more}; the training ran away, or they were saved in too small "
            "a precision: take an earlier checkpoint"
        )


_MISFITS = (ArithmeticError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""What building a network from shapes that do not belong together ends in."""


@contextlib.contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Around whatever builds a network from a file's shapes, which may be anything.

    Raises:
        ModelError: they do not fit together.
    """
    try:
        yield
    except _MISFITS as error:
        reason = " ".join(str(error).split())[:120]
        raise ModelError(
            f"{path}: its weights do not fit together ({type(error).__name__}: {reason}); the file "
            "is damaged, or of a variant that this converter does not know"
        ) from error


class _Request(Protocol):
    @property
    def checkpoint(self) -> Path: ...


Asked = TypeVar("Asked", bound=_Request)
Made = TypeVar("Made")


def fits(convert: Callable[[Asked], Made]) -> Callable[[Asked], Made]:
    """Makes a converter's `convert` refuse weights that do not fit together; see `fitting`."""

    @functools.wraps(convert)
    def guarded(request: Asked) -> Made:
        with fitting(request.checkpoint):
            return convert(request)

    return guarded
