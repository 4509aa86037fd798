"""Sending by WebRTC to a WHIP endpoint: aiortc's, in a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest

from stream.errors import SinkError
from stream.frame import Frame, VideoInfo
from stream.settings.options import OutputOptions
from stream.sinks.network import NetworkSink
from stream.sources.file import FileSource
from tests.sinks.receivers import (
    RATE,
    Process,
    Received,
    apart,
    by_the_senders_clock,
    flashes,
    frame_of,
    receive,
    wait,
)
from tests.sources.serving import free_port

pytest.importorskip("aiortc")
pytestmark = pytest.mark.slow

TOKEN = "hunter2/and more"
ESCAPED = "hunter2%2Fand%20more"


class Endpoint(Process):
    """A WHIP endpoint that wants the token."""

    def __init__(self) -> None:
        self.port = free_port()
        super().__init__("tests.sinks.whip_receiver", str(self.port), TOKEN)
        self.wait_for("ready")

    @property
    def address(self) -> str:
        return f"whip://{ESCAPED}@127.0.0.1:{self.port}/live"

    def first(self, key: str) -> dict:
        return next(one for one in self.said if key in one)

    def arrived(self, kind: str) -> list[dict]:
        """What came of pictures or of sound; which of them is first is nobody's to say."""
        return [one for one in self.said if one.get("kind") == kind]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    try:
        yield found
    finally:
        found.kill()


@pytest.mark.real_time
def test_a_film_arrives_with_its_sound_in_step_and_takes_its_leave(endpoint, tmp_path):
    clip = flashes(tmp_path / "clip.mp4", 8)
    command = [sys.executable, "-m", "stream", "file", str(clip), "-o", endpoint.address]
    ran = subprocess.run(
        [*command, "--every", "10", "--no-timing"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    assert "hunter2" not in said and f"whip://127.0.0.1:{endpoint.port}/live" in said
    endpoint.wait_for("deleted")
    posted = endpoint.first("posted")
    assert posted["posted"] == 201 and posted["kinds"] == ["video", "audio"]
    assert posted["candidates"]
    assert all(" 127.0.0.1 " in one for one in posted["candidates"]), "others are nobody's business"
    assert endpoint.first("deleted")["authorised"]
    received = by_the_senders_clock(endpoint.said)
    assert len(received.frames) > 4 * RATE and endpoint.arrived("video")[0]["key"]
    found = apart(received)
    assert len(found) >= 3 and max(map(abs, found)) <= 0.04
    sent = Received()
    receive(str(clip), sent)
    for bright in (True, False):
        ours, theirs = (
            [luma for _, luma in one.frames if (luma > 120) == bright] for one in (sent, received)
        )
        assert np.median(theirs) == pytest.approx(np.median(ours), abs=2)
    loud = [max(value for _, value in one.sound) for one in (sent, received)]
    assert loud[1] == pytest.approx(loud[0], rel=0.1)


def test_one_that_knows_another_token_is_given_up_without_a_word_of_ours(endpoint, caplog):
    info = VideoInfo("made", 321, 241, "yuv420p", Fraction(1, RATE), Fraction(RATE), live=True)
    now = [0.0]
    address = endpoint.address.replace("more", "less")
    sink = NetworkSink(address, info, OutputOptions(preset="ultrafast"), clock=lambda: now[0])
    index = 0

    def over() -> bool:
        nonlocal index
        if sink._connection is None:
            now[0] += 60  # the wait for the next try
        try:
            sink.write(Frame(frame_of(index), index, index, Fraction(1, RATE)))
        except SinkError as error:
            said.append(str(error))
        index += 1
        return bool(said)

    said: list[str] = []
    try:
        wait(over, 60)
    finally:
        sink.abort()
    assert said == [
        f"whip://127.0.0.1:{endpoint.port}/live cannot be sent to: it answers 401 Unauthorized"
    ]
    assert "hunter2" not in caplog.text and "less" not in caplog.text


@pytest.mark.real_time
def test_many_channels_go_as_two_and_odd_pictures_as_even_ones(endpoint, tmp_path):
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as out:
        video = out.add_stream("ffv1", rate=RATE)
        video.width, video.height, video.pix_fmt = 161, 121, "yuv420p"
        sound = out.add_stream("pcm_s16le", rate=44100, layout="5.1")
        for index in range(8 * RATE):
            picture = av.VideoFrame.from_ndarray(np.full((121, 161), 99, np.uint8), "gray")
            picture = picture.reformat(format="yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, RATE)
            out.mux(video.encode(picture))
            samples = np.full((1, 1764 * 6), 3000, np.int16)
            part = av.AudioFrame.from_ndarray(samples, "s16", "5.1")
            part.sample_rate, part.pts, part.time_base = 44100, index * 1764, Fraction(1, 44100)
            out.mux(sound.encode(part))
    with FileSource(clip) as source:
        sink = NetworkSink.from_target(endpoint.address, source.info, OutputOptions())
        for item in source:
            sink.write(item)
        sink.close()
    assert "re-encoded with libopus as stereo instead of 5.1" in " ".join(sink.remarks)
    endpoint.wait_for("deleted")
    assert endpoint.arrived("video") and endpoint.arrived("audio")


def test_what_answers_but_is_no_endpoint_is_said_to_be_none():
    """As a page that is there for people, and one that names no session to end."""
    from aiohttp import ClientSession, web

    from stream.sinks import _whip_sender

    async def told(status: int, headers: dict[str, str]) -> str:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(status=status, headers=headers)

        app = web.Application()
        app.router.add_post("/live", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            async with ClientSession() as session:
                endpoint = _whip_sender.Endpoint(f"http://127.0.0.1:{port}/live", "", "", port)
                with pytest.raises(_whip_sender._SendingError) as error:
                    await _whip_sender._post(session, endpoint, "v=0")
        finally:
            await runner.cleanup()
        return str(error.value)

    no_whip = "so it is no WHIP endpoint"
    for status, headers, said in (
        (200, {}, f"it answers 200 OK, {no_whip}"),
        (201, {}, f"it answers 201 Created without a Location, {no_whip}"),
        (401, {"Location": "/1"}, "it answers 401 Unauthorized"),
    ):
        assert asyncio.run(told(status, headers)) == said
