"""Picture files are written exactly, under the right names, and never half."""

from __future__ import annotations

import errno
import os
import struct
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.errors import SinkError, StreamError
from stream.frame import Frame, Passthrough, VideoInfo
from stream.photo_files.photo_facts import unmultiplied
from stream.pictures.pixels import EXACT_RGB, picture_from_bgr
from stream.settings.options import OutputOptions
from stream.sinks._photo import encode, notes_of, upright
from stream.sinks.images import ImageSink
from tests import media
from tests.settling import Disk


def frame(index: int = 0) -> Frame:
    return Frame(picture_from_bgr(pixels(index)), index, index, Fraction(1))


def pixels(index: int = 0) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (20, 30, 3), np.uint8)


def at_once(monkeypatch, cores: int) -> None:
    """As on a machine of so many cores: so many pictures of footage are encoded at once."""
    monkeypatch.setattr("stream.sinks._side_by_side.available_cores", lambda: cores)


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".tiff", ".ppm", ".webp", ".PNG"])
def test_every_pixel_is_kept(tmp_path, ending):
    with ImageSink(tmp_path / f"out{ending}") as sink:
        sink.write(frame())
        sink.write(Passthrough(()))
    assert np.array_equal(cv2.imread(str(tmp_path / f"out{ending}")), pixels())
    assert len(list(tmp_path.iterdir())) == 1


def test_a_jpeg_is_close(tmp_path):
    smooth = cv2.resize(pixels(), (300, 200), interpolation=cv2.INTER_CUBIC)
    with ImageSink(tmp_path / "out.jpg") as sink:
        sink.write(Frame(picture_from_bgr(smooth), 0, 0, Fraction(1)))
    written = cv2.imread(str(tmp_path / "out.jpg"))
    assert np.abs(written.astype(int) - smooth).mean() < 3


@pytest.mark.parametrize(
    ("told", "able"),
    [
        ({}, ".mp4"),
        ({"alpha": True}, ".mkv"),
        ({"exact": True}, "-o masks.mkv with --look binary or instances"),
    ],
)
def test_what_holds_the_shape_of_samples_holds_the_pictures_too(tmp_path, told, able):
    """Of masks and of what is clear in parts it was said that .mp4 can."""
    info = VideoInfo("made", 30, 20, "yuv420p", Fraction(1), sample_aspect_ratio=Fraction(16, 11))
    target = f"{tmp_path}/%06d.png"
    with ImageSink.from_target(target, replace(info, **told), OutputOptions()) as sink:
        sink.write(frame())
    what = "the pictures' shape (samples of 16:11) is lost, which .png cannot hold here"
    assert sink.remarks == [f"{what}; {able} can"]


@pytest.mark.parametrize(("grey", "said"), [(False, 1), (True, 0)])
def test_hdr_is_said_to_look_pale_unless_it_has_no_colours(tmp_path, grey, said):
    picture = media.make_picture(0, 64, 48, "yuv420p10le")
    picture.color_trc = 18
    with ImageSink(tmp_path / "out.png", grey=grey) as sink:
        sink.write(Frame(picture, 0, 0, Fraction(1)))
    assert len([one for one in sink.remarks if "HDR (HLG), which .png" in one]) == said


def test_a_video_frame_is_written_too(tmp_path):
    picture = media.make_picture(0, 64, 48, "yuv420p")
    with ImageSink(tmp_path / "out.png") as sink:
        sink.write(Frame(picture, 0, 0, Fraction(1)))
    assert cv2.imread(str(tmp_path / "out.png")).shape == (48, 64, 3)


@pytest.mark.skipif(os.name == "nt", reason="Windows opens no folders")
def test_pictures_are_on_the_disk_at_the_end_and_few_wait_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr("stream.sinks.images._UNSETTLED", 2)
    disk = Disk(monkeypatch, tmp_path)
    photos = [Path(f"{index:02d}.png") for index in range(4)]
    with ImageSink(tmp_path, photos) as sink:
        for index in range(4):
            sink.write(frame(index))
        assert disk.events == ["name", "name", "name", "file", "name", "file"]
        (tmp_path / "03.png").unlink()
    assert disk.events[6:] == ["file", "folder"]


@pytest.mark.parametrize("cores", [1, 3, 100])
def test_pictures_that_are_encoded_side_by_side_are_saved_in_their_order(
    tmp_path, monkeypatch, cores
):
    """Also where one takes longer than those behind it."""
    at_once(monkeypatch, cores)
    order, encode = [], cv2.imencode

    def slowly(ending, given, options):
        order.append(threading.get_ident())
        time.sleep(0.02 * (int(given[0, 0, 0]) % 3))
        return encode(ending, given, options)

    monkeypatch.setattr(cv2, "imencode", slowly)
    with ImageSink(tmp_path / "%02d.png") as sink:
        for index in range(12):
            picture = np.full((8, 8, 3), 5 * index, np.uint8)
            sink.write(Frame(picture_from_bgr(picture), index, index, Fraction(1, 25)))
            saved = sorted(path.name for path in tmp_path.iterdir())
            assert saved == [f"{at:02d}.png" for at in range(len(saved))]
            assert len(saved) >= index + 1 - min(cores, 8)
    assert len(set(order)) <= min(cores, 8)
    for index in range(12):
        found = cv2.imread(str(tmp_path / f"{index:02d}.png"))
        assert (found == 5 * index).all()


def test_a_picture_that_cannot_be_encoded_ends_the_film_there(tmp_path, monkeypatch):
    at_once(monkeypatch, 2)
    encode = cv2.imencode

    def seldom(ending, given, options):
        second = np.array_equal(given, pixels(1))
        return (False, np.zeros(0, np.uint8)) if second else encode(ending, given, options)

    monkeypatch.setattr(cv2, "imencode", seldom)
    sink = ImageSink(tmp_path / "%02d.png")
    with pytest.raises(
        SinkError, match=r"01\.png cannot be written: .*; 1 picture is saved"
    ) as told:
        for index in range(5):
            sink.write(frame(index))
    assert told.value.frames == 1, "of those behind it that were taken none is there"
    sink.abort()
    assert [path.name for path in tmp_path.iterdir()] == ["00.png"]


def test_a_folder_takes_the_names_of_the_inputs(tmp_path):
    paths = [Path("a/one.png"), Path("b/two.jpg"), Path("c/three.avif")]
    with ImageSink(tmp_path / "new" / "out", paths) as sink:
        for index in range(3):
            sink.write(frame(index))
    names = sorted(path.name for path in (tmp_path / "new" / "out").iterdir())
    assert names == ["one.png", "three.png", "two.jpg"]


def test_without_names_pictures_are_numbered(tmp_path):
    with ImageSink(tmp_path / "out") as sink:
        sink.write(frame(0))
        sink.write(frame(1))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["000000.png", "000001.png"]


@pytest.mark.parametrize(
    ("output", "paths", "words"),
    [
        ("there.png", ["in.png"], "exists already"),
        ("folder", ["x/there.png"], "exists already"),
        ("out.png", ["a.png", "b.png"], "2 pictures need a folder"),
        (
            "folder",
            ["a/same.png", "b/same.png"],
            "with --recursive; else do them",
        ),
        ("nowhere/out.png", ["in.png"], "does not exist"),
        ("there.png/out", ["in.png"], "cannot be made"),
    ],
)
def test_an_impossible_output_is_refused_before_any_work(tmp_path, output, paths, words):
    (tmp_path / "folder").mkdir()
    for place in ("there.png", "folder/there.png"):
        (tmp_path / place).write_bytes(b"precious")
    with pytest.raises(StreamError) as told:
        ImageSink(tmp_path / output, [Path(path) for path in paths])
    assert words in str(told.value)
    assert (tmp_path / "there.png").read_bytes() == b"precious"


def test_the_input_is_never_the_output(tmp_path):
    path = tmp_path / "in.png"
    path.write_bytes(b"precious")
    for output in (path, tmp_path):
        with pytest.raises(StreamError, match="is an input"):
            ImageSink(output, [path], overwrite=True)


def test_an_existing_picture_may_be_replaced(tmp_path):
    (tmp_path / "out.png").write_bytes(b"old")
    with ImageSink(tmp_path / "out.png", overwrite=True) as sink:
        sink.write(frame())
    assert np.array_equal(cv2.imread(str(tmp_path / "out.png")), pixels())


def test_a_full_disk_keeps_the_old_picture_and_says_what_is_saved(tmp_path, monkeypatch):
    photos = [Path("000000.png"), Path("000001.png")]
    for photo in photos:
        (tmp_path / photo).write_bytes(b"old")
    sink = ImageSink(tmp_path, photos, overwrite=True)
    sink.write(frame(0))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(SinkError) as told:
        sink.write(frame(1))
    assert "No space left on device" in str(told.value)
    assert "1 picture is saved" in str(told.value)
    assert (tmp_path / "000001.png").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("order", ["big", "little"])
def test_the_colour_profile_and_what_the_camera_noted_are_kept_upright(tmp_path, ending, order):
    if not hasattr(cv2, "imencodeWithMetadata"):
        pytest.skip("this OpenCV writes no metadata")
    exif = exif_data(6, order)
    profile = icc_profile()
    kinds = [cv2.IMAGE_METADATA_EXIF, cv2.IMAGE_METADATA_ICCP]
    blobs = [np.frombuffer(exif, np.uint8), np.frombuffer(profile, np.uint8)]
    _, data = cv2.imencodeWithMetadata(".jpg", pixels(), kinds, blobs)
    (tmp_path / "in.jpg").write_bytes(data.tobytes())

    with ImageSink(tmp_path / f"out{ending}", [tmp_path / "in.jpg"]) as sink:
        sink.write(frame())
    _, found, notes = cv2.imreadWithMetadata(str(tmp_path / f"out{ending}"), flags=1)
    kept = dict(zip(found, (np.asarray(note).tobytes() for note in notes), strict=True))
    assert kept[cv2.IMAGE_METADATA_ICCP] == profile
    assert kept[cv2.IMAGE_METADATA_EXIF].endswith(exif_data(1, order)[-20:])
    shown = cv2.imread(str(tmp_path / f"out{ending}"))
    assert shown.shape == (20, 30, 3), "it must not be turned again"


def exif_data(orientation: int, order: str) -> bytes:
    mark, pack = (b"MM\0*", ">HHIHH") if order == "big" else (b"II*\0", "<HHIHH")
    start = (8).to_bytes(4, order) + (1).to_bytes(2, order)
    return mark + start + struct.pack(pack, 0x0112, 3, 1, orientation, 0) + bytes(4)


def icc_profile() -> bytes:
    """A header and one line of text: what libraries take for a profile."""
    text = bytes(np.random.default_rng(0).integers(65, 91, 991, np.uint8)) + b"\0"
    table = struct.pack(">I4sII", 1, b"cprt", 144, 1000) + b"text" + bytes(4) + text
    size = 128 + len(table)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + bytes.fromhex("0000f6d6000100000000d32d")
    return header + bytes(128 - len(header)) + table


@pytest.mark.parametrize("damage", [b"", b"II*", b"MM\0*\xff\xff\xff\xff\0\0\0", b"Exif???????"])
def test_damaged_notes_are_left_as_they_are(damage):
    assert upright(damage) == damage


@pytest.mark.parametrize(
    ("ending", "size"),
    [(".webp", (16384, 2)), (".webp", (2, 16384)), (".jpg", (2, 65501)), (".jpeg", (65501, 2))],
)
def test_a_picture_beyond_a_formats_limits_is_refused_before_anything_is_replaced(
    tmp_path, ending, size
):
    output = tmp_path / f"out{ending}"
    output.write_bytes(b"good")
    with ImageSink(output, overwrite=True) as sink, pytest.raises(SinkError) as told:
        sink.write(Frame(picture_from_bgr(np.zeros((*size, 3), np.uint8)), 0, 0, Fraction(1)))
    assert f"{ending} holds at most" in str(told.value)
    assert ".png holds more" in str(told.value)
    assert output.read_bytes() == b"good"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("ending", [".webp", ".jpg"])
def test_a_picture_at_a_formats_limits_is_written(tmp_path, ending):
    most = {".webp": 16383, ".jpg": 65500}[ending]
    with ImageSink(tmp_path / f"out{ending}") as sink:
        sink.write(Frame(picture_from_bgr(np.zeros((most, 2, 3), np.uint8)), 0, 0, Fraction(1)))
    assert (tmp_path / f"out{ending}").stat().st_size > 0


@pytest.mark.parametrize("answer", [(False, np.zeros(0, np.uint8)), (True, np.zeros(0, np.uint8))])
def test_nothing_is_never_written(tmp_path, monkeypatch, answer):
    monkeypatch.setattr(cv2, "imencode", lambda *_: answer)
    with ImageSink(tmp_path / "out.png") as sink, pytest.raises(SinkError, match="does not hold"):
        sink.write(frame())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("space", "kept"), [(b"RGB ", True), (b"GRAY", False), (b"CMYK", False)])
def test_only_a_profile_of_rgb_is_kept(tmp_path, space, kept):
    if not hasattr(cv2, "imencodeWithMetadata"):
        pytest.skip("this OpenCV writes no metadata")
    profile = bytearray(icc_profile())
    profile[16:20] = space
    blob = np.frombuffer(bytes(profile), np.uint8)
    _, data = cv2.imencodeWithMetadata(".jpg", pixels(), [cv2.IMAGE_METADATA_ICCP], [blob])
    (tmp_path / "in.jpg").write_bytes(data.tobytes())
    assert bool(notes_of(tmp_path / "in.jpg")) == kept


@pytest.mark.parametrize("ending", [".tif", ".tiff"])
@pytest.mark.parametrize("size", [(37, 41), (600, 500)])
def test_a_tiff_says_that_its_fourth_sample_is_opacity(ending, size):
    import io

    from PIL import Image

    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (*size, 4), np.uint8)
    data = encode(ending, pixels, [], [])
    with Image.open(io.BytesIO(data)) as read:
        extra = read.tag_v2[338]
        assert (extra if isinstance(extra, tuple) else (extra,)) == (2,)  # not multiplied by it
        assert read.mode == "RGBA"
        assert (np.asarray(read) == pixels[..., [2, 1, 0, 3]]).all()
    again = cv2.imdecode(unmultiplied(np.frombuffer(data, np.uint8)), cv2.IMREAD_UNCHANGED)
    assert (again == pixels).all()
    plain = encode(ending, pixels[..., :3].copy(), [], [])
    with Image.open(io.BytesIO(plain)) as read:
        assert 338 not in read.tag_v2


def test_pictures_of_a_numbered_film_keep_their_numbers(tmp_path):
    info = VideoInfo("film", 8, 8, EXACT_RGB, Fraction(1, 25), numbers=[7, 9])
    with ImageSink.from_target(f"{tmp_path}/out/%04d.png", info, OutputOptions()) as sink:
        for index in range(2):
            picture = picture_from_bgr(np.full((8, 8, 3), 90, np.uint8))
            sink.write(Frame(picture, index, index, Fraction(1, 25), 1))
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["0007.png", "0009.png"]
