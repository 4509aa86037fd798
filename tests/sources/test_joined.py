"""Where the recordings of a file begin, told by its bytes alone."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from stream.sources import _joined
from stream.sources._joined import beginnings


def page(serial: int, number: int, body: bytes) -> bytes:
    """A page of Ogg (RFC 3533, 6), without its checksum."""
    kind = 2 if number == 0 else 0
    sizes = [255] * (len(body) // 255) + [len(body) % 255]
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, kind, number, serial, number, 0, len(sizes))
    return head + bytes(sizes) + body


def link(first: int) -> bytes:
    """A recording of two streams, one of which holds what looks like another's beginning."""
    begin = page(first, 0, bytes(260)) + page(first + 1, 0, b"sound")
    return begin + page(first, 1, b"OggS\x00\x02" + bytes(300)) + page(first + 1, 1, b"more")


@pytest.mark.parametrize("searched", [0, 1 << 28])
def test_a_long_ogg_is_searched_where_it_ends_with_another_s_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, searched: int
) -> None:
    monkeypatch.setattr(_joined, "_SEARCHED", searched)
    monkeypatch.setattr(_joined, "_BLOCK", 400)
    path = tmp_path / "in.ogv"
    one, two = link(1), link(7)
    path.write_bytes(one + two + two)
    assert beginnings(path, "ogg") == [0, len(one), len(one) + len(two)]
    path.write_bytes(one)
    assert beginnings(path, "ogg") == ([0] if searched else [])


def test_what_breaks_off_or_is_padded_is_one_recording(tmp_path: Path) -> None:
    path = tmp_path / "in"
    asf = _joined._ASF + struct.pack("<Q", 30) + bytes(6)
    data = bytes(16) + struct.pack("<Q", 50) + bytes(26)
    ivf = b"DKIF" + struct.pack("<HH", 0, 32) + bytes(24) + struct.pack("<IQ", 5, 0) + bytes(5)
    for form, whole in (("asf", asf + data), ("ivf", ivf)):
        path.write_bytes(whole + whole)
        assert beginnings(path, form) == [0, len(whole)], form
        path.write_bytes(whole + bytes(64))
        assert beginnings(path, form) == [0], form
        for cut in range(len(whole)):
            path.write_bytes(whole[:cut])
            assert beginnings(path, form) in ([], [0]), (form, cut)
