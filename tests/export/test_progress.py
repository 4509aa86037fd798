import io

from rich.console import Console

from stream_export.progress import Spoken, pictures_of


def told(*, terminal: bool) -> str:
    text, clock = io.StringIO(), [0.0]
    spoken = Spoken(Console(file=text, force_terminal=terminal), now=lambda: clock[0])
    for second in range(0, 150, 10):
        clock[0] = second
        spoken.say(f"at {second}")
    spoken.say("the end", last=True)
    return text.getvalue()


def test_a_log_is_told_how_far_a_run_is_and_a_terminal_has_its_bar():
    assert told(terminal=False).splitlines() == ["at 0", "at 60", "at 120", "the end"]
    assert told(terminal=True) == ""


def test_it_is_told_at_once_at_which_of_how_many_pictures_something_is():
    text = io.StringIO()
    with pictures_of("comparing", 3, Console(file=text)) as watch:
        for number in (1, 2, 3):
            watch(number)
    assert text.getvalue() == "comparing: picture 1 of 3\n"
    text = io.StringIO()
    with pictures_of("comparing", 3, Console(file=text, force_terminal=True)) as watch:
        watch(2)
    assert "comparing: picture 2 of 3" in text.getvalue()
    assert text.getvalue().endswith("\x1b[2K"), "nothing of the bar stays"
