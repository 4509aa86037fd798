"""What the arrays of `Instances` must be, and how those of several become one's."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Protocol, SupportsIndex, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream.types import Array

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    class _Arrays(DataclassInstance, Protocol):
        """The fields of `Instances`, which is built on this module; as they are said there."""

        def __len__(self) -> int: ...
        @property
        def boxes(self) -> NDArray[np.float32]: ...
        @property
        def scores(self) -> NDArray[np.float32]: ...
        @property
        def labels(self) -> NDArray[np.int64]: ...
        @property
        def masks(self) -> NDArray[np.float32]: ...
        @property
        def class_names(self) -> tuple[str, ...]: ...
        @property
        def picture_size(self) -> tuple[int, int]: ...
        @property
        def mask_threshold(self) -> float: ...
        @property
        def track_ids(self) -> NDArray[np.int64] | None: ...
        @property
        def mask_boxes(self) -> NDArray[np.float32] | None: ...
        @property
        def paste_boxes(self) -> NDArray[np.float32]: ...


Found = TypeVar("Found", bound="_Arrays")

_ARRAYS: tuple[tuple[str, type[np.generic], tuple[int | None, ...], str], ...] = (
    ("boxes", np.float32, (None, 4), "[N, 4]"),
    ("scores", np.float32, (None,), "[N]"),
    ("labels", np.int64, (None,), "[N]"),
    ("masks", np.float32, (None, None, None), "[N, M, M]"),
    ("track_ids", np.int64, (None,), "[N]"),
    ("mask_boxes", np.float32, (None, 4), "[N, 4]"),
    ("colours", np.float32, (None, None), "[N, K]"),
)
_OPTIONAL = ("track_ids", "mask_boxes", "colours")
_TEXT = frozenset({str})
_FULL_SIZE = "of masks at full size Instances.from_full_masks makes instances"


def amended(found: _Arrays) -> dict[str, object]:
    """The fields that must be others than were given, with what they must be.

    Lists and arrays of other numbers become what is promised; where all is as it should be, which
    is so for each frame of a run, nothing is copied.

    Raises:
        ValueError: a field cannot be what it must be; one sentence.
    """
    changed: dict[str, object] = {}
    names = class_names(found.class_names)
    if names is not found.class_names:
        changed["class_names"] = names
    lengths: dict[str, int] = {}
    for name, dtype, sides, words in _ARRAYS:
        given = getattr(found, name)
        if given is None and name in _OPTIONAL:
            continue
        array = given
        if not isinstance(given, np.ndarray) or given.dtype != dtype:
            changed[name] = array = _converted(name, given, dtype)
        if len(array.shape) != len(sides) or sides[-1] not in (None, array.shape[-1]):
            raise ValueError(f"{name} must be {words}, not {list(array.shape)}")
        lengths[name] = len(array)
        if name == "labels":
            _check_labels(array, names)
        elif name == "masks" and len(array):
            _check_masks(array, given, found)
        else:
            _check_values(name, array)
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"arrays of one frame's instances differ in length: {told}")
    size = found.picture_size
    if not (type(size) is tuple and len(size) == 2 and type(size[0]) is type(size[1]) is int):
        changed["picture_size"] = size = sides_of(size)
    if size[0] < 1 or size[1] < 1:
        raise ValueError(f"the picture's size is (height, width), 1 or more, not {size}")
    threshold = found.mask_threshold
    if not (isinstance(threshold, float | Real) and 0 <= threshold <= 1):
        raise ValueError(f"the mask threshold must be between 0 and 1, not {threshold!r}")
    return changed


def with_fields(found: Found, **fields: object) -> Found:
    """As `dataclasses.replace`, where what is new was made of fields that were looked at already.

    Nothing is looked at again, which takes five times as long and is done several times a frame.

    Args:
        found: has all other fields.
        fields: by name, of the types and lengths that belong there.
    """
    made = object.__new__(type(found))
    for name in found.__dataclass_fields__:
        value = fields[name] if name in fields else getattr(found, name)
        object.__setattr__(made, name, value)
    return made


def class_names(given: Sequence[str]) -> tuple[str, ...]:
    """The names as a tuple; one that is given is given back.

    Raises:
        ValueError: it is no sequence of names, such as a single one.
    """
    if isinstance(given, tuple):
        if not _TEXT.issuperset(map(type, given)):
            _check_names(given)
        return given
    # Arrays are no sequences to Python, but names of tables come as such.
    if isinstance(given, str | bytes) or not isinstance(given, Sequence | np.ndarray):
        raise ValueError(  # noqa: TRY004 - like all else that does not fit together
            f"class names are a tuple or list of texts, one for each label, not "
            f"{type(given).__name__}"
        )
    return _check_names(tuple(given))


def _check_names(names: tuple[str, ...]) -> tuple[str, ...]:
    for one in names:
        if not isinstance(one, str):
            raise ValueError(  # noqa: TRY004 - like all else that does not fit together
                f"class names are texts, one for each label, not {one!r}"
            )
    return names


def joinable(several: Sequence[Found]) -> tuple[Sequence[Found], tuple[str, ...]]:
    """Those of them that hold anything, or the first where none does, and the names for all.

    Names of records grow while they are read, so that some may know more of the same.

    Raises:
        ValueError: they cannot be joined, or not without giving some another class's name.
    """
    names = max((one.class_names for one in several), key=len)
    holding = [one for one in several if len(one)] or several[:1]
    if any(one.class_names != names[: len(one.class_names)] for one in holding):
        raise ValueError(
            "instances of different class names are not joined, since labels index into these"
        )
    cells = {one.masks.shape[1:] for one in holding}
    if len(cells) > 1:
        told = " and ".join(f"{rows}x{columns}" for rows, columns in sorted(cells))
        raise ValueError(
            f"masks of {told} cells are not joined; Instances.from_full_masks makes one kind of "
            "both"
        )
    return holding, names


def ranked(several: Sequence[_Arrays], like: Found) -> Found:
    """What all of them hold as one, best first; with identities where all have them.

    Args:
        several: of one picture, with masks of the same number of cells.
        like: has all else that the result has.
    """
    scores = np.concatenate([one.scores for one in several])
    best = np.argsort(-scores, kind="stable")
    reach = any(one.mask_boxes is not None for one in several)
    tracks = [one.track_ids for one in several if one.track_ids is not None]
    return replace(
        like,
        boxes=np.concatenate([one.boxes for one in several])[best],
        scores=scores[best],
        labels=np.concatenate([one.labels for one in several])[best],
        masks=np.concatenate([one.masks for one in several])[best],
        track_ids=np.concatenate(tracks)[best] if len(tracks) == len(several) else None,
        mask_boxes=np.concatenate([one.paste_boxes for one in several])[best] if reach else None,
        colours=None,
    )


def _converted(name: str, given: object, dtype: type[np.generic]) -> Array:
    try:
        array: Array = np.asarray(given)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} cannot be made an array: {error}") from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must be numbers, not {array.dtype}")
    if name == "masks" and array.size and not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"soft masks are 0..1, these reach from {array.min()} to {array.max()}; {_FULL_SIZE}"
        )
    with np.errstate(invalid="ignore", over="ignore"):
        made: Array = array.astype(dtype)
    if dtype is np.int64 and array.dtype.kind in "fu" and not (made == array).all():
        raise ValueError(f"{name} must be whole numbers of int64, which not all of these are")
    return made


def _check_masks(masks: Array, given: object, found: _Arrays) -> None:
    shape = masks.shape
    if not masks.size:
        raise ValueError(f"masks need at least one cell, not {list(shape)}")
    if shape[1] != shape[2]:
        raise ValueError(f"masks must be [N, M, M], not {list(shape)}; {_FULL_SIZE}")
    # Soft ones are of floats: others that are as large as the picture are not in their boxes.
    whole = found.mask_boxes is None and shape[1:] == tuple(found.picture_size)
    if whole and not (isinstance(given, np.ndarray) and given.dtype.kind == "f"):
        raise ValueError(f"these masks are as large as the picture; {_FULL_SIZE}")


def _check_labels(labels: NDArray[np.int64], names: tuple[str, ...]) -> None:
    # Read without a sign, those below 0 are the largest: one look finds both.
    if len(labels) and labels.view(np.uint64).max() >= len(names):
        wrong = int(labels.min() if labels.min() < 0 else labels.max())
        raise ValueError(f"label {wrong} has no name; there are {len(names)}, counted from 0")


def _check_values(name: str, array: Array) -> None:
    if name == "scores":
        _check_scores(array)
    elif name in ("boxes", "mask_boxes") and not np.isfinite(array).all():
        nowhere = _row_without(array)
        raise ValueError(f"{name} are pixels of the picture, which {nowhere} is not")


def _check_scores(scores: Array) -> None:
    # What is no number is the least and the largest, and neither compares.
    if len(scores) and not (scores.min() >= 0 and scores.max() <= 1):
        wrong = scores[~((scores >= 0) & (scores <= 1))][0]
        raise ValueError(f"scores are 0..1, which {wrong:g} is not")


def _row_without(boxes: Array) -> str:
    """The first box that has no place, in words."""
    wrong = boxes[~np.isfinite(boxes).all(axis=1)][0]
    return f"[{', '.join(f'{edge:g}' for edge in wrong)}]"


def sides_of(given: Sequence[SupportsIndex]) -> tuple[int, int]:
    """A picture's height and width.

    Raises:
        ValueError: it is no two whole numbers.
    """
    try:
        height, width = (operator.index(side) for side in given)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the picture's size is (height, width) in pixels, not {given!r}"
        ) from error
    return height, width


def of_one_axis(index: object) -> object:
    """What stands in brackets, for the one axis that instances have.

    In NumPy `array[0, 1]` is the second column of the first row, and what `np.where` gives, an
    index for each axis, picks too. Read as places, the first would be two instances.

    Raises:
        IndexError: it is for several axes, or none.
    """
    if isinstance(index, tuple) and len(index) == 1:
        return index[0]
    if isinstance(index, tuple):
        whole = bool(index) and all(hasattr(one, "__index__") for one in index)
        several = f"found[[{', '.join(map(str, index))}]]" if whole else "found[[0, 1]]"
        raise IndexError(
            f"instances have one axis, so one index picks: a list for several, as {several}"
        )
    return index


def picked(index: object) -> slice | Array:
    """An index as NumPy is to read it.

    What says that it is a whole number, NumPy takes for one: a tensor of one element, too, which
    is a list of places or booleans as those of more are. So each is made an array first.

    Args:
        index: a slice, a whole number, or places or a boolean for each, in whatever holds them.

    Returns:
        The slice, or an array: a whole number is one without sides.

    Raises:
        IndexError: it is none of these.
    """
    if isinstance(index, slice):
        return index
    read: Array = np.asarray(index)
    if read.ndim == 1 and not read.size and read.dtype.kind == "f":
        read = read.astype(np.int64)  # what NumPy makes of no place at all
    if read.ndim > 1 or read.dtype.kind not in "biu":
        told = type(index).__name__
        if isinstance(index, np.ndarray):
            told = f"{read.dtype} {list(read.shape)}"
        raise IndexError(f"a number, a slice, or a list of places or booleans picks, not {told}")
    if read.dtype.kind == "b" and not read.ndim:
        raise IndexError(
            "one boolean picks nothing: give one for each, as np.array(found.names) == 'dog', "
            "or a number"
        )
    return read
