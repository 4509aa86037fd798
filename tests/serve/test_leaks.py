"""Viewers who come and go leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import psutil
import pytest

from stream.serve_options import ServeOptions
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


async def _visit(page, chance, seconds):
    """One viewer: comes, looks by WebRTC, Motion JPEG or with a camera; goes as it likes."""
    url = page.url
    deadline = time.monotonic() + seconds
    pictures = 0
    while time.monotonic() < deadline:
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
                # On a machine with much else to do the server may have hung up meanwhile.
                with suppress(aiortc.mediastreams.MediaStreamError):
                    for _ in range(chance.randrange(1, 20)):
                        await asyncio.wait_for(track.recv(), 300)
                        pictures += 1
            if chance.random() < 0.5:
                await socket.close()
            await peer.close()
            if player is not None:
                player.video.stop()
            await socket.close()
    return pictures


def _files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _come_and_go(tmp_path: Path, seconds: float, warm: float, most: float) -> None:
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

        # What is loaded once, and each thread's own memory, comes with the first visitors: it grew
        # by 60 MiB in the first minute and a half and by 1 in the next.
        asyncio.run(crowd(warm, 1))
        until(empty)
        time.sleep(1.0)
        process = psutil.Process()
        threads, files, memory = threading.active_count(), _files(), process.memory_info().rss
        assert asyncio.run(crowd(seconds, 100)) > 3
        until(empty)
        until(lambda: threading.active_count() <= threads + 1)
        until(lambda: _files() <= files + 2)
        grown = (process.memory_info().rss - memory) / 2**20
        assert grown < most, f"{grown:.0f} MiB more"


@pytest.mark.slow
@pytest.mark.real_time
def test_viewers_who_come_and_go_leave_nothing(tmp_path):
    _come_and_go(tmp_path, seconds=15.0, warm=5.0, most=100.0)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_viewers_who_come_and_go_for_long_leave_nothing(tmp_path):
    minutes = float(os.environ.get("SOAK_MINUTES", "30"))
    _come_and_go(tmp_path, seconds=60 * minutes, warm=120.0, most=30.0)
