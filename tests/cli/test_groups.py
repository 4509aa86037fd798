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
import contextlib, io, json, re, sys
from importlib.util import find_spec, spec_from_loader
from pathlib import Path

names, groups = json.loads(sys.argv[1])
sources = {}
for group, (module, name, _, _) in groups.items():
    source = sources.get(module) or Path(find_spec(module).origin).read_text()
    field = f'    {name}: float = option(0.5, "How much it is {name}.", high=1.0)\\n\\n'
    sources[module], edits = re.subn(
        "(class %s:\\n    @@@[^@]*@@@\\n\\n)".replace("@", chr(34)) % group,
        lambda found: found[1] + field,
        source,
    )
    assert edits == 1

class Edited:
    def find_spec(name, path=None, target=None):
        return spec_from_loader(name, Edited) if name in sources else None

    def create_module(spec):
        return None

    def exec_module(module):
        exec(compile(sources[module.__name__], module.__name__, "exec"), module.__dict__)

sys.meta_path.insert(0, Edited)
for module in sources:
    sys.modules.pop(module, None)

from stream.cli import main
from stream.plans.config import loads

pages = {}
for name in names:
    with contextlib.redirect_stdout(io.StringIO()) as page, contextlib.suppress(SystemExit):
        main([name, "--help"])
    pages[name] = page.getvalue()
answers = {}
for group, (_, name, users, text) in groups.items():
    plans = repr(loads(text))
    try:
        loads(text.replace("0.75", "2"))
    except Exception as error:
        in_toml = str(error)
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            main([users[0], "x", f"--{name}", "2"])
        except SystemExit as ended:
            answers[group] = plans, in_toml, said.getvalue(), ended.code
json.dump([pages, answers], sys.stdout)
"""
"""Runs as if groups had one more field each, in the one line that it takes."""


SOURCE = '[[source]]\ntarget = "in.mp4"\n'


def test_a_new_option_is_one_field():
    """A field that a group is given appears in each command that names the group, and in TOML."""
    groups = {
        ModelOptions: ("bright", f"[model]\nbright = 0.75\n{SOURCE}"),
        RunOptions: ("cheap", f"[run]\ncheap = 0.75\n{SOURCE}"),
        CutOptions: ("deep", f"{SOURCE}deep = 0.75\n"),
        PictureOptions: ("shiny", f'{SOURCE}[[output]]\nto = "x.mp4"\nshiny = 0.75\n'),
    }
    users = {group: [name for name, its in NAMES.items() if group in its] for group in groups}
    asked = {
        group.__name__: (group.__module__, name, users[group], text)
        for group, (name, text) in groups.items()
    }
    done = subprocess.run(
        [sys.executable, "-c", LONGER, json.dumps([[*NAMES], asked])],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages, answers = json.loads(done.stdout)
    for group, (option_name, _) in groups.items():
        for name, page in pages.items():
            assert (f"--{option_name} NUMBER" in page) == (name in users[group]), (group, name)
            if name in users[group]:
                words = f"How much it is {option_name}. [at most 1; default: 0.5]"
                assert words in " ".join(page.split()), (group, name)
        plans, in_toml, typed, code = answers[group.__name__]
        assert f"{group.__name__}({option_name}=0.75" in plans
        assert in_toml.endswith(f"{option_name} is at most 1, not 2")
        assert (typed, code) == (f"stream: --{option_name} is at most 1, not '2'\n", 2)


def test_no_command_has_many_parameters():
    for name in ("file", "image", "webcam", "url", "run", "demo"):
        module = __import__(_commands.PLACES[name].module, fromlist=[name])
        source = inspect.getsource(module)
        assert source.count("@command") == 1
        inner = getattr(module, name).__closure__
        functions = [cell.cell_contents for cell in inner if inspect.isfunction(cell.cell_contents)]
        (function,) = [one for one in functions if one.__name__ == name]
        assert len(inspect.signature(function).parameters) <= 8, name
