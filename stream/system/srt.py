"""libsrt's own program, for addresses that the FFmpeg inside PyAV does not know."""

from __future__ import annotations

import re
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

from stream.system.arguments import hide

TOOL = "srt-live-transmit"

MISSING = (
    f"the FFmpeg inside PyAV was built without srt, and {TOOL} is not installed; install it "
    "(Debian and Ubuntu: apt-get install srt-tools)"
)
"""What is to be said where it is not there."""


_REFUSED = re.compile(r"REJECT.*?: ([^:]+?) - not processing further")


def told_of_target(line: str) -> tuple[str, str]:
    """What a line of the program's says of whom it sends to: "connected", or "failed" and why.

    Args:
        line: of its standard error.
    """
    if line in {"SRT target connected", "Accepted SRT target connection"}:
        return "connected", ""
    refused = _REFUSED.search(line)
    if refused is not None:
        return "failed", refused[1].lower()
    if line.startswith("ERROR"):
        return "failed", "there is no such host, or it cannot be reached"
    return "", ""


def tool_command() -> list[str] | None:
    """The program with what it is always told; None where it is not installed.

    A datagram of MPEG-TS holds seven packets of 188 bytes.
    """
    tool = shutil.which(TOOL)
    return None if tool is None else [tool, "-chunk:1316"]


_STANDARD_ERROR = 2
_READING_SECONDS = 1.0
"""After which a process that was started has read its arguments, whatever it waits for."""


def hide_passphrase(process: int) -> None:
    """Takes an address's passphrase out of what the list of processes shows of the tool.

    It takes one in no other way, and keeps what it has read. It has, once it has opened a socket.

    Args:
        process: that runs the tool, started by this one.
    """
    until = time.monotonic() + _READING_SECONDS
    while sys.platform == "linux" and not _has_socket(process) and time.monotonic() < until:
        time.sleep(0.002)
    hide(process)


def _has_socket(process: int) -> bool:
    with suppress(OSError):  # it has ended, which is as good
        for one in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):  # it has been closed meanwhile
                if int(one.name) > _STANDARD_ERROR and str(one.readlink()).startswith("socket:"):
                    return True
        return False
    return True
