"""Names as a ledger's database has them."""

from __future__ import annotations

import json
from collections.abc import Sequence

_BETWEEN = "\n"
"""Stands between targets; where one of them has it in its name they are written as JSON."""
_LIST = '["'


def stored(text: str) -> str | bytes:
    """A name as the database takes it: one that is no text as its bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="surrogateescape")
    return text


def read(value: str | bytes) -> str:
    """A name that the database has."""
    return value if isinstance(value, str) else value.decode(errors="surrogateescape")


def joined(targets: Sequence[str]) -> str | bytes:
    """Names of results as one value."""
    if targets[0].startswith(_LIST) or any(_BETWEEN in one for one in targets):
        return json.dumps(targets)
    return stored(_BETWEEN.join(targets))


def parted(value: str | bytes) -> tuple[str, ...]:
    """The names of results that one value holds."""
    text = read(value)
    return tuple(json.loads(text) if text.startswith(_LIST) else text.split(_BETWEEN))
