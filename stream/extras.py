"""Optional packages: which extra brings them."""

from __future__ import annotations

import importlib.util

from stream.errors import UsageError


def need_extra(extra: str, *modules: str, what: str) -> None:
    """Makes sure that packages which only some uses need are there.

    Args:
        extra: the extra that brings them.
        modules: the packages, by the names that they are imported under.
        what: who needs them, at the start of the sentence, such as "exporting".

    Raises:
        UsageError: which one is missing, and what to install.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise UsageError(
                f"{what} needs the package {module!r}; install the extra from the checkout: "
                f"pip install '.[{extra}]'"
            )
