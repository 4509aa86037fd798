"""The folder that a run writes into: what is there already and is no run's stays."""

from __future__ import annotations

import os
from pathlib import Path

from stream.disk.files import same_file
from stream.errors import UsageError

CHECKPOINT, HISTORY, CURVE = "checkpoint.pt", "history.jsonl", "curve.png"
FLOAT_MODEL, INT8_MODEL, REPORT = "model.float32.onnx", "model.int8.onnx", "report.json"
_WRITTEN = (CHECKPOINT, HISTORY, CURVE, FLOAT_MODEL, INT8_MODEL, REPORT)


def check_out(out: Path, init: str) -> None:
    """Refuses a folder in which a run would write over what is not its own.

    Every run keeps a history; files of a run's names without one are somebody else's.

    Args:
        out: the folder, which need not be there.
        init: what the run begins from; a word or a file.

    Raises:
        UsageError: the weights to begin from, or files of another kind, would be written over, or
            there can be no such folder.
    """
    nearest = next((one for one in (out, *out.absolute().parents) if one.exists()), None)
    if nearest is None:  # a drive that there is not
        raise UsageError(f"--out {out}: there can be no such folder; give another name")
    if not nearest.is_dir():
        raise UsageError(f"--out {out}: {nearest} is a file; give the name of a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"--out {out}: nothing may be written into {nearest}; give another name")
    written = [out / name for name in _WRITTEN]
    weights = Path(init)
    if weights.is_file() and any(same_file(one, weights) for one in written):
        raise UsageError(f"--init {init} would be written over by the run; give --out another name")
    there = [one for one in written if one.exists()]
    if there and not (out / HISTORY).is_file():
        raise UsageError(
            f"--out {out} holds {there[0].name}, which no run there has written; "
            "give it another name"
        )
