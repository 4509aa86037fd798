"""How help looks: plain text, a section for each group of options, every default said."""

from __future__ import annotations

import re
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from stream.cli._machinery import Context, Formatter, Parameter, Runnable

_NAMES = 34
"""Columns for the names of options before their help starts on a line of its own."""


class Command(TyperCommand):
    """A command whose help says of each option what holds where it is not given."""

    def __init__(self, *args: Any, **how: Any) -> None:
        how["rich_markup_mode"] = None
        super().__init__(*args, **how)

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Arguments and options, `--help` among them."""
        return take_as_typed(super().get_params(ctx))

    def format_options(self, ctx: Context, formatter: Formatter) -> None:
        """Writes the arguments and, a section a panel, the options."""
        write_options(self, ctx, formatter)


class Group(TyperGroup):
    """A group of commands whose help looks like theirs."""

    def __init__(self, *args: Any, **how: Any) -> None:
        how["rich_markup_mode"] = None
        super().__init__(*args, **how)

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Arguments and options, `--help` among them."""
        return take_as_typed(super().get_params(ctx))

    def format_options(self, ctx: Context, formatter: Formatter) -> None:
        """Writes the options, then the commands."""
        write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)


class _AsTyped:
    """Stands for Typer's own reading of a value where there is nothing to be read."""

    def coerce(self, value: object, param: Parameter, ctx: Context) -> object:
        """The value as it is; no values of those that may be several are an empty tuple."""
        several = param.multiple or param.nargs == -1
        return () if value is None and several else value


_TEXTS: tuple[object, ...] = (str, bool, list[str])


def take_as_typed(params: list[Parameter]) -> list[Parameter]:
    """Lets texts and flags through as the command line has them.

    Typer's later releases load pydantic, a tenth of a start, to make texts of texts; its earlier
    ones have no such step, and are left alone.
    """
    for param in params:
        descriptor = getattr(param, "type_descriptor", None)
        if descriptor is not None and descriptor.annotation in _TEXTS:
            param.get_runtime_param = _AsTyped
    return params


def write_options(command: Runnable, ctx: Context, formatter: Formatter) -> None:
    """Writes a command's arguments and options to a help page."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        if getattr(param, "hidden", False):
            continue
        is_argument = param.param_type_name == "argument"
        panel = getattr(param, "rich_help_panel", None)
        title = panel or ("Arguments" if is_argument else "Options")
        row = _argument(param) if is_argument else _option(param)
        sections.setdefault(title, []).append(row)
    # What belongs to the command alone comes first, what all commands have comes last.
    general = sections.pop("Options", [])
    for title, rows in [*sections.items(), ("Options", general)]:
        if rows:
            with formatter.section(_heading(title)):
                formatter.write_dl(rows, col_max=_NAMES)


def _heading(title: str) -> str:
    return typer.style(title, bold=True) if sys.stdout.isatty() else title


def _argument(param: Parameter) -> tuple[str, str]:
    name = param.metavar or param.name.upper()
    many = "…" if param.nargs != 1 and not name.endswith("…") else ""
    return f"{name}{many}", _with_default(param, param.help or "")


def _option(param: Parameter) -> tuple[str, str]:
    # A short flag first, as everywhere.
    names = sorted(param.opts, key=len)
    first = ", ".join(names) + "".join(f" / {name}" for name in param.secondary_opts)
    value = "" if param.is_flag else f" {param.metavar or _value(param)}"
    return f"{first}{value}", _with_default(param, param.help or "")


def _value(param: Parameter) -> str:
    """What stands for the value of an option of another package."""
    kind = getattr(param, "type", None)
    return str(getattr(kind, "name", "") or "value").upper()


def _with_default(param: Parameter, text: str) -> str:
    """The help with what holds where the option is not given, unless it says so itself."""
    if re.search(r"\[[^]]*(default|required)\b", text) or param.name in ("help", "version"):
        return text
    if param.name in ("install_completion", "show_completion"):
        return text
    if param.required:
        said = "required"
    elif getattr(param, "is_flag", False):
        said = "default: on" if param.default is True else "default: off"
    elif param.default in (None, "", (), []) or callable(param.default):
        said = "default: none"
    else:
        default = getattr(param.default, "value", param.default)
        said = f"default: {default}"
    return f"{text} [{said}]".strip()
