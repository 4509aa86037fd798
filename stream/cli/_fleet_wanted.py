"""What a fleet is to do with which input, where that goes, and what must not be touched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stream.disk.twins import Twins
from stream.errors import StreamError, UsageError
from stream.run.plan import RunPlan, SourcePlan
from stream.wording.names import namesakes
from stream.wording.words import counted

if TYPE_CHECKING:
    from stream.fleet.entries import Wanted
    from stream.fleet.finding import Input
    from stream.fleet.ledger import Ledger


def without_results(found: Sequence[Input], output: str, ledger: Path) -> list[Input]:
    """The inputs without what earlier runs have made of them, where the output lies among them.

    Raises:
        UsageError: nothing else is there.
    """
    from stream.fleet.ledger import Ledger

    left = list(found)
    if ledger.is_file() and _any_below(found, output):
        with closing(Ledger(ledger, reading=True)) as known:
            left = _without(found, known)
    if not left:
        raise UsageError(f"all videos there are results of this fleet, in {output}")
    return left


def _any_below(found: Sequence[Input], output: str) -> bool:
    from stream.fleet.places import is_below

    return any(is_below(one.source, output) for one in found)


def _without(found: Sequence[Input], ledger: Ledger) -> list[Input]:
    made = {place for one in ledger.each() for place in one.wanted.targets}
    made.update(*ledger.former().values())
    return [one for one in found if one.source not in made]


def come_since(ledger: Ledger, inputs: Sequence[str], output: str, below: str | None) -> int:
    """How many films of folders here have come, or have changed, since a ledger was told of them.

    Args:
        ledger: that was told.
        inputs: what was asked for; storage, which is slow to look through, and lists are left out.
        output: the folder for results.
        below: as for `find`.
    """
    from stream.fleet.finding import find
    from stream.fleet.places import is_remote
    from stream.sources.folders import VIDEO_ENDINGS

    known = {one.wanted.source: one.wanted.fingerprint for one in ledger.each()}
    new: set[str] = set()
    for text in inputs:
        if is_remote(text) or not (Path(text).is_dir() or any(mark in text for mark in "*?[")):
            continue
        with suppress(StreamError):  # it was there, and what is gone now is not to be done
            found = find([text], VIDEO_ENDINGS, below=below)
            if _any_below(found, output):
                found = _without(found, ledger)
            new.update(one.source for one in found if known.get(one.source) != one.fingerprint)
    return len(new)


def wanted_of(
    found: Sequence[Input], output: str, plan: RunPlan, records: Sequence[str]
) -> list[Wanted]:
    """What is to be done with each input, and where its results go.

    Inputs that only their endings tell apart keep these in the names of what is made of them:
    `a.wmv.mp4` beside `a.mp4`, `a.wmv.csv` beside `a.mp4.csv`.

    Raises:
        UsageError: two inputs would have one result, or one would lie outside of the output.
    """
    from stream.cli._batch import output_name
    from stream.fleet.entries import Wanted
    from stream.fleet.places import asks_for_version, is_remote, is_same, shown
    from stream.run.opening import endings_for

    made = endings_for(plan.outputs[0].picture)
    options = _fingerprint_of(plan)
    alike = namesakes(Path(one.below) for one in found)
    wanted: list[Wanted] = []
    seen: Twins[str] = Twins()
    for one in found:
        below = Path(one.below)
        if ".." in below.parts and not is_remote(output):
            # Storage has names, and no folders: there it is a name like any other.
            raise UsageError(
                f"what comes of {shown(one.source)} would lie outside of {output}, as its name "
                "has .. in it; leave it out, or write to object storage"
            )
        whole = below in alike
        video = below.with_name(output_name(below, made=made, whole=whole))
        plain = below if whole else video.with_suffix("")
        places = [
            video.as_posix(),
            *(plain.with_name(f"{plain.name}.{end.lstrip('.')}").as_posix() for end in records),
        ]
        targets = tuple(f"{output.rstrip('/')}/{place}" for place in places)
        if any(map(asks_for_version, targets)):
            raise UsageError(
                f"what comes of {shown(one.source)} would get another name, as S3's library takes "
                "?versionId= in it for a version; rename it, or leave it out"
            )
        if any(is_same(one.source, place) for place in targets):
            raise UsageError(f"{one.source} would be replaced by its own result; name another -o")
        if len(set(targets)) < len(targets):
            twice = next(one for one in targets if targets.count(one) > 1)
            raise UsageError(f"{twice} is named twice; give --records endings of its own")
        for target in targets:
            _note(seen, target, one.source)
        wanted.append(Wanted(one.source, targets, one.fingerprint, options))
    return wanted


def _note(seen: Twins[str], target: str, source: str) -> None:
    """Notes whose result a place is for.

    Raises:
        UsageError: it is for another's, or for two of the same.
    """
    other = seen.take(target, source)
    if other is not None:
        raise UsageError(
            f"{other} and {source} would both become {target}; give them separate output folders, "
            "or where they come from separate ones, name the folder above these with --below"
        )


def refuse_shared(asked: RunPlan, found: Sequence[Input]) -> None:
    """Refuses files that each film has one of, where two would have the same.

    Raises:
        UsageError: it is not named after films, or two have one name.
    """
    from stream.cli._batch import check_named
    from stream.fleet.places import shown

    files = [one for one in (asked.source.options.replay.from_records, asked.counts.plot) if one]
    check_named(*files, several=len(found) > 1)
    for file in files:
        twins: Twins[str] = Twins()
        for one in found:
            target = SourcePlan(Path(one.below).name).place(file)
            other = twins.take(str(target), one.source)
            if other is not None:
                raise UsageError(
                    f"{target} would be for {shown(other)} and for {shown(one.source)}; do them "
                    "one after the other, each with its own"
                )


def _fingerprint_of(plan: RunPlan) -> str:
    """Changes where what is asked for does, or a model's file, or this program."""
    from stream.inference.catalogue import find
    from stream.inference.onnx_ends import files_of
    from stream.version import __version__

    paths = find(plan.model.model).files.values()
    files = [one.stat() for path in paths for one in files_of(path)]
    text = repr((plan, __version__, [(one.st_size, one.st_mtime_ns) for one in files]))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def refuse_foreign(ledger: Ledger, wanted: Sequence[Wanted], *, overwrite: bool) -> None:
    """Refuses to replace what this run's files have not come to before.

    Where that is to be replaced after all, the ledger forgets the files of which it was.

    Raises:
        UsageError: there is a result that no fleet of this ledger has written, or one of another
            file, and it is not to be replaced; or it is an input of this run.
    """
    from stream.fleet.places import identity, is_remote, shown, there

    given = {target: one.source for one in wanted for target in one.targets}
    mine = {one.source for one in wanted}
    ours: set[str] = set()
    others: set[str] = set()
    taken: dict[str, str] = {}
    former = ledger.former()
    for one in ledger.each():
        if not one.begun:
            continue
        targets = {*one.wanted.targets, *former.get(one.number, ())}
        # Nothing was there when a file was first begun, or it was to be replaced: what is there
        # since is ours, also where a driver was killed before it wrote that down, or a later step
        # failed.
        ours.update(targets)
        source = one.wanted.source
        if source not in mine and not targets.isdisjoint(given):
            taken.update({target: source for target in targets if target in given})
            if not given.keys().isdisjoint(one.wanted.targets):
                others.add(source)
    replaced = sorted(there(taken))
    if replaced and not overwrite:
        target = replaced[0]
        raise UsageError(
            f"{target} is what came of {taken[target]}, and {given[target]} would replace it; "
            "name another -o, or the folder above both with --below, or use --overwrite"
        )
    foreign = sorted(there(target for target in given if target not in ours))
    if foreign and overwrite:
        inputs = {identity(source) for source in mine}
        for target in foreign:
            if identity(target) in inputs:
                raise UsageError(
                    f"{target} is an input, and would be replaced by what comes of "
                    f"{given[target]}; name another -o"
                )
    elif foreign:
        several = counted(len(foreign), "result exists", "results exist")
        # A storage keeps no ledger: each machine has its own unless it is told of another's.
        ledgers = (
            ", or name the ledger of the fleet that has, which may be on another machine, with "
            "--ledger"
        )
        raise UsageError(
            f"{several} already that this fleet has not written, such as {shown(foreign[0])}; use "
            f"--overwrite to replace them{ledgers if is_remote(foreign[0]) else ''}"
        )
    ledger.forget(others)


def want_again_what_is_gone(ledger: Ledger, wanted: Sequence[Wanted]) -> None:
    """Files are done once more of which a result is not there any more."""
    from stream.fleet.entries import State
    from stream.fleet.places import there

    mine = {one.source for one in wanted}
    done = [one.wanted for one in ledger.each(State.DONE) if one.wanted.source in mine]
    kept = there(target for one in done for target in one.targets)
    ledger.again([one.source for one in done if not kept.issuperset(one.targets)])
