"""`stream models` and `stream doctor`: what there is and what works here."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from stream.commands import common


def models(verbose: common.VerboseOption = False) -> None:
    """List the models of the catalogue."""
    common.set_verbosity(quiet=False, verbose=verbose)
    from stream.inference.catalogue import listing

    columns = ("name", "precision", "size", "classes", "accuracy", "licence", "file")
    shown = len(columns) if verbose else columns.index("licence")
    table = Table(title="models", title_justify="left")
    for column in columns[:shown]:
        table.add_column(column, overflow="fold")
    for entry in listing():
        table.add_row(*entry.cells()[:shown])
    common.results.print(table)
    if not verbose:
        common.results.print("--verbose adds licences and files", style="dim")


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    verbose: common.VerboseOption = False,
) -> None:
    """Say what works here (providers, cameras, codecs, display) and what to install."""
    common.set_verbosity(quiet=False, verbose=verbose)
    from stream.doctor import examine, print_findings

    findings = examine()
    if json:
        common.results.print_json(data=findings)
    else:
        print_findings(common.results, findings)
