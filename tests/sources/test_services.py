"""What a broadcast's programmes are called is kept, or said where they become one."""

from __future__ import annotations

import av
import pytest
from av.video.frame import VideoFrame

from stream.sinks.video import VideoSink
from stream.sources._services import Service, _text, services_of
from stream.sources.file import FileSource

NAME, SENDER = "Erstes Ü", "Sender"


def broadcast(path, tags, *, m2ts=False):
    options = {"mpegts_m2ts_mode": "1"} if m2ts else {}
    with av.open(str(path), "w", format="mpegts", container_options=options) as made:
        made.metadata.update(tags)
        video = made.add_stream("mpeg2video", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for index in range(25):
            picture = VideoFrame(64, 48, "yuv420p")
            for plane in picture.planes:
                plane.update(bytes(plane.buffer_size))
            picture.pts = index
            made.mux(video.encode(picture))
        made.mux(video.encode(None))
    return path


def packet(pid, kind, head, content):
    """One of a transport stream, with a table in it."""
    size = 5 + len(head) + len(content) + 4
    table = bytes([kind]) + size.to_bytes(2, "big") + bytes(5) + head + content + bytes(4)
    return (b"\x47" + (0x4000 | pid).to_bytes(2, "big") + b"\x10\0" + table).ljust(188, b"\xff")


def recorded(path, *, named, listed, there):
    """Of a broadcast, a file whose tables name and list programmes of which some are there."""
    listing = b"".join(bytes([0, one, 0xE1, one]) for one in listed)
    names = b""
    for one in named:
        called = b"\x48\x05\x01\0\x02P%d" % one
        names += bytes([0, one, 0, 0, len(called)]) + called
    packets = [packet(0x11, 0x42, bytes(3), names)]
    packets += [packet(0x00, 0x00, b"", listing)] if listed else []
    packets += [packet(0x100 | one, 0x02, b"", b"") for one in there]
    path.write_bytes(b"".join([*packets, *packets]))
    return path


def copied(source_path, path):
    with FileSource(source_path) as source, VideoSink(path, source.info) as sink:
        for item in source:
            sink.write(item)
    return " ".join([*source.remarks, *sink.remarks])


@pytest.mark.parametrize("m2ts", [False, True])
def test_a_programme_keeps_its_name_or_it_is_named(tmp_path, m2ts):
    tags = {"service_name": NAME, "service_provider": SENDER}
    given = broadcast(tmp_path / "in.ts", tags, m2ts=m2ts)
    for ending in (".ts", ".m2ts"):
        assert copied(given, tmp_path / f"out{ending}") == ""
        assert services_of(tmp_path / f"out{ending}") == [Service(NAME, SENDER)]
    for ending in (".mp4", ".mov"):
        assert "service_provider is left out" in copied(given, tmp_path / f"out{ending}")
        with av.open(str(tmp_path / f"out{ending}")) as film:
            assert film.metadata["title"] == NAME
    copied(given, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as film:
        assert {name.lower(): film.metadata[name] for name in film.metadata}.items() >= tags.items()


def test_a_programme_without_a_name_is_not_spoken_of(tmp_path):
    given = broadcast(tmp_path / "in.ts", {})
    assert services_of(given) == [Service("Service01", "FFmpeg")]
    assert copied(given, tmp_path / "out.mp4") == ""


def test_several_programmes_become_one_which_is_said(tmp_path, monkeypatch):
    given = broadcast(tmp_path / "in.ts", {})
    several = [Service("One", ""), Service("Two", "")]
    read = []

    def told(path, part):
        read.append(path)
        return several

    monkeypatch.setattr("stream.sources._services.services_of", told)
    assert "2 programmes (One, Two) become one" in copied(given, tmp_path / "out.mp4")
    assert read == [given], "some megabytes, which are read once"
    several[:] = [Service("", "")] * 2
    assert "2 programmes become one" in copied(given, tmp_path / "again.mp4")


def test_programmes_that_are_named_but_not_there_are_none_of_the_files(tmp_path):
    """Recordings of one mostly keep the names of all that were sent with it."""
    for named, listed, there, found in (
        ([1, 2, 3], [1, 2, 3], [1, 2, 3], ["P1", "P2", "P3"]),
        ([1, 2, 3], [2], [2], ["P2"]),
        ([1, 2, 3], [1, 2, 3], [2], ["P2"]),
        ([1], [], [1], ["P1"]),
        ([1], [2], [2], []),
    ):
        path = recorded(tmp_path / "in.ts", named=named, listed=listed, there=there)
        assert [one.name for one in services_of(path)] == found, (named, listed, there)


def test_what_is_no_broadcast_or_breaks_off_names_nothing(tmp_path):
    given = broadcast(tmp_path / "in.ts", {"service_name": NAME})
    data = given.read_bytes()
    for cut in (0, 100, 187, 188 * 2 + 40):
        (tmp_path / "cut.ts").write_bytes(data[:cut])
        assert services_of(tmp_path / "cut.ts") == []
    for place in range(0, 188 * 4, 7):
        changed = bytearray(data[: 188 * 8])
        changed[place] ^= 0xFF
        (tmp_path / "cut.ts").write_bytes(changed)
        assert len(services_of(tmp_path / "cut.ts")) <= 1


def test_names_are_read_in_the_letters_that_they_say():
    assert _text(b"\x15\xc3\x9c") == _text(b"\xdc") == _text(b"\x10\x00\x01\xdc") == "Ü"
    assert _text(b"\x01\xb0") == "А"  # noqa: RUF001 - Cyrillic
    assert _text(b"\x86BBC\x87 One") == "BBC One"
    assert _text(b"\x08\xdc") and _text(b"") == ""
