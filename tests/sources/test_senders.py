"""Whoever sends may begin anew within a connection, with other sound than before."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from functools import cache

import av
import numpy as np
import pytest

from stream.errors import SourceError
from stream.sources._connecting import ChangedError
from stream.sources._opened import Opened
from stream.sources._senders import Seldom, Sender
from stream.sources.live_sound import LiveSound
from stream.sources.live_timeline import Timeline
from stream.sources.stream_reader import Ended, Picture, Sound, StreamReader
from tests.sources.serving import picture

SECONDS = 2
FAST = {"preset": "ultrafast", "tune": "zerolatency"}


@cache
def sent(kind: str, sound: tuple[str, int] | None = ("aac", 44100)) -> bytes:
    """Two seconds of a sender: its picture, and a tone by a codec at a rate."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as made:
        video = made.add_stream("libx264", rate=25, options=FAST)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = sound and made.add_stream(sound[0], rate=sound[1], layout="mono")
        for index in range(25 * SECONDS):
            made.mux(video.encode(picture(64, 48, index)))
            if audio:
                tone = np.sin(np.arange(audio.rate // 25) * 0.06) / 4
                part = av.AudioFrame.from_ndarray(
                    tone[None].astype(np.float32), format="fltp", layout="mono"
                )
                part.sample_rate, part.pts = audio.rate, index * (audio.rate // 25)
                part.time_base = Fraction(1, audio.rate)
                made.mux(audio.encode(part))
        made.mux(video.encode(None))
        if audio:
            made.mux(audio.encode(None))
    return file.getvalue()


def one_after_another(kind: str, *senders: tuple[str, int] | None) -> bytes:
    parts = [sent(kind, sound) for sound in senders]
    # FLV has a head, which whoever passes it on sends once.
    return parts[0] + b"".join(one[13 if kind == "flv" else 0 :] for one in parts[1:])


class Cable(io.BytesIO):
    def seekable(self) -> bool:
        return False


def events(data: bytes, probed: int = 40_000, **how):
    reader = StreamReader(
        lambda: av.open(Cable(data), options={"probesize": f"{probed}"}),
        lambda error: SourceError(str(error)),
        audio=True,
        paced=lambda container: True,
        renewed=True,
        **how,
    )
    found = []
    while not isinstance(event := reader.events.take(60), Ended):
        found.append(event)
    reader.stop(patience=60)
    assert reader.opened is not None
    return found, event, reader.opened


def placed(*connections: bytes) -> tuple[list[bool], list[str]]:
    """Which packets of sound have a place, of those that came, and what is said."""
    wall, line, sound, kept = 0.0, Timeline(), None, []
    for data in connections:
        found, _, opened = events(data)
        line.reconnected()
        sound = sound or LiveSound("the door", line, opened.audio.streams)
        for event in found:
            if isinstance(event, Picture):
                line.place(event.pts, event.time_base, wall)
                wall += 1 / 25
            elif isinstance(event, Sound):
                dts = event.packet.dts * event.packet.time_base
                if line.shift is not None and line.shift + dts >= 0:
                    came = replace(event, arrived=wall)
                    kept.append(sound.place(came, opened.audio) is not None)
            else:
                assert isinstance(event, Opened)
    assert sound is not None
    return kept, sound.remarks


def share(kept: list[bool], first: float, last: float) -> float:
    part = kept[round(first * len(kept)) : round(last * len(kept))]
    return sum(part) / len(part)


@pytest.mark.parametrize("kind", ["mpegts", "flv"])
def test_sound_of_another_rate_is_left_out_until_the_first_one_is_back(kind):
    same, said = placed(one_after_another(kind, *[("aac", 44100)] * 3))
    assert share(same, 0, 1) > 0.95 and not said
    other = one_after_another(kind, ("aac", 44100), ("aac", 24000), ("aac", 44100))
    kept, said = placed(other)
    assert len(kept) > 100 and "another format for a while" in said[0]
    # Of the second sender's packets there are half as many.
    assert share(kept, 0, 0.35) > 0.9 and share(kept, 0.65, 1) > 0.9
    assert share(kept, 0.45, 0.55) == 0


@pytest.mark.parametrize("codecs", [("aac", "mp2"), ("mp2", "aac"), ("ac3", "aac"), ("mp2", "ac3")])
def test_sound_of_another_codec_is_left_out(codecs):
    first, other = ((codec, 48000) for codec in codecs)
    kept, said = placed(one_after_another("mpegts", first, other, first))
    assert "another format for a while" in said[0]
    # What is not of its codec may be lost before it is a packet.
    alone, _ = placed(one_after_another("mpegts", first, first))
    assert 0.9 * len(alone) < sum(kept) <= len(alone) + 1


def test_a_connection_that_began_with_other_sound_has_the_first_one_once_it_is_back():
    first, other = ("aac", 44100), ("aac", 24000)
    kept, _ = placed(sent("mpegts", first), one_after_another("mpegts", other, first))
    assert share(kept, 0, 0.35) > 0.9 and share(kept, 0.7, 1) > 0.9
    assert share(kept, 0.45, 0.55) == 0


@pytest.mark.parametrize("kind", ["mpegts", "flv"])
def test_where_sound_is_missed_the_connection_ends_with_its_sender(kind):
    """Sound that comes on the way cannot be seen in it."""
    later, probed = one_after_another(kind, None, ("aac", 44100)), 2000
    found, end, _ = events(later, probed, sounds=1)
    assert isinstance(end.cause, ChangedError)
    assert sum(isinstance(one, Picture) for one in found) >= 25 * SECONDS
    assert events(sent(kind, None), probed, sounds=1)[1].cause is None


def test_what_begins_anew_says_so_by_its_settings_or_its_clock():
    with av.open(Cable(sent("flv", None))) as flv:
        video = flv.streams.video[0]
        sender, packets = Sender(video), [one for one in flv.demux(video) if one.size]

        def told(*seconds: float) -> list[bool]:
            said = []
            for packet, at in zip(packets, seconds, strict=False):
                packet.dts = round(at * 1000)
                said.append(sender.begins_anew(packet))
            return said

        assert told(0, 0.04, 5, 5.04) == [False] * 4
        assert told(5.08, 3600, 5.16, 5.2) == [False] * 4, "one damaged time is no other clock"
        assert told(5.24, 0, 0.04, 0.08) == [False, False, True, False]
        assert told(0.12, 60, 60.04, 60.08) == [False, False, True, False]


def test_of_who_has_no_sound_it_is_asked_whether_another_sender_has_some():
    both = one_after_another("flv", None, ("aac", 44100))
    for answer in (True, False):
        found, _, _ = events(both, 2000, curious=lambda answer=answer: answer)
        pictures = sum(isinstance(one, Picture) for one in found)
        assert pictures >= 25 * SECONDS - 5
        assert (pictures < 25 * SECONDS + 5) == answer
    seldom = Seldom()
    assert [number for number in range(1, 70) if seldom()] == [1, 2, 4, 8, 16, 32, 64]


def test_sound_that_came_later_has_a_place_and_is_announced_once():
    kept, said = placed(sent("mpegts", None), sent("mpegts"))
    assert len(kept) > 50 and share(kept, 0.1, 1) == 1
    assert len(said) == 1 and "recordings went on in another file" in said[0]
    found, _, opened = events(sent("mpegts"))
    line = Timeline()
    sound = LiveSound("the door", line, ())
    line.place(0, Fraction(1, 25), 0.0)
    came = [one for one in found if isinstance(one, Sound)]
    times = [float(one.packet.dts * one.packet.time_base) for one in came]
    given = [
        sound.place(replace(one, arrived=at), opened.audio)
        for one, at in zip(came, times, strict=True)
    ]
    begun = [one.begun for one in given if one is not None]
    assert begun[0] == opened.audio.streams and not any(begun[1:])
