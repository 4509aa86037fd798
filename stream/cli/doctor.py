"""`stream doctor`: what works here."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.cli import _common as common


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    verbose: common.Verbose = False,
) -> None:
    """Say what works here (providers, cameras, codecs, display) and what to install."""
    common.set_verbosity(verbose=verbose)
    from stream.doctor import examine, print_findings

    findings = examine()
    if json:
        common.results().print_json(data=findings)
    else:
        print_findings(common.results(), findings)
