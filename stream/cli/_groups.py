"""Commands from groups of options: what such a dataclass is on the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, cast, get_origin, get_type_hints

import typer

from stream.errors import UsageError
from stream.settings.groups import Leaf, build, is_group, leaves, range_of, read

_PANELS = {
    "ModelOptions": "Model",
    "TrackingOptions": "Tracking",
    "PictureOptions": "Picture",
    "CutOptions": "Input",
    "ReplayOptions": "Input",
    "DecodingOptions": "Input",
    "CameraOptions": "Input",
    "NetworkOptions": "Input",
    "OutputOptions": "Output",
    "BesideOptions": "Output",
    "CountOptions": "Counts",
    "LiveOptions": "Live",
    "ServeOptions": "Page",
    "BatchOptions": "Several inputs",
    "RunOptions": "Options",
    "HereOptions": "Options",
}
"""The heading of a group's options; its own name without "Options" where it is not here."""


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Turns a function that takes groups into one whose parameters are their options.

    Parameters that are groups (by their annotation: a dataclass of options, or of groups) become an
    option for each of their fields; the others stay as Typer knows them. The function is called
    with instances of the groups. Values are read by `stream.settings.groups`, not by Typer: the
    configuration file takes and refuses the same.

    Raises:
        TypeError: two options have one name, or an option does not say what holds without it.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, type] = {}
    own: list[inspect.Parameter] = []
    options: dict[str, inspect.Parameter] = {}
    asked: dict[str, Leaf] = {}
    negated: dict[str, str] = {}
    for parameter in inspect.signature(function).parameters.values():
        hint = hints[parameter.name]
        if not is_group(hint):
            own.append(parameter.replace(annotation=hint, kind=parameter.KEYWORD_ONLY))
            continue
        groups[parameter.name] = hint
        for name, leaf in leaves(hint).items():
            if name in asked:
                raise TypeError(f"{function.__name__} has the option {name!r} twice")
            asked[name] = leaf
            options[name] = _parameter(leaf)
            if leaf.option.off:
                negated[f"no_{name}"] = name
                options[f"no_{name}"] = _negation(leaf)
    if "display" in options and (of_footage := asked.get("from_records")):
        # What is shown live was not recorded; the option is known there only to be refused.
        options[of_footage.name] = _parameter(of_footage, hidden=True)

    def call(**given: object) -> None:
        for no, name in negated.items():
            if given.pop(no, None):
                leaf = asked[name]
                if given.get(name) is not None:
                    raise UsageError(f"{leaf.flag} and {_no(leaf)} do not go together")
                given[name] = leaf.option.off
        for name, leaf in asked.items():
            if _listed(leaf) and given.get(name):
                # Given several times they mean what they mean with commas between them.
                given[name] = ",".join(cast("list[str]", given[name]))
        values = {
            name: read(leaf, given.pop(name), leaf.flag)
            for name, leaf in asked.items()
            if given.get(name) not in (None, [])
        }
        if "from_records" in values:
            from stream.run.guard import refuse_beside_records

            # Here it is known that an option was typed, also one whose value holds anyway.
            refuse_beside_records(values)
        plain = {name: value for name, value in given.items() if name not in asked}
        made: dict[str, object] = {name: build(group, values) for name, group in groups.items()}
        function(**plain, **made)

    parameters = [*own, *options.values()]
    call.__name__ = function.__name__
    call.__doc__ = function.__doc__
    call.__module__ = function.__module__
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    return call


def shared(group: type, name: str) -> Any:
    """A field like one of another group, for a command that needs some of its options only."""
    leaf = leaves(group)[name]
    return field(default=leaf.default, metadata={"option": leaf.option})


def help_of(leaf: Leaf) -> str:
    """What the help says of an option: what it does, its bounds, its default.

    Raises:
        TypeError: it does not say what holds where it is not given.
    """
    default = leaf.said_default
    if not default:
        raise TypeError(f"{leaf.group.__name__}.{leaf.name} does not say what its default is")
    bounds = range_of(leaf.option)
    said = f"{bounds}; default: {default}" if bounds and bounds not in leaf.option.help else ""
    return f"{leaf.option.help} [{said or f'default: {default}'}]"


def _parameter(leaf: Leaf, *, hidden: bool = False) -> inspect.Parameter:
    flag = leaf.flag
    names = [flag]
    if leaf.kind is bool:
        if leaf.default is not False:
            names = [f"{flag}/--no-{flag.removeprefix('--')}"]
        # A flag that nobody gave is None: the group's own default holds.
        hint: object = bool | None
        metavar = None
    else:
        hint = list[str] | None if leaf.option.many or _listed(leaf) else str | None
        metavar = leaf.option.metavar or _metavar(leaf)
    if leaf.option.short:
        names.append(leaf.option.short)
    title = _title(leaf)
    option = typer.Option(
        *names,
        help=help_of(leaf),
        metavar=metavar,
        show_default=False,
        autocompletion=_completing(leaf),
        hidden=hidden,
        rich_help_panel=None if title == "Options" else title,
    )
    return inspect.Parameter(
        leaf.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[hint, option],
    )


def _title(leaf: Leaf) -> str:
    """The heading that an option stands under; a command's own part of a group stands under its."""
    group = leaf.group.__name__.removeprefix("_")
    return _PANELS.get(group, group.removesuffix("Options"))


def _looks() -> Iterable[str]:
    from stream.compositing.layer import LAYERS
    from stream.compositing.painter import ALIASES

    return (*ALIASES, *LAYERS.names())


def _trackers() -> Iterable[str]:
    from stream import tracking

    return tracking.names()


def _models() -> Iterable[str]:
    from stream.inference.catalogue import entries

    return entries()


_NAMED: Mapping[str, Callable[[], Iterable[str]]] = {
    "look": _looks,
    "tracker": _trackers,
    "model": _models,
}
"""Options whose values have names that are found, by the name of the option."""


def _completing(leaf: Leaf) -> Callable[[str], list[str]] | None:
    """What a shell offers for an option's value; None where that is nothing that has a name."""
    named = _NAMED.get(leaf.name)
    if named is None and not leaf.option.choices:
        return None

    def complete(incomplete: str) -> list[str]:
        # Of layers joined with + the last one is being written.
        before, plus, last = incomplete.rpartition("+")
        known = named() if named is not None else leaf.option.choices
        return [f"{before}{plus}{one}" for one in sorted(known) if one.startswith(last)]

    return complete


def _no(leaf: Leaf) -> str:
    return f"--no-{leaf.flag.removeprefix('--')}"


def _negation(leaf: Leaf) -> inspect.Parameter:
    """The flag that stands for an option's word for nothing."""
    flag = typer.Option(
        _no(leaf),
        help=f"The same as {leaf.flag} {leaf.option.off}. [default: off]",
        show_default=False,
        rich_help_panel=_title(leaf),
    )
    return inspect.Parameter(
        f"no_{leaf.name}",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[bool | None, flag],
    )


def _listed(leaf: Leaf) -> bool:
    """Whether its value is a list that is written with commas."""
    return leaf.kind == tuple[str, ...] and not leaf.option.many


def _metavar(leaf: Leaf) -> str:
    if leaf.option.choices:
        return "|".join(leaf.option.choices)
    if get_origin(leaf.kind) is tuple:
        return "A,B,…"
    words: dict[object, str] = {int: "N", float: "NUMBER", Path: "FILE"}
    return words.get(leaf.kind, "TEXT")
