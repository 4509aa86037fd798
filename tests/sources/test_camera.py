"""Cameras without a camera: the kernel's answers and FFmpeg's errors are played by the tests."""

from __future__ import annotations

import errno
import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stream.errors import SourceError
from stream.sources import camera as module
from stream.sources._clock import Clock
from stream.sources.camera import (
    CameraSource,
    describe_cameras,
    find_cameras,
    pick_camera,
    some_camera,
)
from stream.sources.modes import Camera, Mode
from stream.sources.v4l2 import cameras
from tests.sources.serving import make_clip

MJPG, YUYV = (int.from_bytes(code, "little") for code in (b"MJPG", b"YUYV"))
CAPTURE = 0x1


class Kernel:
    """Answers V4L2's questions for a webcam with two formats, as the kernel's headers lay out."""

    def __init__(self, capabilities: int = CAPTURE) -> None:
        self.capabilities = capabilities
        self.formats = [MJPG, YUYV]
        self.sizes = {MJPG: [(1280, 720), (640, 480)], YUYV: [(640, 480)]}
        self.rates = {(MJPG, 1280): [30, 15], (MJPG, 640): [30], (YUYV, 640): [10]}

    def __call__(self, descriptor: int, request: int, answer: bytearray) -> int:
        number, size = request & 0xFF, (request >> 16) & 0x3FFF
        assert len(answer) == size and (request >> 8) & 0xFF == ord("V")
        (index,) = struct.unpack_from("I", answer, 0)
        try:
            if number == 0:
                struct.pack_into("16s32s32sIII", answer, 0, b"uvc", b"Cam", b"usb", 0,
                                 0x80000000 | 0x1, self.capabilities)  # fmt: skip
            elif number == 2:
                struct.pack_into("I", answer, 44, self.formats[index])
            elif number == 74:
                (code,) = struct.unpack_from("I", answer, 4)
                struct.pack_into("III", answer, 8, 1, *self.sizes[code][index])
            elif number == 75:
                code, width = struct.unpack_from("II", answer, 4)
                struct.pack_into("III", answer, 16, 1, 1, self.rates[code, width][index])
        except IndexError:
            raise OSError(errno.EINVAL, "no more") from None
        return 0


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    (tmp_path / "dev").mkdir()
    for name in ("video0", "video10", "video2", "videodev"):
        (tmp_path / "dev" / name).touch()
    (tmp_path / "names" / "video0").mkdir(parents=True)
    (tmp_path / "names" / "video0" / "name").write_text("Integrated Camera\n")
    return tmp_path


def test_the_kernel_is_asked_for_cameras_and_their_modes(devices):
    found = cameras(devices / "dev", devices / "names", Kernel())
    assert [Path(camera.device).name for camera in found] == ["video0", "video2", "video10"]
    assert found[0].name == "Integrated Camera" and found[1].name == "video2"
    assert found[0].modes == (
        Mode("MJPG", 1280, 720, (Fraction(30), Fraction(15))),
        Mode("MJPG", 640, 480, (Fraction(30),)),
        Mode("YUYV", 640, 480, (Fraction(10),)),
    )
    text = describe_cameras(found[:1], modes=True)
    assert "0  " in text and "Integrated Camera" in text and "MJPG 1280x720 at 30, 15 fps" in text


def test_a_camera_is_known_by_what_it_is_where_udev_says_so(devices, monkeypatch):
    """Rather than by its place, and by that rather than by its number."""
    links = devices / "v4l"
    for kind, name, device in (
        ("by-id", "usb-Cam_1234-video-index0", "video0"),
        ("by-path", "pci-1-video-index0", "video0"),
        ("by-path", "pci-2-video-index0", "video2"),
    ):
        (links / kind).mkdir(parents=True, exist_ok=True)
        (links / kind / name).symlink_to(devices / "dev" / device)
    found = cameras(devices / "dev", devices / "names", Kernel(), links)
    names = [one.lasting and Path(one.lasting).name for one in found]
    assert names == ["usb-Cam_1234-video-index0", "pci-2-video-index0", None]
    monkeypatch.setattr(module, "_LINKS", str(links))
    for link, place in (("by-id/usb-Cam_1234-video-index0", 0), ("by-path/pci-1-video-index0", 0)):
        assert pick_camera(str(links / link), found) is found[place]
    with pytest.raises(SourceError, match="there is no camera"):
        pick_camera(str(links / "by-id/gone"), found)
    assert CameraSource.accepts(str(links / "by-id/gone")), "it may be back"


def test_what_does_not_capture_is_no_camera(devices):
    assert cameras(devices / "dev", devices / "names", Kernel(capabilities=0x04200000)) == []
    assert cameras(devices / "nowhere", devices, Kernel()) == []
    with pytest.raises(SourceError, match="no camera found"):
        some_camera([])


def test_a_camera_that_may_not_be_opened_is_listed_with_the_reason(devices, monkeypatch):
    def refuse(path, flags):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = cameras(devices / "dev", devices / "names", Kernel())
    assert {camera.problem for camera in found} == {"not permitted"}
    assert "(not permitted)" in describe_cameras(found)
    with pytest.raises(SourceError, match=r"may not be used; .*group: sudo usermod"):
        CameraSource(found[0])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SourceError, match=r"may not be used; .*container.*docker run --device"):
        CameraSource(found[0])


def test_stepwise_sizes_become_the_usual_ones(devices):
    class Stepwise(Kernel):
        def __call__(self, descriptor: int, request: int, answer: bytearray) -> int:
            if request & 0xFF == 74:
                struct.pack_into("7I", answer, 8, 3, 32, 1920, 2, 32, 1080, 2)
                return 0
            if request & 0xFF == 75:
                raise OSError(errno.ENOTTY, "not told")
            return super().__call__(descriptor, request, answer)

    found = cameras(devices / "dev", devices / "names", Stepwise())
    assert found[0].sizes == [(640, 480), (1280, 720), (1920, 1080)]
    assert str(found[0].modes[0]) == "MJPG 640x480"


def test_finding_cameras_never_fails():
    assert isinstance(find_cameras(), list)


WEBCAM = Camera("/dev/video0", "Integrated Camera",
                (Mode("MJPG", 1280, 720, (Fraction(30),)), Mode("YUYV", 640, 480)))  # fmt: skip
OTHER = Camera("/dev/video2", "USB Microscope")
LOCKED = Camera("/dev/video4", "Locked", (), "not permitted")


def test_a_camera_is_picked_by_place_device_or_name():
    both = [LOCKED, WEBCAM, OTHER]
    assert pick_camera(None, both) is WEBCAM
    assert pick_camera("2", both) is OTHER
    assert pick_camera("/dev/video2", both) is OTHER
    assert pick_camera("microscope", both) is OTHER
    with pytest.raises(SourceError, match=r"no camera '7'; found:\n0  /dev/video4.*\n1  .*Integr"):
        pick_camera("7", both)
    with pytest.raises(SourceError, match=r"no camera found; .*stream webcam pattern"):
        pick_camera(None, [])
    with pytest.raises(SourceError, match="no other was found"):
        pick_camera("/dev/video0", [])


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EBUSY, "in use by another program"),
        (errno.EACCES, "may not be used"),
        (errno.ENODEV, "is gone; plug it in again"),
        (errno.EINVAL, "does not have the size or rate asked for"),
        (errno.EPROTO, "cannot be used"),
    ],
)
def test_what_is_wrong_is_said(monkeypatch, number, words):
    def refuse(*args, **options):
        raise av.error.FFmpegError(number, os.strerror(number), "/dev/video0")

    monkeypatch.setattr(av, "open", refuse)
    monkeypatch.setattr(module, "SYSTEM", "linux")
    with pytest.raises(SourceError, match=words) as caught:
        CameraSource(WEBCAM, size=(1280, 720))
    assert "Integrated Camera (/dev/video0)" in str(caught.value)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EINVAL, "no size and format that can be read"),
        (errno.ENOTTY, "is no camera"),
    ],
)
def test_where_no_size_was_asked_for_it_is_not_the_size(monkeypatch, number, words):
    def refuse(*args, **options):
        raise av.error.FFmpegError(number, os.strerror(number), "/dev/video0")

    monkeypatch.setattr(av, "open", refuse)
    monkeypatch.setattr(module, "SYSTEM", "linux")
    with pytest.raises(SourceError, match=words) as caught:
        CameraSource(WEBCAM)
    assert "asked for" not in str(caught.value)


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="there is no /dev/null")
def test_a_device_that_is_no_camera_is_listed_as_that(tmp_path):
    (tmp_path / "video3").symlink_to("/dev/null")
    (tmp_path / "video4").touch()
    found = cameras(tmp_path, tmp_path / "names")
    assert [camera.problem for camera in found] == ["no camera, by what its driver answers"] * 2


@pytest.mark.parametrize("system", ["linux", "win32", "darwin"])
def test_compressed_pictures_are_asked_for_before_size_and_rate(monkeypatch, system):
    asked = []

    def refuse(name, **options):
        asked.append((name, options["format"], options["options"]))
        raise av.error.FFmpegError(errno.EINVAL, "no", name)

    monkeypatch.setattr(av, "open", refuse)
    monkeypatch.setattr(module, "SYSTEM", system)
    with pytest.raises(SourceError):
        CameraSource(WEBCAM, size=(1280, 720), rate=29.97)
    name, kind, options = asked[0]
    assert options["video_size"] == "1280x720" and options["framerate"] == "2997/100"
    if system == "linux":
        assert (name, kind) == ("/dev/video0", "v4l2")
        assert next(iter(options)) == "input_format" and options["input_format"] == "mjpeg"
        assert "input_format" not in asked[1][2]
    elif system == "win32":
        assert name == "video=/dev/video0" and kind == "dshow" and options["rtbufsize"] == "64M"
    else:
        assert kind == "avfoundation"


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_a_usual_rate_is_asked_for_first_where_no_format_can_be(monkeypatch, system):
    """AVFoundation refuses 29.97, FFmpeg's own, and DirectShow takes what is listed first."""
    asked = []

    def refuse(name, **options):
        asked.append({key: value for key, value in options["options"].items() if key[0] in "vf"})
        raise av.error.FFmpegError(errno.EIO, "Input/output error", name)

    monkeypatch.setattr(av, "open", refuse)
    monkeypatch.setattr(module, "SYSTEM", system)
    plain = Camera("0", "FaceTime HD Camera")
    with pytest.raises(SourceError, match=r"cannot be opened; close other .*Privacy"):
        CameraSource(plain)
    rates = ["30", "25", "15", "60", "24"] if system == "darwin" else ["30"]
    usual = {"video_size": "640x480"}
    wanted = [{**usual, "framerate": rate} for rate in rates]
    assert asked[: len(rates) + 1] == [*wanted, usual]
    assert asked[len(rates) + 1 :] == [*({"framerate": rate} for rate in rates), {}]
    asked.clear()
    with pytest.raises(SourceError):
        CameraSource(plain, size=(1280, 720), rate=60)
    assert asked == [{"video_size": "1280x720", "framerate": "60"}]


def test_a_screen_is_no_camera(monkeypatch):
    """macOS lists both, and `stream webcam` would show the screen where no camera is."""
    names = ["FaceTime HD Camera", "Capture screen 0", "MacBook Pro Microphone"]
    devices = [
        type("Device", (), {"name": str(place), "description": name, "media_types": [kind]})
        for place, (name, kind) in enumerate(zip(names, ["video", "video", "audio"], strict=True))
    ]
    monkeypatch.setattr(av, "enumerate_input_devices", lambda kind: devices)
    monkeypatch.setattr(module, "SYSTEM", "darwin")
    assert find_cameras() == [Camera("0", "FaceTime HD Camera")]


def test_a_raw_mode_is_taken_where_it_is_the_only_one(monkeypatch):
    asked = []

    def refuse(name, **options):
        asked.append(options["options"])
        raise av.error.FFmpegError(errno.EINVAL, "no", name)

    monkeypatch.setattr(av, "open", refuse)
    monkeypatch.setattr(module, "SYSTEM", "linux")
    with pytest.raises(SourceError):
        CameraSource(WEBCAM, size=(640, 480))
    assert asked[0]["input_format"] == "yuyv422"


def test_a_camera_delivers_its_pictures(monkeypatch, tmp_path):
    """FFmpeg's device is a file here; all the rest is the camera's way."""
    clip = make_clip(tmp_path / "clip.mp4", 2)
    real = av.open
    monkeypatch.setattr(av, "open", lambda name, **options: real(str(clip)))
    source = CameraSource(WEBCAM)
    assert (source.info.width, source.info.height) == (320, 240)
    assert source.info.live and source.info.name == "camera Integrated Camera"
    assert str(source.mode) == "H264 320x240 at 25 fps"
    frames = []
    with pytest.raises(SourceError, match="sends no more pictures"):
        for frame in source:
            frames.append(frame)
    source.close()
    assert frames and frames[0].image.format.name == "yuv420p"
    times = [frame.pts_seconds for frame in frames]
    assert times == sorted(times)


def _jpegs(path: Path, pictures: list[bytes]) -> Path:
    """What a camera sends in Motion JPEG, whatever each of its pictures is."""
    with av.open(str(path), "w", format="nut") as made:
        stream = made.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj422p"
        for index, data in enumerate(pictures):
            packet = av.Packet(data)
            packet.stream, packet.is_keyframe = stream, True
            packet.pts = packet.dts = index
            packet.time_base = Fraction(1, 30)
            made.mux(packet)
    return path


def _jpeg(width: int, height: int, halved: bool = True) -> bytes:
    shape = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if halved else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422
    made = cv2.imencode(
        ".jpg",
        np.full((height, width, 3), 90, np.uint8),
        [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, shape],
    )
    return made[1].tobytes()


def test_pictures_of_a_camera_that_come_damaged_or_of_another_size_are_no_end(
    monkeypatch, tmp_path
):
    whole, other = _jpeg(64, 48), _jpeg(128, 96, halved=False)
    rubbish = np.random.default_rng(3).integers(0, 255, 900, np.uint8).tobytes()
    sent = [whole, whole, rubbish, b"", whole[:2], whole, rubbish, other, other]
    real = av.open
    path = _jpegs(tmp_path / "camera.nut", sent)
    monkeypatch.setattr(av, "open", lambda name, **options: real(str(path)))
    source = CameraSource(WEBCAM)
    frames = []
    with pytest.raises(SourceError, match="sends no more pictures"):
        for frame in source:
            frames.append(frame)
    source.close()
    assert (source.info.width, source.info.height) == (64, 48)
    last = frames[-1].image
    assert (last.width, last.height, last.format.name) == (128, 96, "yuvj422p")
    assert source.corrupt >= 2
    assert source.remarks[-1].startswith(f"{source.corrupt} pictures of camera Integrated Camera")


def test_that_a_camera_sends_nothing_whole_is_said_as_such(monkeypatch, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", 1)
    real = av.open
    monkeypatch.setattr(av, "open", lambda name, **options: real(str(clip)))
    source = CameraSource(WEBCAM)
    monkeypatch.setattr(
        source._reader.events, "take", lambda seconds: source._reader._damage.failed()
    )
    with pytest.raises(SourceError, match="no more pictures that are whole; a shorter cable"):
        next(iter(source))
    source.close()


def test_a_process_that_was_stopped_goes_on_with_its_camera(monkeypatch, tmp_path):
    """By Ctrl-Z, or with the virtual machine that it runs in: the camera is not to blame."""
    clip = make_clip(tmp_path / "clip.mp4", 1)
    real, opened = av.open, []
    monkeypatch.setattr(av, "open", lambda name, **options: real(str(opened.append(name) or clip)))
    source = CameraSource(WEBCAM)

    class Sleeping(Clock):
        """Between question and answer a minute passes, until it was opened three times."""

        def now(self) -> float:
            clock.append(clock[-1] + (60 if len(opened) < 3 else 0))
            return clock[-1]

    clock = [0.0]
    source._clock = Sleeping()
    times = []
    with pytest.raises(SourceError, match="sends no more pictures"):
        for frame in source:
            times.append(frame.pts_seconds)
    source.close()
    assert len(opened) == 3 and len(times) > 3
    assert times == sorted(set(times))
