"""Which planar format stands for which, over every format that FFmpeg has."""

from __future__ import annotations

import av
import pytest
from av.video.format import VideoFormat

from stream.pictures.pixels import paintable
from stream.sources._pixels import nearest_native


def every_format() -> list[str]:
    names = set()
    for codec in sorted(av.codecs_available):
        for mode in "rw":
            try:
                names |= {f.name for f in av.codec.Codec(codec, mode).video_formats or ()}
            except ValueError:
                continue
    return sorted(
        n for n in names if n not in {"cuda", "vaapi", "videotoolbox_vld", "qsv", "vulkan"}
    )


def test_every_format_has_a_native_neighbour_that_exists():
    assert len(every_format()) > 50
    for name in every_format():
        try:
            known = VideoFormat(name, 16, 16).components
        except ValueError:
            continue
        if not known:
            continue
        nearest = nearest_native(name)
        assert paintable(nearest), name
        VideoFormat(nearest)


@pytest.mark.parametrize("name", ["yuv420p", "yuvj422p", "yuv444p16le", "gray", "gray12le"])
def test_what_paintable_stays(name):
    assert nearest_native(name) == name


@pytest.mark.parametrize("name", ["yuva420p", "nv12", "yuv420p10be", "rgb24", "yuyv422", "ya8"])
def test_what_is_not_native_is_converted(name):
    assert not paintable(name)
