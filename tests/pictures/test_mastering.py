"""What HDR10 says of a whole film comes through every encoder that can say it."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import pytest
from av.video.frame import VideoFrame

from stream import sources
from stream.frame import Frame
from stream.pictures.mastering import (
    TELLING,
    Mastering,
    _display,
    _light,
    mastering_of,
    with_mastering,
)
from stream.sinks.video import VideoSink
from tests.media import make_clip, make_picture
from tests.sinks.running import info, run

PLACES = ("0.68", "0.32", "0.265", "0.69", "0.15", "0.06", "0.3127", "0.329")
DISPLAY = (*map(Fraction, PLACES), Fraction("0.005"), Fraction(1000))
FILMS = {
    "both": Mastering(DISPLAY, (1000, 400)),
    "display": Mastering(DISPLAY),
    "light": Mastering(light=(4000, 0)),
}


def first(path) -> VideoFrame:
    with av.open(path) as container:
        return next(container.decode(video=0))


@pytest.mark.parametrize("codec", TELLING)
def test_an_encoder_says_what_the_film_says(tmp_path, codec):
    films = FILMS if codec == "libx264" else {"both": FILMS["both"]}
    for name, said in films.items():
        path = tmp_path / f"{name}.mkv"
        with VideoSink(path, info(mastering=said), codec=codec) as sink:
            for index in range(3):
                picture = make_picture(index, 64, 48, "yuv420p")
                sink.write(Frame(picture, index, index, Fraction(1, 25), 1))
        assert not sink.remarks
        read = mastering_of(first(path))
        assert read.light == said.light
        assert len(read.display) == len(said.display)
        # AV1 counts in 65536ths and in 256ths of cd/m².
        for one, other in zip(read.display, said.display, strict=True):
            assert one == pytest.approx(other, abs=1e-4), name


def test_a_film_goes_through_with_it_and_the_encoders_other_settings_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("stream.sinks._plan._same_each_time", lambda width: False)
    with VideoSink(tmp_path / "in.mp4", info(mastering=FILMS["both"])) as sink:
        sink.write(Frame(make_picture(0, 64, 48, "yuv420p"), 0, 0, Fraction(1, 25), 1))
    with sources.open(str(tmp_path / "in.mp4")) as source:
        assert source.info.mastering == FILMS["both"] and not source.remarks
    run(tmp_path / "in.mp4", tmp_path / "out.ts")
    assert mastering_of(first(tmp_path / "out.ts")) == FILMS["both"]
    settings = with_mastering({"x265-params": "log-level=none"}, "libx265", FILMS["light"])
    assert settings == {"x265-params": "log-level=none:max-cll=4000,0"}


def test_what_an_encoder_cannot_say_is_said_to_be_lost(tmp_path):
    with VideoSink(tmp_path / "out.webm", info(mastering=FILMS["both"])) as sink:
        sink.write(Frame(make_picture(0, 64, 48, "yuv420p"), 0, 0, Fraction(1, 25), 1))
    assert [one for one in sink.remarks if "HDR10" in one] == [
        "the film's HDR10 data (mastering display and light levels) is not kept by libvpx-vp9; "
        "libx264, libx265, libsvtav1 keep it"
    ]


def test_what_says_nothing_gives_the_encoder_nothing(tmp_path):
    assert mastering_of(first(make_clip(tmp_path / "in.mp4", frames=1))) == Mastering()
    assert with_mastering({"preset": "fast"}, "libx264", Mastering()) == {"preset": "fast"}
    assert with_mastering({"crf": "3"}, "ffv1", FILMS["both"]) == {"crf": "3"}


def test_what_cannot_be_is_not_handed_on():
    def display(*changes: tuple[int, int]) -> bytes:
        numbers = [1, 2] * 8 + [0, 1, 1000, 1, 1, 1]
        for place, value in changes:
            numbers[place] = value
        return struct.pack("=22i", *numbers)

    assert len(_display(display())) == 10
    for change in ((1, 0), (0, 3), (0, -1), (18, 20_000), (18, 0), (16, 1000), (20, 0), (21, 0)):
        assert _display(display(change)) == (), change
    assert _display(b"short") == _light(b"short") == ()
    assert _light(struct.pack("=2I", 0, 0)) == _light(struct.pack("=2I", 1 << 31, 1)) == ()
