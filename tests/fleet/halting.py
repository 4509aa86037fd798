"""`stream fleet` that stops once so many files are done, until a line comes on standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from stream.cli import main
from stream.fleet.ledger import Ledger

HALTS_AFTER = 3


def halt(note: Path) -> None:
    """Has the driver make a file when it stops."""
    really = Ledger.done
    count = 0

    def done(self: Ledger, *which, **how) -> None:
        nonlocal count
        really(self, *which, **how)
        count += 1
        if count == HALTS_AFTER:
            note.touch()
            sys.stdin.readline()

    Ledger.done = done  # type: ignore[method-assign]


if __name__ == "__main__":
    halt(Path(sys.argv[1]))
    main(sys.argv[2:])
