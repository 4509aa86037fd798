"""Sound, words, chapters and tags come out of a video file as they went in."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.frame import Frame, Passthrough, VideoInfo
from stream.sinks.video import VideoSink
from stream.sources.file import FileSource
from stream.types import AnyPacket
from tests import media
from tests.media import make_clip
from tests.sinks.running import run

TICK = Fraction(1, 90_000)


@pytest.mark.parametrize(
    ("audio", "source", "ending"),
    [
        ("aac", ".mp4", ".mp4"),
        ("aac", ".mp4", ".mkv"),
        ("aac", ".mkv", ".mp4"),
        ("aac", ".mov", ".ts"),
        ("libopus", ".webm", ".mkv"),
        ("libopus", ".mkv", ".mp4"),
        ("mp3", ".mp4", ".avi"),
        ("ac3", ".mkv", ".mov"),
        ("pcm_s16le", ".mov", ".mov"),
        ("flac", ".mkv", ".mp4"),
    ],
)
def test_sound_is_copied_byte_for_byte(tmp_path, audio, source, ending):
    codec = "libvpx-vp9" if source == ".webm" else "libx264"
    original = make_clip(tmp_path / f"in{source}", codec=codec, audio=audio, options={})
    done = run(original, tmp_path / f"out{ending}")

    before = media.packets(original, "audio")
    after = media.packets(tmp_path / f"out{ending}", "audio")
    if ending == ".avi":  # which cannot say that an encoder's first packet is no sound
        before = [(time, data) for time, data in before if time >= 0]
    strip = 7 if ending == ".ts" else 0  # MPEG-TS puts a header before each packet of AAC
    if audio.startswith("pcm"):  # whose packets are whatever the reader makes of them
        before, after = ([(0, b"".join(data for _, data in made))] for made in (before, after))
    assert [data for _, data in before] == [data[strip:] for _, data in after]
    assert done.remarks == []


@pytest.mark.parametrize("ending", [".mkv", ".ts", ".mov"])
def test_sound_that_was_trimmed_away_is_not_heard(tmp_path, ending):
    """As by a list of edits, with which phones trim their clips."""
    whole, trimmed = make_clip(tmp_path / "a.mp4", frames=50, audio="aac"), tmp_path / "b.mp4"
    with av.open(str(whole)) as given, av.open(str(trimmed), "w") as made:
        streams = [made.add_stream_from_template(one) for one in given.streams]
        for packet in given.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio":
                back = round(Fraction(7, 10) / packet.time_base)
                packet.pts, packet.dts = packet.pts - back, packet.dts - back
            packet.stream = streams[packet.stream.index]
            made.mux(packet)
    with av.open(str(trimmed)) as given:
        assert sum(packet.is_discard for packet in given.demux(audio=0)) > 30
    run(trimmed, tmp_path / f"out{ending}")
    with av.open(str(tmp_path / f"out{ending}")) as made:
        (video,), (sound,) = made.streams.video, made.streams.audio
        first = next(made.demux(sound))
        begin = first.pts * first.time_base - video.start_time * video.time_base
    # MP4 has such a list itself.
    assert begin < -0.6 if ending == ".mov" else -0.15 < begin < 0.05


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".avi"])
def test_sound_out_of_a_transport_stream_loses_its_headers_only(tmp_path, ending):
    original = make_clip(tmp_path / "in.ts", audio="aac")
    done = run(original, tmp_path / f"out{ending}")
    before = media.packets(original, "audio")
    after = media.packets(tmp_path / f"out{ending}", "audio")
    if ending == ".avi":  # which cannot say that an encoder's first packet is no sound
        first = media.decode(original).pts[0]
        before = [(time, data) for time, data in before if time >= first]
    assert [data[7:] for _, data in before] == [data for _, data in after]
    assert done.remarks == []


@pytest.mark.parametrize("delay", [0.0, 0.4])
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_sound_and_picture_stay_together(tmp_path, delay, ending):
    original = make_clip(tmp_path / "in.mp4", audio="aac", audio_start=delay, start=5, frames=50)
    run(original, tmp_path / f"out{ending}")

    def lead(path):
        return media.decode(path).pts[0] - media.packets(path, "audio")[0][0]

    assert abs(lead(original) - lead(tmp_path / f"out{ending}")) <= Fraction(1, 1000)


def test_sound_that_does_not_fit_is_reencoded_and_remarked(tmp_path):
    original = make_clip(tmp_path / "in.mp4", audio="aac", frames=50)
    done = run(original, tmp_path / "out.webm")
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.audio[0].codec_context.name == "opus"
        seconds = sum(frame.samples for frame in container.decode(audio=0)) / 48000
    assert seconds == pytest.approx(2, abs=0.1)
    assert done.remarks == [
        "stream 1, sound (aac), is re-encoded with libopus: webm does not hold it as it is"
    ]


@pytest.mark.parametrize(
    ("source", "ending", "converted"),
    [
        (".mp4", ".mp4", False),
        (".mkv", ".mkv", False),
        (".mkv", ".mp4", True),
        (".mp4", ".mkv", True),
        (".mp4", ".webm", True),
    ],
)
def test_subtitles_come_along(tmp_path, source, ending, converted):
    original = make_clip(tmp_path / f"in{source}", subtitles=[(0.2, 0.6, "hello there")])
    done = run(original, tmp_path / f"out{ending}")
    told = [
        (float(at), data)
        for at, data in media.packets(tmp_path / f"out{ending}", "subtitle")
        if b"hello there" in data
    ]
    assert [at for at, _ in told] == [pytest.approx(0.2, abs=0.001)]
    assert any("converted" in remark for remark in done.remarks) == converted


def test_what_a_container_cannot_hold_is_left_out_and_remarked(tmp_path):
    original = make_clip(tmp_path / "in.mp4", subtitles=[(0.2, 0.6, "hello there")])
    done = run(original, tmp_path / "out.avi")
    assert media.stream_types(tmp_path / "out.avi") == ["video"]
    assert done.remarks == ["stream 1, subtitles (mov_text), is left out: avi does not hold it"]


def test_colours_aspect_and_title_are_kept(tmp_path):
    original = make_clip(
        tmp_path / "in.mp4",
        colour=(9, 16, 9, 1),
        aspect=Fraction(4, 3),
        metadata={"title": "A day", "comment": "no rain"},
        pixel_format="yuv420p10le",
    )
    for ending in (".mp4", ".mkv"):
        output = tmp_path / f"out{ending}"
        run(original, output)
        with av.open(str(output)) as container:
            stream = container.streams.video[0]
            frame = next(container.decode(stream))
            assert (frame.color_primaries, frame.color_trc, frame.colorspace) == (9, 16, 9)
            assert frame.color_range == 1
            assert stream.sample_aspect_ratio == Fraction(4, 3)
            assert {k.lower(): v for k, v in container.metadata.items()}["title"] == "A day"


def test_full_range_stays_full_range_in_another_format(tmp_path):
    # VP9 takes no yuvj420p; the samples and the tag must stay.
    original = make_clip(tmp_path / "in.mkv", pixel_format="yuvj420p", frames=4)
    run(original, tmp_path / "out.mkv", codec="ffv1")
    before, after = media.decode(original), media.decode(tmp_path / "out.mkv")
    assert media.same_picture(before.pictures[0], after.pictures[0])
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert next(container.decode(video=0)).color_range == 2


def chaptered(path: Path) -> Path:
    """A clip of two seconds in two chapters."""
    plain = make_clip(path.with_suffix(".mkv"), frames=50)
    with av.open(str(plain)) as given, av.open(str(path), "w") as container:
        video = container.add_stream_from_template(given.streams.video[0])
        milli = Fraction(1, 1000)
        container.set_chapters(
            [
                {"id": 1, "start": 0, "end": 800, "time_base": milli, "metadata": {"title": "A"}},
                {
                    "id": 2,
                    "start": 800,
                    "end": 2000,
                    "time_base": milli,
                    "metadata": {"title": "B"},
                },
            ]
        )
        for packet in given.demux():
            if packet.size:
                packet.stream = video
                container.mux(packet)
    return path


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        ({}, [(0, 0.8, "A"), (0.8, 2, "B")]),
        ({"start": 0.4, "end": 1.0}, [(0, 0.4, "A"), (0.4, 0.6, "B")]),
        ({"start": 1.0}, [(0, 1, "B")]),
    ],
)
def test_chapters_are_kept_and_cut(tmp_path, ending, cut, expected):
    original = chaptered(tmp_path / "in.mp4")
    done = run(original, tmp_path / f"out{ending}", cut=cut)
    with av.open(str(tmp_path / f"out{ending}")) as container:
        found = [
            (
                float(chapter["start"] * chapter["time_base"]),
                float(chapter["end"] * chapter["time_base"]),
                chapter["metadata"]["title"],
            )
            for chapter in container.chapters()
        ]
    for one, other in zip(found, expected, strict=True):
        assert one[:2] == pytest.approx(other[:2], abs=0.002)
        assert one[2] == other[2]
    assert done.remarks == []


@pytest.mark.parametrize("ending", [".mov", ".mp4", ".mkv"])
def test_the_tags_of_a_phone_are_kept(tmp_path, ending):
    tags = {
        "title": "A day",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.location.ISO6709": "+51.5334-000.1255+026.756/",
    }
    original = make_clip(
        tmp_path / "in.mov", metadata=tags, muxer={"movflags": "use_metadata_tags"}
    )
    run(original, tmp_path / f"out{ending}")
    with av.open(str(tmp_path / f"out{ending}")) as container:
        kept = {name.lower(): value for name, value in container.metadata.items()}
    assert {name.lower(): value for name, value in tags.items()}.items() <= kept.items()


@pytest.mark.parametrize("ending", [".mkv", ".ts", ".mp4"])
def test_sound_that_begins_as_another_codec_comes_as_soon_as_it_is_its_own(tmp_path, ending):
    """As where a recording begins while a broadcast has other sound than it began with."""
    original = make_clip(tmp_path / "in.ts", audio="aac", frames=50)
    other = [data for _, data in media.packets(make_clip(tmp_path / "o.ts", audio="ac3"), "audio")]
    with (
        FileSource(original) as source,
        VideoSink(tmp_path / f"out{ending}", source.info, preset="ultrafast") as sink,
    ):
        for item in source:
            if isinstance(item, Passthrough) and other:
                (real,) = item.packets
                strange: AnyPacket = av.Packet(other.pop())
                strange.pts, strange.dts, strange.time_base = real.pts, real.dts, real.time_base
                strange.stream = real.stream
                sink.write(Passthrough([strange]))
            else:
                sink.write(item)
    with av.open(str(tmp_path / f"out{ending}")) as container:
        heard = [frame for frame in container.decode(audio=0)]
    wanted = len(media.packets(original, "audio"))
    assert wanted - 40 < len(heard) < wanted
    assert any("damaged packets of sound" in one for one in sink.remarks)


def test_sound_that_is_far_ahead_moves_no_picture(tmp_path):
    """As where pictures are held up: FFmpeg ends a fragment after ten seconds of sound alone."""
    sound = make_clip(tmp_path / "in.mp4", audio="aac", audio_seconds=33.0)
    with av.open(str(sound)) as container:
        stream = container.streams.audio[0]
        packets = [one for one in container.demux(stream) if one.dts is not None]
        ends = {place: 11 * (1 + part) for part, place in enumerate((40, 45, 95))}
        made = VideoInfo("made", 64, 48, "yuv420p", TICK, Fraction(25), live=True, copied=(stream,))
        times: list[int] = []
        with VideoSink(tmp_path / "out.mp4", made) as sink:
            for index in range(100):
                # Much slower, then faster, than the rate that is said.
                times.append(times[-1] + (12_600 if index < 50 else 900) if times else 0)
                grey = np.full((72, 64), 5 * index % 200, np.uint8)
                image = av.VideoFrame.from_ndarray(grey, format="yuv420p")
                sink.write(Frame(image, index, times[-1], TICK))
                if index in ends:
                    due = [one for one in packets if one.pts * one.time_base < ends[index]]
                    packets = packets[len(due) :]
                    sink.write(Passthrough(due))
    assert media.decode(tmp_path / "out.mp4").pts == [time * TICK for time in times]
