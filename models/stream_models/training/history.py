"""A run's figures as JSON lines, written while it learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stream.disk.files import write_whole


def entries(path: Path) -> list[dict[str, Any]]:
    """What a run noted, in order; a line that a power cut left half written is passed over."""
    found = []
    for line in path.read_text(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def begin(path: Path, step: int) -> None:
    """Makes a history ready for a run that goes on behind batch `step`; 0 begins anew.

    Batches behind that were lost with the run that noted them, and are made once more.
    """
    kept = [one for one in entries(path) if one["step"] <= step] if step and path.is_file() else []
    lines = "".join(f"{json.dumps(one)}\n" for one in kept)
    write_whole(path, lines.encode(), overwrite=True)
