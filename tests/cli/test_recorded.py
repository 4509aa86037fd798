"""Records count as finished where they tell of the last picture that they should tell of."""

from __future__ import annotations

import os
import shutil

import av
import pytest

from stream.cli._recorded import recorded
from stream.settings.options import CutOptions
from stream.sinks._destination import Destination
from stream.sinks.coco import CocoSink
from stream.sinks.mot import MotSink
from stream.sinks.ndjson import NdjsonSink
from stream.sinks.parquet import ParquetSink
from stream.sinks.table import CsvSink

ALL = CutOptions()
KINDS = (NdjsonSink, CsvSink, CocoSink, MotSink, ParquetSink)
NAMES = tuple(f"found{ending}" for kind in KINDS for ending in kind.endings)
LINES = NdjsonSink.endings


@pytest.fixture
def made(stream, clip, bright, tmp_path):
    """Records of each format of a film with somebody in each frame."""
    pytest.importorskip("pyarrow")
    asked = (part for name in NAMES for part in ("--records", name))
    result = stream("file", clip, "--model", bright, "--quiet", *asked)
    assert result.code == 0, result.err
    return [tmp_path / name for name in NAMES]


def test_what_was_cut_off_anywhere_is_not_finished(made, clip):
    for path in made:
        assert recorded(clip, path, ALL, beside=False), path
        data = path.read_bytes()
        ends = [at for at, byte in enumerate(data) if byte == 10] if path.suffix != ".json" else []
        # What comes behind the last frame's line in .ndjson tells of no frame.
        ends = ends[: -3 if path.suffix in LINES else -1]
        for end in {0, 1, len(data) // 3, len(data) - 3, *ends[::5], *ends[-1:]}:
            path.write_bytes(data[: end + 1])
            assert not recorded(clip, path, ALL, beside=False), (path, end, len(data))


def test_rows_of_a_killed_run_are_not_finished_wherever_they_end(made, clip, tmp_path):
    for path in made:
        if path.suffix not in (".csv", ".txt", ".mot"):
            continue
        rows = path.read_bytes()
        path.unlink()
        killed = Destination(path)
        killed.write(rows)
        killed.abandon()
        if not hasattr(os, "listxattr") or not os.listxattr(path):
            pytest.skip("the disk of the temporary folder knows no attributes")
        assert path.read_bytes() == rows
        assert not any(recorded(clip, path, ALL, beside=one) for one in (True, False)), path
        copy = shutil.copy2(path, tmp_path / f"copy{path.suffix}")
        assert recorded(clip, copy, ALL, beside=False), "somebody has taken it for what it is"


def test_a_part_is_finished_with_its_own_last_picture(stream, clip, bright, tmp_path):
    said = {"--start": "0.2", "--end": "0.6", "--limit": "5"}
    for option, value in said.items():
        for name in ("part.ndjson", "part.csv"):
            asked = ("--records", name, "--overwrite", "--quiet")
            assert stream("file", clip, "--model", bright, option, value, *asked).code == 0
            cut = CutOptions(**{option[2:]: float(value) if option != "--limit" else int(value)})
            assert recorded(clip, tmp_path / name, cut, beside=False), (option, name)
            rows = (tmp_path / name).read_text().splitlines(keepends=True)
            rows = [row for row in rows if "summary" not in row][:-1]
            (tmp_path / name).write_text("".join(rows))
            assert not recorded(clip, tmp_path / name, cut, beside=False), (option, name)


def test_lines_are_read_from_the_end_however_long_they_are(made, clip, monkeypatch):
    for size in (1, 7, 4096):
        monkeypatch.setattr("stream.cli._recorded._BLOCK", size)
        for path in made[:3]:
            assert recorded(clip, path, ALL, beside=False), (path, size)


def test_where_nothing_is_in_the_last_frame_a_film_beside_it_says_so(
    stream, clip, nothing, tmp_path
):
    pytest.importorskip("pyarrow")
    asked = (part for name in NAMES for part in ("--records", name))
    assert stream("file", clip, "--model", nothing, "--quiet", *asked).code == 0
    for name in NAMES:
        path = tmp_path / name
        assert recorded(clip, path, ALL, beside=True), name
        assert recorded(clip, path, ALL, beside=False) == (path.suffix in (*LINES, ".json"))


def test_half_written_records_are_not_left_out(stream, clip, bright, tmp_path):
    (tmp_path / "takes").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "takes" / name).write_bytes(clip.read_bytes())
    asked = ("file", "takes", "--model", bright, "--records", "{name}.csv")
    assert stream(*asked).code == 0
    whole = (tmp_path / "a.csv").read_text()
    (tmp_path / "a.csv").write_text("".join(whole.splitlines(keepends=True)[:9]))
    result = stream(*asked, "--skip-existing")
    assert result.code != 0 and "a.csv exists already; add --overwrite" in result.err
    assert "takes/b.mp4: its result is there already" in result.err
    assert stream(*asked, "--skip-existing", "--overwrite").code == 0
    assert (tmp_path / "a.csv").read_text() == whole


@pytest.mark.parametrize("fps", [25, 5])
def test_records_of_numbered_pictures_are_finished_with_the_last_of_them(
    stream, bright, clip, tmp_path, fps
):
    pytest.importorskip("pyarrow")
    (tmp_path / "frames").mkdir()
    pattern = tmp_path / "frames" / "%03d.png"
    with av.open(str(clip)) as container:
        for number, picture in zip((0, 1, 2, 4, 5, 6), container.decode(video=0), strict=False):
            picture.to_image().save(tmp_path / "frames" / f"{number:03d}.png")
    (tmp_path / "frames" / "003.png").write_bytes(b"no picture")
    asked = (part for name in NAMES for part in ("--records", name))
    result = stream("file", pattern, "--model", bright, "--quiet", "--fps", str(fps), *asked)
    assert result.code == 0, result.err
    for name in NAMES:
        path = tmp_path / name
        assert recorded(pattern, path, ALL, beside=False, fps=fps), name
    shutil.copy(tmp_path / "frames" / "006.png", tmp_path / "frames" / "007.png")
    for name in NAMES:
        assert not recorded(pattern, tmp_path / name, ALL, beside=False, fps=fps), name
        first = CutOptions(limit=7)
        assert recorded(pattern, tmp_path / name, first, beside=False, fps=fps), name
