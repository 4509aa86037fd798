"""A video behind the objects: fitted, at its own rate, over and over, closed at the end."""

from fractions import Fraction

import av
import cv2
import numpy as np
import psutil
import pytest
from PIL import Image, features

from stream.api import draw
from stream.compositing import Painter, Style
from stream.compositing.film import Film
from stream.errors import UsageError
from stream.frame import Frame
from stream.instances import Instances
from stream.pictures.pixels import plane_view
from tests.compositing.pictures import astronaut, people, samples
from tests.heif import tiled

LEVELS = [40, 80, 120, 160, 200]


def film(
    path, levels=LEVELS, size=(64, 48), rate=5, codec="ffv1", times=None, rotation=0, sar=None
):
    """A clip whose pictures are grey of one level each."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if sar:
            stream.codec_context.sample_aspect_ratio = sar
        if rotation:
            stream.set_display_rotation(rotation)
        for index, level in enumerate(levels):
            picture = av.VideoFrame(*size, "yuv420p")
            for plane, value in zip(picture.planes, (level, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            picture.pts = index if times is None else times[index]
            picture.time_base = Fraction(1, rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def level_at(painter, seconds, pixels="yuv420p"):
    """The luma behind, at the top left, of a frame shown at a time."""
    picture = astronaut(200, 160, pixels)
    found = people(picture, (80, 60, 140, 150))
    one = Frame(picture, 0, round(seconds * 1000), Fraction(1, 1000), instances=found)
    painter.paint(one)
    return samples(one.image)[0][2:20, 2:20]


def shown(painter, seconds):
    found = level_at(painter, seconds)
    assert found.min() == found.max()
    return int(found[0, 0])


def replaced(path, **style):
    return Painter("replace", Style(background=str(path), **style))


def test_it_shows_what_it_has_at_that_time_and_begins_again_without_a_gap(tmp_path):
    painter = replaced(film(tmp_path / "behind.mkv"))
    for index in range(60):  # 25 frames a second in front, 5 behind, a second long
        seconds = index / 25
        assert shown(painter, seconds) == LEVELS[int(seconds * 5 + 1e-6) % 5], seconds
    painter.close()


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".avi", ".webm"])
def test_every_container_begins_again_after_its_last_picture_has_been_shown(tmp_path, ending):
    codec = {".mp4": "libx264", ".avi": "mpeg4", ".webm": "libvpx-vp9"}.get(ending, "ffv1")
    path = film(tmp_path / f"behind{ending}", codec=codec)
    found = Film(str(path))
    levels = [found.at(index / 10).to_ndarray(format="gray")[20, 30] for index in range(40)]
    expected = np.repeat([*LEVELS] * 4, 2)
    assert np.abs(np.array(levels, int) - (expected - 16) * 255 / 219).max() < 6
    found.close()


def test_times_of_its_own_are_kept_where_they_are_uneven(tmp_path):
    painter = replaced(film(tmp_path / "behind.mkv", times=[0, 1, 5, 6, 9]))
    found = [shown(painter, index / 5) for index in range(10)]
    assert found == [40, 80, 80, 80, 80, 120, 160, 160, 160, 200]
    painter.close()


def test_time_may_go_back_and_far_ahead(tmp_path):
    painter = replaced(film(tmp_path / "behind.mkv", levels=[*range(30, 230)]))
    asked = [0, 3, 1, 39.9, 20, 1000.4, 0.2]
    assert [shown(painter, at) for at in asked] == [30 + int(at * 5 + 1e-6) % 200 for at in asked]
    painter.close()


@pytest.mark.parametrize(
    ("size", "sar"), [((64, 48), None), ((32, 48), Fraction(2)), ((48, 64), None)]
)
def test_it_covers_the_picture_with_its_middle_and_keeps_its_shape(tmp_path, size, sar):
    # White with a black square in the middle: still a square where it is seen.
    rotation = 90 if size[0] < size[1] and sar is None else 0
    path = tmp_path / "behind.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if sar:
            stream.codec_context.sample_aspect_ratio = sar
        if rotation:
            stream.set_display_rotation(rotation)
        picture = av.VideoFrame(*size, "yuv420p")
        luma = np.full((size[1], size[0]), 235, np.uint8)
        wide = 8 if sar else 16
        top, left = (size[1] - 16) // 2, (size[0] - wide) // 2
        luma[top : top + 16, left : left + wide] = 16
        plane = np.frombuffer(picture.planes[0], np.uint8).reshape(size[1], -1)
        plane[:, : size[0]] = luma
        for chroma in picture.planes[1:]:
            chroma.update(bytes([128]) * chroma.buffer_size)
        picture.pts, picture.time_base = 0, Fraction(1, 5)
        if path.stem == "full":
            picture = picture.reformat(dst_color_range=2, format="yuva420p")
            picture.color_range = stream.codec_context.color_range = 2
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    painter = replaced(path)
    one = Frame(astronaut(240, 160), 0, 0, Fraction(1), instances=None)
    painter.paint(one)
    dark = samples(one.image)[0] < 120
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    # 64 columns become 240, so 16 become 60.
    assert abs(len(rows) - 60) <= 3 and abs(len(columns) - 60) <= 3
    assert abs(rows.mean() - 79.5) <= 2 and abs(columns.mean() - 119.5) <= 2
    painter.close()


@pytest.mark.parametrize(
    "pixels", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p10le", "gray", "yuv411p"]
)
def test_its_colours_are_written_as_the_picture_has_them(tmp_path, pixels):
    painter = replaced(film(tmp_path / "behind.mkv", levels=[126]))  # half of 16 to 235, about
    found = level_at(painter, 0, pixels)
    top = 1023 if "10" in pixels else 255
    full = pixels in ("yuvj420p", "gray")
    expected = (126 - 16) / 219 * top if full else 126 * (top + 1) / 256
    assert np.abs(found.astype(int) - expected).max() <= (top + 1) // 128
    painter.close()


def test_nothing_is_open_before_the_first_frame_nor_after_closing(tmp_path):
    path = film(tmp_path / "behind.mkv")

    def is_open():
        return str(path) in {one.path for one in psutil.Process().open_files()}

    painter = replaced(path)
    assert not is_open()
    shown(painter, 0)
    assert is_open()
    painter.close()
    assert not is_open()
    assert shown(painter, 0.3) == 80
    painter.close()
    found = people(astronaut(), (80, 60, 140, 150))
    draw(np.zeros((160, 200, 3), np.uint8), found, "replace", background=str(path))
    assert not is_open()


def test_a_file_that_is_damaged_in_the_middle_plays_as_far_as_it_goes(tmp_path):
    path = film(tmp_path / "behind.mkv", levels=[*range(30, 90)])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    painter = replaced(path)
    found = [shown(painter, index / 5) for index in range(90)]
    many = len(set(found))
    assert 10 < many < 60 and found[many - 1] == 29 + many
    assert found.count(30) >= 1
    painter.close()


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100, None])
def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "behind.mp4"
    if content is not None:
        path.write_bytes(content)
    words = "cannot be read as a picture or a video|neither a colour such as 00FF00 nor a file"
    with pytest.raises(UsageError, match=words) as refused:
        replaced(path)
    assert "\n" not in str(refused.value)


def test_sound_alone_is_no_background(tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        one = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), "fltp", "mono")
        one.sample_rate = 48000
        container.mux(stream.encode(one))
        container.mux(stream.encode(None))
    with pytest.raises(UsageError, match="there is no video in it"):
        replaced(tmp_path / "sound.mp4")


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p10le"])
def test_nothing_of_what_was_behind_stands_around_an_object(pixels):
    # A grey object before white, as a camera has it: mixed at the edge as far as the matte says.
    def image(luma):
        picture = astronaut(160, 120, pixels)
        depth = picture.format.components[0].bits
        for plane, values in zip(picture.planes, (luma, None, None), strict=True):
            view = plane_view(plane, depth)
            view[:] = (128 if values is None else np.rint(values)) * (1 << (depth - 8))
        return picture

    mask = np.zeros((1, 120, 160), bool)
    mask[0, 30:90, 40:120] = True
    found = Instances.from_full_masks(mask, class_names=("thing",), picture_size=(120, 160))
    probe = Frame(image(np.full((120, 160), 60.0)), 0, 0, Fraction(1), instances=found)
    Painter("cutout", Style(feather=6)).paint(probe)
    share = probe.alpha / 255
    one = Frame(image(60 * share + 235 * (1 - share)), 0, 0, Fraction(1), instances=found)
    Painter("replace", Style(feather=6, background="000000")).paint(one)
    shift = one.image.format.components[0].bits - 8
    painted = samples(one.image)[0] / (1 << shift)
    wanted = 60 * share + 16 * (1 - share)
    edge = (probe.alpha > 20) & (probe.alpha < 235)
    naive = (60 * share + 235 * (1 - share)) * share + 16 * (1 - share)
    assert edge.sum() > 300
    assert np.abs(painted - wanted)[edge].mean() < 0.2 * np.abs(naive - wanted)[edge].mean()


def clear_left(path, size=(80, 64)):
    """White, of which the left half is clear; its colour there is white too."""
    width, height = size
    pixels = np.full((height, width, 4), 255, np.uint8)
    pixels[:, : width // 2, 3] = 0
    if path.suffix == ".png":
        depth = np.uint16(257) if "deep" in path.stem else np.uint8(1)
        assert cv2.imwrite(str(path), pixels * depth)
        return path
    if path.suffix == ".avif":  # an animation, whose opacity is a track of its own
        both = Image.fromarray(pixels, "RGBA"), Image.fromarray(pixels[::-1].copy(), "RGBA")
        both[1].putpixel((79, 1), (250, 250, 250, 255))  # else it is one picture that lasts longer
        both[0].save(path, save_all=True, append_images=both[1:], duration=200, quality=100)
        return path
    with av.open(str(path), "w") as container:
        stream = container.add_stream("qtrle" if path.suffix == ".mov" else "ffv1", rate=5)
        stream.width, stream.height = size
        stream.pix_fmt = "argb" if path.suffix == ".mov" else "yuva420p"
        picture = av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format=stream.pix_fmt)
        picture.pts, picture.time_base = 0, Fraction(1, 5)
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["b.png", "deep.png", "b.mov", "b.mkv", "full.mkv", "b.avif"])
def test_where_a_background_is_clear_it_is_black(tmp_path, name):
    if name.endswith("avif") and not features.check("avif"):
        pytest.skip("Pillow writes no AVIF here")
    picture = astronaut(200, 160)
    one = Frame(picture, 0, 0, Fraction(1, 25), instances=people(picture, (80, 60, 140, 150)))
    replaced(clear_left(tmp_path / name)).paint(one)
    luma = samples(one.image)[0]
    assert (luma[:50, :60] <= 17).all()
    assert (luma[:50, -60:] >= 233).all()


def test_a_phones_picture_in_tiles_is_put_together_and_turned(tmp_path):
    stored = np.full((120, 160, 3), 40, np.uint8)
    stored[:, 80:] = 200  # the right half, which is above once it is turned
    path = tiled(tmp_path / "phone.HEIC", stored, (64, 64), turned=1)
    picture = astronaut(200, 160)
    one = Frame(picture, 0, 0, Fraction(1, 25), instances=people(picture, (80, 60, 140, 150)))
    replaced(path).paint(one)
    luma = samples(one.image)[0]
    assert abs(int(luma[5, 5]) - 188) < 9 and abs(int(luma[-5, 5]) - 50) < 9
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(UsageError, match="cannot be read as a picture"):
        replaced(path)


@pytest.mark.parametrize("ending", ["apng", "png", "gif", "webp", "avif"])
def test_an_animation_plays_as_a_video_does_and_a_still_of_its_kind_stands(tmp_path, ending):
    if ending == "avif" and not features.check("avif"):
        pytest.skip("Pillow writes no AVIF here")
    greys = [Image.new("RGB", (64, 48), (level,) * 3) for level in (40, 120, 200)]
    form = {"apng": "png"}.get(ending, ending)
    still, moving = tmp_path / f"still.{ending}", tmp_path / f"moving.{ending}"
    greys[2].save(still, form)
    greys[0].save(moving, form, save_all=True, append_images=greys[1:], duration=[200, 400, 200])
    (stands, plays), levels = (replaced(still), replaced(moving)), []
    for tenth in range(20):
        assert abs(shown(stands, tenth / 10) - shown(stands, 0)) < 1
        levels.append(round((shown(plays, tenth / 10) - 50) / 69))
    once = [0, 0, 1, 1, 1, 1, 2, 2]
    assert levels == (once * 3)[:20]
    assert round((shown(plays, 0.5) - 50) / 69) == 1, "it goes back"
    stands.close()
    plays.close()


def test_a_turned_background_is_black_where_it_is_clear(tmp_path):
    values = np.full((48, 64, 4), 255, np.uint8)
    values[:, :32, 3] = 0
    notes = Image.Exif()
    notes[274] = 2  # left and right are exchanged
    Image.fromarray(values, "RGBA").save(tmp_path / "b.png", exif=notes)
    picture = astronaut(200, 160)
    one = Frame(picture, 0, 0, Fraction(1, 25), instances=people(picture, (80, 60, 140, 150)))
    replaced(tmp_path / "b.png").paint(one)
    luma = samples(one.image)[0]
    assert (luma[:50, :60] >= 234).all() and (luma[:50, -60:] <= 17).all()
