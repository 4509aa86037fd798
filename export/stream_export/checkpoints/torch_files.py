"""Checkpoints that torch wrote, in its zip form and the older one."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

from stream.errors import ModelError

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How a file of torch's older serialisation begins."""


def is_torch(path: Path) -> bool:
    """Whether a file begins as torch's do, in either form, whatever it is called."""
    try:
        with path.open("rb") as file:
            head = file.read(len(LEGACY_MAGIC))
    except OSError:
        return False
    return head == LEGACY_MAGIC or head.startswith(b"PK")


def read_torch(path: Path) -> Any:
    """Reads a torch file, tensors on the CPU; code that it may carry is refused.

    Raises:
        ModelError: the file is missing, damaged, cut short, or holds more than plain data.
    """
    import torch

    try:
        # Training scripts store their arguments beside the weights; they do nothing.
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            # Of a pickle's age, which is no fault of whoever has the file.
            warnings.simplefilter("ignore")
            return torch.load(str(path), map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file") from None
    except pickle.UnpicklingError as error:
        raise ModelError(_refusal(path, str(error))) from error
    except Exception as error:  # a damaged file may raise anything
        raise ModelError(
            f"{path}: the torch file is damaged or cut short ({type(error).__name__}); download it "
            "again"
        ) from error


def _refusal(path: Path, text: str) -> str:
    """One sentence from torch's page of advice, which says GLOBAL and the name."""
    wanted = re.search(r"GLOBAL ([\w.]+)", text)
    if wanted is None:
        return f"{path}: the torch file is damaged, cut short, or holds more than weights"
    return (
        f"{path}: the file asks to run {wanted[1]!r}, which no checkpoint needs; it was refused "
        "and nothing was executed"
    )
