import io

from rich.console import Console

from stream_models.training.spoken import Spoken


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
