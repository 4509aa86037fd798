"""Further tracks, and what tracks say of themselves, come along or are named."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import sinks
from stream.frame import Frame
from stream.settings.options import OutputOptions
from stream.sinks._containers import choose_container
from stream.sinks._copies import Copies
from stream.sinks._matroska import PIXELS, displayed
from stream.sinks.video import VideoSink
from stream.sources.file import FileSource
from tests import media
from tests.conftest import SHARED
from tests.media import make_clip
from tests.sinks.running import fastest, info, run


def doubled(path: Path) -> Path:
    """Two films in one file, each with a language and a title."""
    with av.open(str(path), "w") as container:
        streams = []
        for number, (width, language) in enumerate([(128, "eng"), (64, "fra")]):
            stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
            stream.width, stream.height = width, 48
            stream.metadata.update(language=language, title=f"camera {number}")
            streams.append((stream, width))
        for index in range(50):
            for stream, width in streams:
                picture = media.make_picture(index, width, 48, "yuv420p")
                picture.pts, picture.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(picture))
        for stream, _ in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".ts"])
def test_a_second_film_is_copied(tmp_path, ending):
    original = doubled(tmp_path / "in.mkv")
    run(original, tmp_path / f"out{ending}")
    with av.open(str(tmp_path / f"out{ending}")) as container:
        films = container.streams.video
        assert [(one.width, one.height) for one in films] == [(128, 48), (64, 48)]
        counts = [0, 0]
        for packet in container.demux(films):
            counts[packet.stream.index] += len(packet.decode())
        assert counts == [50, 50]
        if ending != ".ts":  # which says it of sound only
            assert [one.metadata.get("language") for one in films] == ["eng", "fra"]


@pytest.mark.parametrize("ending", [".avi", ".webm"])
def test_a_second_film_that_is_not_held_is_named(tmp_path, ending):
    done = run(doubled(tmp_path / "in.mkv"), tmp_path / f"out{ending}")
    assert [remark for remark in done.remarks if "stream 1, video (h264), is left out" in remark]
    assert media.stream_types(tmp_path / f"out{ending}") == ["video"]


@pytest.mark.parametrize(
    ("indices", "said"),
    [
        ([2], "stream 2, data (unknown), is left out: nothing here knows its"),
        ([2, 3, 4], "streams 2, 3 and 4, data (unknown), are left out: nothing here knows their"),
    ],
)
def test_what_nobody_knows_is_named_in_one_sentence(indices, said):
    """A phone's film has several streams of what it did while it filmed."""
    unknown = [
        SimpleNamespace(
            index=index, type="data", codec_context=None, container=SimpleNamespace(flags=0)
        )
        for index in indices
    ]
    assert Copies(None, unknown, choose_container(Path("a.mp4"))).remarks == [f"{said} codec"]


def test_the_films_own_title_and_language_are_kept(tmp_path):
    original = doubled(tmp_path / "in.mkv")
    run(original, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        tags = {k.lower(): v for k, v in container.streams.video[0].metadata.items()}
    assert (tags["language"], tags["title"]) == ("eng", "camera 0")


@pytest.mark.parametrize("ending", [".mp4", ".mov"])
def test_hevc_has_the_name_that_apple_knows(tmp_path, ending):
    original = make_clip(tmp_path / "in.mp4", frames=5)
    run(original, tmp_path / f"out{ending}", codec="libx265")
    with av.open(str(tmp_path / f"out{ending}")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"
    assert len(media.decode(tmp_path / f"out{ending}").pts) == 5


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="shared/cases is not here")
@pytest.mark.parametrize("ending", [".mov", ".mp4", ".mkv"])
def test_what_is_not_kept_is_named(tmp_path, ending):
    original = SHARED / "cases" / "files" / "14_360_degrees.mp4"
    done = run(original, tmp_path / f"out{ending}")
    assert [remark for remark in done.remarks if "360-degree" in remark and "\n" not in remark]
    assert len(media.decode(tmp_path / f"out{ending}").pts) == 50


def test_a_timecode_track_is_not_said_to_be_left_out_where_it_is_there(tmp_path):
    original = make_clip(tmp_path / "in.mov", frames=5, metadata={"timecode": "10:00:00:12"})
    for ending in (".mov", ".mp4", ".mkv"):
        assert run(original, tmp_path / f"out{ending}").remarks == [], ending
        with av.open(str(tmp_path / f"out{ending}")) as film:
            assert "10:00:00:12" in film.streams.video[0].metadata.values(), ending
    (said,) = run(original, tmp_path / "out.ts").remarks
    assert "the video's timecode (10:00:00:12) is left out" in said


@pytest.mark.parametrize(
    ("ending", "codec", "kept"),
    [
        (".mp4", None, True),
        (".mp4", "libvpx-vp9", True),
        (".mkv", None, True),
        (".avi", None, True),
        (".ts", None, True),
        (".mkv", "mjpeg", True),
        (".mkv", "libx265", True),
        (".webm", None, True),
        (".webm", "vp8", True),
        (".webm", "av1", True),
        (".mkv", "ffv1", True),
        (".avi", "ffv1", False),
    ],
)
def test_the_shape_of_samples_is_kept_or_named(tmp_path, ending, codec, kept):
    original = make_clip(tmp_path / "in.mp4", aspect=Fraction(16, 11), frames=3, audio="aac")
    done = run(original, tmp_path / f"out{ending}", codec=codec)
    with av.open(str(tmp_path / f"out{ending}")) as container:
        stream = container.streams.video[0]
        assert len(list(container.decode(stream))) == 3
        assert (stream.sample_aspect_ratio == Fraction(16, 11)) == kept
        assert "title" not in stream.metadata
    assert any("samples of 16:11" in remark for remark in done.remarks) != kept


@pytest.mark.parametrize("name", ["out/%06d.png", "out/%06d.jpg", "out/", "out.apng", "out.webp"])
def test_the_shape_of_samples_is_named_where_pictures_cannot_hold_it(tmp_path, name):
    target, about = f"{tmp_path}/{name}", replace(info(), width=64, height=48)
    for shape, lost in {Fraction(16, 11): ["16:11"], Fraction(1): []}.items():
        shaped = replace(about, sample_aspect_ratio=shape)
        kind = sinks.find(target)
        with kind.from_target(target, shaped, OutputOptions(overwrite=True)) as sink:
            sink.write(Frame(av.VideoFrame(64, 48, "yuv420p"), 0, 0, Fraction(1, 25)))
        assert re.findall(r"samples of (\S+)\)", " ".join(sink.remarks)) == lost


def test_a_title_stays_beside_the_shape_of_samples(tmp_path):
    original = make_clip(tmp_path / "in.mp4", aspect=Fraction(11, 12), frames=3)
    shaped = replace(info(), sample_aspect_ratio=Fraction(11, 12), track={"title": "camera ä"})
    with FileSource(original) as source, VideoSink(tmp_path / "out.mkv", shaped) as sink:
        for item in source:
            sink.write(item)
    with av.open(str(tmp_path / "out.mkv")) as container:
        stream = container.streams.video[0]
        assert stream.metadata["title"] == "camera ä"
        assert stream.sample_aspect_ratio == Fraction(11, 12)
        assert len(list(container.decode(stream))) == 3


@given(st.integers(2, 8192), st.integers(2, 8192), st.fractions(Fraction(1, 4), 4))
def test_the_displayed_size_is_of_the_right_shape(width, height, shape):
    exactly = width * shape / height
    *shown, unit = displayed(width, height, shape)
    most = max(exactly.as_integer_ratio())
    assert (Fraction(*shown) == exactly or most >= 1 << 31) and min(shown) >= 1
    assert max(shown) <= (1 << 16 if unit == PIXELS else (1 << 31) - 1)
    *shown, unit = displayed(width, height, shape, ratios=False)
    if shown[1] == height:
        assert abs(shown[0] - width * shape) <= 1
    else:
        assert Fraction(*shown) == exactly
    assert unit == PIXELS and min(shown) >= 1 and max(shown) <= 1 << 16
    assert displayed(width, height, Fraction(8191**4, 8191**4 + 1))[2] == PIXELS


@pytest.mark.parametrize("size", [(854, 480), (704, 480)])
def test_a_shape_that_no_whole_pixels_have_is_kept_as_a_ratio_or_named(tmp_path, size):
    shape, shaped = Fraction(128, 117), replace(info(), width=size[0], height=size[1])
    shaped = replace(shaped, sample_aspect_ratio=shape, track={"title": "camera"})
    for name, kept in {"out.mkv": True, "out.webm": False}.items():
        with VideoSink(tmp_path / name, shaped) as sink:
            for index in range(2):
                picture = media.make_picture(index, *size, "yuv420p")
                sink.write(Frame(picture, index, index, Fraction(1, 25)))
        with av.open(str(tmp_path / name)) as container:
            found = container.streams.video[0].sample_aspect_ratio
            assert len(list(container.decode(video=0))) == 2
        assert (found == shape) == kept and abs(found / shape - 1) < 0.001
        rounded = f"samples of 128:117) is rounded to {found.numerator}:{found.denominator}"
        assert (rounded in " ".join(sink.remarks)) != kept


def with_cover(path: Path, codec: str) -> Path:
    """A film with a cover in Matroska."""
    picture = media.make_picture(0, 32, 48, "rgb24")
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.time_base = 32, 48, Fraction(1, 25)
    context.pix_fmt = {"mjpeg": "yuvj420p", "bmp": "bgr24"}.get(codec, "rgb24")
    stored = b"".join(bytes(one) for one in [*context.encode(picture.reformat(
        format=context.pix_fmt)), *context.encode(None)])  # fmt: skip
    film = make_clip(path.with_name("film.mkv"), frames=5, audio="aac")
    kind, ending = {"mjpeg": ("image/jpeg", "jpg")}.get(codec, (f"image/{codec}", codec))
    with av.open(str(film)) as source, av.open(str(path), "w") as target:
        copies = [target.add_stream_from_template(one, opaque=True) for one in source.streams]
        target.add_attachment(f"cover.{ending}", kind, stored)
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                target.mux(packet)
    return path


@pytest.mark.parametrize("codec", ["mjpeg", "png"])
@pytest.mark.parametrize("ending", [".mp4", ".m4v", ".mov", ".mkv"])
def test_a_cover_picture_is_kept(tmp_path, codec, ending):
    original = with_cover(tmp_path / "in.mkv", codec)
    wanted = media.covers(original)
    assert [name for name, _ in wanted] == [codec]
    done = run(original, tmp_path / f"out{ending}", cut={"limit": 4})
    assert media.covers(tmp_path / f"out{ending}") == wanted
    assert not done.remarks
    with av.open(str(tmp_path / f"out{ending}")) as container:
        kinds = [one.type for one in container.streams]
        assert kinds == ["video", "audio", "video"]
        assert sum(1 for _ in container.decode(container.streams.video[0])) == 4
    # And once more, from where it has come to lie.
    run(tmp_path / f"out{ending}", tmp_path / "again.mp4")
    assert media.covers(tmp_path / "again.mp4") == wanted


@pytest.mark.parametrize("tags", [{"title": "A"}, {"com.apple.quicktime.make": "Apple"}])
@pytest.mark.parametrize("ending", [".mp4", ".mov"])
def test_a_cover_picture_lies_beside_the_tags(tmp_path, ending, tags):
    original = with_cover(tmp_path / "in.mkv", "mjpeg")
    with FileSource(original) as source:
        tagged = replace(source.info, metadata=tags)
        with VideoSink(tmp_path / f"out{ending}", tagged) as sink:
            for item in source:
                sink.write(item)
    assert media.covers(tmp_path / f"out{ending}") == media.covers(original)
    with av.open(str(tmp_path / f"out{ending}")) as container:
        assert tags.items() <= container.metadata.items()


@pytest.mark.parametrize("ending", [".webm", ".avi", ".ts"])
def test_a_cover_picture_that_is_not_held_is_named(tmp_path, ending):
    done = run(with_cover(tmp_path / "in.mkv", "png"), tmp_path / f"out{ending}")
    assert [one for one in done.remarks if "cover picture (png) is left out" in one]
    assert media.stream_types(tmp_path / f"out{ending}") == ["video", "audio"]


@pytest.mark.parametrize(
    ("ending", "codec", "kept"),
    [
        (".mp4", None, True),
        (".ts", None, True),
        (".mkv", "libx265", True),
        (".mp4", "av1", False),
        (".webm", None, False),
        (".avi", None, False),
        (".mov", "prores", False),
    ],
)
def test_closed_captions_are_kept_or_named(tmp_path, ending, codec, kept):
    clip = make_clip(tmp_path / "plain.mp4", frames=6, b_frames=2, options={"preset": "fast"})
    original = media.captioned(tmp_path / "in.mp4", clip)
    wanted = media.captions(original)
    assert None not in wanted and len(set(wanted)) == 6
    done = run(original, tmp_path / f"out{ending}", codec=codec)
    assert (media.captions(tmp_path / f"out{ending}") == wanted) == kept
    assert any("closed captions are lost" in remark for remark in done.remarks) != kept


def test_closed_captions_that_turning_costs_are_named(tmp_path):
    clip = make_clip(tmp_path / "plain.mp4", frames=6, rotation=90)
    original = media.captioned(tmp_path / "in.mp4", clip)
    with av.open(str(original)) as container:
        turned = next(container.decode(video=0)).rotation != 0
    done = run(original, tmp_path / "out.mp4")
    kept = None not in media.captions(tmp_path / "out.mp4")
    assert any("closed captions are lost" in remark for remark in done.remarks) != kept
    assert turned != kept


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="shared/cases is not here")
def test_the_transparency_of_vp9_is_kept_or_named(tmp_path):
    original = SHARED / "cases" / "files" / "14_alpha_vp9.webm"
    done = run(original, tmp_path / "out.webm")
    assert not [one for one in done.remarks if "transparency" in one]
    with av.open(str(tmp_path / "out.webm")) as container:
        tags = {key.lower(): value for key, value in container.streams.video[0].metadata.items()}
        assert tags["alpha_mode"] == "1"
    done = run(original, tmp_path / "out.mp4")
    assert [one for one in done.remarks if "transparency is dropped" in one]


@pytest.mark.parametrize("codec", ["ac3", "eac3", "aac", "flac"])
@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_sound_of_which_nothing_comes_ends_no_film(tmp_path, codec, ending):
    original = make_clip(tmp_path / "in.mkv", audio=codec, audio_seconds=0.3, frames=50)
    run(original, tmp_path / f"out{ending}", cut={"start": 1})
    assert len(media.decode(tmp_path / f"out{ending}").pts) == 25


@pytest.mark.parametrize("codec", ["ac3", "eac3", "aac", "flac", "libmp3lame"])
@pytest.mark.parametrize("broken", [(0, 1, 2), (7,), range(200)])
def test_damaged_sound_costs_no_film(tmp_path, codec, broken):
    whole = make_clip(tmp_path / "whole.mkv", audio=codec)
    with av.open(str(whole)) as source, av.open(str(tmp_path / "in.mkv"), "w") as target:
        copies = [target.add_stream_from_template(one, opaque=True) for one in source.streams]
        place = 0
        for packet in source.demux():
            if not packet.size:
                continue
            if packet.stream_index == 1:
                if place in broken:
                    packet.update(bytes(packet.size))
                place += 1
            packet.stream = copies[packet.stream_index]
            target.mux(packet)
    for ending in (".mp4", ".mkv", ".ts"):
        run(tmp_path / "in.mkv", tmp_path / f"out{ending}", preset=fastest(ending))
        assert len(media.decode(tmp_path / f"out{ending}").pts) == 25, ending


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".ts", ".mov"])
def test_damaged_settings_on_the_way_cost_no_film(tmp_path, ending):
    """FLV may give sound new settings with any packet, which go with it into the output."""
    whole = make_clip(tmp_path / "whole.flv", audio="aac", frames=50)
    data = bytearray(whole.read_bytes())
    # A tag of sound says that settings (0) or samples (1) of AAC (0xA0 and up) follow.
    places = [
        at for at in range(13, len(data) - 16) if data[at] == 8 and data[at + 11] & 0xF0 == 0xA0
        and data[at + 12] == 1 and data[at + 8 : at + 11] == b"\0\0\0"
    ]  # fmt: skip
    assert len(places) > 40
    for at in places[10:12]:
        data[at + 12] = 0
    (tmp_path / "in.flv").write_bytes(data)
    run(tmp_path / "in.flv", tmp_path / f"out{ending}")
    assert len(media.decode(tmp_path / f"out{ending}").pts) == 50


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm", ".ts", ".avi"])
def test_sound_of_which_none_came_is_named(tmp_path, ending):
    """A part of a recording has a track for it all the same."""
    original = make_clip(tmp_path / "in.mp4", frames=5, audio="aac")
    said = []
    for silent in (False, True):
        codec = "libvpx" if ending == ".webm" else None
        target = tmp_path / f"{silent}{ending}"
        with FileSource(original) as source, VideoSink(target, source.info, codec=codec) as sink:
            for item in source:
                if isinstance(item, Frame) or not silent:
                    sink.write(item)
        said.append([one for one in sink.remarks if "holds nothing" in one])
    assert said == [
        [],
        ["stream 1, sound (aac), holds nothing beside these pictures: none of it came"],
    ]
