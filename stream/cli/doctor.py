"""`stream doctor`: what works here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli import _common as common

if TYPE_CHECKING:
    from rich.console import Console


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    verbose: common.Verbose = False,
) -> None:
    """Say what works here (providers, cameras, codecs, display) and what to install."""
    common.set_verbosity(verbose=verbose)
    from stream.doctor import examine

    findings = examine()
    if json:
        common.results().print_json(data=findings)
    else:
        print_findings(common.results(), findings)


def print_findings(console: Console, findings: Sequence[dict[str, str]]) -> None:
    """Prints findings by topic, with what to do under what is missing."""
    from rich.markup import escape

    plain = not (console.encoding or "").lower().startswith("utf")
    good, bad, note, arrow = ("+", "-", " ", "->") if plain else ("✓", "✗", "·", "→")
    signs = {"works": f"[green]{good}[/]", "missing": f"[red]{bad}[/]", "note": note}
    topic = ""
    for finding in findings:
        if finding["topic"] != topic:
            topic = finding["topic"]
            console.print(f"[bold]{escape(topic)}[/]", highlight=False)
        line = f"{signs[finding['state']]} {escape(finding['name'])}: {escape(finding['detail'])}"
        console.print(f"  {line}", highlight=False, soft_wrap=True)
        if finding["advice"]:
            advice = f"      {arrow} {escape(finding['advice'])}"
            console.print(advice, highlight=False, soft_wrap=True)
