"""A virtual camera: what is shown is a camera to video calls and other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

import numpy as np

from stream.errors import SinkError, UsageError
from stream.frame import Frame, Item, VideoInfo
from stream.pictures.pixels import plane_view, shown_size
from stream.pictures.scaler import Scaler
from stream.settings.options import OutputOptions
from stream.sinks._pictures import Pictures
from stream.sinks.base import Sink

if TYPE_CHECKING:
    from numpy.typing import NDArray

VIRTUAL_CAMERA = "virtual-camera"
"""The target; a device may follow after a colon."""

_FORMAT = "yuv420p"
_INSTALL = "in stream's checkout: pip install '.[virtual-camera]'"


class _Camera(Protocol):
    """What is used of `pyvirtualcam.Camera`."""

    device: str

    def send(self, frame: NDArray[np.uint8]) -> None:
        """Shows a picture, uint8 [3/2 H x W] in I420."""

    def close(self) -> None:
        """Lets go of the device."""


class VirtualCameraSink(Sink):
    """Shows the newest frame as a camera (Linux: v4l2loopback; Windows and macOS: OBS).

    Frames of another size than the first are fitted in; odd sizes lose their last row or column.
    Samples that are not square are made so, since who looks at a camera is told of no others.

    Args:
        device: such as /dev/video2; None for the first that there is.
        info: of the frames.

    Raises:
        SinkError: there is no virtual camera on this machine, or its package is not installed.
    """

    shows: ClassVar[bool] = True

    @classmethod
    def accepts(cls, target: str) -> bool:
        """`virtual-camera`, or `virtual-camera:` and a device."""
        return target.partition(":")[0] == VIRTUAL_CAMERA

    @classmethod
    def check(cls, target: str, options: OutputOptions, inputs: Sequence[Path] = ()) -> None:
        """Refuses an encoder's settings, which mean nothing here."""
        asked = (options.codec, options.preset, options.crf, options.pixel_format)
        if any(one is not None for one in asked):
            raise UsageError(
                "a virtual camera has no encoder: leave --codec, --crf, --preset and "
                "--pixel-format away"
            )

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """Opens the camera."""
        return cls(target.partition(":")[2] or None, info)

    def __init__(self, device: str | None, info: VideoInfo) -> None:
        self._width, self._height = info.width - info.width % 2, info.height - info.height % 2
        rate = float(info.rate or 30)
        self._pictures = Pictures(self._width, self._height, _FORMAT)
        width, _ = shown_size(self._width, self._height, info.sample_aspect_ratio)
        self._shown_width = max(2, width - width % 2)
        self._scale = Scaler()
        self._camera: _Camera | None = _open(self._shown_width, self._height, rate, device)
        self.device = self._camera.device
        self._room = np.empty((self._height * 3 // 2, self._shown_width), np.uint8)

    def write(self, item: Item) -> None:
        """Shows a frame.

        Raises:
            SinkError: the device is gone.
        """
        if self._camera is None or not isinstance(item, Frame):
            return
        flat, at = self._room.reshape(-1), 0
        picture = self._pictures(item.image, item.alpha)
        if self._shown_width != self._width:
            picture = self._scale(picture, width=self._shown_width)
        for plane in picture.planes:
            samples = plane_view(plane)
            flat[at : at + samples.size].reshape(samples.shape)[:] = samples
            at += samples.size
        try:
            self._camera.send(self._room)
        except (RuntimeError, OSError) as error:
            raise SinkError(f"the virtual camera {self.device} is gone: {error}") from error

    def close(self) -> None:
        """Lets go of the device; safe to call twice."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()


def _open(width: int, height: int, rate: float, device: str | None) -> _Camera:
    try:
        import pyvirtualcam
    except ImportError as error:
        raise SinkError(f"a virtual camera needs pyvirtualcam; {_INSTALL}") from error
    try:
        camera: _Camera = pyvirtualcam.Camera(
            width, height, rate, fmt=pyvirtualcam.PixelFormat.I420, device=device
        )
    except (RuntimeError, OSError) as error:
        words = " ".join(str(error).split()).rstrip(".")
        raise SinkError(
            f"there is no virtual camera here: {words}; on Linux: apt-get install "
            "v4l2loopback-dkms && modprobe v4l2loopback"
        ) from error
    return camera
