"""What a run reads, and that nothing it writes takes the place of that."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from stream.disk.files import by_identity, check_replaceable, identity, same_file
from stream.disk.twins import Twins
from stream.errors import UsageError
from stream.run.plan import RunPlan
from stream.run.report import is_report
from stream.settings.groups import changed
from stream.sources.base import Target
from stream.wording.names import NAME, numbered

_LOOKS = ("model", "provider", "every", "views", "input_size")
"""Options of how a model looks at pictures; what of its answers is kept is asked of records too."""

_FOLLOWS = ("tracker", "steady")


def read_by(plan: RunPlan) -> list[Path]:
    """The files that a plan reads: its pictures, its model, what it paints."""
    asked: list[object] = [*_targets(plan.source.target), plan.model.model]
    asked += [
        file for one in plan.outputs for file in (one.picture.background, one.picture.refiner)
    ]
    return [Path(one) for one in asked if isinstance(one, (str, Path)) and _is_file(one)]


def check_numbered(plan: RunPlan) -> None:
    """Refuses to write pictures over the numbered ones that a film is of.

    Raises:
        UsageError: an output's pictures would have their names.
    """
    target = plan.source.target
    if not isinstance(target, str | Path) or Path(target).exists():
        return
    read = numbered(str(target))
    for output in plan.outputs if read is not None else ():
        folder = output.target.endswith(("/", os.sep)) or Path(output.target).is_dir()
        text = str(Path(output.target, "%06d.png")) if folder else output.target
        written = numbered(text)
        if (
            written is not None
            and read is not None
            and same_file(Path(target).parent, Path(text).parent)
            and [written[at].casefold() for at in (1, 3)] == [read[at].casefold() for at in (1, 3)]
        ):
            raise UsageError(f"{output.target} would replace the input's pictures; choose another")


def records_of(plan: RunPlan, *, live: bool) -> Path | None:
    """The records that a plan is painted from, `{name}` written out; None for a model's answers.

    Raises:
        UsageError: they are not there, or cannot go together with what else was asked for.
    """
    path = plan.source.options.replay.from_records
    if path is None:
        return None
    if live:
        raise UsageError("--from paints footage that was recorded of; a live source has no records")
    refuse_beside_records({**changed(plan.model), **changed(plan.tracking)})
    path = plan.source.place(path)
    if not path.is_file():
        raise UsageError(f"there are no records {path}")
    return path


def refuse_beside_records(asked: Mapping[str, object]) -> None:
    """Refuses what is about the model, or about following objects, where records say all of that.

    Args:
        asked: options that were given by name, also with the value that they have anyway.

    Raises:
        UsageError: one of them is.
    """
    for name in _LOOKS:
        if name in asked:
            option = name.replace("_", "-")
            raise UsageError(f"--from paints without the model; leave out --{option}")
    for name in _FOLLOWS:
        if name in asked:
            raise UsageError(
                "--from takes the numbers that records hold, and follows nothing; leave out "
                f"--{'no-' if asked[name] is False else ''}{name}"
            )


def report_of(plan: RunPlan) -> Path | None:
    """Where a plan's figures go, `{name}` written out; None for no report."""
    return None if plan.run.report is None else plan.source.place(plan.run.report)


def refuse_twin_reports(plans: Sequence[RunPlan]) -> None:
    """Makes sure that each source has a report of its own where each was to have one.

    Raises:
        UsageError: two would be written to one file.
    """
    twins: Twins[bool] = Twins()
    for plan in plans:
        report = report_of(plan)
        if report is not None and NAME in str(plan.run.report) and twins.take(str(report), True):
            raise UsageError(
                f"two reports would be written to {report}; give each source a name of its own"
            )


def check_reports(plans: Sequence[RunPlan], read: Sequence[Path] = ()) -> None:
    """Refuses report files that would take the place of something, before any work is done.

    Only an older report is replaced, whatever `--overwrite` says, which is about the outputs.

    Args:
        plans: that are carried out in one go.
        read: further files that are read.

    Raises:
        UsageError: a report is an input, an output, a folder or a file of another kind.
        SinkError: it cannot be written there.
    """
    named = dict.fromkeys(path for path in map(report_of, plans) if path is not None)
    if not named:
        return
    inputs = by_identity([*read, *(path for one in plans for path in read_by(one))])
    outputs = {Path(out.target): out.target for one in plans for out in one.outputs}
    there = by_identity(outputs)
    written: Twins[Path] = Twins()
    for output, target in outputs.items():
        written.take(target, output)
    # Of thousands each has one of its own, which is compared with what may be the same alone.
    for report in named:
        own = identity(report)
        same = [*([there[own]] if own in there else ()), written.take(str(report), report)]
        check_report(
            report,
            [inputs[own]] if own in inputs else (),
            [one for one in same if one is not None and one in outputs],
        )


def check_report(
    report: Path,
    inputs: Sequence[Path] = (),
    outputs: Sequence[Path] = (),
    option: str = "--report",
) -> None:
    """Refuses a file of figures that would take the place of something.

    Args:
        report: the file to be written.
        inputs: files that are read.
        outputs: files that are written besides.
        option: what it was named with.

    Raises:
        UsageError: it is one of these, a folder or a file of another kind.
        SinkError: it cannot be written there.
    """
    if any(same_file(report, one) for one in inputs):
        raise UsageError(f"{report} is an input; name another file for {option}")
    if any(same_file(report, one) for one in outputs):
        raise UsageError(f"{report} is an output; name another file for {option}")
    check_replaceable(report, overwrite=True)
    if not is_report(report):
        raise UsageError(
            f"{report} exists and is no report of stream; name another file for {option}"
        )


def _targets(target: Target) -> Sequence[object]:
    several = isinstance(target, Sequence) and not isinstance(target, str)
    return list(target) if several else [target]  # type: ignore[arg-type]


def _is_file(name: str | Path) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # an address, say, too long for a name
        return False
