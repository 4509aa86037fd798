"""Transparency comes out of files as it went in, at its times, with the sound."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from shutil import which

import av
import numpy as np
import pytest
from PIL import Image

from stream.compositing import Painter
from stream.errors import UsageError
from stream.frame import Frame
from stream.instances import Instances
from stream.pictures.pixels import picture_from_bgr, plane_view
from stream.settings.options import OutputOptions
from stream.sinks.images import ALPHA_ENDINGS, ImageSink
from stream.sinks.video import VideoSink
from stream.sources.file import FileSource
from tests import media
from tests.media import make_clip, make_picture
from tests.sinks.running import info

TIMES = [0, 3, 4, 9, 10, 17]


def matte(index, width=96, height=64):
    """A soft disc that goes to the right."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.clip(127 - 40 * (np.hypot(x - 30 - 5 * index, y - 32) - 18), 0, 255).astype(np.uint8)


def write(path, pixel_format="yuv420p", count=6, size=(96, 64), codec=None):
    described = info(width=size[0], height=size[1], pixel_format=pixel_format, alpha=True)
    with VideoSink(path, described, codec=codec) as sink:
        for index, pts in enumerate(TIMES[:count]):
            picture = make_picture(index, *size, pixel_format)
            sink.write(Frame(picture, index, pts, Fraction(1, 25), 1, alpha=matte(index, *size)))
    return sink


def read(path):
    """Pictures with their transparency; FFmpeg's own VP9 leaves it out, libvpx does not."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        name = {"vp9": "libvpx-vp9", "vp8": "libvpx"}.get(stream.codec_context.codec.name)
        decoder = av.CodecContext.create(name, "r") if name else stream.codec_context
        return [
            (one, one.pts * stream.time_base)
            for packet in container.demux(stream)
            for one in decoder.decode(packet)
        ]


def opacity(picture):
    if picture.format.name in ("rgba", "argb"):
        channel = 3 if picture.format.name == "rgba" else 0
        return picture.to_ndarray(format="rgba")[..., 3] if channel == 3 else _argb(picture)
    depth = picture.format.components[0].bits
    samples = plane_view(picture.planes[3], depth).astype(float)
    return np.rint(samples * 255 / ((1 << depth) - 1)).astype(np.uint8)


def _argb(picture):
    return plane_view(picture.planes[0], channels=4)[..., 0]


LOSSLESS = [
    (".mkv", None, "yuv420p"),
    (".mkv", None, "yuv422p10le"),
    (".mkv", None, "yuvj420p"),
    (".mkv", None, "gray"),
    (".mov", None, "yuv420p"),
    (".mov", None, "yuv444p10le"),
    (".mov", "png", "yuv420p"),
    (".mov", "qtrle", "yuv420p"),
]


@pytest.mark.parametrize(("ending", "codec", "pixel_format"), LOSSLESS)
def test_opacity_is_kept_exactly_where_the_encoder_loses_nothing(
    tmp_path, ending, codec, pixel_format
):
    write(tmp_path / f"out{ending}", pixel_format, codec=codec)
    found = read(tmp_path / f"out{ending}")
    assert [time for _, time in found] == [Fraction(pts, 25) for pts in TIMES]
    for index, (picture, _) in enumerate(found):
        assert np.array_equal(opacity(picture), matte(index))


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv422p10le"])
def test_colours_lie_beside_the_opacity_bit_for_bit(tmp_path, pixel_format):
    sink = write(tmp_path / "out.mkv", pixel_format)
    assert sink.remarks == []
    for index, (picture, _) in enumerate(read(tmp_path / "out.mkv")):
        original = make_picture(index, 96, 64, pixel_format)
        assert picture.color_range == (2 if "j" in pixel_format else 0)
        for before, after in zip(media.planes(original), media.planes(picture), strict=False):
            assert np.array_equal(before, after)


@pytest.mark.parametrize("codec", [None, "vp8"])
def test_webm_keeps_opacity_as_nearly_as_its_codec(tmp_path, codec):
    write(tmp_path / "out.webm", codec=codec)
    found = read(tmp_path / "out.webm")
    assert [time for _, time in found] == [Fraction(pts, 25) for pts in TIMES]
    for index, (picture, _) in enumerate(found):
        assert picture.format.name == "yuva420p"
        error = np.abs(opacity(picture).astype(int) - matte(index))
        assert error.mean() < 1.5 and np.percentile(error, 99) < 24


@pytest.mark.parametrize(("ending", "odd"), [(".webm", (63, 47)), (".mov", (63, 47))])
def test_odd_sizes_keep_it(tmp_path, ending, odd):
    write(tmp_path / f"out{ending}", count=2, size=odd)
    picture, _ = read(tmp_path / f"out{ending}")[0]
    assert (picture.width, picture.height) == odd
    assert np.abs(opacity(picture).astype(int) - matte(0, *odd)).mean() < 1.5


def test_a_frame_of_another_size_is_fitted_with_its_opacity(tmp_path):
    described = info(width=96, height=64, alpha=True)
    with VideoSink(tmp_path / "out.mkv", described) as sink:
        for index, alpha in enumerate((matte(0), np.full((64, 64), 255, np.uint8), None)):
            size = (96, 64) if alpha is None else alpha.shape[::-1]
            picture = make_picture(index, *size, "yuv420p")
            sink.write(Frame(picture, index, index, Fraction(1, 25), 1, alpha=alpha))
    first, second, third = (opacity(one) for one, _ in read(tmp_path / "out.mkv"))
    assert np.array_equal(first, matte(0))
    assert (second[:, 18:78] == 255).all() and not second[:, :14].any()
    assert (third == 255).all()


@pytest.mark.parametrize("ending", [".webm", ".mov", ".mkv"])
def test_sound_comes_along(tmp_path, ending):
    original = make_clip(tmp_path / "in.mp4", frames=25, audio="aac")
    with FileSource(original) as source:
        described = info(
            copied=source.info.copied,
            time_base=source.info.time_base,
            alpha=True,
        )
        with VideoSink(tmp_path / f"out{ending}", described) as sink:
            for item in source:
                if isinstance(item, Frame):
                    item.alpha = matte(item.index, 64, 48)
                sink.write(item)
    with av.open(str(tmp_path / f"out{ending}")) as container:
        sound = container.streams.audio[0]
        heard = sum(one.samples / one.sample_rate for one in container.decode(sound))
    assert heard == pytest.approx(1, abs=0.1)
    assert len(read(tmp_path / f"out{ending}")) == 25


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("out.mp4", {}, r"out.mp4 holds no transparency.*\.mov, \.mkv, \.webm, \.png and \.webp"),
        ("out.avi", {"codec": "ffv1"}, "holds no transparency"),
        ("out.ts", {}, "holds no transparency"),
        ("out.mkv", {"codec": "libx264"}, r"which libx264 does not.* for ffv1, or choose"),
        ("out.mov", {"crf": 70.0}, "--crf of prores_ks goes from 0 to 64, not 70"),
        ("out.webm", {"codec": "ffv1"}, "do not hold what ffv1 encodes"),
    ],
)
def test_what_holds_no_transparency_is_refused_in_a_sentence(target, options, words):
    with pytest.raises(UsageError, match=words) as refused:
        VideoSink.check_alpha(target, OutputOptions(**options))
    assert str(refused.value).count(". ") == 0


@pytest.mark.parametrize("target", ["out.jpg", "out.bmp", "out.ppm"])
def test_pictures_that_hold_none_are_refused(target):
    with pytest.raises(UsageError, match=r"\.png, \.webp and \.tif do"):
        ImageSink.check_alpha(target, OutputOptions())


@pytest.mark.parametrize("ending", [".png", ".webp", ".tif"])
def test_a_photo_keeps_colours_and_opacity_exactly(tmp_path, ending):
    pixels = np.random.default_rng(3).integers(0, 256, (64, 96, 3), np.uint8)
    alpha = matte(1)
    with ImageSink(tmp_path / f"out{ending}", kept=ALPHA_ENDINGS) as sink:
        sink.write(Frame(picture_from_bgr(pixels), 0, 0, Fraction(1), alpha=alpha))
    # OpenCV multiplies a TIFF's colours by its opacity.
    with Image.open(tmp_path / f"out{ending}") as picture:
        found = np.asarray(picture)
    assert np.array_equal(found[..., 3], alpha)
    assert np.array_equal(found[alpha > 0][:, 2::-1], pixels[alpha > 0])


def test_in_a_folder_photos_of_other_kinds_become_png(tmp_path):
    sources = [tmp_path / name for name in ("a.jpg", "b.webp")]
    with ImageSink(tmp_path / "out", sources, kept=ALPHA_ENDINGS) as sink:
        for index in range(2):
            picture = picture_from_bgr(np.zeros((64, 96, 3), np.uint8))
            sink.write(Frame(picture, index, index, Fraction(1), alpha=matte(index)))
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["a.png", "b.webp"]


@pytest.mark.skipif(which("ffprobe") is None, reason="there is no ffprobe here")
@pytest.mark.parametrize(
    ("ending", "codec", "words"),
    [(".webm", "vp9", "TAG:ALPHA_MODE=1"), (".mov", "prores", "pix_fmt=yuva444p1")],
)
def test_ffprobe_opens_it(tmp_path, ending, codec, words):
    write(tmp_path / f"out{ending}", count=2)
    entries = "stream=codec_name,pix_fmt,profile:stream_tags=alpha_mode"
    command = ["ffprobe", "-v", "error", "-show_entries", entries, tmp_path / f"out{ending}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not done.stderr
    assert f"codec_name={codec}" in done.stdout and words in done.stdout


def on(background, path, size=(160, 120)):
    """The first picture of a file as FFmpeg's command puts it on a colour, RGB."""
    decoder = ["-c:v", "libvpx-vp9"] if path.suffix == ".webm" else []
    plate = f"color={background}:s={size[0]}x{size[1]},format=rgba"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", plate, *decoder, "-i", path]
    command += ["-filter_complex", "[1:v]format=rgba[a];[0:v][a]overlay=format=rgb"]
    command += ["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(size[1], size[0], 3).astype(int)


@pytest.mark.skipif(which("ffmpeg") is None, reason="there is no ffmpeg here")
@pytest.mark.parametrize(("ending", "off"), [(".mkv", 8), (".mov", 12), (".webm", 40)])
def test_what_is_cut_out_stands_on_any_background_without_a_rim(tmp_path, ending, off):
    y, x = np.mgrid[:120, :160] + 0.5
    share = np.clip(30.5 - np.hypot(x - 80, y - 60), 0, 1)[..., None]
    bgr = np.rint(share * (30, 30, 200) + (1 - share) * (20, 190, 20)).astype(np.uint8)
    mask = np.clip(0.5 + (28 - np.hypot(*(np.mgrid[:56, :56] - 27.5))) / 4, 0, 1)
    found = Instances(
        boxes=np.array([[50, 30, 110, 90]], np.float32),
        scores=np.ones(1, np.float32),
        labels=np.zeros(1, np.int64),
        masks=mask[None].astype(np.float32),
        class_names=("ball",),
        picture_size=(120, 160),
    )
    picture = picture_from_bgr(bgr).reformat(format="yuv444p", dst_color_range="MPEG")
    frame = Frame(picture, 0, 0, Fraction(1, 25), instances=found)
    Painter("cutout", timing=False).paint(frame)
    described = info(width=160, height=120, pixel_format="yuv444p", alpha=True)
    path = tmp_path / f"out{ending}"
    with VideoSink(path, described) as sink:
        sink.write(frame)
    black, white = on("black", path), on("white", path)
    inside, outside = share[..., 0] == 1, np.hypot(x - 80, y - 60) > 42
    assert np.abs(black[inside].mean(axis=0) - (200, 30, 30)).max() < off
    assert np.abs(white[inside] - black[inside]).mean() < off
    assert black[outside].mean() < 2 and white[outside].mean() > 253
    # Of the green that was behind nothing is left, least of all at the edge.
    for shown in (black, white):
        assert (shown[..., 1] - shown[..., 2]).max() < off
