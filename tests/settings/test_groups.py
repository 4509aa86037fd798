import re
from dataclasses import dataclass
from datetime import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import UsageError
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.settings.groups import (
    anchored,
    build,
    changed,
    is_group,
    leaves,
    range_of,
    read,
    unknown,
    values_of,
)
from stream.settings.option import option
from stream.settings.options import (
    CameraOptions,
    CountOptions,
    CutOptions,
    InputOptions,
    LiveOptions,
    ModelOptions,
    PictureOptions,
    ReplayOptions,
    RunOptions,
)


def test_the_options_of_inner_groups_count_as_the_outer_one_s():
    assert set(leaves(InputOptions)) > {"start", "fps", "transport"}
    made = build(InputOptions, {"start": 1.5, "fps": 30.0, "elsewhere": 1})
    assert made == InputOptions(cut=CutOptions(start=1.5), camera=CameraOptions(fps=30.0))
    assert changed(made) == {"start": 1.5, "fps": 30.0}
    assert values_of(made)["transport"] == "tcp"


def test_files_of_a_plan_can_have_names_that_hold_in_any_folder(tmp_path):
    (tmp_path / "mine.onnx").touch()
    (tmp_path / "default").touch()
    (tmp_path / "beach.mp4").touch()
    elsewhere = tmp_path.parent / "edges.onnx"
    plan = RunPlan(
        SourcePlan("film.mp4", InputOptions(replay=ReplayOptions(from_records=Path("a.ndjson")))),
        (
            OutputPlan("out.mp4", PictureOptions(background="beach.mp4", refiner=str(elsewhere))),
            OutputPlan("two.mp4", PictureOptions(background="gone.mp4")),
        ),
        ModelOptions(model="mine.onnx", classes=("person",)),
        counts=CountOptions(plot=Path("{name}.png"), line=("0,0,99,99",)),
    )
    found = anchored(plan, tmp_path)
    assert found.source.target == "film.mp4"  # of a task, not of the plan
    assert found.source.options.replay.from_records == tmp_path / "a.ndjson"
    assert [one.picture.background for one in found.outputs] == [
        str(tmp_path / "beach.mp4"),
        "gone.mp4",
    ]
    assert found.outputs[0].picture.refiner == str(elsewhere)
    assert found.model == ModelOptions(model=str(tmp_path / "mine.onnx"), classes=("person",))
    assert found.counts == CountOptions(plot=tmp_path / "{name}.png", line=("0,0,99,99",))
    assert anchored(found, Path("/")) == found
    # A model of the catalogue is one whatever lies about.
    assert anchored(ModelOptions(), tmp_path) == ModelOptions()


def test_a_name_that_is_there_twice_is_a_fault():
    @dataclass(frozen=True)
    class Twice:
        one: CutOptions = CutOptions()
        start: str = option("", "Again.", said="none")

    with pytest.raises(TypeError, match="'start' twice"):
        leaves(Twice)
    assert is_group(CutOptions) and not is_group(int) and not is_group(Path)


@pytest.mark.parametrize(
    ("group", "name", "values", "wanted"),
    [
        (ModelOptions, "threshold", ["0.5", 0.5, ".5", "5e-1"], 0.5),
        (ModelOptions, "threshold", ["1", 1, 1.0], 1.0),
        (ModelOptions, "threshold", ["0", 0, "0.0"], 0.0),
        (ModelOptions, "every", ["9" * 60, 10**60 - 1], 10**60 - 1),
        (CutOptions, "end", ["999999999", 999_999_999], 999_999_999.0),
        (ModelOptions, "every", ["3", 3], 3),
        (ModelOptions, "every", ["auto"], "auto"),
        (ModelOptions, "classes", ["person,car", " person , car,", ["person", "car"]],
         ("person", "car")),
        (CameraOptions, "size", ["1280x720", "1280X720", [1280, 720]], (1280, 720)),
        (CutOptions, "start", ["90", 90, 90.0, "1:30", "0:01:30", time(0, 1, 30)], 90.0),
        (CutOptions, "limit", ["7", 7], 7),
        (PictureOptions, "timing", [True], True),
        (LiveOptions, "display", [False, "none"], "none"),
        (LiveOptions, "display", [True, "window"], "window"),
        (CountOptions, "line", ["0,1,2,3", ["0,1,2,3"]], ("0,1,2,3",)),
        (RunOptions, "report", ["a/b.json"], Path("a/b.json")),
    ],
)  # fmt: skip
def test_values_are_read_alike_from_text_and_from_toml(group, name, values, wanted):
    for value in values:
        found = read(leaves(group)[name], value, "it")
        assert found == wanted and type(found) is type(wanted), value


@pytest.mark.parametrize(
    ("group", "name", "value", "words"),
    [
        (ModelOptions, "threshold", "1.5", "--x is 0 to 1, not '1.5'"),
        (ModelOptions, "threshold", -1, "--x is 0 to 1, not -1"),
        (ModelOptions, "threshold", "half", "--x: it is a number, not 'half'"),
        (ModelOptions, "threshold", "Half", "--x: it is a number, not 'Half'"),
        (ModelOptions, "threshold", "inf", "it is a number, not 'inf'"),
        (ModelOptions, "threshold", float("nan"), "it is a number, not nan"),
        (ModelOptions, "threshold", 10**400, "no number is meant that has more than 60 digits"),
        (ModelOptions, "every", 10**61, "no number is meant that has more than 60 digits"),
        (CameraOptions, "size", [10**5000, 20], "no number is meant that has more than 60 digits"),
        (CutOptions, "limit", -(10**60), "no number is meant that has more than 60 digits"),
        (ModelOptions, "every", "9" * 5000, f"not '{60 * '9'}…'"),
        (CameraOptions, "size", f"{'9' * 5000}x20", f"not '{60 * '9'}…'"),
        (CameraOptions, "fps", "9" * 400, f"not '{59 * '9'}…"),
        (CutOptions, "start", f"{'9' * 5000}h", f"not '{60 * '9'}…'"),
        (CutOptions, "start", 1e9, "not '1000000000.0'"),
        (PictureOptions, "select", 5000 * "9", f"not '{60 * '9'}…'"),
        (ModelOptions, "threshold", True, "no value for it: true"),
        (ModelOptions, "threshold", {}, "no value for it: {}"),
        (ModelOptions, "threshold", [0.5], "one value, not a list: [0.5]"),
        (ModelOptions, "provider", "tensort", "did you mean tensorrt?"),
        (ModelOptions, "provider", "gpu", "did you mean cuda?"),
        (ModelOptions, "provider", "TRT", "did you mean tensorrt?"),
        (ModelOptions, "model", 3, "it is a text, not 3"),
        (ModelOptions, "threshold", time(1, 2), "it is a number, not 01:02:00"),
        (ModelOptions, "model", "", "it is empty"),
        (ModelOptions, "model", "a\0b", "zero byte"),
        (ModelOptions, "every", 0, "from 1 on, or auto, not '0'"),
        (ModelOptions, "classes", [1], "list of texts, not [1]"),
        (ModelOptions, "classes", 1, "it is a list, not 1"),
        (CameraOptions, "size", [1280], "two whole numbers, not [1280]"),
        (CameraOptions, "size", [5, 5], "WIDTHxHEIGHT in pixels, such as 1280x720, not '5x5'"),
        (CameraOptions, "size", [1280.5, 720], "two whole numbers, not [1280.5, 720]"),
        (CutOptions, "limit", 1.5, "a whole number, not 1.5"),
        (CutOptions, "limit", "0", "--x is at least 1, not '0'"),
        (PictureOptions, "timing", "yes", "true or false, not 'yes'"),
        (ModelOptions, "model", 5 * ["x" * 50], "…"),
    ],
)
def test_what_is_no_value_is_refused_by_name(group, name, value, words):
    with pytest.raises(UsageError) as caught:
        read(leaves(group)[name], value, "--x")
    assert str(caught.value).endswith(words)
    assert str(caught.value).startswith("--x") and len(str(caught.value)) < 200


def test_what_is_wrong_with_select_names_it_once():
    with pytest.raises(UsageError, match=r"^--select: it is all, largest"):
        read(leaves(PictureOptions)["select"], "biggest", "--select")


@given(st.text(), st.sampled_from(sorted(leaves(InputOptions) | leaves(ModelOptions))))
def test_any_text_is_a_value_or_refused_in_a_sentence(text, name):
    leaf = (leaves(InputOptions) | leaves(ModelOptions))[name]
    try:
        read(leaf, text, "--x")
    except UsageError as error:
        assert str(error).startswith("--x")


def test_bounds_in_words():
    assert range_of(leaves(ModelOptions)["threshold"].option) == "0 to 1"
    assert range_of(leaves(CutOptions)["limit"].option) == "at least 1"
    assert range_of(leaves(ModelOptions)["model"].option) == ""


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("overly", ["fill", "overlay"], "there is no layer 'overly'; did you mean overlay?"),
        ("gray", ["blur", "grey"], "there is no layer 'gray'; did you mean grey?"),
        ("xyz", ["blur", "grey"], "there is no layer 'xyz'; there are blur, grey"),
    ],
)
def test_an_unknown_name_is_said_with_what_was_meant(name, known, words):
    assert str(unknown("layer", name, iter(known))) == words


@pytest.mark.parametrize(
    ("name", "given", "meant"),
    [
        ("threshold", "50", "0.5"),
        ("threshold", "100%", "1"),
        ("threshold", "0%", "0"),
        ("threshold", "10", "0.1"),
        ("threshold", "50%", "0.5"),
        ("threshold", "0,5", "0.5"),
        ("threshold", 80, "0.8"),
        ("threshold", "2", ""),
        ("threshold", "500", ""),
        ("threshold", "half", ""),
        ("blur_strength", "3%", "3"),
        ("cover_memory", "2s", "2"),
        ("limit", "10,0", "10"),
        ("limit", "10s", ""),
        ("limit", "1.5", ""),
        ("fps", "30fps", "30"),
        ("start", "1m30s", "1:30"),
        ("start", "1h2m", "1:02:00"),
        ("start", "90s", "90"),
        ("end", "1:30,5", "1:30.5"),
        ("end", "1m90s", ""),
    ],
)
def test_a_number_in_other_words_is_answered_with_ours(name, given, meant):
    every = leaves(ModelOptions) | leaves(PictureOptions) | leaves(InputOptions)
    with pytest.raises(UsageError) as told:
        read(every[name], given, name)
    hint = re.findall(r"; did you mean (.*)\?$", str(told.value))
    assert hint == ([meant] if meant else [])
    if meant:
        read(every[name], meant, name)
