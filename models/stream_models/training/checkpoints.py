"""Checkpoints of a training run: written whole, and read back with a word where they are none."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from stream.errors import ModelError
from stream_models.network import MaskRCNN, network_config
from stream_models.training.saving import save_whole


def save_checkpoint(path: Path, network: MaskRCNN, extra: dict[str, Any]) -> None:
    """Write weights, the network's description and `extra`, whole or not at all."""
    content = {
        "config": dataclasses.asdict(network.config),
        "weights": network.state_dict(),
        **extra,
    }
    save_whole(path, content)


def check_room(folder: Path, network: MaskRCNN) -> None:
    """Makes sure that what a run learns can be kept, before it learns for minutes.

    Args:
        folder: of the run, which is there.
        network: that learns.

    Raises:
        OSError: its disk has no room for a checkpoint beside an earlier one, and for the models.
    """
    whole = sum(one.nbytes for one in network.state_dict().values())
    learns = sum(one.nbytes for one in network.parameters() if one.requires_grad)
    # The network and its average, what AdamW keeps of each weight; a float32 and an int8 model.
    needed = 2 * whole + 2 * learns + 1.3 * whole
    free = shutil.disk_usage(folder).free
    if free < needed:
        told = (
            f"{os.strerror(errno.ENOSPC)}; a checkpoint and the models need {needed / 1e6:.0f} MB "
            f"there, and {free / 1e6:.0f} MB are free"
        )
        raise OSError(errno.ENOSPC, told, str(folder))


def content_of(path: Path) -> dict[str, Any]:
    """What a checkpoint of a run holds.

    Raises:
        ModelError: it is none.
    """
    advice = "a run's checkpoint is what `stream train` leaves in its folder"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path}: it cannot be read ({error.strerror or error})") from error
    # Whatever torch makes of a file that it did not write; code that one carries is not loaded.
    except Exception as error:
        raise ModelError(f"{path}: it is damaged or no checkpoint of a run; {advice}") from error
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise ModelError(f"{path}: it is no checkpoint of a run; {advice}")
    return content


def load_network(path: Path, key: str = "average") -> MaskRCNN:
    """The network of a checkpoint: its averaged weights, or with key "weights" the last ones.

    Raises:
        ModelError: it is no checkpoint of a run.
    """
    content = content_of(path)
    try:
        network = MaskRCNN(network_config(content["config"]))
        network.load_state_dict(content[key] if key in content else content["weights"])
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: its weights are another network's than today's; start from a float32 .onnx "
            "of that run, or train anew"
        ) from error
    return network
