"""The process that sends a stream on by WebRTC to a WHIP endpoint (RFC 9725).

Run as a script like `_sender`, which says why there is such a process, with the same words and the
same variable. It encodes nothing: what comes in NUT, H.264 and Opus, is put into packets as it is.
It also says "keyframe" where the receiver asks for a picture that needs no other.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

import aiohttp
import aioice.ice
import av
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket
from av.bitstream import BitStreamFilterContext

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

    AnyPacket = Packet[Stream]

_CONNECTING = 7.0
"""Seconds for each step until pictures can go."""
_WAITING = 64
"""Packets that wait to be sent: some seconds of a stream that was read at once."""
_NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""
_ASKED_AGAIN = 0.5
"""Seconds between two key frames that are asked for."""
_LEAVING = 2.0


class _SendingError(Exception):
    """Why nothing can be sent, in words for people."""


def main() -> int:
    """Sends until standard input ends; returns the process's exit code."""
    asked = json.loads(os.environ.pop("STREAM_SENDER"))
    # Whatever it says of addresses and keys is nobody's business.
    logging.disable(logging.CRITICAL)
    # Answers are asked for every five seconds, and missed for half a minute, otherwise.
    aioice.ice.CONSENT_INTERVAL, aioice.ice.CONSENT_FAILURES = 1, 6
    try:
        asyncio.run(_send(asked["address"]))
    except (_SendingError, av.FFmpegError, aiohttp.ClientError, OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        _tell("failed", " ".join(str(words).split()))
        return 1
    return 0


def _tell(*words: str) -> None:
    print(*words, flush=True)  # noqa: T201


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to post an offer.

    Attributes:
        url: http or https, without the token.
        token: for `Authorization: Bearer`; "" for none.
        host: for finding out by which address of this machine it is reached.
        port: likewise.
    """

    url: str
    token: str
    host: str
    port: int

    @classmethod
    def of(cls, address: str) -> Endpoint:
        """What a whip:// or whips:// address stands for; its token stands before the @."""
        scheme, _, rest = address.partition("://")
        scheme = "https" if scheme.lower() == "whips" else "http"
        user, _, place = rest.rpartition("@")
        url = f"{scheme}://{place}"
        parts = urlsplit(url)
        port = parts.port or (443 if scheme == "https" else 80)
        return cls(url, unquote(user), parts.hostname or "", port)

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


class _Packets(MediaStreamTrack):
    """One stream's packets as they come; aiortc sends packets that are encoded as they are."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.queue: asyncio.Queue[AnyPacket] = asyncio.Queue(_WAITING)
        self.began = 0.0
        self.seconds = 0.0
        """The time of the packet that was sent last."""

    async def recv(self) -> AnyPacket:
        packet = await self.queue.get()
        assert packet.pts is not None and packet.time_base is not None
        self.seconds = float(packet.pts * packet.time_base)
        return packet


class _Sender(RTCRtpSender):
    """Reports the time of what was sent by its timestamp, so that sound and picture keep step.

    aiortc reports when it was sent: pictures are later than the sound that belongs to them.
    """

    packets: _Packets
    _asked = 0.0

    async def _send_rtcp(self, packets: list[AnyRtcpPacket]) -> None:
        for one in packets:
            if isinstance(one, RtcpSrPacket):
                at = self.packets.began + self.packets.seconds + _NTP_EPOCH
                one.sender_info.ntp_timestamp = int(at * 2**32)
        await super()._send_rtcp(packets)

    def _send_keyframe(self) -> None:
        now = time.monotonic()
        if now - self._asked > _ASKED_AGAIN:
            self._asked = now
            _tell("keyframe")


async def _send(address: str) -> None:
    endpoint = Endpoint.of(address)
    with _opened() as source:
        tracks = {one.index: _Packets(one.type) for one in source.streams}
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        async with _connected(endpoint, list(tracks.values()), ended):
            began = time.time()
            for track in tracks.values():
                track.began = began
            _tell("connected")
            reading = asyncio.ensure_future(_hand_on(source, tracks))
            await _first(reading, ended)
            if ended.done():
                raise _SendingError(ended.result())
            reading.result()
            # What was handed on last is on its way.
            await asyncio.sleep(0.2)


async def _first(*several: asyncio.Future[Any], timeout: float | None = None) -> None:
    """Waits for the first of several."""
    await asyncio.wait(several, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


@contextmanager
def _opened() -> Iterator[InputContainer]:
    """What is to be sent; see `_sender`."""
    read = {"probesize": "32", "analyzeduration": "0", "fpsprobesize": "0"}
    with (
        open(0, "rb", buffering=0, closefd=False) as pipe,
        av.open(pipe, "r", format="nut", container_options=read, buffer_size=4096) as source,
    ):
        yield source


async def _hand_on(source: InputContainer, tracks: dict[int, _Packets]) -> None:
    """Gives packets to their tracks as they come, until the end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def read() -> None:
        filters = {
            one.index: BitStreamFilterContext("dump_extra", one)
            for one in source.streams
            if one.type == "video"
        }
        error: BaseException | None = None
        try:
            for packet in source.demux():
                if not packet.size:
                    continue  # the end
                at = packet.stream_index
                for one in filters[at].filter(packet) if at in filters else [packet]:
                    put = tracks[at].queue.put(one)
                    asyncio.run_coroutine_threadsafe(put, loop).result()
        except (av.FFmpegError, OSError, RuntimeError) as failed:
            error = failed
        with suppress(RuntimeError):  # the loop has ended; nobody waits for the end any more
            loop.call_soon_threadsafe(_settle, done, error)

    # One that still waits for input must not keep the process.
    threading.Thread(target=read, daemon=True).start()
    await done


def _settle(done: asyncio.Future[None], error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


@asynccontextmanager
async def _connected(
    endpoint: Endpoint, tracks: list[_Packets], ended: asyncio.Future[str]
) -> AsyncIterator[None]:
    """A connection by which the tracks are sent; `ended` says why it ended by itself.

    No server for finding out one's own address is asked: endpoints have addresses of their own.
    """
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    connection = RTCPeerConnection(configuration)
    reached = asyncio.Event()

    @connection.on("connectionstatechange")
    def changed() -> None:
        if connection.connectionState == "connected":
            reached.set()
        elif connection.connectionState in ("failed", "closed") and not ended.done():
            ended.set_result("the receiver is gone" if reached.is_set() else "it was not reached")

    timeout = aiohttp.ClientTimeout(total=_CONNECTING)
    async with aiohttp.ClientSession(timeout=timeout, headers=endpoint.headers) as session:
        place = None
        try:
            for track in tracks:
                transceiver = connection.addTransceiver(track, direction="sendonly")
                transceiver.sender.__class__ = _Sender
                assert isinstance(transceiver.sender, _Sender)
                transceiver.sender.packets = track
                wanted = "video/H264" if track.kind == "video" else "audio/opus"
                known = RTCRtpSender.getCapabilities(track.kind).codecs
                transceiver.setCodecPreferences([one for one in known if one.mimeType == wanted])
                _offer_one(transceiver.sender, await _own_address(endpoint))
            await connection.setLocalDescription(await connection.createOffer())
            place, answer = await _post(session, endpoint, connection.localDescription.sdp)
            await _understand(connection, answer)
            waiting = asyncio.ensure_future(reached.wait())
            await _first(waiting, ended, timeout=_CONNECTING)
            waiting.cancel()
            if not reached.is_set():
                raise _SendingError("its WebRTC port was not reached")
            yield
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LEAVING):
                    await connection.close()
            if place is not None:
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with asyncio.timeout(_LEAVING):
                        await session.delete(place)


async def _post(session: aiohttp.ClientSession, endpoint: Endpoint, offer: str) -> tuple[str, str]:
    """Offers; returns where the session is, and the answer.

    Raises:
        _SendingError: the endpoint does not want it.
    """
    kind = {"Content-Type": "application/sdp"}
    try:
        async with session.post(endpoint.url, data=offer.encode(), headers=kind) as response:
            answer = await response.text()
            where = response.headers.get("Location")
            said = f"it answers {response.status} {response.reason or ''}".rstrip()
            if response.status != 201:
                no_whip = ", so it is no WHIP endpoint" if response.ok else ""
                raise _SendingError(said + no_whip)
            if where is None:
                raise _SendingError(f"{said} without a Location, so it is no WHIP endpoint")
            return urljoin(str(response.url), where), answer
    except aiohttp.ClientError as error:
        # Whole addresses stand in these.
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise _SendingError(f"nothing was posted: {reason}") from error
    except TimeoutError as error:
        raise _SendingError(f"no answer for {_CONNECTING:g} s") from error


async def _understand(connection: RTCPeerConnection, answer: str) -> None:
    try:
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    except Exception as error:
        # What is wrong with an answer shows anywhere in aiortc, by any exception.
        raise _SendingError(f"its answer is not understood ({type(error).__name__})") from error
    for transceiver in connection.getTransceivers():
        if transceiver.currentDirection != "sendonly":
            raise _SendingError(f"it takes no {'H.264' if transceiver.kind == 'video' else 'Opus'}")


async def _own_address(endpoint: Endpoint) -> str:
    """The address of this machine by which the endpoint is reached."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)
    family, kind, protocol, _, place = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(place)  # of UDP: nothing is sent
        return str(probe.getsockname()[0])


def _offer_one(sender: RTCRtpSender, address: str) -> None:
    """Offers one address instead of all that the machine has; aioice has no setting for it."""
    connection = sender.transport.transport.iceGatherer._connection
    gather = connection.get_component_candidates

    async def gather_one(component: int, addresses: list[str], timeout: int = 5) -> object:
        return await gather(component, [address], timeout)

    connection.get_component_candidates = gather_one  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    sys.exit(main())
