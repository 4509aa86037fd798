"""Objects that users set attributes on refuse those that they do not have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any, TypeVar

from stream.settings.likeness import nearest

T = TypeVar("T")


def unchanging(kind: type[T]) -> type[T]:
    """A frozen dataclass with slots that says so where any attribute is set or deleted.

    Python 3.11's own words about one that is no field are about `super`.
    """

    def refuse(self: object, name: str, *_: object) -> None:
        if name in _names(kind):
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        raise FrozenInstanceError(f"{kind.__name__} keeps what it has: there is no {name!r} to set")

    changed: Any = kind
    changed.__setattr__ = changed.__delattr__ = refuse
    return kind


class OnlyNamed:
    """Has the public attributes that its class names, by annotation or as a property, alone.

    A misspelt one would be kept, and change nothing. Classes that others derive may have more, as
    those of classes with `__slots__` do.

    Raises:
        AttributeError: an attribute is set that there is not; the sentence says which is meant.
    """

    if not TYPE_CHECKING:  # type checkers would take any name then, and know better

        def __setattr__(self, name: str, value: object) -> None:
            kind = type(self)
            if name[:1] != "_" and OnlyNamed in kind.__bases__ and name not in set(_names(kind)):
                known = sorted(one for one in _names(kind) if _can_be_set(kind, one))
                near = nearest(name, known)
                hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}"
                raise AttributeError(
                    f"a {kind.__name__} has no {name!r} to set; {hint}", name=name, obj=self
                )
            super().__setattr__(name, value)


def _names(kind: type) -> Iterator[str]:
    for one in kind.__mro__[:-1]:
        yield from (name for name in vars(one) if name[:1] != "_")
        yield from (name for name in vars(one).get("__annotations__", ()) if name[:1] != "_")


def _can_be_set(kind: type, name: str) -> bool:
    found = getattr(kind, name, None)
    return not callable(found) and (not isinstance(found, property) or found.fset is not None)
