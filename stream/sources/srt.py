"""SRT where the FFmpeg inside PyAV lacks it: through libsrt's own `srt-live-transmit`."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
from functools import cache

from stream.errors import SourceError
from stream.system.srt import MISSING, hide_passphrase, tool_command

_ENDING_SECONDS = 2.0


class Relay:
    """A process that hands what an SRT address sends on to a UDP port of this machine.

    It connects again by itself when the source comes back. On Linux it ends with the thread that
    made it: left behind by a process that was killed, it would keep the source for itself for ever.

    Args:
        address: srt://host:port[?mode=…&passphrase=…].

    Raises:
        SourceError: the tool is not installed; the message names no part of the address.
    """

    def __init__(self, address: str) -> None:
        command = tool_command()
        if command is None:
            raise SourceError(MISSING, lasting=True)
        port = _free_port()
        self.address = f"udp://127.0.0.1:{port}"
        """Where FFmpeg reads what comes."""
        self._process = subprocess.Popen(
            [*_ending_with_us(), *command, "-autoreconnect:yes", address, self.address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        hide_passphrase(self._process.pid)

    def close(self) -> None:
        """Ends the process."""
        self._process.terminate()
        try:
            self._process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Relays:
    """The relay of an address: one at a time, each for one connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._relay: Relay | None = None
        self._closed = False

    def begun(self, address: str) -> str:
        """The UDP address of a new relay; the one before is ended.

        Args:
            address: srt://host:port[?mode=…&passphrase=…].

        Raises:
            SourceError: it was closed, or the tool is not installed.
        """
        with self._lock:
            self._end()
            if self._closed:
                raise SourceError("it was closed")
            self._relay = Relay(address)
            return self._relay.address

    def close(self) -> None:
        """Ends the relay; none is begun any more."""
        with self._lock:
            self._closed = True
            self._end()

    def _end(self) -> None:
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.close()


@cache
def _ending_with_us() -> tuple[str, ...]:
    """What a command begins with that is to end with the thread that starts it; () without."""
    tool = shutil.which("setpriv") if sys.platform == "linux" else None
    if tool is None:
        return ()
    start = (tool, "--pdeathsig", "TERM")
    known = subprocess.run(
        [*start, "true"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return start if not known.returncode else ()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
