"""Commands from groups of options."""

import inspect
import json
import subprocess
import sys
from dataclasses import dataclass, make_dataclass
from typing import Annotated

import pytest
import typer

from stream.cli import _commands
from stream.cli._groups import command
from stream.errors import UsageError
from stream.settings.groups import leaves
from stream.settings.option import option
from stream.settings.options import (
    CameraOptions,
    CutOptions,
    LiveOptions,
    ModelOptions,
    NetworkOptions,
    OutputOptions,
    PictureOptions,
    RunOptions,
    TrackingOptions,
)
from tests.cli.conftest import environment
from tests.cli.test_help import options_in

COMMON = (ModelOptions, TrackingOptions, PictureOptions, OutputOptions, RunOptions)
NAMES = {
    "file": (*COMMON, CutOptions),
    "demo": COMMON,
    "webcam": (*COMMON, CameraOptions, LiveOptions),
    "url": (*COMMON, NetworkOptions, LiveOptions),
    "image": (ModelOptions, PictureOptions, OutputOptions, RunOptions),
    "run": (RunOptions,),
}


def call(function, *arguments):
    app = typer.Typer(rich_markup_mode=None)
    app.command()(function)
    return typer.main.get_command(app)(list(arguments), standalone_mode=False)


@dataclass(frozen=True, slots=True)
class Some:
    """A group to try."""

    number: int = option(3, "A number.", low=1)
    on: bool = option(True, "On.")
    off: bool = option(False, "Off.", short="-f")
    either: bool | None = option(None, "Either.", said="as it comes")
    word: str | None = option(None, "A word.", said="none", choices=("a", "b"))


def test_a_function_gets_its_groups():
    got = []

    @command
    def work(name: Annotated[str, typer.Argument()], some: Some, cut: CutOptions) -> None:
        got.append((name, some, cut))

    call(work, "x")
    call(work, "x", "--number", "5", "--no-on", "-f", "--no-either", "--word", "b", "--end", "1:00")
    assert got == [
        ("x", Some(), CutOptions()),
        ("x", Some(5, False, True, False, "b"), CutOptions(end=60.0)),
    ]
    call(work, "x", "--either", "--on")
    assert got[-1][1] == Some(either=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--number", "0"], "--number is at least 1, not '0'"),
        (["--word", "c"], "--word is one of a, b, not 'c'"),
        (["--start", "5", "--end", "4"], "--end 4 must be later than --start 5"),
    ],
)
def test_wrong_values_name_the_flag(arguments, words):
    @command
    def work(some: Some, cut: CutOptions) -> None:
        pytest.fail("it is not called")

    with pytest.raises(UsageError) as caught:
        call(work, *arguments)
    assert str(caught.value) == words


def test_an_option_that_does_not_say_its_default_is_a_fault():
    silent = make_dataclass("Silent", [("it", str | None, option(None, "It."))])

    def work(silent) -> None:
        raise AssertionError

    work.__annotations__["silent"] = silent
    with pytest.raises(TypeError, match=r"Silent\.it does not say"):
        command(work)


@pytest.mark.parametrize("name", NAMES)
def test_commands_that_share_a_group_have_exactly_the_same_options(stream, name):
    page = stream(name, "--help")
    options = {line.split("  ")[0]: line for line in options_in(page.out)}
    said = " ".join(" ".join(options.values()).split())
    reference = options_in(stream("file", "--help").out) + options_in(
        stream("webcam", "--help").out
    )
    known = {line.split("  ")[0]: line for line in reference}
    for group in NAMES[name]:
        for leaf in leaves(group).values():
            assert f"{leaf.flag} " in f"{said} ", (name, leaf.flag)
            assert leaf.option.help in said, (name, leaf.flag)
    shared = [one for one in options if one in known and "--output" not in one]
    assert [" ".join(options[one].split()) for one in shared] == [
        " ".join(known[one].split()) for one in shared
    ]


LONGER = """
import contextlib, io, json, re, sys, types
from importlib.util import find_spec
from pathlib import Path

module, group, names, text = json.loads(sys.argv[1])
spec = find_spec(module)
field = '    sparkle: float = option(0.5, "How much it sparkles.", high=1.0)\\n\\n'
source, edits = re.subn(
    "(class %s:\\n    @@@[^@]*@@@\\n\\n)".replace("@", chr(34)) % group,
    lambda found: found[1] + field,
    Path(spec.origin).read_text(),
)
assert edits == 1
options = sys.modules[module] = types.ModuleType(module)
exec(compile(source, spec.origin, "exec"), options.__dict__)

from stream.cli import main
from stream.plans.config import loads

pages = {}
for name in names:
    with contextlib.redirect_stdout(io.StringIO()) as page, contextlib.suppress(SystemExit):
        main([name, "--help"])
    pages[name] = page.getvalue()
json.dump([pages, repr(loads(text))], sys.stdout)
sys.stdout.flush()
try:
    loads(text.replace("0.75", "2"))
except Exception as error:
    print(error, file=sys.stderr)
main([names[0], "x", "--sparkle", "2"])
"""
"""Runs as if a group had one more field, in the one line of settings/options.py that it takes."""


@pytest.mark.parametrize(
    ("group", "text"),
    [
        (ModelOptions, '[model]\nsparkle = 0.75\n[[source]]\ntarget = "in.mp4"\n'),
        (RunOptions, '[run]\nsparkle = 0.75\n[[source]]\ntarget = "in.mp4"\n'),
        (CutOptions, '[[source]]\ntarget = "in.mp4"\nsparkle = 0.75\n'),
        (
            PictureOptions,
            '[[source]]\ntarget = "in.mp4"\n[[output]]\nto = "x.mp4"\nsparkle = 0.75\n',
        ),
    ],
)
def test_a_new_option_is_one_field(group, text):
    """A field that a group is given appears in each command that names the group, and in TOML."""
    users = [name for name, groups in NAMES.items() if group in groups]
    names = [*users, *(name for name in NAMES if name not in users)]
    done = subprocess.run(
        [sys.executable, "-c", LONGER, json.dumps([group.__module__, group.__name__, names, text])],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    pages, plans = json.loads(done.stdout)
    for name, page in pages.items():
        assert ("--sparkle NUMBER" in page) == (name in users), name
        if name in users:
            words = "How much it sparkles. [at most 1; default: 0.5]"
            assert words in " ".join(page.split()), name
    assert f"{group.__name__}(sparkle=0.75" in plans
    in_toml, typed = done.stderr.strip().splitlines()
    assert in_toml.endswith("sparkle is at most 1, not 2")
    assert typed == "stream: --sparkle is at most 1, not '2'"


def test_no_command_has_many_parameters():
    for name in ("file", "image", "webcam", "url", "run", "demo"):
        module = __import__(_commands.PLACES[name].module, fromlist=[name])
        source = inspect.getsource(module)
        assert source.count("@command") == 1
        inner = getattr(module, name).__closure__
        functions = [cell.cell_contents for cell in inner if inspect.isfunction(cell.cell_contents)]
        (function,) = [one for one in functions if one.__name__ == name]
        assert len(inspect.signature(function).parameters) <= 8, name
