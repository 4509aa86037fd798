"""One encoding for all who look at a source."""

from __future__ import annotations

import asyncio
import logging
import threading
from fractions import Fraction
from typing import ClassVar

import aiortc.codecs.h264 as h264
import av
import numpy as np
import pytest
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError

from stream.frame import Frame
from stream.serve import encoding
from stream.serve.encoders import H264, Vp8
from stream.serve.encoding import Broadcast, Encoded
from stream.serve.pictures import Shared, video_of
from stream.serve.webrtc import SlotTrack
from stream.sinks.browser import Slot

PATIENCE = 60
RATE = 300
"""Pictures a second: so many that some may be left out without the encoder taking them for few."""


class Scene:
    """A slot whose pictures are told apart by how bright they are, and what was encoded of it."""

    def __init__(self) -> None:
        self.slot = Slot()
        self.encoded: list[Frame] = []
        self.threads: set[str] = set()
        self.broadcast = Broadcast(self.slot, Shared(self._make, None), self._make)
        self.count = 0

    def _make(self, frame: Frame) -> av.VideoFrame:
        self.threads.add(threading.current_thread().name.partition("_")[0])
        self.encoded.append(frame)
        return video_of(frame, 720)

    @staticmethod
    def luma(captured_at: float) -> int:
        """How bright the picture of that moment is."""
        return 30 + 10 * (round(RATE * (captured_at - 100)) % 20)

    def put(self) -> Frame:
        born = 100 + self.count / RATE
        planes = np.full((96, 64), self.luma(born), np.uint8)
        planes[64:] = 128
        image = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame = Frame(image, self.count, self.count, Fraction(1, 30), 1)
        frame.captured_at = born
        self.count += 1
        self.slot.put(frame)
        return frame


def counted() -> type[H264]:
    """An encoder of its own that keeps what was asked of it."""

    class Counted(H264):
        whole_wanted: ClassVar[list[bool]] = []

        def encode(self, frame, force_keyframe=False):
            self.whole_wanted.append(force_keyframe)
            return super().encode(frame, force_keyframe)

    return Counted


def luma_of(decoder: h264.H264Decoder, payloads: list[bytes]) -> int:
    data = b"".join(map(h264.h264_depayload, payloads))
    (found,) = decoder.decode(JitterFrame(data=data, timestamp=0))
    return round(float(found.to_ndarray()[:64].mean()))


async def taken(reception, scene: Scene) -> Encoded:
    """The next picture of a viewer's; frames come until it is there."""
    waiting = asyncio.ensure_future(reception.next())
    try:
        async with asyncio.timeout(PATIENCE):
            while not waiting.done():
                scene.put()
                await asyncio.wait({waiting}, timeout=0.02)
        found = waiting.result()
        assert found is not None
        return found
    finally:
        waiting.cancel()


def run(work, *, debug: bool = False) -> None:
    asyncio.run(asyncio.wait_for(work, 2 * PATIENCE), debug=debug)


def test_each_picture_is_encoded_once_for_all_and_all_get_the_same():
    async def look() -> None:
        scene = Scene()
        viewers = [scene.broadcast.receive(H264) for _ in range(5)]
        assert scene.slot.viewers == 5
        for _ in range(10):
            waiting = [asyncio.ensure_future(one.next()) for one in viewers]
            await asyncio.sleep(0)
            scene.put()
            found = await asyncio.gather(*waiting)
            assert all(one is found[0] for one in found)
        assert len(scene.encoded) == 10 and len(set(map(id, scene.encoded))) == 10
        assert scene.threads == {"stream-video"}
        for one in viewers:
            one.close()
            one.close()
        assert not scene.slot.viewers and not scene.broadcast._encodings

    run(look())


def test_who_comes_late_begins_with_a_whole_picture_also_where_nothing_moves(monkeypatch):
    monkeypatch.setattr(encoding, "_PAUSE", 0.05)

    async def look() -> None:
        scene = Scene()
        first = scene.broadcast.receive(H264)
        for _ in range(3):
            await taken(first, scene)
        late = scene.broadcast.receive(H264)
        # No frame comes any more.
        found = await late.next()
        assert found is not None and found.whole
        brightness = luma_of(h264.H264Decoder(), found.payloads)
        assert abs(brightness - scene.luma(found.captured_at)) <= 6
        assert round(RATE * (found.captured_at - 100)) == scene.count - 1, "the newest one"
        first.close()
        late.close()

    run(look())


def test_who_asks_for_whole_pictures_all_the_time_does_not_get_one_each_time():
    async def look() -> None:
        scene, kind = Scene(), counted()
        now = [0.0]
        viewer = scene.broadcast.receive(kind)
        viewer._encoding._now = lambda: now[0]
        for _ in range(31):
            viewer.want_whole()
            await taken(viewer, scene)
            now[0] += 0.1
        assert kind.whole_wanted[0] and 4 <= sum(kind.whole_wanted) <= 8
        viewer.close()

    run(look())


def test_who_does_not_take_misses_some_begins_again_with_a_whole_one_and_slows_nobody(monkeypatch):
    monkeypatch.setattr(encoding, "_PAUSE", 3600.0)
    monkeypatch.setattr(encoding, "_AT_LEAST", 3600.0)

    async def look() -> None:
        scene, kind = Scene(), counted()
        quick, slow = (scene.broadcast.receive(kind) for _ in range(2))
        waiting = asyncio.ensure_future(slow.next())
        got = [await taken(quick, scene) for _ in range(3)]
        assert (await waiting) is got[0]
        got += [await taken(quick, scene) for _ in range(27)]
        # It held a few, then none: what it is behind by is bounded, and nobody pays for it.
        assert len(slow._waiting) <= encoding._HELD
        assert sum(kind.whole_wanted) <= 1
        monkeypatch.setattr(encoding, "_PAUSE", 0.0)
        later = [await taken(slow, scene) for _ in range(10)]
        assert later[0].whole and not set(later) & set(got)
        decoder = h264.H264Decoder()
        for found in later:
            assert abs(luma_of(decoder, found.payloads) - scene.luma(found.captured_at)) <= 6
        places = [round(RATE * (found.captured_at - 100)) for found in later]
        assert places == list(range(places[0], places[0] + len(places))), "none is left out then"
        quick.close()
        slow.close()

    run(look())


def test_who_has_lost_the_beginning_and_asks_for_nothing_gets_a_whole_picture_soon():
    async def look() -> None:
        scene, kind = Scene(), counted()
        now = [0.0]
        viewer = scene.broadcast.receive(kind)
        viewer._encoding._now = lambda: now[0]
        await taken(viewer, scene)
        for _ in range(40):
            now[0] += 1
            viewer._waiting.clear()
            await taken(viewer, scene)
        assert 4 <= sum(kind.whole_wanted) <= 5
        viewer.close()

    run(look())


def test_who_asks_while_a_whole_picture_is_made_is_served_by_it():
    async def look() -> None:
        scene, kind = Scene(), counted()
        now = [0.0]
        first, second = (scene.broadcast.receive(kind) for _ in range(2))
        first._encoding._now = lambda: now[0]
        waiting = asyncio.ensure_future(first.next())
        await asyncio.sleep(0)
        scene.put()
        # The loop hears of what was made only after this.
        first._encoding._executor.submit(int).result(PATIENCE)
        other = asyncio.ensure_future(second.next())
        second.want_whole()
        assert (await waiting) is (await other) is not None
        now[0] = 5.0
        await taken(first, scene)
        assert sum(kind.whole_wanted) <= 1, "nobody needs another"
        first.close()
        second.close()

    run(look())


def test_who_only_connects_costs_the_others_no_whole_picture(monkeypatch):
    monkeypatch.setattr(encoding, "_PAUSE", 0.0)
    monkeypatch.setattr(encoding, "_AT_LEAST", 3600.0)

    async def look() -> None:
        scene, kind = Scene(), counted()
        viewer = scene.broadcast.receive(kind)
        connecting = [SlotTrack(scene.broadcast, kind) for _ in range(3)]
        idle = [scene.broadcast.receive(kind) for _ in range(3)]
        assert scene.slot.viewers == 7
        for _ in range(30):
            await taken(viewer, scene)
        # The first, and one for who asked before it was handed out.
        assert sum(kind.whole_wanted) <= 2
        for one in connecting:
            one.stop()
        for one in (viewer, *idle):
            one.close()
        assert not scene.slot.viewers

    run(look())


def test_codecs_have_an_encoding_each_and_it_ends_with_its_last_viewer():
    async def look() -> None:
        scene = Scene()
        one, other, more = (scene.broadcast.receive(kind) for kind in (H264, Vp8, H264))
        assert (await taken(one, scene)).payloads != (await taken(other, scene)).payloads
        assert set(scene.broadcast._encodings) == {H264, Vp8}
        other.close()
        assert set(scene.broadcast._encodings) == {H264}
        one.close()
        assert await one.next() is None
        await taken(more, scene)
        more.close()
        again = scene.broadcast.receive(H264)
        assert (await taken(again, scene)).whole
        again.close()

    run(look())


def test_the_encoder_suits_who_can_take_most_and_says_what_the_others_get():
    async def look() -> None:
        scene = Scene()
        now = [0.0]
        first, second = (scene.broadcast.receive(H264) for _ in range(2))
        shared = first._encoding
        shared._now = lambda: now[0]
        assert scene.broadcast.others(H264, first) is None, "nothing was sent yet"
        bits = 0
        for _ in range(40):
            found = await taken(first, scene)
            bits += 8 * sum(map(len, found.payloads))
            now[0] += 0.1
        sent = scene.broadcast.others(H264, first)
        assert sent is not None and 0 < sent <= bits / 2
        before = shared._encoder.target_bitrate
        first.ask(400_000)
        assert shared._encoder.target_bitrate == before, "the other has not said anything"
        second.ask(900_000)
        assert shared._encoder.target_bitrate == 900_000
        second.ask(10)
        assert shared._encoder.target_bitrate == 400_000
        assert scene.broadcast.others(H264, first) == 10
        assert scene.broadcast.others(H264, None) == sent
        second.close()
        assert scene.broadcast.others(H264, first) is None, "there are no others"
        first.close()
        assert scene.broadcast.others(H264, None) is None

    run(look())


@pytest.mark.logs_errors
def test_a_fault_of_the_encoder_ends_its_viewers(caplog, monkeypatch):
    def fail(self, frame, force_keyframe=False):
        raise ValueError("no")

    async def look() -> None:
        scene = Scene()
        track = SlotTrack(scene.broadcast, H264)
        waiting = asyncio.ensure_future(track.recv())
        monkeypatch.setattr(H264, "encode", fail)
        await asyncio.sleep(0)
        scene.put()
        with pytest.raises(MediaStreamError):
            await waiting
        assert not scene.broadcast._encodings and not scene.slot.viewers
        track.stop()

    with caplog.at_level(logging.ERROR):
        run(look())
    assert [one.getMessage() for one in caplog.records] == ["pictures could not be encoded"]


async def sent(track: SlotTrack, scene: Scene) -> tuple[list[bytes], int, bool]:
    """What aiortc sends next of a track: packets, their time, and whether it was encoded for it."""
    waiting = asyncio.ensure_future(track.recv())
    while not waiting.done():
        scene.put()
        await asyncio.wait({waiting}, timeout=0.02)
    found = waiting.result()
    if isinstance(found, av.VideoFrame):
        return (*track.encoder.encode(found), True)
    return (*track.encoder.pack(found), False)


def test_who_cannot_keep_up_is_encoded_for_alone_and_comes_back(monkeypatch):
    async def look() -> None:
        scene = Scene()
        now = [0.0]
        slow, other = (SlotTrack(scene.broadcast, H264) for _ in range(2))
        slow.encoder._pace._now = lambda: now[0]
        await sent(slow, scene)
        await sent(other, scene)
        shared = slow._reception._encoding
        shared._rate = 2_000_000.0
        times, alone = [], []
        first = slow._began
        decoder = h264.H264Decoder()
        for step in range(40):
            slow.encoder.target_bitrate = 500_000 if step < 10 else 3_000_000
            payloads, at, own = await sent(slow, scene)
            # Whatever it is sent goes on from what it was sent before, or can be begun with.
            if not alone or own != alone[-1]:
                decoder = h264.H264Decoder()
            brightness = luma_of(decoder, payloads)
            assert abs(brightness - scene.luma(first + at / 90_000)) <= 6
            times.append(at)
            alone.append(own)
            await sent(other, scene)
            shared._rate = 2_000_000.0
            now[0] += 1
        assert times == sorted(set(times)), "time goes on"
        came, back = alone.index(True), len(alone) - alone[::-1].index(True)
        assert 2 <= came <= 4 and 10 <= back - came <= 14 and all(alone[came:back])
        assert not slow.alone and not other.alone and scene.slot.viewers == 2
        slow.stop()
        other.stop()
        assert not scene.slot.viewers

    run(look())
