"""Identities as 16-bit values come out of files as they were painted."""

import av
import cv2
import numpy as np
import pytest

from stream.errors import UsageError
from stream.pictures.pixels import picture_from_bgr, plane_view
from stream.run.outputs import open_output
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.run.setup import check
from stream.settings.options import OutputOptions, PictureOptions
from tests.compositing.pictures import astronaut, frame, people
from tests.sinks.running import info

NUMBERS = PictureOptions(look="instances", identities=True)


def written(target, picture=None, count=3, **described):
    """The values that were to be written, of frames in which an object goes to the right."""
    about = info(width=200, height=160, **described)
    output = open_output(OutputPlan(str(target), NUMBERS), about)
    expected = []
    for index in range(count):
        image = astronaut() if picture is None else picture
        found = people(image, (10 + 30 * index, 20, 80 + 30 * index, 140), tracks=[700 + index])
        one = frame(image, found)
        one.index, one.pts = index, index * 2
        output.painter.paint(one)
        output.sink.write(one)
        expected.append(np.where(found.full_masks()[0], 700 + index, 0))
    output.sink.close()
    return expected


def test_matroska_keeps_values_and_times(tmp_path):
    expected = written(tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        stream = container.streams.video[0]
        found = [
            (plane_view(one.planes[0], 16).copy(), one.time) for one in container.decode(stream)
        ]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("ffv1", "gray16le")
    assert [time for _, time in found] == pytest.approx([0, 0.08, 0.16])
    for (values, _), wanted in zip(found, expected, strict=True):
        assert np.array_equal(values, wanted)


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_a_photo_keeps_values(tmp_path, ending):
    photo = picture_from_bgr(np.zeros((160, 200, 3), np.uint8))
    (expected,) = written(tmp_path / f"out{ending}", photo, count=1, pixel_format="yuv444p10le")
    found = cv2.imread(str(tmp_path / f"out{ending}"), cv2.IMREAD_UNCHANGED)
    assert found.dtype == np.uint16 and np.array_equal(found, expected)


def test_a_folder_has_png_of_them(tmp_path):
    expected = written(f"{tmp_path}/out/")
    for index, wanted in enumerate(expected):
        found = cv2.imread(str(tmp_path / "out" / f"{index:06d}.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize(
    ("target", "codec"),
    [("out.mp4", None), ("out.mkv", "libx264"), ("out.webm", None), ("out.jpg", None)],
)
def test_what_does_not_keep_them_is_refused_in_a_sentence(tmp_path, target, codec):
    output = OutputPlan(str(tmp_path / target), NUMBERS, OutputOptions(codec=codec))
    words = r"does not keep the 16-bit values of identities exactly.*; \.mkv \(FFV1\), \.png"
    with pytest.raises(UsageError, match=words):
        check(RunPlan(SourcePlan("pattern"), (output,)))
