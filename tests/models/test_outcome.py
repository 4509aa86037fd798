"""What `stream train` says at its end."""

from pathlib import Path

import pytest

from tests.export.lazily import lazily

outcome = lazily("stream_models.training.outcome", "outcome")
alike = lazily("stream_models.training.outcome", "alike")
Result = lazily("stream_models.training.run", "Result")
Report = lazily("stream_models.training.evaluate", "Report")
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl")


@pytest.fixture
def ended(tmp_path: Path):
    """What is said of a run with an AP50, in a folder whose name a shell takes apart."""
    folder = tmp_path / "my model"
    folder.mkdir()
    for step in (0, 40):
        (folder / f"samples-{step:06d}.png").touch()

    def said(after: float, before: float | None = None, **more):
        def report(value):
            return Report({"all": dict.fromkeys(NAMES, value)}, {}, "person", 100, 900)

        begun = None if before is None else report(before)
        made = Result(
            folder / "f.onnx", folder / "i.onnx", report(after), report(after), begun, **more
        )
        return folder, outcome(made)

    return said


def test_the_last_lines_say_where_to_look_and_what_to_type(ended) -> None:
    folder, said = ended(0.6, 0.5)
    assert not any(one.warns for one in said)
    assert said[-1].text == (
        f"look at {folder / 'samples-000040.png'}, then use it: stream webcam --model "
        f"'{folder / 'i.onnx'}' (on a GPU --model '{folder / 'f.onnx'}')"
    )
    assert any("from 0 to 1" in one.text for one in said)


def test_a_model_that_finds_nothing_or_less_than_before_is_warned_of(ended) -> None:
    for after, before, warning in (
        (0.03, 0.0, "finds hardly anything yet (AP50 0.030)"),
        (0.5, 0.6, "worse than what it began with (AP50 lower by 0.100)"),
        (0.5, 0.51, ""),
        (0.5, None, ""),
        (-1.0, -1.0, ""),
    ):
        _, said = ended(after, before)
        warned = [one.text for one in said if one.warns]
        assert len(warned) == bool(warning)
        assert all(warning in one for one in warned)


def test_of_many_classes_left_out_some_are_named(ended) -> None:
    _, said = ended(0.6, left_out=tuple(f"thing {number}" for number in range(200)))
    (warned,) = (one.text for one in said if one.warns)
    assert warned.endswith("thing 11 and 188 more")


def test_classes_whose_names_differ_in_case_or_spaces_are_named() -> None:
    assert alike(("cat", "dog", "Dog  house", "dog house ")).startswith(
        "classes of their own, though their names are alike: Dog  house and dog house ; if"
    )
    assert alike(("cat", "Cat", "dog"))
    # Both would begin with the weights of one class.
    assert alike(("hard_hat", "dog", "hard hat"))
    assert alike(("cat", "dog")) is None
