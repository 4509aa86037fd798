"""What goes into an output beside the frames is as much hidden as the frames are."""

from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from stream import sinks
from stream.compositing.layer import LAYERS
from stream.frame import Frame
from stream.pictures.colour_tags import ColourTags
from stream.pictures.pixels import picture_from_bgr
from stream.run.opening import make_painter, open_sink, suited, without_lost
from stream.run.outputs import open_output
from stream.run.plan import OutputPlan
from stream.settings.options import OutputOptions, PictureOptions
from stream.sources.file import FileSource
from tests import media
from tests.sinks.running import info
from tests.sinks.test_exif import MAKER, THUMBNAIL, exif_of

WHERE = "the photo says where it was taken (GPS), and so does what is written"
HIDE = {"hide", "pixelate", "blur", "replace", "cutout", "binary", "instances"}


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A film with a cover, a further video and a text beside it."""
    path = tmp_path_factory.mktemp("film") / "in.mkv"
    _, cover = cv2.imencode(".jpg", np.zeros((48, 32, 3), np.uint8))
    with av.open(str(path), "w") as container:
        container.metadata["location"] = "+51.5335-000.1261/"
        streams = [container.add_stream("libx264", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.add_attachment("cover.jpg", "image/jpeg", cover.tobytes())
        container.add_attachment("words.txt", "text/plain", b"words")
        container.add_attachment("poster", "image/x-unknown", b"a picture, of a kind")
        container.add_attachment("folder.heic", "application/octet-stream", b"likewise")
        for index in range(3):
            for stream in streams:
                picture = media.make_picture(index, 64, 48, "yuv420p")
                picture.pts, picture.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(picture))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("look", ["overlay", *LAYERS.names(), "boxes+hide", "blur+labels"])
def test_where_something_is_hidden_no_other_picture_of_it_goes_along(film, tmp_path, look):
    out = tmp_path / "out.mkv"
    kind = sinks.find(str(out))
    with FileSource(film) as source:
        picture = PictureOptions(look=look)
        painter = make_painter(picture, source.info)
        told, said = without_lost(kind, str(out), source.info, OutputOptions(), painter)
        with open_sink(kind, str(out), told, OutputOptions(), painter) as sink:
            for item in source:
                if isinstance(item, Frame):
                    painter.paint(item)
                sink.write(item)
    hides = not HIDE.isdisjoint(look.split("+"))
    with av.open(str(out)) as container:
        names = [one.name for one in container.streams.attachments]
        assert names == (["words.txt"] if hides else ["words.txt", "poster", "folder.heic"])
        assert len(container.streams.video) == (1 if hides else 3)
    assert len(said) == (3 if hides else 0)
    assert not hides or ("3 cover" in said[0] and "video" in said[1] and "where" in said[2])


@pytest.mark.parametrize("look", ["overlay", "boxes", "hide", "pixelate", "blur", "replace"])
def test_no_photo_keeps_a_thumbnail_nor_a_hidden_one_a_makers_preview(tmp_path, look):
    if not hasattr(cv2, "imencodeWithMetadata"):
        pytest.skip("this OpenCV writes no metadata")
    pixels = np.full((48, 64, 3), 90, np.uint8)
    notes = [np.frombuffer(exif_of("<"), np.uint8)]
    _, data = cv2.imencodeWithMetadata(".jpg", pixels, [cv2.IMAGE_METADATA_EXIF], notes)
    (tmp_path / "in.jpg").write_bytes(data.tobytes())
    for ending in (".jpg", ".png", ".webp"):
        out = tmp_path / f"out{ending}"
        plan = OutputPlan(str(out), PictureOptions(look=look, timing=False))
        output = open_output(plan, info(pictures=(tmp_path / "in.jpg",), width=64, height=48))
        output.sink.write(Frame(picture_from_bgr(pixels), 0, 0, Fraction(1)))
        output.sink.close()
        written = out.read_bytes()
        assert THUMBNAIL not in written, ending
        assert (MAKER in written) == (look in {"overlay", "boxes"}), ending
        assert b"Camera" in written, ending
        (said,) = output.sink.remarks or [""]
        hides = look not in {"overlay", "boxes"}
        assert said == (f"out{ending}: {WHERE}" if hides else "")


@pytest.mark.parametrize(("form", "grey"), [("gray", True), ("gray10le", True), ("yuv420p", False)])
def test_a_grey_film_gets_chroma_where_what_is_painted_has_colours(tmp_path, form, grey):
    out, how = str(tmp_path / "out.mkv"), OutputOptions()
    about = replace(info(), pixel_format=form, colour=ColourTags(matrix=0))
    for look, colours in {
        "overlay": True,
        "blur+labels": True,
        "instances": True,
        "replace": False,
        "blur": False,
        "binary": False,
    }.items():
        painter = make_painter(PictureOptions(look=look), about)
        _, said = without_lost(sinks.find(out), out, about, how, painter)
        assert any("the film is grey" in one for one in said) == (grey and colours), look
        painted, _ = suited(sinks.find(out), out, about, how, painter)
        gets = grey and colours
        assert painted.pixel_format == (form.replace("gray", "yuv420p") if gets else form), look
        assert painted.colour == (ColourTags(full_range=True) if gets else about.colour), look
    green = make_painter(PictureOptions(look="replace", background="00FF00"), about)
    numbers = make_painter(PictureOptions(look="instances", identities=True), about)
    assert green.coloured and not numbers.coloured
