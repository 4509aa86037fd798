"""The files of the field beside the checkout come out right, and nothing is lost without a word."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from stream.errors import StreamError
from tests import media
from tests.conftest import SHARED
from tests.sinks.running import run
from tests.sources.test_shared_cases import FILES

DAMAGED = {
    "h264_10bit_samples_out_of_range.mp4": 30,
    "index_out_of_range.flv": 15,
    "sound_of_unknown_codec.mp4": 30,
}
CASES = [
    *(("files", name, count) for name, (count, _, _) in sorted(FILES.items())),
    *(("damaged", name, count) for name, count in DAMAGED.items()),
]
ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="shared/cases is not here"),
]


def kinds(path: Path) -> dict[str, int]:
    """How many streams of each kind a file has; covers are a kind of their own."""
    found: dict[str, int] = {}
    with av.open(str(path), metadata_errors="replace") as container:
        for stream in container.streams:
            cover = (
                stream.type == "video" and stream.disposition & av.stream.Disposition.attached_pic
            )
            kind = "cover" if cover else stream.type
            found[kind] = found.get(kind, 0) + 1
    return found


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("folder", "name", "count"), CASES)
def test_every_case_comes_out_with_all_that_it_has(tmp_path, folder, name, count, ending):
    original = SHARED / "cases" / folder / name
    output = tmp_path / f"out{ending}"
    done = run(original, output, preset=None)
    assert len(done.times) == count
    # Some of AVI's places in the grid stay empty, and none is written twice.
    assert len(media.decode(output).pts) == count
    assert all("\n" not in remark for remark in done.remarks)
    before, after = kinds(original), kinds(output)
    for kind, number in before.items():
        word = {"audio": "sound", "subtitle": "subtitles", "cover": "cover", "data": "data"}.get(
            kind
        )
        if after.get(kind, 0) < number:
            said = [one for one in done.remarks if word and word in one and "left out" in one]
            if kind == "data":  # A timecode's track, of which the video may have the words.
                said += [one for one in done.remarks if "timecode" in one and "left out" in one]
                said += timecodes(output)
            assert said, (before, after, done.remarks)


def timecodes(path):
    with av.open(path) as container:
        tags = [dict(one.metadata) for one in (container, *container.streams)]
    return [text for one in tags for key, text in one.items() if key.lower() == "timecode"]


@pytest.mark.parametrize("name", ["09_17000_wide.png", "09_66000_high.png"])
@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_a_picture_is_whole_or_refused(tmp_path, name, ending):
    import cv2

    from stream.sinks.images import ImageSink
    from stream.sources.images import ImagesSource

    original = SHARED / "cases" / "files" / name
    output = tmp_path / f"out{ending}"
    try:
        with ImagesSource([original]) as source, ImageSink(output, [original]) as sink:
            for item in source:
                sink.write(item)
    except StreamError as error:
        assert "\n" not in str(error) and not output.exists()
    else:
        assert cv2.imread(str(output)).shape == cv2.imread(str(original)).shape
