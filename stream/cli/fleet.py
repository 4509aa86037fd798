"""`stream fleet`: many files, on this machine or on many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from stream.cli import _common as common
from stream.cli._groups import command
from stream.errors import UsageError
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.settings.fleet_options import FleetOptions
from stream.settings.options import CutOptions, DecodingOptions, InputOptions, RunOptions
from stream.wording.names import refuse_unknown_words


@command
def fleet(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Video files, folders with all that is below them, patterns ('takes/**/*.mp4'), "
            "addresses (s3://bucket/raw/**/*.mp4), or text files with one of these a line.",
        ),
    ],
    asked: common.Common,
    cut: CutOptions,
    decoding: DecodingOptions,
    options: FleetOptions,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="The folder, or address, that results go into, laid out as the inputs are. "
            "[default: none; it must be given]",
            rich_help_panel="Output",
        ),
    ] = None,
) -> None:
    """Segment thousands of files: each exactly once, whatever breaks on the way."""
    common.set_verbosity(quiet=asked.run.quiet, verbose=asked.run.verbose)
    if options.status:
        _say_status(inputs, output, options, asked.run)
        return
    common.check_format((), asked.files)
    if not output:
        raise UsageError("name the folder that the results go into: -o FOLDER")
    refuse_unknown_words(output, known=())
    plan = RunPlan(
        SourcePlan(tuple(inputs), InputOptions(replay=asked.replay, cut=cut, decoding=decoding)),
        (OutputPlan(output, asked.picture, asked.files),),
        asked.model,
        asked.tracking,
        run=asked.run,
        counts=asked.counts,
        fleet=options,
    )
    if asked.run.save_config is not None:
        from stream.cli._runs import save_or_none

        save_or_none(asked.run, [plan])
        return
    from stream.cli._fleet_run import run_fleet

    run_fleet(plan)


def _say_status(
    inputs: Sequence[str], output: str | None, options: FleetOptions, run: RunOptions
) -> None:
    from stream.cli._fleet_reports import check_reports, write_reports
    from stream.cli._fleet_run import ledger_path
    from stream.cli._fleet_words import print_table
    from stream.fleet.ledger import Ledger

    check_reports(options, run)
    place = output or inputs[0]
    ledger = Ledger(ledger_path(place, options), reading=True)
    try:
        entries, parts = ledger.entries(), ledger.parts()
    finally:
        ledger.close()
    write_reports(entries, parts, options, run)
    print_table(entries, parts, left=True)
