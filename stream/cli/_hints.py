"""What a word on the command line may have meant: the right command is named."""

from __future__ import annotations

import difflib
import glob
import os
import re
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from stream.errors import UsageError
from stream.settings.likeness import nearest

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/{1,2}[^/]")

_NUMBER = re.compile(r"%0?\d*d")
"""What stands for numbers in names that are written, and in other programs' names of pictures."""


def is_address(text: str) -> bool:
    """Whether it is a network address; also one of which a path has eaten a slash."""
    return _ADDRESS.match(text) is not None and not text.lower().startswith("file:")


def without_secrets(text: str) -> str:
    """A text without the user information and the values that addresses in it carry."""
    if "://" not in text:
        return text
    from stream.wording.addresses import clean  # loads the sources, which most texts do not need

    return clean(text)


_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
"""What pages and word processors make of hyphens."""


def no_such_file(
    text: str, *, last_of_several: bool, into: Iterable[str | None] = ()
) -> UsageError:
    """The error for an input that is not there, with what was probably meant.

    Args:
        text: as it was typed.
        last_of_several: whether further inputs stand before it and none behind it.
        into: where results go, as it was typed.
    """
    hint = ""
    if text == "-":
        hint = "; what comes on standard input is /dev/stdin"
        if sys.platform == "win32":
            hint = "; what comes on standard input is not read on Windows"
    elif text[:1] in _DASHES:
        hint = f"; options begin with two plain hyphens: --{text.lstrip(_DASHES + '-')}"
    elif text.startswith("~") or re.match(r"\$\w|\$\{", text):
        hint = f"; a shell does not read {text[0]} in quotes"
    elif _NUMBER.search(text) and glob.glob(stars := _NUMBER.sub("*", text)):  # noqa: PTH207
        hint = (
            f"; numbered files are named with a *, in quotes: {stars}; as one film they are for: "
            f"stream file {text}"
        )
    elif last_of_several and (Path(text).suffix or text.endswith("/")):
        hint = f"; where it is to be written, say -o {text}"
    elif there := next((one for one in into if one and Path(one).is_file()), ""):
        hint = f"; {there}, which -o names, is there: were the two exchanged?"
    elif text.lower().startswith("file:"):
        hint = f"; a file is named by its path: {re.sub('^//+', '/', unquote(text[5:]))}"
    elif near := _like(Path(text)):
        hint = f"; did you mean {near}?"
    return UsageError(f"there is no file {text}{hint}")


_LOOKED_AT = 2000
"""Names of a folder among which one like another is looked for; more take a second and longer."""


def _like(path: Path) -> str:
    """A file beside this one, which is not there, of almost its name; "" where there is none."""
    try:
        names = [one.name for one in islice(os.scandir(path.parent), _LOOKED_AT)]
    except (OSError, ValueError):
        return ""
    spelt = {one.casefold(): one for one in names}
    bare = path.name.casefold().strip()
    stems = {Path(one).stem: one for one in spelt}
    close = difflib.get_close_matches(
        bare, [one for one in spelt if _same_number(one, bare)], 1, 0.85
    )
    near = bare if bare in spelt else stems.get(bare) or next(iter(close), "")
    return str(path.with_name(spelt[near])) if near else ""


def _same_number(one: str, other: str) -> bool:
    """Whether names have the same digits: the picture before the one that is missing is another."""
    return re.sub(r"\D", "", one) == re.sub(r"\D", "", other)


def meant_option(argument: str, options: Iterable[str]) -> str:
    """The option that was meant by `-look`, which is read as letters of one each, or by `-y`."""
    name = argument.partition("=")[0]
    return nearest(f"-{name}", options, by_letters=len(name) > 2)


def no_such_command(word: str, commands: Iterable[str]) -> UsageError:
    """The error for a word that is no command, with what was probably meant."""
    near = nearest(word, commands)
    meant = f"stream --{word}" if word in ("help", "version") else meant_command(word)
    if meant and not near:
        return UsageError(
            without_secrets(f"there is no command {word!r}; you may have meant: {meant}")
        )
    listed = f"there are {', '.join(commands)}"
    hint = f"did you mean {near}?" if near else listed
    return UsageError(without_secrets(f"there is no command {word!r}; {hint}"))


_OF_EXPORT = ("verify", "quantize", "half", "inspect")
"""Commands that are below `export`."""


def meant_command(word: str) -> str:
    """The command line that the word was probably meant for; "" where none comes to mind."""
    from stream.sources.folders import PICTURE_ENDINGS, VIDEO_ENDINGS, files_in

    path = Path(word)
    ending = path.suffix.lower()
    if is_address(word):
        return f"stream url {word}"
    by_ending = {".toml": f"stream run {word}", ".onnx": f"stream file INPUT --model {word}"}
    if ending in by_ending:
        return by_ending[ending]
    if word in _OF_EXPORT:
        return f"stream export {word}"
    if word.isdecimal() or word.startswith("/dev/"):
        return f"stream webcam {word}"
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError):
        is_folder = is_file = False
    if ending in PICTURE_ENDINGS or (
        is_folder
        and not files_in(path, VIDEO_ENDINGS).taken
        and files_in(path, PICTURE_ENDINGS).taken
    ):
        return f"stream image {word}"
    return f"stream file {word}" if ending in VIDEO_ENDINGS or is_folder or is_file else ""
