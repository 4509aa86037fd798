"""What a broadcast goes on as is said, as decoders and outputs know its beginning alone."""

from __future__ import annotations

from pathlib import Path

import av

from stream.sources._other_kinds import OtherKinds
from stream.sources.file import FileSource
from tests.media import make_clip


def test_a_track_that_goes_on_as_another_kind_is_named(tmp_path: Path) -> None:
    one = make_clip(tmp_path / "one.ts", audio="aac", frames=25)
    other = make_clip(tmp_path / "other.ts", codec="mpeg2video", audio="mp2", frames=25, options={})
    path = tmp_path / "both.ts"
    for parts, said in (
        ((one, one), []),
        ((one, other), ["stream 0 (h264) goes on as MPEG-2", "stream 1 (aac) goes on as MPEG s"]),
        ((other, one), ["stream 0 (mpeg2video) goes on as H.26", "stream 1 (mp2) goes on as AAC "]),
    ):
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        with FileSource(path) as source:
            list(source)
            found = [one for one in source.remarks if " goes on as " in one]
        assert [one[: len(start)] for one, start in zip(found, said, strict=True)] == said


def test_sound_that_changes_its_channels_or_rate_is_told_of(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "in.ts", audio="aac", frames=25)
    with av.open(str(path)) as container:
        others = OtherKinds(path, container, list(container.streams))
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        for packet in packets:
            others.packet(packet)
        assert others.remarks == []
        head = bytearray(bytes(packets[0]))
        head[2] = head[2] & 0xC2 | 4 << 2  # 44,100 Hz
        head[3] = head[3] & 0x3F | 1 << 6  # one channel
        changed = av.Packet(bytes(head))
        changed.stream = packets[0].stream
        others.packet(changed)
        (said,) = others.remarks
    assert "from 2 channels at 48000 Hz to 1 channel at 44100 Hz in the middle" in said
