"""Pictures by WebRTC: all that knows aiortc is here, and in `encoders`."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.codecs.base import Encoder
from aiortc.mediastreams import MediaStreamError
from av.frame import Frame as MediaFrame
from av.packet import Packet

from stream.errors import UsageError
from stream.pictures.references import Referencer
from stream.serve.encoders import H264, ForWatching, kind_for
from stream.serve.encoding import CLOCK, Broadcast, Encoded, Reception
from stream.serve.pace import Pace
from stream.serve.pictures import Viewer

logger = logging.getLogger(__name__)

CONNECTING = 15.0
"""Seconds within which a browser has to reach us."""

OnPicture = Callable[[av.VideoFrame, float], Awaitable[None]]
"""Takes a picture of a visitor's camera, and when it came in by `time.perf_counter()`."""


class SlotTrack(MediaStreamTrack):
    """A slot's pictures as a track for one browser.

    They come encoded, as all get them. A browser that cannot keep up gets those encoded that it can
    take, at its own pace, so that it slows nobody.

    Args:
        broadcast: whose pictures.
        kind: what encodes; None leaves that to aiortc.
    """

    kind = "video"

    def __init__(self, broadcast: Broadcast, kind: type[ForWatching] | None) -> None:
        super().__init__()
        self._broadcast = broadcast
        self._kind = kind
        self._refer = Referencer()
        self._began: float | None = None
        self._pts = -1
        self._sending: float | None = None
        # Until it is taken from, nothing is encoded; but what is to be seen is inferred already.
        self._viewer: Viewer | None = Viewer(broadcast.slot)
        self._reception: Reception | None = None
        self._taken = False
        self.encoder = None if kind is None else OneOrAll(kind, self)
        """What aiortc is to take for its encoder."""
        self.delay: float | None = None
        """Seconds from a frame's birth until it was sent, encoded; a running mean."""

    @property
    def alone(self) -> bool:
        """Whether pictures are encoded for this browser alone."""
        return self._taken and self._viewer is not None

    def others(self) -> float | None:
        """Bits that the other viewers are sent in a second; None where there are none."""
        return None if self._kind is None else self._broadcast.others(self._kind, self._reception)

    def ask(self, bitrate: int) -> None:
        """The browser says how many bits per second it can take."""
        if self._reception is not None:
            self._reception.ask(bitrate)

    def change(self, *, alone: bool) -> None:
        """Pictures are encoded for this browser alone from now on, or as for all."""
        before: tuple[Viewer | Reception | None, ...] = (self._viewer, self._reception)
        # Who looks last takes the picture along, so the new one is there before the old one goes.
        if alone:
            self._viewer, self._reception = Viewer(self._broadcast.slot), None
        elif self._kind is not None:
            self._viewer, self._reception = None, self._broadcast.receive(self._kind)
        for one in before:
            if one is not None:
                one.close()

    async def recv(self) -> av.VideoFrame | Encoded:  # type: ignore[override]  # what is encoded is packed
        """The next picture, once there is one: encoded, or to be encoded.

        Raises:
            MediaStreamError: the track has ended.
        """
        if self._sending is not None:
            # Who asks for the next has sent the last.
            delay = time.perf_counter() - self._sending
            self.delay = delay if self.delay is None else self.delay + (delay - self.delay) / 8
        self._sending = None
        if not self._taken:
            self._taken = True
            self.change(alone=self._kind is None)
        while self.readyState == "live":
            viewer, reception = self._viewer, self._reception
            if viewer is not None:
                frame = await viewer.next()
                if frame is not None:
                    self._sending = frame.captured_at
                    # The encoder writes a type on its picture, so it has a reference of its own.
                    picture = self._refer(await self._broadcast.video.of(frame))
                    picture.pts, picture.time_base = self.time_of(frame.captured_at), CLOCK
                    return picture
            elif reception is not None:
                encoded = await reception.next()
                if encoded is not None:
                    self._sending = encoded.captured_at
                    return encoded
            if viewer is self._viewer and reception is self._reception:
                break
        raise MediaStreamError

    def time_of(self, captured_at: float) -> int:
        """When a picture was taken, in ticks of `CLOCK` since the first; later than the last."""
        if self._began is None:
            self._began = captured_at
        self._pts = max(self._pts + 1, round((captured_at - self._began) / CLOCK))
        return self._pts

    def want_whole(self) -> None:
        """The browser cannot go on without a whole picture."""
        if self._reception is not None:
            self._reception.want_whole()

    def stop(self) -> None:
        """It ends."""
        super().stop()
        for one in (self._viewer, self._reception):
            if one is not None:
                one.close()


class OneOrAll(Encoder):
    """What aiortc takes for an encoder: hands on what is encoded, or encodes for one browser.

    Args:
        kind: what encodes.
        track: whose pictures come.
    """

    def __init__(self, kind: type[ForWatching], track: SlotTrack) -> None:
        self._kind = kind
        self._track = track
        self._pace = Pace()
        self._own: ForWatching | None = None
        self._asked = 0

    @property
    def target_bitrate(self) -> int:
        """Bits per second that the browser said it can take; 0 before it has."""
        return self._asked

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._asked = bitrate
        self._pace.hear(bitrate, self._track.others())
        if self._pace.alone != self._track.alone:
            logger.debug("a browser %s keep up", "cannot" if self._pace.alone else "can again")
            # Each begins with a whole picture.
            self._own = self._kind() if self._pace.alone else None
            self._track.change(alone=self._pace.alone)
        if self._own is not None:
            self._own.target_bitrate = bitrate
        self._track.ask(bitrate)

    def encode(self, frame: MediaFrame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Encodes a picture for this browser; in a thread of aiortc's."""
        own = self._own
        return ([], 0) if own is None else own.encode(frame, force_keyframe)

    def pack(self, packet: Packet[Any] | Encoded) -> tuple[list[bytes], int]:
        """What is sent of a picture that is encoded, and its time in 1/90,000 s."""
        assert isinstance(packet, Encoded)
        return packet.payloads, self._track.time_of(packet.captured_at)


def without_candidates(sdp: str) -> str:
    """An offer without the browser's own addresses.

    The browser finds us, and its address is learned from its check, which carries a secret of this
    very answer. So no page can have us send packets to addresses that it makes up.
    """
    lines = re.split(r"\r?\n", sdp)
    kept = [one for one in lines if not one.startswith(("a=candidate:", "a=end-of-candidates"))]
    return "\r\n".join(kept)


class Peer:
    """One browser's connection for one picture.

    Args:
        broadcast: whose pictures are sent.
        address: the only local address that is offered: that by which the browser came.
        on_picture: takes the pictures of the browser's camera; None refuses them.
        on_end: called once it has ended by itself.
    """

    def __init__(
        self,
        broadcast: Broadcast,
        address: str,
        *,
        on_picture: OnPicture | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._broadcast = broadcast
        self._address = address
        self._on_picture = on_picture
        self._on_end = on_end
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._track: SlotTrack | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._connection.on("connectionstatechange", self._changed)
        self._connection.on("track", self._came)

    @property
    def delay(self) -> float | None:
        """Seconds from a frame's birth until it was sent; None before the first."""
        return None if self._track is None else self._track.delay

    async def answer(self, sdp: str) -> str:
        """Takes a browser's offer; returns the answer, in SDP.

        Raises:
            UsageError: it is no offer of one video.
        """
        if sdp.count("\nm=") != 1 or "\nm=video " not in sdp:
            raise UsageError("an offer holds one video and nothing else")
        try:
            offer = RTCSessionDescription(sdp=without_candidates(sdp), type="offer")
            await self._connection.setRemoteDescription(offer)
            (transceiver,) = self._connection.getTransceivers()
            transceiver.direction = "sendonly" if self._on_picture is None else "sendrecv"
            if self._on_picture is None:
                # Stable: among equals the browser's order stays.
                transceiver._codecs.sort(key=lambda one: one.mimeType != H264.MIME)
            self._bind(transceiver.receiver.transport.transport.iceGatherer._connection)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
            self._send(transceiver.sender, kind_for(transceiver._codecs[0].mimeType))
        except UsageError:
            raise
        except Exception as error:
            # What is wrong with an offer shows anywhere in aiortc, by any exception.
            raise UsageError(f"the offer is not understood ({type(error).__name__})") from error
        self._later(self._give_up())
        return str(self._connection.localDescription.sdp)

    def _send(self, sender: RTCRtpSender, kind: type[ForWatching] | None) -> None:
        """Has a sender send the slot's pictures in the codec that was agreed on."""
        track = self._track = SlotTrack(self._broadcast, kind)
        sender.replaceTrack(track)
        if track.encoder is None:
            return
        # The sender makes one where there is none yet, and tells nobody what a browser asks for.
        vars(sender)["_RTCRtpSender__encoder"] = track.encoder
        heard = sender._send_keyframe

        def send_whole() -> None:
            heard()
            track.want_whole()

        sender._send_keyframe = send_whole  # type: ignore[method-assign]

    def _bind(self, connection: object) -> None:
        """Offers one address instead of all that the machine has; aioice has no setting for it."""
        gather = connection.get_component_candidates  # type: ignore[attr-defined]

        async def gather_one(component: int, addresses: list[str], timeout: int = 5) -> object:
            return await gather(component, [self._address], timeout)

        connection.get_component_candidates = gather_one  # type: ignore[attr-defined]

    async def _give_up(self) -> None:
        await asyncio.sleep(CONNECTING)
        if self._connection.connectionState != "connected":
            logger.debug("a browser did not reach us within %g seconds", CONNECTING)
            self._end()

    def _changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._end()

    def _end(self) -> None:
        if not self._closed:
            self._on_end()

    def _came(self, track: MediaStreamTrack) -> None:
        if self._on_picture is not None and track.kind == "video":
            self._later(self._take(track, self._on_picture))

    async def _take(self, track: MediaStreamTrack, on_picture: OnPicture) -> None:
        try:
            while True:
                picture = await track.recv()
                if isinstance(picture, av.VideoFrame):
                    await on_picture(picture, time.perf_counter())
        except MediaStreamError:
            self._end()

    def _later(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Ends it; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        if self._track is not None:
            self._track.stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connection.close()
