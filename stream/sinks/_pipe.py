"""A process that takes a container's bytes and sends them on, as a place for a muxer."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from stream.sinks._one_way import OneWay
from stream.system.apart import apart

_WAITING = 256
"""Writes that wait for the process: some seconds of video. What comes then waits for room."""

_LOOK = 0.02
"""Seconds after which it is looked again whether a process has ended."""

_GRACE = 1.0
"""Seconds for a process that does not end by itself to send the rest."""


class Pipe(OneWay):
    """Hands bytes to a process's standard input, and never waits for it longer than `patience`.

    Attributes:
        connected: set once the process has said that the receiver is there.
        key_wanted: set when the process says that the receiver wants a key frame.
    """

    def __init__(
        self,
        command: Sequence[str],
        name: str,
        *,
        environment: Mapping[str, str] | None = None,
        patience: float,
        told: Callable[[str], tuple[str, str]] | None = None,
    ) -> None:
        """Starts the process.

        Args:
            command: its program and arguments.
            name: what to call the receiver in errors, without secrets.
            environment: variables that it gets beside ours.
            patience: seconds that it may take to take something, and to end.
            told: makes of a line that a foreign process writes to standard error one of our words
                and the rest; it is ended where its standard input ends. None is for our own, which
                say "connected", "keyframe", "lost …" and "failed …" on standard output, and end
                with it.

        Raises:
            OSError: it cannot be started.
        """
        super().__init__(name)
        self.connected = threading.Event()
        self.key_wanted = threading.Event()
        self.reason = ""
        """Why the process ended, in its words; "" where it has said nothing."""
        self.lost = 0
        """Files that the process could not write, and went on without."""
        self._name = name
        self._told = told
        self._patience = patience
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if told is None else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if told is None else subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            **apart(),
        )
        self._threads = [
            threading.Thread(target=work, name="stream-send", daemon=True)
            for work in (self._hand_on, self._listen)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def process(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def foreign(self) -> bool:
        """Whether it is a program of others, which sees only as it reads that nobody answers."""
        return self._told is not None

    @property
    def ended(self) -> bool:
        """Whether the process is gone; what it said last has been heard then."""
        if self._process.poll() is None:
            return False
        self._threads[1].join(_GRACE)
        return True

    # What FFmpeg calls, through PyAV.

    def write(self, data: bytes) -> int:
        """Hands on all of `data`.

        Raises:
            OSError: the process is gone, or took nothing for longer than its patience.
        """
        if self.error is None and self.ended:
            self.error = BrokenPipeError(32, self.reason or "the receiver is gone")
        if self.error is not None:
            raise self.error
        try:
            self._chunks.put(bytes(data), timeout=self._patience)
        except queue.Full:
            self.error = TimeoutError(110, f"it took nothing for {self._patience:g} s")
            raise self.error from None
        self.written += len(data)
        return len(data)

    # What the sink calls.

    def answers(self) -> bool:
        """Whether the receiver is there; waits until that is known, or for as long as its patience.

        A process that has ended has found none.
        """
        until = time.monotonic() + self._patience
        while not self.connected.wait(_LOOK) and not self.ended and time.monotonic() < until:
            pass
        return self.connected.is_set()  # it may have been there for a moment

    def commit(self) -> None:
        """Lets the process send what it has and end.

        Raises:
            OSError: it failed, or took longer than its patience.
        """
        if self.closed:
            return
        self.closed = True
        try:
            with contextlib.suppress(queue.Full):
                self._chunks.put(None, timeout=self._patience)
            if self._told is not None:
                # It would go on for ever; what it holds back it sends within its latency.
                self._threads[0].join(self._patience)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_GRACE)
                return
            code = self._process.wait(self._patience)
        except subprocess.TimeoutExpired:
            raise TimeoutError(110, f"it took longer than {self._patience:g} s to end") from None
        finally:
            self._stop()
        if code:
            raise BrokenPipeError(32, self.reason or f"sending ended with code {code}")

    def abandon(self, *, keep: bool = True) -> None:
        """Ends the process at once."""
        self.closed = True
        self._stop()

    def explain(self, error: OSError) -> str:
        """Why writing failed, as the beginning of a sentence."""
        return f"{self._name} could not be sent to ({error.strerror or error})"

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()
        # Whoever hands on takes what still waits, so that there is room soon.
        while self._threads[0].is_alive():
            with contextlib.suppress(queue.Full):
                self._chunks.put(None, timeout=0.05)
                break
        for thread in self._threads:
            thread.join()
        for end in (self._process.stdin, self._process.stdout, self._process.stderr):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.close()

    def _hand_on(self) -> None:
        assert self._process.stdin is not None
        try:
            while (data := self._chunks.get()) is not None:
                self._process.stdin.write(data)
                self._process.stdin.flush()
            self._process.stdin.close()
        except (OSError, ValueError):
            # It is gone. Whoever writes finds that out; nobody may wait for room any more.
            while self._chunks.get() is not None:
                continue

    def _listen(self) -> None:
        lines = self._process.stdout or self._process.stderr
        assert lines is not None
        for line in lines:
            said = line.decode("utf-8", "replace").strip()
            word, _, rest = said.partition(" ")
            if self._told is not None:
                word, rest = self._told(said)
            if word == "connected":
                self.connected.set()
            elif word == "keyframe":
                self.key_wanted.set()
            elif word == "failed":
                self.reason = rest
            elif word == "lost":
                self.lost, self.reason = self.lost + 1, rest
