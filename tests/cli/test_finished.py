"""A result counts as finished where it holds the last picture, and the sound, that it should."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from stream.cli._finished import finished
from stream.settings.options import CutOptions
from tests import media
from tests.media import make_clip

ALL = CutOptions()
FRAMES = 60


def counted(path):
    try:
        return len(media.packets(path, "video")), len(media.packets(path, "audio"))
    except (av.FFmpegError, IndexError):
        return None


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts"])
def test_what_was_cut_off_anywhere_is_not_finished(tmp_path, ending):
    source = make_clip(tmp_path / "in.mp4", frames=FRAMES, b_frames=2, audio="aac")
    fragments = {"movflags": "frag_keyframe+empty_moov"} if ending == ".mp4" else {}
    whole = make_clip(
        tmp_path / f"whole{ending}", frames=FRAMES, audio="aac", options={"g": "5"}, muxer=fragments
    )
    assert finished(source, whole, ALL)
    data, all_of_it = whole.read_bytes(), counted(whole)
    left = tmp_path / f"left{ending}"
    for percent in range(80, 100, 3):
        left.write_bytes(data[: len(data) * percent // 100])
        there = counted(left)
        if there is None or there[0] < FRAMES:
            assert not finished(source, left, ALL), (percent, there, all_of_it)


def test_pictures_that_do_not_come_out_are_not_waited_for(tmp_path):
    whole = make_clip(tmp_path / "whole.ts", frames=FRAMES, options={"g": "20"})
    source = tmp_path / "in.ts"
    source.write_bytes(whole.read_bytes()[188 * 40 :])  # begins in the middle of a group
    with av.open(str(source)) as container:
        seen = sum(1 for _ in container.decode(video=0))
    assert seen < len(media.packets(source, "video")), "some cannot be decoded"
    result = make_clip(tmp_path / "out.mp4", frames=seen)
    assert finished(source, result, ALL)
    assert not finished(source, make_clip(tmp_path / "short.mp4", frames=seen - 1), ALL)


def test_a_part_is_finished_with_its_own_last_picture(tmp_path):
    source = make_clip(tmp_path / "in.mp4", frames=FRAMES, options={"g": "10"})
    for cut, frames in (
        (CutOptions(start=1), 35),
        (CutOptions(end=2), 50),
        (CutOptions(start=0.5, end=1.5), 25),
        (CutOptions(limit=7), 7),
        (CutOptions(limit=900), FRAMES),
    ):
        result = make_clip(tmp_path / "out.mp4", frames=frames)
        assert finished(source, result, cut), cut
        result = make_clip(tmp_path / "out.mp4", frames=frames - 1)
        assert not finished(source, result, cut), cut


def test_a_film_that_does_not_say_how_long_it_is_is_looked_through(tmp_path):
    source = make_clip(tmp_path / "in.h264", frames=FRAMES)
    with av.open(str(source)) as container:
        assert container.duration is None
    assert finished(source, make_clip(tmp_path / "out.mp4", frames=FRAMES), ALL)
    assert not finished(source, make_clip(tmp_path / "out.mp4", frames=FRAMES // 2), ALL)


def test_the_last_picture_of_a_variable_rate_counts(tmp_path):
    times = [0, 40, 80, 120, 400, 404]
    clip = {"time_base": Fraction(1, 1000), "rate": 1000}
    source = make_clip(tmp_path / "in.mkv", times=times, **clip)
    assert finished(source, make_clip(tmp_path / "out.mp4", times=times, **clip), ALL)
    assert not finished(source, make_clip(tmp_path / "out.mp4", times=times[:-1], **clip), ALL)


def test_a_film_of_numbered_pictures_is_finished_with_the_last_of_them(tmp_path):
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number:03d}.png"), np.zeros((32, 32, 3), np.uint8))
    made = make_clip(tmp_path / "made.mp4", frames=5, rate=25)
    assert not finished(tmp_path / "%03d.png", made, ALL)
    assert finished(tmp_path / "%03d.png", made, CutOptions(limit=5))
    assert not finished(tmp_path / "%03d.png", tmp_path / "none.mp4", CutOptions(limit=5))


def test_a_film_of_numbered_pictures_is_as_long_as_its_rate_and_what_can_be_read(tmp_path):
    pattern = tmp_path / "%03d.png"
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number:03d}.png"), np.zeros((32, 32, 3), np.uint8))
    made = make_clip(tmp_path / "made.mp4", frames=6, rate=10)
    assert finished(pattern, made, ALL, 10) and not finished(pattern, made, ALL, 5)
    assert not finished(pattern, made, ALL, 20)
    half = CutOptions(start=0.3)
    assert finished(pattern, make_clip(tmp_path / "half.mp4", frames=3, rate=10), half, 10)
    assert not finished(pattern, make_clip(tmp_path / "half.mp4", frames=2, rate=10), half, 10)
    (tmp_path / "005.png").write_bytes(b"no picture")
    assert finished(pattern, make_clip(tmp_path / "made.mp4", frames=5, rate=10), ALL, 10)
    (tmp_path / "002.png").unlink()
    assert finished(pattern, tmp_path / "made.mp4", ALL, 10), "what is there is all that comes"
