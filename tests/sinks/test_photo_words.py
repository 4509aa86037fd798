"""A photo's size on paper is kept, and words that are not are named."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, IptcImagePlugin, TiffImagePlugin

from stream.frame import Frame, VideoInfo
from stream.pictures.pixels import picture_from_bgr
from stream.settings.options import OutputOptions
from stream.sinks import _xmp
from stream.sinks._photo_words import Beside, beside, with_density, with_words
from stream.sinks._tiff_notes import notes_in
from stream.sinks.images import ImageSink

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def jpeg(unit: int = 0, across: int = 1, down: int = 1, *further: tuple[int, bytes]) -> bytes:
    data = bytes(cv2.imencode(".jpg", PIXELS)[1])
    assert data[6:11] == b"JFIF\0"
    more = b"".join(
        struct.pack(">BBH", 0xFF, kind, len(content) + 2) + content for kind, content in further
    )
    return data[:13] + struct.pack(">BHH", unit, across, down) + data[18:20] + more + data[20:]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    data = bytes(cv2.imencode(".png", PIXELS)[1])
    more = b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )
    return data[:33] + more + data[33:]


def painted(tmp_path: Path, name: str, data: bytes, target: str) -> tuple[bytes, list[str]]:
    """What becomes of a photo, and what is said."""
    (tmp_path / name).write_bytes(data)
    info = VideoInfo("in", 30, 20, "bgr24", Fraction(1), pictures=(tmp_path / name,))
    with ImageSink.from_target(str(tmp_path / target), info, OutputOptions()) as sink:
        sink.write(Frame(picture_from_bgr(PIXELS), 0, 0, Fraction(1)))
    return (tmp_path / target).read_bytes(), sink.remarks


@pytest.mark.parametrize("target", ["out.jpg", "out.png"])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("inch.jpg", jpeg(1, 300, 300)),
        ("centimetre.jpg", jpeg(2, 118, 118)),
        ("metre.png", png((b"pHYs", struct.pack(">IIB", 11811, 11811, 1)))),
    ],
)
def test_the_size_on_paper_is_kept(tmp_path, target, name, data):
    """A scan of 300 dots to the inch was printed four times as large."""
    after, said = painted(tmp_path, name, data, target)
    assert said == []
    asked, told = beside(data).density, beside(after).density
    assert asked is not None and told is not None
    assert float(told[0] / asked[0]) == pytest.approx(1, abs=1e-3)
    shown = cv2.imdecode(np.frombuffer(after, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == PIXELS.shape


def test_it_is_turned_with_the_picture(tmp_path):
    lying = jpeg(1, 300, 150)
    turned = np.ascontiguousarray(np.rot90(PIXELS))
    (tmp_path / "in.jpg").write_bytes(lying)
    info = VideoInfo("in", 20, 30, "bgr24", Fraction(1), pictures=(tmp_path / "in.jpg",))
    with ImageSink.from_target(str(tmp_path / "out.jpg"), info, OutputOptions()) as sink:
        sink.write(Frame(picture_from_bgr(turned), 0, 0, Fraction(1)))
    across, down = beside((tmp_path / "out.jpg").read_bytes()).density or (0, 0)
    assert down == 2 * across


def packet(*properties: str, attributes: str = "") -> bytes:
    """XMP with properties of somebody's photo."""
    spaces = "".join(
        f' xmlns:{name}="{space}"'
        for name, space in {
            "dc": "http://purl.org/dc/elements/1.1/",
            "tiff": "http://ns.adobe.com/tiff/1.0/",
            "exif": "http://ns.adobe.com/exif/1.0/",
            "xmp": "http://ns.adobe.com/xap/1.0/",
            "xmpGImg": "http://ns.adobe.com/xap/1.0/g/img/",
            "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
            "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
        }.items()
    )
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        f'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"{spaces}>'
        f'<rdf:Description rdf:about=""{attributes}>{"".join(properties)}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


TITLE = "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Am Fluß</rdf:li></rdf:Alt></dc:title>"
PEOPLE = (
    "<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Ada</rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImage>"
)
FACES = "<mwg-rs:Regions rdf:parseType='Resource'><mwg-rs:Name>Ada</mwg-rs:Name></mwg-rs:Regions>"
UNTRUE = (
    "<xmp:Thumbnails><rdf:Alt><rdf:li><xmpGImg:image>/9j/4AAQ</xmpGImg:image></rdf:li></rdf:Alt>"
    "</xmp:Thumbnails><dc:format>image/heic</dc:format>"
)
OF_THE_FILE = ' tiff:Orientation="6" exif:PixelXDimension="4032" xmp:Rating="4" dc:source="roll 3"'


def iptc(*sets: tuple[int, int, bytes]) -> bytes:
    """Photoshop's segment of a JPEG with a record, behind a resource of another kind."""
    record = b"".join(
        struct.pack(">BBBH", 0x1C, kind, number, len(content)) + content
        for kind, number, content in sets
    )
    other = b"8BIM\x04\x0c\0\0" + struct.pack(">I", 3) + b"abc\0"
    size = struct.pack(">I", len(record))
    return b"Photoshop 3.0\0" + other + b"8BIM\x04\x04\0\0" + size + record + b"\0"


def webp(xmp: bytes) -> bytes:
    data = io.BytesIO()
    Image.fromarray(PIXELS[..., ::-1]).save(data, "webp", lossless=True, xmp=xmp)
    return data.getvalue()


@pytest.mark.parametrize("target", ["out.jpg", "out.png", "out.webp"])
def test_words_are_kept_and_what_is_untrue_now_is_not(tmp_path, target):
    given = packet(TITLE, UNTRUE, attributes=OF_THE_FILE)
    chunk = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(given)
    for name, data in {
        "in.jpg": jpeg(0, 1, 1, (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + given)),
        "in.png": png((b"iTXt", chunk)),
        "in.webp": webp(given),
    }.items():
        after, said = painted(tmp_path, name, data, target)
        assert said == []
        told = beside(after).xmp.decode()
        assert "Am Fluß" in told and 'Rating="4"' in told and "roll 3" in told
        for word in ("Orientation", "Dimension", "Thumbnails", "heic", "/9j/"):
            assert word not in told
        shown = cv2.imdecode(np.frombuffer(after, np.uint8), cv2.IMREAD_COLOR)
        assert shown.shape == PIXELS.shape
        (tmp_path / target).unlink()
        with Image.open(io.BytesIO(after)) as read:
            read.load()
            assert read.getxmp()["xmpmeta"]["RDF"]["Description"]["Rating"] == "4"


def test_xmp_of_a_camera_alone_leaves_nothing_to_be_said(tmp_path):
    given = packet(UNTRUE, attributes=' tiff:Orientation="6"')
    data = jpeg(0, 1, 1, (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + given))
    for target in ("out.jpg", "out.tif"):
        after, said = painted(tmp_path, "in.jpg", data, target)
        assert said == [] and not beside(after).words


def test_names_of_people_go_where_people_are_hidden(tmp_path):
    given = packet(TITLE, PEOPLE, FACES)
    shown, hidden = _xmp.kept(given), _xmp.kept(given, conceals=True)
    assert b"PersonInImage" in shown.packet and not shown.whole  # where they are is left out
    assert b"Ada" not in hidden.packet and b"Am Flu" in hidden.packet and not hidden.whole


def test_iptc_of_a_jpeg_is_kept_without_sound_and_pictures(tmp_path):
    letters, caption = (1, 90, b"\x1b%G"), (2, 120, "Am Fluß".encode())
    whole = iptc(letters, (1, 0, b"\0\4"), caption, (2, 25, b"river"), (2, 202, b"\xff\xd8\xff"))
    after, said = painted(tmp_path, "in.jpg", jpeg(0, 1, 1, (0xED, whole)), "out.jpg")
    assert said == []
    with Image.open(io.BytesIO(after)) as read:
        read.load()
        told = IptcImagePlugin.getiptcinfo(read)
    assert told == {letters[:2]: letters[2], caption[:2]: caption[2], (2, 25): b"river"}


def test_comments_and_texts_stay_in_files_of_their_kind(tmp_path):
    comment = (0xFE, b"by the river")
    after, said = painted(tmp_path, "in.jpg", jpeg(0, 1, 1, comment), "out.jpg")
    assert said == [] and beside(after).comments == (comment[1],)
    texts = ((b"tEXt", b"Title\0A day"), (b"tEXt", b"prompt\0{}"))
    after, said = painted(tmp_path, "in.png", png(*texts), "out.png")
    assert beside(after).texts == texts[:1] and len(said) == 1


@pytest.mark.parametrize(
    ("data", "target"),
    [
        (jpeg(0, 1, 1, (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet(TITLE))), "out.tif"),
        (jpeg(0, 1, 1, (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet(FACES))), "out.jpg"),
        (jpeg(0, 1, 1, (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>")), "out.jpg"),
        (
            jpeg(0, 1, 1, (0xE1, b"http://ns.adobe.com/xap/1.0/\0<!DOCTYPE x>" + packet(TITLE))),
            "out.jpg",
        ),
        (jpeg(0, 1, 1, (0xED, iptc((2, 120, b"words")))), "out.png"),
        (jpeg(0, 1, 1, (0xFE, b"a comment")), "out.webp"),
        (png((b"tEXt", b"Title\0A day")), "out.jpg"),
    ],
)
def test_words_that_are_left_out_are_named(tmp_path, data, target):
    said = "in: words in it (XMP, IPTC or comments, such as captions and keywords) are left out"
    assert painted(tmp_path, "in", data, target)[1] == [said]


@pytest.mark.parametrize(
    "data",
    [
        jpeg(0, 1, 1, (0xED, b"Photoshop 3.0\x008BIM\x04\x0c")),
        jpeg(0, 1, 1, (0xFE, b"\0")),
        png((b"zTXt", b"Raw profile type exif\0\0x")),
        b"",
    ],
)
def test_what_is_no_words_is_not_spoken_of(data):
    assert not beside(data).words


SPOKEN = (
    jpeg(1, 300, 300, (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet(TITLE, FACES))),
    jpeg(1, 300, 300, (0xED, iptc((2, 120, b"words"), (2, 25, b"more"))), (0xFE, b"a comment")),
    png((b"tEXt", b"Title\0A"), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet(TITLE))),
    png((b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet(TITLE)))),
    webp(packet(TITLE)),
    b"\0\0\0\x0cftypheic" + bytes(40),
)


@given(st.sampled_from(SPOKEN), st.data())
def test_damaged_files_tell_what_they_can(whole, draw):
    cut = whole[: draw.draw(st.integers(0, len(whole)))]
    at = draw.draw(st.integers(0, 400))
    for data in (cut, whole[:at] + b"\xff" + whole[at + 1 :]):
        told = beside(data)
        assert isinstance(told, Beside)
        for target in (jpeg(), png(), webp(b"")):
            made, _ = with_words(target, told, conceals=False)
            shown = cv2.imdecode(np.frombuffer(made, np.uint8), cv2.IMREAD_COLOR)
            assert shown is not None and shown.shape == PIXELS.shape


@pytest.mark.parametrize("target", ["out.jpg", "out.png", "out.webp"])
def test_what_an_avif_or_heic_says_is_kept(tmp_path, target):
    """Photos of phones are such files, of which OpenCV reads pixels alone."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "A camera"
    exif[ExifTags.Base.Orientation] = 6
    data = io.BytesIO()
    Image.fromarray(PIXELS).save(
        data, "avif", exif=exif, icc_profile=profile, xmp=packet(TITLE, attributes=OF_THE_FILE)
    )
    after, said = painted(tmp_path, "in.avif", data.getvalue(), target)
    assert said == []
    with Image.open(io.BytesIO(after)) as read:
        read.load()
        told = read.getexif()
        assert told[ExifTags.Base.Model] == "A camera"
        assert told.get(ExifTags.Base.Orientation, 1) == 1
        assert read.info["icc_profile"] == profile
    assert "Am Fluß" in beside(after).xmp.decode()


@pytest.mark.parametrize("target", ["out.jpg", "out.png", "out.webp"])
def test_what_a_tiff_says_is_kept(tmp_path, target):
    """OpenCV reads pixels of a scan, and nothing that lies beside them."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = scan(profile)
    after, said = painted(tmp_path, "in.tif", data, target)
    left_out = "words in it (XMP, IPTC or comments, such as captions and keywords) are left out"
    assert said == ([] if target == "out.jpg" else [f"in.tif: {left_out}"])  # for IPTC
    with Image.open(io.BytesIO(after)) as read:
        read.load()
        told = read.getexif()
        inside = told.get_ifd(ExifTags.IFD.Exif)
        assert told[ExifTags.Base.Model] == "A camera of a long name"
        assert inside[ExifTags.Base.FNumber] == 2.8 and inside[ExifTags.Base.ISOSpeedRatings] == 200
        assert ExifTags.Base.MakerNote not in inside
        assert ExifTags.Base.StripOffsets not in told and ExifTags.Base.ImageWidth not in told
        assert read.info["icc_profile"] == profile
        if target == "out.jpg":
            assert IptcImagePlugin.getiptcinfo(read) == {(2, 120): b"Am Flu\xdf"}
    assert "Am Fluß" in beside(after).xmp.decode()
    if target != "out.webp":
        density = beside(after).density
        assert density is not None
        assert [round(side * Fraction(254, 10_000)) for side in density] == [600, 300]


def scan(profile: bytes) -> bytes:
    """A TIFF with all that is kept, whose maker's notes and sizes are not."""
    made = TiffImagePlugin.ImageFileDirectory_v2()
    made[int(ExifTags.Base.Model)] = "A camera of a long name"
    made[int(ExifTags.IFD.Exif)] = {
        int(ExifTags.Base.FNumber): TiffImagePlugin.IFDRational(28, 10),
        int(ExifTags.Base.ISOSpeedRatings): 200,
        int(ExifTags.Base.MakerNote): b"at 1234",
    }
    made[700] = packet(TITLE, UNTRUE, attributes=OF_THE_FILE)
    made.tagtype[700] = 1
    made[33723] = b"\x1c\x02\x78\0\x07Am Flu\xdf"
    made.tagtype[33723] = 7
    data = io.BytesIO()
    Image.fromarray(PIXELS).save(data, "tiff", tiffinfo=made, icc_profile=profile, dpi=(600, 300))
    return data.getvalue()


@pytest.mark.parametrize("order", ["<", ">"])
def test_notes_are_written_in_their_own_order_of_bytes(order):
    exif = Image.Exif()
    exif.endian = order
    exif[ExifTags.Base.Model] = "A camera of a long name"
    exif[ExifTags.Base.ImageWidth] = 4000
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = TiffImagePlugin.IFDRational(28, 10)
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    given = exif.tobytes().removeprefix(b"Exif\0\0")
    assert given[:2] == {"<": b"II", ">": b"MM"}[order]
    told = Image.Exif()
    told.load(notes_in(given)[0])
    assert told[ExifTags.Base.Model] == "A camera of a long name"
    assert ExifTags.Base.ImageWidth not in told
    assert told.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] == 2.8
    assert told.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"


@given(st.data())
def test_damaged_tiffs_tell_what_they_can(draw):
    whole = scan(b"")
    cut = whole[: draw.draw(st.integers(0, len(whole)))]
    at = draw.draw(st.integers(0, len(whole) - 1))
    for data in (cut, whole[:at] + b"\xff" + whole[at + 1 :]):
        assert isinstance(beside(data), Beside)
        assert all(isinstance(one, bytes) for one in notes_in(data))


def test_what_has_no_place_for_it_stays_as_it_is():
    assert with_density(b"BM", (Fraction(1000), Fraction(1000))) == b"BM"
