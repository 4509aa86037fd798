"""SRT where the FFmpeg inside PyAV lacks it: through libsrt's own `srt-live-transmit`."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
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
