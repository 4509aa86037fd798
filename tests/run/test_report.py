import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from stream.errors import SinkError
from stream.run.figures import Counts, Found, Outcome
from stream.run.report import found_line, print_report, run_report, write_report
from stream.timing import Clock


@pytest.fixture
def run():
    clock = Clock()
    for _ in range(10):
        clock.add("infer", 0.0125)
        clock.add("end to end", 0.030)
    outcome = Outcome(
        counts=Counts(frames_in=10, written=10, corrupt=1, media_seconds=0.36),
        seconds=0.5,
        first_frame_seconds=0.1,
        interrupted=False,
        queues=[{"name": "decoded", "capacity": 3, "high_water": 2, "dropped": 0}],
        found={"person": Found(1, 9), "dog": Found(2, 4)},
        found_frames=9,
    )
    return run_report(
        source="in.mp4",
        output="out [1].mp4",
        model="default",
        precision="int8",
        provider="CPU",
        outcome=outcome,
        stages=clock.figures(),
        remarks=["the sound is left out"],
    )


def test_the_table_says_where_the_time_went(run):
    text = io.StringIO()
    print_report(Console(file=text, width=120), run)
    for word in (
        "in.mp4",
        "infer",
        "12.5",
        "p95",
        "20.0 fps",
        "1 corrupt",
        "out [1].mp4",
        "left out",
        "1 person, 2 dog, in 9 of 10 frames",
    ):
        assert word in text.getvalue(), word


def test_what_was_found_is_told_of_the_frames_that_were_looked_at(run):
    full = replace(run, frames_out=7, unsaved=3, dropped=3)
    assert found_line(full).endswith("in 9 of 10 frames that were looked at")


def test_the_file_holds_what_the_documentation_says(run, tmp_path, request):
    path = tmp_path / "report.json"
    write_report(path, [run])
    written = json.loads(path.read_text())
    assert written["runs"][0]["stages"]["infer"]["p50_ms"] == pytest.approx(12.5, rel=0.01)
    documented = (request.config.rootpath / "docs" / "report.md").read_text()
    for key in [*written, *written["machine"], *written["runs"][0]]:
        assert f"`{key}`" in documented or f".{key}`" in documented, key


def test_a_report_that_cannot_be_written_is_one_sentence_and_leaves_nothing(run, tmp_path):
    with pytest.raises(SinkError, match="cannot write the report"):
        write_report(tmp_path / "nowhere" / "report.json", [run])
    (tmp_path / "taken").mkdir()
    with pytest.raises(SinkError):
        write_report(tmp_path / "taken", [run])
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_class_without_a_name_is_still_seen_in_the_sentence(run):
    found = {"": Found(2, 1), "person": Found(1, 1)}
    assert found_line(replace(run, found=found)).startswith("2 '', 1 person, in ")


def test_of_frames_that_nobody_looked_at_it_is_not_said_that_they_show_nothing(run):
    nothing = replace(run, found={}, found_frames=0)
    assert found_line(nothing) == "nothing found in 10 frames"
    shown = Clock()
    shown.add("decode", 0.001)
    unseen = replace(nothing, stages=shown.figures())
    assert found_line(unseen) == "nothing was looked for, as nobody watched"
    assert found_line(replace(unseen, views=0)) == "nothing found in 10 frames", "of records"
