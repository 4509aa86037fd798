"""Further tracks, and what tracks say of themselves, come along or are named."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests import media
from tests.conftest import SHARED
from tests.media import make_clip
from tests.sinks.running import run


def doubled(path: Path) -> Path:
    """Two films in one file, each with a language and a title."""
    with av.open(str(path), "w") as container:
        streams = []
        for number, (width, language) in enumerate([(128, "eng"), (64, "fra")]):
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height = width, 48
            stream.metadata.update(language=language, title=f"camera {number}")
            streams.append((stream, width))
        for index in range(50):
            for stream, width in streams:
                picture = media.make_picture(index, width, 48, "yuv420p")
                picture.pts, picture.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(picture))
        for stream, _ in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".ts"])
def test_a_second_film_is_copied(tmp_path, ending):
    original = doubled(tmp_path / "in.mkv")
    run(original, tmp_path / f"out{ending}")
    with av.open(str(tmp_path / f"out{ending}")) as container:
        films = container.streams.video
        assert [(one.width, one.height) for one in films] == [(128, 48), (64, 48)]
        counts = [0, 0]
        for packet in container.demux(films):
            counts[packet.stream.index] += len(packet.decode())
        assert counts == [50, 50]
        if ending != ".ts":  # which says it of sound only
            assert [one.metadata.get("language") for one in films] == ["eng", "fra"]


@pytest.mark.parametrize("ending", [".avi", ".webm"])
def test_a_second_film_that_is_not_held_is_named(tmp_path, ending):
    done = run(doubled(tmp_path / "in.mkv"), tmp_path / f"out{ending}")
    assert [remark for remark in done.remarks if "stream 1, video (h264), is left out" in remark]
    assert media.stream_types(tmp_path / f"out{ending}") == ["video"]


def test_the_films_own_title_and_language_are_kept(tmp_path):
    original = doubled(tmp_path / "in.mkv")
    run(original, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        tags = {k.lower(): v for k, v in container.streams.video[0].metadata.items()}
    assert (tags["language"], tags["title"]) == ("eng", "camera 0")


@pytest.mark.parametrize("ending", [".mp4", ".mov"])
def test_hevc_has_the_name_that_apple_knows(tmp_path, ending):
    original = make_clip(tmp_path / "in.mp4", frames=5)
    run(original, tmp_path / f"out{ending}", codec="libx265")
    with av.open(str(tmp_path / f"out{ending}")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"
    assert len(media.decode(tmp_path / f"out{ending}").pts) == 5


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="shared/cases is not here")
@pytest.mark.parametrize("ending", [".mov", ".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("name", "word"),
    [("14_cover_picture.mp4", "cover picture"), ("14_360_degrees.mp4", "360-degree"),
     ("04_timecode.mov", "data")],
)  # fmt: skip
def test_what_is_not_kept_is_named(tmp_path, name, word, ending):
    original = SHARED / "cases" / "files" / name
    done = run(original, tmp_path / f"out{ending}")
    assert [remark for remark in done.remarks if word in remark and "\n" not in remark]
    assert len(media.decode(tmp_path / f"out{ending}").pts) == 50


@pytest.mark.parametrize(
    ("ending", "codec", "kept"),
    [
        (".mp4", None, True),
        (".mp4", "libvpx-vp9", True),
        (".mkv", None, True),
        (".avi", None, True),
        (".ts", None, True),
        (".mkv", "mjpeg", True),
        (".mkv", "libx265", True),
        (".webm", None, False),
        (".mkv", "ffv1", False),
        (".avi", "ffv1", False),
    ],
)
def test_the_shape_of_samples_is_kept_or_named(tmp_path, ending, codec, kept):
    original = make_clip(tmp_path / "in.mp4", aspect=Fraction(16, 11), frames=3)
    done = run(original, tmp_path / f"out{ending}", codec=codec)
    with av.open(str(tmp_path / f"out{ending}")) as container:
        stream = container.streams.video[0]
        next(container.decode(stream))
        assert (stream.sample_aspect_ratio == Fraction(16, 11)) == kept
    assert any("samples of 16:11" in remark for remark in done.remarks) != kept
