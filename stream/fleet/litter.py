"""What files in parts have left is removed, also where a driver was killed before it could."""

from __future__ import annotations

from collections.abc import Collection

from stream.fleet.ledger import Ledger
from stream.fleet.transit import remove_parts


def tidy(ledger: Ledger, but: Collection[int] = ()) -> None:
    """Removes what a ledger says is of no use any more, and then that from the ledger.

    Args:
        ledger: that knows of it.
        but: the numbers of files that a worker is still at work on for nothing, and may write
            there again: of these it is removed once more the next time.

    Raises:
        SinkError: the ledger cannot be written.
    """
    litter = ledger.litter()
    for number, targets in litter:
        remove_parts(targets[0], number)
    ledger.removed([one for one in litter if one[0] not in but])
