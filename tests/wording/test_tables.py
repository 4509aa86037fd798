"""Tables on terminals of any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from stream.wording.tables import show_table


def shown(width: int, rows: int = 2) -> str:
    table = Table(title="in.mp4")
    table.add_column("stage")
    table.add_column("p50 ms", justify="right")
    table.add_column("max ms", justify="right")
    for name in ("postprocess", "with waiting in queues")[:rows]:
        table.add_row(name, "1234.56", "12345.67")
    out = io.StringIO()
    show_table(Console(file=out, width=width), table)
    return out.getvalue()


@pytest.mark.parametrize("width", range(10, 80))
def test_no_number_and_no_word_is_cut_at_any_width(width):
    told = shown(width)
    assert "…" not in told
    whole = "".join(told.split()) if width < 20 else told  # what is longer than a line is broken
    for text in ("postprocess", "1234.56", "12345.67"):
        assert whole.count(text) >= 1, told
    assert max(map(len, told.splitlines())) <= width


def test_a_wide_terminal_has_a_table_and_a_narrow_one_a_paragraph_a_row():
    assert "│ postprocess" in shown(80)
    assert shown(200, rows=1).count("│") == 4
    narrow = " ".join(shown(30).split())
    assert "│" not in narrow
    assert narrow.startswith("in.mp4 postprocess: p50 ms 1234.56, max ms 12345.67 with waiting")
    only = " ".join(shown(30, rows=1).split())
    assert only == "in.mp4 stage postprocess, p50 ms 1234.56, max ms 12345.67"
