"""What `stream fleet` does, whether the command line asks for it or a configuration file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stream.cli import _common as common
from stream.cli._fleet_reports import check_reports, refuse_taken, write_reports
from stream.cli._fleet_wanted import (
    come_since,
    refuse_foreign,
    refuse_shared,
    want_again_what_is_gone,
    wanted_of,
    without_results,
)
from stream.cli._fleet_words import Line, print_table, said_at_once, said_while_it_takes
from stream.cli._hints import without_secrets
from stream.errors import OutOfReachError, StreamError, UsageError
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.settings.fleet_options import LEDGER, FleetOptions
from stream.settings.options import CutOptions, DecodingOptions, RunOptions
from stream.system.extras import need_extra
from stream.wording.words import counted

if TYPE_CHECKING:
    from stream.fleet.entries import Entry, Wanted
    from stream.fleet.ledger import Ledger
    from stream.fleet.pool import Need, Pool
    from stream.fleet.process_pool import ProcessPool

_LEDGER_HERE = (
    "what is done is written down in {}, on this machine alone; to go on from another one, name a "
    "file on a disk that both have with --ledger"
)


def run_fleet(asked: RunPlan) -> None:
    """Does what waits of a fleet's files, and says what came of it.

    Args:
        asked: its source's targets are the inputs, its output's the folder for all results.

    Raises:
        UsageError: the inputs, the output and the options do not go together.
        StreamError: it cannot go on.
        typer.Exit: with another code than 0.
    """
    options = asked.fleet
    assert options is not None
    _check_asked(asked, options)
    target, output = asked.source.target, asked.outputs[0].target
    inputs = [str(one) for one in (target if isinstance(target, tuple | list) else [target])]
    records = options.records or ()
    from stream.fleet.finding import find
    from stream.fleet.ledger import Ledger
    from stream.fleet.lock import only_driver
    from stream.fleet.places import whole
    from stream.sources.folders import VIDEO_ENDINGS

    check_reports(options, asked.run)
    path = ledger_path(output, options)
    if options.resume and not path.is_file():
        raise UsageError(f"there is nothing to go on with: no ledger {path}")
    output = whole(output)
    looking = partial(said_while_it_takes, quiet=asked.run.quiet)
    with looking(f"looking for films in {without_secrets(', '.join(inputs))}"):
        films = find(inputs, VIDEO_ENDINGS, common.say_error, below=options.below)
        found = without_results(films, output, path)
    refuse_shared(asked, found)
    plan = _plan(asked, len(records))
    with ExitStack() as opened:
        pool = None if options.needs_ray else opened.enter_context(_processes(plan, options))
        if pool is not None:
            # They load the model while it is looked up here what there is to do.
            pool.free(len(found))
        _prepare(output, path, options, quiet=asked.run.quiet)
        wanted = wanted_of(found, output, plan, records)
        refuse_taken(options, asked.run, wanted)
        _check(plan, wanted[0])
        opened.enter_context(only_driver(path))
        ledger = opened.enter_context(closing(Ledger(path)))
        with looking(f"looking for results in {without_secrets(output)}"):
            refuse_foreign(ledger, wanted, overwrite=asked.outputs[0].options.overwrite)
            ledger.want(wanted)
            want_again_what_is_gone(ledger, wanted)
        numbers, already = _numbers_of(ledger, wanted)
        del films, found, wanted  # of a million files they are half a gigabyte
        if already:
            common.say(
                f"{already} of {counted(len(numbers), 'file is', 'files are')} done already",
                quiet=asked.run.quiet,
            )
        try:
            ended = _drive(ledger, numbers, pool, plan, options, asked.run)
        except StreamError as error:
            # What is done and what is missing is to be seen all the more where it cannot go on,
            # but not where nothing was begun.
            if not isinstance(error, UsageError | OutOfReachError):
                _say(ledger, numbers, options, asked.run)
            raise
        if not (ended is not None or asked.run.quiet):
            _say_what_came(come_since(ledger, inputs, output, options.below))
        _finish(ledger, numbers, options, asked.run, ended=ended)


def _say_what_came(films: int) -> None:
    if films:
        said = counted(films, "film has", "films have")
        common.say(f"{said} come or changed meanwhile; the same command does what is new")


def _numbers_of(ledger: Ledger, wanted: Sequence[Wanted]) -> tuple[list[int], int]:
    """The files' numbers in the ledger, and how many of them are done."""
    from stream.fleet.entries import State

    mine = {one.source for one in wanted}
    states = {one.number: one.state for one in ledger.each() if one.wanted.source in mine}
    return list(states), sum(state == State.DONE for state in states.values())


def _check_asked(asked: RunPlan, options: FleetOptions) -> None:
    """Refuses what cannot be done with thousands of films, or with parts of them.

    Raises:
        UsageError: what, and what to do.
    """
    if options.needs_ray:
        # Before a bucket is looked through for it.
        need_extra("fleet", "ray", what="a fleet on many machines")
    if len(asked.outputs) != 1:
        raise UsageError("a fleet has one output: the folder that the results go into")
    if asked.outputs[0].picture.divided:
        raise UsageError(
            "--split and --crop make as many files of a film as there are objects, of which a "
            "fleet keeps no account; `stream file FOLDER -o FOLDER` takes them"
        )
    _check_records(options.records or ())
    if options.part_minutes is None:
        return
    source = asked.source.options
    if asked.model.every not in (None, 1):
        raise UsageError("with --part-minutes every frame is inferred; leave out --every")
    if source.replay.from_records is not None:
        raise UsageError("--from has nothing to infer in parts; leave out --part-minutes")
    if source.decoding != DecodingOptions():
        raise UsageError("--part-minutes decodes on the CPU; leave out --hwaccel")
    if source.cut != CutOptions():
        raise UsageError("--part-minutes is for whole files; leave out --start, --end and --limit")


def _check_records(endings: Sequence[str]) -> None:
    """Refuses what records beside each video cannot end with.

    Raises:
        UsageError: which it is, and which endings there are.
    """
    from stream.sinks import is_records, record_endings

    for ending in endings:
        name = f"film.{ending.lstrip('.')}"
        if "{" in ending:
            raise UsageError(
                f"--records {ending!r}: a fleet's records have their videos' names; give what they "
                f"end with, such as --records {Path(name).suffix.lstrip('.') or 'ndjson'}"
            )
        if Path(name).name != name or not is_records(name):
            known = ", ".join(one.lstrip(".") for one in record_endings())
            raise UsageError(
                f"--records {ending!r}: beside each video records of these formats can be "
                f"written: {known}; for several give --records several times"
            )


def _plan(asked: RunPlan, records: int) -> RunPlan:
    """What is done with each file."""
    (output,) = asked.outputs
    files = replace(output.options, overwrite=False)
    return RunPlan(
        SourcePlan("", asked.source.options),
        (OutputPlan("", output.picture, files),) * (1 + records),
        asked.model,
        asked.tracking,
        run=RunOptions(quiet=True),
        counts=asked.counts,
    )


def _check(plan: RunPlan, example: Wanted) -> None:
    """Refuses what no worker could do, before Ray is started.

    Raises:
        StreamError: what, and what to do.
    """
    import tempfile

    from stream.run import setup

    with tempfile.TemporaryDirectory() as folder:
        outputs = tuple(
            # Of its name only the ending counts; a long one is its own task's matter.
            replace(output, target=str(Path(folder) / f"film{Path(target).suffix}"))
            for output, target in zip(plan.outputs, example.targets, strict=True)
        )
        setup.check(replace(plan, source=SourcePlan("pattern"), outputs=outputs))


def _need(options: FleetOptions) -> Need:
    from stream.fleet.pool import Need

    return Need(options.cores, options.gpus, options.memory, options.workers, options.patience * 60)


def _processes(plan: RunPlan, options: FleetOptions) -> AbstractContextManager[ProcessPool]:
    """The workers of this machine alone.

    Raises:
        UsageError: it has fewer cores than a worker asks for.
    """
    from stream.fleet.process_pool import ProcessPool

    return closing(ProcessPool(plan, _need(options)))


def _drive(
    ledger: Ledger,
    numbers: Sequence[int],
    pool: Pool | None,
    plan: RunPlan,
    options: FleetOptions,
    run: RunOptions,
) -> int | None:
    """Does what waits; returns the code to end with where it was interrupted, else None.

    Args:
        ledger: of the files.
        numbers: of those that belong to this run.
        pool: of workers; None starts Ray's, where there is anything to do.
        plan: what is done with each.
        options: of the fleet.
        run: how much is said.
    """
    from stream.fleet.driver import Driver
    from stream.fleet.entries import State
    from stream.fleet.litter import tidy
    from stream.run.interrupt import exit_code, on_interrupt

    tidy(ledger)  # what an earlier driver could not, as it was killed
    mine = set(numbers)
    if not any(one.number in mine for one in ledger.each(State.WAITING)):
        return None
    if pool is None:
        from stream.fleet.ray_pool import LOCAL, RayPool

        with said_at_once("starting Ray and the workers", quiet=run.quiet):
            pool = RayPool(plan, _need(options), options.ray or LOCAL)
    line = Line(quiet=run.quiet)
    split = None if options.part_minutes is None else options.part_minutes * 60
    driver = Driver(
        ledger,
        pool,
        retries=options.retries,
        patience=options.patience * 60,
        split=split,
        on_progress=line,
    )
    try:
        with on_interrupt(driver.stop, driver.abort) as signals, line:
            driver.run(numbers)
    finally:
        pool.close()
        for sentence in driver.doubted:
            common.say(without_secrets(sentence), quiet=run.quiet)
    tidy(ledger)  # where workers were still at work for nothing
    return exit_code(*signals[:1]) if driver.interrupted else None


def _finish(
    ledger: Ledger,
    numbers: Sequence[int],
    options: FleetOptions,
    run: RunOptions,
    *,
    ended: int | None,
) -> None:
    """Says and writes what came of it, and ends with the exit code that it earns."""
    from stream.fleet.entries import State

    entries = _say(ledger, numbers, options, run)
    if ended is not None:
        common.say("interrupted; the same command goes on with what is missing", quiet=run.quiet)
        raise typer.Exit(ended)
    if any(one.state != State.DONE for one in entries):
        raise typer.Exit(1)


def _say(
    ledger: Ledger, numbers: Sequence[int], options: FleetOptions, run: RunOptions
) -> list[Entry]:
    """Says and writes what has become of the files; returns that."""
    mine = set(numbers)
    entries = [one for one in ledger.entries() if one.number in mine]
    parts = ledger.parts()
    if not run.quiet:
        print_table(entries, parts)
    write_reports(entries, parts, options, run)
    return entries


def ledger_path(output: str, options: FleetOptions) -> Path:
    """Where the ledger is.

    Raises:
        UsageError: its folder cannot be made.
    """
    from stream.fleet.places import is_remote
    from stream.system.cache import cache_folder

    if options.ledger is not None:
        return options.ledger
    if not is_remote(output):
        return Path(output) / LEDGER
    name = hashlib.sha256(output.rstrip("/").encode()).hexdigest()[:16]
    try:
        return cache_folder("fleet") / f"{name}.sqlite"
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be written ({error.strerror}); name a ledger with --ledger"
        ) from error


def _prepare(output: str, ledger: Path, options: FleetOptions, *, quiet: bool) -> None:
    """Makes the folder for results; of storage it says where the ledger is that is made for it."""
    from stream.cli._runs import make_folder
    from stream.fleet.places import is_remote

    if not is_remote(output):
        make_folder(Path(output))
    elif options.ledger is None and not ledger.exists():
        common.say(_LEDGER_HERE.format(ledger), quiet=quiet)
