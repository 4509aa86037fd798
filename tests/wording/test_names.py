"""Words in the names of files, and what they stand for."""

import pytest

from stream.errors import UsageError
from stream.wording.names import refuse_unknown_words, unknown_word


@pytest.mark.parametrize(
    ("target", "word"),
    [
        ("{nam}.mp4", "{nam}"),
        ("out/{name}/{Name}.mp4", "{Name}"),
        ("out/{ name }.mp4", "{ name }"),
        ("{stem:>8}.csv", "{stem:>8}"),
        ("rtmp://server/live/{key}", "{key}"),
        ("/out/{source}-{name}.json", "{source}"),
        ("{name}.mp4", ""),
        ("out/{name}-{name}.mp4", ""),
        ("{2024}/{}.mp4", ""),
        ("a{b.mp4", ""),
        ("./{nam}.mp4", ""),
        ("/out/./{nam}.mp4", ""),
    ],
)
def test_a_word_in_braces_that_stands_for_nothing_is_found(target, word):
    assert unknown_word(target) == word


def test_what_is_there_under_such_a_name_is_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("{nam}/out.mp4", f"{tmp_path}/{{nam}}/out.mp4", "{nam}/{nam}.mp4"):
        with pytest.raises(
            UsageError, match=r"^\{nam\} stands for nothing .*\{name\} is the input"
        ):
            refuse_unknown_words(place)
    (tmp_path / "{nam}").mkdir()
    refuse_unknown_words("{nam}/out.mp4")
    refuse_unknown_words(f"{tmp_path}/{{nam}}/out.mp4")
    assert unknown_word("{nam}/{nam}.mp4") == "{nam}"
    with pytest.raises(UsageError, match="results have their inputs' names"):
        refuse_unknown_words("masks/{name}", known=())
