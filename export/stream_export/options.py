"""Options that converters share: sizes and class names as a user writes them."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from stream.errors import ModelError, UsageError
from stream.inference.contract import Resize
from stream.settings.likeness import nearest
from stream.wording.words import counted


def parse_size(text: str, *, in_graph: bool, padding: int = 116) -> Resize:
    """What `--size` means.

    Args:
        text: "800/1333", the shortest edge and the longest that it may lead to, or "640x384",
            width and height of a letterbox.
        in_graph: whether the graph resizes the picture itself, for the former.
        padding: the letterbox's margins, 0..255; the default is the mean of ImageNet's colours.

    Raises:
        UsageError: it is neither, or too small or large.
    """
    edges = re.fullmatch(r"(\d+)/(\d+)", text)
    box = re.fullmatch(r"(\d+)[xX](\d+)", text)
    found = edges or box
    if found is None:
        raise UsageError(
            f"--size {text!r}: write the shortest edge and its maximum, such as 800/1333, or a "
            "fixed width and height, such as 640x384"
        )
    first, second = int(found[1]), int(found[2])
    if not 32 <= first <= 4096 or not 32 <= second <= 4096:
        raise UsageError(f"--size {text!r}: edges must be 32 to 4096 pixels")
    if box:
        if first % 32 or second % 32:
            raise UsageError(f"--size {text!r}: width and height must be multiples of 32")
        return Resize("letterbox", width=first, height=second, padding=padding, anchor="centre")
    if second < first:
        raise UsageError(f"--size {text!r}: the maximum is below the shortest edge")
    if in_graph:
        return Resize("native")
    return Resize("shortest_edge", shortest=first, longest=second)


def unknown_setting(name: str, known: Iterable[str]) -> UsageError:
    """What to say of a `--set` whose name is none that is known."""
    known = list(known)
    near = nearest(name, known)
    meant = f"; did you mean {near}?" if near else ""
    return UsageError(
        f"--set {name}: there is no such setting{meant} (known are {', '.join(known)})"
    )


def edges_of(text: str) -> tuple[int, int]:
    """The two numbers of a `--size` that `parse_size` accepts."""
    first, second = re.split(r"[/xX]", text)
    return int(first), int(second)


_BACKGROUND = re.compile(r"[_\s]*(background|bg)[_\s]*", re.IGNORECASE)
_LONGEST = 200
"""Characters of a class's name; a longer line is not one."""


_NUMBERED = re.compile(r"(\d{1,4})(?:\s*[:,;.)=]\s*|\s+)(\S.*)")

UNUSED = "N/A"
"""The name of a number that belongs to no class, of which there may be several."""

_LISTS = ("names", "categories", "id2label", "thing_classes", "classes", "label2id", "class_to_idx")
"""What lists of classes are called in the files of other programs, the likeliest first."""


def read_names(path: Path, classes: int) -> tuple[str, ...]:
    """Class names from a file; a leading background is left out.

    Args:
        path: text, UTF-8 or UTF-16 that begins by saying so, with one name a line, perhaps behind
            its number; a label map of TensorFlow's (.pbtxt); a data set's description in yaml with
            `names:`; JSON, a list of names, names by number, numbers by name, or COCO's
            `categories`.
        classes: how many names the model needs, without background.

    Raises:
        ModelError: the file cannot be read or holds another number of names.
    """
    try:
        data = path.read_bytes()
        # Windows' PowerShell writes the latter.
        text = data.decode("utf-16" if data[:2] in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: class names are not in UTF-8; save the file as that") from error
    except OSError as error:
        raise ModelError(
            f"{path}: class names cannot be read ({error.strerror or error})"
        ) from error
    names = [name.strip() for name in _names_in(path, text)]
    names = [name for name in names if name]
    wrong = next((one for one in names if len(one) > _LONGEST or not one.isprintable()), None)
    if wrong is not None:
        raise ModelError(f"{path}: it holds no class names, but {wrong[:20]!r}...")
    if len(names) == classes + 1 and _BACKGROUND.fullmatch(names[0]):
        names = names[1:]
    if len(names) != classes:
        raise ModelError(
            f"{path}: it holds {counted(len(names), 'name')}, the model has "
            f"{counted(classes, 'class', 'classes')} besides background"
        )
    twice = [name for name, count in Counter(names).items() if count > 1 and name != UNUSED]
    if twice:
        places = [number for number, name in enumerate(names, 1) if name == twice[0]]
        listed = f"{', '.join(map(str, places[:-1]))} and {places[-1]}"
        raise ModelError(
            f"{path}: the classes {listed} are all called {twice[0]!r}, and nothing would tell "
            "them apart; give each a name of its own"
        )
    return tuple(names)


def _names_in(path: Path, text: str) -> list[str]:
    """All names in a text of any of the forms."""
    if re.match(r"\s*(#[^\n]*\s*)*item\s*:?\s*[{<]", text):
        return _label_map(path, text)
    bare = text.lstrip()
    if bare[:1] in ("{", "["):
        try:
            return _listed(path, json.loads(text))
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{path}: class names cannot be read ({error})") from error
    if re.search(r"^names\s*:", text, re.MULTILINE):
        from stream_export.checkpoints.settings import parse_settings

        return _listed(path, parse_settings(text, str(path)).values)
    return _without_numbers([line for line in map(str.strip, text.splitlines()) if line])


def _without_numbers(lines: list[str]) -> list[str]:
    """Names without their numbers, from 0 or 1 on, where every line begins with its own.

    Those of "1 euro" and "2 euro" belong to the names, as there would be one name for both.
    """
    parts = [_NUMBERED.fullmatch(line) for line in lines]
    found = [(int(part[1]), part[2]) for part in parts if part is not None]
    if len(found) < len(lines) or len({name for _, name in found}) < max(2, len(lines)):
        return lines
    first = found[0][0]
    in_order = [number for number, _ in found] == list(range(first, first + len(found)))
    return [name for _, name in found] if in_order and first in (0, 1) else lines


def _label_map(path: Path, text: str) -> list[str]:
    """Names by number, from 1; numbers without a class are called N/A."""
    from stream_export.checkpoints.prototext import Message, parse_prototext

    found: dict[int, str] = {}
    for item in parse_prototext(text, str(path)).values("item"):
        if not isinstance(item, Message):
            raise ModelError(f"{path}: an item of the label map is none")
        name = item.word("display_name") or item.word("name")
        number = item.number("id", 0)
        if not name or number != int(number):
            raise ModelError(f"{path}: an item of the label map lacks its id or its name")
        found[int(number)] = name
    return _by_number(path, {number: name for number, name in found.items() if number > 0})


def _listed(path: Path, content: object) -> list[str]:
    if isinstance(content, dict):
        for key in _LISTS:
            if key in content:
                return _listed(path, content[key])
        numbers = sorted(map(str, content.values()))
        counted_through = (sorted(map(str, range(i, i + len(content)))) for i in (0, 1))
        # Where both are numbers, what they are of comes first: digits may be names.
        if not all(str(key).isdecimal() for key in content) and numbers in counted_through:
            return sorted(content, key=lambda name: int(content[name]))
        try:
            numbered = {int(key): str(value) for key, value in content.items()}
        except (TypeError, ValueError):
            raise ModelError(f"{path}: it holds no class names by number") from None
        # Numbered from 0, or from 1 as COCO's.
        first = min(numbered, default=1)
        return _by_number(path, {number + 1 - min(first, 1): n for number, n in numbered.items()})
    if isinstance(content, list) and all(isinstance(one, dict) for one in content):
        rows = {one.get("id"): one.get("name") for one in content}
        if not all(isinstance(i, int) and isinstance(n, str) for i, n in rows.items()):
            raise ModelError(f"{path}: a category lacks its id or its name")
        # As data sets are trained on: in the order of the numbers, without gaps.
        return [rows[number] for number in sorted(rows)]
    if isinstance(content, list) and all(isinstance(one, str | int | float) for one in content):
        return [str(one) for one in content]
    raise ModelError(f"{path}: it holds no list of class names")


def _by_number(path: Path, found: dict[int, str]) -> list[str]:
    last = max(found, default=0)
    if last > 10_000 or min(found, default=1) < 1:
        raise ModelError(f"{path}: a class has the number {last}, which makes no sense")
    return [found.get(number, UNUSED) for number in range(1, last + 1)]
