"""A picture or packet of one's own says the same and changes nothing on the other."""

from __future__ import annotations

import sys
from fractions import Fraction

import av
import pytest
from av.video.frame import PictureType

from stream.pictures import references
from stream.pictures.references import Referencer, has_captions, packet_copy, side_data
from tests import media
from tests.media import make_clip


def facts(picture: av.VideoFrame) -> tuple:
    return (
        (picture.width, picture.height, picture.format.name),
        (picture.pts, picture.dts, picture.time_base, picture.duration, picture.pict_type),
        (picture.color_range, picture.colorspace, picture.color_primaries, picture.color_trc),
        [plane.buffer_ptr for plane in picture.planes],
    )


@pytest.mark.parametrize(
    "pixel_format", ["yuv420p", "yuvj420p", "yuv422p10le", "gray", "yuva420p", "rgb24", "nv12"]
)
@pytest.mark.parametrize("size", [(64, 48), (63, 47), (1, 1)])
def test_a_reference_shares_the_samples_and_has_tags_of_its_own(pixel_format, size):
    reference = Referencer()
    picture = media.make_picture(3, *size, "yuv420p").reformat(format=pixel_format)
    picture.pts, picture.time_base, picture.duration = 7, Fraction(1, 25), 2
    picture.color_range, picture.colorspace = 2, 1
    picture.color_primaries, picture.color_trc = 9, 16
    before = facts(picture)

    own = reference(picture)
    assert facts(own)[0] == before[0]
    assert facts(own)[2:] == before[2:]
    assert (own.pts, own.duration) == (7, 2)

    own.pts, own.time_base, own.pict_type = 99, Fraction(1, 7), PictureType.I
    own.color_range, own.colorspace, own.color_primaries, own.color_trc = 1, 5, 1, 1
    assert facts(picture) == before


def test_samples_outlive_the_picture_that_they_came_from():
    reference = Referencer()
    picture = media.make_picture(3, 64, 48, "yuv420p")
    samples = media.copied_planes(picture)
    own = reference(picture)
    del picture
    assert media.same_picture(media.planes(own), samples)


def test_size_and_format_may_change_on_the_way():
    reference = Referencer()
    for size, pixel_format in [((64, 48), "yuv420p"), ((32, 48), "yuv420p"), ((32, 48), "gray")]:
        own = reference(media.make_picture(0, *size, pixel_format))
        assert (own.width, own.height, own.format.name) == (*size, pixel_format)


def test_painting_on_a_writable_reference_leaves_the_other_as_it_was():
    picture = media.make_picture(3, 64, 48, "yuv420p")
    samples = media.copied_planes(picture)
    own = Referencer()(picture)
    own.make_writable()
    for plane in media.planes(own):
        plane[:] = 0
    assert media.same_picture(media.planes(picture), samples)


def test_a_packet_is_copied_with_all_that_it_says(tmp_path):
    # The first packet of Opus says in its side data how much is to be skipped.
    clip = make_clip(tmp_path / "in.mkv", audio="libopus")
    with av.open(str(clip)) as container:
        for packet in container.demux():
            before = (packet.pts, packet.dts, packet.duration, packet.time_base, bytes(packet))
            own = packet_copy(packet)
            assert (own.pts, own.dts, own.duration, own.time_base, bytes(own)) == before
            assert own.is_keyframe == packet.is_keyframe
            kinds = [(one.data_type, bytes(one)) for one in packet.iter_sidedata()]
            assert [(one.data_type, bytes(one)) for one in own.iter_sidedata()] == kinds
            own.pts = own.dts = 5
            if own.size:
                own.update(bytes(own.size))
            assert (packet.pts, packet.dts, packet.duration, packet.time_base) == before[:4]
            assert bytes(packet) == before[4]


def test_captions_are_told_and_unknown_side_data_is_none(tmp_path):
    clip = make_clip(tmp_path / "plain.mp4", frames=2)
    with av.open(str(clip)) as container:
        assert not any(has_captions(one) for one in container.decode(video=0))
    with av.open(str(media.captioned(tmp_path / "in.mp4", clip))) as container:
        assert all(has_captions(one) for one in container.decode(video=0))


def test_side_data_of_a_kind_that_is_new_to_pyav_are_no_captions(monkeypatch):
    def refuse(picture):
        raise ValueError("29 is not a valid Type")  # as with multi-view HEVC

    monkeypatch.setattr(references, "SideDataContainer", refuse)
    assert has_captions(av.VideoFrame(16, 16, "yuv420p")) is False


def test_side_data_are_true_of_a_picture_that_was_made_writable_since(tmp_path):
    clip = make_clip(tmp_path / "plain.mp4", frames=2)
    with av.open(str(media.captioned(tmp_path / "in.mp4", clip))) as container:
        for picture in container.decode(video=0):
            before = [(one.type, bytes(one)) for one in side_data(picture)]
            shared = Referencer()(picture)
            picture.make_writable()
            # What the picture had is given back, and its memory is others' now.
            others = [Referencer()(shared) for _ in range(4)]
            assert [(one.type, bytes(one)) for one in side_data(picture)] == before
            assert has_captions(picture)
            del others


def test_asking_for_side_data_keeps_no_picture(tmp_path):
    clip = make_clip(tmp_path / "plain.mp4", frames=2)
    with av.open(str(media.captioned(tmp_path / "in.mp4", clip))) as container:
        picture = next(container.decode(video=0))
        held = sys.getrefcount(picture)
        assert has_captions(picture)
        assert sys.getrefcount(picture) == held
