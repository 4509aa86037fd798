"""The rules of `docs/architecture.md` that hold between rooms: who imports whom, and how large."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = {"stream": ROOT, "stream_export": ROOT / "export", "stream_models": ROOT / "models"}
LONGEST = 400
IMPORT = re.compile(r"( *)(?:from ([\w.]+) import (\([^)]*\)|[^\n]*)|import ([\w.]+))")

APART = ("sources", "inference", "tracking", "compositing", "sinks")
"""Which of them meet in `run` alone."""
ABOVE = ("run", "fleet", "serve", "bench", "cli")
"""From the lowest to the highest."""
SERVING = ("settings", "objects", "pictures", "photo_files", "system", "disk", "wording")
"""Which of them know none of these."""


@cache
def modules() -> dict[str, str]:
    """Every module of ours by its name, as text."""
    found = {}
    for part, folder in PARTS.items():
        for path in sorted((folder / part).rglob("*.py")):
            name = ".".join(path.relative_to(folder).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


def imports(text: str) -> Iterator[tuple[str, str]]:
    """What a module imports as it runs, at its top or later: modules, and the names from them."""
    typing = -1  # how far in a block lies that only type checkers read
    for line in re.split(r"\n(?! *\))", re.sub(r"\(\n[^)]*\)", _joined, text)):
        depth = len(line) - len(line.lstrip())
        typing = -1 if line.strip() and depth <= typing else typing
        if line.lstrip().startswith("if TYPE_CHECKING:"):
            typing = depth
        found = IMPORT.match(line)
        if found is not None and typing < 0:
            _, module, names, plain = found.groups()
            for name in re.findall(r"(\w+)(?: as \w+)?", names or "") or [""]:
                yield module or plain, name


def _joined(found: re.Match[str]) -> str:
    return found[0].replace("\n", " ")


def room(module: str) -> str:
    """The package that a module of `stream` lies in; "" for none."""
    part, _, rest = module.partition(".")
    return rest.partition(".")[0] if part == "stream" else ""


def test_imports_are_told() -> None:
    text = (
        "import a.b\nfrom c import (\n    d,\n    e as f,\n)\nif TYPE_CHECKING:\n"
        "    from g import h\n\n    from g import i\nfrom j import k\n\n"
        "def f():\n    from l import m\n"
    )
    assert list(imports(text)) == [("a.b", ""), ("c", "d"), ("c", "e"), ("j", "k"), ("l", "m")]


@pytest.mark.parametrize("part", PARTS)
def test_imports_go_from_models_to_export_to_the_runtime(part: str) -> None:
    later = list(PARTS)[list(PARTS).index(part) + 1 :]
    for name, text in modules().items():
        if name.partition(".")[0] == part:
            for module, _ in imports(text):
                assert module.partition(".")[0] not in later, f"{name} imports {module}"


def test_rooms_meet_where_they_should() -> None:
    for name, text in modules().items():
        here = room(name)
        for module, what in imports(text):
            there = room(f"{module}.{what}" if module == "stream" else module)
            if here in SERVING:
                assert there not in {*APART, *ABOVE, "plans", "doctor"}, f"{name} imports {module}"
            if here in APART:
                assert there not in {*APART, *ABOVE} - {here}, f"{name} imports {module}"
            if here in ABOVE:
                higher = set(ABOVE[ABOVE.index(here) + 1 :])
                assert there not in higher, f"{name} imports {module}"


def test_no_modules_stand_in_a_circle() -> None:
    """Nor do those that know each other for types alone: neither could be read before the other."""
    every = modules()
    known: dict[str, set[str]] = {}
    for name, text in every.items():
        told = text.replace("if TYPE_CHECKING:", "if True:")
        each = {f"{module}.{what}" if f"{module}.{what}" in every else module
                for module, what in imports(told)}  # fmt: skip
        known[name] = (each & every.keys()) - {name}
    try:
        TopologicalSorter(known).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' ← '.join(error.args[1])}")


def test_what_has_an_underscore_is_imported_in_its_own_package_alone() -> None:
    for name, text in modules().items():
        for module, what in imports(text):
            if module.partition(".")[0] not in PARTS or not re.match(r"_[a-z A-Z]", what):
                continue
            # A module of that kind holds nothing that is found by its name: see the page.
            if f"{module}.{what}" not in modules():
                package = module if name.startswith(f"{module}.") else module.rpartition(".")[0]
                assert name.startswith(f"{package}."), f"{name} imports {what} from {module}"


def test_no_room_is_larger_than_one_can_look_over() -> None:
    for name, text in modules().items():
        assert text.count("\n") <= LONGEST, f"{name}: split it along a seam"
