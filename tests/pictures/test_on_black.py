"""What is clear lies on black where a file holds no opacity, in every format, and to the model."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from stream import open as open_video
from stream.frame import Frame
from stream.pictures.on_black import on_black
from stream.pictures.pixels import bgr_from_picture, picture_from_bgr, plane_view
from stream.serve.pictures import jpeg_of, png_of, video_of
from stream.sinks.animation import AnimationSink
from stream.sinks.images import ImageSink
from stream.sources.file import FileSource
from tests import tiny_models
from tests.sinks.running import info, run

HIDDEN, SHOWN = (220, 60, 200), (40, 200, 30)
"""Blue, green, red: below what is clear, and of what is seen."""


def drawn(height=48, width=64):
    """Clear on the left, half clear in the middle, opaque on the right: colours and opacity."""
    pixels = np.full((height, width, 3), HIDDEN, np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    pixels[:, 24:] = SHOWN
    alpha[:, 24:40], alpha[:, 40:] = 128, 255
    return pixels, alpha


def frame_of(pixels, alpha, index=0):
    return Frame(picture_from_bgr(pixels), index, index, Fraction(1, 25), 1, alpha=alpha)


def film(path, codec, pixel_format, opaque=0):
    """Pictures of colours below what is clear, the first few of them opaque."""
    with av.open(str(path), "w") as made:
        stream = made.add_stream(codec, rate=25, width=64, height=48, pix_fmt=pixel_format)
        if path.suffix == ".webm":
            stream.metadata["alpha_mode"] = "1"
        for index in range(4):
            pixels, alpha = drawn()
            alpha = np.full_like(alpha, 255) if index < opaque else alpha
            whole = np.dstack([pixels, alpha])
            picture = av.VideoFrame.from_ndarray(whole, format="bgra").reformat(format=pixel_format)
            picture.pts, picture.time_base = index, Fraction(1, 25)
            made.mux(stream.encode(picture))
        made.mux(stream.encode(None))
    return path


def check(pixels, most, what=""):
    """That colours are those of `drawn` on black, within `most` in the mean of each part."""
    for columns, share in ((slice(2, 22), 0), (slice(26, 38), 128 / 255), (slice(42, 62), 1)):
        mean = pixels[2:-2, columns].reshape(-1, 3).mean(0)
        assert np.abs(mean - share * np.array(SHOWN)).max() <= most, (what, columns, mean)


def test_each_format_is_mixed_in_its_own_range():
    for name in ("yuv444p", "yuv420p", "yuvj422p", "yuv410p", "yuv420p10le", "yuv444p16le"):
        for size in ((48, 64), (47, 63)):
            pixels, alpha = drawn(*size)
            whole = av.VideoFrame.from_ndarray(pixels, format="bgr24").reformat(format=name)
            before = [bytes(plane) for plane in whole.planes]
            made = on_black(whole, alpha)
            assert made.format.name == name
            assert [bytes(plane) for plane in whole.planes] == before
            # Where chroma is shared by many pixels, what is clear tinges its neighbours.
            check(bgr_from_picture(made), 12 if name == "yuv410p" else 4, f"{name} {size}")


def test_grey_is_full_unless_it_says_otherwise():
    for tag, black in ((0, 0), (2, 0), (1, 16)):
        picture = av.VideoFrame.from_ndarray(np.full((48, 64), 200, np.uint8), format="gray")
        picture.color_range = tag
        shown = plane_view(on_black(picture, drawn()[1]).planes[0])
        assert (shown[0, 0], shown[0, -1]) == (black, 200)


def test_what_is_opaque_stays_bit_for_bit():
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (48, 64, 3), np.uint8)
    picture, alpha = picture_from_bgr(pixels), drawn()[1]
    assert np.array_equal(bgr_from_picture(on_black(picture, alpha))[:, 40:], pixels[:, 40:])
    assert on_black(picture, None) is picture
    assert on_black(picture, np.full_like(alpha, 255)) is picture
    frame = frame_of(*drawn())
    assert frame.seen() is not frame.image and (frame.seen().pts, frame.pts) == (frame.image.pts, 0)


FILMS = [
    (".mkv", "ffv1", "yuva420p"),
    (".mkv", "ffv1", "bgra"),
    (".mov", "prores_ks", "yuva444p10le"),
    (".mov", "qtrle", "argb"),
    (".webm", "libvpx-vp9", "yuva420p"),
    (".apng", "apng", "rgba"),
]


@pytest.mark.parametrize(("ending", "codec", "pixel_format"), FILMS)
def test_films_lose_what_is_below(tmp_path, ending, codec, pixel_format):
    done = run(film(tmp_path / f"in{ending}", codec, pixel_format), tmp_path / "out.mp4", crf=5)
    assert any("transparency is dropped" in one for one in done.remarks)
    with av.open(str(tmp_path / "out.mp4")) as container:
        pictures = [one.to_ndarray(format="bgr24") for one in container.decode(video=0)]
    assert len(pictures) == 4
    for one in pictures:
        check(one, 9)


def test_so_does_what_begins_after_the_first_picture(tmp_path):
    with FileSource(film(tmp_path / "in.mov", "qtrle", "argb", opaque=2)) as source:
        frames = [item for item in source if isinstance(item, Frame)]
    assert any("begins after the first picture" in one for one in source.remarks)
    assert [one.alpha for one in frames] == [None] * 4
    assert np.abs(bgr_from_picture(frames[1].image)[24, 4] - np.array(HIDDEN)).max() < 6
    for one in frames[2:]:
        check(bgr_from_picture(one.image), 4)
    assert [one.pts for one in frames] == [one.image.pts for one in frames]


def test_photos_and_other_outputs_lose_it_too(tmp_path):
    frame = frame_of(*drawn())
    for ending in (".jpg", ".bmp", ".ppm"):
        with ImageSink(tmp_path / f"out{ending}") as sink:
            sink.write(frame)
        assert any("transparency is dropped" in one for one in sink.remarks)
        check(cv2.imread(str(tmp_path / f"out{ending}")), 4, ending)
    with ImageSink(tmp_path / "out.png") as sink:
        sink.write(frame)
    kept = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(kept, np.dstack(drawn()))
    for data in (jpeg_of(frame, 480), png_of(frame)):
        check(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), 4)
    check(bgr_from_picture(video_of(frame, 480)), 4)
    with AnimationSink(tmp_path / "out.apng", info(alpha=False)) as sink:
        sink.write(frame)
    with av.open(str(tmp_path / "out.apng")) as container:
        check(next(container.decode(video=0)).to_ndarray(format="bgr24"), 4)
    assert np.array_equal(bgr_from_picture(frame.image), drawn()[0])


def test_nothing_is_found_in_what_nobody_sees(tmp_path):
    whole = np.full((48, 64, 4), (20, 20, 20, 255), np.uint8)
    whole[8:40, 4:24] = (255, 255, 255, 0)
    whole[8:40, 44:60, :3] = 255
    cv2.imwrite(str(tmp_path / "in.png"), whole)
    model = str(tiny_models.bright(tmp_path / "bright.onnx"))
    with open_video(tmp_path / "in.png", model=model) as video:
        (frame,) = list(video)
    (box,) = frame.instances.boxes
    assert np.abs(box - (44, 8, 60, 40)).max() <= 1
