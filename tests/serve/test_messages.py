"""What pages may send."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream.errors import UsageError
from stream.serve.session import parse
from stream.serve.webrtc import without_candidates
from stream.serve.wishes import Wish, wish_of

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
keys = st.sampled_from(["look", "background", "threshold", "classes", "model", "labels", "room"])


@given(st.text(max_size=200))
@example("[" * 100_000)
@example('{"type": NaN}')
@example('{"type": "set", "threshold": Infinity}')
@example("1e999")
@example('"type"')
def test_what_is_no_message_is_refused_in_a_sentence(text):
    try:
        found = parse(text)
    except UsageError as error:
        assert str(error).startswith("a message is")
    else:
        assert isinstance(found["type"], str)


@given(st.dictionaries(keys, json_values, max_size=5))
def test_a_wish_is_understood_or_refused(message):
    try:
        wish = wish_of(message)
    except UsageError:
        return
    if wish.threshold is not None:
        assert 0 <= wish.threshold <= 1
    assert isinstance(wish.look, str | None) and isinstance(wish.classes, tuple | None)


def test_a_wish_says_what_the_page_said():
    message = parse(json.dumps({"type": "set", "look": "blur", "threshold": 0.25, "classes": []}))
    assert wish_of(message) == Wish(look="blur", threshold=0.25, classes=())
    assert wish_of({"labels": False, "background": "00ff00"}) == Wish(
        labels=False, background="00ff00"
    )


@pytest.mark.parametrize(
    "message", [{"threshold": True}, {"threshold": 1.5}, {"threshold": -0.1}, {"threshold": "1"},
                {"classes": "person"}, {"classes": [1]}, {"labels": 1}, {"look": 3},
                {"model": ["a"]}, {"threshold": 10**400}],
)  # fmt: skip
def test_values_of_another_kind_are_refused(message):
    with pytest.raises(UsageError):
        wish_of(message)


@given(st.lists(st.sampled_from(
    ["v=0", "a=candidate:1 1 udp 2122 10.0.0.1 9 typ host", "a=end-of-candidates", "m=video 9 X 96",
     "a=candidate:2 1 udp 2122 6ab0c.local 9 typ host", "a=mid:0"])))  # fmt: skip
def test_no_address_of_a_page_s_is_dialled(lines):
    for ending in ("\r\n", "\n"):
        left = without_candidates(ending.join(lines)).split("\r\n")
        assert [one for one in lines if "candidate" not in one] == [one for one in left if one]
