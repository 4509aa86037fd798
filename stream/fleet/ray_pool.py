"""Workers as Ray's actors: on this machine, or on all machines of a cluster."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stream.errors import StreamError, UsageError
from stream.fleet.pool import Lost, Pool, nothing_works
from stream.fleet.work import Done, Task, Worker

if TYPE_CHECKING:
    from stream.run.plan import RunPlan

_log = logging.getLogger(__name__)

_LOOK_EVERY = 2.0
"""Seconds between two looks at what the cluster has."""
_MOST_STILLBORN = 3
"""So many workers in turn may fail to begin while no other works; then it is no bad luck."""
_LONGEST_PAUSE = 60.0
"""Seconds after which another worker is tried at the latest where some could not begin."""
_STARTS = 3
"""So often Ray is started on this machine where it took longer than Ray itself allows."""
_SIGNS_EVERY = 30.0
"""Seconds between two questions to busy workers whether something comes of what they do."""
_AT_LAST = 20.0
"""Seconds that Ray has to end in."""
_LATE = 15.0
"""Seconds after which it is said that workers do not begin."""
_INSTALL = "in stream's checkout: pip install '.[fleet]'"


@dataclass(frozen=True, slots=True)
class Need:
    """What a worker asks of its machine.

    Attributes:
        cores: processor cores, for Ray's bookkeeping and for inference's threads.
        gpus: GPUs, also in parts, such as 0.25.
        memory: GiB that must be free; None asks for none.
        most: workers at most; None for as many as the machines take.
        patience: seconds without a sign of life after which a worker is taken for stuck, and
            without any machine after which the fleet ends.
    """

    cores: int = 1
    gpus: float = 0.0
    memory: float | None = None
    most: int | None = None
    patience: float = 1800.0


@dataclass(slots=True, eq=False)
class _Busy:
    """A worker with what it does.

    Attributes:
        worker: the actor.
        task: its.
        since: when there was last a sign that something comes of it.
        signs: how many there were then.
        stuck: whether it was ended for want of them.
    """

    worker: Any
    task: Task
    since: float
    signs: int = 0
    stuck: bool = False


class RayPool(Pool):
    """As many workers as the cluster takes, replaced where they are lost, more where it grows.

    Args:
        plan: what is done with each file.
        need: what a worker asks for.
        address: of a cluster, such as ray://head:10001, or "auto" for the one of this machine;
            None starts Ray on this machine for as long as the pool lives.

    Raises:
        UsageError: Ray is not installed, does not answer, or no machine has what a worker needs.
    """

    def __init__(self, plan: RunPlan, need: Need, address: str | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise UsageError(f"a fleet needs Ray; {_INSTALL}") from error
        # It would report its use, and warns on standard error of what is no news to a user.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        self._ray: Any = ray
        self._plan, self._need = plan, need
        self._own = not ray.is_initialized()
        if self._own:
            self._begin(address)
        self._exceptions: Any = ray.exceptions
        options: dict[str, Any] = {"num_cpus": need.cores, "num_gpus": need.gpus}
        if need.memory is not None:
            options["memory"] = int(need.memory * 2**30)
        # A second thread answers whether the first goes on.
        self._actor: Any = self._ray.remote(
            **options, max_restarts=0, max_task_retries=0, max_concurrency=2
        )(Worker)
        self._starting: dict[Any, Any] = {}
        self._free: list[Any] = []
        self._busy: dict[Any, _Busy] = {}
        self._asked: dict[Any, _Busy] = {}
        self._nodes: dict[Any, str] = {}
        self._stillborn = 0
        self._why = ""
        now = time.monotonic()
        self._looked, self._asked_at, self._lived = now - _LOOK_EVERY, now, now
        try:
            with self._answering():
                self._ask_for_room()
                self._grow()
        except BaseException:
            self.close()
            raise

    def _begin(self, address: str | None) -> None:
        tries = 1 if address else _STARTS
        for left in reversed(range(tries)):
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    self._ray.init(
                        # Without a word it would join whatever cluster runs on this machine.
                        address=address or "local",
                        logging_level=logging.ERROR,
                        log_to_driver=False,
                        include_dashboard=None if address else False,
                        configure_logging=False,
                    )
            # It raises whatever it likes, a plain exception where a busy machine takes too long.
            except Exception as error:
                self._ray.shutdown()
                if left and "timed out" in str(error):
                    continue
                at = f"at {address}" if address else "on this machine"
                raise UsageError(f"Ray does not answer {at}: {_sentence(error)}") from error
            return

    def _ask_for_room(self) -> None:
        need = self._need
        if self._room() < 1:
            raise UsageError(
                f"no machine has the {need.cores} cores"
                + (f" and {need.gpus:g} GPUs" if need.gpus else "")
                + (f" and {need.memory:g} GiB of memory" if need.memory else "")
                + " that a worker asks for; ask for fewer with --cores, --gpus and --memory"
            )

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Says in one sentence that the cluster does not answer any more."""
        try:
            yield
        except (ConnectionError, OSError, self._exceptions.RayError) as error:
            raise StreamError(
                f"Ray does not answer any more ({_sentence(error)}); what is done is written down, "
                "and the same command goes on with the rest"
            ) from error

    def _room(self) -> int:
        """How many workers the machines take together."""
        room = 0
        for node in self._ray.nodes():
            if not node["Alive"]:
                continue
            has = node["Resources"]
            fits = int(has.get("CPU", 0) // self._need.cores)
            if self._need.gpus:
                fits = min(fits, int(has.get("GPU", 0) / self._need.gpus))
            if self._need.memory:
                fits = min(fits, int(has.get("memory", 0) // (self._need.memory * 2**30)))
            room += fits
        return room if self._need.most is None else min(room, self._need.most)

    def _grow(self) -> None:
        now = time.monotonic()
        pause = min(_LOOK_EVERY * 2 ** min(self._stillborn, 10), _LONGEST_PAUSE)
        if now - self._looked < pause:
            return
        self._looked = now
        there = len(self._free) + len(self._busy) + len(self._starting)
        for _ in range(self._room() - there):
            worker: Any = self._actor.remote(self._plan, self._need.cores)
            self._starting[worker.prepare.remote()] = worker

    def free(self) -> int:
        """How many tasks would begin at once."""
        with self._answering():
            self._grow()
        return len(self._free)

    def submit(self, task: Task) -> None:
        """Gives a task to a free worker."""
        worker = self._free.pop()
        with self._answering():
            self._busy[worker.do.remote(task)] = _Busy(worker, task, time.monotonic())

    def wait(self, timeout: float) -> list[Done | Lost]:
        """What has ended, and workers that are ready; see `Pool.wait`."""
        with self._answering():
            return self._wait(timeout)

    def _wait(self, timeout: float) -> list[Done | Lost]:
        self._look_whether_any_lives()
        waiting = [*self._busy, *self._starting]
        if not waiting:
            self._grow()
            time.sleep(timeout)
            return []
        ready = self._ready(waiting)
        if not ready:
            ready, _ = self._ray.wait(waiting, num_returns=1, timeout=timeout)
        ended: list[Done | Lost] = []
        for one in ready:
            if one in self._starting:
                self._welcome(one)
            else:
                ended.append(self._collect(one))
        self._look_for_signs()
        self._grow()
        return ended

    def _ready(self, references: list[Any]) -> list[Any]:
        ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        return list(ready)

    def _welcome(self, reference: Any) -> None:
        worker = self._starting.pop(reference)
        enough = _MOST_STILLBORN
        try:
            node, problem = self._ray.get(reference)
            enough = min(enough, self._room())
        except self._exceptions.RayError as error:
            problem = _sentence(error)  # which may be bad luck
        if problem is None:
            self._stillborn = 0
            self._nodes[worker] = node
            self._free.append(worker)
            return
        # One machine of many may lack what the others have.
        _log.debug("a worker did not begin: %s", problem)
        self._ray.kill(worker)
        self._stillborn += 1
        self._why = problem
        others = self._free or self._busy or self._starting
        if not others and self._stillborn >= enough:
            raise nothing_works(problem)

    def _look_whether_any_lives(self) -> None:
        now = time.monotonic()
        if self._free or self._busy:
            self._lived = now
        elif now - self._lived > self._need.patience:
            raise nothing_works(
                self._why
                or f"for {self._need.patience / 60:g} minutes there was no machine with "
                f"{self._need.cores} free cores"
            )

    @property
    def note(self) -> str:
        """Why nothing goes on."""
        if self._free or self._busy or time.monotonic() - self._lived < _LATE:
            return ""
        if self._why:
            return f"workers cannot begin: {self._why}"
        return f"no machine has {self._need.cores} free cores now"

    def _look_for_signs(self) -> None:
        """Ends workers that do something of which nothing comes."""
        now = time.monotonic()
        for one in self._ready(list(self._asked)) if self._asked else ():
            busy = self._asked.pop(one)
            with contextlib.suppress(self._exceptions.RayError):  # its end is seen elsewhere
                signs = self._ray.get(one)
                if signs != busy.signs:
                    busy.signs, busy.since = signs, now
        if now - self._asked_at < min(_SIGNS_EVERY, self._need.patience / 4):
            return
        self._asked_at = now
        asked = {id(busy) for busy in self._asked.values()}
        for busy in self._busy.values():
            if now - busy.since > self._need.patience and not busy.stuck:
                busy.stuck = True
                self._ray.kill(busy.worker)
            elif id(busy) not in asked:
                self._asked[busy.worker.signs.remote()] = busy

    def _collect(self, reference: Any) -> Done | Lost:
        busy = self._busy.pop(reference)
        worker, task = busy.worker, busy.task
        self._asked = {one: other for one, other in self._asked.items() if other is not busy}
        try:
            done: Done = self._ray.get(reference)
        except self._exceptions.RayTaskError as error:
            # A fault of the program; the worker lives.
            self._free.append(worker)
            cause = error.cause or error
            return Done(
                task.number,
                self._nodes.get(worker, ""),
                0.0,
                error=f"a fault of the program: {type(cause).__name__}: {cause}",
                key=task.key,
                serial=task.serial,
            )
        except self._exceptions.RayError as error:
            self._nodes.pop(worker, None)
            why = f"the worker was lost: {_sentence(error)}"
            if busy.stuck:
                why = (
                    f"nothing came of it for {self._need.patience / 60:g} minutes; where that is "
                    "no fault, --patience is to be longer"
                )
            return Lost(task.number, why, task.key, task.serial)
        if busy.stuck:
            self._nodes.pop(worker, None)
        else:
            self._free.append(worker)
        return done

    def workers(self) -> dict[str, int]:
        """How many workers there are on each machine."""
        found: dict[str, int] = {}
        for node in self._nodes.values():
            found[node] = found.get(node, 0) + 1
        return found

    def close(self) -> None:
        """Ends the workers, and Ray where it was started here; where that hangs it is left."""
        ending = threading.Thread(target=self._end, name="stream-ray-end", daemon=True)
        ending.start()
        ending.join(_AT_LAST)
        if ending.is_alive():
            _log.warning("Ray does not end; what it has started may be there for a while")

    def _end(self) -> None:
        busy = [one.worker for one in self._busy.values()]
        with contextlib.suppress(ConnectionError, OSError, self._exceptions.RayError):
            for worker in (*self._free, *self._starting.values(), *busy):
                self._ray.kill(worker)
            if self._own:
                self._ray.shutdown()
        self._free, self._starting, self._busy, self._asked = [], {}, {}, {}


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")
