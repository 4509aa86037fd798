"""What is wrong with an address that nothing can be reached by, whoever is there."""

from __future__ import annotations

import re

from stream.wording.addresses import awaits_call, split

_WITH_PORT = ("udp", "tcp", "rtp", "srt")
"""Schemes for which no port is usual."""

_MOST = 65535


def fault_of(address: str) -> str | None:
    """What is wrong with how host and port are written, for people; None where nothing is.

    Args:
        address: scheme://[user:password@]host[:port]/path.
    """
    scheme, _, rest = split(address)
    place = re.split(r"[/?#]", rest, maxsplit=1)[0].removeprefix("@")
    if re.search(r"\s", place):
        return f"there is a blank in the host, {place!r}"
    host, port = _parted(place)
    if port is None:
        return host
    if port and not (re.fullmatch("[0-9]+", port) and 0 < int(port) <= _MOST):
        return f"the port is a number from 1 to {_MOST}, not {port!r}"
    if not port and scheme.lower() in _WITH_PORT:
        return f"it names no port, as in {scheme}://{host or '0.0.0.0'}:5000"
    if not host and not (scheme.lower() in ("udp", "rtp") or awaits_call(address)):
        return f"it names no host, as in {scheme}://camera{f':{port}' if port else ''}/stream"
    return None


def _parted(place: str) -> tuple[str, str | None]:
    """Host and port, "" where there is none; where they cannot be told, why, and None."""
    if not place.startswith("["):
        if place.count(":") > 1:
            return f"an IPv6 address stands in brackets, the port behind them: [{place}]", None
        host, _, port = place.partition(":")
        return host, port
    host, closed, behind = place.partition("]")
    if not closed:
        return "an IPv6 address ends with a bracket, too: [::1]", None
    if behind and not behind.startswith(":"):
        return f"behind the bracket comes a colon and the port, not {behind!r}", None
    return f"{host}]", behind[1:]
