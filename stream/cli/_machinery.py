"""What is used of the machinery under Typer.

It is Click, or Typer's own copy of it, from version to version in other places and with other
bases, so that there is no class of it that could be named.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Context: TypeAlias = Any
"""What is known of a command while it runs: `command`, `command_path`, `resilient_parsing`."""

Parameter: TypeAlias = Any
"""An argument or an option of a command."""

Runnable: TypeAlias = Any
"""A command or a group of commands, called with the arguments."""

Misuse: TypeAlias = Any
"""An error of the machinery's: `message`, and where they belong to it `ctx`, `param` and names."""

Formatter: TypeAlias = Any
"""Writes a page of help: `section` is a part with a heading, `write_dl` two columns."""
