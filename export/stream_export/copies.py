"""Copies of PyTorch modules that can be taken apart and exported."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from stream.errors import ModelError, first_line

Module = TypeVar("Module", bound=nn.Module)


def on_cpu(module: Module) -> Module:
    """A copy of a module, in evaluation mode, whose tensors lie on the CPU.

    `Module.to` leaves tensors that are no parameters where they are, such as torchvision's anchors
    on a card that a model has run on; here they come along. Float numbers become float32. The
    module itself stays as it is.

    Raises:
        ModelError: it holds tensors without numbers, or something that cannot be copied.
    """
    made: dict[int, object] = {}
    for held in _tensors(module, set()):
        if held.is_meta:
            raise ModelError(
                f"a {type(module).__name__} whose weights have no numbers yet (they are on "
                "PyTorch's device 'meta') cannot be exported; load its weights first"
            )
        kind = torch.float32 if held.is_floating_point() else held.dtype
        moved = held.detach().to("cpu", kind, copy=True)
        parameter = isinstance(held, nn.Parameter)
        made[id(held)] = nn.Parameter(moved, held.requires_grad) if parameter else moved
    try:
        # What is known to it already is not copied once more, least of all where it lies.
        return copy.deepcopy(module, made).eval()
    except Exception as error:  # of any class that a model of somebody's own is made of
        raise ModelError(
            f"a {type(module).__name__} that holds what cannot be copied cannot be exported: "
            f"{first_line(error)}"
        ) from error


def _tensors(held: object, seen: set[int]) -> Iterator[Tensor]:
    """All tensors that an object holds, however deep."""
    if isinstance(held, Tensor):
        yield held
        return
    if id(held) in seen or isinstance(held, type):
        return
    seen.add(id(held))
    parts: object = getattr(held, "__dict__", None)
    if isinstance(held, Mapping):
        parts = held
    elif isinstance(held, list | tuple | set):
        parts = dict(enumerate(held))
    if isinstance(parts, Mapping):
        for part in parts.values():
            yield from _tensors(part, seen)
