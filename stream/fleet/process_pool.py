"""Workers on this machine alone: processes of the command's own."""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from stream.fleet.pool import Need
from stream.fleet.task import Task
from stream.fleet.watched_pool import Event, Gone, WatchedPool
from stream.system.apart import apart
from stream.system.cpu import available_cores

if TYPE_CHECKING:
    from stream.run.plan import RunPlan

_log = logging.getLogger("stream")

_LOOK_EVERY = 0.2

_Answers = queue.SimpleQueue[tuple["Process", Event]]


class Process:
    """A worker's process, and the thread that reads what it answers.

    It is in a session of its own: Ctrl-C in the terminal is the driver's alone. It ends when the
    driver does, however that ends, since its standard input is closed then.

    Args:
        plan: what is done with each file.
        cores: that it has.
        answers: where what happens to it is put.
    """

    def __init__(self, plan: RunPlan, cores: int, answers: _Answers) -> None:
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        begin = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            "from stream.fleet.worker_process import main; main()"
        )
        # As Ray does it: libraries that ask for threads by themselves get no more than its share.
        environment = {"OMP_NUM_THREADS": str(cores), **os.environ}
        loud = _log.isEnabledFor(logging.DEBUG)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", begin],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if loud else subprocess.DEVNULL,
                env=environment,
                **apart(),
            )
        except OSError as error:
            answers.put((self, Gone(f"no process can be started ({error.strerror or error})")))
            return
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input: IO[bytes] = self._process.stdin
        name = f"stream-worker-{self._process.pid}"
        self._reader = threading.Thread(
            target=self._read, args=(self._process, self._process.stdout), name=name, daemon=True
        )
        self._reader.start()
        self.send((plan, cores))

    def send(self, message: object) -> None:
        """Sends it something; where it is gone, its `Gone` is on the way."""
        with suppress(OSError):
            pickle.dump(message, self._input)
            self._input.flush()

    def _read(self, process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        # What breaks off in the middle of an answer is none.
        with suppress(EOFError, pickle.UnpicklingError, OSError):
            while True:
                self._answers.put((self, pickle.load(output)))
        self._answers.put((self, Gone(_how_it_ended(process.wait()))))

    def kill(self) -> None:
        """Ends it, whatever it does."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Ends it, and lets go of all that belongs to it."""
        if self._process is None or self._reader is None:
            return
        self._process.kill()
        self._process.wait()
        self._reader.join()
        with suppress(OSError):  # what was not sent any more
            self._input.close()
        assert self._process.stdout is not None
        self._process.stdout.close()


class ProcessPool(WatchedPool[Process]):
    """As many processes as this machine has cores for.

    Ray would do the same, and takes seconds to start and processes of its own beside the workers.

    Args:
        plan: what is done with each file.
        need: what a worker asks for: cores alone.
        clock: seconds that only go forward.

    Raises:
        UsageError: the machine has fewer cores than a worker asks for.
    """

    def __init__(
        self, plan: RunPlan, need: Need, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(need, look_every=_LOOK_EVERY, alike=True, clock=clock)
        self._plan = plan
        self._answers: _Answers = queue.SimpleQueue()
        self._processes: set[Process] = set()
        self._cores = available_cores()
        self._ask_for_room()

    def _places(self) -> int:
        return self._cores // self._need.cores

    @property
    def _waits_for(self) -> str:
        return "they have not loaded the model, which may take long on a busy machine"

    def _start(self) -> Process:
        process = Process(self._plan, self._need.cores, self._answers)
        self._processes.add(process)
        return process

    def _give(self, worker: Process, task: Task) -> None:
        worker.send(task)

    def _ask(self, worker: Process) -> None:
        worker.send(None)

    def _kill(self, worker: Process) -> None:
        worker.kill()

    def _events(self, timeout: float) -> list[tuple[Process, Event]]:
        events: list[tuple[Process, Event]] = []
        with suppress(queue.Empty):
            events.append(self._answers.get(timeout=timeout))
            while True:
                events.append(self._answers.get_nowait())
        for process, event in events:
            if isinstance(event, Gone):
                process.close()
                self._processes.discard(process)
        return events

    def close(self) -> None:
        """Ends the workers, in the middle of their tasks if need be."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.close()
        self._processes.clear()


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"its process ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    # The one that nobody can catch is what a system sends whose memory has run out.
    why = ", as systems do where memory runs out" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{why}"
