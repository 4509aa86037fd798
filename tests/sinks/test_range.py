"""Pictures whose samples use all values, as webcams and phones give, keep their contrast."""

from __future__ import annotations

import av
import numpy as np
import pytest

from stream.frame import Frame
from stream.sources.file import FileSource
from tests.sinks.running import run

OUTPUTS = [
    (".mp4", None),
    (".mp4", "mpeg4"),
    (".mov", "prores_ks"),
    (".mov", "mjpeg"),
    (".mkv", "ffv1"),
    (".mkv", "mpeg4"),
    (".webm", None),
    (".webm", "libvpx"),
    (".avi", None),
    (".avi", "ffv1"),
    (".avi", "mjpeg"),
    (".ts", None),
]


@pytest.fixture(scope="module", params=["yuvj422p"])
def full(request, tmp_path_factory):
    """A film of all values, as a camera's JPEG pictures have them."""
    path = tmp_path_factory.mktemp("full") / "in.avi"
    ramp = np.linspace(0, 255, 128).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25, width=128, height=96)
        stream.pix_fmt = request.param
        for index in range(12):
            grey = np.repeat(np.roll(ramp, index)[None, :, None], 96, axis=0).repeat(3, axis=2)
            picture = av.VideoFrame.from_ndarray(grey, format="rgb24")
            container.mux(stream.encode(picture.reformat(format=request.param, dst_color_range=2)))
        container.mux(stream.encode(None))
    return path


def shown(path):
    with FileSource(path) as source:
        return [item.rgb().astype(int) for item in source if isinstance(item, Frame)]


@pytest.mark.parametrize(("ending", "codec"), OUTPUTS)
def test_they_look_the_same_in_every_file(tmp_path, full, ending, codec):
    done = run(full, tmp_path / f"out{ending}", codec=codec)
    before, after = shown(full), shown(tmp_path / f"out{ending}")
    assert len(before) == len(after) == 12
    assert np.abs(before[6] - after[6]).mean() < 3.5
    said = [one for one in done.remarks if "these are narrowed" in one]
    assert len(said) == (
        (ending, codec)
        in {
            (".mp4", "mpeg4"),
            (".mov", "prores_ks"),
            (".webm", "libvpx"),
            (".avi", None),
            (".avi", "ffv1"),
        }
    )
