"""The report and the page of a fleet: where they may go, and that they are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stream.disk.files import check_replaceable
from stream.errors import SinkError, UsageError
from stream.settings.fleet_options import FleetOptions
from stream.settings.options import RunOptions
from stream.wording.names import NAME

if TYPE_CHECKING:
    from stream.fleet.entries import Entry, Wanted
    from stream.fleet.page import Parts


def check_reports(options: FleetOptions, run: RunOptions) -> None:
    """Refuses a report or a page that cannot be written, before a night's work and not after it.

    Raises:
        UsageError: it is a folder or a file of another kind, or named as if each file had one.
        SinkError: it cannot be written there.
    """
    from stream.fleet.page import is_page
    from stream.run.guard import check_report

    if run.report is not None:
        if NAME in str(run.report):
            raise UsageError(
                f"{run.report} cannot be: a fleet has one report, of all files; leave {NAME} out"
            )
        check_report(run.report)
    if options.page is not None:
        check_replaceable(options.page, overwrite=True)
        if not is_page(options.page):
            raise UsageError(
                f"{options.page} exists and is no page of a fleet; name another file for --page"
            )


def refuse_taken(options: FleetOptions, run: RunOptions, wanted: Sequence[Wanted]) -> None:
    """Refuses a report or a page where a result is to be.

    Raises:
        UsageError: it would be written there.
    """
    from stream.fleet.places import whole

    named = {"--report": run.report, "--page": options.page}
    places = {whole(str(path)): option for option, path in named.items() if path is not None}
    for one in wanted:
        for target in one.targets if places else ():
            if target in places:
                raise UsageError(
                    f"{target} is what comes of {one.source}; name another file for "
                    f"{places[target]}"
                )


def write_reports(
    entries: Sequence[Entry], parts: Parts, options: FleetOptions, run: RunOptions
) -> None:
    """Writes the report and the page, where they are asked for; one also where the other cannot be.

    Raises:
        SinkError: one cannot be written.
    """
    from stream.fleet.page import figures
    from stream.run.report import write_json

    try:
        if run.report is not None:
            write_json(run.report, figures(entries, parts))
    finally:
        if options.page is not None:
            _write_page(options.page, entries, parts)


def _write_page(path: Path, entries: Sequence[Entry], parts: Parts) -> None:
    from stream.disk.files import write_whole
    from stream.fleet.page import is_page, page

    if not is_page(path):
        raise SinkError(f"cannot write the page {path}: a file of another kind is there")
    try:
        write_whole(path, page(entries, parts).encode(errors="replace"), overwrite=True)
    except OSError as error:
        raise SinkError(f"cannot write the page {path}: {error.strerror or error}") from error
