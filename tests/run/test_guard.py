"""What a run reads is never written over, whatever it is called and whichever option names it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from stream.cli import _runs
from stream.disk import files
from stream.errors import SinkError, UsageError
from stream.run import guard, setup
from stream.run.guard import check_report, check_reports, read_by
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.run.report import is_report, write_json
from stream.settings.options import ModelOptions, OutputOptions, PictureOptions, RunOptions
from stream.sinks import _destination
from tests.media import make_clip

WAYS = ("itself", "spelled", "symlink", "chain", "hard link")


def other_name(path: Path, way: str) -> Path:
    """Another name of a file."""
    if way == "itself":
        return path
    if way == "spelled":
        (path.parent / "sub").mkdir(exist_ok=True)
        return path.parent / "sub" / ".." / "." / path.name
    made = path.with_name(f"other{path.suffix}")
    if way == "symlink":
        made.symlink_to(path.name)
    elif way == "chain":
        path.with_name("between").symlink_to(path)
        made.symlink_to("between")
    else:
        os.link(path, made)
    return made


def plan(source: Path, report: Path | None = None, *to: Path, model: str = "default") -> RunPlan:
    return RunPlan(
        SourcePlan(str(source)),
        tuple(OutputPlan(str(one), PictureOptions(), OutputOptions(overwrite=True)) for one in to),
        ModelOptions(model=model),
        run=RunOptions(report=report),
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("which", [0, 1, "model", "background", "refiner", "configuration"])
def test_a_report_is_never_what_is_read(tmp_path, way, which):
    inputs = [make_clip(tmp_path / f"{name}.mp4", frames=2) for name in "ab"]
    others = {name: tmp_path / name for name in ("model", "background", "refiner", "configuration")}
    for path in others.values():
        path.write_bytes(b"precious")
    target = inputs[which] if isinstance(which, int) else others[which]
    report = other_name(target, way)
    before = target.read_bytes()
    plans = [
        RunPlan(
            SourcePlan(str(one)),
            (
                OutputPlan(
                    f"{one}.out.mp4",
                    PictureOptions(
                        background=str(others["background"]), refiner=str(others["refiner"])
                    ),
                    OutputOptions(overwrite=True),
                ),
            ),
            ModelOptions(model=str(others["model"])),
            run=RunOptions(report=report),
        )
        for one in inputs
    ]
    with pytest.raises(UsageError, match="is an input; name another file for --report"):
        check_reports(plans, [others["configuration"]])
    assert target.read_bytes() == before and report.exists()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ndjson", ".csv", ".json", ".png"])
def test_an_output_is_never_an_input_of_the_same_run(tmp_path, way, ending):
    first = make_clip(tmp_path / "first.mp4", frames=2)
    second = tmp_path / f"second{ending}"
    second.write_bytes(b"precious")
    output = other_name(second, way)
    asked = [plan(first, None, output), plan(second)]
    read = [path for one in asked for path in read_by(one)]
    assert second in read
    if ending == ".png":
        asked[0] = RunPlan(SourcePlan((str(second),)), asked[0].outputs)
    with pytest.raises(UsageError, match="is an input; choose another output"):
        setup.check(asked[0], read)
    assert second.read_bytes() == b"precious"


@pytest.mark.parametrize("output", ["in/%05d.png", "./in/%06d.PNG", "in/"])
def test_a_numbered_film_is_not_written_over_its_own_pictures(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "in" / "00001.png")
    plan = RunPlan(SourcePlan("in/%05d.png"), (OutputPlan(output),))
    with pytest.raises(UsageError, match="would replace the input's pictures"):
        setup.check(plan)
    setup.check(replace(plan, outputs=(OutputPlan("in/found_%05d.png"),)))


def test_of_several_photos_each_is_read_and_an_address_is_no_file(tmp_path):
    photos = [tmp_path / f"{name}.png" for name in "ab"]
    for path in photos:
        path.write_bytes(b"precious")
    several = RunPlan(SourcePlan((str(photos[0]), photos[1])))
    assert read_by(several) == photos
    for target in ("rtsp://there/" + 5000 * "x", "a\0b", str(tmp_path), str(tmp_path / "none.mp4")):
        assert read_by(plan(Path(target))) == []
    with pytest.raises(UsageError, match=r"b\.png is an input"):
        check_reports([plan(photos[0], photos[1])], photos)


def test_a_report_is_no_output_either(tmp_path):
    first = make_clip(tmp_path / "first.mp4", frames=2)
    (tmp_path / "sub").mkdir()
    report = tmp_path / "sub" / ".." / "found.json"
    with pytest.raises(UsageError, match="is an output"):
        check_reports([plan(first, report, tmp_path / "found.json")])


@pytest.mark.parametrize("named", ["found.json", "other.json"])
def test_a_report_that_is_called_as_an_output_or_is_linked_to_one_is_refused(tmp_path, named):
    first, output = make_clip(tmp_path / "first.mp4", frames=2), tmp_path / "found.json"
    if named == "other.json":
        output.write_text("{}")
        (tmp_path / named).hardlink_to(output)
    with pytest.raises(UsageError, match="is an output"):
        check_reports([plan(first, tmp_path / named, output)])


def test_of_many_films_none_is_compared_with_all(tmp_path, monkeypatch):
    # A thousand whose results were there already took a minute until the first was begun.
    plans, compared = [], []
    for number in range(20):
        film, output = tmp_path / f"{number}.mp4", tmp_path / f"{number}.out.mp4"
        film.write_bytes(b"film")
        output.write_bytes(b"result")
        plans.append(plan(film, tmp_path / f"{number}.json", output))

    def comparing(one, other, plain=files.same_file):
        compared.append(one)
        return plain(one, other)

    for module in (files, _destination, guard):
        monkeypatch.setattr(module, "same_file", comparing)
    assert _runs._problems(plans) == {}
    check_reports(plans)
    assert len(compared) < 10 * len(plans)
    plans[3] = plan(tmp_path / "3.mp4", None, tmp_path / "7.mp4")
    assert "7.mp4 is an input" in str(_runs._problems(plans)[3])


@pytest.mark.parametrize("content", [b"notes of a year", b'{"a": 1}', b"\0" * 100])
def test_a_file_of_another_kind_stays(tmp_path, content):
    report = tmp_path / "notes.txt"
    report.write_bytes(content)
    with pytest.raises(UsageError, match="is no report of stream"):
        check_report(report)
    with pytest.raises(SinkError, match="a file of another kind is there"):
        write_json(report, {"stream": "1"})
    assert report.read_bytes() == content


def test_an_older_report_is_replaced(tmp_path):
    report = tmp_path / "report.json"
    for number in (1, 2):
        check_report(report)
        write_json(report, {"stream": "0.1", "runs": [number]})
        assert json.loads(report.read_text())["runs"] == [number]
    (tmp_path / "empty.json").touch()
    check_report(tmp_path / "empty.json")
    check_report(Path(os.devnull))
    assert is_report(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [("folder", UsageError, "is a folder"), ("none/r.json", SinkError, "does not exist")],
)
def test_a_report_that_cannot_be_is_refused_before_the_work(tmp_path, name, kind, said):
    (tmp_path / "folder").mkdir()
    with pytest.raises(kind, match=said):
        check_report(tmp_path / name)
