"""Pictures by WebRTC: all that knows aiortc is here, and in `encoders`."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from stream.errors import UsageError
from stream.frame import Frame
from stream.references import Referencer
from stream.serve.encoders import H264, encoder_for
from stream.serve.pictures import Shared, Viewer
from stream.sinks.browser import Slot

logger = logging.getLogger(__name__)

_CLOCK = Fraction(1, 90_000)
CONNECTING = 15.0
"""Seconds within which a browser has to reach us."""

OnPicture = Callable[[av.VideoFrame, float], Awaitable[None]]
"""Takes a picture of a visitor's camera, and when it came in by `time.perf_counter()`."""


class SlotTrack(MediaStreamTrack):
    """A slot's newest frames as a track; each viewer has its own, and its own pace.

    Args:
        slot: where frames come.
        video: makes of a frame what is encoded, once for all.
    """

    kind = "video"

    def __init__(self, slot: Slot, video: Shared[av.VideoFrame]) -> None:
        super().__init__()
        self._viewer = Viewer(slot)
        self._video = video
        self._refer = Referencer()
        self._began: float | None = None
        self._pts = -1
        self._sending: Frame | None = None
        self.delay: float | None = None
        """Seconds from a frame's birth until it was sent, encoded; a running mean."""

    async def recv(self) -> av.VideoFrame:
        """The next picture to encode, once there is one.

        Raises:
            MediaStreamError: the track has ended.
        """
        if self._sending is not None:
            # Who asks for the next has sent the last.
            delay = time.perf_counter() - self._sending.captured_at
            self.delay = delay if self.delay is None else self.delay + (delay - self.delay) / 8
        self._sending = None
        frame = await self._viewer.next()
        if frame is None:
            raise MediaStreamError
        self._sending = frame
        # The encoder writes a type on its picture, so each viewer has a reference of its own.
        picture = self._refer(await self._video.of(frame))
        picture.pts, picture.time_base = self._time_of(frame), _CLOCK
        return picture

    def _time_of(self, frame: Frame) -> int:
        if self._began is None:
            self._began = frame.captured_at
        self._pts = max(self._pts + 1, round((frame.captured_at - self._began) / _CLOCK))
        return self._pts

    def stop(self) -> None:
        """It ends."""
        super().stop()
        self._viewer.close()


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
        slot: whose frames are sent.
        video: makes of a frame what is encoded.
        address: the only local address that is offered: that by which the browser came.
        on_picture: takes the pictures of the browser's camera; None refuses them.
        on_end: called once it has ended by itself.
    """

    def __init__(
        self,
        slot: Slot,
        video: Shared[av.VideoFrame],
        address: str,
        *,
        on_picture: OnPicture | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._slot = slot
        self._video = video
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
            self._track = SlotTrack(self._slot, self._video)
            transceiver.sender.replaceTrack(self._track)
            transceiver.direction = "sendonly" if self._on_picture is None else "sendrecv"
            if self._on_picture is None:
                # Stable: among equals the browser's order stays.
                transceiver._codecs.sort(key=lambda one: one.mimeType != H264.MIME)
            self._bind(transceiver.receiver.transport.transport.iceGatherer._connection)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
            encoder = encoder_for(transceiver._codecs[0].mimeType)
            if encoder is not None:
                # Asked for by the sender where there is none yet.
                vars(transceiver.sender)["_RTCRtpSender__encoder"] = encoder
        except UsageError:
            raise
        except Exception as error:
            # What is wrong with an offer shows anywhere in aiortc, by any exception.
            raise UsageError(f"the offer is not understood ({type(error).__name__})") from error
        self._later(self._give_up())
        return str(self._connection.localDescription.sdp)

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
