"""What the pages show can be typed: commands, tables, Python, links and names are the real ones."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from stream.cli import _common
from stream.cli._commands import EXAMPLES, PLACES, load
from stream.cli._main import _CLICK_ERRORS
from stream.compositing import Painter, Style
from stream.errors import StreamError
from stream.plans.config import loads
from stream.settings.groups import Leaf, is_group, leaves, read

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "models/CARD.md")),
    ]
)
FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
FOREIGN_OPTIONS = {
    # pytest's, ruff's, pip's, FFmpeg's, Ray's and chromium's.
    *("--hypothesis-profile", "--head", "--address", "--kiosk", "--noerrdialogs"),
    *("--disable-session-crashed-bubble", "--incognito", "--check", "--reruns"),
}


@dataclass(frozen=True)
class Block:
    """A block of code of a page: its language ("" where it is indented or says none)."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}, line {self.line}"


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> Iterator[Block]:
    """Every block of code, fenced or indented."""
    text = text_of(page)
    spans = []
    for found in FENCED.finditer(text):
        spans.append(found.span())
        lines = [line.removeprefix(found[1]) for line in found[3].splitlines()]
        yield Block(page, text[: found.start()].count("\n") + 2, found[2], "\n".join(lines))
    rest = list(text)
    for start, end in spans:
        rest[start:end] = ["\n" if one == "\n" else " " for one in rest[start:end]]
    number, taken, before = 0, [], ""
    for number, line in enumerate([*"".join(rest).split("\n"), "end"], 1):
        if line.startswith("    ") and line.strip() and (taken or not before.strip()):
            taken.append(line[4:])
        elif taken and not line.strip():
            taken.append("")
        elif taken:
            yield Block(page, number - len(taken), "", "\n".join(taken).strip("\n"))
            taken = []
        before = line


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCED.sub("", text_of(page))


def commands(text: str) -> Iterator[list[str]]:
    """The words of every `stream …` of a block of shell, of each side of pipes and of `&&`."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        words = shlex.split(re.sub(r"(^|\s)#.*", "", line))
        for start, word in enumerate(words):
            first = start == 0 or words[start - 1] in ("&&", "|")
            if word == "stream" and first:
                rest = words[start + 1 :]
                ends = [at for at, one in enumerate(rest) if one in ("&&", "|", ">")]
                yield rest[: ends[0]] if ends else rest


def is_shell(block: Block) -> bool:
    starts = re.search(r"^(stream|pip|pytest|ruff|python|jq|chromium) ", block.text, re.MULTILINE)
    return block.language in ("", "sh") and starts is not None


@cache
def all_commands() -> dict[str, Any]:
    """Every command by its words, such as `export verify`."""
    found = {name: load(name) for name in PLACES}
    for name, command in list(found.items()):
        found |= {f"{name} {one}": inner for one, inner in getattr(command, "commands", {}).items()}
    return found


@cache
def all_leaves() -> dict[str, Leaf]:
    """Every option that is a field of a group, by its parameter's name."""
    found: dict[str, Leaf] = {}
    for name in ("options", "serve_options", "fleet_options"):
        for one in vars(importlib.import_module(f"stream.settings.{name}")).values():
            if isinstance(one, type) and is_group(one):
                found |= leaves(one)
    return found


def names_of(command: Any) -> set[str]:
    context = command.make_context("stream", [], resilient_parsing=True)
    params = command.get_params(context)
    return {name for one in params for name in (*one.opts, *one.secondary_opts)}


def misuse(words: list[str], *, whole: bool) -> str:
    """What the program would say of these words before it does anything; "" where nothing.

    Args:
        words: behind `stream`.
        whole: whether arguments that are needed have to be there.
    """
    if not words or not words[0].islower() or words[0].startswith("-"):
        return ""  # `stream COMMAND --help` speaks of any
    name, rest = words[0], words[1:]
    if name not in PLACES:
        return f"there is no command {name}"
    command = all_commands()[name]
    if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        if not rest[0].islower():
            return ""
        name, rest = f"{name} {rest[0]}", rest[1:]
        if name not in all_commands():
            return f"there is no command {name}"
        command = all_commands()[name]
    try:
        context = command.make_context(name, list(rest))
    except typer.Exit:
        return ""  # --help
    except _CLICK_ERRORS as error:
        kind, said = type(error).__name__, getattr(error, "message", "") or str(error)
        missing = kind in ("MissingParameter", "NoArgsIsHelpError", "BadOptionUsage")
        return "" if missing and not whole else f"{kind}: {said}{getattr(error, 'param', '')}"
    for key, value in context.params.items():
        leaf = all_leaves().get(key)
        if leaf is None or value in (None, (), []) or not isinstance(value, str | list | tuple):
            continue
        try:
            if "…" not in str(value) and not re.search(r"\b(FILE|FOLDER|N)\b", str(value)):
                read(leaf, list(value) if isinstance(value, tuple) else value, leaf.flag)
            if key == "look" and value.islower():
                Painter(value, Style())
        except StreamError as error:
            return str(error)
    return ""


@pytest.fixture(autouse=True)
def as_it_was():
    yield
    _common.verbosity.verbose = False


def test_commands_can_be_typed():
    faults, seen = [], 0
    for page in PAGES:
        for block in blocks(page):
            if is_shell(block):
                for words in commands(block.text):
                    seen += 1
                    if wrong := misuse(words, whole=True):
                        faults.append(f"{block}: stream {' '.join(words)}: {wrong}")
        for span in INLINE.findall(prose(page)):
            one = re.sub(r"\s+", " ", span)
            if one.startswith("stream ") and "…" not in one.split()[-1:]:
                seen += 1
                if wrong := misuse(shlex.split(one)[1:], whole=False):
                    faults.append(f"{page.name}: `{one}`: {wrong}")
    assert not faults, "\n".join(faults)
    assert seen > 120


def test_examples_of_the_help_can_be_typed():
    for line in (*EXAMPLES, *(line for place in PLACES.values() for line in place.examples)):
        (words,) = commands(line)
        assert not misuse(words, whole=True), line
        assert len(line) < 77, f"{line} does not fit into 80 columns"


def test_options_are_some_command_s():
    known = set().union(*map(names_of, all_commands().values())) | FOREIGN_OPTIONS
    for script in (ROOT / "docs").glob("*.py"):
        known |= set(re.findall(r"--[a-z][\w-]*", script.read_text()))
    faults = []
    for page in PAGES:
        for span in INLINE.findall(prose(page)):
            if span.startswith(("--", "stream")):
                faults += [
                    f"{page.name}: {name} in `{span}`"
                    for name in re.findall(r"(?<![\w-])--[a-z][\w-]*", span)
                    if name not in known
                ]
    assert not faults, "\n".join(faults)


def test_what_cannot_be_typed_would_be_seen():
    for line in (
        "stream fiel in.mp4",
        "stream file in.mp4 --oops",
        "stream file",
        "stream file in.mp4 --crf many",
        "stream file in.mp4 --look overly",
        "cat x | stream export torchvison -o x",
        "pip install . && stream webcam --mirrors",
        "stream url rtsp://a \\\n  --transprot udp",
    ):
        (words,) = commands(line)
        assert misuse(words, whole=True), line
    assert not list(commands("    python -m stream_export # stream nothing"))


def test_tables_of_toml_are_configurations():
    seen = 0
    for block in (one for page in PAGES for one in blocks(page) if one.language == "toml"):
        table = tomllib.loads(block.text)
        if "project" not in table:
            seen += 1
            loads(block.text, str(block))
    assert seen >= 2


def python_blocks() -> list[Block]:
    return [
        block
        for page in PAGES
        for block in blocks(page)
        if block.language == "python"
        or (not block.language and re.search(r"^(from|import) \w+", block.text, re.MULTILINE))
    ]


def test_python_names_what_there_is():
    """Imports are found, attributes of our modules are there, and calls have known keywords."""
    found = python_blocks()
    assert len(found) > 15
    for block in found:
        tree = ast.parse(block.text, str(block))
        known: dict[str, Any] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                if node.module.startswith("stream_export.converters.ours"):
                    continue  # a reader's own
                module = importlib.import_module(node.module)
                for one in node.names:
                    assert hasattr(module, one.name), f"{block}: {node.module}.{one.name}"
                    known[one.asname or one.name] = getattr(module, one.name)
            elif isinstance(node, ast.Import):
                for one in node.names:
                    importlib.import_module(one.name)
                    first = one.name.partition(".")[0]
                    known[one.asname or first] = importlib.import_module(first)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = resolve(node.func, known, str(block))
                check_keywords(called, node, str(block))


def resolve(node: ast.expr, known: dict[str, Any], where: str) -> Any:
    """What an expression of names stands for; None where that is not known."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = resolve(node.value, known, where)
        if inspect.ismodule(owner) or inspect.isclass(owner):
            assert hasattr(owner, node.attr), f"{where}: {ast.unparse(node)}"
            return getattr(owner, node.attr)
    return None


def check_keywords(called: Any, node: ast.Call, where: str) -> None:
    module = getattr(called, "__module__", None) or ""
    if not callable(called) or not module.startswith("stream"):
        return
    parameters = inspect.signature(called).parameters
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        allowed = set(parameters) | set(all_leaves()) | {"segmenter"}
    else:
        allowed = set(parameters)
    for keyword in node.keywords:
        assert keyword.arg in allowed, f"{where}: {ast.unparse(node.func)}(…, {keyword.arg}=…)"


def anchor(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    plain = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def test_links_lead_somewhere():
    faults = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, place = target.partition("#")
            other = (page.parent / name).resolve() if name else page
            if not other.exists():
                faults.append(f"{page.name}: {target}")
            elif place and place not in map(
                anchor, re.findall(r"^#+ (.*)$", prose(other), re.MULTILINE)
            ):
                faults.append(f"{page.name}: {target}: no such heading")
    assert not faults, "\n".join(faults)


def test_the_readme_leads_to_every_page():
    linked = set(re.findall(r"\]\(([\w./]+\.md)[)#]", text_of(ROOT / "README.md")))
    there = {str(page.relative_to(ROOT)) for page in PAGES} - {"README.md"}
    assert there - linked == set()


def test_extras_are_those_of_the_distribution():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"])
    named = re.compile(r"(?:extras?\s+`|'\.|stream)\[([a-z0-9,-]+)\]")
    for page in PAGES:
        for listed in named.findall(text_of(page)):
            assert set(listed.split(",")) <= extras, f"{page.name}: [{listed}]"
    table = text_of(ROOT / "README.md").partition("## Extras")[2].partition("\n## ")[0]
    assert set(re.findall(r"`\[([a-z0-9-]+)\]`", table)) == extras


def test_files_of_ours_that_are_named_are_there():
    """Modules, tests and pictures; `NAME` in them stands for any."""
    faults = []
    for page in PAGES:
        for span in INLINE.findall(prose(page)):
            for name in re.findall(
                r"(?<![\w/.])((?:stream|export|models|tests|docs|\.ci)/[\w./-]*\w)", span
            ):
                there = any((root / name).exists() for root in (ROOT, ROOT / "stream"))
                if not there and "NAME" not in span:
                    faults.append(f"{page.name}: {name}")
    assert not faults, "\n".join(faults)
