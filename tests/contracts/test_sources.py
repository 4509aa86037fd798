"""What holds for every source, ours and those that others register."""

from __future__ import annotations

import io
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

import stream.sources
from stream.errors import SourceError, StreamError, UsageError
from stream.frame import Frame, Passthrough
from stream.plugins import Kind
from stream.settings.options import CameraOptions, InputOptions, NetworkOptions
from stream.sources import Source, Target, kind_of
from stream.sources import camera as camera_module
from stream.sources import open as open_source
from stream.sources.modes import Camera
from tests.media import make_clip
from tests.sources.serving import free_port, serving

SOON = 20.0
"""Seconds. A guard against a hang, not a measure of speed."""


@pytest.fixture
def clip(tmp_path) -> Path:
    return make_clip(tmp_path / "clip.mp4", audio="aac")


@pytest.fixture
def pictures(tmp_path) -> str:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(5):
        pixels = np.full((20 + number, 30, 3), 40 * number, np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    return str(folder)


@pytest.fixture
def address() -> Iterator[str]:
    with serving("http") as server:
        yield server.address


@pytest.fixture
def camera(address, monkeypatch) -> str:
    found = [Camera("/dev/video0", "Test Camera")]
    monkeypatch.setattr(camera_module, "find_cameras", lambda: found)
    monkeypatch.setattr(camera_module.CameraSource, "_open", lambda self: av.open(address))
    return "Test Cam"


@pytest.fixture
def animation(tmp_path) -> str:
    path = tmp_path / "moving.webp"
    made = [Image.new("RGB", (32, 24), (40 * number, 9, 9)) for number in range(5)]
    made[0].save(path, save_all=True, append_images=made[1:], duration=40, lossless=True)
    return str(path)


def arrays() -> Iterator[np.ndarray]:
    for number in range(10):
        yield np.full((16 + 2 * number, 24, 3), number, np.uint8)


WHOLE: dict[str, Callable[[pytest.FixtureRequest], Target]] = {
    "FileSource": lambda request: str(request.getfixturevalue("clip")),
    "ImagesSource": lambda request: request.getfixturevalue("pictures"),
    "NumberedSource": lambda request: f"{request.getfixturevalue('pictures')}/%d.png",
    "WebpSource": lambda request: request.getfixturevalue("animation"),
    "ArraysSource": lambda request: arrays(),
    "PatternSource": lambda request: "pattern",
    "LoopedSource": lambda request: f"loop:{request.getfixturevalue('clip')}",
    "NetworkSource": lambda request: request.getfixturevalue("address"),
    "CameraSource": lambda request: request.getfixturevalue("camera"),
}
"""Something that each kind can open."""


def broken(path: Path) -> str:
    """An animation without a picture."""
    path.write_bytes(b"RIFF\x18\0\0\0WEBPVP8X\x0a\0\0\0\x02" + bytes(9))
    return str(path)


MISSING: dict[str, Callable[[Path], tuple[Target, InputOptions]]] = {
    "FileSource": lambda folder: ("nowhere/film.mp4", InputOptions()),
    "ImagesSource": lambda folder: ("nowhere/*.png", InputOptions()),
    "NumberedSource": lambda folder: ("nowhere/%05d.png", InputOptions()),
    "WebpSource": lambda folder: (broken(folder / "x.webp"), InputOptions()),
    "ArraysSource": lambda folder: (iter([]), InputOptions()),
    "PatternSource": lambda folder: ("pattern", InputOptions(camera=CameraOptions(size=(10, 10)))),
    "LoopedSource": lambda folder: ("loop:nowhere/film.mp4", InputOptions()),
    "NetworkSource": lambda folder: (
        f"http://u:hunter2pass@127.0.0.1:{free_port()}/x",
        InputOptions(network=NetworkOptions(open_timeout=2, read_timeout=2)),
    ),
    "CameraSource": lambda folder: ("99", InputOptions()),
}
"""Something of each kind that cannot be opened."""

OURS = [kind for kind in stream.sources.KIND if kind.__module__.startswith("stream.")]
each_kind = pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)


def check_frames(source: Source, count: int = 5) -> None:
    """What holds for the first frames of any source, which is closed afterwards."""
    frames: list[Frame] = []
    for item in source:
        assert isinstance(item, Frame | Passthrough)
        if isinstance(item, Frame):
            frames.append(item)
            if len(frames) == count:
                source.close()
                break
    assert len(frames) == count
    assert [frame.index for frame in frames] == list(range(count))
    times = [frame.pts * frame.time_base for frame in frames]
    assert all(later > earlier for earlier, later in itertools.pairwise(times))
    for frame in frames:
        assert (frame.image.pts, frame.image.time_base) == (frame.pts, frame.time_base)
        assert frame.stages["decode"] >= 0
    first = frames[0].image
    assert (first.width, first.height) == (source.info.width, source.info.height)
    assert first.format.name == source.info.pixel_format
    assert source.info.live == type(source).live and source.info.name
    assert isinstance(source.remarks, list) and source.corrupt == 0


def check_closing(source: Source) -> None:
    """Another thread ends the iteration, soon and more than once."""
    begun = threading.Event()
    came: list[object] = []

    def iterate() -> None:
        for item in source:
            came.append(item)
            begun.set()

    thread = threading.Thread(target=iterate)
    thread.start()
    assert begun.wait(SOON)
    source.close()
    source.close()
    thread.join(SOON)
    assert not thread.is_alive()
    count = len(came)
    assert list(source) == [] and len(came) == count


@each_kind
def test_frames_come_in_order_each_with_its_time(kind, request):
    target = WHOLE[kind.__name__](request)
    assert kind_of(target) is kind
    source = open_source(target)
    assert type(source) is kind
    check_frames(source)


@each_kind
def test_closing_from_another_thread_ends_the_iteration(kind, request):
    check_closing(open_source(WHOLE[kind.__name__](request)))


@each_kind
def test_a_source_that_is_closed_unread_leaves_nothing(kind, request):
    with open_source(WHOLE[kind.__name__](request)) as source:
        pass
    assert list(source) == []


@each_kind
def test_what_is_not_there_is_said_in_a_sentence(kind, tmp_path):
    target, options = MISSING[kind.__name__](tmp_path)
    assert kind_of(target) is kind
    with pytest.raises(StreamError) as caught:
        open_source(target, options)
    said = str(caught.value)
    assert said and "\n" not in said and "hunter2pass" not in said and "Error" not in said


@each_kind
def test_it_says_what_it_is_asked_for_by(kind):
    assert kind.targets
    with pytest.raises(UsageError, match="is nothing that can be opened") as caught:
        open_source("nothing-of-that-name")
    assert kind.targets in str(caught.value)


def test_an_address_of_another_kind_is_answered_with_addresses_alone():
    with pytest.raises(
        UsageError, match=r"'ftp://nowhere/x' is nothing that can be.*rtsp://"
    ) as caught:
        kind_of("ftp://nowhere/x")
    assert "array" not in str(caught.value) and "camera (" not in str(caught.value)


def test_a_scheme_with_a_slip_of_the_fingers_is_answered_with_the_one_that_was_meant():
    for typed, meant in {"rstp": "rtsp", "htp": "http", "rtmpt": "rtmp", "sftp": "rtsp"}.items():
        with pytest.raises(UsageError) as caught:
            kind_of(f"{typed}://nowhere/x")
        assert (f"did you mean {meant}://?" in str(caught.value)) == (typed != "sftp")


@pytest.mark.parametrize("target", ["", "ftp://me:hunter2pass@host/x", None, 2.5, object()])
def test_what_no_kind_accepts_is_refused(target):
    with pytest.raises(
        UsageError, match=r"is nothing that can be opened; give .*rtsp://"
    ) as caught:
        open_source(target)
    assert "hunter2pass" not in str(caught.value)


def test_an_opened_file_is_refused_with_the_name_to_give(tmp_path):
    path = tmp_path / "in.mp4"
    path.write_bytes(b"any")
    with path.open("rb") as opened, pytest.raises(UsageError) as caught:
        open_source(opened)
    assert str(caught.value).endswith(f"give the file's name: {str(path)!r}")
    with pytest.raises(UsageError, match="a BytesIO is read as it comes; give the name of a file"):
        open_source(io.BytesIO(b"any"))


MADE = '''
from fractions import Fraction

import av

from stream.frame import Frame, VideoInfo
from stream.sources.base import Source


class Grey(Source):
    """Grey pictures, each lighter than the one before."""

    targets = "grey: and how many pictures"

    @classmethod
    def accepts(cls, target):
        return isinstance(target, str) and target.startswith("grey:")

    @classmethod
    def from_target(cls, target, options):
        return cls(int(target.partition(":")[2]))

    def __init__(self, count):
        self.closed = False
        self.count = count
        self.info = VideoInfo("grey", 32, 32, "gray", Fraction(1, 10), frames=count)

    def __iter__(self):
        for index in range(self.count):
            if self.closed:
                return
            picture = av.VideoFrame(32, 32, "gray")
            picture.planes[0].update(bytes([index % 256]) * picture.planes[0].buffer_size)
            picture.pts, picture.time_base = index, self.info.time_base
            yield Frame(picture, index, index, self.info.time_base, 1, {"decode": 0.0})

    def close(self):
        self.closed = True
'''


@pytest.fixture
def registered(tmp_path, monkeypatch) -> None:
    """A distribution with a source of its own, in a folder on the path."""
    (tmp_path / "made_source.py").write_text(MADE)
    told = tmp_path / "made_source-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: made-source\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[stream.sources]\ngrey = made_source:Grey\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(stream.sources, "KIND", Kind("stream.sources", Source))
    yield
    sys.modules.pop("made_source", None)


def test_a_new_kind_of_source_is_one_new_file(registered):
    check_frames(open_source("grey:20"))
    check_closing(open_source("grey:1000000000"))
    assert [item.index for item in open_source("grey:3")] == [0, 1, 2]
    with pytest.raises(UsageError, match="grey: and how many pictures"):
        open_source("nothing-of-that-name")


def test_a_file_is_played_like_a_camera(clip):
    options = InputOptions(camera=CameraOptions(device=str(clip), as_camera=True, fps=50))
    for target in ("camera", str(clip)):
        source = open_source(target, options)
        assert source.info.live and source.info.rate == 50
        frames = [frame for frame, _ in zip(source, range(3), strict=False)]
        source.close()
        assert len(frames) == 3
    with pytest.raises(UsageError, match="name it with --device"):
        open_source(arrays(), InputOptions(camera=CameraOptions(as_camera=True)))


def test_time_that_machines_take_is_in_the_stages(clip):
    began = time.perf_counter()
    with open_source(str(clip)) as source:
        spent = sum(one.stages["decode"] for one in source if isinstance(one, Frame))
    assert 0 < spent < time.perf_counter() - began


def test_a_path_is_a_file_wherever_a_text_is_one(clip):
    options = InputOptions(camera=CameraOptions(as_camera=True))
    with open_source(Path(clip), options) as source:
        assert source.info.live
    with pytest.raises(UsageError, match=r"^-1 is nothing that can be opened"):
        open_source(-1)
    with pytest.raises(SourceError, match=r"picture 0 is .*Path.*give files as a list"):
        open_source(one for one in [Path(clip)])
