"""Plans to TOML: what `--save-config` writes, and `config` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from stream.disk.files import write_whole
from stream.errors import SinkError, UsageError
from stream.plans.tables import NOT_HERE, TABLES
from stream.plans.toml_lines import unfilled
from stream.run.plan import RunPlan
from stream.settings.groups import changed, leaves
from stream.settings.options import InputOptions, OutputOptions, PictureOptions
from stream.wording.names import NAME, not_at_home, unknown_word

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_FILES = {"target", "to"} | {
    name
    for group in (*TABLES.values(), InputOptions, PictureOptions, OutputOptions)
    for name, leaf in leaves(group).items()
    if leaf.file
}
"""Keys whose texts may be names of files."""


def dump(plans: RunPlan | Sequence[RunPlan]) -> str:
    """Plans as a configuration file: what differs from the defaults, and nothing else.

    Args:
        plans: one, or several of one model, tracking, live and run.

    Raises:
        UsageError: they cannot be put into one file.
    """
    plans = [plans] if isinstance(plans, RunPlan) else list(plans)
    if not plans:
        raise UsageError("there is no plan to write down")
    first = plans[0]
    lines: list[str] = []
    for name, group in _groups_of(first).items():
        if any(_groups_of(plan).get(name) != group for plan in plans):
            raise UsageError(f"plans of one file share one [{name}]")
        values = {key: one for key, one in changed(group).items() if key not in NOT_HERE}
        if values or name == "fleet":  # which says so by being there
            lines += ["", f"[{name}]", *_entries(values)]
    for plan in plans:
        target = plan.source.target
        source: dict[str, object] = {"target": target}
        targets = [one.target for one in plan.outputs]
        if plan.source.name:
            source["name"] = plan.source.name
        elif any(NAME in one for one in (*targets, str(plan.run.report or ""))):
            # A name that stands for itself: the targets are meant as they are written.
            source["name"] = NAME
        lines += ["", "[[source]]", *_entries(source | changed(plan.source.options))]
        heading = "[[output]]" if len(plans) == 1 else "[[source.output]]"
        for output in plan.outputs:
            values = {"to": output.target, **changed(output.picture), **changed(output.options)}
            lines += ["", heading, *_entries(values)]
    return "\n".join(lines[1:]) + "\n"


def save(path: Path, plans: RunPlan | Sequence[RunPlan]) -> None:
    """Writes plans to a new file.

    Raises:
        UsageError: the file is there already.
        SinkError: it cannot be written.
    """
    text = dump(plans)
    try:
        write_whole(path, text.encode(), overwrite=False)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already; remove it or name another file") from error
    except (OSError, UnicodeEncodeError) as error:
        reason = getattr(error, "strerror", None) or "a name in it cannot be written in UTF-8"
        raise SinkError(f"the configuration {path} cannot be written: {reason}") from error


def _groups_of(plan: RunPlan) -> dict[str, DataclassInstance]:
    groups = {one.name: getattr(plan, one.name) for one in fields(plan) if one.name in TABLES}
    return {name: group for name, group in groups.items() if group is not None}


def _entries(values: Mapping[str, object]) -> list[str]:
    return [f"{key} = {_written(value, file=key in _FILES)}" for key, value in values.items()]


def _written(value: object, *, file: bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_written(one, file=file) for one in value)}]"
    text = not_at_home(str(value)) if file else str(value)
    doubtful = file and (unfilled(text) or unknown_word(text))
    if doubtful and "://" not in text and not Path(text).is_absolute():
        text = f"./{text}"
    # JSON's escapes are TOML's too; delete is the one character that TOML wants escaped besides.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
