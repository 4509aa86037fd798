"""Processes of one command, of which each knows whether any other goes on.

All of them hold the end of a pipe that is written to, and nobody writes: whoever reads finds its
end once the last of them has let go, by ending or because its source is not there.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Sequence

from stream import sources
from stream.cli import _common as common
from stream.errors import SourceError
from stream.run.awaited import Company
from stream.run.plan import RunPlan
from stream.sources.base import Source

_NAMED = "STREAM_SIBLINGS"
"""The environment's variable in which a process finds the ends of the pipe."""


def started(commands: Sequence[Sequence[str]]) -> list[subprocess.Popen[bytes]]:
    """Starts processes beside each other."""
    if sys.platform == "win32":  # processes are given no pipes of others there
        return [subprocess.Popen(one) for one in commands]
    else:
        ends = os.pipe()
        environment = os.environ | {_NAMED: ",".join(map(str, ends))}
        try:
            return [subprocess.Popen(one, pass_fds=ends, env=environment) for one in commands]
        finally:
            for end in ends:
                os.close(end)


class Siblings(Company):
    """The other processes, for the source of this one.

    One that came later is no company for others: it has let go for good.

    Args:
        reads: the end of the pipe that is read.
        writes: the other one.
    """

    def __init__(self, reads: int, writes: int) -> None:
        super().__init__(())
        self._reads, self._writes = reads, writes
        self._holds = True
        for end in (reads, writes):
            os.set_inheritable(end, False)

    def left(self, name: str) -> None:
        """The source of this process is not there."""
        if self._holds:
            os.close(self._writes)
        self._holds = False

    def joined(self, name: str) -> None:
        """It is there, which the others need not know."""

    def waits(self, seconds: float, wanted: Callable[[], bool]) -> bool:
        """Waits for another attempt; returns whether there is to be one."""
        over, _, _ = select.select([self._reads], [], [], seconds)
        return not over and wanted()


def opening(plan: RunPlan) -> Callable[[], Source] | None:
    """Opens a plan's source, which may come later; None where it is opened as any.

    Args:
        plan: of this process.
    """
    named = os.environ.pop(_NAMED, "")
    target, options = plan.source.target, plan.source.options
    if not named or not sources.kind_of(target).comes_back:
        return None
    siblings = Siblings(*map(int, named.split(",")))

    def said(error: SourceError) -> None:
        common.say_error(f"{error} (it is tried again while another source goes on)")

    return lambda: siblings.awaited(
        str(plan.source.name or target),
        lambda: sources.open(target, options),
        said,
        wanted=lambda: True,
        patience=options.network.give_up,
    )
