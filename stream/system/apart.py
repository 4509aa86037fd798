"""Processes that are started apart from the terminal's others, whose Ctrl-C is not for them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any


def apart() -> dict[str, Any]:
    """What `subprocess.Popen` is given besides, so that Ctrl-C in the terminal is for us alone.

    Whoever starts such a process ends it in good order.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    else:
        return {"start_new_session": True}
