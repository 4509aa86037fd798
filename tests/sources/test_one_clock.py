"""Whether a broadcast's clock runs through is told by samples of it, however long it is."""

from __future__ import annotations

import io

from stream.sources._one_clock import _Samples

_PACKETS = 400
"""Of which one begins a picture: some 75 kB, so that not every picture is looked at."""


def runs_through(seconds: list[float]) -> bool:
    """Of a transport stream whose pictures have these times."""
    parts = []
    for at in seconds:
        ticks = round(at * 90_000) % (1 << 33)
        time = bytes(
            [
                33 | ticks >> 29 & 14,
                ticks >> 22 & 255,
                ticks >> 14 & 254 | 1,
                ticks >> 7 & 255,
                ticks << 1 & 254 | 1,
            ]
        )
        head = b"\x47\x41\x00\x10\x00\x00\x01\xe0\x00\x00\x80\x80\x05" + time
        parts += [head.ljust(188, b"\xff"), *[b"\x47\x01\x00\x10".ljust(188, b"\xff")] * _PACKETS]
    data = b"".join(parts)
    return _Samples(io.BytesIO(data), len(data), "mpegts", 0x100).run_through()


def test_a_clock_runs_through_unless_it_starts_over_or_jumps() -> None:
    even = [40 + 0.5 * number for number in range(200)]
    wrapped = [(1 << 33) / 90_000 - 50 + 0.5 * number for number in range(200)]
    # Hardly any bytes are sent while nothing moves.
    quiet = [at + max(0, 0.9 * (index - 90)) for index, at in enumerate(even)]
    for times, through in (
        (even, True),
        (wrapped, True),
        (quiet, True),
        (even + even, False),
        ([*even, *[at + 160 for at in even]], False),
        ([*even, *[at + 36_000 for at in even]], False),
    ):
        assert runs_through(times) == through, times[200:202]
