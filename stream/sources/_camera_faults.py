"""Why a camera of this machine cannot be used, and what to do."""

from __future__ import annotations

import errno
import os
import sys

from stream.sources.modes import Camera

ALLOW = {
    "linux": "add yourself to its group: sudo usermod -aG video $USER, then log in again",
    "darwin": "allow it in System Settings, Privacy & Security, Camera, to the program in which "
    "you started this (Terminal, say)",
    "win32": "allow it in Settings, Privacy & security, Camera, to desktop apps",
}
"""What to do where a camera may not be used, by system."""

NOT_PERMITTED, IN_USE = "not permitted", "in use by another program"
"""Problems that cameras are listed with."""

_TO_A_CONTAINER = (
    "here not even by root, as in a container to which it was not handed (docker run --device)"
)


def fault_of(camera: Camera, error: BaseException, system: str, *, asked: bool = False) -> str:
    """What is wrong with a camera, and what to do, in a sentence.

    Args:
        camera: as it is listed.
        error: what the system or FFmpeg raised.
        system: linux, darwin or win32.
        asked: whether a size or a rate was asked for.
    """
    number = getattr(error, "errno", None)
    listed = "see what it has with `stream webcam --list`"
    allow, advice = ALLOW.get(system, "allow it"), _permission(system)
    reasons: list[tuple[bool, str]] = [
        (number == errno.EBUSY, "is in use by another program; close that and try again"),
        (number in {errno.EACCES, errno.EPERM}, f"may not be used; {advice}"),
        (number in {errno.ENOENT, errno.ENODEV, errno.ENXIO}, "is gone; plug it in again"),
        (
            # All that FFmpeg says there, whatever the cause is.
            number == errno.EIO and system in {"darwin", "win32"},
            f"cannot be opened; close other programs that use it, {allow}, and leave out "
            "--size and --fps where you gave them",
        ),
        (
            number == errno.EINVAL and asked,
            f"does not have the size or rate asked for; {listed}",
        ),
        (
            number == errno.EINVAL,
            f"has no size and format that can be read; {listed}, and ask for one with --size and "
            "--fps",
        ),
        (number == errno.ENOTTY, "is no camera, by what its driver answers"),
    ]
    otherwise = f"cannot be used: {getattr(error, 'strerror', None) or error}"
    what = next((text for holds, text in reasons if holds), otherwise)
    return f"the camera {camera.name} ({camera.device}) {what}"


def remedy_of(camera: Camera, system: str) -> str:
    """What to do where a camera is listed with a problem.

    Args:
        camera: as it is listed.
        system: linux, darwin or win32.
    """
    if camera.problem == NOT_PERMITTED:
        return _permission(system)
    if camera.problem == IN_USE:
        return "close that program and try again"
    return "plug it in again, or use another"


def _permission(system: str) -> str:
    if system == "linux" and _is_root():
        return _TO_A_CONTAINER
    return ALLOW.get(system, "allow it")


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0
