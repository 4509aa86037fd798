"""The files of the field beside the checkout come in with every picture at its time."""

from __future__ import annotations

import itertools

import pytest

import stream.sources
from stream.frame import Frame, Passthrough

EVEN = 0.04
FILES: dict[str, tuple[int, float, float]] = {
    "01_srt_subtitles.mkv": (250, 0.021, 9.981),
    "02_movie.partial.mp4": (50, 0, 1.96),
    "03_adpcm.avi": (50, 0, 1.96),
    "03_camera_pcm.avi": (50, 0, 1.96),
    "03_nvr_g711.mkv": (50, 0, 1.96),
    "03_pcm.mkv": (50, 0, 1.96),
    "04_timecode.mov": (50, 0, 1.96),
    "05_flac_and_srt.mkv": (50, 0, 1.96),
    "06_sound_overlaps_30ms.mkv": (100, 0, 3.96),
    "07_clock_jumps_10h.ts": (200, 0.021, 7.981),
    "08_sound_begins_at_2s.mkv": (150, 0, 5.96),
    "08_starts_at_10s.mkv": (150, 10.021, 15.981),
    "08_vfr_60_then_5fps.mkv": (240, 0, 14.8),
    "11_anamorphic_16_11.mp4": (50, 0, 1.96),
    "13_six_frames.gif": (6, 0, 1),
    "14_360_degrees.mp4": (50, 0, 1.96),
    "14_alpha_vp9.webm": (25, 0, 0.96),
    "14_cover_picture.mp4": (50, 0, 1.96),
    "14_surround_flac.mkv": (50, 0, 1.96),
    "15_starts_at_1h.mkv": (150, 0.021, 5.981),
    "16_turns_portrait.ts": (75, 0, 2.88),
    "17_h264_b_frames.avi": (100, 0, 3.96),
}
"""Pictures, and the times of the first and the last in seconds."""
# Two rates, and a joint at which the second recording begins two pictures early.
UNEVEN = {"08_vfr_60_then_5fps.mkv", "13_six_frames.gif", "16_turns_portrait.ts"}
CLOSED = {
    "07_clock_jumps_10h.ts": "jumps ahead",
    "15_starts_at_1h.mkv": "begins at 3599.98 s",
    "16_turns_portrait.ts": "of another size or shape",
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_picture_comes_at_its_time(shared_cases, name):
    seen, heard = [], {}
    with stream.sources.open(str(shared_cases / "files" / name)) as source:
        for item in source:
            if isinstance(item, Frame):
                seen.append(item.pts_seconds)
            elif isinstance(item, Passthrough):
                for packet in item.packets:
                    heard.setdefault(packet.stream_index, []).append(packet.dts)
        remarks = source.remarks
    count, first, last = FILES[name]
    assert (len(seen), source.corrupt) == (count, 0)
    assert (seen[0], seen[-1]) == pytest.approx((first, last), abs=0.0011)
    gaps = [b - a for a, b in itertools.pairwise(seen)]
    assert min(gaps) > 0
    assert name in UNEVEN or gaps == pytest.approx([EVEN] * (count - 1), abs=0.0011)
    for stamps in heard.values():
        # Where a clock jumps, sound may have jumped a little less than the picture.
        back = [a - b for a, b in itertools.pairwise(stamps) if b < a]
        assert not back or (name in CLOSED and len(back) == 1)
    assert not any("cut short" in remark for remark in remarks)
    if name in CLOSED:
        assert any(CLOSED[name] in remark for remark in remarks)
    assert source.info.rotation == 0 and source.info.width > 0


@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("h264_10bit_samples_out_of_range.mp4", 30),
        ("index_out_of_range.flv", 15),
        ("sound_of_unknown_codec.mp4", 30),
    ],
)
def test_what_is_damaged_gives_what_it_has(shared_cases, name, pictures):
    with stream.sources.open(str(shared_cases / "damaged" / name)) as source:
        frames = [item for item in source if isinstance(item, Frame)]
    assert len(frames) == pictures
    assert all(b.pts > a.pts for a, b in itertools.pairwise(frames))


def test_a_folder_from_a_phone_and_a_mac(shared_cases):
    with stream.sources.open(str(shared_cases / "files" / "18_folder")) as source:
        assert [path.name for path in source.paths] == ["IMG_0001.HEIC", "a.jpg"]
        assert len(list(source)) == 2 and source.corrupt == 0


@pytest.mark.parametrize(
    ("name", "size"), [("09_17000_wide.png", (17000, 8)), ("09_66000_high.png", (8, 66000))]
)
def test_pictures_beyond_other_formats_limits_come_in(shared_cases, name, size):
    with stream.sources.open(str(shared_cases / "files" / name)) as source:
        (frame,) = source
    assert abs(frame.image.width - size[0]) < 60 and abs(frame.image.height - size[1]) < 60
