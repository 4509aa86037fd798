"""What is damaged in a file costs only what is damaged."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading

import av
import numpy as np
import pytest

from stream.errors import SourceError
from stream.frame import Frame
from stream.sources.file import FileSource
from tests.media import make_clip
from tests.sources.reading import frames_of


def test_damage_in_the_middle_costs_only_what_is_damaged(tmp_path):
    whole = make_clip(
        tmp_path / "whole.mkv",
        frames=100,
        size=(320, 240),
        options={"preset": "ultrafast", "g": "10"},
    )
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(1).bytes(3000)
    path = tmp_path / "in.mkv"
    path.write_bytes(data)
    with FileSource(path) as source:
        frames = [item for item in source if isinstance(item, Frame)]
        assert source.corrupt > 0
    assert 80 <= len(frames) <= 100
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))


def test_a_file_that_is_cut_off_gives_what_it_has_and_says_so(tmp_path):
    whole = make_clip(
        tmp_path / "whole.mp4", frames=100, muxer={"movflags": "faststart"}, size=(320, 240)
    )
    path = tmp_path / "in.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with FileSource(path) as source:
        frames = [item for item in source if isinstance(item, Frame)]
        assert 20 <= len(frames) < 90
        assert any("is cut short" in remark for remark in source.remarks)
    assert frames[-1].duration == frames[0].duration


def test_a_part_that_a_cut_off_file_ends_within_is_said_to_be_cut_short(tmp_path):
    whole = make_clip(
        tmp_path / "whole.mp4", frames=100, muxer={"movflags": "faststart"}, size=(320, 240)
    )
    path = tmp_path / "in.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with FileSource(path) as source:
        there = sum(isinstance(item, Frame) for item in source)
    for film, cut, short in (
        (path, {"limit": 99}, True),
        (path, {"limit": there}, False),
        (path, {"limit": 3}, False),
        (path, {"end": 3.9}, True),
        (path, {"end": 0.1}, False),
        (path, {"start": 0.1, "end": 3.9}, True),
        (whole, {"limit": 120}, False),
        (whole, {"end": 60}, False),
        (whole, {"end": 3.9}, False),
        (whole, {"start": 1, "end": 60}, False),
    ):
        with FileSource(film, **cut) as source:
            assert [item for item in source if isinstance(item, Frame)]
            assert any("is cut short" in one for one in source.remarks) == short, cut


@pytest.mark.parametrize("ending", [".mkv", ".webm"])
def test_a_cut_off_file_without_a_count_says_so_by_its_length(tmp_path, ending):
    codec = "libvpx-vp9" if ending == ".webm" else "libx264"
    audio = "libopus" if ending == ".webm" else "aac"
    whole = make_clip(tmp_path / f"whole{ending}", codec=codec, audio=audio, frames=100, options={})
    path = tmp_path / f"in{ending}"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with FileSource(path) as source:
        assert sum(isinstance(item, Frame) for item in source) < 80
        assert ["cut short: it declares 4.0 seconds" in remark for remark in source.remarks] == [
            True
        ]


def test_sound_that_outlasts_the_pictures_is_no_damage(tmp_path):
    path = make_clip(tmp_path / "in.mkv", audio="aac", audio_seconds=5)
    with FileSource(path) as source:
        assert sum(isinstance(item, Frame) for item in source) == 25
        assert source.remarks == []


def test_damage_in_the_last_packets_keeps_the_pictures_before(tmp_path):
    path = tmp_path / "in.mkv"
    source = make_clip(tmp_path / "whole.mkv", frames=60, b_frames=0)
    with av.open(str(source)) as given, av.open(str(path), "w") as container:
        made = container.add_stream_from_template(given.streams.video[0])
        for index, packet in enumerate(p for p in given.demux() if p.size):
            if index == 57:
                bad = av.Packet(b"\x00\x00\x00\x20" + bytes(range(100, 132)))
                bad.pts, bad.dts, bad.time_base = packet.pts, packet.dts, packet.time_base
            else:
                bad = packet
            bad.stream = made
            container.mux(bad)
    frames = frames_of(path)
    assert len(frames) >= 58


@pytest.mark.parametrize("cut", [{}, {"start": 0.2}, {"start": 0.2, "end": 0.6}, {"end": 0.6}])
def test_a_film_without_any_picture_is_damaged_whatever_part_is_wanted(tmp_path, cut):
    path = make_clip(tmp_path / "in.mp4", frames=25)
    data = path.read_bytes()
    begin = data.index(b"mdat") + 4
    path.write_bytes(data[:begin] + bytes(len(data) - begin))
    if data.index(b"moov") > begin:
        path.write_bytes(
            path.read_bytes()[: data.index(b"moov") - 4] + data[data.index(b"moov") - 4 :]
        )
    with pytest.raises(SourceError, match=r"in\.mp4 holds no picture that can be decoded"):
        frames_of(path, **cut)


def test_what_lies_before_the_first_key_frame_is_said_to_be_lost(tmp_path):
    whole = make_clip(tmp_path / "whole.ts", frames=50, options={"g": "25", "sc_threshold": "0"})
    options = {"g": "25", "deadline": "realtime"}
    loud = make_clip(tmp_path / "whole.webm", codec="libvpx-vp9", frames=50, options=options)
    options = {"x265-params": "keyint=25:scenecut=0:log-level=none", "preset": "ultrafast"}
    newer = make_clip(tmp_path / "whole.mp4", codec="libx265", frames=50, options=options)
    for clip, name, without in (
        (whole, "late.ts", 1),
        (whole, "none.ts", 2),
        (loud, "l.webm", 1),
        (newer, "none.mp4", 2),
    ):
        path = tmp_path / name
        with av.open(str(clip)) as given, av.open(str(path), "w") as container:
            stream = container.add_stream_from_template(given.streams.video[0])
            keyed = 0
            for packet in given.demux(video=0):
                keyed += packet.is_keyframe
                if packet.dts is not None and not (packet.is_keyframe and keyed <= without):
                    packet.stream = stream
                    container.mux(packet)
        if without == 2:
            with pytest.raises(SourceError, match=r"none\.\w+ holds no key frame \((h264|hevc)\)"):
                FileSource(path)
            continue
        with FileSource(path) as source:
            assert sum(isinstance(item, Frame) for item in source) == 25
            assert source.corrupt == 0, name
            assert source.remarks == [
                "the first 0.96 s cannot be decoded, as the key frame that they need is not in the "
                "file; the film begins behind them"
            ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_whose_index_lies_behind_the_pictures_is_called_that(tmp_path):
    clip, pipe = make_clip(tmp_path / "in.mp4", size=(320, 240), frames=50), tmp_path / "pipe"
    data = clip.read_bytes()
    assert data.index(b"moov") > data.index(b"mdat")
    os.mkfifo(pipe)

    def fill():
        with contextlib.suppress(OSError), pipe.open("wb") as file:
            file.write(data)

    writer = threading.Thread(target=fill)
    writer.start()
    try:
        with pytest.raises(SourceError, match=r"can be reached: it is a pipe.*its index in front"):
            FileSource(pipe)
    finally:
        writer.join()


def test_a_size_that_changes_is_fitted(tmp_path):
    one = make_clip(tmp_path / "one.ts", frames=20)
    other = make_clip(tmp_path / "other.ts", frames=20, size=(128, 96), start=25)
    path = tmp_path / "both.ts"
    path.write_bytes(one.read_bytes() + other.read_bytes())
    frames = frames_of(path)
    assert len(frames) >= 38
    assert {(f.image.width, f.image.height) for f in frames} == {(64, 48)}


def test_a_file_that_is_cut_off_while_it_is_read_gives_what_came(tmp_path):
    path = make_clip(
        tmp_path / "in.mp4",
        size=(320, 240),
        frames=150,
        options={"crf": "0", "preset": "ultrafast"},
    )
    with FileSource(path) as source:
        frames = iter(source)
        assert next(frames) is not None
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
        count = 1 + sum(isinstance(item, Frame) for item in frames)
        assert 1 < count < 150
        assert any("cut short" in remark for remark in source.remarks)
