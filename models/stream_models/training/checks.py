"""Looking over a training set before a long run is begun."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from stream.errors import UsageError
from stream.wording.words import counted, some_of
from stream_models.training.data import DataSet, Picture
from stream_models.training.picture_files import load_picture
from stream_models.training.reading import Purpose, read

_SHOWN = 40


def check(data: DataSet) -> list[str]:
    """Everything that is wrong with a set, one sentence each, in the order of its pictures.

    Beyond what reading finds: pictures that cannot be decoded or have another size than their
    annotation says.
    """
    problems = list(data.problems)
    for picture in data.pictures:
        try:
            load_picture(picture)
        except ValueError as error:
            problems.append(str(error))
    return problems


def without_bad(data: DataSet) -> DataSet:
    """The set without the pictures that cannot be decoded.

    Objects with something wrong are left out when the set is read; where they are, or may be, is
    then neither learnt as an object nor as background.
    """
    good = []
    for picture in data.pictures:
        try:
            load_picture(picture)
        except ValueError:
            continue
        good.append(picture)
    return dataclasses.replace(data, pictures=good, problems=[])


def _left_out(data: DataSet) -> str:
    """A clause on what a set that was read speaks of and does not hold."""
    lost = data.described - len(data.pictures)
    objects = data.stray + sum(picture.skipped for picture in data.pictures)
    parts = []
    if lost:
        pictures = counted(data.described, "picture")
        parts.append(f"{lost} of {pictures} with all that is labelled there")
    if objects:
        parts.append(counted(objects, "other object" if lost else "object"))
    if not parts:
        return "no picture and no object is left out"
    return f"{' and '.join(parts)} {'is' if lost + objects == 1 else 'are'} left out"


def unlabelled(data: DataSet) -> str | None:
    """A sentence on classes that are listed and that no object has; None where there are none."""
    used = {item.label for picture in data.pictures for item in picture.objects}
    known = np.any([picture.known for picture in data.pictures], axis=0)
    none = [name for place, name in enumerate(data.names) if known[place] and place not in used]
    if not none:
        return None
    return (
        f"listed as a class, but nothing is labelled so: {some_of(none)}; it is learnt that no "
        "picture shows this: take what is not labelled out of the list of classes"
    )


def common(learn: Sequence[Picture], judged: Sequence[Picture]) -> int:
    """How many of the pictures to judge by are to be learnt from too, by what is in their files."""
    sizes = {picture.path.stat().st_size for picture in judged}
    known = {_sum(one.path) for one in learn if one.path.stat().st_size in sizes}
    return sum(_sum(one.path) in known for one in judged) if known else 0


def _sum(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def sound(
    folder: Path,
    purpose: Purpose,
    skip_bad: bool = False,
    tell: Callable[[str], None] | None = None,
) -> DataSet:
    """Read the set in `folder` for `purpose`, checked: what is returned can be used.

    `tell` is told, a sentence each, how the set was understood and what is wrong with it.

    Raises:
        UsageError: something is wrong and is not to be skipped, or nothing usable is left.
    """
    say = tell or (lambda sentence: None)
    data = read(folder, purpose)
    for note in data.notes:
        say(note)
    problems = check(data)
    for problem in problems[:_SHOWN]:
        say(problem)
    if len(problems) > _SHOWN:
        say(f"... and {len(problems) - _SHOWN} more")
    if problems and not skip_bad:
        things = "1 thing is" if len(problems) == 1 else f"{len(problems)} things are"
        raise UsageError(
            f"{things} wrong with {folder}, first of all: {problems[0]}; mend what is wrong, or "
            "leave it out with --skip-bad"
        )
    if problems:
        data = without_bad(data)
        stays = f"{counted(len(data.pictures), 'picture')} with {counted(data.count(), 'object')}"
        say(f"{folder}: {_left_out(data)}; what stays is {stays} to {purpose.value}")
    if not data.pictures:
        usable = "usable picture" if problems else "picture"
        raise UsageError(f"{folder} has no {usable} to {purpose.value}")
    if not data.count():
        raise UsageError(
            f"no object is labelled in the {len(data.pictures)} pictures of {folder}, so there is "
            f"nothing to {purpose.value}"
        )
    return data
