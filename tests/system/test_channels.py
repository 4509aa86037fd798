"""Sound whose channels have an order of their own, which FFmpeg has no name for."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from stream.frame import Passthrough
from stream.sinks._decoding import own_decoder
from stream.sources._arrivals import is_known
from stream.sources._opened import Templates
from stream.sources.file import FileSource
from stream.system.channels import order_of, ordered
from tests.sinks.running import fastest, run

_RATE = 48_000
_NAMES = ("FL", "FR", "FC", "LFE", "SL", "SR", "BL", "BR")


@pytest.fixture(scope="module")
def surrounded(tmp_path_factory) -> Path:
    """A MOV of eight channels, of which the n-th holds the value 1,000 * (n + 1)."""
    path = tmp_path_factory.mktemp("sound") / "in.mov"
    with av.open(str(path), "w") as made:
        video = made.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = made.add_stream("pcm_s16le", rate=_RATE, layout="7.1")
        for index in range(10):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts = index
            made.mux(video.encode(picture))
        made.mux(video.encode(None))
        samples = np.tile(np.arange(1, 9, dtype=np.int16) * 1000, _RATE * 10 // 25)[None]
        piece = av.AudioFrame.from_ndarray(samples, "s16", "7.1")
        piece.sample_rate, piece.pts = _RATE, 0
        made.mux(sound.encode(piece))
    # Apple's kAudioChannelLayoutTag_MPEG_7_1_C, as other programs write.
    data = bytearray(path.read_bytes())
    at = data.index(b"chan") + 8
    data[at : at + 8] = (128 << 16 | 8).to_bytes(4, "big") + bytes(4)
    path.write_bytes(data)
    return path


def test_such_a_film_is_read(surrounded):
    """PyAV frees what it tells of them, and so does FFmpeg: the process was ended."""
    for _ in range(3):
        with FileSource(surrounded) as source:
            (sound,) = source.info.copied
            assert order_of(sound) == order_of(sound) == _NAMES
            assert sum(1 for _ in source) > 10


def test_such_sound_of_a_live_source_is_known(surrounded):
    with av.open(str(surrounded)) as given:
        (sound,) = given.streams.audio
        assert is_known(sound) and is_known(sound)
        assert Templates([sound]).kinds == (("pcm_s16le", _RATE, 8),)


def test_each_channel_is_heard_where_it_was(surrounded, tmp_path):
    told = "re-encoded with flac, every sample kept: matroska has its channels in another order"
    for ending, remarks in ((".mov", []), (".mkv", [f"stream 1, sound (pcm_s16le), is {told}"])):
        path = tmp_path / f"out{ending}"
        assert run(surrounded, path, preset=fastest(ending)).remarks == remarks
        with FileSource(path) as source:
            (sound,) = source.info.copied
            assert isinstance(sound, AudioStream)
            names = order_of(sound) or [one.name for one in sound.codec_context.layout.channels]
            decoder, heard = own_decoder(sound), {}
            for item in source:
                for packet in item.packets if isinstance(item, Passthrough) else ():
                    for piece in decoder.decode(packet):
                        values = piece.to_ndarray().reshape(-1, 8)[0]
                        heard = dict(zip(names, map(int, values), strict=True))
        assert heard == {one: 1000 * (at + 1) for at, one in enumerate(_NAMES)}, ending


def test_the_usual_order_is_found_where_there_is_one():
    assert ordered(_NAMES) == ("7.1", (0, 1, 2, 3, 6, 7, 4, 5))
    for none in ((), ("FL", "FR"), ("FL", "FL"), ("FR", "FL", "X"), ("TFL", "FL", "FR")):
        assert ordered(none) is None, none
