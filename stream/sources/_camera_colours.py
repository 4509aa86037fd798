"""By what the raw pictures of a camera mean colours, where they do not say it themselves."""

from __future__ import annotations

import logging
from pathlib import Path

import av
from av.container import InputContainer

from stream.sources._tags import UNKNOWN, mend_matrix

_log = logging.getLogger(__name__)

_BT601 = 6
"""USB cameras without a Color Matching descriptor mean BT.601's matrix, of whatever size their
pictures are (USB Video Class 1.5, 3.9.2.6); players of files guess BT.709 of large ones."""
_FULL = 2


class CameraColours:
    """Tells each picture of a camera by what it means colours.

    Pictures that came compressed say it, as JPEG always means the same, and so do those that
    Windows knows more of. What macOS converts is left as it is.

    Args:
        device: what the system calls the camera by.
        system: linux, darwin or win32.
    """

    def __init__(self, device: str, system: str) -> None:
        self._device, self._system = device, system
        self._told: tuple[int, bool] | None = None

    def opened(self, container: InputContainer) -> None:
        """Asks by what the pictures of the open camera mean colours."""
        self._told = None
        video = container.streams.video[0] if container.streams.video else None
        raw = video is not None and video.codec_context.name == "rawvideo"
        if raw and self._system != "darwin":
            self._told = self._asked() if self._system == "linux" else (_BT601, False)

    def _asked(self) -> tuple[int, bool]:
        from stream.sources import v4l2

        try:
            return v4l2.colours(Path(self._device))
        except OSError as error:
            _log.debug("what the colours of %s mean is not said: %s", self._device, error)
            return _BT601, False

    def __call__(self, picture: av.VideoFrame) -> None:
        """Mends the tags of a picture, in place."""
        mend_matrix(picture)
        if self._told is None or picture.format.is_rgb or len(picture.format.components) < 3:
            return
        matrix, full = self._told
        if picture.colorspace == UNKNOWN:
            picture.colorspace = matrix
        if full and picture.color_range == 0:
            picture.color_range = _FULL
