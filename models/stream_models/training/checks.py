"""Looking over a training set before a long run is begun."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from stream.errors import UsageError
from stream_models.training.data import DataSet
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
    if not data.pictures and not problems:
        problems.append("there are no pictures")
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
        lost = data.described - len(data.pictures)
        say(
            f"{folder}: {lost} of {data.described} pictures and {data.skipped} objects are left "
            f"out; there are {len(data.pictures)} pictures with {data.count()} objects to "
            f"{purpose.value}"
        )
    if not data.pictures:
        raise UsageError(f"{folder} has no usable picture to {purpose.value}")
    if not data.count():
        raise UsageError(
            f"no object is labelled in the {len(data.pictures)} pictures of {folder}, so there is "
            f"nothing to {purpose.value}"
        )
    return data
