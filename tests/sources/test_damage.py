"""What is lost of a stream on its way: how often it is told of, and what is shown of the rest."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from stream.errors import SourceError
from stream.sources._damage import Damage, told_of_losses, without_meetings
from stream.sources.file import FileSource
from stream.sources.stream_reader import Ended, Picture, StreamReader

GOP, FRAMES, DATAGRAM = 8, 48, 1316


@pytest.fixture(scope="module")
def broadcast() -> bytes:
    """Noise, of which every picture fills many datagrams."""
    file, random = io.BytesIO(), np.random.default_rng(1)
    with av.open(file, "w", format="mpegts") as made:
        video = made.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        video.options = {"g": str(GOP), "sc_threshold": "0", "bf": "2", "crf": "10"}
        for _ in range(FRAMES):
            image = random.integers(0, 255, (64, 96, 3), np.uint8)
            made.mux(video.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        made.mux(video.encode(None))
    return file.getvalue()


def without(data: bytes, *lost: int) -> bytes:
    """The same without these datagrams."""
    grams = [data[at : at + DATAGRAM] for at in range(0, len(data), DATAGRAM)]
    return b"".join(one for place, one in enumerate(grams) if place not in lost)


def read(data: bytes | Path, *, whole: bool) -> tuple[StreamReader, dict[int, bytes]]:
    reader = StreamReader(
        lambda: (
            av.open(str(data))
            if isinstance(data, Path)
            else av.open(io.BytesIO(data), format="mpegts")
        ),
        lambda error: SourceError(str(error)),
        audio=False,
        paced=lambda container: True,
        whole=whole,
    )
    seen = {}
    while not isinstance(event := reader.events.take(60), Ended):
        if isinstance(event, Picture):
            assert event.pts is not None
            seen[event.pts] = event.picture.to_ndarray().tobytes()
    reader.stop(patience=60)
    return reader, seen


def test_each_loss_counts_once_and_what_it_scrambled_can_be_left_out(broadcast):
    clean_reader, clean = read(broadcast, whole=True)
    assert (clean_reader.corrupt, len(clean)) == (0, FRAMES)
    count = len(broadcast) // DATAGRAM
    for lost in ((count // 2,), (count // 3, count // 3 + 1), (count // 4, 3 * count // 4)):
        data = without(broadcast, *lost)
        reader, seen = read(data, whole=False)
        scrambled = [at for at in seen if seen[at] != clean[at]]
        assert scrambled or len(seen) < FRAMES, lost
        gaps = len([one for one in lost if one - 1 not in lost])
        assert gaps <= reader.corrupt <= 2 * gaps, lost
        reader, seen = read(data, whole=True)
        assert all(seen[at] == clean[at] for at in seen), lost
        assert len(seen) >= FRAMES - 2 * GOP * gaps and reader.left_out > 0, lost


def test_files_that_hold_several_broadcasts_are_not_damaged_where_these_meet(tmp_path, broadcast):
    for name, data, damaged in (
        ("joined.ts", broadcast * 3, False),
        ("lost.ts", without(broadcast, len(broadcast) // DATAGRAM // 2), True),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        with FileSource(path) as source:
            for _ in source:
                pass
            assert (source.corrupt > 0) == damaged, name


@pytest.mark.parametrize("lost", [None, 1], ids=["whole", "with a loss"])
def test_where_parts_of_a_list_meet_no_picture_is_left_out_as_scrambled(tmp_path, broadcast, lost):
    """Parts of other programmes, such as advertising, whose packets are numbered anew."""
    listed = ["#EXTM3U", "#EXT-X-TARGETDURATION:2"]
    for number in range(3):
        middle = len(broadcast) // DATAGRAM // 2
        data = without(broadcast, middle) if number == lost else broadcast
        (tmp_path / f"{number}.ts").write_bytes(data)
        listed += ["#EXT-X-DISCONTINUITY", "#EXTINF:1.92,", f"{number}.ts"]
    path = tmp_path / "live.m3u8"
    path.write_text("\n".join([*listed, "#EXT-X-ENDLIST", ""]))
    with av.open(str(path)) as container:
        told = [one for one in container.demux() if one.size and one.is_corrupt]
        assert len(told) >= 2, "FFmpeg tells of a loss where there is none"
    reader, _ = read(path, whole=True)
    left_out = reader.left_out
    if lost is None:
        assert (left_out, reader.corrupt) == (0, 0)
    else:
        assert 0 < left_out <= 2 * GOP and reader.corrupt > 0


def test_a_packet_that_is_told_of_waits_until_it_shows_whether_two_streams_meet():
    picture, sound = object(), object()

    def came(*told: str) -> list[SimpleNamespace]:
        """Of each packet: a key frame, damaged, or sound."""
        return [
            SimpleNamespace(
                stream=sound if one == "s" else picture,
                is_keyframe="k" in one,
                is_corrupt="x" in one,
            )
            for one in told
        ]

    def found(*told: str) -> str:
        packets = came(*told)
        passed = list(without_meetings(packets, picture))
        assert passed == packets, "all of them, in order"
        return "".join("x" if one.is_corrupt else "." for one in passed)

    assert found("k", "p", "x", "p", "k", "p") == "......"
    assert found("k", "x", "s", "k") == "....", "sound between them does not count"
    assert found("k", "x", "p", "p", "k") == ".x...", "too far before it"
    assert found("k", "x", "x", "k") == "....", "both"
    assert found("k", "p", "x") == "..x", "at the end"
    assert found("k", "p", "kx", "p", "p") == "..x..", "the key frame itself"


def packet(pts: int, *, corrupt: bool = False, key: bool = False) -> SimpleNamespace:
    return SimpleNamespace(pts=pts, time_base=Fraction(1, 25), is_corrupt=corrupt, is_keyframe=key)


def shown(pts: int, *, corrupt: bool = False, key: bool = False) -> SimpleNamespace:
    return SimpleNamespace(pts=pts, time_base=Fraction(1, 25), is_corrupt=corrupt, key_frame=key)


def test_the_key_frame_behind_a_packet_that_is_told_of_may_be_what_was_lost():
    damage = Damage()
    for at in range(30):
        damage.packet(packet(at, corrupt=at == 9, key=at % 10 == 0))
        whole = damage.picture(shown(at, key=at % 10 == 0))
        assert whole == (at < 9 or at >= 20), at
    assert damage.count == 1


def test_streams_that_mend_themselves_are_shown():
    damage = Damage()
    seen = []
    for at in range(25 * 200):
        damage.packet(packet(at, corrupt=at % 100 == 50, key=at == 0))
        seen.append(damage.picture(shown(at, key=at == 0)))
    assert seen.index(False) == 50 and all(seen[50 + 25 * 60 + 1 :])


def test_losses_are_told_of_with_what_can_be_done():
    assert told_of_losses("cam", 0, 0) == []
    assert "1 packet of cam" in told_of_losses("cam", 1, 0)[0]
    assert "--skip-scrambled" in told_of_losses("cam", 3, 0)[0]
    assert "2 pictures of cam" in told_of_losses("cam", 3, 2)[0]


def test_where_pieces_of_a_playlist_meet_nothing_is_lost_but_what_is_told_of():
    """A piece begins with a key frame, and its packets are counted from any number on."""
    damage = Damage(joined=True)
    for at in range(40):
        damage.packet(packet(at, corrupt=at in (9, 20, 35), key=at % 10 == 0))
        whole = damage.picture(shown(at, key=at % 10 == 0))
        assert whole == (at < 9 or 10 <= at < 35), at
    assert damage.count == 1, "only of the one amid a piece it is known"


def test_a_key_frame_by_another_clock_mends_what_was_scrambled_by_the_one_before():
    for restart, mended in ((1000, True), (1980, False), (1800, True)):
        damage = Damage()
        damage.packet(packet(2000, corrupt=True))
        assert not damage.picture(shown(2000))
        for at in range(restart, restart + 10):
            damage.packet(packet(at, key=at == restart + 5))
            whole = damage.picture(shown(at, key=at == restart + 5))
            assert whole == (mended and at >= restart + 5), (restart, at)
    # Without a clock what comes later is later.
    damage = Damage()
    damage.packet(packet(2000, corrupt=True))
    assert not damage.picture(shown(2000))
    later = shown(2001, key=True)
    later.time_base = None
    assert damage.picture(later)
