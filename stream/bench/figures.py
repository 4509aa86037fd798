"""One measured figure, with what is asked of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value.

    Attributes:
        name: what was measured.
        value: the median, the ratio or the count; None where it could not be measured (`detail`
            says why).
        unit: of the value; "×" for ratios.
        at_least: the value should not be below this.
        at_most: the value should not be above this.
        detail: how it was measured, in words.
    """

    name: str
    value: float | None
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    detail: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the value is as it should be; None where nothing is asked or known."""
        if self.value is None or (self.at_least is None and self.at_most is None):
            return None
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )


def median_seconds(
    work: Callable[[], object],
    times: int,
    warm_up: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """The median seconds that `work` takes over `times` calls, after a few that do not count."""
    return medians_in_turns([work], times, warm_up, clock)[0]


def medians_in_turns(
    works: Sequence[Callable[[], object]],
    times: int,
    warm_up: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """The median seconds of each of several works that take turns.

    A machine that others use is fast in one second and slow in the next: works that are compared
    have the same seconds.
    """
    for _ in range(warm_up):
        for work in works:
            work()
    durations: list[list[float]] = [[] for _ in works]
    for _ in range(times):
        for work, lasted in zip(works, durations, strict=True):
            start = clock()
            work()
            lasted.append(clock() - start)
    return [statistics.median(lasted) for lasted in durations]
