"""AVI has no times; pictures and sound are in step all the same."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stream.frame import Frame
from stream.sinks.video import VideoSink
from tests import media
from tests.conftest import SHARED
from tests.media import make_clip
from tests.sinks.running import info, run
from tests.sinks.test_sound import heard, moved


def shown(path: Path) -> list[float]:
    times = media.decode(path).pts
    return [float(at - times[0]) for at in times]


@pytest.mark.parametrize(("gap", "rate"), [(17, 30), (40, 30), (33, 30), (100, 24)])
def test_pictures_at_a_variable_rate_are_shown_at_their_times(tmp_path, gap, rate):
    times = [gap * index for index in range(60)]
    times += [times[-1] + 200 * index for index in range(1, 20)]
    original = make_clip(
        tmp_path / "in.mkv", times=times, time_base=Fraction(1, 1000), rate=rate, frames=79
    )
    run(original, tmp_path / "out.avi")
    after = shown(tmp_path / "out.avi")
    # Half a place, or the rounding of milliseconds to a constant rate.
    assert after == pytest.approx([at / 1000 for at in times], abs=0.025)


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(24)])
def test_a_constant_rate_stays_one(tmp_path, rate):
    original = make_clip(tmp_path / "in.mp4", rate=rate, frames=40)
    done = run(original, tmp_path / "out.avi")
    after = media.decode(tmp_path / "out.avi")
    assert after.tick == 1 / rate
    assert [at / after.tick for at in after.pts] == list(range(40))
    assert done.remarks == []


def loud_from(samples: np.ndarray) -> float:
    """When something is heard first, in seconds."""
    return float(np.flatnonzero(np.abs(samples) > 0.02)[0] / 8000)


@pytest.mark.parametrize(
    ("audio", "source"),
    [
        *((name, ".mkv") for name in ("mp3", "ac3", "pcm_s16le", "aac", "flac")),
        ("aac", ".ts"),
        ("aac", ".mp4"),
    ],
)
def test_sound_that_begins_late_and_pauses_is_in_step(tmp_path, audio, source):
    plain = make_clip(tmp_path / f"plain{source}", audio=audio, audio_start=0.8, frames=100)
    original = moved(plain, tmp_path / f"in{source}", lambda at: 0.6 if at > 2 else 0)
    done = run(original, tmp_path / "out.avi")
    samples = heard(tmp_path / "out.avi")
    assert loud_from(samples) == pytest.approx(0.8, abs=0.09)
    assert loud_from(samples[17600:]) + 2.2 == pytest.approx(2.6, abs=0.12)
    assert any("filled with silence" in remark for remark in done.remarks)


@pytest.mark.parametrize("early", [0.4, 1.6])
@pytest.mark.parametrize("audio", ["libopus", "pcm_s16le"])
def test_sound_from_before_the_first_picture_is_left_out_and_named(tmp_path, audio, early):
    """It was said to have come twice, or taken for a clock that starts over."""
    plain = make_clip(
        tmp_path / "plain.mkv", audio=audio, start=round(early * 25), frames=100
    )  # fmt: skip
    turn = early + 1
    original = moved(plain, tmp_path / "in.mkv", lambda at: 0.6 if at >= turn else 0)
    done = run(original, tmp_path / "out.avi")
    assert loud_from(heard(tmp_path / "out.avi")[8800:]) + 1.1 == pytest.approx(1.6, abs=0.09)
    said = [remark for remark in done.remarks if "before the first picture" in remark]
    assert len(said) == 1, done.remarks
    told = re.search(r"sound, (?:.*, )?([\d.]+) s from before", said[0])
    assert float(told[1]) == pytest.approx(early, abs=0.05)
    assert "twice" not in " ".join(done.remarks)


@pytest.mark.parametrize("audio", ["mp3", "pcm_s16le"])
def test_a_film_that_begins_late_is_in_step(tmp_path, audio):
    original = make_clip(
        tmp_path / "in.mkv", audio=audio, start=250, audio_start=10.5, frames=50,
        audio_seconds=1.5,
    )  # fmt: skip
    run(original, tmp_path / "out.avi")
    assert shown(tmp_path / "out.avi")[-1] == pytest.approx(49 / 25)
    assert loud_from(heard(tmp_path / "out.avi")) == pytest.approx(0.5, abs=0.09)


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="shared/cases is not here")
@pytest.mark.parametrize("name", ["08_vfr_60_then_5fps.mkv", "08_sound_begins_at_2s.mkv"])
def test_the_films_that_were_out_of_step(tmp_path, name):
    original = SHARED / "cases" / "files" / name
    run(original, tmp_path / "out.avi")
    assert shown(tmp_path / "out.avi") == pytest.approx(shown(original), abs=0.004)
    late = loud_from(heard(original))
    assert loud_from(heard(tmp_path / "out.avi")) == pytest.approx(late, abs=0.09)


def test_how_far_pictures_are_off_their_times_is_said(tmp_path):
    """It was said to be a frame, however far it was."""
    for crowd, far in ((2, "a frame"), (4, "3 frames")):
        times = [*range(20), *[20] * crowd, *range(21, 30)]
        with VideoSink(tmp_path / f"{crowd}.avi", info()) as sink:
            for index, at in enumerate(times):
                picture = media.make_picture(index, 64, 48, "yuv420p")
                sink.write(Frame(picture, index, at, Fraction(1, 25)))
        (said,) = sink.remarks
        assert f"are shown up to {far} off their time" in said
        late = max(
            abs(after - at / 25)
            for after, at in zip(shown(tmp_path / f"{crowd}.avi"), times, strict=True)
        )
        assert late == pytest.approx((crowd - 1) / 25, abs=1e-3)
