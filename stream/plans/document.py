"""A configuration's tables and values, in which every error names its line."""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TypeVar

from stream.errors import UsageError
from stream.plans.tables import NOT_HERE, OWN_KEYS, home_of, with_keys
from stream.plans.toml_lines import OWN_OUTPUTS, Place, at, line_of, shown, unfilled
from stream.settings.groups import Leaf, build, leaves, read
from stream.settings.likeness import nearest
from stream.settings.option import Value
from stream.types import TOML
from stream.wording.addresses import clean
from stream.wording.names import at_home

T = TypeVar("T")


class Document:
    """What a configuration says, read table by table.

    Args:
        name: of the file, for errors.
        text: TOML, with line ends of one character.
        document: what the text says.
    """

    def __init__(self, name: str, text: str, document: Mapping[str, TOML]) -> None:
        self._name = name
        self._text = text
        self._document = document

    def _tables(self, place: Place) -> Iterator[tuple[Place, Mapping[str, TOML]]]:
        """The tables of a list of tables; a single table is a list of one."""
        found = at(self._document, place)
        if found is None:
            return
        name = ".".join(str(part) for part in place if isinstance(part, str))
        if isinstance(found, dict):
            yield place, found
            return
        tables = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        if not isinstance(found, list) or len(tables) < len(found):
            raise self._error(place, f"{name} is a table: write [[{name}]] above its keys")
        for index, table in enumerate(tables):
            yield (*place, index), table

    def _group(self, name: str, group: type[T]) -> T:
        table = self._document.get(name, {})
        if not isinstance(table, dict):
            raise self._error((name,), f"{name} is a table: write [{name}] above its keys")
        kind: type = group
        return self._build((name,), group, self._values((name,), table, leaves(kind)))

    def _text_of(self, place: Place, key: str, value: object) -> str:
        if not isinstance(value, str):
            raise self._error(place, f"{key} is a text in quotes, not {shown(value)}")
        if not value or "\0" in value:
            raise self._error(place, f"{key} is empty" if not value else f"{key} is no name")
        return self._as_written(place, value)

    def _as_written(self, place: Place, value: str) -> str:
        """A path or an address, in which nothing stands that was meant to be something else."""
        # What is there is meant, whatever it is called, and so is what begins with `./`.
        if (variable := unfilled(value)) and not os.path.exists(at_home(value)):  # noqa: PTH110
            raise self._error(
                place,
                f"{variable} would be a name like others, as no variables are filled in here; "
                "write what it stands for (~ is the home folder), or ./ before a file so called",
            )
        return value

    def _values(
        self,
        place: Place,
        table: Mapping[str, TOML],
        known: Mapping[str, Leaf],
        others: Sequence[str] = (),
    ) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for key, value in table.items():
            name = key.replace("-", "_")
            if key in others:
                continue
            if name in NOT_HERE:
                raise self._error(
                    (*place, key), f"{name} is for the command line alone; leave it out here"
                )
            if name not in known:
                raise self._error((*place, key), self._unknown(place, key, [*known, *others]))
            if name in found:
                raise self._error((*place, key), f"{name} is there twice")
            given = value if not isinstance(value, datetime | date) else str(value)
            if known[name].file and isinstance(given, str):
                given = at_home(self._as_written((*place, key), given))
            try:
                found[name] = read(known[name], given, name)
            except UsageError as error:
                raise self._error((*place, key), str(error)) from error
        return found

    def _unknown(self, place: Place, key: str, known: Sequence[str]) -> str:
        table = ".".join(part for part in place if isinstance(part, str))
        if key in OWN_OUTPUTS:
            return f"there is no {key!r} in {table}; {OWN_OUTPUTS[key]}"
        near = nearest(key.replace("-", "_"), [one for one in known if one not in NOT_HERE])
        if near and key not in OWN_KEYS:
            return f"there is no {key!r} in {table}; did you mean {near}?"
        elsewhere = home_of(key.replace("-", "_"))
        if elsewhere:
            return f"there is no {key!r} in {table}; it belongs to {elsewhere}"
        return f"there is no {key!r} in {table}; there are {', '.join(sorted(known))}"

    def _build(self, place: Place, group: type[T], values: Mapping[str, Value]) -> T:
        try:
            return build(group, values)
        except UsageError as error:
            raise self._error(place, str(error)) from error

    def _error(self, place: Place, sentence: str) -> UsageError:
        """An error with its line; flags of the command line become keys."""
        line = line_of(self._text, place)
        return UsageError(clean(f"{self._name}, line {line}: {with_keys(sentence)}"))
