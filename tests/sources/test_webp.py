"""Animations are footage: WebP is put together here, the others by FFmpeg."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from stream.errors import SourceError, UsageError
from stream.frame import Frame
from stream.photo_files.webp import Canvas, animation_of
from stream.pictures.pixels import rgb_from_picture
from stream.settings.options import CutOptions, InputOptions
from stream.sources import kind_of
from stream.sources import open as open_source
from stream.sources.file import FileSource
from stream.sources.images import ImagesSource
from stream.sources.webp import WebpSource

LENGTHS = (100, 40, 250, 40, 1000)
"""Milliseconds of each picture."""
TIMES = (0, 100, 140, 390, 430)


def drawn(mode: str = "RGBA") -> list[Image.Image]:
    """Pictures in which something moves, half transparent at its edge where there is opacity."""
    made = []
    for place in range(len(LENGTHS)):
        values = np.zeros((48, 64, 4), np.uint8)
        values[..., 3] = 0 if mode == "RGBA" else 255
        values[9:33, 5 + 8 * place : 25 + 8 * place] = (250, 90, 10 * place, 255)
        values[9:33, 3 + 8 * place : 5 + 8 * place] = (0, 255, 0, 130)
        made.append(Image.fromarray(values, "RGBA").convert(mode))
    return made


def saved(path: Path, mode: str = "RGBA", **options: object) -> Path:
    first, *rest = drawn(mode)
    first.save(path, save_all=True, append_images=rest, duration=list(LENGTHS), **options)
    return path


def frames_of(path: Path, cut: CutOptions | None = None) -> list[Frame]:
    with open_source(str(path), InputOptions(cut=cut or CutOptions())) as source:
        return [item for item in source if isinstance(item, Frame)]


@pytest.mark.parametrize("kind", [".webp", ".png", ".apng", ".gif", ".avif"])
def test_an_animation_is_footage_with_its_own_times(tmp_path, kind):
    path = saved(tmp_path / f"in{kind}", "RGB", **({"format": "PNG"} if kind == ".apng" else {}))
    frames = frames_of(path)
    assert [round(frame.pts * frame.time_base * 1000) for frame in frames] == list(TIMES)
    assert [round((frame.duration or 0) * frame.time_base * 1000) for frame in frames] == list(
        LENGTHS
    )
    for frame, wanted in zip(frames, drawn("RGB"), strict=True):
        inner = (slice(12, 30), slice(8 + 8 * frame.index, 22 + 8 * frame.index))
        off = rgb_from_picture(frame.image)[inner].astype(int) - np.asarray(wanted)[inner]
        assert np.abs(off).max() < 24


@pytest.mark.parametrize("kind", [".webp", ".png", ".avif"])
def test_a_still_and_animations_among_photos_stay_photos(tmp_path, kind):
    still = tmp_path / f"still{kind}"
    drawn("RGB")[0].save(still)
    moving = saved(tmp_path / f"moving{kind}", "RGB")
    assert kind_of(str(still)) is ImagesSource
    assert kind_of([str(moving)]) is ImagesSource and kind_of(str(tmp_path)) is ImagesSource
    with ImagesSource([moving, still]) as source:
        assert len(list(source)) == 2
        (said,) = source.remarks
    assert said.startswith(f"{moving.name}: it has several pictures") and "`stream file`" in said


@pytest.mark.parametrize(
    "options",
    [
        {"lossless": True},
        {"lossless": True, "minimize_size": True},
        {"quality": 80, "allow_mixed": True, "minimize_size": True},
        {"lossless": True, "kmin": 0, "kmax": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_parts_are_laid_upon_each_other_as_the_format_says(tmp_path, mode, options):
    path = saved(tmp_path / "in.webp", mode, **options)
    animation = animation_of(path.read_bytes())
    assert animation is not None and animation.whole and animation.alpha == (mode == "RGBA")
    canvas = Canvas(animation)
    with Image.open(path) as whole:
        wanted = [np.asarray(one.convert("RGBA")) for one in ImageSequence.Iterator(whole)]
    assert len(wanted) == len(animation.parts)
    for part, right in zip(animation.parts, wanted, strict=True):
        seen = canvas.lay(part)[..., [2, 1, 0, 3]].astype(int)
        assert np.abs(seen[..., 3] - right[..., 3]).max() <= 1
        shown = right[..., 3] > 0
        assert np.abs(seen - right)[shown].max() <= 1


def test_opacity_goes_with_the_pictures(tmp_path):
    frames = frames_of(saved(tmp_path / "in.webp", lossless=True))
    for frame, wanted in zip(frames, drawn(), strict=True):
        assert frame.alpha is not None
        assert np.abs(frame.alpha.astype(int) - np.asarray(wanted)[..., 3]).max() <= 1


def test_a_part_is_taken_as_of_any_film(tmp_path):
    path = saved(tmp_path / "in.webp", "RGB", lossless=True)
    frames = frames_of(path, CutOptions(start=0.12, end=0.43))
    assert [frame.pts * frame.time_base for frame in frames] == [
        Fraction(20, 1000),
        Fraction(270, 1000),
    ]
    assert [len(frames_of(path, CutOptions(limit=count))) for count in (1, 3, 9)] == [1, 3, 5]
    with pytest.raises(UsageError, match="ends before the start"):
        frames_of(path, CutOptions(start=2))
    with pytest.raises(UsageError, match="no picture of"):
        frames_of(path, CutOptions(start=0.101, end=0.11))


def test_what_is_damaged_is_counted_and_the_rest_is_taken(tmp_path):
    path = saved(tmp_path / "in.webp", "RGB", lossless=True)
    data = bytearray(path.read_bytes())
    animation = animation_of(bytes(data))
    assert animation is not None
    second = data.find(bytes(animation.parts[1].data))
    data[second + 8 : second + 24] = bytes(16)
    path.write_bytes(data)
    with WebpSource(path) as source:
        times = [frame.pts for frame in source if isinstance(frame, Frame)]
    assert source.corrupt == 1 and times == [0, 140, 390, 430]

    last = bytes(data).rfind(b"ANMF")
    path.write_bytes(data[: last + 40])
    with WebpSource(path) as source:
        assert len(list(source)) == 3
    assert source.remarks[0] == "in.webp is cut short: it ends within picture 5"

    path.write_bytes(data[: data.find(b"ANMF")])
    with pytest.raises(SourceError, match="no animated WebP"):
        WebpSource(path)
    with pytest.raises(SourceError, match="does not exist"):
        WebpSource(tmp_path / "nowhere.webp")


def test_transparency_in_a_track_of_its_own_is_no_film_and_stays_with_its_pictures(tmp_path):
    path = saved(tmp_path / "in.avif", quality=100)
    for start, first in ((None, 0), (0.14, 2)):
        with FileSource(path, start=start) as source:
            frames = [item for item in source if isinstance(item, Frame)]
            said = source.remarks
        assert len(frames) == len(LENGTHS) - first
        assert source.info.copied == () and source.info.alpha
        assert not [one for one in said if "transparency" in one]
        for frame, wanted in zip(frames, drawn()[first:], strict=True):
            assert frame.alpha is not None
            assert np.abs(frame.alpha.astype(int) - np.asarray(wanted)[..., 3]).max() <= 2


def test_a_photo_in_avif_keeps_its_transparency(tmp_path):
    path = tmp_path / "in.avif"
    drawn()[0].save(path, quality=100)
    with ImagesSource(path) as source:
        (frame,) = source
    assert isinstance(frame, Frame) and frame.alpha is not None
    assert np.abs(frame.alpha.astype(int) - np.asarray(drawn()[0])[..., 3]).max() <= 2


def turned(path: Path) -> None:
    """Has the tracks of a file say that their pictures are to be turned a quarter to the right."""
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    aside = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    head, *tracks = path.read_bytes().split(b"tkhd")
    tracks = [one.replace(upright, aside, 1) for one in tracks]
    path.write_bytes(b"tkhd".join([head, *tracks]))


def test_transparency_in_a_track_of_its_own_is_turned_with_its_pictures(tmp_path):
    path = saved(tmp_path / "in.avif", quality=100)
    turned(path)
    with FileSource(path) as source:
        frames = [item for item in source if isinstance(item, Frame)]
    assert source.info.alpha and source.info.rotation == 90 and len(frames) == len(LENGTHS)
    for frame, wanted in zip(frames, drawn(), strict=True):
        assert (frame.image.width, frame.image.height) == (48, 64) and frame.alpha is not None
        clear = np.rot90(np.asarray(wanted)[..., 3], -1)
        assert np.abs(frame.alpha.astype(int) - clear).max() <= 2


@pytest.mark.parametrize("depth", ["", "10le", "12le"])
def test_transparency_in_a_track_of_its_own_stays_with_pictures_of_any_depth(tmp_path, depth):
    path = tmp_path / "in.heics"
    how = {"x265-params": "log-level=none", "crf": "1"}
    with av.open(str(path), "w", format="mp4") as container:
        tracks = [
            container.add_stream(
                "libx265", rate=25, width=64, height=64, pix_fmt=f"{form}{depth}", options=how
            )
            for form in ("yuv420p", "gray")
        ]
        for place in range(4):
            clear = np.full((64, 64), 255, np.uint8)
            clear[8:40, 8 + 4 * place : 30 + 4 * place] = 0
            for track in tracks:
                picture = av.VideoFrame.from_ndarray(clear, format="gray")
                container.mux(track.encode(picture.reformat(format=track.pix_fmt)))
        for track in tracks:
            container.mux(track.encode(None))
    data = path.read_bytes()
    path.write_bytes(data[:8] + b"msf1" + data[12:])
    with FileSource(path) as source:
        frames = [item for item in source if isinstance(item, Frame)]
    assert source.info.alpha and source.info.pixel_format == f"yuv420p{depth}"
    assert len(frames) == 4 and not [one for one in source.remarks if "transparency" in one]
    for place, frame in enumerate(frames):
        assert frame.alpha is not None
        assert frame.alpha[10:38, 12 + 4 * place : 26 + 4 * place].max() < 60
        assert frame.alpha[:, 44 + 4 * place :].min() > 200
