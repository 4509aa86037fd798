"""Where things of one kind are found: the modules of a package, and what others registered.

A kind is a package of ours that is walked, and an entry-point group of the same name in which
other distributions register theirs. Adding one of a kind is adding one file.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import pkgutil
from collections.abc import Callable, Iterator
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Generic, TypeVar

from stream.errors import UsageError, first_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Kind(Generic[T]):
    """The classes of one kind, by name.

    A module of the package, or a package in it, whose name has no leading underscore holds one or
    more public concrete subclasses of the base. Its name is the thing's name. Ours come first: a
    registered thing cannot take the name of one that is built in.

    Args:
        package: the package that is walked.
        base: what every thing of this kind is a subclass of.
        group: the entry-point group; the package's name where nothing is said.
    """

    def __init__(self, package: str, base: type[T], group: str = "") -> None:
        self.package = package
        self.group = group or package
        self._base = base
        self._said: set[str] = set()

    @cached_property
    def _modules(self) -> list[str]:
        walked = importlib.import_module(self.package).__path__
        return sorted(one.name for one in pkgutil.iter_modules(walked) if one.name[0] != "_")

    @cached_property
    def _registered(self) -> dict[str, EntryPoint]:
        # Looking through all that is installed takes a twentieth of a start with things of ours.
        from importlib.metadata import entry_points

        found: dict[str, EntryPoint] = {}
        for point in entry_points(group=self.group):
            if point.name in self._modules or point.name in found:
                logger.warning(
                    "%s, registered in %s as %r, is left out: there is one of that name already",
                    *(point.value, self.group, point.name),
                )
                continue
            found[point.name] = point
        return found

    def __contains__(self, name: object) -> bool:
        """Whether there is a thing of that name; what is installed is asked where ours has none."""
        return name in self._modules or name in self._registered

    def names(self) -> list[str]:
        """The names of all modules and registered things; nothing is imported for it."""
        return [*self._modules, *sorted(self._registered)]

    def get(self, name: str) -> type[T]:
        """The class of that name.

        Raises:
            UsageError: there is none, or it cannot be loaded.
        """
        if name in self._modules:
            found = self._classes(importlib.import_module(f"{self.package}.{name}"))
            if len(found) == 1:
                return found[0]
        if name in self._registered:
            return self._load(self._registered[name])
        raise UsageError(f"there is no {name!r}; there are {', '.join(self.names())}")

    def __iter__(self) -> Iterator[type[T]]:
        """All classes; a registered one that cannot be loaded is left out with a warning."""
        for name in self._modules:
            yield from self._classes(importlib.import_module(f"{self.package}.{name}"))
        for point in self._registered.values():
            try:
                yield self._load(point)
            except UsageError as error:
                self._leave_out(str(error))

    def that(self, says_yes: Callable[[type[T]], bool]) -> list[type[T]]:
        """Those that say yes; a registered one that fails at it is left out with a warning."""
        found = []
        for one in self:
            try:
                if says_yes(one):
                    found.append(one)
            except Exception as error:
                if one.__module__.startswith(f"{self.package}."):
                    raise
                self._leave_out(
                    f"{one.__module__}.{one.__name__}, registered in {self.group}, is left out, "
                    f"since it failed when it was asked what it takes: {type(error).__name__}: "
                    f"{first_line(error)}"
                )
        return found

    def _leave_out(self, why: str) -> None:
        if why not in self._said:
            self._said.add(why)
            logger.warning("%s", why)

    def _classes(self, module: ModuleType) -> list[type[T]]:
        inside = (module.__name__, f"{module.__name__}.")
        return [
            one
            for name, one in vars(module).items()
            if isinstance(one, type)
            and issubclass(one, self._base)
            and not inspect.isabstract(one)
            and name[0] != "_"
            and (one.__module__ == inside[0] or one.__module__.startswith(inside[1]))
        ]

    def _load(self, point: EntryPoint) -> type[T]:
        try:
            loaded = point.load()
        except Exception as error:
            raise UsageError(
                f"{point.name!r}, registered in {self.group} as {point.value}, cannot be "
                f"loaded: {first_line(error)}"
            ) from error
        if not (isinstance(loaded, type) and issubclass(loaded, self._base)):
            raise UsageError(
                f"{point.name!r}, registered in {self.group} as {point.value}, is no "
                f"{self._base.__name__}"
            )
        if inspect.isabstract(loaded):
            raise UsageError(
                f"{point.name!r}, registered in {self.group} as {point.value}, lacks "
                f"{', '.join(sorted(getattr(loaded, '__abstractmethods__', ())))}"
            )
        return loaded


def culprit(error: BaseException) -> str:
    """Whose fault an error is that nobody foresaw: the program's, or a plug-in's.

    It is the latter's where any of its code was running, with the line that it had come to.
    """
    from importlib.metadata import distributions

    theirs = {
        point.module.partition(".")[0]
        for distribution in distributions()
        for point in distribution.entry_points
        if point.group.startswith("stream.")
    }
    found, at = "the program", error.__traceback__
    while at is not None:
        module = str(at.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in theirs:
            file = at.tb_frame.f_code.co_filename
            found = f"the plug-in {module} ({file}, line {at.tb_lineno})"
        at = at.tb_next
    return found
