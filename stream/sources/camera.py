"""Cameras of this machine, through FFmpeg's v4l2, avfoundation and dshow devices."""

from __future__ import annotations

import errno
import logging
import re
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av
from av.container import InputContainer

from stream.errors import SourceError
from stream.frame import Frame, VideoInfo
from stream.queues import Closed
from stream.settings.options import InputOptions
from stream.sources._camera_colours import CameraColours
from stream.sources._camera_faults import ALLOW, NOT_PERMITTED, fault_of
from stream.sources._clock import MACHINE
from stream.sources._opened import Opened
from stream.sources.base import Target
from stream.sources.live import LiveSource, planar
from stream.sources.live_timeline import TICKS, Timeline
from stream.sources.modes import COMPRESSED, Camera, Mode
from stream.sources.stream_reader import Picture, StreamReader
from stream.wording.words import counted

logger = logging.getLogger(__name__)

FIRST = "camera"
"""What the first camera is asked for by."""

SYSTEM: str = sys.platform
"""linux, darwin or win32."""

DEFAULT_SIZE = (640, 480)

_OPENING = 10.0
_SILENCE = 5.0
_BUSY = 3.0
"""Seconds by which a busy machine may be late with saying that a camera is silent."""
_FORMAT = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_RATES = (30, 25, 15, 60, 24)
"""Pictures a second that are asked for where nobody asks: macOS opens a camera with a rate that it
has, and FFmpeg's own there is 29.97; Windows takes the first mode that fits, of some cameras raw
pictures that come at ten a second."""
_CABLE = "a shorter cable, or a socket that no other device shares, may help"
_LINKS = "/dev/v4l/"
_FFMPEG_NAMES = {"MJPG": "mjpeg", "JPEG": "mjpeg", "YUYV": "yuyv422", "H264": "h264"}


def find_cameras() -> list[Camera]:
    """The cameras of this machine; empty where there are none or the system does not tell."""
    if SYSTEM == "linux":
        from stream.sources.v4l2 import cameras

        return cameras()
    try:
        devices = av.enumerate_input_devices(_FORMAT.get(SYSTEM, ""))
    except (ValueError, av.FFmpegError) as error:
        logger.debug("cannot list cameras: %s", error)
        return []
    return [
        Camera(device.name, device.description or device.name)
        for device in devices
        if "video" in device.media_types and not _is_screen(device.description)
    ]


def _is_screen(name: str) -> bool:
    """Whether it is a screen of this machine, which macOS lists behind its cameras."""
    return SYSTEM == "darwin" and re.fullmatch(r"Capture screen \d+", name) is not None


def describe_cameras(cameras: list[Camera], *, modes: bool = False) -> str:
    """The cameras as lines of text."""
    lines = []
    for index, camera in enumerate(cameras):
        problem = f" ({camera.problem})" if camera.problem else ""
        lines.append(f"{index}  {camera.device}  {camera.name}{problem}")
        if modes:
            lines += [f"     {mode}" for mode in camera.modes]
    return "\n".join(lines)


_WITHOUT = "use `stream webcam pattern` to see it work without one"


def some_camera(cameras: list[Camera]) -> list[Camera]:
    """The cameras, of which there has to be one.

    Raises:
        SourceError: there is none.
    """
    if not cameras:
        raise SourceError(
            "no camera found; connect one (a container or virtual machine has to be handed it), "
            f"or {_WITHOUT}"
        )
    return cameras


def pick_camera(wanted: str | None, cameras: list[Camera]) -> Camera:
    """The camera that a user means: by place in the list, device or (part of its) name.

    Raises:
        SourceError: there is no such camera; the sentence lists those there are.
    """
    if wanted is None:
        usable = [camera for camera in cameras if camera.problem is None]
        return (usable or some_camera(cameras))[0]
    if wanted.isdigit() and int(wanted) < len(cameras):
        return cameras[int(wanted)]
    for camera in cameras:
        if wanted in (camera.device, camera.lasting) or _same(wanted, camera.device):
            return camera
        if wanted.lower() == camera.name.lower():
            return camera
    partly = [camera for camera in cameras if wanted.lower() in camera.name.lower()]
    if len(partly) == 1:
        return partly[0]
    if not cameras:
        raise SourceError(f"there is no camera {wanted!r}, and no other was found; {_WITHOUT}")
    raise SourceError(f"there is no camera {wanted!r}; found:\n{describe_cameras(cameras)}")


def _same(wanted: str, device: str) -> bool:
    """Whether a link to a device is meant, as udev makes them."""
    return wanted.startswith(_LINKS) and str(Path(wanted).resolve()) == device


class CameraSource(LiveSource):
    """Pictures of a camera, in the mode asked for or the nearest that it has.

    Motion JPEG is asked for before size and rate: raw pictures of most USB cameras come at a few
    per second only.

    Args:
        camera: from `find_cameras`.
        size: width and height in pixels; None takes 640x480 where the camera has it.
        rate: pictures per second; None takes the camera's own.

    Raises:
        SourceError: it is in use, gone, not permitted, or lacks the mode.
    """

    heeds: ClassVar[tuple[str, ...]] = ("size", "fps", "device")
    targets: ClassVar[str] = f"a camera (its number, device or name, or `{FIRST}` for the first)"

    def __init__(
        self, camera: Camera, *, size: tuple[int, int] | None = None, rate: float | None = None
    ) -> None:
        self._camera = camera
        self._name = f"camera {camera.name}"
        if camera.problem == NOT_PERMITTED:
            raise SourceError(fault_of(camera, PermissionError(errno.EACCES, ""), SYSTEM))
        self._attempts = _attempts(camera, size, rate)
        self._asked = size is not None or rate is not None
        self._closed = threading.Event()
        self._colours = CameraColours(camera.device, SYSTEM)
        self._timeline = Timeline()
        self._clock = MACHINE
        self._dropped_before = self._corrupt_before = 0
        self._reader = self._connect()
        try:
            opened = self._wait_for_opening()
        except BaseException:
            self._reader.stop()
            raise
        self.info = VideoInfo(
            name=self._name,
            width=opened.width,
            height=opened.height,
            pixel_format=opened.pixel_format,
            time_base=TICKS,
            rate=opened.rate,
            colour=opened.colour,
            codec=opened.codec,
            live=True,
            camera=True,
        )

    @classmethod
    def accepts(cls, target: Target) -> bool:
        """Whether it is a number, a device, or the name of a camera that is here."""
        if isinstance(target, int):
            return not isinstance(target, bool) and target >= 0
        if not isinstance(target, str | Path):
            return False
        word = str(target)
        if word == FIRST or word.isdecimal() or word.startswith(("/dev/video", _LINKS)):
            return True
        # To look for cameras takes a moment; a path or an address is none.
        plain = not Path(word).suffix and "://" not in word and not Path(word).exists()
        return plain and any(
            word == camera.device or word.lower() in camera.name.lower()
            for camera in (find_cameras() if word else [])
        )

    @classmethod
    def from_target(cls, target: Target, options: InputOptions) -> CameraSource:
        """Opens the camera; `camera.device` goes before the target."""
        asked = options.camera
        wanted = asked.device or (None if target == FIRST else str(target))
        return cls(pick_camera(wanted, find_cameras()), size=asked.size, rate=asked.fps)

    @property
    def again(self) -> str | None:
        """Where its system knows it also once it was plugged in again, and has another number."""
        return self._camera.lasting

    @property
    def mode(self) -> Mode:
        """The mode that was agreed on."""
        info = self.info
        rates = (info.rate,) if info.rate else ()
        return Mode(info.codec.upper(), info.width, info.height, rates)

    def _connect(self) -> StreamReader:
        return StreamReader(self._open, self._describe, audio=False, mend=self._colours)

    def _open(self) -> InputContainer:
        kind = _FORMAT.get(SYSTEM)
        if kind is None:
            raise SourceError(f"cameras cannot be used on {SYSTEM}")
        name = f"video={self._camera.device}" if kind == "dshow" else self._camera.device
        last: BaseException | None = None
        for options in self._attempts:
            try:
                opened = av.open(name, format=kind, options=options, timeout=(_OPENING, _SILENCE))
            except (av.FFmpegError, OSError) as error:
                last = error
                if getattr(error, "errno", None) not in {errno.EINVAL, errno.EIO, errno.ENOTTY}:
                    break  # only a mode that is not there can be mended by asking for another
            else:
                self._colours.opened(opened)
                return opened
        raise last or SourceError(f"cannot open {self._name}")

    def _describe(self, error: BaseException) -> SourceError:
        return SourceError(fault_of(self._camera, error, SYSTEM, asked=self._asked))

    def _wait_for_opening(self) -> Opened:
        event = self._reader.events.take(2 * _OPENING)
        if self._reader.opened is not None:
            return self._reader.opened
        error = getattr(event, "error", None)
        raise error or SourceError(
            f"{self._name} does not answer; unplug it and plug it in again"
            + (f", or {ALLOW['darwin']}" if SYSTEM == "darwin" else "")
        )

    @property
    def corrupt(self) -> int:  # type: ignore[override]
        """Pictures so far that could not be decoded."""
        return self._corrupt_before + self._reader.corrupt

    @property
    def remarks(self) -> list[str]:
        """What happened to its pictures and its clock, a sentence each."""
        found = self._timeline.remarks(self._name)
        if self.corrupt:
            several = counted(self.corrupt, "picture")
            found.append(f"{several} of {self._name} came damaged; {_CABLE}")
        return found

    def close(self) -> None:
        """Ends the iteration and lets go of the camera."""
        self._closed.set()
        self._reader.stop(patience=1.0)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        self._dropped_before = -self._reader.events.dropped  # went by before anybody looked
        while not self._closed.is_set():
            asked, corrupt = self._clock.now(), self.corrupt
            try:
                event = self._reader.events.take(_SILENCE + 1)
            except Closed:
                return
            self.dropped = self._dropped_before + self._reader.events.dropped
            if isinstance(event, Picture):
                yield self._frame(event, index)
                index += 1
            elif self._closed.is_set():
                return
            elif isinstance(event, Opened):
                continue
            elif self._clock.now() - asked > _SILENCE + _BUSY:
                self._open_again()
            else:
                error = getattr(event, "error", None)
                damaged = event is None and self.corrupt > corrupt
                raise error or SourceError(
                    f"{self._name} sends no more pictures that are whole; {_CABLE}"
                    if damaged
                    else f"{self._name} sends no more pictures; unplug it and plug it in again"
                )

    def _open_again(self) -> None:
        """Opens the camera anew, as not it was silent but we slept: our process was stopped.

        FFmpeg takes that for a camera that no longer answers, and so did we.
        """
        before = self._reader
        before.stop(patience=1.0)
        self._dropped_before += before.events.dropped
        self._corrupt_before += before.corrupt
        self._timeline.reconnected()
        self._reader = self._connect()
        if self._closed.is_set():
            self._reader.stop()
        else:
            self._wait_for_opening()

    def _frame(self, event: Picture, index: int) -> Frame:
        tick = self._timeline.place(event.pts, event.time_base, event.arrived)
        picture = planar(event.picture)
        picture.pts, picture.time_base = tick, TICKS
        stages = {"decode": event.decode_seconds}
        return Frame(picture, index, tick, TICKS, stages=stages, captured_at=_captured(event))


def _captured(event: Picture) -> float:
    """When the sensor took the picture, as `time.perf_counter()`.

    V4L2 stamps pictures by the monotonic clock, which is perf_counter's on Linux: that counts the
    time on the cable too. Elsewhere the moment of arrival is all that is known.
    """
    if SYSTEM == "linux" and event.pts is not None and event.time_base:
        stamped = float(event.pts * event.time_base)
        if 0 <= event.arrived - stamped < 1:
            return stamped
    return event.arrived


def _attempts(
    camera: Camera, size: tuple[int, int] | None, rate: float | None
) -> list[dict[str, str]]:
    """FFmpeg's options to try, in order."""
    chosen = size
    if chosen is None and (not camera.sizes or DEFAULT_SIZE in camera.sizes):
        chosen = DEFAULT_SIZE
    wanted: dict[str, str] = {}
    if chosen is not None:
        wanted["video_size"] = f"{chosen[0]}x{chosen[1]}"
    if rate is not None:
        wanted["framerate"] = f"{Fraction(rate).limit_denominator(1001)}"
    formats: list[str | None] = ["mjpeg", None]
    if chosen is not None and camera.modes:
        best = camera.best_format(*chosen, rate)
        if best is not None and best not in COMPRESSED:
            formats = [_FFMPEG_NAMES.get(best), None]
    if SYSTEM != "linux":
        return _attempts_by_rate(wanted, smaller=size is None)
    attempts = [_with_format(wanted, name) for name in dict.fromkeys(formats)]
    if size is None and rate is None:
        attempts += [_with_format({}, name) for name in ("mjpeg", None)]
    return attempts


def _with_format(options: dict[str, str], name: str | None) -> dict[str, str]:
    return dict(options) if name is None else {"input_format": name, **options}


def _attempts_by_rate(wanted: dict[str, str], *, smaller: bool) -> list[dict[str, str]]:
    """The same where formats cannot be asked for; `smaller`: a size of the camera's own will do."""
    sizes = [wanted]
    if smaller:
        sizes.append({key: value for key, value in wanted.items() if key != "video_size"})
    attempts = []
    for one in sizes:
        if "framerate" not in one:
            rates = _RATES if SYSTEM == "darwin" else _RATES[:1]
            attempts += [{**one, "framerate": str(rate)} for rate in rates]
        attempts.append(one)
    # Windows drops pictures where more than this waits for us.
    return [{"rtbufsize": "64M", **one} if SYSTEM == "win32" else one for one in attempts]
