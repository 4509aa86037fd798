"""Every real clip beside the checkout comes out right or is refused in one sentence."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import av
import pytest

from stream.errors import StreamError
from stream.sources.file import FileSource
from tests import media
from tests.conftest import SHARED
from tests.sinks.running import fastest, run

FRAMES = 8
REFUSED = {
    "androidx_sample_audio_only.mp4": "has sound but no video stream",
    "androidx_invalid-bitstream.webm": "holds no picture that can be decoded",
}
CLIPS = sorted(path.name for path in (SHARED / "media").glob("*") if path.suffix not in {".md", ""})


@pytest.mark.skipif(not CLIPS, reason="the folder shared/media is not beside this checkout")
@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=[pytest.mark.slow] * ("4k" in one)) for one in CLIPS or ["none"]],
)
def test_a_real_clip_comes_out_right_or_is_refused(tmp_path, name):
    path = SHARED / "media" / name
    if name in REFUSED:
        with pytest.raises(StreamError, match=REFUSED[name]) as told:
            FileSource(path)
        assert "\n" not in str(told.value)
        return
    suffix = path.suffix.lower() if path.suffix.lower() != ".3gp" else ".mp4"
    output = tmp_path / f"out{suffix}"
    done = run(path, output, cut={"limit": FRAMES}, preset=fastest(suffix))

    after = media.decode(output)
    count, shape = frames_and_shape(path)
    assert len(after.pts) == len(done.times) == min(FRAMES, count)
    tick = after.tick
    assert all(abs(a - b) <= tick for a, b in zip(done.times, after.pts, strict=True))
    if after.duration is not None:
        assert abs(after.start + after.duration - done.end) <= 2 * tick
    # One sentence each, in the words of people.
    assert all("\n" not in remark for remark in done.remarks)
    assert shape == after.pictures[0][0].shape
    sounds_are_copied(path, output, done.end, done.remarks)


def frames_and_shape(path) -> tuple[int, tuple[int, int]]:
    """How many pictures FFmpeg finds, up to as many as are wanted, and the upright shape of one."""
    with av.open(str(path)) as container:
        stream = max(
            container.streams.video,
            key=lambda s: (bool(s.frames or s.average_rate), s.width * s.height),
        )
        pictures: list[av.VideoFrame] = []
        for packet in container.demux(stream):
            with suppress(av.FFmpegError):
                pictures += packet.decode()
            if len(pictures) >= FRAMES:
                break
    first = pictures[0]
    size = (first.height, first.width)
    return len(pictures), size[::-1] if first.rotation % 180 else size


def sounds_are_copied(path, output, end: Fraction, remarks: list[str]) -> None:
    if any("re-encoded" in remark for remark in remarks):
        return
    if "audio" not in media.stream_types(path):
        return
    after = media.packets(output, "audio")
    assert after and after[-1][0] <= end + 1
    if path.suffix == ".mov" and b"sowt" in path.read_bytes()[-200_000:]:
        return  # samples of PCM have no packets of their own
    with av.open(str(path)) as container:
        before = {bytes(packet) for packet in container.demux(audio=0)}
    assert [data for _, data in after if data not in before] == []
