"""Optional packages: which extra brings them."""

from __future__ import annotations

import importlib.util

from stream.errors import UsageError

_S3 = ("s3", "s3a")


def lack(protocol: str, error: Exception) -> str:
    """Why fsspec has nothing for addresses of a kind, with the extra that brings it if one does.

    Args:
        protocol: what the addresses begin with, such as "s3".
        error: that fsspec raised, which names a package or the protocol.
    """
    if protocol in _S3 and isinstance(error, ImportError):
        return f"it needs {_missing('s3fs', 's3')}"
    return str(error)


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
            raise UsageError(f"{what} needs {_missing(module, extra)}")


def _missing(module: str, extra: str) -> str:
    advice = f"install the extra from the checkout: pip install '.[{extra}]'"
    return f"the package {module!r}; {advice}"
