"""What a fleet has done, from its ledger: figures for programs, and a page for people."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from stream.disk.files import beginning_of
from stream.fleet.entries import Entry, PartEntry, State
from stream.fleet.parts import Step, progress_of
from stream.fleet.places import shown
from stream.types import JSON
from stream.version import __version__
from stream.wording.words import counted

_WIDTH, _HEIGHT = 720, 160
_SLOWEST = 10
_LISTED = 1000
"""So many files are listed under each heading; a browser opens no page of a million."""
_BARS = 60


Parts = Mapping[int, Sequence[PartEntry]]
"""The tasks of files that are done in parts, by the file's number."""


def figures(entries: Sequence[Entry], parts: Parts | None = None) -> dict[str, JSON]:
    """The figures of a fleet, ready for JSON.

    Args:
        entries: of the ledger.
        parts: likewise.

    Returns:
        `stream`, the release, `files` by state, `frames`, `seconds` of work (of all workers
        together), `wall_seconds` from the first file's begin to the last one's end, of them
        `working_seconds` in which there was a file in work, `fps` over these, `nodes` with their
        files, frames, and frames a second of the time in which they had a file in work, `slowest`
        files, `failures` by kind with their number, `failed` files with their sentence, files done
        in `parts`, and what is to be said of files, as `remarks`.
    """
    done = [one for one in entries if one.state == State.DONE]
    begun = min((one.begun for one in done), default=0.0)
    wall = max((_ended(one) for one in done), default=0.0) - begun
    working = _working(done)
    frames = sum(one.frames for one in done)
    nodes: dict[str, JSON] = {}
    by_node: dict[str, list[Entry]] = {}
    for one in done:
        by_node.setdefault(one.node, []).append(one)
    for name, of_node in sorted(by_node.items()):
        of_frames, of_time = sum(one.frames for one in of_node), _working(of_node)
        nodes[name] = {
            "files": len(of_node),
            "frames": of_frames,
            "fps": of_frames / of_time if of_time else 0.0,
        }
    slowest = sorted(done, key=lambda one: one.seconds, reverse=True)[:_SLOWEST]
    failed = [one for one in entries if one.state == State.FAILED]
    return {
        "stream": __version__,
        "files": {str(state): sum(one.state == state for one in entries) for state in State},
        "frames": frames,
        "seconds": sum(one.seconds for one in done),
        "wall_seconds": wall,
        "working_seconds": working,
        "fps": frames / working if working else 0.0,
        "nodes": nodes,
        "slowest": [
            {"input": shown(one.wanted.source), "seconds": one.seconds, "frames": one.frames}
            for one in slowest
        ],
        "failures": dict(Counter(kind_of(one.error, one.wanted.source) for one in failed)),
        "failed": [
            {"input": shown(one.wanted.source), "error": one.error, "tries": one.tries + one.lost}
            for one in failed
        ],
        "parts": [
            {
                "input": shown(one.wanted.source),
                "state": str(one.state),
                "parts": sum(each.key.step == Step.FIND for each in of),
                "tasks": len(of),
                "done": sum(each.state == State.DONE for each in of),
                "tries": sum(each.tries + each.lost for each in of),
                "seconds": {
                    step: sum(each.seconds for each in of if each.key.step == step)
                    for step in dict.fromkeys(str(each.key.step) for each in of)
                },
            }
            for one, of in _in_parts(entries, parts)
        ],
        "remarks": [
            {"input": shown(one.wanted.source), "remark": one.remark}
            for one in entries
            if one.remark
        ],
    }


def _in_parts(
    entries: Sequence[Entry], parts: Parts | None
) -> list[tuple[Entry, Sequence[PartEntry]]]:
    known = parts or {}
    return [(one, known[one.number]) for one in entries if known.get(one.number)]


def how_far(of: Sequence[PartEntry]) -> str:
    """How far a file is that is done in parts, in words."""
    return progress_of([(one.key, one.state == State.DONE) for one in of])


def kind_of(error: str, source: str) -> str:
    """A failure without what is the file's own: names, numbers and addresses."""
    name = PurePosixPath(source).name
    text = error.replace(source, "FILE").replace(name, "FILE")
    text = re.sub(r"\S*/\S*", "FILE", text)
    return re.sub(r"\d+(\.\d+)?", "N", text).strip() or "unknown"


def is_page(path: Path) -> bool:
    """Whether a page may be written to a file: it is not there, empty, a device or a page too.

    Raises:
        SinkError: it cannot be read.
    """
    return beginning_of(path, len(_BEGIN), "page") in (b"", _BEGIN)


def page(entries: Sequence[Entry], parts: Parts | None = None) -> str:
    """A page of HTML that needs nothing else: throughput over time, slowest files, failures."""
    known = figures(entries, parts)
    done = sorted((one for one in entries if one.state == State.DONE), key=lambda one: one.ended)
    states = known["files"]
    assert isinstance(states, dict)
    summary = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    failures = known["failures"]
    assert isinstance(failures, dict)
    body = [
        f"<h1>{_TITLE}</h1>",
        f"<p>{summary or 'no files'}; {counted(int(str(known['frames'])), 'frame')}, "
        f"{known['fps']:.1f} a second.</p>",
        "<h2>Frames a second over time</h2>",
        _throughput(done),
        "<h2>Machines</h2>",
        _nodes(known),
        "<h2>Slowest files</h2>",
        _bars(
            [
                (shown(one.wanted.source), one.seconds, f"{one.seconds:.1f} s")
                for one in sorted(done, key=lambda one: one.seconds, reverse=True)[:_SLOWEST]
            ]
        ),
        "<h2>Failures by kind</h2>",
        _bars(
            [
                (kind, float(str(count)), f"{count}")
                for kind, count in sorted(failures.items(), key=lambda pair: -int(str(pair[1])))
            ]
        ),
        _failed([one for one in entries if one.state == State.FAILED]),
        *(_tasks(one, of) for one, of in _in_parts(entries, parts)[:_LISTED]),
        _listed("Remarks", [(one.wanted.source, one.remark) for one in entries if one.remark]),
    ]
    return _FRAME.format(title=_TITLE, body="\n".join(body))


def _ended(one: Entry) -> float:
    """When a file was done; where the clock was set back meanwhile, by how long it took."""
    return one.ended if one.ended >= one.begun else one.begun + one.seconds


def _working(done: Sequence[Entry]) -> float:
    """Seconds in which at least one file was in work: a fleet may rest between two commands."""
    seconds, until = 0.0, float("-inf")
    for begun, ended in sorted((one.begun, _ended(one)) for one in done):
        seconds += max(0.0, ended - max(begun, until))
        until = max(until, ended)
    return seconds


def _throughput(done: Sequence[Entry]) -> str:
    """Each file's frames spread over the time that it took."""
    if not done:
        return "<p>Nothing is done yet.</p>"
    begun = min(one.begun for one in done)
    length = max(max(_ended(one) for one in done) - begun, 1e-3)
    step = length / _BARS
    frames = [0.0] * _BARS
    for one in done:
        first, last = (one.begun - begun) / step, (_ended(one) - begun) / step
        took = max(last - first, 1e-9)
        for place in range(max(0, int(first)), min(_BARS, int(last) + 1)):
            shared = min(last, place + 1) - max(first, place)
            frames[place] += one.frames * max(0.0, shared) / took
    rates = [count / step for count in frames]
    most = max(rates) or 1.0
    width = _WIDTH / _BARS
    bars = "".join(
        f'<rect x="{place * width:.1f}" y="{_HEIGHT * (1 - rate / most):.1f}" '
        f'width="{width - 1:.1f}" height="{_HEIGHT * rate / most:.1f}"/>'
        for place, rate in enumerate(rates)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="at most {most:.1f} frames a second, over {length:.0f} seconds">{bars}</svg>'
        f"<p>{length:.0f} seconds from left to right; at most {most:.1f} frames a second.</p>"
    )


def _nodes(known: dict[str, JSON]) -> str:
    nodes = known["nodes"]
    assert isinstance(nodes, dict)
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{about['files']}</td><td>{about['frames']}</td>"
        f"<td>{about['fps']:.1f}</td></tr>"
        for name, about in nodes.items()
        if isinstance(about, dict)
    )
    head = "".join(f"<th>{word}</th>" for word in ("machine", "files", "frames", "a second"))
    return f"<table><tr>{head}</tr>{rows}</table>"


def _bars(rows: Sequence[tuple[str, float, str]]) -> str:
    if not rows:
        return "<p>None.</p>"
    most = max(value for _, value, _ in rows) or 1.0
    return (
        "<table>"
        + "".join(
            f"<tr><td>{html.escape(name)}</td>"
            f"<td class=bar><i style='width:{100 * value / most:.1f}%'></i></td>"
            f"<td>{html.escape(said)}</td></tr>"
            for name, value, said in rows
        )
        + "</table>"
    )


def _tasks(entry: Entry, of: Sequence[PartEntry]) -> str:
    """A file's parts, with the seconds that each took."""
    said = "done" if entry.state == State.DONE else how_far(of)
    rows = [
        (
            str(one.key)
            + (
                f", {counted(failed, 'try', 'tries')} failed"
                if (failed := one.tries + one.lost)
                else ""
            ),
            one.seconds,
            f"{one.seconds:.1f} s" if one.state == State.DONE else str(one.state),
        )
        for one in of
    ]
    name = html.escape(shown(entry.wanted.source))
    return f"<h2>In parts: {name}</h2><p>{html.escape(said)}</p>{_bars(rows)}"


def _failed(failed: Sequence[Entry]) -> str:
    return _listed("Failed files", [(one.wanted.source, one.error) for one in failed])


def _listed(title: str, said: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(shown(source))}</td><td>{html.escape(text)}</td></tr>"
        for source, text in said[:_LISTED]
    )
    more = len(said) - _LISTED
    further = f"<p>And {more} more; the report in JSON has them all.</p>" if more > 0 else ""
    return f"<h2>{title}</h2><table>{rows}</table>{further}" if rows else ""


_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto;
  padding: 0 1rem; }}
svg {{ width: 100%; background: color-mix(in srgb, currentColor 6%, transparent); }}
rect, i {{ fill: #3b82f6; background: #3b82f6; }}
table {{ width: 100%; border-collapse: collapse; }}
td, th {{ text-align: left; padding: .2rem .5rem; border-bottom: 1px solid #8884;
  overflow-wrap: anywhere; }}
td.bar {{ width: 40%; }}
td.bar + td {{ white-space: nowrap; }}
i {{ display: block; height: .8rem; min-width: 2px; }}
</style></head><body>
{body}
</body></html>
"""
_TITLE = "Fleet"
_BEGIN = f"{_FRAME.partition('{title}')[0]}{_TITLE}</title>".encode()
"""What a page is known by."""
