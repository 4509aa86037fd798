"""The keywords that editors are told of are the options that there are."""

from __future__ import annotations

import inspect
import types
from collections.abc import Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import stream
from stream.compositing import Style
from stream.plans import asked
from stream.settings import keywords, options
from stream.settings.groups import leaves


def kinds(hint: Any, *, parsed: bool = False) -> set[Any]:
    """The types in a union, as a keyword names them."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    found = {str if get_origin(part) is Literal else part for part in parts}
    if tuple[str, ...] in found:
        found = found - {tuple[str, ...]} | {Sequence[str]}
    return found | ({str} if parsed else set())


@pytest.mark.parametrize(
    ("told", "groups"),
    [
        (
            keywords.OpenKeywords,
            [
                options.ModelOptions,
                options.CutOptions,
                options.ReplayOptions,
                options.CountOptions,
                options.CameraOptions,
                options.NetworkOptions,
                options.DecodingOptions,
            ],
        ),
        (keywords.PictureKeywords, [options.PictureOptions]),
        (keywords.WriterKeywords, [options.OutputOptions]),
        (
            keywords.ProcessKeywords,
            [
                options.ModelOptions,
                options.InputOptions,
                options.CountOptions,
                options.PictureOptions,
                options.OutputOptions,
            ],
        ),
    ],
)
def test_keywords_are_the_options(told: type, groups: list[type]) -> None:
    wanted = {
        name: kinds(leaf.hint, parsed=leaf.option.parse is not None or leaf.option.many)
        for group in groups
        for name, leaf in leaves(group).items()
    }
    assert {name: kinds(hint) for name, hint in get_type_hints(told).items()} == wanted


def test_the_keywords_of_draw_are_the_fields_of_a_style() -> None:
    told, wanted = (
        {name: kinds(hint) for name, hint in get_type_hints(one).items()}
        for one in (keywords.StyleKeywords, Style)
    )
    assert told == wanted


def test_help_and_notebooks_are_told_of_every_keyword() -> None:
    for function, told in {
        stream.open: keywords.OpenKeywords,
        stream.process: keywords.ProcessKeywords,
        stream.draw: keywords.StyleKeywords,
        stream.VideoWriter: keywords.WriterKeywords,
    }.items():
        parameters = inspect.signature(function).parameters
        assert not [one for one in parameters.values() if one.kind is one.VAR_KEYWORD]
        for name, hint in get_type_hints(told).items():
            one = parameters[name]
            assert one.kind is one.KEYWORD_ONLY
            assert eval(one.annotation, vars(keywords)) == hint, (function, name)
    found = stream.Instances.empty(("person",), (4, 4))
    defaults = {
        name: one.default
        for name, one in inspect.signature(stream.draw).parameters.items()
        if name in keywords.StyleKeywords.__annotations__
    }
    stream.draw(np.zeros((4, 4, 3), np.uint8), found, **defaults)
    asked.plan_of(
        "in.mp4", ["out.mp4"], True, dict.fromkeys(keywords.ProcessKeywords.__annotations__)
    )
