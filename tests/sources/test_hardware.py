"""Decoders of graphics cards: asked for, refused, handed over, left to the CPU."""

from __future__ import annotations

from dataclasses import replace

import av
import pytest

from stream.errors import SourceError, UsageError
from stream.frame import Frame
from stream.sources import _hardware
from stream.sources._hardware import AUTO, NONE, Hardware, devices
from stream.sources._reader import Reader
from stream.sources.file import FileSource
from tests.media import make_clip


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "in.mp4", frames=12)


def decoded(path, **how):
    """The samples of every frame with its time, and what the source said."""
    with FileSource(path, **how) as source:
        frames = [
            (item.pts, item.image.format.name, item.image.to_ndarray().tobytes())
            for item in source
            if isinstance(item, Frame)
        ]
        return frames, source.remarks


class StandIn:
    """A device that opens, hands pictures over as cards do, and computes on the CPU."""

    def __init__(self, monkeypatch, handed="nv12"):
        monkeypatch.setattr(_hardware, "devices", lambda: ("cuda", "videotoolbox"))
        monkeypatch.setattr(_hardware, "_refusal", lambda kind: None)
        monkeypatch.setattr(Hardware, "accelerator", None)
        own = Reader._pictures

        def pictures(reader, packet):
            for piece in own(reader, packet):
                yield (
                    piece if handed is None else replace(piece, picture=like(piece.picture, handed))
                )

        monkeypatch.setattr(Reader, "_pictures", pictures)


def like(picture, name):
    made = picture.reformat(format=name)
    made.pts, made.time_base, made.duration = picture.pts, picture.time_base, picture.duration
    return made


def test_without_a_word_the_cpu_decodes():
    assert Hardware.asked(NONE) == Hardware()
    assert Hardware().accelerator is None


def test_a_device_that_ffmpeg_does_not_know_is_refused_with_those_it_does(clip):
    with pytest.raises(UsageError, match="no decoders for 'abacus' here; it has"):
        FileSource(clip, hwaccel="abacus")


def test_only_kinds_for_which_there_is_a_decoder_are_named():
    names = av.codec.hwaccel.hwdevices_available()
    assert set(devices()) <= set(names)


@pytest.mark.parametrize("name", [AUTO, "cuda"])
def test_a_device_that_cannot_be_opened_leaves_it_to_the_cpu_with_a_word(clip, monkeypatch, name):
    monkeypatch.setattr(_hardware, "devices", lambda: ("cuda",))
    monkeypatch.setattr(_hardware, "_refusal", lambda kind: f"{kind} is asleep")
    plain, _ = decoded(clip)
    found, said = decoded(clip, hwaccel=name)
    assert found == plain
    assert "pictures are decoded on the CPU; not on a device: cuda (cuda is asleep)" in said


def test_what_a_device_hands_over_is_what_the_cpu_decodes(clip, monkeypatch):
    plain, said_before = decoded(clip)
    StandIn(monkeypatch)
    found, said = decoded(clip, hwaccel="cuda")
    assert found == plain
    assert said == said_before


def test_deep_pictures_keep_their_depth(tmp_path, monkeypatch):
    path = make_clip(tmp_path / "deep.mkv", frames=6, codec="ffv1", pixel_format="yuv420p10le")
    plain, _ = decoded(path)
    StandIn(monkeypatch, handed="p010le")
    found, _ = decoded(path, hwaccel="cuda")
    assert {name for _, name, _ in found} == {"yuv420p10le"}
    assert found == plain


def test_auto_takes_the_first_that_opens_and_says_which(clip, monkeypatch):
    StandIn(monkeypatch)
    monkeypatch.setattr(
        _hardware, "_refusal", lambda kind: "there is none" if kind == "cuda" else None
    )
    _, said = decoded(clip, hwaccel=AUTO)
    assert "auto decodes on the device videotoolbox" in said


def test_what_ffmpeg_leaves_to_the_cpu_is_said(clip, monkeypatch):
    StandIn(monkeypatch, handed=None)
    found, said = decoded(clip, hwaccel="cuda")
    assert len(found) == 12
    assert any("cuda (it does not decode" in one and "in yuv420p" in one for one in said)


def test_a_file_of_which_a_device_decodes_nothing_is_begun_anew_on_the_cpu(clip, monkeypatch):
    plain, _ = decoded(clip)
    StandIn(monkeypatch)
    own = FileSource._prime

    def prime(source):
        if source._hardware.name != NONE:
            raise SourceError("no picture")
        return own(source)

    monkeypatch.setattr(FileSource, "_prime", prime)
    found, said = decoded(clip, hwaccel="cuda")
    assert [pts for pts, _, _ in found] == [pts for pts, _, _ in plain]
    assert any("nothing in the file could be decoded there" in one for one in said)


@pytest.mark.gpu
def test_a_card_decodes_the_same_pictures(tmp_path):
    if (card := Hardware.asked("cuda")).name == NONE:
        pytest.skip(f"no card: {card.remarks[0]}")
    path = make_clip(tmp_path / "in.mp4", frames=30)
    plain, _ = decoded(path)
    found, said = decoded(path, hwaccel="cuda")
    assert not any("decoded on the CPU" in one for one in said)
    assert found == plain
