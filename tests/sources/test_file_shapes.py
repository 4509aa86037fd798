"""Circles stay circles: crops, pictures that change their shape, and which track is the film."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from stream.errors import SourceError
from stream.frame import Frame
from stream.sources._cropping import Crop, crop_of
from stream.sources._pixels import Upright, within_depth
from stream.sources.file import FileSource
from tests.media import copied_planes, make_clip
from tests.sources.reading import frames_of


def film(
    path: Path, width: int, height: int, *, sample: Fraction = Fraction(1), start: int = 0,
    frames: int = 20, pixel_format: str = "yuv420p", codec: str = "libx264",
) -> Path:  # fmt: skip
    """A white circle on grey, round where samples of that shape are shown."""
    with av.open(str(path), "w") as container:
        options = {"g": "10", "bf": "0", "crf": "5"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.sample_aspect_ratio = sample
        stream.codec_context.time_base = Fraction(1, 25)
        luma = np.full((height, width), 90, np.uint8)
        radius = min(height, int(width * sample)) // 3
        axes = (int(radius / sample), radius)
        cv2.ellipse(luma, (width // 2, height // 2), axes, 0, 0, 360, 235, -1)
        for number in range(frames):
            grey = av.VideoFrame.from_ndarray(luma, format="gray")
            grey.color_range = 1
            picture = grey.reformat(format=pixel_format)
            picture.pts, picture.time_base = start + number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def bright(frame: Frame) -> tuple[int, int]:
    """Width and height of what is white, in samples."""
    luma = copied_planes(frame.image)[0]
    rows, columns = np.nonzero(luma > (170 << (8 if luma.dtype == np.uint16 else 0)))
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((320, 180, 1), (180, 320, 1)),
        ((180, 320, 1), (320, 180, 1)),
        ((320, 180, 1), (640, 180, 1)),
        ((320, 240, 1), (160, 120, 1)),
        ((320, 240, 1), (320, 240, 2)),
        ((320, 240, 2), (320, 240, 1)),
        ((320, 240, Fraction(1, 2)), (240, 320, Fraction(3, 2))),
    ],
)
def test_a_circle_stays_one_when_the_shape_changes(tmp_path, one, other):
    parts = [
        film(tmp_path / "one.ts", one[0], one[1], sample=Fraction(one[2])),
        film(tmp_path / "other.ts", other[0], other[1], sample=Fraction(other[2]), start=20),
    ]
    path = tmp_path / "all.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with FileSource(path) as source:
        frames = [item for item in source if isinstance(item, Frame)]
        remarks = source.remarks
        assert source.info.sample_aspect_ratio == one[2]
    assert {(f.image.width, f.image.height) for f in frames} == {one[:2]}
    for frame in (frames[2], frames[-2]):
        width, height = bright(frame)
        assert width * one[2] == pytest.approx(height, rel=0.08), frame.index
        _, *chroma = copied_planes(frame.image)
        assert all(abs(plane.astype(int) - 128).max() <= 2 for plane in chroma)
    # Black, or the picture's grey, and nothing left over from before.
    assert int(copied_planes(frames[-2].image)[0][0, 0]) in range(14, 96)
    same = Fraction(one[0]) * one[2] / one[1] == Fraction(other[0]) * other[2] / other[1]
    assert same or any("another size or shape" in remark for remark in remarks)
    # As large as it can be: one direction is filled.
    shown = (Fraction(other[0]) * other[2] / one[2], Fraction(other[1]))
    scale = min(one[0] / shown[0], one[1] / shown[1])
    radius = min(other[1], int(other[0] * other[2])) // 3
    assert bright(frames[-2])[1] == pytest.approx(float(2 * radius * scale), rel=0.08)


def patched(path: Path, *changes: tuple[bytes, bytes]) -> Path:
    data = path.read_bytes()
    for old, new in changes:
        assert data.count(old) == 1 and len(old) == len(new)
        data = data.replace(old, new)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("side", "crop"),
    [(0xCC, Crop(left=20)), (0xCC, Crop(left=21)), (0xDD, Crop(right=9)), (0xBB, Crop(top=7)),
     (0xAA, Crop(bottom=12))],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_matroska_s_crop_is_carried_out(tmp_path, side, crop, codec):
    path = film(tmp_path / "in.mkv", 96, 64, codec=codec)
    stored = copied_planes(frames_of(path)[5].image)
    width, height = 96 - crop.left - crop.right, 64 - crop.top - crop.bottom
    # An element of the same length that says nothing becomes one of the crop.
    cut = crop.left + crop.right + crop.top + crop.bottom
    patched(path, (b"\x54\xb2\x81\x04", bytes([0x54, side, 0x81, cut])))
    assert crop_of(path, "matroska,webm", 0) == crop
    with FileSource(path) as source:
        frames = [item for item in source if isinstance(item, Frame)]
        assert (source.info.width, source.info.height) == (width, height)
        assert source.info.sample_aspect_ratio == 1
    luma, *chroma = copied_planes(frames[5].image)
    wanted = stored[0][crop.top : crop.top + height, crop.left : crop.left + width]
    assert np.array_equal(luma, wanted)
    assert all(plane.shape == ((height + 1) // 2, (width + 1) // 2) for plane in chroma)


def with_aperture(path: Path, width: int, height: int, across: int, down: int) -> Path:
    """Puts a clean aperture into an MP4 whose moov lies behind its mdat."""
    data = path.read_bytes()
    box = (40).to_bytes(4) + b"clap"
    for number in (width, 1, height, 1, across, 1, down, 1):
        box += number.to_bytes(4, signed=True)
    end = data.index(b"avc1", data.index(b"moov"))
    entry = end - 4
    size = int.from_bytes(data[entry:end])
    data = data[: entry + size] + box + data[entry + size :]
    for name in (b"avc1", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        at = data.index(name, data.index(b"moov")) - 4
        larger = int.from_bytes(data[at : at + 4]) + 40
        data = data[:at] + larger.to_bytes(4) + data[at + 4 :]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("aperture", [(80, 48, 0, 0), (60, 40, 4, -2)])
def test_mp4_s_clean_aperture_is_carried_out(tmp_path, aperture):
    path = film(tmp_path / "in.mp4", 96, 64)
    stored = copied_planes(frames_of(path)[5].image)[0]
    with_aperture(path, *aperture)
    width, height, across, down = aperture
    left, top = (96 - width) // 2 + across, (64 - height) // 2 + down
    frames = frames_of(path)
    assert len(frames) == 20
    luma = copied_planes(frames[5].image)[0]
    assert np.array_equal(luma, stored[top : top + height, left : left + width])


@pytest.mark.parametrize(
    "crop", [Crop(90, 0, 90, 0), Crop(-1, 0, 0, 0), Crop(0, 64, 0, 0)], ids=str
)
def test_a_crop_that_leaves_nothing_is_none(crop):
    first = av.VideoFrame(96, 64, "yuv420p")
    upright = Upright(first, crop)
    assert (upright.width, upright.height) == (96, 64)


@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_damaged_heads_have_no_crop_and_no_error(tmp_path, ending):
    whole = film(tmp_path / f"whole{ending}", 96, 64, frames=3).read_bytes()
    kind = {".mkv": "matroska,webm", ".mp4": "mov,mp4,m4a"}[ending]
    random = np.random.default_rng(5)
    path = tmp_path / f"in{ending}"
    for _ in range(300):
        data = bytearray(whole)
        for at in random.integers(0, len(data), 20):
            data[at] = random.integers(256)
        path.write_bytes(data[: random.integers(1, len(data))])
        assert isinstance(crop_of(path, kind, 0), Crop)


def two_tracks(path: Path, tracks: list[tuple[int, int, int]]) -> Path:
    """A file of several video tracks: width, height and number of pictures."""
    with av.open(str(path), "w") as container:
        streams = []
        for width, height, _ in tracks:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            streams.append(stream)
        for number in range(max(count for _, _, count in tracks)):
            for stream, (width, height, count) in zip(streams, tracks, strict=True):
                if number < count:
                    picture = av.VideoFrame.from_ndarray(
                        np.full((height * 3 // 2, width), 99, np.uint8), format="yuv420p"
                    )
                    picture.pts, picture.time_base = number, Fraction(1, 25)
                    container.mux(stream.encode(picture))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".avi"])
@pytest.mark.parametrize("stills", [1, 3])
@pytest.mark.parametrize("first", [True, False])
def test_of_a_moving_photo_the_film_is_taken(tmp_path, ending, stills, first):
    tracks = [(320, 240, stills), (64, 48, 40)]
    path = two_tracks(tmp_path / f"in{ending}", tracks if first else tracks[::-1])
    with FileSource(path) as source:
        assert (source.info.width, source.info.height) == (64, 48)
        assert sum(isinstance(item, Frame) for item in source) == 40
        assert any("(mpeg4, 320x240" in one and "only one" in one for one in source.remarks)


def test_of_two_films_the_larger_is_taken_and_the_other_named(tmp_path):
    path = two_tracks(tmp_path / "in.mkv", [(64, 48, 40), (128, 96, 40)])
    with FileSource(path) as source:
        assert source.info.width == 128
        assert [one for one in source.remarks if "video track 0 (mpeg4, 64x48" in one]


def test_samples_beyond_their_depth_are_brought_within(tmp_path):
    picture = av.VideoFrame(34, 18, "yuv420p10le")
    for plane in picture.planes:
        values = np.frombuffer(plane, np.uint16)
        values[:] = 500
    assert within_depth(picture) is picture
    np.frombuffer(picture.planes[1], np.uint16)[3] = 40000
    picture.pts, picture.color_range = 7, 2
    fit = within_depth(picture)
    assert fit is not picture and (fit.pts, fit.color_range) == (7, 2)
    assert [int(plane.max()) for plane in copied_planes(fit)] == [500, 1023, 500]
    upright = Upright(picture)
    assert int(copied_planes(upright(picture))[1].max()) == 1023 and upright.mended == 1
    eight = av.VideoFrame(34, 18, "yuv420p")
    assert within_depth(eight) is eight


def test_a_name_that_is_no_text_is_a_name(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", audio="aac")
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 \xff.mp4"))
    clip.rename(path)
    with FileSource(path) as source:
        assert source.info.name == "caf\ufffd \ufffd.mp4"
        assert sum(isinstance(item, Frame) for item in source) == 25
        assert not source.remarks
    path.write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"caf\?") as caught:
        FileSource(path)
    str(caught.value).encode()


@pytest.mark.parametrize("given", ["https://host/film.mp4", "rtsp://me:hunter2pass@host/x"])
def test_an_address_given_as_a_file_gets_advice(given):
    """A path has one slash where an address has two."""
    with pytest.raises(SourceError, match="is an address and not a file; use `stream url`") as told:
        FileSource(Path(given))
    assert "hunter2pass" not in str(told.value) and "://host" in str(told.value)


def cropped(path: Path, left: int, pixel_format: str = "yuv420p") -> Path:
    """A film whose left columns are cut off, which are white while all others are grey."""
    picture = av.VideoFrame(96, 64, "yuv420p")
    for plane, level in zip(picture.planes, (90, 128, 128), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    luma = np.full((64, picture.planes[0].line_size), 90, np.uint8)
    luma[:, :left] = 235
    picture.planes[0].update(luma)
    whole = path.with_name("whole.h264")
    with av.open(str(whole), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixel_format
        for number in range(3):
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with av.open(str(whole)) as read:
        cut = BitStreamFilterContext(f"h264_metadata=crop_left={left}", read.streams.video[0])
        packets = [one if one.size else None for one in read.demux(video=0)]
        path.write_bytes(b"".join(bytes(one) for each in packets for one in cut.filter(each)))
    return path


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le", "yuv444p"])
def test_what_a_codec_cuts_off_on_the_left_is_cut_off_to_the_pixel(tmp_path, pixel_format):
    # FFmpeg cuts off less where addresses would not be even, and pictures are wider.
    for left in (2, 16, 30):
        frames = frames_of(cropped(tmp_path / "in.h264", left, pixel_format))
        assert len(frames) == 3
        for frame in frames:
            luma = copied_planes(frame.image)[0]
            assert frame.image.width == 96 - left, left
            assert np.ptp(luma) < 9 << (2 if luma.dtype == np.uint16 else 0), left
