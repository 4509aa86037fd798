"""libsrt's own program, for addresses that the FFmpeg inside PyAV does not know."""

from __future__ import annotations

import shutil

TOOL = "srt-live-transmit"

MISSING = (
    f"the FFmpeg inside PyAV was built without srt, and {TOOL} is not installed; install it "
    "(Debian and Ubuntu: apt-get install srt-tools)"
)
"""What is to be said where it is not there."""


def tool_command() -> list[str] | None:
    """The program with what it is always told; None where it is not installed.

    A datagram of MPEG-TS holds seven packets of 188 bytes.
    """
    tool = shutil.which(TOOL)
    return None if tool is None else [tool, "-quiet", "-chunk:1316"]
