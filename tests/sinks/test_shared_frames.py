"""Several outputs are handed the same frames and packets at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from stream.errors import SinkError
from stream.frame import Frame, Item, Passthrough, VideoInfo
from stream.sinks.images import ImageSink
from stream.sinks.video import VideoSink
from stream.sources.file import FileSource
from tests import media
from tests.media import make_clip


def in_threads(*tasks: Callable[[], None]) -> None:
    """Runs tasks at the same time; raises what the first of them raised."""
    gate = threading.Barrier(len(tasks), timeout=60)
    errors: list[BaseException] = []

    def go(task: Callable[[], None]) -> None:
        gate.wait()
        try:
            task()
        except BaseException as error:  # noqa: BLE001  # raised in the test
            errors.append(error)

    threads = [threading.Thread(target=go, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def facts(item: Item) -> Any:
    if isinstance(item, Passthrough):
        return [
            (p.pts, p.dts, p.duration, p.time_base, p.stream_index, bytes(p)) for p in item.packets
        ]
    picture = item.image
    return (
        (item.pts, item.time_base, item.duration),
        (picture.pts, picture.time_base, picture.pict_type, picture.format.name),
        (picture.color_range, picture.colorspace, picture.color_primaries, picture.color_trc),
        media.copied_planes(picture),
    )


def same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def all_of(path: Path) -> tuple[list[Item], VideoInfo]:
    """What a file's source gives, and what it says; of a source that is still open."""
    with FileSource(path) as source:
        items = list(source)
    return items, FileSource(path).info


def write(path: Path, info: VideoInfo, items: list[Item], **options: Any) -> None:
    with VideoSink(path, info, overwrite=True, **options) as sink:
        for item in items:
            sink.write(item)


def two_sinks_many_times(tmp_path: Path, times: int) -> None:
    # In MPEG-TS, so that MP4 unwraps each packet of the sound and WebM encodes it anew.
    original = make_clip(tmp_path / "in.ts", frames=8, audio="aac", rate=25, colour=(9, 16, 9, 1))
    items, info = all_of(original)
    before = [facts(item) for item in items]
    shown = [item.pts * item.time_base for item in items if isinstance(item, Frame)]
    samples = [facts(item)[3] for item in items if isinstance(item, Frame)]

    for _ in range(times):
        # One as it is, one converted: conversions change tags on what they are given.
        in_threads(
            lambda: write(tmp_path / "one.mp4", info, items, crf=0, preset="ultrafast"),
            lambda: write(tmp_path / "two.mkv", info, items, codec="mjpeg"),
        )
        one, two = media.decode(tmp_path / "one.mp4"), media.decode(tmp_path / "two.mkv")
        assert one.pts == shown
        assert all(map(media.same_picture, one.pictures, samples))
        assert len(two.pts) == len(shown)
        assert all(abs(a - b) <= two.tick for a, b in zip(two.pts, shown, strict=True))
        for path in (tmp_path / "one.mp4", tmp_path / "two.mkv"):
            assert len(media.packets(path, "audio")) == sum(
                len(item.packets) for item in items if isinstance(item, Passthrough)
            )
    for item, was in zip(items, before, strict=True):
        assert same(facts(item), was)


def test_two_sinks_get_the_same_frames_at_once(tmp_path):
    two_sinks_many_times(tmp_path, 40)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_two_sinks_get_the_same_frames_at_once_a_thousand_times(tmp_path):
    two_sinks_many_times(tmp_path, 1000)


def test_two_sinks_that_encode_the_same_sound_do_not_share_its_decoder(tmp_path):
    original = make_clip(tmp_path / "in.mp4", frames=50, audio="aac")
    items, info = all_of(original)
    write(tmp_path / "alone.webm", info, items, preset="8")
    in_threads(
        lambda: write(tmp_path / "one.webm", info, items, preset="8"),
        lambda: write(tmp_path / "two.webm", info, items, preset="8"),
    )
    alone = media.packets(tmp_path / "alone.webm", "audio")
    assert len(alone) > 90
    assert media.packets(tmp_path / "one.webm", "audio") == alone
    assert media.packets(tmp_path / "two.webm", "audio") == alone


def test_a_picture_file_leaves_the_frame_as_it_was(tmp_path):
    picture = media.make_picture(0, 64, 48, "yuv420p")
    picture.colorspace, picture.color_primaries, picture.color_trc = 9, 9, 16
    frame = Frame(picture, 0, 0, Fraction(1))
    before = facts(frame)
    with ImageSink(tmp_path / "out") as sink:
        sink.write(frame)
    assert same(facts(frame), before)
    with av.open(str(tmp_path / "out" / "000000.png")) as container:
        assert next(container.decode(video=0)).width == 64


def test_an_input_that_is_closed_already_is_refused(tmp_path):
    original = make_clip(tmp_path / "in.mp4", audio="aac")
    with FileSource(original) as source:
        pass
    with pytest.raises(SinkError, match="the input is closed already"):
        VideoSink(tmp_path / "out.mp4", source.info)
    assert not (tmp_path / "out.mp4").exists()
