import io
from fractions import Fraction

from rich.console import Console

from stream.frame import VideoInfo
from stream.run.figures import Counts
from stream.run.progress import ProgressLine
from stream.timing import Clock


def shown(terminal, which=""):
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=160)
    info = VideoInfo("in.mp4", 64, 48, "yuv420p", Fraction(1, 25), frames=100)
    moments = iter([0.0, 1.0])
    counts, clock = Counts(written=25, objects=3), Clock(now=lambda: next(moments))
    clock.frame_out()
    clock.frame_out()
    with ProgressLine(console, info, "CPU (int8)", lambda: counts, clock, which) as line:
        line.update()
    return text.getvalue()


def test_one_line_on_a_terminal():
    text = shown(terminal=True)
    for word in ("in.mp4", "25/100", "25%", "fps", "3 objects", "CPU (int8)"):
        assert word in text, word


def test_of_several_it_says_which_one_it_is():
    assert "2 of 300: in.mp4" in shown(terminal=True, which="2 of 300: ")


def test_silence_elsewhere():
    assert shown(terminal=False) == ""
