from pathlib import Path

import pytest

from stream.errors import UsageError
from stream.runs import match_outputs


@pytest.fixture
def takes(tmp_path):
    for name in ("a.mp4", "b.MOV", "c.3gp", "notes.txt", "sub/a.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def names(tasks, root):
    return [
        (str(task.source.relative_to(root)), str(task.output.relative_to(root))) for task in tasks
    ]


def test_one_file_goes_to_the_output_itself(takes):
    assert names(match_outputs([takes / "a.mp4"], takes / "out.mkv"), takes) == [
        ("a.mp4", "out.mkv")
    ]


def test_one_file_goes_into_a_folder_that_is_there(takes):
    (takes / "done").mkdir()
    assert names(match_outputs([takes / "a.mp4"], takes / "done"), takes) == [
        ("a.mp4", "done/a.mp4")
    ]


def test_a_folder_s_videos_keep_their_names_where_their_container_is_written(takes):
    assert names(match_outputs([takes], takes / "done"), takes) == [
        ("a.mp4", "done/a.mp4"),
        ("b.MOV", "done/b.MOV"),
        ("c.3gp", "done/c.mp4"),
    ]


@pytest.mark.parametrize(
    ("inputs", "output", "words"),
    [
        (["missing.mp4"], "out.mp4", "missing.mp4"),
        (["a.mp4", "b.MOV"], "notes.txt", "need a folder"),
        (["a.mp4", "sub/a.mp4"], "done", "would both become"),
    ],
)
def test_what_cannot_be_matched_is_refused(takes, inputs, output, words):
    with pytest.raises(UsageError, match=words):
        match_outputs([takes / name for name in inputs], takes / output)


def test_a_folder_without_videos_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no videos"):
        match_outputs([tmp_path], Path("out"))
