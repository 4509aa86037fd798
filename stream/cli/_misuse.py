"""What is said where Typer's machinery did not understand what was typed, in words of ours."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from stream.cli._commands import load
from stream.cli._habits import advice
from stream.cli._help import argument_name, choices_of, kind_of, span_of
from stream.cli._hints import meant_option
from stream.cli._machinery import Context, Misuse, Parameter
from stream.errors import UsageError
from stream.settings.groups import Leaf, read
from stream.settings.likeness import nearest
from stream.settings.option import Option
from stream.wording.words import visible


def sentence(error: Misuse, arguments: Sequence[str]) -> str:
    """What is wrong, and what was probably meant.

    Args:
        error: of the machinery's.
        arguments: what was typed.
    """
    kind = type(error).__name__
    param = getattr(error, "param", None)
    extra = re.search(r"extra arguments? ?(?:\(s\) )?\((.*)\)", str(error.message))
    if kind == "NoSuchOption":
        name = error.option_name
        known = _options(error.ctx)
        typed = _typed(name, arguments)
        if os.path.lexists(typed):
            return f"{visible(typed)} is read as an option; ./{visible(typed)} is the file"
        others = _commands_with(name, error.ctx) if name.startswith("--") else []
        near = _look(name, known) or (
            nearest(name, known, by_letters=not others)
            if name.startswith("--")
            else meant_option(typed, known)
        )
        name = typed.partition("=")[0]
        if error.option_name == "-=":
            return f"{visible(name)} takes no value"
        instead = "" if near else advice(typed, arguments, _command(error.ctx))
        said = f"there is no option {visible(name)}"
        if others:
            listed = " and ".join(filter(None, (", ".join(others[:-1]), others[-1])))
            said += f" here, only in {listed}"
        said += f"; did you mean {near}?" if near else instead and f"; {instead}"
    elif kind == "MissingParameter" and param is not None:
        said = f"{_name_of(param)} is missing"
    elif kind == "BadParameter" and param is not None:
        said = _refused(param, arguments) or f"{_name_of(param)}: {_plain(error.message)}"
        if closed := re.search(r"'(.*)' is not readable", error.message):
            said = f"{_name_of(param)}: {closed[1]} may not be read; check its permissions"
    elif kind == "BadOptionUsage":
        takes = "takes no value" if "not take" in error.message else "needs a value"
        said = f"{error.option_name} {takes}"
    elif extra is not None:
        said = f"what is {extra[1]} for? There is an argument too many"
    elif (nobody := _NO_COMMAND.search(str(error.message))) and error.ctx is not None:
        command = _command(error.ctx)
        near = nearest(nobody[1], error.ctx.command.list_commands(error.ctx))
        said = f"there is no command {f'{command} {nobody[1]}'!r}"
        said += f"; did you mean {command} {near}?" if near else ""
    else:
        said = _plain(error.format_message())
    return said


def _typed(name: str, arguments: Sequence[str]) -> str:
    """The argument in which the machinery met an option that is not there.

    Args:
        name: the option; of `-vcodec`, which is read as letters of one each, the first unknown.
        arguments: what was typed.
    """
    whole = next((one for one in arguments if one.startswith(name)), "")
    if whole or name.startswith("--"):
        return whole or name
    letters = (one for one in arguments if re.match("-[^-]", one) and name[1:] in one)
    return next(letters, name)


def _command(ctx: Context) -> str:
    """The command that was called, such as "file" or "export yolact"; "" where none was."""
    return "" if ctx is None else str(ctx.command_path).partition(" ")[2]


_NO_COMMAND = re.compile(r"^No such command ['\"](.*?)['\"]")


def _refused(param: Parameter, arguments: Sequence[str]) -> str:
    """What options of groups say of such a value; "" where it is not found, or no such kind."""
    typed = ""
    for before, one in zip(("", *arguments), arguments, strict=False):
        name, equals, value = one.partition("=")
        if equals and name in param.opts:
            typed = value
        elif before in param.opts:
            typed = one
    kind, choices = kind_of(param), choices_of(param)
    if not typed or not (choices or kind in (int, float)):
        return ""
    low, high = span_of(param)
    asked = Option("", low=low, high=high, choices=choices)
    name = _name_of(param)
    try:
        read(Leaf(param.name, asked, str if choices else kind, None, Option), typed, name)
    except UsageError as error:
        return str(error)
    return ""


def _look(option: str, known: Sequence[str]) -> str:
    """The look that an option has the name of, as it is asked for; "" where none has."""
    name = option.removeprefix("--")
    if "--look" not in known or name == option:
        return ""
    from stream.compositing import LAYERS
    from stream.compositing.painter import ALIASES

    looks = {*ALIASES, *LAYERS.names()}
    return f"--look {name}" if name in looks else ""


_OF_SOURCES = ("file", "image", "webcam", "url")
"""Commands whose options are easily taken for another's."""


def _commands_with(option: str, ctx: Context) -> list[str]:
    """The commands of `_OF_SOURCES` that have an option; none where it is no such command's."""
    if ctx is None or ctx.info_name not in _OF_SOURCES:
        return []
    return [
        f"stream {name}"
        for name in _OF_SOURCES
        if option
        in {one for param in load(name).params for one in (*param.opts, *param.secondary_opts)}
    ]


def _name_of(param: Parameter) -> str:
    if param.param_type_name == "argument":
        return argument_name(param)
    return str(max(param.opts, key=len))


def _plain(message: str) -> str:
    """Someone else's message as one line that begins in lower case and has no full stop."""
    line = re.sub(r"\s+", " ", message).strip().rstrip(".")
    return line[:1].lower() + line[1:]


def _options(ctx: Context) -> list[str]:
    return (
        []
        if ctx is None
        else [
            name
            for param in ctx.command.get_params(ctx)
            for name in (*param.opts, *param.secondary_opts)
        ]
    )
