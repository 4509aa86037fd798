"""Outputs on the command line: where the results of inputs go, and what they are called."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.cli._hints import is_address
from stream.cli._inputs import Found
from stream.disk.files import same_file, shortened
from stream.disk.twins import Twins, recursive_hint
from stream.errors import UsageError
from stream.run.plan import Endings
from stream.settings.option import option
from stream.wording.names import (
    NAME,
    RESULT,
    below,
    name_of,
    namesakes,
    numbered,
    refuse_unknown_words,
    unnumbered,
)

ANY = Endings(
    frozenset([".avi", ".m4v", ".mkv", ".mov", ".mp4", ".ts", ".webm"]),
    ".mp4",
    frozenset([".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"]),
)
"""All that is written."""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How folders and several inputs are gone through."""

    recursive: bool = option(
        False, "Take what lies in subfolders too; in -o, results lie as their inputs do."
    )
    skip_existing: bool = option(
        False,
        "Leave out inputs whose result is there already, up to the last frame, also with "
        "--overwrite, which then does again what a run left that was killed.",
    )


@dataclass(frozen=True, slots=True)
class Task:
    """One input and where its results go: paths, or addresses as they were typed.

    Attributes:
        source: the input.
        place: where it lies below the folder that was given; its name where it was given itself.
        outputs: for pictures.
        records: for what was found.
        masks: the folder for its masks; "" where there is none.
        alike: whether nothing but its ending tells it from another.
    """

    source: Path
    place: Path
    outputs: tuple[str, ...]
    records: tuple[str, ...] = ()
    masks: str = ""
    alike: bool = False

    @property
    def name(self) -> str:
        """What `{name}` stands for."""
        return name_of(self.source, whole=self.alike)

    @property
    def all_outputs(self) -> tuple[str, ...]:
        """Pictures and records."""
        return self.outputs + self.records


def match_outputs(
    found: Found, outputs: Sequence[str], *, made: Endings = ANY, needed: bool = True
) -> list[Task]:
    """Says where each input's results go.

    Without outputs a result lies beside its input, as `in.stream.mp4`, where it is needed. One file
    goes to each of the outputs, into it where that is a folder already or ends with a slash.
    Several inputs, or a folder's, go into the folder that the one output is, under their own names
    (as .mp4 where their own container is not written; a.flv as a.flv.mp4 where there is an a.mov).
    Outputs with `{name}` in them are each input's own.

    Args:
        found: the inputs.
        outputs: as they were typed.
        made: the files that keep what is painted, where names are made up.
        needed: whether a result is made where no output was named.

    Raises:
        UsageError: several inputs and several outputs, a file where a folder is needed, an
            address, or two results of one name.
    """
    for text in outputs:
        check_output_name(text)
    several = len(found.files) > 1 or found.folders
    alike = namesakes(place for _, place in found.files)
    if outputs and all(NAME in one for one in outputs):
        tasks = [
            Task(
                path,
                place,
                tuple(
                    _single(path, _called(one, path, place, alike), made=made) for one in outputs
                ),
                alike=place in alike,
            )
            for path, place in found.files
        ]
        refuse_twins(tasks)
        return tasks
    if several and len(outputs) > 1:
        raise UsageError(
            f"{len(found.files)} inputs cannot go to {len(outputs)} outputs; give one folder with "
            "-o, or run each input on its own"
        )
    tasks = []
    if not outputs:
        for path, place in found.files:
            whole = place in alike
            own = (str(beside(path, made=made, whole=whole)),) if needed else ()
            tasks.append(Task(path, place, own, alike=whole))
    elif several:
        folder = folder_of(outputs[0], len(found.files))
        for path, place in found.files:
            whole = place in alike
            name = output_name(place, made=made, whole=whole)
            result = folder / place.with_name(name)
            refuse_itself(path, outputs[0], result, beside(path, made=made, whole=whole))
            tasks.append(Task(path, place, (str(result),), alike=whole))
    else:
        path, place = found.files[0]
        named = [_called(text, path, place, alike) for text in outputs]
        tasks = [Task(path, place, tuple(_single(path, text, made=made) for text in named))]
    refuse_twins(tasks)
    return tasks


def _called(text: str, path: Path, place: Path, alike: Collection[Path]) -> str:
    """An output with `{name}` in it, for one of the inputs."""
    name = name_of(path, whole=place in alike)
    return below(text, place.parent).replace(NAME, name)


def refuse_itself(source: Path, folder: str, result: Path, usual: Path | None) -> None:
    """Refuses a folder in which an input's result would have the name of the input itself.

    Args:
        source: the input.
        folder: as it was typed.
        result: where its result would go, in this folder.
        usual: where it goes where nothing is asked for; None where a folder is needed.

    Raises:
        UsageError: they are the same file.
    """
    if same_file(source, result):
        name = os.path.join(folder, result.relative_to(folder))  # noqa: PTH118 - "./" is to be seen
        instead = "name another folder"
        if usual is not None:
            instead = f"leave out -o for {usual}, or name another file or folder"
        raise UsageError(
            f"in -o {folder} the result of {source} would be {name}, the input itself; {instead}"
        )


def check_output_name(text: str) -> None:
    """Refuses what no file can be written to, whatever comes into it.

    Raises:
        UsageError: it is empty, or a word in braces stands in it that stands for nothing.
    """
    if not text or "\0" in text:
        raise UsageError("-o is empty; name a file or a folder")
    refuse_unknown_words(text)


def folder_of(text: str, results: int) -> Path:
    """The folder that several results go into.

    Raises:
        UsageError: it is a file, or has a file's ending.
    """
    path = Path(text)
    if path.is_dir() or text.endswith(("/", "\\")):
        return path
    from stream.sources.folders import PICTURE_ENDINGS

    if path.exists():
        raise UsageError(f"{path} is a file, but {_results(results)} need a folder")
    if numbered(text) and path.suffix.lower() in PICTURE_ENDINGS:
        own = path.parent / NAME / path.name
        raise UsageError(
            f"{path} is the pictures of one film, but here are {_results(results)}; give each a "
            f"folder of its own: -o {own.as_posix()}"
        )
    if _has_file_ending(path):
        raise UsageError(
            f"{path} has a file's ending, but {_results(results)} need a folder; name one, or end "
            f"it with a slash: -o {path}/"
        )
    return path


def _results(count: int) -> str:
    return f"{count} results" if count != 1 else "a folder's results"


def _has_file_ending(path: Path) -> bool:
    from stream.sources.folders import PICTURE_ENDINGS, VIDEO_ENDINGS

    ending = path.suffix.lower()
    known = VIDEO_ENDINGS | PICTURE_ENDINGS
    return ending in known or re.fullmatch(r"\.[a-z][a-z0-9]{1,4}", ending) is not None


def _single(source: Path, text: str, *, made: Endings) -> str:
    is_folder = Path(text).is_dir() or text.endswith(("/", "\\"))
    if is_address(text) or not is_folder:
        return text
    result = Path(text) / output_name(source, made=made)
    refuse_itself(source, text, result, beside(source, made=made))
    return str(result)


def beside(path: Path, *, made: Endings = ANY, whole: bool = False) -> Path:
    """The name of a result that was given none: `in.stream.mp4` beside `in.mp4`."""
    name = Path(output_name(path, made=made, whole=whole))
    return path.with_name(shortened(path.parent, name.stem, f"{RESULT}{name.suffix}"))


def output_name(path: Path, *, made: Endings, whole: bool = False) -> str:
    """The name of an input's result in a folder: its own, where files of its ending are written.

    Args:
        path: the input.
        made: the files that keep what is painted.
        whole: whether its ending stays in the name where the result has another.
    """
    path = unnumbered(path)
    own = path.name if whole else path.stem
    return path.name if path.suffix.lower() in made.videos else f"{own}{made.usual}"


def check_skipping(batch: BatchOptions, masks: str | None, *, others: bool) -> None:
    """Refuses to look for results that say nothing of how far a run came.

    Args:
        batch: whether inputs are left out whose result is there.
        masks: the folder for masks; None for none.
        others: whether there are other results.

    Raises:
        UsageError: masks are all that there is.
    """
    if batch.skip_existing and masks is not None and not others:
        raise UsageError(
            "--skip-existing goes by videos, pictures and records, and --masks alone writes none; "
            "leave it out, or write --records too"
        )


def which_holds(batch: BatchOptions, kept: int, *, overwrite: bool) -> str:
    """Says which of two options holds for results that are there, where both were given; else "".

    Args:
        batch: whether inputs are left out whose result is there.
        kept: how many were.
        overwrite: whether results may be replaced.
    """
    if not (batch.skip_existing and overwrite and kept):
        return ""
    return (
        "with --skip-existing, --overwrite replaces only what is unfinished; leave out "
        "--skip-existing to make every result anew"
    )


def check_named(*files: Path | None, several: bool) -> None:
    """Makes sure that every input has a file of its own where each needs one.

    Raises:
        UsageError: one file is named for several inputs.
    """
    for file in files:
        if several and file is not None and NAME not in str(file):
            raise UsageError(
                f"{file} cannot be for several inputs; put {NAME} into its name, which stands for "
                "each input's"
            )


def refuse_twins(tasks: Sequence[Task]) -> None:
    """Makes sure that every result has a name of its own.

    Raises:
        UsageError: two have the same.
    """
    twins: Twins[Path] = Twins()
    for task in tasks:
        for output in filter(None, (*task.all_outputs, task.masks)):
            other = twins.take(output, task.source)
            if other is None:
                continue
            if other == task.source:
                if [one.source for one in tasks].count(task.source) > 1:
                    raise UsageError(f"the input {task.source} is named twice; name it once")
                raise UsageError(f"{output} is named twice; give each output a name of its own")
            else:
                raise UsageError(
                    f"{other} and {task.source} would both become {output}; "
                    f"{recursive_hint(other, task.source)}run each on its own, into another folder "
                    "or under another name"
                )


def photo_beside(path: Path, *, made: Endings = ANY) -> Path:
    """The name of a photo's result that was given none: `photo.stream.jpg` beside `photo.jpg`."""
    name = Path(photo_name(path, made=made))
    return path.with_name(shortened(path.parent, name.stem, f"{RESULT}{name.suffix}"))


def photo_name(path: Path, *, made: Endings = ANY, whole: bool = False) -> str:
    """The name of a photo's result in a folder: its own, or .png where that is not written."""
    own = path.name if whole else path.stem
    return path.name if path.suffix.lower() in made.pictures else f"{own}.png"


def photo_target(text: str) -> Path:
    """Where one photo's result goes: a picture, or a folder that is there or ends with a slash.

    Raises:
        UsageError: its ending is that of no picture that can be written.
    """
    path = Path(text)
    is_folder = path.is_dir() or text.endswith(("/", "\\"))
    if not is_folder and _has_file_ending(path) and path.suffix.lower() not in ANY.pictures:
        raise UsageError(
            f"{path} is no picture that can be written; choose {', '.join(sorted(ANY.pictures))}"
        )
    return path
