"""Viewers who come and go leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import aiohttp
import psutil
import pytest

from stream.serve.memory import give_back
from stream.settings.serve_options import ServeOptions
from tests.live.helpers import RATE, Scene
from tests.run.parts import until
from tests.serve.served import bright, plan_of, served

aiortc = pytest.importorskip("aiortc")


async def _offer(camera: bool):
    """A peer as a browser makes it, with its offer."""
    from aiortc.contrib.media import MediaPlayer

    peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    player = None
    if camera:
        player = MediaPlayer("testsrc=size=160x120:rate=15", format="lavfi")
        peer.addTrack(player.video)
    else:
        peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    return peer, player


async def _look(track, socket, most):
    """Takes so many pictures, or fewer where the server hangs up; returns how many came."""
    # Without reading nothing answers the server's pings.
    hung_up = asyncio.ensure_future(_read(socket))
    came = 0
    try:
        while came < most:
            picture = asyncio.ensure_future(track.recv())
            done, _ = await asyncio.wait(
                {picture, hung_up}, timeout=300, return_when=asyncio.FIRST_COMPLETED
            )
            assert done, "no picture came for five minutes"
            if picture not in done or picture.exception() is not None:
                picture.cancel()
                break
            came += 1
    finally:
        hung_up.cancel()
        await asyncio.gather(hung_up, return_exceptions=True)
    return came


async def _read(socket):
    async for _ in socket:
        pass


async def _visit(page, chance, seconds):
    """One viewer: comes, looks by WebRTC, Motion JPEG or with a camera; goes as it likes."""
    url = page.url
    deadline = time.monotonic() + seconds
    pictures = 0
    while time.monotonic() < deadline or not pictures:  # on a busy machine the first takes its time
        how = chance.choice(["webrtc", "webrtc", "mjpeg", "camera"])
        async with aiohttp.ClientSession() as session:
            if how == "mjpeg":
                async with session.get(f"{url}/api/rooms/0/mjpeg") as answer:
                    await asyncio.wait_for(answer.content.readuntil(b"image/jpeg"), 300)
                    pictures += 1
                    await asyncio.sleep(chance.random())
                continue
            socket = await session.ws_connect(f"{url}/api/live")
            peer, player = await _offer(how == "camera")
            coming: asyncio.Future = asyncio.get_running_loop().create_future()
            peer.on("track", lambda track, coming=coming: coming.done() or coming.set_result(track))
            kind = "visit" if how == "camera" else "watch"
            offer = {"type": kind, "room": "0", "sdp": peer.localDescription.sdp}
            await socket.send_str(json.dumps(offer))
            while True:
                message = json.loads((await asyncio.wait_for(socket.receive(), 300)).data)
                if message["type"] in ("answer", "refused"):
                    break
            if message["type"] == "answer" and chance.random() < 0.85:
                answer = aiortc.RTCSessionDescription(sdp=message["sdp"], type="answer")
                await peer.setRemoteDescription(answer)
                track = await asyncio.wait_for(coming, 300)
                pictures += await _look(track, socket, chance.randrange(1, 20))
            if chance.random() < 0.5:
                await socket.close()
            await peer.close()
            if player is not None:
                player.video.stop()
            await socket.close()
    return pictures


def _files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _come_and_go(
    tmp_path: Path, seconds: float, warm: float, most: float, hours: Callable[[], int] = int
) -> None:
    options = ServeOptions(port=0, visitors=2)
    with served([plan_of(options=options)], bright(tmp_path)) as page:

        async def crowd(length: float, seed: int) -> int:
            chances = [random.Random(seed + place) for place in range(3)]
            found = await asyncio.gather(*(_visit(page, one, length) for one in chances))
            return min(found)

        def empty() -> bool:
            house = page.house
            viewers = sum(room.slot.viewers for room in house.rooms.values())
            return not house.sessions and not house.visits and not viewers

        # These threads stay, and how many there are depends on how much comes at once.
        wait([page.house.executor.submit(time.sleep, 0.2) for _ in range(4)])
        process = psutil.Process()

        def kept() -> int:
            gc.collect()
            return len(gc.get_objects())

        def after(length: float, seed: int) -> tuple[int, int, float]:
            assert asyncio.run(crowd(length, seed)) > 0
            until(empty)
            time.sleep(1.0)
            gc.collect()
            give_back()  # as the server does every half minute
            return threading.active_count(), _files(), process.memory_info().rss / 2**20

        # What is loaded once, and each thread's own memory, comes with the first visitors, and the
        # system's allocator goes on to spread it for some while: objects are counted besides.
        threads, files, _ = after(warm, 1)
        before = hours()
        middle = after(seconds / 2, 100)
        objects = kept()
        end = after(seconds / 2, 200)
        print(f"{hours() - before} hours of the source's; threads {threads} to {end[0]}, files "
              f"{files} to {end[1]}, MiB {middle[2]:.0f} to {end[2]:.0f}, objects {objects} to "
              f"{kept()}")  # fmt: skip
        until(lambda: threading.active_count() <= threads + 1)
        until(lambda: _files() <= files + 2)
        until(lambda: kept() < 1.02 * objects)  # a peer may still be saying goodbye
        assert end[2] - middle[2] < most, f"{end[2] - middle[2]:.0f} MiB more in the second half"


@pytest.mark.slow
@pytest.mark.real_time
def test_viewers_who_come_and_go_leave_nothing(tmp_path):
    _come_and_go(tmp_path, seconds=15.0, warm=5.0, most=100.0)


class Hour(Scene):
    """An hour of a camera that goes away after it, each frame so much later than the last.

    Args:
        length: seconds that it really takes.
        number: of the hour; times run on.
    """

    live = True
    had = 0
    """How many there were."""

    def __init__(self, length: float, number: int) -> None:
        super().__init__(frames=max(2, round(length * RATE)))
        self.info = replace(self.info, live=True)
        self._step = max(1, round(3600 * RATE / self._frames))
        self._start = number * 3600 * RATE

    def __iter__(self):
        began = time.perf_counter()
        for frame in super().__iter__():
            born = began + frame.index / RATE
            self._closed.wait(max(0.0, born - time.perf_counter()))
            pts = self._start + frame.index * self._step
            yield replace(frame, pts=pts, time_base=Fraction(1, RATE), captured_at=born)
        Hour.had += 1


def _day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: float, most: float) -> None:
    """Twenty-four hours by the source's and the guard's clocks, and 24 times that it is away."""
    from stream import sources
    from stream.serve import guard

    begun, faster = time.monotonic(), 24 * 60 / minutes
    opened: list[Hour] = []

    def open_hour(target: object, options: object = None) -> Hour:
        opened.append(Hour(60 * minutes / 24, len(opened)))
        return opened[-1]

    monkeypatch.setattr(sources, "open", open_hour)
    monkeypatch.setattr("stream.serve.room._FIRST_PAUSE", 0.05)
    monkeypatch.setattr("stream.serve.room._LONGEST_PAUSE", 0.05)
    monkeypatch.setitem(
        guard.Guard.__init__.__kwdefaults__,
        "now",
        lambda: begun + faster * (time.monotonic() - begun),
    )
    _come_and_go(tmp_path, 60 * minutes, max(5.0, 20 * minutes / 24), most, lambda: Hour.had)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_day_by_a_shortened_clock_leaves_nothing(tmp_path, monkeypatch):
    _day(tmp_path, monkeypatch, float(os.environ.get("SOAK_DAY_MINUTES", "12")), 60.0)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_viewers_who_come_and_go_for_long_leave_nothing(tmp_path):
    minutes = float(os.environ.get("SOAK_MINUTES", "30"))
    _come_and_go(tmp_path, seconds=60 * minutes, warm=120.0, most=30.0)
