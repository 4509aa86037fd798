"""Pictures whose samples use all values, as webcams and phones give, keep their contrast."""

from __future__ import annotations

import av
import numpy as np
import pytest

from stream.frame import Frame
from stream.pictures.siting import Siting, named
from stream.sources.file import FileSource
from tests.media import make_clip
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


@pytest.mark.parametrize(
    ("ending", "codec"),
    [*OUTPUTS, (".mkv", None), (".webm", "libsvtav1")],
)
def test_colour_tags_are_kept_or_named(tmp_path, ending, codec):
    for tags in ((9, 16, 9, 1), (1, 1, 1, 1), (2, 2, 2, 1)):
        film = make_clip(tmp_path / "in.mp4", frames=3, colour=tags)
        path = tmp_path / f"out{ending}"
        done = run(film, path, codec=codec, overwrite=True)
        said = [one for one in done.remarks if "colour tags" in one]
        with FileSource(path) as source:
            found = source.info.colour
        lost = [
            name
            for name, tag in zip(("primaries", "transfer", "matrix"), tags, strict=False)
            if tag != 2 and getattr(found, name) != tag
        ]
        assert bool(said) == bool(lost), (tags, lost, said)
        assert all(name in said[0] for name in lost)


@pytest.mark.parametrize(
    ("ending", "codec"),
    [(".mp4", None), (".mov", "libx265"), (".mkv", "ffv1"), (".webm", None), (".avi", None)],
)
def test_where_chroma_lies_is_kept_or_named(tmp_path, ending, codec):
    for siting in ("topleft", "center"):
        options = {"preset": "ultrafast", "chroma_sample_location": siting}
        film = make_clip(tmp_path / "in.mp4", frames=3, options=options)
        path = tmp_path / f"out{ending}"
        said = " ".join(run(film, path, codec=codec, overwrite=True).remarks)
        with av.open(str(path)) as written:
            found = named(Siting()(next(written.decode(video=0))))
        assert (found == siting) != ("chroma location" in said), (siting, found, said)


def test_where_chroma_lies_turns_with_the_pictures(tmp_path):
    """Half-way between two samples it stays there; beside them it comes to lie above or below."""
    for rotation, mirrored, stored, wanted in (
        (0, False, "left", "left"),
        (-90, False, "left", "top"),
        (90, False, "left", "bottom"),
        (90, False, "topleft", "bottomleft"),
        (180, False, "center", "center"),
        (180, True, "bottomleft", "topleft"),
        (180, True, "left", "left"),
        (180, False, "left", ""),
    ):
        options = {"preset": "ultrafast", "chroma_sample_location": stored}
        film = make_clip(
            tmp_path / "in.mp4", frames=1, rotation=rotation, mirrored=mirrored, options=options
        )
        with FileSource(film) as source:
            assert source.info.siting == wanted, (rotation, mirrored, stored)
    quiet = make_clip(tmp_path / "in.mkv", frames=1, codec="ffv1", options={})
    with FileSource(quiet) as source:
        assert source.info.siting == ""
