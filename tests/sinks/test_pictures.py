"""Whatever pictures come, an encoder is given pictures that it takes."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.errors import SinkError, UsageError
from stream.frame import Frame
from stream.sinks._pictures import Pictures
from stream.sinks._plan import choose, choose_tick, lost
from stream.sinks.video import VideoSink
from tests import media
from tests.conftest import SHARED
from tests.media import make_clip
from tests.sinks.running import check_output, info, run


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv444p10le", "gray10le", "yuv420p12le"])
def test_samples_beyond_the_depth_are_clipped_and_the_callers_are_not(pixel_format):
    most = 4095 if "12" in pixel_format else 1023
    picture = av.VideoFrame(64, 48, pixel_format)
    for plane in media.planes(picture):
        plane[:] = np.random.default_rng(0).integers(0, 65536, plane.shape)
    before = media.copied_planes(picture)
    own = Pictures(64, 48, pixel_format)(picture)
    assert media.same_picture(media.planes(picture), before)
    assert media.same_picture(
        media.copied_planes(own), [np.minimum(plane, most) for plane in before]
    )


def test_pictures_without_fault_are_not_copied():
    picture = media.make_picture(0, 64, 48, "yuv420p10le")
    own = Pictures(64, 48, "yuv420p10le")(picture)
    assert own.planes[0].buffer_ptr == picture.planes[0].buffer_ptr


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "gray", "yuv444p"])
def test_a_circle_stays_a_circle_in_pictures_of_another_size(pixel_format):
    rows, columns = np.indices((200, 600))
    disc = (rows - 100) ** 2 + (columns - 300) ** 2 < 80**2
    rgb = np.repeat(disc[:, :, None] * np.uint8(255), 3, axis=2)
    picture = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pixel_format)
    pictures = Pictures(160, 160, pixel_format)
    own = pictures(picture)
    assert (own.width, own.height, own.format.name) == (160, 160, pixel_format)
    luma = media.copied_planes(own)[0]
    white = luma > luma.max() / 2
    high, wide = np.ptp(np.flatnonzero(white.any(1))), np.ptp(np.flatnonzero(white.any(0)))
    assert abs(int(high) - int(wide)) <= 2
    assert 38 <= wide <= 46
    assert pictures.fitted == 1


def test_frames_of_another_size_are_written_and_said(tmp_path):
    with VideoSink(tmp_path / "out.mp4", info()) as sink:
        for index, size in enumerate([(64, 48), (200, 40), (64, 48)]):
            picture = media.make_picture(index, *size, "yuv420p")
            sink.write(Frame(picture, index, index, Fraction(1, 25), 1))
    assert len(media.decode(tmp_path / "out.mp4").pts) == 3
    assert "1 picture of another size was fitted between black bars" in sink.remarks


@pytest.mark.parametrize("codec", ["png", "gif", "qtrle"])
def test_encoders_of_rgb_keep_the_colours(tmp_path, codec):
    original = make_clip(tmp_path / "in.mkv", pixel_format="yuv444p", frames=3, size=(128, 96))
    done = run(original, tmp_path / "out.mov", codec=codec)
    with av.open(str(original)) as one, av.open(str(tmp_path / "out.mov")) as other:
        before = next(one.decode(video=0)).to_ndarray(format="rgb24").astype(int)
        after = next(other.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert np.abs(before - after).mean() < (40 if codec == "gif" else 6)
    assert np.ptp(after, axis=2).max() > 60, "it must not be grey"
    assert f"{codec} does not take yuv444p" in done.remarks[0]


def test_an_encoder_that_refuses_says_why(tmp_path):
    with pytest.raises(SinkError) as told:
        VideoSink(tmp_path / "out.mkv", info(width=17_000, height=48), codec="libx264")
    assert "libx264 refuses pictures of 17000x48 in yuv420p" in str(told.value)
    assert "(invalid width x height (17000x48)" in str(told.value)
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("codec", ["mpeg1video", "mpeg2video"])
def test_encoders_that_know_few_rates_get_one_that_has_all_times(tmp_path, codec):
    ntsc = Fraction(30000, 1001)
    for ending in (".mkv", ".ts"):
        for rate, tick, said in (
            (Fraction(25), Fraction(1, 25), False),
            (Fraction(25, 2), Fraction(1, 25), False),
            (Fraction(15), Fraction(1, 30), False),
            (ntsc, 1 / ntsc, False),
            (Fraction(29), Fraction(1, 60), True),
        ):
            source = info(rate=rate, time_base=Fraction(1, 90000))
            kind, choice = choose(Path(f"out{ending}"), codec, None, None)
            assert choose_tick(source, kind, choice) == tick
            remarks = lost(source, kind, choice, "yuv420p", ending)
            assert any("up to 8 ms off their time" in one for one in remarks) is said
    # Of a film whose rate is not constant the finest is taken.
    uneven = info(rate=Fraction(25), fastest=Fraction(50), time_base=Fraction(1, 1000))
    assert choose_tick(uneven, kind, choice) == Fraction(1, 60)


def test_a_film_in_a_fine_clock_becomes_mpeg_2_with_all_its_times(tmp_path):
    ticks = tuple(index * 1001 for index in range(6))
    source = make_clip(
        tmp_path / "in.mp4", rate=Fraction(30000, 1001), time_base=Fraction(1, 30000), times=ticks
    )
    done = run(source, tmp_path / "out.ts", codec="mpeg2video")
    with av.open(tmp_path / "out.ts") as container:
        times = [float(one.pts * one.time_base) for one in container.decode(video=0)]
    assert len(times) == 6 and not done.remarks
    np.testing.assert_allclose(np.diff(times), 1001 / 30000, atol=2e-5)


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="shared/cases is not here")
def test_damaged_video_does_not_end_the_process(tmp_path):
    # In a process of its own: an assertion of x264's would take this one with it.
    script = (
        "import sys; from pathlib import Path; from tests.sinks.running import run;"
        "print(len(run(Path(sys.argv[1]), Path(sys.argv[2]), preset='ultrafast').times))"
    )
    path = SHARED / "cases" / "damaged" / "h264_10bit_samples_out_of_range.mp4"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path), str(tmp_path / "out.mp4")],
        capture_output=True, text=True, check=True, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert int(done.stdout) == 30


@pytest.mark.parametrize(
    ("codec", "ending", "held"),
    [
        ("libx264", ".ts", True),
        ("libx265", ".m2ts", True),
        ("mpeg2video", ".ts", True),
        ("libvpx-vp9", ".ts", False),
        ("libsvtav1", ".ts", False),
        ("ffv1", ".ts", False),
        ("png", ".mts", False),
        ("mjpeg", ".avi", True),
    ],
)
def test_video_that_no_reader_would_find_again_is_refused(tmp_path, capfd, codec, ending, held):
    if held:
        check_output(tmp_path / f"out{ending}", codec=codec)
    else:
        with pytest.raises(UsageError, match=f"{ending} files do not hold what {codec} encodes"):
            check_output(tmp_path / f"out{ending}", codec=codec)
    assert capfd.readouterr() == ("", "")
