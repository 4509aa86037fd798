"""A file that is still being recorded: what is there is taken, and it is said that more comes."""

from __future__ import annotations

import pytest

from stream.frame import Frame
from stream.sources.file import FileSource
from tests.media import make_clip

SAID = "in{} was still being written while it was read; what comes later is not taken"


@pytest.mark.parametrize("ending", [".ts", ".mkv", ".avi"])
def test_a_file_that_grows_is_said_to(tmp_path, ending):
    path = make_clip(tmp_path / f"in{ending}", codec="mpeg4", frames=20)
    with FileSource(path) as source:
        pictures = 0
        for item in source:
            pictures += isinstance(item, Frame)
            if pictures == 5:
                with path.open("ab") as file:
                    file.write(bytes(188))
        assert pictures == 20
        assert SAID.format(ending) in source.remarks
    with FileSource(path) as source:
        assert sum(isinstance(item, Frame) for item in source) == 20
        assert SAID.format(ending) not in source.remarks


def test_what_was_asked_for_is_whole_however_the_file_grows(tmp_path):
    path = make_clip(tmp_path / "in.ts", codec="mpeg4", frames=20)
    with FileSource(path, limit=5) as source:
        with path.open("ab") as file:
            file.write(bytes(188))
        assert sum(isinstance(item, Frame) for item in source) == 5
        assert source.remarks == []
