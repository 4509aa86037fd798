"""What the programmes of a broadcast are called, which FFmpeg reads and PyAV does not tell.

A transport stream says it in its service description table (ETSI EN 300 468, 5.2.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

BROADCAST = "mpegts"
"""FFmpeg's name of transport streams."""
# It comes every two seconds at least; of that much nearly every broadcast holds one.
_LOOKED_AT = 4_000_000
_PACKET = 188
_SYNC = re.compile(rb"(?=\x47.{187}\x47.{187}\x47|\x47.{191}\x47.{191}\x47)", re.DOTALL)
# The PID and the table of which programmes there are, and of what they are called.
_PROGRAMMES, _NAMES = (0x00, 0x00), (0x11, 0x42)
_SERVICE = 0x48
# What FFmpeg calls programmes that have no name.
_NOBODY = {"", "FFmpeg"}
_UNNAMED = re.compile(r"Service\d\d")


class Service(NamedTuple):
    """A programme: its name and who sends it, "" where it does not say."""

    name: str
    provider: str


def services_of(path: Path, part: tuple[int, int] | None = None) -> list[Service]:
    """The programmes of a transport stream, as far as its beginning tells.

    Of those that are in it: recordings of one programme mostly tell what all are called that were
    sent with it.

    Args:
        path: the file.
        part: the bytes from which and before which it is read; None for all.
    """
    begin, end = part or (0, _LOOKED_AT)
    if not path.is_file():  # to open a pipe would be to read it
        return []
    try:
        with path.open("rb") as file:
            file.seek(begin)
            data = file.read(min(_LOOKED_AT, end - begin))
    except OSError:  # whoever reads on says so
        return []
    packets = _packets(data)
    section = next(_sections(packets, *_NAMES), b"")
    there = _programmes(packets)
    return [one for number, one in _services(section[3:]) if there is None or number in there]


def broadcast(
    container: InputContainer, path: Path, part: tuple[int, int] | None = None
) -> list[Service]:
    """The programmes of an open file; none where it is no transport stream.

    Args:
        container: the open file.
        path: the file, of which some megabytes are read.
        part: the bytes from which and before which it is read; None for all.
    """
    return services_of(path, part) if container.format.name == BROADCAST else []


def tags_of(container: InputContainer, services: Sequence[Service]) -> dict[str, str]:
    """A film's tags; with them, of a broadcast that is one programme, what that is called."""
    return dict(container.metadata) | (_tags_of(services[0]) if len(services) == 1 else {})


def _tags_of(service: Service) -> dict[str, str]:
    """A programme's name as FFmpeg's muxer takes it."""
    name, provider = service
    named = {} if _UNNAMED.fullmatch(name) or not name else {"service_name": name}
    return named | ({} if provider in _NOBODY else {"service_provider": provider})


def joined(services: Sequence[Service]) -> list[str]:
    """That several programmes of a broadcast become one, in a sentence."""
    if len(services) < 2:
        return []
    names = ", ".join(one.name for one in services if one.name)
    called = f" ({names})" if names else ""
    return [f"the file's {len(services)} programmes{called} become one, which has the sound of all"]


def _packets(data: bytes) -> NDArray[np.uint8]:
    """A transport stream's packets, uint8 [N, 188]; none where there is no such stream.

    On Blu-ray discs and in cameras there are 4 bytes more before each.
    """
    found = _SYNC.search(data)
    if found is None:
        return np.empty((0, _PACKET), np.uint8)
    at = found.start()
    step = _PACKET if data[at + _PACKET : at + _PACKET + 1] == b"\x47" else _PACKET + 4
    count = (len(data) - at - _PACKET) // step + 1
    whole = np.frombuffer(
        data[at : at + (count - 1) * step + _PACKET].ljust(count * step), np.uint8
    )
    return whole.reshape(count, step)[:, :_PACKET]


def _pids(packets: NDArray[np.uint8]) -> NDArray[np.int32]:
    """What each packet belongs to."""
    high = packets[:, 1].astype(np.int32) & 0x1F
    return high << 8 | packets[:, 2]


def _programmes(packets: NDArray[np.uint8]) -> set[int] | None:
    """The numbers of the programmes of which something is there; None where it does not say."""
    table = next(_sections(packets, *_PROGRAMMES), None)
    if table is None:
        return None
    there = set(_pids(packets).tolist())
    entries = [table[at : at + 4] for at in range(0, len(table) - 3, 4)]
    return {
        int.from_bytes(one[:2], "big")
        for one in entries
        if int.from_bytes(one[2:], "big") & 0x1FFF in there
    }


def _sections(packets: NDArray[np.uint8], pid: int, kind: int) -> Iterator[bytes]:
    """The tables of a kind, without head and check sum, that lie in one packet or more."""
    table = b""
    for place in np.flatnonzero(_pids(packets) == pid).tolist():
        packet = packets[place].tobytes()
        if not packet[3] & 0x10:
            continue
        content = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
        if packet[1] & 0x40 and content:  # a table begins, behind what is left of the last one
            table = content[1 + content[0] :]
        elif table:
            table += content
        if len(table) < 3 or table[0] != kind:
            continue
        size = 3 + (int.from_bytes(table[1:3], "big") & 0xFFF)
        if len(table) >= size:
            yield table[8 : size - 4]
            table = b""


def _services(table: bytes) -> Iterator[tuple[int, Service]]:
    """Programmes with their numbers."""
    at = 0
    while at + 5 <= len(table):
        number = int.from_bytes(table[at : at + 2], "big")
        size = int.from_bytes(table[at + 3 : at + 5], "big") & 0xFFF
        about, at = table[at + 5 : at + 5 + size], at + 5 + size
        while len(about) >= 2:
            kind, content, about = about[0], about[2 : 2 + about[1]], about[2 + about[1] :]
            if kind == _SERVICE and len(content) > 2:
                provider = content[2 : 2 + content[1]]
                rest = content[2 + content[1] :]
                name = _text(rest[1 : 1 + rest[0]] if rest else b"")
                yield number, Service(name, _text(provider))


def _text(data: bytes) -> str:
    """A text in the letters that its first byte names (EN 300 468, annex A); else in Latin ones."""
    kind = "latin-1"
    if data[:1] == b"\x15":
        kind, data = "utf-8", data[1:]
    elif data[:1] == b"\x10" and len(data) > 2:
        kind, data = f"iso8859-{data[2]}", data[3:]
    elif data[:1] and data[0] < 0x0C:
        kind, data = f"iso8859-{data[0] + 4}", data[1:]
    try:
        text = data.decode(kind, errors="replace")
    except LookupError:
        text = data.decode("latin-1")
    # Also what begins and ends emphasis.
    return re.sub("[\x00-\x1f\x80-\x9f]", "", text).strip()
