"""What every kind of workers has: started, replaced where they are lost, ended where stuck."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from stream.errors import UsageError
from stream.fleet.places import shown
from stream.fleet.pool import Lost, Need, Pool, nothing_works
from stream.fleet.task import Done, Task
from stream.wording.words import counted, minutes

_log = logging.getLogger(__name__)

_MOST_STILLBORN = 3
"""So many workers in turn may fail to begin while no other works; then it is no bad luck."""
_PAUSE = 2.0
"""Seconds before another worker is tried where one could not begin; twice that for each further."""
_LONGEST_PAUSE = 60.0
_SIGNS_EVERY = 30.0
"""Seconds between two questions to busy workers whether something comes of what they do."""
_SILENT = 90.0
"""Seconds of which the questions for signs of life bring none, after which that is said."""
_LATE = 15.0
"""Seconds after which it is said that workers do not begin."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has begun.

    Attributes:
        node: the machine's name.
        problem: why it cannot work, in a sentence; None where it can.
    """

    node: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Signs:
    """How many signs of life a worker has given so far."""

    count: int


@dataclass(frozen=True, slots=True)
class Gone:
    """A worker is lost; why, in a sentence."""

    why: str


Event = Ready | Signs | Gone | Done


@dataclass(slots=True, eq=False)
class _Busy:
    """What a worker does.

    Attributes:
        task: its.
        since: when there was last a sign that something comes of it.
        signs: how many there were then.
        asked: whether it was asked for signs and has not answered.
        stuck: whether it was ended for want of them.
    """

    task: Task
    since: float
    signs: int = 0
    asked: bool = False
    stuck: bool = False


W = TypeVar("W")
"""What a kind of pool knows a worker by; hashable."""


class WatchedPool(Pool, Generic[W]):
    """As many workers as there is work and room for, each with what it does.

    Args:
        need: what a worker asks for.
        look_every: seconds between two looks at how much room there is.
        alike: whether what keeps one worker from working keeps all of them from it.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        need: Need,
        *,
        look_every: float,
        alike: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._need = need
        self._look_every = look_every
        self._alike = alike
        self._clock = clock
        self._starting: set[W] = set()
        self._free: list[W] = []
        self._busy: dict[W, _Busy] = {}
        self._nodes: dict[W, str] = {}
        self._stillborn = 0
        self._why = ""
        now = clock()
        self._looked: float | None = None
        self._asked_at, self._lived = now, now

    @abstractmethod
    def _places(self) -> int:
        """How many workers the machines take together."""

    @abstractmethod
    def _start(self) -> W:
        """Starts a worker; `Ready` or `Gone` comes of it."""

    @abstractmethod
    def _give(self, worker: W, task: Task) -> None:
        """Gives a worker a task; `Done` or `Gone` comes of it."""

    @abstractmethod
    def _ask(self, worker: W) -> None:
        """Asks a worker for its signs of life; `Signs` come of it, or nothing."""

    @abstractmethod
    def _kill(self, worker: W) -> None:
        """Ends a worker, whatever it does."""

    @abstractmethod
    def _events(self, timeout: float) -> list[tuple[W, Event]]:
        """What has happened; waits so many seconds at most for the first of it."""

    def _all(self) -> list[W]:
        return [*self._free, *self._starting, *self._busy]

    def _room(self) -> int:
        places = self._places()
        return places if self._need.most is None else min(places, self._need.most)

    def _ask_for_room(self) -> None:
        """Refuses what no machine has.

        Raises:
            UsageError: a worker asks for more than any of them has.
        """
        if self._room() < 1:
            raise UsageError(
                f"no machine has the {self._need} that a worker asks for; ask for fewer with "
                "--cores, --gpus and --memory"
            )

    def free(self, tasks: int) -> int:
        """How many tasks would begin at once; see `Pool.free`."""
        now = self._clock()
        pause = self._look_every
        if self._stillborn:
            pause = max(pause, min(_PAUSE * 2**self._stillborn, _LONGEST_PAUSE))
        if self._looked is None or now - self._looked >= pause:
            self._looked = now
            wanted = min(self._room(), len(self._busy) + tasks)
            for _ in range(wanted - len(self._all())):
                self._starting.add(self._start())
        return len(self._free)

    def free_on(self, tasks: int) -> list[str]:
        """The machine of each free worker; see `Pool.free_on`."""
        self.free(tasks)
        return [self._nodes[worker] for worker in reversed(self._free)]

    def submit(self, task: Task) -> None:
        """Gives a task to a free worker; see `Pool.submit`."""
        there = [worker for worker in self._free if self._nodes[worker] == task.node]
        worker = (there or self._free)[-1]
        self._free.remove(worker)
        self._busy[worker] = _Busy(task, self._clock())
        self._give(worker, task)

    def wait(self, timeout: float) -> list[Done | Lost]:
        """What has ended; see `Pool.wait`."""
        self._look_whether_any_lives()
        ended: list[Done | Lost] = []
        for worker, event in self._events(timeout):
            if isinstance(event, Ready):
                self._welcome(worker, event)
            elif isinstance(event, Signs):
                self._hear(worker, event.count)
            elif isinstance(event, Done):
                ended += self._done(worker, event)
            else:
                ended += self._gone(worker, event.why)
        self._look_for_signs()
        return ended

    def _welcome(self, worker: W, ready: Ready) -> None:
        self._starting.discard(worker)
        if ready.problem is not None:
            # One machine of many may lack what the others have.
            self._kill(worker)
            enough = 1 if self._alike else min(_MOST_STILLBORN, self._room())
            self._did_not_begin(ready.problem, enough)
            return
        self._stillborn = 0
        self._nodes[worker] = ready.node
        self._free.append(worker)

    def _did_not_begin(self, problem: str, enough: int) -> None:
        _log.debug("a worker did not begin: %s", problem)
        self._stillborn += 1
        self._why = problem
        if not self._all() and self._stillborn >= enough:
            raise nothing_works(problem)

    def _done(self, worker: W, done: Done) -> list[Done | Lost]:
        busy = self._busy.pop(worker, None)
        if busy is None:
            return []
        if busy.stuck:
            self._nodes.pop(worker, None)
        else:
            self._free.append(worker)
        return [done]

    def _gone(self, worker: W, why: str) -> list[Done | Lost]:
        node = self._nodes.pop(worker, "")
        if worker in self._starting:
            self._starting.discard(worker)
            self._did_not_begin(why, _MOST_STILLBORN)  # which may be bad luck
        elif worker in self._free:
            self._free.remove(worker)
        elif worker in self._busy:
            busy = self._busy.pop(worker)
            sentence = f"the worker was lost: {why}"
            if busy.stuck:
                sentence = (
                    f"nothing came of it for {minutes(self._need.patience)}; where that is "
                    "no fault, --patience is to be longer"
                )
            return [Lost(busy.task.number, sentence, busy.task.key, busy.task.serial, node)]
        return []

    def _look_whether_any_lives(self) -> None:
        now = self._clock()
        if self._free or self._busy:
            self._lived = now
        elif now - self._lived > self._need.patience:
            raise nothing_works(
                self._why or f"for {minutes(self._need.patience)} {self._waits_for}"
            )

    @property
    def note(self) -> str:
        """Why nothing goes on."""
        if self._busy:
            return self._silent
        if self._free or self._clock() - self._lived < _LATE:
            return ""
        if self._why:
            return f"workers cannot begin: {self._why}"
        return self._waits_for

    @property
    def _silent(self) -> str:
        """Of what nothing has come for long, which may be fetched from a storage that hangs."""
        now = self._clock()
        late = sorted(
            (one for one in self._busy.values() if now - one.since >= _SILENT and not one.stuck),
            key=lambda one: one.since,
        )
        if not late:
            return ""
        more = f" and {counted(len(late) - 1, 'other')}" if late[1:] else ""
        return (
            f"nothing has come of {shown(late[0].task.source)}{more} for "
            f"{(now - late[0].since) / 60:.1f} minutes"
        )

    @property
    def _waits_for(self) -> str:
        """What keeps workers from beginning that were started, where nothing is known of it."""
        cores = "a free core" if self._need.cores == 1 else f"{self._need.cores} free cores"
        return f"no machine has had {cores}"

    def _hear(self, worker: W, signs: int) -> None:
        busy = self._busy.get(worker)
        if busy is None:
            return
        busy.asked = False
        if signs != busy.signs:
            busy.signs, busy.since = signs, self._clock()

    def _look_for_signs(self) -> None:
        """Ends workers that do something of which nothing comes."""
        now = self._clock()
        if now - self._asked_at < min(_SIGNS_EVERY, self._need.patience / 4):
            return
        # Who has slept meanwhile, as after Ctrl-Z, has asked nobody.
        slept = now - self._asked_at > self._need.patience
        self._asked_at = now
        for worker, busy in self._busy.items():
            if slept:
                busy.since = now
            if now - busy.since > self._need.patience and not busy.stuck:
                busy.stuck = True
                self._kill(worker)
            elif not busy.asked:
                busy.asked = True
                self._ask(worker)

    def workers(self) -> dict[str, int]:
        """How many workers there are on each machine."""
        found: dict[str, int] = {}
        for node in self._nodes.values():
            found[node] = found.get(node, 0) + 1
        return found
