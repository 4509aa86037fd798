"""The weights inside whatever somebody saved: one reader for all origins of torch's kind.

People save a state dict alone or under a key, of a model in a wrapper (DDP's `module.`, Lightning's
`model.`, torch.compile's `_orig_mod.`), beside an averaged copy of it, or the whole model. Where
the weights lie is found by names that only the wanted origin has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from stream.errors import ModelError, UsageError
from stream_export.checkpoints.pickles import Content, StandIn, parameters
from stream_export.checkpoints.safetensors import is_safetensors, read_safetensors
from stream_export.checkpoints.torch_files import is_torch, read_pickle, read_torch

_DEEPEST = 4
# What torch puts into the names of layers that it shards, compiles or computes twice.
_WRAPPERS = ("_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_orig_mod")
_AVERAGED = ("ema", "averaged", "swa", "shadow", "teacher")
"""Words in the names of averaged copies, which are taken only where there is nothing else."""

_COUNTERS = ("n_averaged", "num_updates", "decay")
"""What wrappers that average keep beside the weights."""


@dataclass(frozen=True)
class Place:
    """Weights in a checkpoint.

    Attributes:
        key: what they lie under, such as "model", dotted; "" for the file itself.
        prefix: of their names there, such as "module.".
        tensors: by name without the prefix.
        beside: names without the prefix, which are no part of this network.
        model: the whole model where one was pickled, for what it says besides its weights.
        assumed: that these weights are meant, in words, where nobody said so and there are others.
    """

    key: str
    prefix: str
    tensors: dict[str, Content]
    beside: tuple[str, ...] = ()
    model: StandIn | None = field(default=None, repr=False)
    assumed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What `--key` takes for it."""
        return ".".join(part for part in (self.key, self.prefix.removesuffix(".")) if part)

    @property
    def averaged(self) -> bool:
        """Whether it is called as averaged copies are."""
        return any(word in self.name.lower() for word in _AVERAGED)


def read_content(path: Path) -> Content:
    """What a file holds: torch's, a pickle or safetensors, whatever it is called.

    Raises:
        ModelError: the file is missing, damaged, or none of these.
    """
    if is_torch(path):
        return read_torch(path)
    return read_safetensors(path) if is_safetensors(path) else read_pickle(path)


def find_weights(
    path: Path, content: Content, signs: Sequence[str], key: str | None = None
) -> Place | None:
    """Where the weights of an origin lie in a checkpoint; None where they are not there.

    Args:
        path: of the file, for messages.
        content: see `read_content`.
        signs: names of weights, of which one is enough.
        key: which to take where there are several, see `Place.name`; None for the first that is
            not an averaged copy.

    Raises:
        ModelError: weights were saved without their values.
        UsageError: there is nothing under the key; the message lists what there is.
    """
    places = list(all_places(content, signs))
    if not places and _only_described(content):
        raise ModelError(
            f"{path}: its weights were saved without their values (on the device 'meta', which "
            "knows shapes alone); save the model once its weights are loaded"
        )
    if key is not None:
        for place in places:
            if key.strip(".") in (place.name, place.key):
                return place
        listed = ", ".join(repr(place.name) for place in places if place.name)
        raise UsageError(
            f"{path}: there are no weights under {key!r}; "
            + (f"there are {listed}" if listed else "leave --key out")
        )
    best = min(places, key=lambda place: place.averaged, default=None)
    others = [place.name for place in places if place is not best and place.name]
    if best is None or not others:
        return best
    told = f"that the weights {f'under {best.name!r}' if best.name else 'by themselves'} are meant"
    there = " and ".join(f"under {name!r}" for name in others)
    return replace(best, assumed=(f"{told}; there are others {there} (--key {others[0]})",))


def all_places(content: Content, signs: Sequence[str]) -> Iterator[Place]:
    """Every copy of an origin's weights, in the order of the file."""
    for key, held, model in _mappings(content, ()):
        prefixes = _prefixes(held, signs)
        if not prefixes:
            held = {_unwrapped(name): value for name, value in held.items()}  # noqa: PLW2901
            prefixes = _prefixes(held, signs)
        for prefix in prefixes:
            others = [other for other in prefixes if other and other != prefix]
            tensors = {
                _unwrapped(name.removeprefix(prefix)): value
                for name, value in held.items()
                if name.startswith(prefix)
                and not any(len(o) > len(prefix) and name.startswith(o) for o in others)
            }
            beside = tuple(
                name
                for name in held
                if not name.startswith((prefix, *others))
                and name.rpartition(".")[2] not in _COUNTERS
            )
            yield Place(".".join(key), prefix, tensors, beside, model)


def _prefixes(names: Iterable[str], signs: Sequence[str]) -> dict[str, None]:
    """What stands before the signs, in the order of the names."""
    found: dict[str, None] = {}
    for name in names:
        for sign in signs:
            before = name.removesuffix(sign)
            if before != name and (not before or before.endswith(".")):
                found.setdefault(before)
    return found


def _mappings(
    content: Content, key: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict[str, Content], StandIn | None]]:
    """All dictionaries with tensors in them, and the weights of whole models."""
    if isinstance(content, list | tuple):
        # Such as weights and the number of the epoch.
        content = dict(enumerate(content))
    if isinstance(content, StandIn):
        held = dict(parameters(content))
        if held:
            yield key, held, content
            return
        inside = content.items or (content.state if isinstance(content.state, dict) else {})
        content = inside
    if not isinstance(content, Mapping) or len(key) > _DEEPEST:
        return
    tensors = {
        name: value for name, value in content.items() if isinstance(name, str) and is_tensor(value)
    }
    if tensors:
        yield key, tensors, None
    for name, value in content.items():
        if isinstance(value, Mapping | StandIn | list | tuple) and isinstance(name, str | int):
            yield from _mappings(value, (*key, str(name)))


def _unwrapped(name: str) -> str:
    """A weight's name without what wraps a part of the network for its training alone."""
    for wrapper in _WRAPPERS:
        name = name.replace(f".{wrapper}.", ".")
    return name


def _only_described(content: Content, depth: int = 3) -> bool:
    """Whether there are tensors of the device `meta` in a checkpoint."""
    if isinstance(content, StandIn):
        return content.named.endswith("._rebuild_meta_tensor_no_storage")
    inside = content.values() if isinstance(content, dict) and depth else ()
    return any(_only_described(one, depth - 1) for one in inside)


def is_tensor(value: Content) -> bool:
    """Whether a value is an array of numbers, torch's or NumPy's."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiub"
    import torch

    return isinstance(value, torch.Tensor)


def all_names(content: Content) -> set[str]:
    """The names of all tensors in a checkpoint, with and without what wrappers put before them."""
    names: set[str] = set()
    for _, held, _ in _mappings(content, ()):
        names.update(held)
    return names


def load_weights(path: Path, signs: Sequence[str], what: str, key: str | None = None) -> Place:
    """Reads a checkpoint of one origin.

    Args:
        path: of the file.
        signs: names of weights that every checkpoint of the origin has, one is enough.
        what: the origin's file is, in words that fit behind "it is not".
        key: see `find_weights`.

    Raises:
        ModelError: the file is damaged, or not the origin's.
        UsageError: there is nothing under the key.
    """
    content = read_content(path)
    place = find_weights(path, content, signs, key)
    if place is None:
        held = all_names(content)
        inside = f"its weights are called {min(held)!r} and so on" if held else "it has no weights"
        raise ModelError(f"{path}: it is not {what} ({inside})")
    return place
