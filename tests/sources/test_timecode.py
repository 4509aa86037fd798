"""A film that begins later has the timecode of its first picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from stream.sources._timecode import later
from stream.sources.file import FileSource
from tests.media import make_clip
from tests.sinks.running import run

NTSC = Fraction(30_000, 1001)


@pytest.mark.parametrize(
    ("timecode", "pictures", "rate", "wanted"),
    [
        ("01:02:03:04", 0, 25, "01:02:03:04"),
        ("01:02:03:04", 21, 25, "01:02:04:00"),
        ("01:59:59:24", 1, 25, "02:00:00:00"),
        ("23:59:59:23", 2, 24, "00:00:00:01"),
        ("00:00:59:29", 1, NTSC, "00:01:00:00"),
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:01:59;29", 1, NTSC, "00:02:00;02"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:00:00;00", 107_892, NTSC, "01:00:00;00"),
        ("23:59:59;29", 1, NTSC, "00:00:00;00"),
        ("00:00:59;59", 1, 2 * NTSC, "00:01:00;04"),
        ("00:00:00;00", 215_784, 2 * NTSC, "01:00:00;00"),
        ("00:00:59;24", 1, 25, "00:01:00;00"),
        ("a quarter past", 9, 25, "a quarter past"),
    ],
)
def test_so_many_pictures_later(timecode, pictures, rate, wanted):
    assert later(timecode, pictures, Fraction(rate)) == wanted


def test_every_timecode_of_a_day_comes_once():
    # The numbers that are dropped are those of the standard, and the day is as long as it says.
    told = [later("00:00:00;00", minute * 1798, NTSC) for minute in range(1441)]
    assert len(set(told)) == 1441
    for picture in range(0, 2_589_408, 997):
        one = later("00:00:00;00", picture, NTSC)
        assert later(one, 1, NTSC) == later("00:00:00;00", picture + 1, NTSC)
        assert not (one[3:8].endswith(":00") and one[9:] in ("00", "01") and one[4] != "0"), one


@pytest.mark.parametrize(("ending", "name"), [(".mov", "in.mov"), (".mkv", "in.mkv")])
def test_a_cut_film_says_when_it_begins(tmp_path: Path, ending: str, name: str) -> None:
    source = make_clip(
        tmp_path / name, frames=30, rate=25, metadata={"timecode": "10:00:00:00"}, b_frames=2
    )
    for start, wanted in [(None, "00:00"), (0, "00:00"), (0.4, "00:10"), (0.41, "00:11")]:
        output = tmp_path / f"out{ending}"
        run(source, output, cut={"start": start}, overwrite=True)
        with av.open(str(output)) as film:
            tags = {**film.metadata, **film.streams.video[0].metadata}
        said = {key.lower(): value for key, value in tags.items()}["timecode"]
        assert said == f"10:00:{wanted}", start


def test_what_says_no_timecode_says_none_later(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=30, metadata={"title": "10:00:00:00"})
    with FileSource(source, start=0.4) as cut:
        assert cut.info.metadata["title"] == "10:00:00:00"
        assert "timecode" not in cut.info.track
