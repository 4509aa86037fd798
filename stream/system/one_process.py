"""What lives in one process: threads and the memory of libraries do not travel to others."""

from __future__ import annotations

import os
from typing import NoReturn

from stream.errors import UsageError


class Home:
    """The process in which something was made whose threads are there."""

    def __init__(self) -> None:
        self._process = os.getpid()

    @property
    def here(self) -> bool:
        """Whether it is this one, and none that was forked from it."""
        return os.getpid() == self._process

    def check(self, what: str) -> None:
        """Refuses to go on in another process, where it would wait for ever.

        Raises:
            UsageError: this is another process.
        """
        if not self.here:
            raise UsageError(
                f"{what} was opened in another process, and its threads are there; open it in the "
                "process that uses it"
            )


def stays(what: str, instead: str) -> NoReturn:
    """Refuses to be pickled or copied with all that it holds: `deepcopy` asks in the same way.

    Raises:
        TypeError: always, as of other things that cannot be pickled.
    """
    raise TypeError(
        f"{what} cannot be pickled for other processes, nor copied with all that it holds "
        f"(deepcopy); {instead}"
    )
