"""Every option means the same on the command line, in a configuration file and in Python."""

from __future__ import annotations

import json
import re
from functools import cache

import typer
from hypothesis import example, given
from hypothesis import strategies as st

from stream.cli._groups import command
from stream.errors import UsageError
from stream.plans import config
from stream.plans.asked import grouped, in_python
from stream.settings.groups import leaves
from stream.settings.options import (
    CountOptions,
    InputOptions,
    LiveOptions,
    ModelOptions,
    OutputOptions,
    PictureOptions,
    RunOptions,
    TrackingOptions,
)
from stream.wording.names import at_home

SOURCE = '[[source]]\ntarget = "in.mp4"\n'
OUTPUT = '[[output]]\nto = "out.mp4"\n'
PLACES = {
    ModelOptions: (SOURCE + "[model]\n", lambda plan: plan.model),
    TrackingOptions: (SOURCE + "[tracking]\n", lambda plan: plan.tracking),
    CountOptions: (SOURCE + "[counts]\n", lambda plan: plan.counts),
    LiveOptions: (SOURCE + "[live]\n", lambda plan: plan.live),
    RunOptions: (SOURCE + "[run]\n", lambda plan: plan.run),
    InputOptions: (SOURCE, lambda plan: plan.source.options),
    PictureOptions: (SOURCE + OUTPUT, lambda plan: plan.outputs[0].picture),
    OutputOptions: (SOURCE + OUTPUT, lambda plan: plan.outputs[0].options),
}
OPTIONS = [
    (group, name)
    for group in PLACES
    for name in leaves(group)
    if name != "save_config"  # which is no option of a file that says it all already
]
VALUES = (
    *("", "0", "-1", "1", "2", "0.5", "1.5", "nan", "inf", "1e9", "1e-9", "1:30", "10x10", "ÿ"),
    *("auto", "none", "person", "person, car", "#ff0000", "ff0000", "0,0,1,1", "0,60%,100%,60%"),
    *("cuda", "udp", "class", "largest", "id3", "soft", "browser", "blur", "bottom", "a b", "true"),
)


@cache
def parser(group):
    got = []

    def work(some) -> None:
        got.append(some)

    work.__annotations__ = {"some": group, "return": None}
    app = typer.Typer(rich_markup_mode=None)
    app.command()(command(work))
    return typer.main.get_command(app), got


def on_the_command_line(group, *arguments):
    run, got = parser(group)
    run(list(arguments), standalone_mode=False)
    return got.pop()


def in_a_file(group, line=""):
    text, part = PLACES[group]
    (plan,) = config.loads(text + line)
    return part(plan)


def in_a_program(group, **given):
    with in_python():
        return grouped(group, given)


def answer(call, *given, names=()):
    """What is made of it, or the sentence that refuses it, without how the option is spelled."""
    try:
        return call(*given)
    except UsageError as error:
        sentence = re.sub(r"^the configuration, line \d+: ", "", str(error))
        for name in names:
            sentence = sentence.replace(name, "it")
        return sentence.removeprefix("it: ")


def test_where_nothing_is_asked_for_the_same_holds():
    for group in PLACES:
        assert in_a_program(group) == in_a_file(group) == on_the_command_line(group) == group()


@given(
    st.sampled_from(OPTIONS),
    st.sampled_from(VALUES) | st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=9),
)
@example((PictureOptions, "select"), "")
@example((ModelOptions, "classes"), " person ,, car,")
def test_a_text_is_the_same_value_or_refused_with_the_same_words(option, text):
    group, name = option
    leaf = leaves(group)[name]
    names = (leaf.flag, name)
    there = answer(lambda: in_a_program(group, **{name: text}), names=names)
    line = f"{name} = {json.dumps(text, ensure_ascii=False)}\n"
    expanded = leaf.file and at_home(text) != text  # a shell has done that
    assert expanded or answer(lambda: in_a_file(group, line), names=names) == there
    if leaf.kind is not bool:
        typed = answer(lambda: on_the_command_line(group, f"{leaf.flag}={text}"), names=names)
        assert typed == there


@given(
    st.sampled_from([one for one in OPTIONS if leaves(one[0])[one[1]].kind is not bool]),
    st.integers(-2, 2000) | st.floats(-2, 2000, width=16),
)
def test_a_number_is_the_same_value_or_refused_with_the_same_words(option, number):
    group, name = option
    there = answer(lambda: in_a_program(group, **{name: number}))
    assert answer(lambda: in_a_file(group, f"{name} = {number!r}\n")) == there


def test_flags_are_true_and_false():
    for group, name in OPTIONS:
        leaf = leaves(group)[name]
        if leaf.kind is not bool:
            continue
        for value in (True, False):
            there = in_a_program(group, **{name: value})
            assert in_a_file(group, f"{name} = {str(value).lower()}\n") == there
            if value:
                assert on_the_command_line(group, leaf.flag) == there
            elif leaf.default is not False:
                assert on_the_command_line(group, f"--no-{leaf.flag[2:]}") == there
            else:
                assert there == group()


def test_lists_are_written_with_commas_or_by_giving_the_flag_again():
    listed = [one for one in OPTIONS if leaves(one[0])[one[1]].kind == tuple[str, ...]]
    assert {name for _, name in listed} >= {"classes", "palette", "line", "zone"}
    values = {"palette": ["ff0000", "00ff00"], "line": ["0,0,9,9", "2,2,3,30"]}
    values["zone"] = ["0,0,9,0,9,9", "1,1,8,1,8,8"]
    for group, name in listed:
        several = values.get(name, ["person", "car"])
        there = in_a_program(group, **{name: several})
        flag = leaves(group)[name].flag
        assert in_a_file(group, f"{name} = {json.dumps(several)}\n") == there
        assert on_the_command_line(group, *(f"{flag}={one}" for one in several)) == there
        if not leaves(group)[name].option.many:
            assert on_the_command_line(group, flag, ",".join(several)) == there
            assert in_a_program(group, **{name: ",".join(several)}) == there
