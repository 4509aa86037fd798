"""A video file is chosen, opened, read and let go as it should be."""

from __future__ import annotations

import threading
from pathlib import Path

import av
import numpy as np
import pytest

from stream.errors import SourceError, UsageError
from stream.frame import Frame
from stream.sources.file import FileSource
from tests import media
from tests.media import make_clip
from tests.sources.reading import frames_of, probe


def test_the_picture_is_chosen_by_type_not_by_place(tmp_path):
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=48000)
        video = container.add_stream("libx264", rate=25, width=64, height=48)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), "s16", "stereo")
        frame.sample_rate = 48000
        container.mux(sound.encode(frame))
        container.mux(video.encode(media.make_picture(0, 64, 48, "yuv420p")))
        container.mux(sound.encode(None))
        container.mux(video.encode(None))
    with FileSource(path) as source:
        assert source.info.codec == "h264"
        assert [stream.type for stream in source.info.copied] == ["audio"]


def test_a_cover_picture_is_not_the_video(tmp_path):
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1, width=256, height=256, pix_fmt="yuvj420p")
        cover.disposition = av.stream.Disposition.attached_pic
        video = container.add_stream("libx264", rate=25, width=64, height=48)
        container.mux(cover.encode(media.make_picture(0, 256, 256, "yuvj420p")))
        container.mux(cover.encode(None))
        for index in range(3):
            container.mux(video.encode(media.make_picture(index, 64, 48, "yuv420p")))
        container.mux(video.encode(None))
    with FileSource(path) as source:
        assert (source.info.width, source.info.height) == (64, 48)
        assert sum(isinstance(item, Frame) for item in source) == 3


def damaged(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "in.mp4"
    if kind == "missing":
        return path
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("This is not a video at all.\n" * 200)
    elif kind == "ansi text":
        path = tmp_path / "in.txt"
        path.write_text("This is not a video at all.\n" * 200)
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(100_000))
    elif kind == "sound":
        make_clip(path, codec=None, audio="aac")
    elif kind == "headless":
        path.write_bytes(make_clip(tmp_path / "whole.mp4").read_bytes()[:3000])
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "does not exist"),
        ("folder", "is a folder"),
        ("empty", "is empty (0 bytes)"),
        ("text", "not a video that can be read"),
        ("ansi text", "text file"),
        ("noise", "not a video that can be read"),
        ("sound", "has sound but no video stream"),
        ("headless", "its index (moov) is missing"),
    ],
)
def test_what_is_no_video_is_refused_in_one_sentence(tmp_path, kind, words):
    path = damaged(tmp_path, kind)
    with pytest.raises(SourceError) as told:
        FileSource(path)
    assert words in str(told.value)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    path = make_clip(tmp_path / "in.mp4", frames=2)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SourceError, match="may not be read"):
        FileSource(path)


@pytest.mark.parametrize(
    "cut", [{"start": 5, "end": 5}, {"end": 0}, {"limit": 0}, {"start": -1}, {"start": 100}]
)
def test_a_cut_that_selects_nothing_is_refused(tmp_path, cut):
    path = make_clip(tmp_path / "in.mp4")
    with pytest.raises(UsageError):
        FileSource(path, **cut)


@pytest.mark.parametrize(
    "cut", [{"start": 0.97}, {"start": 0.97, "end": 5}, {"start": 0.05, "end": 0.07}]
)
def test_a_cut_between_the_beginnings_of_two_pictures_is_refused(tmp_path, cut):
    path = make_clip(tmp_path / "in.mp4", frames=25)
    with (
        FileSource(path, **cut) as source,
        pytest.raises(UsageError, match=r"no picture of .* begins"),
    ):
        list(source)


def test_a_name_may_look_like_an_address(tmp_path):
    path = make_clip(tmp_path / "plain.mp4", frames=3).rename(tmp_path / "http:a %d.mp4")
    assert len(frames_of(path)) == 3


def test_close_from_another_thread_ends_the_iteration(tmp_path):
    path = make_clip(tmp_path / "in.mp4", frames=100)
    source = FileSource(path)
    seen: list[Frame] = []
    started, closed = threading.Event(), threading.Event()

    def read() -> None:
        for item in source:
            seen.append(item)
            started.set()
            assert closed.wait(60)

    reader = threading.Thread(target=read)
    reader.start()
    assert started.wait(60)
    source.close()
    closed.set()
    reader.join(60)
    assert not reader.is_alive()
    assert len(seen) <= 2  # one may have been on its way
    source.close()


def test_a_source_that_is_never_read_lets_its_file_go(tmp_path):
    FileSource(make_clip(tmp_path / "in.mp4", frames=3)).close()


def test_an_iteration_that_is_dropped_lets_its_file_go(tmp_path):
    source = FileSource(make_clip(tmp_path / "in.mp4", frames=30))
    next(iter(source))


def test_frames_say_how_long_decoding_took(tmp_path):
    frames = frames_of(make_clip(tmp_path / "in.mp4", frames=10))
    assert all(0 <= frame.stages["decode"] < 1 for frame in frames)


def test_what_is_known_before_the_first_picture(tmp_path):
    path = make_clip(tmp_path / "in.mp4", frames=50, metadata={"title": "A day"})
    info = probe(path)
    assert (info.name, info.frames, info.rate, info.duration) == ("in.mp4", 50, 25, 2)
    assert info.metadata["title"] == "A day"
    with FileSource(path, start=0.5, end=1.5) as source:
        assert (source.info.frames, source.info.duration) == (25, 1)
    with FileSource(path, limit=7) as source:
        assert source.info.frames == 7
