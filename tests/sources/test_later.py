"""A broadcast whose tracks change in the middle goes on in them; what is not taken is said."""

from __future__ import annotations

import av

from stream.frame import Frame
from stream.sinks.video import VideoSink
from stream.sources.file import FileSource
from tests.media import make_clip


def recording(path, first_pid=0x100, service=1, **how):
    """Two seconds of pictures and sound, whose tracks have numbers from one on."""
    how = {"codec": "libx264", "audio": "aac", "frames": 50, **how}
    make_clip(path.with_suffix(".mkv"), **how)
    options = {"mpegts_start_pid": str(first_pid), "mpegts_service_id": str(service)}
    with (
        av.open(str(path.with_suffix(".mkv"))) as given,
        av.open(str(path), "w", format="mpegts", container_options=options) as made,
    ):
        copies = {one.index: made.add_stream_from_template(one) for one in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                made.mux(packet)
    return path.read_bytes()


def taken(path, to, **cut):
    with FileSource(path, **cut) as source, VideoSink(to, source.info) as sink:
        count = 0
        for item in source:
            count += isinstance(item, Frame)
            sink.write(item)
    return count, [*source.remarks, *sink.remarks]


def test_pictures_in_a_track_that_begins_later_are_said_to_be_left_out(tmp_path):
    path = tmp_path / "in.ts"
    later = recording(tmp_path / "2.ts", 0x300, codec="mpeg2video")
    path.write_bytes(recording(tmp_path / "1.ts") + later)
    count, said = taken(path, tmp_path / "out.mp4")
    assert count == 50
    assert said == [
        "50 pictures of the video track 2 (mpeg2video), which begins later, are left out; a "
        "program that repairs broadcasts can make one track of them",
        "stream 3, sound (aac), is left out: where the film begins, nothing says how many channels "
        "it has",
    ]
    # What is behind the cut was not asked for.
    count, said = taken(path, tmp_path / "cut.mp4", end=1)
    assert count == 25
    assert not any("begins later" in one for one in said)


def test_no_picture_is_counted_twice_where_reading_begins_anew(tmp_path):
    path = tmp_path / "in.ts"
    later = recording(tmp_path / "2.ts", 0x300, service=2)
    path.write_bytes(recording(tmp_path / "1.ts") + later)
    count, said = taken(path, tmp_path / "out.mp4", start=1)
    assert count == 25
    assert said[0].startswith("50 pictures of the video track 2 (h264), which begins later, are")


def times(path, **cut):
    with FileSource(path, **cut) as source:
        return [float(one.pts * one.time_base) for one in source if isinstance(one, Frame)]


def test_tracks_of_the_same_kind_go_on_in_one(tmp_path):
    path, to = tmp_path / "in.ts", tmp_path / "out.mp4"
    clips = [recording(tmp_path / "1.ts")]
    clips += [recording(tmp_path / f"{n}.ts", 0x100 + 0x100 * n) for n in (2, 3)]
    path.write_bytes(b"".join(clips))
    count, said = taken(path, to)
    assert count == 148
    assert (
        "2 pictures are left out where the broadcast's tracks change, the last of those before"
        in said
    )
    assert not any("begins later" in one or "channels" in one for one in said)
    with av.open(str(to)) as container:
        assert [one.type for one in container.streams] == ["video", "audio"]
        shown = [one.time for one in container.decode(video=0)]
        assert len(shown) == 148 and shown == sorted(shown) and 5.9 < shown[-1] < 6.1
        container.seek(0)
        assert sum(one.samples for one in container.decode(audio=0)) > 5.8 * 48000


def test_the_clock_and_its_gap_stay_as_they_are(tmp_path):
    path = tmp_path / "in.ts"
    later = recording(tmp_path / "2.ts", 0x300, start=75, audio=None)
    path.write_bytes(recording(tmp_path / "1.ts", audio=None) + later)
    shown = times(path)
    begin = shown[0]
    assert [round(25 * (one - begin)) for one in shown] == [*range(49), *range(75, 125)]
    assert [round(one, 3) for one in times(path, start=3 + begin)][:3] == [0, 0.04, 0.08]


def test_pictures_of_another_size_go_on_too(tmp_path):
    path = tmp_path / "in.ts"
    later = recording(tmp_path / "2.ts", 0x300, size=(96, 96))
    path.write_bytes(recording(tmp_path / "1.ts") + later)
    count, said = taken(path, tmp_path / "out.mp4")
    assert count == 99
    assert "50 pictures of another size or shape are fitted into the first one's" in said


def test_sound_of_another_kind_is_left_out_with_a_word(tmp_path):
    path = tmp_path / "in.ts"
    later = recording(tmp_path / "2.ts", 0x300, audio="mp2")
    path.write_bytes(recording(tmp_path / "1.ts") + later)
    count, said = taken(path, tmp_path / "out.mp4")
    assert count == 50
    assert any("50 pictures of the video track 2" in one for one in said)
    assert any("nothing says how many channels" in one for one in said)


def test_a_second_programme_is_not_mixed_with_the_first(tmp_path):
    path = tmp_path / "in.ts"
    with av.open(str(path), "w", format="mpegts") as made:
        sources = []
        for name, size in (("1.mkv", (64, 48)), ("2.mkv", (96, 80))):
            make_clip(tmp_path / name, frames=50, size=size)
            sources.append(av.open(str(tmp_path / name)))
        copies = [made.add_stream_from_template(one.streams.video[0]) for one in sources]
        for pair in zip(*(list(one.demux(video=0)) for one in sources), strict=True):
            for packet, copy in zip(pair, copies, strict=True):
                if packet.dts is not None:
                    packet.stream = copy
                    made.mux(packet)
        for one in sources:
            one.close()
    with FileSource(path) as source:
        frames = [one for one in source if isinstance(one, Frame)]
    assert len(frames) == 50 and not any("fitted" in one for one in source.remarks)


def test_one_recording_has_no_such_track(tmp_path):
    path = tmp_path / "in.ts"
    path.write_bytes(recording(tmp_path / "1.ts"))
    assert taken(path, tmp_path / "out.mp4") == (50, [])
