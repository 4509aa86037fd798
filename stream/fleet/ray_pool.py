"""Workers as Ray's actors: on all machines of a cluster, or on this one with GPUs to share out."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.errors import OutOfReachError, StreamError
from stream.fleet.pool import Need
from stream.fleet.task import Done, Task
from stream.fleet.watched_pool import Event, Gone, Ready, Signs, WatchedPool
from stream.fleet.work import Worker
from stream.settings.groups import anchored

if TYPE_CHECKING:
    from stream.run.plan import RunPlan

_log = logging.getLogger(__name__)

LOCAL = "local"
"""Ray's own word for this machine, on which it is started for as long as the pool lives."""

_LOOK_EVERY = 2.0
"""Seconds between two looks at what the cluster has."""
_STARTS = 3
"""So often Ray is started on this machine where it took longer than Ray itself allows."""
_TOO_LATE = ("timed out", "Initialization failure")
"""What Ray says where it is too slow for itself, the second of its server for clients."""
_AT_LAST = 20.0
"""Seconds that Ray has to end in."""
_CLIENT = "ray://"
"""How addresses begin of which Ray's client server on the head is asked."""
_MACHINE = re.compile(r"(?:ray://)?(?P<host>\[[^\]]+\]|[^\s/:\[\]]+):(?P<port>\d+)")
"""Addresses that name a machine and a port."""
_REACHED = 15.0
"""Seconds in which a machine is to take a connection."""
_ASKED_AGAIN = 2.0
"""Seconds that the head has to take a connection in, once there is a cluster."""
_PATIENT = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""Ray's own setting: after so many seconds without its head, 60 where nothing is said, it ends the
whole program."""
_CLIENT_HINT = (
    "; its server for clients writes ray_client_server.err on the head. With a new gRPC it starts "
    "nothing unless Ray was started with GRPC_ENABLE_FORK_SUPPORT=0"
)
_TOKEN_HINT = (
    "; if Ray asks for a token there, as its newer releases do by themselves, set "
    "RAY_AUTH_MODE=token here, with the head's ~/.ray/auth_token in this home folder"
)


class ToLog(io.TextIOBase):
    """Takes what is printed into the log, for --verbose, line by line."""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Notes the lines of a text; returns how many characters it has."""
        for line in filter(None, map(str.rstrip, text.splitlines())):
            _log.debug("Ray: %s", line)
        return len(text)


class Head:
    """Whether a cluster's head is there, without which Ray ends the program and all that it knows.

    Args:
        address: of the head, machine and port; "" where Ray itself says that it is gone.
        clock: seconds that only go forward.
    """

    def __init__(self, address: str, clock: Callable[[], float]) -> None:
        self._address = address
        self._clock = clock
        self._looked = self._seen = clock()
        self.there = True
        """Whether it took a connection when it was asked last."""

    def look(self) -> None:
        """Asks it, unless it was asked just now.

        Raises:
            StreamError: it has not answered for half of the time that Ray allows.
        """
        now = self._clock()
        if not self._address or now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        why = unreached(self._address, _ASKED_AGAIN)
        self.there = not why
        if self.there:
            self._seen = now
        elif now - self._seen >= _patience() / 2:
            raise StreamError(
                f"the cluster's head does not answer any more at {self._address} ({why}); what is "
                "done is written down, and the same command goes on with the rest"
            )


def _patience() -> float:
    """Seconds that Ray waits for its head."""
    try:
        return float(os.environ.get(_PATIENT, ""))
    except ValueError:
        return 60.0


def unreached(address: str, seconds: float) -> str:
    """Why a machine takes no connection; "" where it does, or where an address names none.

    Args:
        address: machine and port.
        seconds: that it may take.
    """
    named = _MACHINE.fullmatch(address)
    if named is None:
        return ""
    try:
        socket.create_connection((named["host"].strip("[]"), int(named["port"])), seconds).close()
    except (OSError, OverflowError) as error:
        return (getattr(error, "strerror", None) or str(error)).lower()
    return ""


class RayPool(WatchedPool[Any]):
    """As many workers as the cluster takes, replaced where they are lost, more where it grows.

    Args:
        plan: what is done with each file.
        need: what a worker asks for.
        address: of a cluster, such as ray://head:10001; "auto" for the one of this machine;
            "local" starts Ray on this machine for as long as the pool lives.
        clock: seconds that only go forward.

    Raises:
        OutOfReachError: Ray does not answer.
        UsageError: no machine has what a worker needs.
    """

    def __init__(
        self,
        plan: RunPlan,
        need: Need,
        address: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(need, look_every=_LOOK_EVERY, clock=clock)
        import ray  # whoever asks for it has made sure that it is there

        # It would report its use, and warns on standard error of what is no news to a user.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        self._ray: Any = ray
        # Ray's workers have its folder, and not the one that the names of files were given in.
        self._plan = anchored(plan, Path.cwd())
        self._own = not ray.is_initialized()
        self._printing = contextlib.ExitStack()
        if self._own:
            # Of a machine that is lost Ray prints pages on standard output, which is the results'.
            self._printing.enter_context(contextlib.redirect_stdout(ToLog()))
            try:
                self._begin(address)
            except BaseException:
                self._printing.close()
                raise
        self._exceptions: Any = ray.exceptions
        options: dict[str, Any] = {"num_cpus": need.cores, "num_gpus": need.gpus}
        if need.memory is not None:
            options["memory"] = int(need.memory * 2**30)
        # A second thread answers whether the first goes on.
        self._actor: Any = self._ray.remote(
            **options, max_restarts=0, max_task_retries=0, max_concurrency=2
        )(Worker)
        self._head = Head(self._head_of(address), clock)
        context = self._ray.get_runtime_context()
        self._node = "" if address.startswith(_CLIENT) else str(context.get_node_id())
        self._deserted = False
        self._references: dict[Any, tuple[Any, Callable[[Any], Event]]] = {}
        """What is on its way: by whom, and what is made of it."""
        try:
            self._ask_for_room()
        except BaseException:
            self.close()
            raise

    def _begin(self, address: str) -> None:
        local, client = address == LOCAL, address.startswith(_CLIENT)
        _refuse_deaf(address)
        for left in reversed(range(_STARTS if local else 2 if client else 1)):
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    self._ray.init(
                        address=address,
                        logging_level=logging.ERROR,
                        log_to_driver=False,
                        include_dashboard=False if local else None,
                        configure_logging=False,
                    )
            # It raises whatever it likes, a plain exception where a busy machine takes too long.
            except Exception as error:
                self._ray.shutdown()
                if left and any(words in str(error) for words in _TOO_LATE):
                    continue
                at = "on this machine" if local else f"at {address}"
                hint = _CLIENT_HINT if client else ""
                # Ray gives its token to a cluster with an address only where it is told to.
                named = not local and address != "auto"
                if named and os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
                    hint += _TOKEN_HINT
                raise OutOfReachError(
                    f"Ray does not answer {at}: {_sentence(error)}{hint}"
                ) from error
            return

    def _head_of(self, address: str) -> str:
        """Where the head takes connections; "" where Ray's client says that it is gone."""
        if address.startswith(_CLIENT):
            return ""
        return str(self._ray.get_runtime_context().gcs_address)

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

    def _places(self) -> int:
        self._head.look()
        if not self._head.there:
            return len(self._all())  # Ray would wait for its head, and end the program
        places = 0
        with self._answering():
            known = self._ray.nodes()
        nodes = [node for node in known if node["Alive"]]
        if any(node["NodeID"] == self._node and not node["Alive"] for node in known):
            # Ray ends the workers of such a program, and starts no others, wherever there is room.
            raise StreamError(
                "Ray has ended on the machine that this command runs on, and with it all that was "
                "on its way; what is done is written down, and the same command goes on with the "
                "rest"
            )
        self._deserted = not nodes
        for node in nodes:
            has = node["Resources"]
            fits = int(has.get("CPU", 0) // self._need.cores)
            if self._need.gpus:
                fits = min(fits, int(has.get("GPU", 0) / self._need.gpus))
            if self._need.memory:
                fits = min(fits, int(has.get("memory", 0) // (self._need.memory * 2**30)))
            places += fits
        return places

    @property
    def _waits_for(self) -> str:
        """What keeps workers from beginning."""
        if self._deserted:
            return "Ray has run on no machine of the cluster"
        return super()._waits_for

    def _start(self) -> Any:
        with self._answering():
            worker = self._actor.remote(self._plan, self._need.cores)
            self._references[worker.prepare.remote()] = worker, lambda ready: Ready(*ready)
        return worker

    def _give(self, worker: Any, task: Task) -> None:
        def made(done: Done) -> Done:
            return done

        with self._answering():
            self._references[worker.do.remote(task)] = worker, made

    def _ask(self, worker: Any) -> None:
        with self._answering():
            self._references[worker.signs.remote()] = worker, Signs

    def _kill(self, worker: Any) -> None:
        with self._answering():
            self._ray.kill(worker)

    def _events(self, timeout: float) -> list[tuple[Any, Event]]:
        self._head.look()
        if not self._references:
            time.sleep(timeout)
            return []
        with self._answering():
            ready = self._ready(len(self._references), 0)
            return [self._event(one) for one in ready or self._ready(1, timeout)]

    def _ready(self, most: int, timeout: float) -> list[Any]:
        ready, _ = self._ray.wait(list(self._references), num_returns=most, timeout=timeout)
        return list(ready)

    def _event(self, reference: Any) -> tuple[Any, Event]:
        worker, made = self._references.pop(reference)
        try:
            return worker, made(self._ray.get(reference))
        except self._exceptions.RayTaskError as error:
            # It lives, and did not say what is wrong with it: not what a worker does.
            self._ray.kill(worker)
            return worker, Gone(_sentence(error))
        except self._exceptions.RayError as error:
            return worker, Gone(_sentence(error))

    def close(self) -> None:
        """Ends the workers, and Ray where it was started here; where that hangs it is left."""
        if not self._head.there:
            self._printing.close()
            return  # there is nothing to end but by the head, for which Ray would wait
        ending = threading.Thread(target=self._end, name="stream-ray-end", daemon=True)
        ending.start()
        ending.join(_AT_LAST)
        self._printing.close()
        if ending.is_alive():
            _log.warning("Ray does not end; what it has started may be there for a while")

    def _end(self) -> None:
        with contextlib.suppress(ConnectionError, OSError, self._exceptions.RayError):
            for worker in self._all():
                self._ray.kill(worker)
            if self._own:
                self._ray.shutdown()
        self._free, self._starting, self._busy = [], set(), {}
        self._references.clear()


def _refuse_deaf(address: str) -> None:
    """Refuses a machine on which nobody listens, for which Ray would wait several minutes.

    Raises:
        OutOfReachError: why it cannot be reached.
    """
    why = unreached(address, _REACHED)
    if why:
        raise OutOfReachError(
            f"Ray does not answer at {address}: {why}; check the address, and that Ray was "
            "started there with `ray start --head`"
        )


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".:")
