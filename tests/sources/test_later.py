"""A broadcast whose tracks change in the middle: what is not taken of it is said."""

from __future__ import annotations

import av

from stream.frame import Frame
from stream.sinks.video import VideoSink
from stream.sources.file import FileSource
from tests.media import make_clip


def recording(path, first_pid=0x100):
    """Two seconds of pictures and sound, whose tracks have numbers from one on."""
    make_clip(path.with_suffix(".mkv"), codec="libx264", audio="aac", frames=50)
    options = {"mpegts_start_pid": str(first_pid)}
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
    path.write_bytes(recording(tmp_path / "1.ts") + recording(tmp_path / "2.ts", 0x300))
    count, said = taken(path, tmp_path / "out.mp4")
    assert count == 50
    assert said == [
        "50 pictures of the video track 2 (h264), which begins later, are left out; a program that "
        "repairs broadcasts can make one track of them",
        "stream 3, sound (aac), is left out: where the film begins, nothing says how many channels "
        "it has",
    ]
    # What is behind the cut was not asked for.
    count, said = taken(path, tmp_path / "cut.mp4", end=1)
    assert count == 25
    assert not any("begins later" in one for one in said)


def test_one_recording_has_no_such_track(tmp_path):
    path = tmp_path / "in.ts"
    path.write_bytes(recording(tmp_path / "1.ts"))
    assert taken(path, tmp_path / "out.mp4") == (50, [])
