"""The virtual camera, with a stand-in for the device that this machine may lack."""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from stream import sinks
from stream.errors import SinkError, UsageError
from stream.frame import Frame, VideoInfo
from stream.settings.options import OutputOptions
from stream.sinks.virtual_camera import VirtualCameraSink

INFO = VideoInfo("made", 64, 48, "yuv420p", Fraction(1, 25), Fraction(25), live=True)


class _Device:
    """Takes what `pyvirtualcam.Camera` takes."""

    def __init__(
        self, width: int, height: int, fps: float, *, fmt: str, device: str | None
    ) -> None:
        self.asked = (width, height, fps, fmt)
        self.device = device or "/dev/video7"
        self.shown: list[np.ndarray] = []
        self.closed = 0
        _Device.last = self

    last: _Device

    def send(self, frame: np.ndarray) -> None:
        self.shown.append(frame.copy())

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(Camera=_Device, PixelFormat=SimpleNamespace(I420="i420"))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)


def _frame(pixel_format: str = "yuv420p", size: tuple[int, int] = (64, 48)) -> Frame:
    picture = av.VideoFrame(*size, pixel_format)
    for number, plane in enumerate(picture.planes):
        plane.update(bytes([50 + 50 * number]) * plane.buffer_size)
    return Frame(picture, 0, 0, Fraction(1, 25))


@pytest.mark.usefixtures("_stand_in")
def test_frames_reach_the_device_as_they_are() -> None:
    sink = VirtualCameraSink.from_target("virtual-camera:/dev/video2", INFO, OutputOptions())
    assert _Device.last.asked == (64, 48, 25.0, "i420") and sink.device == "/dev/video2"
    sink.write(_frame())
    sink.close()
    sink.close()
    (shown,) = _Device.last.shown
    assert shown.shape == (72, 64)
    assert set(shown[:48].ravel()) == {50}
    assert set(shown[48:60].ravel()) == {100} and set(shown[60:].ravel()) == {150}
    assert _Device.last.closed == 1


@pytest.mark.usefixtures("_stand_in")
def test_other_formats_and_sizes_are_made_fit() -> None:
    sink = VirtualCameraSink.from_target("virtual-camera", INFO, OutputOptions())
    sink.write(_frame("yuv444p"))
    sink.write(_frame("yuv420p", (128, 48)))
    sink.close()
    full, wide = _Device.last.shown
    assert abs(int(full[24, 32]) - 50) <= 1
    assert abs(int(wide[24, 32]) - 50) <= 1 and wide[2, 32] == 16  # between black bars


def test_a_machine_without_one_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(SinkError, match=r"pip install '\.\[virtual-camera\]'"):
        VirtualCameraSink.from_target("virtual-camera", INFO, OutputOptions())

    def refuse(*asked: object, **named: object) -> None:
        raise RuntimeError("'v4l2loopback' backend: No device found")

    module = SimpleNamespace(Camera=refuse, PixelFormat=SimpleNamespace(I420="i420"))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)
    with pytest.raises(SinkError, match="modprobe v4l2loopback"):
        VirtualCameraSink.from_target("virtual-camera", INFO, OutputOptions())


def test_it_is_found_and_has_no_encoder() -> None:
    assert sinks.find("virtual-camera:/dev/video9") is VirtualCameraSink
    with pytest.raises(UsageError, match="has no encoder"):
        VirtualCameraSink.check("virtual-camera", OutputOptions(crf=20))


@pytest.mark.usefixtures("_stand_in")
def test_samples_that_are_not_square_are_made_so() -> None:
    for shape, width in {Fraction(16, 11): 92, Fraction(8, 9): 56, Fraction(1): 64}.items():
        about = replace(INFO, sample_aspect_ratio=shape)
        sink = VirtualCameraSink.from_target("virtual-camera", about, OutputOptions())
        sink.write(_frame())
        sink.close()
        assert _Device.last.asked[:2] == (width, 48)
        (shown,) = _Device.last.shown
        assert shown.shape == (72, width) and set(shown[:48].ravel()) == {50}
