"""What cameras Linux knows and which modes they offer, asked of the kernel (V4L2).

The requests and structures are those of the kernel's `include/uapi/linux/videodev2.h`.
"""

from __future__ import annotations

import errno
import os
import re
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from stream.sources._camera_faults import IN_USE, NOT_PERMITTED
from stream.sources.modes import Camera, Mode

Ioctl = Callable[[int, int, bytearray], int]

_QUERYCAP = 0x80685600
_ENUM_FMT = 0xC0405602
_ENUM_FRAMESIZES = 0xC02C564A
_ENUM_FRAMEINTERVALS = 0xC034564B
_G_FMT = 0xC0D05604
_VIDEO_CAPTURE = 1  # both V4L2_CAP_VIDEO_CAPTURE and V4L2_BUF_TYPE_VIDEO_CAPTURE
_DEVICE_CAPS = 0x80000000
_DISCRETE = 1
# Where `struct v4l2_pix_format` begins in `struct v4l2_format`, whose union holds pointers.
_PICTURES = 8
_TOLD = 0xFEEDCAFE
"""V4L2_PIX_FMT_PRIV_MAGIC: the fields behind it are filled in."""
# Matrices as H.273 numbers them, by `enum v4l2_ycbcr_encoding`, and by `enum v4l2_colorspace` where
# that is the default; all others mean BT.601's (V4L2_MAP_YCBCR_ENC_DEFAULT).
_BT601 = 6
_MATRICES = {1: 6, 2: 1, 3: 6, 4: 1, 5: 6, 6: 9, 7: 9, 8: 7}
_DEFAULT_MATRICES = {2: 7, 3: 1, 10: 9, 12: 1}
_JPEG, _FULL = 7, 1
_USUAL_SIZES = ((640, 480), (1280, 720), (1920, 1080), (3840, 2160))


def cameras(
    devices: Path = Path("/dev"),
    names: Path = Path("/sys/class/video4linux"),
    ioctl: Ioctl | None = None,
    links: Path = Path("/dev/v4l"),
) -> list[Camera]:
    """The capture devices, in the order of their numbers.

    A device that may not be opened is listed with the reason and without modes.

    Args:
        devices: where the device files are.
        names: where the kernel tells their names.
        ioctl: asks the kernel: file descriptor, request, and the structure, changed in place.
        links: where udev calls them by what they are, and by where they are plugged in.
    """
    ask = ioctl or _ioctl
    numbered = [
        (int(match[1]), path)
        for path in devices.glob("video*")
        if (match := re.fullmatch(r"video(\d+)", path.name))
    ]
    found = [_camera(path, names, ask) for _, path in sorted(numbered)]
    lasting = _lasting(links)
    return [
        replace(camera, lasting=lasting.get(Path(camera.device).resolve()))
        for camera in found
        if camera is not None
    ]


def colours(device: Path, ioctl: Ioctl | None = None) -> tuple[int, bool]:
    """By what the pictures that a camera sends now mean colours, if they are YUV.

    Args:
        device: its file.
        ioctl: as of `cameras`.

    Returns:
        Its matrix as H.273 numbers it, and whether samples use all values.

    Raises:
        OSError: the kernel does not say.
    """
    answer = bytearray(208)
    struct.pack_into("I", answer, 0, _VIDEO_CAPTURE)
    with _opened(device) as descriptor:
        (ioctl or _ioctl)(descriptor, _G_FMT, answer)
    space, told, _, matrix, values = struct.unpack_from("5I", answer, _PICTURES + 24)
    if told != _TOLD:
        matrix = values = 0
    known = _MATRICES.get(matrix) or _DEFAULT_MATRICES.get(space, _BT601)
    return known, values == _FULL or (not values and space == _JPEG)


def _lasting(links: Path) -> dict[Path, str]:
    """The links to each device: what it is rather than where it is, as two alike may have one."""
    found: dict[Path, str] = {}
    for kind in ("by-path", "by-id"):
        for link in sorted((links / kind).glob("*")):
            found[link.resolve()] = str(link)
    return found


def _ioctl(descriptor: int, request: int, structure: bytearray) -> int:
    if sys.platform == "win32":
        raise OSError(errno.ENOTTY, "there is no V4L2 on Windows")
    else:
        import fcntl

        return int(fcntl.ioctl(descriptor, request, structure, True))


def _camera(path: Path, names: Path, ioctl: Ioctl) -> Camera | None:
    name = path.name
    with suppress(OSError):
        name = (names / path.name / "name").read_text(errors="replace").strip() or name
    try:
        with _opened(path) as descriptor:
            if not _captures(descriptor, ioctl):
                return None
            return Camera(str(path), name, tuple(_modes(descriptor, ioctl)))
    except OSError as error:
        return Camera(str(path), name, (), _reason(error))


def _reason(error: OSError) -> str:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return NOT_PERMITTED
    if error.errno == errno.EBUSY:
        return IN_USE
    if error.errno == errno.ENOTTY:
        return "no camera, by what its driver answers"
    if error.errno in {errno.ENODEV, errno.ENXIO}:
        return "its driver is not there"
    return error.strerror or str(error)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NONBLOCK", 0))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _captures(descriptor: int, ioctl: Ioctl) -> bool:
    structure = bytearray(104)
    ioctl(descriptor, _QUERYCAP, structure)
    whole, own = struct.unpack_from("II", structure, 84)
    return bool((own if whole & _DEVICE_CAPS else whole) & _VIDEO_CAPTURE)


def _modes(descriptor: int, ioctl: Ioctl) -> Iterator[Mode]:
    for structure in _each(
        descriptor, _ENUM_FMT, lambda index: struct.pack("III52x", index, 1, 0), ioctl
    ):
        (code,) = struct.unpack_from("I", structure, 44)
        for width, height in _sizes(descriptor, code, ioctl):
            rates = tuple(sorted(_rates(descriptor, code, width, height, ioctl), reverse=True))
            yield Mode(struct.pack("I", code).decode("ascii", "replace"), width, height, rates)


def _sizes(descriptor: int, code: int, ioctl: Ioctl) -> Iterator[tuple[int, int]]:
    for structure in _each(
        descriptor, _ENUM_FRAMESIZES, lambda index: struct.pack("II36x", index, code), ioctl
    ):
        (kind,) = struct.unpack_from("I", structure, 8)
        if kind == _DISCRETE:
            width, height = struct.unpack_from("II", structure, 12)
            yield width, height
            continue
        least_w, most_w, _, least_h, most_h, _ = struct.unpack_from("6I", structure, 12)
        yield from (
            (width, height)
            for width, height in _USUAL_SIZES
            if least_w <= width <= most_w and least_h <= height <= most_h
        )
        return


def _rates(descriptor: int, code: int, width: int, height: int, ioctl: Ioctl) -> Iterator[Fraction]:
    for structure in _each(
        descriptor,
        _ENUM_FRAMEINTERVALS,
        lambda index: struct.pack("IIII36x", index, code, width, height),
        ioctl,
    ):
        (kind,) = struct.unpack_from("I", structure, 16)
        seconds, parts = struct.unpack_from("II", structure, 20)
        if seconds:
            yield Fraction(parts, seconds)
        if kind != _DISCRETE:
            return


def _each(
    descriptor: int, request: int, structure: Callable[[int], bytes], ioctl: Ioctl
) -> Iterator[bytearray]:
    """The kernel's answers to a question with an index, until it has no more."""
    for index in range(256):
        answer = bytearray(structure(index))
        try:
            ioctl(descriptor, request, answer)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOTTY}:
                return
            raise
        yield answer
