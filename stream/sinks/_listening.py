"""Whether a program of this machine waits for connections, told without calling it.

Some wait for one call only, such as `ffmpeg -listen 1`: to see whether they are there would use
them up.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from pathlib import Path

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENS = "0A"


def listens_here(host: str, port: int) -> bool:
    """Whether a program of this machine listens there; False also where that cannot be told.

    Only Linux tells. What the machine hands on to others, as it does for containers, stands in no
    table.

    Args:
        host: a name or an address; only this machine's own are looked at.
        port: of TCP.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    addresses = [str(place[0]) for *_, place in found]
    taken = [address for table in _TABLES for address in _listening(Path(table), port)]
    # The first is called first.
    return any(_takes(one, addresses[0]) for one in taken) and _is_own(addresses[0])


def _listening(table: Path, port: int) -> list[str]:
    """The addresses at which somebody listens at a port."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    found = []
    for line in lines:
        _, place, _, state, *_ = line.split()
        address, _, at = place.partition(":")
        if state == _LISTENS and int(at, 16) == port:
            # Words of four bytes, each as this processor has it in memory.
            words = [int(address[i : i + 8], 16) for i in range(0, len(address), 8)]
            data = b"".join(socket.ntohl(word).to_bytes(4, "big") for word in words)
            found.append(str(ip_address(data)))
    return found


def _takes(listening: str, called: str) -> bool:
    """Whether who listens at one address is reached by a call to another."""
    at, to = ip_address(listening), ip_address(called.partition("%")[0])
    mapped = getattr(at, "ipv4_mapped", None) or at
    # At "any address" of IPv6 those of IPv4 are mostly taken, too.
    return mapped == to or (at.is_unspecified and at.version >= to.version)


def _is_own(address: str) -> bool:
    """Whether it is this machine's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
