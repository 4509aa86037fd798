"""Arguments of processes as other users of the machine see them: without passwords and keys."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from stream.wording.addresses import pattern_of, secrets_of

_log = logging.getLogger(__name__)

_OF_SECRETS = ("--token",)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.*", re.DOTALL)
_ARGUMENTS = 47
"""Where /proc/PID/stat says at which address the arguments begin, counted from 0; see proc(5)."""


def hide(process: int | None = None) -> None:
    """Takes the secrets out of what the list of processes shows of one, where that goes.

    Linux shows a process's arguments to everybody, from the process's own memory. They are seen
    for the moment until this is called.

    Args:
        process: one that this one started, and that has read its arguments already; None for this
            one.
    """
    if sys.platform == "linux":
        _overwrite(Path(f"/proc/{'self' if process is None else process}"))


def _overwrite(about: Path) -> None:
    """Writes over the arguments in the memory of a process, which lies in /proc as `about`."""
    try:
        before = (about / "cmdline").read_bytes()
        arguments = [one.decode("utf-8", "surrogateescape") for one in before.split(b"\0")[:-1]]
        after = b"".join(
            one.encode("utf-8", "surrogateescape") + b"\0" for one in without_secrets(arguments)
        )
        if after == before or len(after) != len(before):
            return
        # The name in parentheses, the second field, may hold anything.
        fields = (about / "stat").read_text().rpartition(")")[2].split()
        with (about / "mem").open("r+b", buffering=0) as memory:
            memory.seek(int(fields[_ARGUMENTS - 2]))
            memory.write(after)
    except OSError as error:
        _log.debug("the arguments stay as they are in the list of processes: %s", error)


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """Arguments with an x for every byte of a secret, as long as before.

    Args:
        arguments: as they were given; what is no text in UTF-8 as surrogates.
    """
    shown: list[str] = []
    for place, argument in enumerate(arguments):
        before = arguments[place - 1] if place else ""
        name, _, value = argument.partition("=")
        if before in _OF_SECRETS:
            shown.append(_crossed(argument))
        elif value and name in _OF_SECRETS:
            shown.append(f"{name}={_crossed(value)}")
        else:
            shown.append(_ADDRESS.sub(lambda found: _without_its_secrets(found[0]), argument))
    return shown


def _without_its_secrets(address: str) -> str:
    scheme, separator, rest = address.partition("://")
    for secret in sorted(secrets_of(address, words=True), key=len, reverse=True):
        rest = re.sub(pattern_of(secret), _crossed(secret), rest)
    return f"{scheme}{separator}{rest}"


def _crossed(secret: str) -> str:
    return "x" * len(secret.encode("utf-8", "surrogateescape"))
