"""Words in targets (`{name}`, `window`, `~`), and what a source is called in the names of files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from stream.errors import UsageError
from stream.wording.addresses import redact, split

NAME = "{name}"
"""What stands for a source's name: in the targets of its outputs, in its report's name."""

WINDOW = "window"
"""The output that stands for a window."""

RESULT = ".stream"
"""What comes before the ending of a result that was given no name."""

_NUMBERED = re.compile(r"([^%]*)%(?:0([1-9]\d?))?d([^%]*)")

_PIECE = re.compile(r".*-\d{8}T\d{6}(-\d+)?-head\.mp4")

_BRACED = re.compile(r"\{\s*([A-Za-z_][\w.-]*)\s*(?:[:!][^{}]*)?\}")

_ENDING = re.compile(r"\.[A-Za-z]\w{1,4}$")
"""Of a file on a server; what is written of it has an ending of its own."""


def name_of(target: object, *, whole: bool = False) -> str:
    """A source's name, made from its target: a file's stem, an address without secrets and ending.

    Args:
        target: a text or a path, or several, of which the first counts; arrays have no name.
        whole: whether a file's ending is part of it, as another has the same without.
    """
    first = target
    if isinstance(target, Sequence) and not isinstance(target, str) and target:
        first = target[0]
    if not isinstance(first, (str, Path)):
        return "source"
    scheme, _, rest = split(redact(str(first)))
    if scheme:
        host, _, path = rest.partition("?")[0].partition("/")
        plain = f"{host}/{_ENDING.sub('', path)}"
    else:
        named = unnumbered(Path(first))
        plain = (named.name if whole else named.stem) or str(first)
        if str(first).isdecimal():
            plain = f"camera-{first}"
    return re.sub(r"[^\w.-]+", "-", plain).strip("-.") or "source"


def namesakes(places: Iterable[Path]) -> frozenset[Path]:
    """Those of some files that nothing but their ending tells from another: `a.jpg` and `a.png`.

    Their results have whole names where they lose their endings, as `a.jpg.png`. That goes by names
    alone, so that a result is called the same whichever of the others are left out, and ignores
    case, as many disks do.

    Args:
        places: where results lie, under the files' own names.
    """
    groups: dict[tuple[Path, str], set[Path]] = {}
    for place in places:
        groups.setdefault((place.parent, place.stem.casefold()), set()).add(place)
    return frozenset(one for group in groups.values() if len(group) > 1 for one in group)


def below(target: str, folder: Path) -> str:
    """A target with `{name}` in it for an input that lies in a folder below others.

    It comes to lie as the input does: `found/{name}.csv` is `found/FOLDER/{name}.csv`, and
    `{name}/found.csv` is `FOLDER/{name}/found.csv`.

    Args:
        target: a path.
        folder: below the one that was gone through; "." where the input lies in that.
    """
    if folder == Path() or NAME not in target:
        return target
    parts = Path(target).parts
    at = next(place for place, part in enumerate(parts) if NAME in part)
    return str(Path(*parts[:at], folder, *parts[at:]))


def unknown_word(target: str, known: Sequence[str] = (NAME,)) -> str:
    """A word in braces in a path or an address that stands for nothing.

    Args:
        target: as it was typed.
        known: the words that stand for something.

    Returns:
        the first one; "" where there is none. What is there under such a name is meant, and so is
        what `./` stands before.
    """
    for found in _BRACED.finditer(target):
        before, _, begun = target[: found.start()].rpartition("/")
        name = f"{begun}{target[found.start() :].partition('/')[0]}"
        there = os.path.lexists(f"{before}/{name}" if before else name)
        plain = target.startswith("./") or f"{before}/".endswith("/./")
        if found[0] not in known and not plain and not there:
            return found[0]
    return ""


def refuse_unknown_words(target: str, known: Sequence[str] = (NAME,)) -> None:
    """Refuses a word in braces that would be taken for a part of a file's name.

    Raises:
        UsageError: it stands for nothing; the sentence says what does.
    """
    word = unknown_word(target, known)
    if word:
        does = f"{NAME} is the input's name" if known else "results have their inputs' names"
        raise UsageError(
            f"{word} stands for nothing in {redact(target)}: {does}, and ./ before a file says "
            "that it is called so"
        )


def numbered(target: str) -> re.Match[str] | None:
    """What names numbered files, such as `out/%06d.png`: before, how many digits, what is behind.

    None where a target is something else: a folder, whose name may be like that too, ends with a
    slash or is there.
    """
    if target.endswith(("/", os.sep)) or Path(target).is_dir():
        return None
    return _NUMBERED.fullmatch(Path(target).name)


def unnumbered(path: Path) -> Path:
    """What a film of numbered pictures is called, and any other path as it is.

    `shot.%04d.png` is `shot.png`; where nothing but numbers is in the name it has its folder's.

    Args:
        path: a file, or a pattern as `numbered` takes it, of which no file is called.
    """
    found = None if path.exists() else numbered(str(path))
    if found is None:
        return path
    ending = path.suffix if path.suffix in found[3] else ""
    own = f"{found[1]}{found[3].removesuffix(ending)}".strip("-_. ")
    return path.with_name(f"{own or path.parent.resolve().name or 'film'}{ending}")


def is_result(name: str) -> bool:
    """Whether a file is called as a result is that was given no name: `in.stream.mp4`."""
    return Path(name).stem.endswith(RESULT)


def is_piece(name: str) -> bool:
    """Whether a file is called as the beginning of a playlist's pieces is, which plays nothing."""
    return _PIECE.fullmatch(name) is not None


def at_home(path: str) -> str:
    """A path as a shell reads it: `~/a` is in the home folder, `~somebody/a` in that user's.

    What a shell gives the program it has read so already. In files nobody has. `./~/a` is a folder
    of that name, as in a shell, and so is `~nobody`.
    """
    return os.path.expanduser(path)  # noqa: PTH111 - Path's own raises where nobody knows that user


def not_at_home(path: str) -> str:
    """The text that `at_home` reads as this very path."""
    return path if at_home(path) == path else f"./{path}"


def distinct(names: Iterable[str]) -> list[str]:
    """The names in their order, with a number behind one that was there before.

    Files are named after them, and many disks ignore case.
    """
    wanted = list(names)
    taken = {name.casefold() for name in wanted}
    found: dict[str, str] = {}
    for name in wanted:
        own, number = name, 2
        while own.casefold() in found or (own != name and own.casefold() in taken):
            own, number = f"{name}-{number}", number + 1
        found[own.casefold()] = own
    return list(found.values())
