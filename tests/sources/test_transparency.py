"""Where a film is clear is read with it, kept where a file can hold it, and else said."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from stream import VideoWriter, process
from stream import open as open_video
from stream.compositing.painter import Painter
from stream.compositing.style import Style
from stream.errors import UsageError
from stream.frame import Frame
from stream.instances import Instances
from stream.pictures.colour_tags import ColourTags
from stream.pictures.pixels import plane_view
from stream.sinks.images import ImageSink
from stream.sinks.video import VideoSink
from stream.sources._cropping import Crop
from stream.sources._pixels import Orientation, Upright
from stream.sources.file import FileSource
from tests import tiny_models
from tests.media import make_clip, make_picture
from tests.scenes import instances_of
from tests.sinks.running import info, run
from tests.sinks.test_alpha import TIMES, matte, write

KINDS = [
    (".webm", None, 12),
    (".webm", "libvpx", 12),
    (".mkv", None, 0),
    (".mov", None, 2),
    (".mov", "png", 0),
    (".mov", "qtrle", 0),
]
"""Ending, codec, and how far a sample of opacity may be off in the mean."""


def film(tmp_path, ending=".mkv", codec=None, **how):
    path = tmp_path / f"in{ending}"
    write(path, codec=codec, **how)
    return path


def frames_of(path, **cut):
    with FileSource(path, **cut) as source:
        return [item for item in source if isinstance(item, Frame)], source


def off(frame, wanted):
    return np.abs(frame.alpha.astype(int) - wanted.astype(int)).mean()


@pytest.mark.parametrize(("ending", "codec", "most"), KINDS)
def test_it_is_read_with_each_picture(tmp_path, ending, codec, most):
    frames, source = frames_of(film(tmp_path, ending, codec))
    assert source.info.alpha
    assert [round(one.pts * one.time_base * 25) for one in frames] == TIMES
    for index, one in enumerate(frames):
        assert off(one, matte(index)) <= most
        assert not any(c.is_alpha for c in one.image.format.components)
    assert not [one for one in source.remarks if "transparency" in one]


@pytest.mark.parametrize("ending", [".webm", ".mkv"])
def test_a_part_of_a_film_has_its_own(tmp_path, ending):
    frames, _ = frames_of(film(tmp_path, ending), start=0.3, end=0.5)
    assert len(frames) == 2
    for index, one in zip((3, 4), frames, strict=True):
        assert off(one, matte(index)) <= 12
        assert off(one, matte(index)) < off(one, matte(index - 1))


@pytest.mark.parametrize("codec", [None, "libvpx"])
def test_what_the_container_says_of_colours_holds_for_the_decoder_of_clear_parts(tmp_path, codec):
    path, tags = tmp_path / "in.webm", ColourTags(9, 16, 9, full_range=False)
    described = info(width=96, height=64, pixel_format="yuv420p", alpha=True, colour=tags)
    with VideoSink(path, described, codec=codec) as sink:
        for index in range(2):
            picture = make_picture(index, 96, 64, "yuv420p")
            sink.write(Frame(picture, index, index, Fraction(1, 25), 1, alpha=matte(index)))
    frames, source = frames_of(path)
    assert source.info.alpha and source.info.colour == tags
    assert [(one.image.color_primaries, one.image.color_trc) for one in frames] == [(9, 16)] * 2


def test_pictures_of_deeper_samples_have_it_in_eight_bits(tmp_path):
    frames, _ = frames_of(film(tmp_path, ".mkv", pixel_format="yuv422p10le"))
    assert [off(one, matte(index)) for index, one in enumerate(frames)] == [0] * 6


@pytest.mark.parametrize(("turns", "mirrored"), [(1, False), (2, False), (3, True), (0, True)])
def test_it_stands_as_the_picture_does(turns, mirrored):
    whole = np.full((64, 96, 4), 220, np.uint8)
    whole[:16, :32, :3], whole[:16, :32, 3] = 20, 0
    picture = av.VideoFrame.from_ndarray(whole, format="rgba")
    upright = Upright(picture, Crop(left=8, bottom=8))
    upright.orientation = Orientation(turns, mirrored)
    if turns % 2:
        upright.width, upright.height = upright.height, upright.width
    shown, opacity = upright(picture), upright.opacity(picture)
    assert opacity.shape == (shown.height, shown.width)
    assert np.array_equal(opacity == 0, plane_view(shown.planes[0]) < 100)


def test_bars_beside_a_picture_of_another_shape_are_clear():
    first, later = (
        av.VideoFrame.from_ndarray(np.full((high, wide, 4), 200, np.uint8), format="rgba")
        for high, wide in ((64, 96), (96, 64))
    )
    opacity = Upright(first).opacity(later)
    assert opacity.shape == (64, 96)
    assert set(np.unique(opacity)) == {0, 200}
    assert (opacity[:, 48] == 200).all()
    assert not opacity[:, :20].any() and not opacity[:, -20:].any()


def test_a_place_for_it_without_a_use_is_left_out(tmp_path):
    path = tmp_path / "in.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("qtrle", rate=25, width=96, height=64, pix_fmt="argb")
        for clear in (False, False, True):
            whole = np.full((64, 96, 4), 255, np.uint8)
            whole[:16, :16, 3] = 0 if clear else 255
            picture = av.VideoFrame.from_ndarray(whole, format="rgba").reformat(format="argb")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    frames, source = frames_of(path, limit=2)
    assert not source.info.alpha and frames[0].alpha is None
    assert not [one for one in source.remarks if "transparency" in one]
    frames, source = frames_of(path)
    assert frames[2].alpha is None
    (said,) = [one for one in source.remarks if "transparency" in one]
    assert "begins after the first picture" in said


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (".webm", None),
        (".mp4", "dropped"),
        (".avi", "dropped"),
        (".mov", "takes the encoder prores_ks; --codec libx264 leaves it out"),
        (".mkv", "takes the encoder ffv1; --codec libx264 leaves it out"),
    ],
)
def test_an_output_keeps_it_or_says_why_not(tmp_path, ending, said):
    done = run(film(tmp_path), tmp_path / f"out{ending}")
    # Another says in which samples an encoder keeps it.
    remarks = [one for one in done.remarks if "transparency" in one and "does not take" not in one]
    assert len(remarks) == (said is not None)
    assert said is None or said in remarks[0]
    frames, _ = frames_of(tmp_path / f"out{ending}")
    if said == "dropped":
        assert all(one.alpha is None for one in frames)
    else:
        assert max(off(one, matte(index)) for index, one in enumerate(frames)) <= 12


def test_a_codec_that_holds_none_is_the_users_choice(tmp_path):
    done = run(film(tmp_path), tmp_path / "out.mov", codec="libx264")
    (said,) = [one for one in done.remarks if "transparency" in one]
    assert "dropped" in said and "with the codec libx264" in said


@pytest.mark.parametrize("ending", [".png", ".tif", ".webp", ".jpg"])
def test_pictures_of_a_film_keep_it(tmp_path, ending):
    frames, _ = frames_of(film(tmp_path))
    with ImageSink(tmp_path / "out" / f"%d{ending}") as sink:
        for one in frames:
            sink.write(one)
    if ending == ".jpg":
        (said,) = sink.remarks
        assert "0.jpg and 5 more" in said and "transparency is dropped" in said
    else:
        assert not sink.remarks
        again = cv2.imread(str(tmp_path / "out" / f"5{ending}"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(again[..., 3], matte(5))


def painted(look, alpha, **style):
    mask = np.zeros((120, 160), np.uint8)
    mask[40:90, 30:80] = 1
    picture = make_picture(0, 160, 120, "yuv420p")
    instances = instances_of(mask)
    frame = Frame(picture, 0, 0, 1, instances=instances, alpha=alpha)
    Painter(look, Style(**style), timing=False).paint(frame)
    return frame


def half():
    """The left half clear, the right one not."""
    alpha = np.zeros((120, 160), np.uint8)
    alpha[:, 80:] = 200
    return alpha


@pytest.mark.parametrize("look", ["fill", "contour", "blur", "grey", "dim", "pixelate", "hide"])
def test_effects_leave_it_as_it_is(look):
    alpha = half()
    assert np.array_equal(painted(look, alpha).alpha, half())
    assert np.array_equal(alpha, half())


@pytest.mark.parametrize("look", ["labels", "boxes", "overlay", "fill+boxes"])
def test_text_and_lines_are_seen_in_clear_parts_too(look):
    alpha = half()
    shown = painted(look, alpha).alpha
    assert np.array_equal(alpha, half())
    assert set(np.unique(shown)) == {0, 200, 255}
    assert 0 < (shown[:, :80] == 255).mean() < 0.5


@pytest.mark.parametrize("look", ["binary", "instances", "replace"])
def test_looks_of_which_each_pixel_is_their_own_are_opaque(look):
    assert painted(look, half()).alpha is None


def test_an_object_is_cut_out_of_what_is_there():
    alone, both = painted("cutout", None).alpha, painted("cutout", half()).alpha
    assert alone[60, 50] == 255 and both[60, 50] == 0
    wanted = np.rint(alone * (half() / 255)).astype(np.uint8)
    # Beside what is clear the object's edge is drawn by what is seen, which ends there.
    assert np.array_equal(both[:, 84:], wanted[:, 84:]) and not both[:, :80].any()
    assert np.abs(both.astype(int) - wanted).mean() < 1


def test_mirrored_pictures_have_it_mirrored():
    picture = make_picture(0, 160, 120, "yuv420p")
    frame = Frame(picture, 0, 0, 1, instances=Instances.empty((), (120, 160)), alpha=half())
    Painter("fill", timing=False, mirror=True).paint(frame)
    assert np.array_equal(frame.alpha, half()[:, ::-1])


def test_a_run_keeps_it_from_end_to_end(tmp_path):
    original = film(tmp_path, ".webm")
    model = str(tiny_models.bright(tmp_path / "bright.onnx", 100))
    kept = process(original, tmp_path / "out.webm", look="fill", model=model)
    assert not [one for one in kept.remarks if "transparency" in one]
    assert max(off(one, matte(i)) for i, one in enumerate(frames_of(tmp_path / "out.webm")[0])) < 12
    lost = process(original, tmp_path / "out.mp4", model=model)
    assert [one for one in lost.remarks if "transparency is dropped, as" in one]
    binary = process(original, tmp_path / "binary.webm", look="binary", model=model)
    assert not [one for one in binary.remarks if "transparency" in one]


def test_programs_get_it_and_write_it(tmp_path):
    original = film(tmp_path, ".mkv")
    model = str(tiny_models.nothing(tmp_path / "nothing.onnx"))
    with (
        open_video(original, model=model) as video,
        VideoWriter(tmp_path / "kept.mkv") as kept,
        VideoWriter(tmp_path / "lost.mp4") as lost,
    ):
        for index, one in enumerate(video):
            assert np.array_equal(one.alpha, matte(index))
            kept.write(one)
            lost.write(one)
    assert all(
        np.array_equal(one.alpha, matte(index))
        for index, one in enumerate(frames_of(tmp_path / "kept.mkv")[0])
    )
    assert any("transparency is dropped" in one for one in lost.remarks)
    with (
        pytest.raises(UsageError, match="holds no transparency"),
        VideoWriter(tmp_path / "asked.mp4") as asked,
    ):
        asked.write(np.zeros((64, 96, 4), np.uint8))


def test_a_film_without_pays_nothing_for_it(tmp_path):
    frames, source = frames_of(make_clip(tmp_path / "in.webm", codec="libvpx-vp9"))
    assert not source.info.alpha
    assert all(one.alpha is None for one in frames)
    assert plane_view(frames[0].image.planes[0]).any()
