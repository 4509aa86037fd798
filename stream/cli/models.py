"""`stream models`: what can be run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli import _common as common
from stream.wording.tables import show_table
from stream.wording.words import called, counted

if TYPE_CHECKING:
    from stream.inference.contract import Metadata


def models(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|PATH",
            help="One model, to see its classes and how good it is. [default: all, as a list]",
            show_default=False,
        ),
    ] = None,
    verbose: common.Verbose = False,
) -> None:
    """List the models of the catalogue, or say what one of them is."""
    common.set_verbosity(verbose=verbose)
    if name is not None:
        _describe(name, verbose)
        return
    from rich.table import Table

    from stream.inference.catalogue import listing

    columns = ("name", "precision", "size", "classes", "accuracy", "licence", "file")
    shown = len(columns) if verbose else columns.index("licence")
    table = Table(title="models", title_justify="left")
    for column in columns[:shown]:
        table.add_column(column, overflow="fold")
    for entry in listing():
        table.add_row(*entry.cells()[:shown])
    show_table(common.results(), table)
    if not verbose:
        common.results().print(
            "`stream models NAME` lists its classes; --verbose adds licences and files",
            style="dim",
        )


def _describe(name: str, verbose: bool) -> None:
    from stream.inference.catalogue import find, open_model
    from stream.inference.onnx_ends import size_of

    path = find(name).pick()
    _, metadata = open_model(path)
    names = metadata.names
    lines = [
        # Of a file its name says no more than was typed.
        f"{name}: {metadata.origin if str(path) == name else path}",
        f"  {counted(len(names), 'class', 'classes')}: {', '.join(map(called, names))}",
        f"  accuracy: {_accuracy(metadata)}",
        f"  {metadata.precision}, {size_of(path) / 1e6:.1f} MB, licence {metadata.licence}",
    ]
    if verbose:
        lines += [f"  {what}: {value:.3g}" for what, value in metadata.accuracy.items()]
    typer.echo("\n".join(lines))


def _accuracy(metadata: Metadata) -> str:
    """One figure: the first that was measured."""
    for what, value in metadata.accuracy.items():
        return f"{value:.3g}, {what}"
    return "not measured"
