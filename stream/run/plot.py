"""What was counted over a run, as a picture of curves."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

from stream.disk.files import check_replaceable, same_file, write_whole
from stream.errors import SinkError, UsageError
from stream.run.plan import RunPlan
from stream.run.series import ACROSS, OUT, Series
from stream.system.extras import need_extra

_WIDTH, _HEIGHT, _DPI = 9.6, 2.4, 100
_FURTHER = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "PingFang SC",
    "Hiragino Sans",
    "Arial Unicode MS",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
)
"""Fonts of Debian, Windows and macOS that have letters which Matplotlib's own has not."""
_NAMED = 12
"""Curves at most that have a name in a part; COCO has 80 classes."""


def plot_of(plan: RunPlan) -> Path | None:
    """Where a plan's plot goes, `{name}` written out; None for no plot."""
    return None if plan.counts.plot is None else plan.source.place(plan.counts.plot)


def check_plot(path: Path, taken: Sequence[Path], *, overwrite: bool) -> None:
    """Refuses a plot that cannot come about, before any work.

    Args:
        path: the picture to be written.
        taken: files that are read, and other outputs.
        overwrite: whether an existing file may be replaced.

    Raises:
        UsageError: the library is not there, the ending is another than .png, or the file is there.
        SinkError: it cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"--plot writes a picture that ends with .png, not {path}")
    if any(same_file(path, one) for one in taken):
        raise UsageError(f"{path} is an input or an output; name another file for --plot")
    need_extra("plot", "matplotlib", what="--plot")
    check_replaceable(path, overwrite=overwrite)


def write_plot(path: Path, series: Series, title: str, *, overwrite: bool) -> None:
    """Writes the curves: objects in view by class, and a part for each line and zone.

    Raises:
        SinkError: the file cannot be written.
    """
    # It takes most of a second to load.
    from matplotlib import rc_context

    with rc_context({"font.family": _families()}), warnings.catch_warnings():
        # A letter that no font has is a box in the picture, and nothing to trouble anybody with.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        data = _drawn(series, title)
    try:
        write_whole(path, data, overwrite=overwrite)
    except OSError as error:
        raise SinkError(f"the plot {path} cannot be written: {error.strerror or error}") from error


def _drawn(series: Series, title: str) -> bytes:
    """The curves as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    parts = series.curves() or {"in view": {}}
    figure = Figure(figsize=(_WIDTH, 0.8 + _HEIGHT * len(parts)), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(parts), 1, sharex=True, squeeze=False)[:, 0]
    colours: dict[str, str] = {}
    for axes, (part, curves) in zip(rows, parts.items(), strict=True):
        ranked = sorted(curves.items(), key=lambda one: -sum(one[1][1]))
        of_line = part.startswith(f"{ACROSS} ")
        for name, (times, values) in ranked[:_NAMED]:
            # A class has one colour in all parts, and at a line two kinds of curves.
            kind, _, way = name.rpartition(" ") if of_line else (name, "", "")
            colour = colours.setdefault(kind, f"C{len(colours) % 10}")
            dashes = "--" if way == OUT else "-"
            label = _plain(name)
            axes.step(times, values, where="post", label=label, lw=1.4, color=colour, ls=dashes)
        axes.set_title(_plain(part), loc="left", fontsize=10)
        most = max((value for _, values in curves.values() for value in values), default=0)
        axes.set_ylim(0, 1.05 * max(1, most))  # Where nothing was, up to one.
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if curves:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
    rows[-1].set_xlabel("seconds")
    figure.suptitle(_plain(title), x=0.01, ha="left", fontsize=11)
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()


def _families() -> list[str]:
    """Fonts to take letters from: the usual one, then those that have what it has not."""
    from matplotlib.font_manager import fontManager

    there = set(fontManager.get_font_names())
    return ["DejaVu Sans", *(name for name in _FURTHER if name in there)]


def _plain(text: str) -> str:
    """A text in which no $ begins a formula."""
    return text.replace("$", r"\$")
