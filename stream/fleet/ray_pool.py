"""Workers as Ray's actors: on this machine, or on all machines of a cluster."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stream.errors import UsageError
from stream.fleet.driver import Lost, Pool, nothing_works
from stream.fleet.work import Done, Task, Worker

if TYPE_CHECKING:
    from stream.run.plan import RunPlan

_log = logging.getLogger(__name__)

_LOOK_EVERY = 2.0
"""Seconds between two looks at what the cluster has."""
_MOST_STILLBORN = 3
"""So many workers may die before the first could begin; later ones are bad luck."""
_INSTALL = "in stream's checkout: pip install '.[fleet]'"


@dataclass(frozen=True, slots=True)
class Need:
    """What a worker asks of its machine.

    Attributes:
        cores: processor cores, for Ray's bookkeeping and for inference's threads.
        gpus: GPUs, also in parts, such as 0.25.
        memory: GiB that must be free; None asks for none.
        most: workers at most; None for as many as the machines take.
    """

    cores: int = 1
    gpus: float = 0.0
    memory: float | None = None
    most: int | None = None


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
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    ray.init(
                        address=address,
                        logging_level=logging.ERROR,
                        log_to_driver=False,
                        include_dashboard=None if address else False,
                        configure_logging=False,
                    )
            except (ConnectionError, RuntimeError, ValueError, OSError) as error:
                raise UsageError(f"Ray does not answer at {address}: {error}") from error
        options: dict[str, Any] = {"num_cpus": need.cores, "num_gpus": need.gpus}
        if need.memory is not None:
            options["memory"] = int(need.memory * 2**30)
        self._actor: Any = ray.remote(**options, max_restarts=0, max_task_retries=0)(Worker)
        self._starting: dict[Any, Any] = {}
        self._free: list[Any] = []
        self._busy: dict[Any, tuple[Any, Task]] = {}
        self._nodes: dict[Any, str] = {}
        self._stillborn = 0
        self._ever = False
        self._looked = -_LOOK_EVERY
        self._lost: list[Done | Lost] = []
        if self._room() < 1:
            self.close()
            raise UsageError(
                f"no machine has the {need.cores} cores"
                + (f" and {need.gpus:g} GPUs" if need.gpus else "")
                + " that a worker asks for; ask for fewer with --cores and --gpus"
            )
        self._grow()

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
        if now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        there = len(self._free) + len(self._busy) + len(self._starting)
        for _ in range(self._room() - there):
            worker: Any = self._actor.remote(self._plan, self._need.cores)
            self._starting[worker.prepare.remote()] = worker

    def free(self) -> int:
        """How many tasks would begin at once."""
        self._grow()
        return len(self._free)

    def submit(self, task: Task) -> None:
        """Gives a task to a free worker."""
        worker = self._free.pop()
        self._busy[worker.do.remote(task)] = (worker, task)

    def wait(self, timeout: float) -> list[Done | Lost]:
        """What has ended, and workers that are ready; see `Pool.wait`."""
        waiting = [*self._busy, *self._starting]
        if not waiting:
            self._grow()
            time.sleep(timeout)
            return []
        ready, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)
        if not ready:
            ready, _ = self._ray.wait(waiting, num_returns=1, timeout=timeout)
        ended: list[Done | Lost] = []
        for one in ready:
            if one in self._starting:
                self._welcome(one)
            else:
                ended.append(self._collect(one))
        self._grow()
        return ended

    def _welcome(self, reference: Any) -> None:
        worker = self._starting.pop(reference)
        try:
            problem = self._ray.get(reference)
            if problem is None:
                self._nodes[worker] = self._ray.get(worker.where.remote())[0]
        except self._ray.exceptions.RayError as error:
            self._stillborn += 1
            _log.debug("a worker did not begin: %s", error)
            if self._stillborn >= _MOST_STILLBORN and not self._ever:
                raise nothing_works(_sentence(error)) from error
            return
        if problem is not None:
            raise nothing_works(problem)
        self._ever = True
        self._free.append(worker)

    def _collect(self, reference: Any) -> Done | Lost:
        worker, task = self._busy.pop(reference)
        try:
            done: Done = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
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
        except self._ray.exceptions.RayError as error:
            self._nodes.pop(worker, None)
            return Lost(
                task.number, f"the worker was lost: {_sentence(error)}", task.key, task.serial
            )
        self._free.append(worker)
        return done

    def workers(self) -> dict[str, int]:
        """How many workers there are on each machine."""
        found: dict[str, int] = {}
        for node in self._nodes.values():
            found[node] = found.get(node, 0) + 1
        return found

    def close(self) -> None:
        """Ends the workers, and Ray where it was started here."""
        for worker in (*self._free, *self._starting.values(), *(w for w, _ in self._busy.values())):
            self._ray.kill(worker)
        self._free, self._starting, self._busy = [], {}, {}
        if self._own:
            self._ray.shutdown()


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")
