"""One connection, from its opening until nothing of it is left."""

from __future__ import annotations

import errno
import gc
import io
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from types import SimpleNamespace

import av
import pytest

from stream.errors import SourceError
from stream.pictures.references import has_captions
from stream.sources import stream_reader
from stream.sources._connecting import ChangedError
from stream.sources.live import planar, reshaped
from stream.sources.live_timeline import TICKS
from stream.sources.stream_reader import Ended, Picture, StreamReader
from tests import media
from tests.sources.serving import make_clip, picture


class _Cable(io.BytesIO):
    """Bytes that come from a network, until they break off."""

    def __init__(self, data: bytes, broken: BaseException | None) -> None:
        super().__init__(data)
        self._broken = broken

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data and self._broken is not None:
            raise self._broken
        return data

    def seekable(self) -> bool:
        return False


@contextmanager
def _without_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "broken", [None, ConnectionResetError(104, "reset"), ValueError("no"), RuntimeError("no")]
)
def test_nothing_of_a_connection_that_is_over_waits_for_the_collector(tmp_path, broken):
    path = make_clip(tmp_path / "clip.ts", 1)
    cables: list[weakref.ref[_Cable]] = []

    def connect():
        cable = _Cable(path.read_bytes(), broken)
        cables.append(weakref.ref(cable))
        return av.open(cable)

    with _without_collector():
        reader = StreamReader(connect, lambda error: SourceError(str(error)), audio=True)
        while not isinstance(event := reader.events.take(60), Ended):
            assert event is not None
        assert (event.error is None) == (broken is None)
        reader.stop(patience=60)
        del event, reader
        assert cables[0]() is None


def _coded(codec: str, frames: int, shape: Fraction = Fraction(1)) -> bytes:
    """A broadcast whose picture has the same number whatever its codec is."""
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as made:
        video = made.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.max_b_frames = 0
        if codec == "libx265":
            video.options = {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0"}
        video.codec_context.sample_aspect_ratio = shape
        for index in range(frames):
            made.mux(video.encode(picture(64, 48, index)))
        made.mux(video.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(
    ("renewed", "first", "later"),
    [(True, "libx264", "mpeg2video"), (False, "libx264", "mpeg2video"),
     (True, "libx264", "libx264"), (True, "libx265", "mpeg2video"),
     (True, "mpeg2video", "libx265"), (True, "libx265", "libx265")],
)  # fmt: skip
def test_a_codec_that_changes_on_the_way_ends_the_connection(monkeypatch, renewed, first, later):
    """The decoder makes pictures of what is none, a few a second, for ever; or none, in silence."""
    monkeypatch.setattr(stream_reader, "_DAMAGED_SECONDS", 0.0)
    sent = _coded(first, 50) + _coded(later, 300)
    reader = StreamReader(
        lambda: av.open(_Cable(sent, None), options={"probesize": "10000"}),
        lambda error: SourceError(str(error)),
        audio=False,
        paced=lambda container: True,
        renewed=renewed,
    )
    seen = 0
    while not isinstance(event := reader.events.take(60), Ended):
        seen += isinstance(event, Picture)
    reader.stop(patience=60)
    if renewed and later != first:
        assert "perhaps its codec has changed" in str(event.error)
    else:
        assert event.error is None and (later != first or seen == 350)


def test_while_what_was_read_waits_to_be_taken_nothing_is_silent(monkeypatch):
    """Where a film's picture stood for eight seconds its sound counted as all that came."""
    clock = SimpleNamespace(monotonic=lambda: now[0], perf_counter=time.perf_counter)
    now, sent = [1000.0], _coded("libx264", 50)
    monkeypatch.setattr(stream_reader, "time", clock)
    monkeypatch.setattr(stream_reader, "_AHEAD", 4)
    reader = StreamReader(
        lambda: av.open(_Cable(sent, None), options={"probesize": "10000"}),
        lambda error: SourceError(str(error)),
        audio=False,
        paced=lambda container: True,
    )
    guard = time.monotonic() + 60
    while len(reader.events) < 4:
        assert time.monotonic() < guard
        time.sleep(0.001)
    now[0] += 100
    while reader.silence():  # it may just be reading the next one
        assert time.monotonic() < guard
        time.sleep(0.001)
    while not isinstance(reader.events.take(60), Ended):
        assert reader.silence() == 0
    reader.stop(patience=60)
    now[0] += 7
    assert reader.silence() == 7


def test_samples_that_become_wider_make_the_picture_wider():
    """Whoever takes live pictures knows one shape of samples, and pictures of any size."""
    shapes = [Fraction(1), Fraction(2), Fraction(1, 2)]
    sent = b"".join(_coded("libx264", 5, shape) for shape in shapes)
    reader = StreamReader(
        lambda: av.open(_Cable(sent, None), options={"probesize": "10000"}),
        lambda error: SourceError(str(error)),
        audio=False,
        paced=lambda container: True,
    )
    sizes = []
    while not isinstance(event := reader.events.take(60), Ended):
        if isinstance(event, Picture):
            assert event.shape is not None
            shown = reshaped(event.picture, event.shape, shapes[0])
            assert shown.pts == event.pts
            sizes.append((shown.width, shown.height))
    reader.stop(patience=60)
    assert sizes == [(64, 48)] * 5 + [(128, 48)] * 5 + [(64, 96)] * 5


def test_captions_stay_beside_pictures_that_were_made_wider_or_planar(tmp_path):
    clip = media.make_clip(tmp_path / "plain.mp4", frames=2)
    with av.open(str(media.captioned(tmp_path / "in.mp4", clip))) as sent:
        for given in sent.decode(video=0):
            assert has_captions(reshaped(given, Fraction(2), Fraction(1)))
            assert has_captions(planar(given.reformat(format="nv12")))


def test_samples_of_a_shape_that_is_none_are_not_believed():
    given = picture(64, 48, 0)
    for shape in (Fraction(1, 9999), Fraction(9999)):
        assert reshaped(given, shape, Fraction(1)) is given
    assert reshaped(given, Fraction(12, 11), Fraction(12, 11)) is given


@pytest.mark.parametrize(("damaged", "ends"), [(0.5, False), (0.7, False), (0.9, True)])
def test_a_poor_connection_is_kept(damaged, ends):
    reader = StreamReader(
        _nothing, lambda error: SourceError(str(error)), audio=False, renewed=True
    )
    reader.stop(patience=60)
    reader.opened = object()

    class Packet:
        stream = SimpleNamespace(codec_context=SimpleNamespace(sample_aspect_ratio=None))
        is_corrupt, pts, time_base = False, None, None

        def __init__(self, place: int) -> None:
            self.damaged = int(place * damaged) != int((place + 1) * damaged)

        def decode(self):
            if self.damaged:
                raise av.InvalidDataError(1094995529, "")
            return [picture(64, 48, 0)]

    def read() -> None:
        for place in range(1000):
            reader._decode(Packet(place), TICKS, 0.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_reader, "_DAMAGED_SECONDS", -1e9)
        if ends:
            with pytest.raises(ChangedError):
                read()
        else:
            read()


def _nothing():
    raise SourceError("nothing is there")


class _Macs:
    """A container that has nothing yet before each packet and says so, as AVFoundation does."""

    def __init__(self, real) -> None:
        self._real = real
        self._asked = 0

    def __getattr__(self, name: str):
        return getattr(self._real, name)

    def demux(self, streams):
        while True:
            self._asked += 1
            if self._asked % 2:
                raise av.error.BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
            packet = next(self._real.demux(streams))
            yield packet
            if packet.dts is None:
                return


def test_a_camera_that_has_nothing_yet_is_asked_again(tmp_path):
    path = make_clip(tmp_path / "clip.ts", 1)
    with av.open(str(path)) as real:
        wanted = [frame.pts for frame in real.decode(video=0)]
    reader = StreamReader(
        lambda: _Macs(av.open(str(path))),  # type: ignore[arg-type, return-value]
        lambda error: SourceError(str(error)),
        audio=False,
        paced=lambda container: True,
    )
    came = []
    while not isinstance(event := reader.events.take(60), Ended):
        came += [event.pts] if isinstance(event, Picture) else []
    reader.stop(patience=60)
    assert (event.error, came) == (None, wanted)
