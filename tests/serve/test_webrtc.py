"""What is agreed on with a browser."""

from __future__ import annotations

import asyncio

import aiortc
import pytest

from stream.serve.encoders import H264, Vp8
from stream.serve.encoding import Broadcast
from stream.serve.pictures import Shared
from stream.serve.webrtc import Peer
from stream.sinks.browser import Slot

CODECS = aiortc.RTCRtpSender.getCapabilities("video").codecs


def video(frame):
    return frame.image


def made(*names: str, camera: bool = False) -> tuple[list[str], object]:
    """The codecs of an answer to a browser that knows these, in order, and what encodes for it."""

    async def ask() -> tuple[list[str], object]:
        browser = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        transceiver = browser.addTransceiver("video", direction="recvonly")
        wanted = [one for name in names for one in CODECS if one.mimeType == name]
        transceiver.setCodecPreferences(wanted)
        await browser.setLocalDescription(await browser.createOffer())

        async def take(picture, now) -> None:
            raise AssertionError("no picture is sent")

        broadcast = Broadcast(Slot(), Shared(video, None), video)
        peer = Peer(broadcast, "127.0.0.1", on_picture=take if camera else None)
        try:
            answer = await peer.answer(browser.localDescription.sdp)
            sender = peer._connection.getTransceivers()[0].sender
            kind = vars(sender)["_RTCRtpSender__encoder"]._kind
        finally:
            await peer.close()
            await browser.close()
        lines = [one.split()[1] for one in answer.splitlines() if one.startswith("a=rtpmap:")]
        return [one.partition("/")[0] for one in lines], kind

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("names", "camera", "first", "kind"),
    [
        (("video/VP8", "video/H264"), False, "H264", H264),
        (("video/H264", "video/VP8"), False, "H264", H264),
        (("video/VP8",), False, "VP8", Vp8),
        # What a visitor's browser sends is its own affair.
        (("video/VP8", "video/H264"), True, "VP8", Vp8),
    ],
)
def test_what_costs_least_is_sent_where_the_browser_takes_it(names, camera, first, kind):
    codecs, found = made(*names, camera=camera)
    assert codecs[0] == first and {f"video/{one}" for one in codecs} == set(names)
    assert found is kind
