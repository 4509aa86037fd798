"""What stays in the process in which it was made says so in every other, and never waits there."""

from __future__ import annotations

import copy
import os
import pickle

import av
import numpy as np
import pytest

import stream
from stream.errors import UsageError
from tests import tiny_models


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    return stream.Segmenter.load(
        tiny_models.bright(tmp_path_factory.mktemp("model") / "b.onnx"), "cpu"
    )


PICTURES = [np.full((48, 64, 3), 10 * index, np.uint8) for index in range(4)]


def test_a_fork_of_what_is_under_way_is_told_and_harms_nothing(bright, tmp_path, monkeypatch):
    """A forked process has none of the threads: another process id stands for one here."""
    out = tmp_path / "out.mp4"
    with stream.open(PICTURES, segmenter=bright) as video, stream.VideoWriter(out) as writer:
        frames = iter(video)
        writer.write(next(frames))
        with monkeypatch.context() as forked:
            forked.setattr(os, "getpid", lambda: -1)
            with pytest.raises(UsageError, match=r"arrays.* was opened in another process"):
                next(iter(video))
            with pytest.raises(UsageError, match="was opened in another process"):
                writer.write(PICTURES[0])
            writer.__exit__(UsageError, UsageError(), None)
            video.close()
        writer._closed = False  # it is only in the other process
        for frame in frames:
            writer.write(frame)
    with av.open(str(out)) as written:
        assert len(list(written.decode(video=0))) == len(PICTURES)


def test_pickling_is_refused_with_what_to_do_instead(bright, tmp_path):
    with (
        stream.open(PICTURES, segmenter=bright) as video,
        stream.VideoWriter(tmp_path / "out.mp4") as writer,
    ):
        frame = next(iter(video))
        for one, words in {
            bright: "load one in each",
            video: "open it in the process",
            writer: "hand pictures over",
        }.items():
            with pytest.raises(TypeError, match=words):
                pickle.dumps(one)
        with pytest.raises(TypeError, match=r"frame\.rgb\(\) and frame\.instances"):
            pickle.dumps(frame)
        for one in (bright, video, writer, frame):
            with pytest.raises(TypeError, match="nor copied with all that it holds"):
                copy.deepcopy(one)
    assert copy.copy(frame) == frame
    other = copy.copy(bright)
    other.threshold = 0.875
    assert bright.threshold != other.threshold
    assert other(PICTURES[0]) == bright(PICTURES[0])
