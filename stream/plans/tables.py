"""Which tables and keys a configuration has, and what options are called there."""

from __future__ import annotations

import re
from collections.abc import Collection

from stream.settings.fleet_options import FleetOptions
from stream.settings.groups import leaves
from stream.settings.options import (
    CountOptions,
    InputOptions,
    LiveOptions,
    ModelOptions,
    OutputOptions,
    PictureOptions,
    RunOptions,
    TrackingOptions,
)
from stream.settings.serve_options import ServeOptions

TABLES: dict[str, type] = {
    "model": ModelOptions,
    "tracking": TrackingOptions,
    "live": LiveOptions,
    "run": RunOptions,
    "serve": ServeOptions,
    "counts": CountOptions,
    "fleet": FleetOptions,
}
NOT_HERE = frozenset({"save_config", "status"})
"""Options that make no sense in a file."""
OWN_KEYS = {"target": "[[source]]", "to": "[[output]]"}
"""Keys that are no options, and where each belongs."""


def with_keys(sentence: str, flags: Collection[str] = ()) -> str:
    """A sentence in which options are called as they are in a file; other programs' stay.

    Args:
        sentence: an error's, with the command line's flags.
        flags: that are meant as they are.
    """
    groups = (*TABLES.values(), InputOptions, PictureOptions, OutputOptions)
    keys = {leaf.flag: name for group in groups for name, leaf in leaves(group).items()}

    def key(flag: re.Match[str]) -> str:
        if flag[0] in flags:
            return flag[0]
        if f"--{flag[2]}" in keys and flag[1]:
            return f"{keys[f'--{flag[2]}']} = false"
        return keys.get(flag[0], flag[0])

    return re.sub(r"--(no-)?([a-z][a-z-]*)", key, sentence)


def home_of(key: str) -> str:
    """Which table an option belongs to; "" where there is none of that name."""
    if key in OWN_KEYS:
        return OWN_KEYS[key]
    homes = {
        **{f"[{name}]": group for name, group in TABLES.items()},
        "[[source]]": InputOptions,
    }
    for home, group in homes.items():
        if key in leaves(group) and key not in NOT_HERE:
            return home
    if key in leaves(PictureOptions) or key in leaves(OutputOptions):
        return "[[output]]"
    return ""
