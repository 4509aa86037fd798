"""A WHIP endpoint (RFC 9725) that says what comes to it, as a process that can be killed.

    python -m tests.sinks.whip_receiver PORT [TOKEN]

takes what is posted to /live and writes a line of JSON for each thing that it sees:
`{"ready": true}`, `{"posted": status, "candidates": [...]}`, `{"kind": "video"|"audio", "rtp": N,
"value": mean luma or loudest sample, "key": whether}`, `{"clock": kind, "ntp": seconds, "rtp": N}`
from the sender's reports, and `{"deleted": true}`.
"""

from __future__ import annotations

import asyncio
import json
import sys

from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpreceiver import TimestampMapper
from aiortc.rtp import RtcpSrPacket

PATH = "/live"


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


async def watch(track) -> None:
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        if track.kind == "video":
            value = float(frame.reformat(format="gray").to_ndarray().mean())
            say(kind="video", rtp=frame.pts, value=value, key=bool(frame.key_frame))
        else:
            say(kind="audio", rtp=frame.pts, value=float(abs(frame.to_ndarray()).max()) / 32768)


def listen_to_clock(receiver, kind: str) -> None:
    handle = receiver._handle_rtcp_packet

    async def handled(packet) -> None:
        if isinstance(packet, RtcpSrPacket):
            info = packet.sender_info
            say(clock=kind, ntp=info.ntp_timestamp / 2**32, rtp=info.rtp_timestamp)
        await handle(packet)

    receiver._handle_rtcp_packet = handled


class Endpoint:
    def __init__(self, token: str | None) -> None:
        self.token = token
        self.peer: RTCPeerConnection | None = None
        self.tasks: set[asyncio.Task[None]] = set()

    async def post(self, request: web.Request) -> web.Response:
        if (
            self.token is not None
            and request.headers.get("Authorization") != f"Bearer {self.token}"
        ):
            say(posted=401)
            return web.Response(status=401)
        if request.content_type != "application/sdp":
            return web.Response(status=415)
        offer = await request.text()
        candidates = [line for line in offer.splitlines() if "candidate:" in line]
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))

        @self.peer.on("track")
        def came(track) -> None:
            task = asyncio.ensure_future(watch(track))
            self.tasks.add(task)

        await self.peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        for one in self.peer.getTransceivers():
            listen_to_clock(one.receiver, one.kind)
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        say(posted=201, candidates=candidates, kinds=[t.kind for t in self.peer.getTransceivers()])
        return web.Response(
            status=201,
            text=self.peer.localDescription.sdp,
            content_type="application/sdp",
            headers={"Location": f"{PATH}/session"},
        )

    async def delete(self, request: web.Request) -> web.Response:
        say(deleted=True, authorised=request.headers.get("Authorization") is not None)
        if self.peer is not None:
            await self.peer.close()
        return web.Response()


async def main(port: int, token: str | None) -> None:
    endpoint = Endpoint(token)
    app = web.Application()
    app.router.add_post(PATH, endpoint.post)
    app.router.add_delete(f"{PATH}/session", endpoint.delete)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    say(ready=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    # Timestamps as they come, which the sender's reports are about.
    TimestampMapper.map = lambda self, timestamp: timestamp
    asyncio.run(main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
