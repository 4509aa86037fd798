"""Pictures come in upright, exactly, one after the other."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stream.errors import SourceError
from stream.pictures.pixels import bgr_from_picture, picture_from_bgr
from stream.sources import open as open_source
from stream.sources.images import ImagesSource
from stream.system.overheard import _glibc
from tests.heif import tiled
from tests.media import make_clip
from tests.system.test_overheard import damaged_jpeg


def pixels(seed: int = 0, width: int = 31, height: int = 17) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def save(path: Path, given: np.ndarray | None = None) -> Path:
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), pixels() if given is None else given)
    return path


@pytest.mark.parametrize("blue", range(0, 256, 15))
def test_every_8_bit_colour_survives_the_way_to_yuv_and_back(blue):
    green, red = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    given = np.stack([np.full_like(green, blue), green, red], -1).astype(np.uint8)
    assert np.array_equal(bgr_from_picture(picture_from_bgr(given)), given)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("ending", [".pfm", ".hdr"])
def test_floating_point_samples_come_as_8_bits_with_a_word(tmp_path, ending, channels):
    samples = pixels() / np.float32(255)
    path = save(tmp_path / f"in{ending}", samples if channels == 3 else samples[..., 0])
    with ImagesSource(path) as source:
        (frame,) = source
        said = source.remarks
    wanted = pixels() if channels == 3 else np.repeat(pixels()[..., :1], 3, -1)
    off = np.abs(bgr_from_picture(frame.image).astype(int) - wanted)
    assert off.max() <= (0 if ending == ".pfm" else 2)
    assert said == [f"in{ending}: it has more than 8 bits a colour, of which 8 are kept"]


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".webp", ".ppm"])
def test_a_picture_comes_as_it_is(tmp_path, ending):
    path = tmp_path / f"in{ending}"
    cv2.imwrite(str(path), pixels(), [cv2.IMWRITE_WEBP_QUALITY, 101] if ending == ".webp" else [])
    with ImagesSource(path) as source:
        (frame,) = source
    assert np.array_equal(bgr_from_picture(frame.image), pixels())
    assert (source.info.width, source.info.height) == (31, 17)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda p: p),
        (2, lambda p: p[:, ::-1]),
        (3, lambda p: p[::-1, ::-1]),
        (4, lambda p: p[::-1]),
        (6, lambda p: np.rot90(p, -1)),
        (8, np.rot90),
    ],
)
def test_the_orientation_that_a_camera_noted_is_carried_out(tmp_path, orientation, turned):
    path = save(tmp_path / "in.jpg", cv2.resize(pixels(), (64, 32)))
    upright = cv2.imread(str(path))
    data = path.read_bytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation, 0, 0])
    exif += b"\0\0\0\0"
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    with ImagesSource(path) as source:
        (frame,) = source
    assert np.array_equal(bgr_from_picture(frame.image), turned(upright))


def test_files_folders_and_globs_in_order(tmp_path):
    save(tmp_path / "b" / "2.png")
    save(tmp_path / "b" / "1.PNG")
    (tmp_path / "b" / "notes.txt").write_text("no picture")
    save(tmp_path / "a.png")
    save(tmp_path / "c" / "x1.png")
    given = [str(tmp_path / "b"), tmp_path / "a.png", str(tmp_path / "c" / "x*.png")]
    with ImagesSource(given) as source:
        frames = list(source)
        names = [source.paths[frame.index].name for frame in frames]
    assert names == ["1.PNG", "2.png", "a.png", "x1.png"]
    assert [frame.pts for frame in frames] == [0, 1, 2, 3]
    assert source.info.frames == 4


def test_each_picture_has_its_own_size(tmp_path):
    save(tmp_path / "1.png", pixels(width=20, height=10))
    save(tmp_path / "2.png", pixels(width=7, height=33))
    with ImagesSource(tmp_path) as source:
        assert [(f.image.width, f.image.height) for f in source] == [(20, 10), (7, 33)]


@pytest.mark.parametrize("bad", ["1.png", "2.png", "3.png"])
def test_a_bad_picture_is_counted_and_the_others_keep_their_names(tmp_path, bad):
    for name in ("1.png", "2.png", "3.png"):
        save(tmp_path / name)
    (tmp_path / bad).write_bytes(b"\x89PNG not really")
    with ImagesSource(tmp_path) as source:
        told = source.info
        names = [told.pictures[frame.index].name for frame in source]
    assert names == [name for name in ("1.png", "2.png", "3.png") if name != bad]
    assert source.paths == list(told.pictures)
    assert source.corrupt == 1
    assert source.remarks == [
        f"{tmp_path / bad} is not a picture that can be read, or it is damaged"
    ]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "there is no picture"),
        (lambda path: path.mkdir(), "has no pictures in it"),
        (lambda path: path.touch(), "is empty"),
        (lambda path: path.write_text("text"), "not a picture that can be read"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(tmp_path, make, words):
    make(tmp_path / "in.png")
    with pytest.raises(SourceError) as told:
        ImagesSource(tmp_path / "in.png")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_only_bad_pictures_are_an_error(tmp_path):
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(SourceError, match="none of the 2 pictures can be read"):
        ImagesSource(tmp_path)


def test_a_jpeg_that_is_cut_short_is_taken_as_far_as_it_goes(tmp_path):
    given = cv2.GaussianBlur(pixels(width=320, height=240), (0, 0), 9)
    stored = save(tmp_path / "whole.jpg", given).read_bytes()
    whole = cv2.imread(str(tmp_path / "whole.jpg"))
    for kept, rows in {len(stored) - 2: 240, len(stored) // 2: 60}.items():
        path = tmp_path / "cut.jpg"
        path.write_bytes(stored[:kept])
        with ImagesSource([path]) as source:
            (frame,) = source
            assert np.array_equal(bgr_from_picture(frame.image)[:rows], whole[:rows])
            assert source.remarks[0].startswith("cut.jpg: it has no end, as it was cut short")
    (tmp_path / "none.jpg").write_bytes(stored[:100])
    with pytest.raises(SourceError, match="not a picture that can be read"):
        ImagesSource([tmp_path / "none.jpg"])


def test_a_png_that_is_cut_short_says_so_and_its_decoder_nothing(tmp_path, capfd):
    stored = save(tmp_path / "in.png", pixels()).read_bytes()
    for kept in (len(stored) - 1, len(stored) - 12, len(stored) // 2, 20, 8):
        (tmp_path / "cut.png").write_bytes(stored[:kept])
        with pytest.raises(SourceError, match=r"cut\.png is cut short: it ends within the picture"):
            ImagesSource([tmp_path / "cut.png"])
    assert capfd.readouterr().err == ""


def test_what_a_picture_is_is_told_by_its_content_where_its_name_is_wrong(tmp_path):
    given = cv2.GaussianBlur(pixels(width=128, height=96), (0, 0), 9)
    path = tiled(tmp_path / "phone.jpg", given[..., ::-1], (64, 64))
    with ImagesSource([path]) as source:
        (frame,) = source
    assert np.abs(bgr_from_picture(frame.image).astype(int) - given).mean() < 5


def test_a_film_is_no_picture(tmp_path):
    clip = make_clip(tmp_path / "film.mp4", frames=3)
    with pytest.raises(
        SourceError, match=r"film\.mp4 is not a picture; for videos use: stream file"
    ):
        ImagesSource(clip)


@pytest.mark.parametrize("several", [False, True])
def test_an_address_among_pictures_is_told_as_it_was_given(several):
    for given in ("rtsp://me:secret@camera/x", Path("rtsp://me:secret@camera/x")):
        with pytest.raises(SourceError) as caught:
            open_source([given, "a.png"] if several else [given])
        said = str(caught.value)
        assert said.startswith("rtsp://camera/x is an address and not a picture's file")


def test_a_transparent_or_grey_or_16_bit_picture_can_be_read(tmp_path):
    rng = np.random.default_rng(0)
    save(tmp_path / "1.png", rng.integers(0, 256, (8, 8, 4), np.uint8))
    save(tmp_path / "2.png", rng.integers(0, 256, (8, 8), np.uint8))
    save(tmp_path / "3.png", rng.integers(0, 65536, (8, 8, 3), np.uint16))
    with ImagesSource(tmp_path) as source:
        assert sum(1 for _ in source) == 3


def test_close_ends_the_iteration(tmp_path):
    for name in ("1.png", "2.png", "3.png"):
        save(tmp_path / name)
    source = ImagesSource(tmp_path)
    seen = 0
    for _ in source:
        seen += 1
        source.close()
    assert seen == 1


def test_a_folder_s_hidden_files_are_no_pictures_and_others_are_named(tmp_path):
    folder = tmp_path / "from_a_mac"
    save(folder / "a.jpg")
    (folder / "a.jpg").rename(folder / "a.jfif")
    save(folder / "b.png")
    for name in ("._a.jfif", "._b.png", ".DS_Store"):
        (folder / name).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    (folder / "c.jpg").mkdir()
    (folder / "notes.txt").write_text("no picture")
    with ImagesSource(folder) as source:
        assert [path.name for path in source.paths] == ["a.jfif", "b.png"]
        assert len(list(source)) == 2 and source.corrupt == 0
        assert source.remarks == [f"left out of the folder {folder}: c.jpg, notes.txt"]


def test_a_picture_that_only_ffmpeg_reads(tmp_path):
    path = tmp_path / "in.avif"
    with av.open(str(path), "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", rate=1, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        given = np.full((64, 96, 3), (200, 80, 40), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(given, format="rgb24")))
        container.mux(stream.encode(None))
    with ImagesSource(path) as source:
        (frame,) = source
    colour = bgr_from_picture(frame.image)[:, :, ::-1].reshape(-1, 3).mean(0)
    assert np.abs(colour - (200, 80, 40)).max() < 6
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(SourceError, match=r"in\.avif"):
        ImagesSource(path)


def tiff(pixels: np.ndarray, order: str, extra: int) -> bytes:
    """An uncompressed TIFF of one strip, RGB and a fourth sample, tag by tag (TIFF 6.0)."""
    height, width, _ = pixels.shape
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    bits = 8 + pixels.size
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 4, bits), (259, 3, 1, 1)]
    tags += [(262, 3, 1, 2), (273, 4, 1, 8), (277, 3, 1, 4), (278, 4, 1, height)]
    tags += [(279, 4, 1, pixels.size), (338, 3, 1, extra)]
    head = mark + struct.pack(order + "I", bits + 8)
    directory = struct.pack(order + "H", len(tags))
    for tag, kind, count, value in tags:
        form = "HHIHxx" if kind == 3 and count == 1 else "HHII"
        directory += struct.pack(order + form, tag, kind, count, value)
    depth = struct.pack(order + "4H", 8, 8, 8, 8)
    return head + pixels.tobytes() + depth + directory + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_a_clear_tiff_come_as_they_are_in_it(tmp_path, order):
    given = np.random.default_rng(1).integers(0, 256, (17, 32, 4), np.uint8)
    (tmp_path / "in.tif").write_bytes(tiff(given, order, extra=2))
    with ImagesSource(tmp_path / "in.tif") as source:
        (frame,) = source
        said = source.remarks
    assert np.array_equal(bgr_from_picture(frame.image), given[..., 2::-1])
    assert np.array_equal(frame.alpha, given[..., 3])
    assert said == []


def test_damage_within_a_jpeg_is_said_by_the_program_itself(tmp_path, capfd):
    path = tmp_path / "in.jpg"
    path.write_bytes(damaged_jpeg().tobytes())
    with ImagesSource(path) as source:
        assert len(list(source)) == 1
        said = source.remarks
    if _glibc() is None:
        pytest.skip("only glibc's stream can be exchanged")
    assert capfd.readouterr().err == ""
    assert said == [
        "in.jpg: it has damage within, so that parts of the picture may be grey, shifted or of "
        "wrong colours"
    ]


def tiff_of(samples: np.ndarray) -> bytes:
    """A TIFF of grey or RGB samples of any kind, as they are (TIFF 6.0, sections 2 and 19)."""
    height, width, channels = (*samples.shape, 1)[:3]
    form = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    bits, data = 8 * samples.dtype.itemsize, samples.tobytes()
    begin = 8 + len(data)
    lists = struct.pack("<6H", *[bits] * 3, *[form] * 3)
    tags = [
        (256, width), (257, height), (258, bits if channels == 1 else begin), (259, 1),
        (262, 1 if channels == 1 else 2), (273, 8), (277, channels), (278, height),
        (279, len(data)), (339, form if channels == 1 else begin + 6),
    ]  # fmt: skip
    several = {258: channels, 339: channels}
    entries = b"".join(
        struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, several.get(tag, 1), value)
        for tag, value in tags
    )
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    head = b"II*\0" + struct.pack("<I", begin + len(lists))
    return head + data + lists + directory


def test_a_tiff_of_floats_or_long_numbers_is_read(tmp_path):
    path, grey = tmp_path / "in.tif", np.repeat(pixels()[..., :1], 3, -1)
    for kind in (np.float32, np.float64, np.uint32):
        share = pixels() / np.float64(255)
        samples = (share * (2**32 - 1) if kind is np.uint32 else share).astype(kind)
        for given, wanted in ((samples[..., ::-1], pixels()), (samples[..., 0], grey)):
            path.write_bytes(tiff_of(np.ascontiguousarray(given)))
            with ImagesSource(path) as source:
                (frame,) = source
                said = source.remarks
            assert np.array_equal(bgr_from_picture(frame.image), wanted), kind
            assert said == ["in.tif: it has more than 8 bits a colour, of which 8 are kept"]


def test_a_picture_of_which_nobody_knows_what_is_white_is_refused(tmp_path):
    path = tmp_path / "in.tif"
    for samples, said in (
        (pixels().astype(np.float32), "floating-point numbers of 32 bits up to 2"),
        (pixels().astype(np.int32), "signed whole numbers of 32 bits"),
        ((pixels() / 255).astype(np.float16), "floating-point numbers of 16 bits"),
    ):
        path.write_bytes(tiff_of(samples))
        with pytest.raises(SourceError, match=f"its samples are {said}"):
            ImagesSource(path)
    path = save(tmp_path / "in.pfm", pixels().astype(np.float32))
    with pytest.raises(SourceError, match="floating-point numbers up to 255, where 1 is white"):
        ImagesSource(path)
