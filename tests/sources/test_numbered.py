"""Numbered pictures are one film: each at its number's time, with what its file holds."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from stream.errors import SourceError, UsageError
from stream.frame import Frame
from stream.pictures.pixels import bgr_from_picture
from stream.settings.options import CameraOptions, CutOptions, InputOptions
from stream.sources import kind_of
from stream.sources import open as open_source
from stream.sources.images import ImagesSource
from stream.sources.numbered import NumberedSource
from tests.media import planes


def pixels(number: int, shape: tuple[int, int] = (24, 40)) -> np.ndarray:
    """Colours that no two numbers share, blue, green, red."""
    ramp = np.arange(shape[0] * shape[1] * 3).reshape(*shape, 3)
    return ((ramp + 7 * number) % 256).astype(np.uint8)


def film(folder: Path, numbers, name: str = "{:05d}.png") -> Path:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        cv2.imwrite(str(folder / name.format(number)), pixels(number))
    return folder / re.sub(r"\{:(\d*)d\}", r"%\1d", name)


def taken(
    pattern: Path | str, fps: float | None = 25, cut: CutOptions | None = None
) -> tuple[list[Frame], NumberedSource]:
    options = InputOptions(cut=cut or CutOptions(), camera=CameraOptions(fps=fps))
    with open_source(str(pattern), options) as source:
        assert isinstance(source, NumberedSource)
        return [item for item in source if isinstance(item, Frame)], source


def test_every_picture_has_its_numbers_time_and_its_colours(tmp_path):
    frames, source = taken(film(tmp_path / "a", range(17, 23)))
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(n, 25) for n in range(6)]
    assert {frame.duration for frame in frames} == {1}
    assert (source.info.frames, source.info.duration, source.info.rate) == (6, Fraction(6, 25), 25)
    assert source.numbers == [*range(17, 23)] and not source.remarks
    for number, frame in zip(source.numbers, frames, strict=True):
        assert np.array_equal(bgr_from_picture(frame.image), pixels(number))


def test_a_number_that_is_missing_lets_the_one_before_stand(tmp_path):
    frames, source = taken(film(tmp_path / "a", (3, 4, 7, 8, 10)))
    assert [frame.pts for frame in frames] == [0, 1, 4, 5, 7]
    assert [frame.duration for frame in frames] == [1, 3, 1, 2, 1]
    assert source.info.duration == Fraction(8, 25)
    (said,) = source.remarks
    assert said.startswith("3 numbers are missing (5 to 6 and 9)")


def test_numbers_that_go_by_a_step_are_pictures_one_after_another(tmp_path):
    frames, source = taken(film(tmp_path / "a", (0, 10, 20, 40), "shot.{:04d}.png"))
    assert [frame.pts for frame in frames] == [0, 1, 2, 4]
    assert source.remarks[0].startswith("the numbers go by 10 (0, 10, …)")
    assert source.remarks[1].startswith("1 number is missing (30)")


def test_a_picture_that_cannot_be_read_leaves_its_time(tmp_path):
    pattern = film(tmp_path / "a", range(4))
    (tmp_path / "a" / "00001.png").write_bytes(b"no picture")
    frames, source = taken(pattern)
    assert [(frame.index, frame.pts, frame.duration) for frame in frames] == [
        (0, 0, 2),
        (1, 2, 1),
        (2, 3, 1),
    ]
    assert source.corrupt == 1 and source.numbers == [0, 2, 3]
    assert any("00001.png is not a picture" in said for said in source.remarks)
    for path in (tmp_path / "a").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"none of the 4 pictures .* can be read"):
        taken(pattern)


def test_a_part_is_taken_by_time_and_begins_at_0(tmp_path):
    pattern = film(tmp_path / "a", range(100, 120))
    frames, source = taken(pattern, 10, CutOptions(start=0.5, end=1.0))
    assert source.numbers == [*range(105, 110)] and source.info.duration == Fraction(1, 2)
    assert [frame.pts for frame in frames] == [*range(5)]
    assert len(taken(pattern, 10, CutOptions(limit=3))[0]) == 3
    with pytest.raises(UsageError, match="ends before the start"):
        taken(pattern, 10, CutOptions(start=2))


def test_of_another_size_it_is_fitted_and_said(tmp_path):
    pattern = film(tmp_path / "a", range(3))
    cv2.imwrite(str(tmp_path / "a" / "00001.png"), pixels(1, (40, 40)))
    frames, source = taken(pattern)
    assert {(frame.image.width, frame.image.height) for frame in frames} == {(40, 24)}
    assert any("another size or shape" in said for said in source.remarks)


def test_a_jpeg_keeps_its_own_samples(tmp_path):
    pattern = film(tmp_path / "a", range(3), "{:d}.jpg")
    frames, source = taken(pattern)
    with av.open(str(tmp_path / "a" / "1.jpg")) as container:
        stored = next(container.decode(video=0))
    assert frames[1].image.format.name == stored.format.name == "yuvj420p"
    for one, other in zip(planes(frames[1].image), planes(stored), strict=True):
        assert np.array_equal(one, other)
    assert source.info.colour.full_range and source.info.colour.matrix == 5


@pytest.mark.parametrize("orientation", [1, 2, 3, 5, 6, 8])
def test_what_a_camera_noted_of_how_it_lies_is_carried_out(tmp_path, orientation):
    image = Image.new("RGB", (48, 32), (0, 0, 0))
    image.paste((250, 20, 20), (0, 0, 16, 16))
    notes = Image.Exif()
    notes[274] = orientation
    image.save(tmp_path / "0001.jpg", exif=notes, quality=95)
    (frame,), _ = taken(tmp_path / "%04d.jpg")
    (photo,) = ImagesSource(str(tmp_path / "0001.jpg"))
    seen, wanted = bgr_from_picture(frame.image), bgr_from_picture(photo.image)
    assert seen.shape == wanted.shape
    assert np.abs(seen.astype(int) - wanted).mean() < 2


def test_16_bits_and_opacity_stay(tmp_path):
    deep = np.arange(24 * 40 * 3, dtype=np.uint16).reshape(24, 40, 3) * 20
    clear = np.dstack([pixels(0), np.full((24, 40), 255, np.uint8)])
    clear[:10, :, 3], clear[10:14, :, 3] = 0, 128
    for folder, picture in (("deep", deep), ("clear", clear), ("low", deep >> 4)):
        (tmp_path / folder).mkdir()
        for number in range(2):
            cv2.imwrite(str(tmp_path / folder / f"{number:010d}.png"), picture)
    frames, source = taken(tmp_path / "deep" / "%010d.png")
    assert source.info.pixel_format == frames[1].image.format.name == "yuv444p16le"
    one, other = (frame.image.to_ndarray() for frame in frames)
    assert one.dtype == np.uint16 and len(np.unique(one[..., 0])) > 256
    assert np.array_equal(one, other), "each by itself, and not what changed since the one before"
    assert not any("all but black" in one for one in source.remarks)
    _, source = taken(tmp_path / "low" / "%010d.png")
    assert "0000000000.png and 1 more: it has 16 bits a colour whose upper" in source.remarks[-1]
    frames, source = taken(tmp_path / "clear" / "%010d.png")
    assert source.info.alpha
    for frame in frames:
        assert frame.alpha is not None and np.array_equal(frame.alpha, clear[..., 3])


def test_opaque_pictures_with_a_place_for_opacity_are_no_clear_film(tmp_path):
    for number in range(2):
        opaque = np.dstack([pixels(0), np.full((24, 40), 255, np.uint8)])
        cv2.imwrite(str(tmp_path / f"{number}.png"), opaque)
    frames, source = taken(tmp_path / "%d.png")
    assert not source.info.alpha and frames[0].alpha is None and not source.remarks


def test_nobody_knows_the_rate_but_who_says_it(tmp_path):
    _, source = taken(film(tmp_path / "a", range(2)), None)
    assert source.info.rate == 25 and "--fps" in source.remarks[0]


def test_a_name_says_which_numbers_are_meant(tmp_path):
    film(tmp_path / "a", (1, 22), "x{:03d}.png")
    with pytest.raises(SourceError, match=r"there are such as x001\.png: x%03d\.png"):
        taken(tmp_path / "a" / "x%05d.png")
    with pytest.raises(SourceError, match="check the name"):
        taken(tmp_path / "a" / "y%05d.png")
    assert kind_of(str(tmp_path / "a" / "x%03d.png")) is NumberedSource
    (tmp_path / "a" / "x%03d.png").write_bytes((tmp_path / "a" / "x001.png").read_bytes())
    assert kind_of(str(tmp_path / "a" / "x%03d.png")) is ImagesSource
