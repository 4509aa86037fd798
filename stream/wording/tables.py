"""Tables for terminals, also for those that are too narrow for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def show_table(console: Console, table: Table) -> None:
    """Prints a table; where its words and numbers would be cut, a paragraph for each row instead.

    Args:
        console: where to.
        table: of cells that are text, the first of each row its name.
    """
    from rich.measure import Measurement
    from rich.text import Text

    if Measurement.get(console, console.options.update(max_width=10_000), table).minimum <= (
        console.width
    ):
        console.print(table)
        return
    if table.title is not None:
        title = table.title
        console.print(Text.assemble((str(title), table.title_style or "")))
    heads = [str(column.header) for column in table.columns]
    rows = [list(map(str, row)) for row in zip(*(one.cells for one in table.columns), strict=True)]
    for row in rows:
        cells = [console.render_str(cell) for cell in row]
        told = [Text.assemble(head, " ", cell) for head, cell in zip(heads, cells, strict=True)]
        if len(rows) == 1:
            console.print(Text(", ").join(told))
        else:
            console.print(Text.assemble(cells[0], ": ", Text(", ").join(told[1:])))
