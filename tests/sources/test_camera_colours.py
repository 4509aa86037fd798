"""By what raw pictures of cameras mean colours: the kernel's answers are played by the tests."""

from __future__ import annotations

import struct

import av
import pytest

from stream.pictures.pixels import matrix_of
from stream.sources import camera as module
from stream.sources import v4l2
from stream.sources.camera import CameraSource
from stream.sources.modes import Camera

_FILLED = 0xFEEDCAFE


def test_the_kernel_is_asked_and_its_defaults_are_known(tmp_path):
    device = tmp_path / "video0"
    device.touch()
    # Colour space, what says that the rest is filled in, flags, encoding, quantisation.
    for told, meant in (
        ((8, _FILLED, 0, 0, 0), (6, False)),  # a USB camera that says nothing
        ((3, _FILLED, 0, 0, 0), (1, False)),
        ((8, _FILLED, 0, 2, 1), (1, True)),
        ((3, _FILLED, 0, 1, 2), (6, False)),
        ((10, _FILLED, 0, 0, 0), (9, False)),
        ((7, _FILLED, 0, 0, 0), (6, True)),
        ((7, _FILLED, 0, 0, 2), (6, False)),
        ((8, 0, 9, 2, 1), (6, False)),  # of an old kernel
    ):

        def answer(descriptor, request, structure, told=told):
            assert request == 0xC0D05604 and len(structure) == 0xD0  # VIDIOC_G_FMT
            assert struct.unpack_from("I", structure) == (1,)  # of what is captured
            struct.pack_into("5I", structure, 8 + 24, *told)
            return 0

        assert v4l2.colours(device, answer) == meant, told


@pytest.mark.parametrize(
    ("system", "pixel_format", "told", "matrix"),
    [
        ("linux", "yuyv422", None, 6),
        ("linux", "nv12", (1, True), 1),
        ("win32", "yuyv422", None, 6),
        ("darwin", "uyvy422", None, 2),
        ("linux", "rgb24", (1, True), 2),
    ],
)
def test_large_raw_pictures_mean_colours_as_the_camera_says(
    monkeypatch, tmp_path, system, pixel_format, told, matrix
):
    """Not as files of their size do, which are taken for BT.709 where they say nothing."""
    real, path = av.open, tmp_path / "camera.nut"
    with real(str(path), "w") as made:
        stream = made.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, pixel_format
        made.mux(stream.encode(av.VideoFrame(1280, 720, pixel_format)))
        made.mux(stream.encode(None))
    monkeypatch.setattr(av, "open", lambda name, **options: real(str(path)))
    monkeypatch.setattr(module, "SYSTEM", system)
    if told is not None:
        monkeypatch.setattr(v4l2, "colours", lambda device: told)
    source = CameraSource(Camera(str(tmp_path / "gone"), "Camera"))
    picture = next(iter(source)).image
    source.close()
    assert source.info.colour.matrix == matrix
    if pixel_format != "rgb24":
        assert int(picture.colorspace) == matrix
        assert source.info.colour.full_range is (True if told else None)
        # By this go both what the model sees and what is painted.
        assert matrix_of(picture) == (1 if system == "darwin" else matrix)
