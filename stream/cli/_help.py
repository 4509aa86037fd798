"""How help looks: plain text, a section for each group of options, every default said."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from stream.cli._machinery import Context, Formatter, Parameter, Runnable
from stream.errors import UsageError
from stream.settings.groups import range_of
from stream.settings.option import Option
from stream.wording.words import visible

_NAMES = 0.44
"""Share of a line for the names of options before their help starts on a line of its own."""


class Command(TyperCommand):
    """A command whose help says of each option what holds where it is not given."""

    def __init__(self, *args: Any, **how: Any) -> None:
        how["rich_markup_mode"] = None
        super().__init__(*args, **how)

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Arguments and options, `--help` among them."""
        return take_as_typed(super().get_params(ctx))

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Reads what was typed.

        Raises:
            UsageError: a name is empty, as of a variable of a shell that is not set; or it stands
                behind `-o=`, which would be a part of it.
        """
        pairs = list(zip(("", *args), (*args, "-"), strict=True))
        left = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            _refuse_empty(self.get_params(ctx), ctx.params, pairs)
            _refuse_equals(self.get_params(ctx), pairs)
        return left

    def shell_complete(self, ctx: Context, incomplete: str) -> list[Any]:
        """What may stand in place of a word that is not finished, for a shell."""
        return in_one_line(super().shell_complete(ctx, incomplete))

    def format_options(self, ctx: Context, formatter: Formatter) -> None:
        """Writes the arguments and, a section a panel, the options."""
        write_options(self, ctx, formatter)

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """What stands behind the command's name in the line of its usage."""
        return usage_pieces(self, ctx)

    def format_epilog(self, ctx: Context, formatter: Formatter) -> None:
        """Writes the examples, a line each."""
        write_examples(self.epilog, formatter)


class Group(TyperGroup):
    """A group of commands whose help looks like theirs."""

    def __init__(self, *args: Any, **how: Any) -> None:
        how["rich_markup_mode"] = None
        super().__init__(*args, **how)

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Arguments and options, `--help` among them."""
        return take_as_typed(super().get_params(ctx))

    def shell_complete(self, ctx: Context, incomplete: str) -> list[Any]:
        """What may stand in place of a word that is not finished, for a shell."""
        return in_one_line(super().shell_complete(ctx, incomplete), self.commands_help())

    def commands_help(self) -> Mapping[str, str]:
        """What commands do, by their names, where more is known than their own help's beginning."""
        return {}

    def format_options(self, ctx: Context, formatter: Formatter) -> None:
        """Writes the options, then the commands."""
        write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Context, formatter: Formatter) -> None:
        """Writes the commands with all of what each does."""
        rows = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section(_heading("Commands")):
            write_rows([(name, first_line(one)) for name, one in rows.items() if one], formatter)

    def format_epilog(self, ctx: Context, formatter: Formatter) -> None:
        """Writes the examples, a line each."""
        write_examples(self.epilog, formatter)


def first_line(command: Runnable) -> str:
    """What a command does, from its help's first paragraph."""
    return " ".join((command.help or "").strip().partition("\n\n")[0].split())


def usage_pieces(command: Runnable, ctx: Context) -> list[str]:
    """`[OPTIONS]` and the arguments, in brackets where they may be left out."""
    pieces = [command.options_metavar] if command.options_metavar else []
    for param in command.get_params(ctx):
        if param.param_type_name == "argument":
            pieces.append(argument_name(param) if param.required else f"[{argument_name(param)}]")
    return pieces


def write_examples(lines: str | None, formatter: Formatter) -> None:
    """Writes lines as they are, so that each can be copied as one."""
    if lines:
        with formatter.section(_heading("Examples")):
            for line in lines.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class _AsTyped:
    """Stands for Typer's own reading of a value where there is nothing to be read."""

    def coerce(self, value: object, param: Parameter, ctx: Context) -> object:
        """The value as it is; no values of those that may be several are an empty tuple."""
        several = param.multiple or param.nargs == -1
        return () if value is None and several else value


def _refuse_empty(
    params: Sequence[Parameter], given: Mapping[str, object], pairs: Sequence[tuple[str, str]]
) -> None:
    """Refuses an empty name of a file or folder, which would be the folder that one is in.

    Args:
        params: of the command.
        given: their values by name.
        pairs: each word that was typed behind the one before it.
    """
    for param in params:
        value = given.get(param.name)
        if param.param_type_name == "argument":
            name = argument_name(param)
            empty = value == "" or (isinstance(value, list | tuple) and "" in value)
        else:
            name = max(param.opts, key=len)
            empty = value == Path() and any(
                (before in param.opts and not one) or one == f"{opt}="
                for before, one in pairs
                for opt in param.opts
            )
        if empty:
            raise _empty(name)


def _empty(name: str) -> UsageError:
    return UsageError(f"{name} is empty; is a variable of the shell not set?")


def _refuse_equals(params: Sequence[Parameter], pairs: Sequence[tuple[str, str]]) -> None:
    """Refuses `-o=out.mp4`, as the file would be called "=out.mp4".

    Args:
        params: of the command.
        pairs: each word that was typed behind the one before it.
    """
    valued = {opt: param.opts for param in params if not _is_flag(param) for opt in param.opts}
    for before, word in pairs:
        if word == "--":
            return
        if word[2:3] == "=" and word[:2] in valued and before not in valued:
            name, text = word[:2], visible(word[3:])
            whole = max(valued[name], key=len)
            if not text:
                raise _empty(whole)
            raise UsageError(
                f"{name}={text} names a file ={text}; say {name} {text} or {whole}={text}"
            )


def _is_flag(param: Parameter) -> bool:
    return bool(getattr(param, "is_flag", False))


_BESIDE = 60
"""Characters of help that shells show beside what they offer."""


def in_one_line(offered: list[Any], helps: Mapping[str, str] | None = None) -> list[Any]:
    """What shells are to offer, each with the beginning of its help.

    Typer breaks longer helps into lines, of which each is an offer to fish, and takes what stands
    in brackets for markup.

    Args:
        offered: the machinery's items, which are changed.
        helps: by value, in place of the items' own.
    """
    for item in offered:
        text = (helps or {}).get(item.value) or item.help or ""
        whole = re.sub(r"\s*\[[^]]*\]", "", text)
        item.help = textwrap.shorten(whole, _BESIDE, placeholder=" ...") or None
    return offered


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
                write_rows(rows, formatter)


def write_rows(rows: Sequence[tuple[str, str]], formatter: Formatter) -> None:
    """Writes names and beside them what each is; no line ends within a word with a dash.

    Args:
        rows: names and texts; one at least.
        formatter: of the help page, in the section that the rows belong to.
    """
    before = " " * formatter.current_indent
    names = min(max(len(name) for name, _ in rows), int(formatter.width * _NAMES))
    width = max(formatter.width - len(before) - names - 2, 16)
    for name, text in rows:
        lines = textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False) or [""]
        above = [f"{before}{name}"] if len(name) > names else []
        first = "" if above else name
        beside = [f"{before}{first:{names}}  {lines[0]}"]
        beside += [f"{before}{'':{names}}  {line}" for line in lines[1:]]
        for line in (*above, *beside):
            formatter.write(f"{line.rstrip()}\n")


def _heading(title: str) -> str:
    return typer.style(title, bold=True) if sys.stdout.isatty() else title


def argument_name(param: Parameter) -> str:
    """What an argument is called, with an ellipsis where it may be several."""
    name = (param.metavar or param.name.upper()).strip("[]").rstrip(".…")
    return f"{name}…" if param.nargs != 1 else name


def _argument(param: Parameter) -> tuple[str, str]:
    return argument_name(param), _with_default(param, param.help or "")


def _option(param: Parameter) -> tuple[str, str]:
    # A short flag first, as everywhere.
    names = sorted(param.opts, key=len)
    first = ", ".join(names) + "".join(f" / {name}" for name in param.secondary_opts)
    value = "" if _is_flag(param) else f" {param.metavar or _value(param)}"
    return f"{first}{value}", _with_bounds(param, _with_default(param, param.help or ""))


_WORDS: Mapping[object, str] = {
    **{int: "N", float: "NUMBER", Path: "PATH"},
    # As Typer called them before it kept the annotation.
    **{"integer": "N", "integer range": "N", "float": "NUMBER", "float range": "NUMBER"},
    "path": "PATH",
}


def _kind(param: Parameter) -> Any:
    """The annotation of a parameter, or what Typer made of it before it kept that."""
    descriptor = getattr(param, "type_descriptor", None)
    return param.type if descriptor is None else descriptor.annotation


_NUMBERS = {"N": int, "NUMBER": float}


def kind_of(param: Parameter) -> type | None:
    """Whether it is a whole number (int) or any number (float); None for all else."""
    kind = _kind(param)
    word = _WORDS.get(kind) or _WORDS.get(getattr(kind, "name", None), "")
    return _NUMBERS.get(word)


def choices_of(param: Parameter) -> tuple[str, ...]:
    """The values of a parameter that has only some."""
    kind = _kind(param)
    choices = getattr(kind, "choices", None) or ()
    if isinstance(kind, type) and issubclass(kind, Enum):
        choices = tuple(kind)
    return tuple(str(getattr(one, "value", one)) for one in choices)


def span_of(param: Parameter) -> tuple[float | None, float | None]:
    """The least and the largest value of a number, None where there is no such bound."""
    inner = getattr(param, "type", None)
    low, high = (
        getattr(param, end, None) if hasattr(param, end) else getattr(inner, end, None)
        for end in ("min", "max")
    )
    return low, high


def _value(param: Parameter) -> str:
    """What stands for the value of an option that does not say so itself."""
    choices, kind = choices_of(param), _kind(param)
    if choices:
        return "|".join(choices)
    return _WORDS.get(kind) or _WORDS.get(getattr(kind, "name", None)) or "TEXT"


def _with_bounds(param: Parameter, text: str) -> str:
    """The help with what values go, before the default, unless it says so itself."""
    low, high = span_of(param)
    bounds = range_of(Option("", low=low, high=high))
    if kind_of(param) is None or not bounds or bounds in text:
        return text
    return re.sub(r"\[(?=default|required)", f"[{bounds}; ", text, count=1)


def _with_default(param: Parameter, text: str) -> str:
    """The help with what holds where the option is not given, unless it says so itself."""
    if re.search(r"\[[^]]*(default|required)\b", text) or param.name in ("help", "version"):
        return text
    if param.name in ("install_completion", "show_completion"):
        return text
    if param.required:
        said = "required"
    elif _is_flag(param):
        off = [name for name in param.secondary_opts if not name.startswith("--no-")]
        ways = [max(param.opts, key=len), *off] if off else ["on", "off"]
        said = f"default: {ways[0] if param.default is True else ways[1]}"
    elif param.default in (None, "", (), []) or callable(param.default):
        said = "default: none"
    else:
        default = getattr(param.default, "value", param.default)
        said = f"default: {default}"
    return f"{text} [{said}]".strip()
