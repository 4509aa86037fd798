"""Where frames come from: one module, or a folder, per kind of source."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stream.errors import SourceError, UsageError, check_no_zero_byte
from stream.plugins import Kind
from stream.settings.groups import changed
from stream.settings.options import InputOptions
from stream.sources.base import Source, Target
from stream.sources.folders import VIDEO_ENDINGS
from stream.wording.addresses import redact
from stream.wording.words import kind_with_article

__all__ = ["KIND", "Source", "Target", "kind_of", "meant", "open"]

KIND = Kind("stream.sources", Source)  # type: ignore[type-abstract]
"""Our modules, and what other distributions register under the same name."""


_A_SLIP = 0.8
"""How like a known scheme one must be, by difflib: `ftp` is another than `rtp`."""


def kind_of(target: Target) -> type[Source]:
    """The kind of source that a target stands for; nothing is opened for it.

    Raises:
        UsageError: no kind accepts it; the sentence says what can be opened.
        SourceError: it lies in a folder that may not be looked into.
    """
    try:
        return _kind_of(target)
    except PermissionError as error:
        raise SourceError(f"{error.filename} may not be read; check its permissions") from error


def _kind_of(target: Target) -> type[Source]:
    check_no_zero_byte(target)
    if isinstance(target, (str, Path)) and _is_video(str(target)):
        # The usual one, without loading what all the others need.
        from stream.sources.file import FileSource

        return FileSource
    if callable(getattr(target, "read", None)):
        raise UsageError(f"{kind_with_article(target)} is read as it comes; {_by_name(target)}")
    accepting = KIND.that(lambda kind: kind.accepts(target))
    if not accepting:
        known = [kind.targets for kind in KIND if kind.targets]
        if isinstance(target, str) and "://" in target:
            # Whoever gives an address of another kind has no use for cameras and arrays.
            known = [words for words in known if "://" in words] or known
        given = kind_with_article(target)
        if isinstance(target, str | int):
            given = repr(redact(target) if isinstance(target, str) else target)
        near = _slipped(str(target), known)
        hint = f"did you mean {near}://?" if near else f"give {'; '.join(known)}"
        raise UsageError(f"{given} is nothing that can be opened; {hint}")
    return max(accepting, key=lambda kind: kind.priority)


def _by_name(opened: object) -> str:
    """What to give in place of an opened file, which is read in several places at once."""
    name = getattr(opened, "name", None)
    if isinstance(name, str) and Path(name).is_file():
        return f"give the file's name: {name!r}"
    return "give the name of a file, and write there first what is in memory alone"


def _is_video(target: str) -> bool:
    """Whether a target is a video file's name, and not an address or anything with a prefix."""
    video = ":" not in target and target.lower().endswith(tuple(VIDEO_ENDINGS))
    return video and not Path(target).is_dir()


def _slipped(target: str, known: Sequence[str]) -> str:
    """The scheme that was meant by one with a slip of the fingers; "" where there is none."""
    scheme, mark, _ = target.lower().partition("://")
    schemes = re.findall(r"\b([a-z]+)://", " ".join(known)) if mark else []
    turned = [one for one in schemes if sorted(one) == sorted(scheme)]
    return next(iter(turned or difflib.get_close_matches(scheme, schemes, 1, _A_SLIP)), "")


def meant(target: Target, options: InputOptions) -> Target:
    """What a target stands for with its options.

    A folder of numbered pictures, of which a rate is said, is one film, which their pattern names;
    anything else is what it is.

    Raises:
        UsageError: a folder has several such films.
        SourceError: it may not be looked into.
    """
    folder = isinstance(target, str | Path) and os.path.isdir(target)  # noqa: PTH112
    if options.camera.fps is None or not folder or not kind_of(target).photos:
        return target
    from stream.sources._numbering import as_film

    return as_film(str(target))


def open(target: Target, options: InputOptions | None = None) -> Source:
    """Opens whatever a target stands for.

    Args:
        target: a path, several pictures, folders or globs, an address, a camera (its number,
            device or name, or `camera` for the first), `pattern`, `loop:` and a file to be played
            like a camera, or pictures as arrays.
        options: how it is opened; with `camera.as_camera` the file `camera.device`, or else the
            target, is played like a camera.

    Raises:
        UsageError: nothing of this kind can be opened, or not with these options.
        SourceError: it cannot be opened or read.
    """
    options = options or InputOptions()
    if options.camera.as_camera:
        if not isinstance(target, str | Path) and options.camera.device is None:
            raise UsageError("only a file can be played like a camera; name it with --device")
        target = f"loop:{options.camera.device or target}"
        options = replace(options, camera=replace(options.camera, device=None, as_camera=False))
    kind = kind_of(target)
    for name in changed(options.cut):
        if kind.live or name not in kind.parts:
            what = "a live source" if kind.live else "a source of pictures without times"
            raise UsageError(f"{name} takes a part of a file, which {what} does not have")
    return kind.from_target(target, options)
