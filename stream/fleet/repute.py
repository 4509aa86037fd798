"""Where what has failed is tried again: on a machine that is not itself the cause.

A machine whose disk is full, or that lacks a folder which the others share, fails with a file in no
time and takes the next one. Left alone it would go through the whole archive while the others are
busy with a film each, as often as files are tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set

from stream.fleet.waiting import Handed

_DOUBTED = 3
"""So many failures in turn, with nothing done between them, and a machine is doubted."""


class Repute:
    """What is known of machines from what failed on them."""

    def __init__(self) -> None:
        self._failed_on: dict[Handed, set[str]] = {}
        self._in_turn: Counter[str] = Counter()
        self._why: dict[str, str] = {}
        self._done_by: set[str] = set()

    def failed(self, task: Handed, node: str, why: str) -> None:
        """A task has failed on a machine, or was lost with its worker.

        Args:
            task: which.
            node: the machine; "" for none that is known.
            why: a sentence.
        """
        if node:
            self._failed_on.setdefault(task, set()).add(node)
            self._in_turn[node] += 1
            self._why[node] = why

    def done(self, task: Handed, node: str) -> None:
        """A machine has done a task."""
        self._failed_on.pop(task, None)
        self._in_turn.pop(node, None)
        self._done_by.add(node)

    def forget(self, task: Handed) -> None:
        """A task is given up."""
        self._failed_on.pop(task, None)

    def best_first(self, nodes: Sequence[str]) -> list[str]:
        """Machines in the same order, but for those that are doubted, which come last."""
        return sorted(nodes, key=self._doubts)

    def fits(self, task: Handed, node: str, nodes: Set[str]) -> bool:
        """Whether a task that was begun before may be tried again on a machine.

        It may on one that is not doubted and on which it has not failed; where there is none such,
        on one on which it has not failed; and at last on any.

        Args:
            task: that may have failed before.
            node: the machine; "" for none that is known.
            nodes: all that have workers.
        """
        failed: Set[str] = self._failed_on.get(task, frozenset())
        if not node or (node not in failed and not self._doubts(node)):
            return True
        if any(one not in failed and not self._doubts(one) for one in nodes):
            return False
        return node not in failed or all(one in failed for one in nodes)

    @property
    def doubted(self) -> list[str]:
        """A sentence for each machine with which something seems to be wrong, as others do well."""
        if all(map(self._doubts, self._done_by)):
            return []
        return [
            f"{node} failed with the last {count} tasks that it was given, and others were given "
            f"them: {self._why[node]}"
            for node, count in sorted(self._in_turn.items())
            if self._doubts(node)
        ]

    def _doubts(self, node: str) -> bool:
        return self._in_turn[node] >= _DOUBTED
