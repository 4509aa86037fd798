"""Which files a fleet is asked for: files, folders, patterns, addresses, and lists of these."""

from __future__ import annotations

import codecs
import os.path
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stream.errors import SourceError, StreamError, UsageError
from stream.fleet.places import (
    asks_for_version,
    filesystem,
    fingerprint_of,
    is_remote,
    is_web,
    lists_at_once,
    shown,
    storage_errors,
    whole,
    without_query,
)
from stream.system.extras import need_extra
from stream.wording.names import RESULT, at_home, is_piece, is_result
from stream.wording.words import counted, visible

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem

LIST_ENDING = ".txt"
_NAMED = 3
_NO_VERSIONS = (
    "S3's library gives the newest object of the name before ?versionId=; "
    "copy this one to a name without it"
)
_FEW = 8
"""So many lines of a list are asked for one by one; of more the folder is listed."""


@dataclass(frozen=True, slots=True)
class Input:
    """A file that was found.

    Attributes:
        source: its path or address.
        below: where it lies below what was asked for, with slashes; its results lie there too.
        fingerprint: of its size and time, or what the storage says in their place.
    """

    source: str
    below: str
    fingerprint: str


def find(
    asked: Sequence[str],
    endings: frozenset[str],
    left_out: Callable[[str], None] = lambda sentence: None,
    *,
    below: str | None = None,
) -> list[Input]:
    """The files that are asked for: files, folders with what is below them, patterns, lists.

    A file that a list names and that is not there is among them, and fails by itself: of ten
    thousand lines one must not keep the others from being done.

    Args:
        asked: paths, patterns (`takes/**/*.mp4`), addresses of object storage, and text files with
            one of these a line.
        endings: which files of a folder or of a pattern are taken, in small letters.
        left_out: is told, in a sentence, of each folder below that cannot be looked into, of
            each line of a list that names no video, and of what else lies in a folder.
        below: the folder from which on results lie as the files do; None for the one that was
            asked for, and for a file none.

    Raises:
        UsageError: one of them is not there or holds none, or lies elsewhere.
        SourceError: the storage does not answer.
    """
    need_extra("fleet", "fsspec", what="a fleet")
    found: dict[str, Input] = {}
    for text in asked:
        lines = _lines(text)
        _look_ahead(lines or ())
        for line in [text] if lines is None else lines:
            try:
                ones = _found_by(line, endings, left_out, listed=lines is not None)
            except NoVideosError as error:
                if lines is None:
                    raise
                left_out(f"{error}; the line is left out")
                continue
            for one in ones:
                found.setdefault(one.source, one)
    if not found:
        raise UsageError(f"no video is named in {', '.join(map(shown, asked))}")
    ones = _without_own_results(list(found.values()), left_out)
    return ones if below is None else [_laid_out(one, below) for one in ones]


def _without_own_results(found: list[Input], left_out: Callable[[str], None]) -> list[Input]:
    """Without what came of another of the inputs in an earlier run of `stream file`, beside it."""
    results = [one for one in found if _is_result(one.source)]
    if not results:
        return found
    named = {one.source.rpartition(".")[0] for one in found}
    own = {
        one.source for one in results if one.source.rpartition(".")[0].removesuffix(RESULT) in named
    }
    if own:
        names = [visible(_last(path)) for path in sorted(own)]
        said = counted(len(names), "result of an earlier run", "results of an earlier run")
        more = ", …" if len(names) > _NAMED else ""
        left_out(f"left out: {said} ({', '.join(names[:_NAMED])}{more})")
    return [one for one in found if one.source not in own]


def _is_result(path: str) -> bool:
    name = _last(path)
    return (RESULT in path and is_result(name)) or is_piece(name)


def _last(path: str) -> str:
    return path.rpartition("/")[2]


class NoVideosError(UsageError):
    """A folder or a pattern without any video."""


def _laid_out(one: Input, below: str) -> Input:
    """An input whose results lie as it does below a folder.

    Raises:
        UsageError: it lies elsewhere.
    """
    source, folder = one.source, whole(below).rstrip("/")
    if not is_remote(source):
        source, folder = (Path(os.path.normpath(one)).as_posix() for one in (source, folder))
    if not source.startswith(f"{folder.rstrip('/')}/"):
        raise UsageError(f"{shown(one.source)} does not lie below {shown(folder)}")
    return replace(one, below=source[len(folder.rstrip("/")) + 1 :])


def _lines(text: str) -> list[str] | None:
    """What a list says; None where it is no list."""
    path = Path(text)
    if is_remote(text) or path.suffix.lower() != LIST_ENDING or not path.is_file():
        return None
    try:
        data = path.read_bytes()
        # What Windows' shells write; else names as the disk has them, which need be no text.
        utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        said = data.decode("utf-16") if utf_16 else data.decode("utf-8-sig", "surrogateescape")
    except (OSError, ValueError) as error:
        raise UsageError(f"the list {path} cannot be read: {error}") from error
    lines = [line.strip() for line in said.split("\n")]
    return [at_home(line) for line in lines if line and not line.startswith("#")]


def _found_by(
    text: str, endings: frozenset[str], left_out: Callable[[str], None], *, listed: bool
) -> list[Input]:
    if asks_for_version(text):
        raise NoVideosError(f"{_named(text)}: {_NO_VERSIONS}")
    with storage_errors(SourceError, f"{shown(text)} cannot be looked into"):
        files = filesystem(text) if is_remote(text) else _disk(left_out)
        root = str(files._strip_protocol(text)).rstrip("/")
        if any(mark in text for mark in "*?[") and not _is_a_name(text, files, root):
            base = root[: min(root.find(mark) for mark in "*?[" if mark in root)].rpartition("/")[0]
            there = files.glob(root, detail=True)
        else:
            about = _about(text, files, root, listed=listed)
            if about is None:
                raise UsageError(f"there is no file {shown(text)}")
            if about.get("type") != "directory":
                return [_input(without_query(root).rpartition("/")[0], root, about, text)]
            base, there = root, files.find(root, detail=True)
    there = _in_sight(
        there, base, root, endings, lambda said: left_out(f"left out of {shown(text)}: {said}")
    )
    found = [
        # Of a link what it leads to counts, which may change behind it.
        _input(base, path, files.info(path) if about.get("islink") else about, text)
        for path, about in sorted(there.items())
        if _is_file(path, about) and _is_taken(path, endings)
    ]
    taken = [one for one in found if not asks_for_version(one.source)]
    for one in found:
        if asks_for_version(one.source):
            left_out(f"left out: {_named(one.source)}: {_NO_VERSIONS}")
    if not taken:
        raise NoVideosError(f"there are no videos in {shown(text)}")
    for sentence in _others(there, endings):
        left_out(f"left out of {shown(text)}: {sentence}")
    return taken


def _in_sight(
    there: Mapping[str, dict[str, object]],
    base: str,
    asked: str,
    endings: frozenset[str],
    left_out: Callable[[str], None],
) -> dict[str, dict[str, object]]:
    """What lies in no hidden folder below the one that was asked for, such as a disk's trash."""
    if "/." in asked[len(base) :]:  # a pattern that asks for such folders
        return dict(there)
    kept, hidden = dict[str, dict[str, object]](), list[str]()
    for path, about in there.items():
        folders = path[len(base) :].split("/")[:-1]
        unseen = next((one for one in folders if one.startswith(".")), None)
        if unseen is None:
            kept[path] = about
        elif _is_file(path, about) and _is_taken(path, endings):
            hidden.append(unseen)
    if hidden:
        where = _some(sorted(set(hidden)))
        what = counted(len(hidden), "video")
        left_out(f"{what} in hidden folders {where}; name such a folder to have them")
    return kept


def _named(address: str) -> str:
    """An object with ?versionId= in its name, without what may be more in it."""
    return f"{address.partition('?')[0]}?versionId=…"


def _about(
    text: str, files: AbstractFileSystem, root: str, *, listed: bool
) -> dict[str, object] | None:
    """What is known of a file or a folder; None where there is none, and no list names it."""
    if is_remote(text) and not is_web(text):
        # Each question takes as long as the way there, and a list may have ten thousand lines.
        try:
            return dict(files.info(root))
        except FileNotFoundError:
            return {} if listed else None
        except PermissionError:
            if not listed:
                raise
            return {}  # it fails by itself
    if files.isdir(root):
        return {"type": "directory"}
    if files.exists(root):
        return dict(files.info(root))
    return {} if listed else None


def _look_ahead(lines: Sequence[str]) -> None:
    """Asks at once for all that lies where many lines of a list are; what asks keeps it."""
    folders = Counter(
        line.rpartition("/")[0]
        for line in lines
        if lists_at_once(line) and not any(mark in line for mark in "*?[")
    )
    for folder, count in folders.items():
        if count > _FEW:
            # What is wrong there is said of the lines.
            with suppress(StreamError), storage_errors(SourceError, folder):
                filesystem(folder).ls(folder, detail=True)


def _is_a_name(text: str, files: AbstractFileSystem, root: str) -> bool:
    """Whether what looks like a pattern is the name of a file."""
    if not is_remote(text):
        return Path(text).is_file()
    # A storage may allow to list what it has, and not to ask for what it has not.
    with suppress(FileNotFoundError, PermissionError):
        return bool(files.info(root)["type"] == "file")
    return False


def _others(there: Mapping[str, dict[str, object]], endings: frozenset[str]) -> Iterator[str]:
    """What is not taken of what is there, with hidden files left unsaid."""
    kinds: Counter[str] = Counter()
    lost, no_files = list[str](), list[str]()
    for path, about in sorted(there.items()):
        name = _last(path)
        # What ends with a slash marks a folder in storage, which has none.
        if not name or name.startswith(".") or about["type"] == "directory":
            continue
        if not _is_file(path, about):
            (lost if about.get("islink") else no_files).append(name)
        elif not _is_taken(path, endings):
            kinds[Path(name).suffix.lower() or "without an ending"] += 1
    if kinds:
        most = [f"{many} {kind}" for kind, many in kinds.most_common(_NAMED)]
        more = ", …" if len(kinds) > _NAMED else ""
        yield f"{counted(kinds.total(), 'other file')} ({', '.join(most)}{more})"
    if lost:
        yield f"{counted(len(lost), 'link that leads', 'links that lead')} to no file {_some(lost)}"
    if no_files:
        what = counted(len(no_files), "pipe, socket or device", "pipes, sockets or devices")
        yield f"{what} {_some(no_files)}"


def _some(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _NAMED else ""
    return f"({', '.join(map(visible, names[:_NAMED]))}{more})"


def _disk(left_out: Callable[[str], None]) -> AbstractFileSystem:
    from stream.fleet.disk import Disk

    return Disk(left_out)


def _is_file(path: str, about: dict[str, object]) -> bool:
    """Whether it is a file, or leads to one; folders behind links are not looked into."""
    return about["type"] == "file" or (bool(about.get("islink")) and Path(path).is_file())


def _is_taken(path: str, endings: frozenset[str]) -> bool:
    name = _last(path)
    dot = name.rfind(".")
    return dot > 0 and name[dot:].lower() in endings and not name.startswith(".")


def _input(base: str, path: str, about: dict[str, object], asked: str) -> Input:
    protocol = urlsplit(asked).scheme if is_remote(asked) else ""
    # Web servers' names are addresses already.
    source = f"{protocol}://{path.lstrip('/')}" if protocol and not is_remote(path) else path
    path = without_query(path)
    below = path[len(base) :].lstrip("/") if base else path.lstrip("/")
    return Input(source, below, fingerprint_of(about))
