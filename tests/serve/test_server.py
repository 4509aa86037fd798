"""The page as programs see it: what is served, to whom, and what is refused."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import logging
import os
import re
import signal
import socket
import ssl
import sys
import threading
import time
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import replace

import aiohttp
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from stream.errors import OutOfReachError, SinkError, StreamError, UsageError
from stream.run.notices import stands_still
from stream.run.plan import OutputPlan
from stream.run.report import RunReport
from stream.serve import mjpeg
from stream.serve.files import page_files
from stream.serve.serving import serve
from stream.settings.count_options import CountOptions
from stream.settings.options import InputOptions, PictureOptions, RunOptions
from stream.settings.serve_options import ServeOptions
from stream.sinks import _again
from stream.sinks._destination import Destination
from stream.sources.base import Source
from tests.live.helpers import Scene
from tests.run.parts import until
from tests.serve.served import TOKEN, bright, plan_of, served


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return bright(tmp_path_factory.mktemp("model"))


@pytest.fixture
def page(model):
    with served([plan_of()], model) as found:
        yield found


@pytest.fixture(scope="module")
def standing(model):
    """A page for tests that leave it as it was; its threads are there already."""
    with served([plan_of()], model) as found:
        began = [found.house.executor.submit(time.sleep, 0.2) for _ in range(4)]
        wait(began)
        yield found


@pytest.fixture
def guarded(model):
    with served([plan_of(options=ServeOptions(port=0, token=TOKEN))], model) as found:
        yield found


def get(page, path="/", method="GET", body=None, **headers):
    """A request by a client of few words; returns status, headers and body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def ask():
        async with aiohttp.ClientSession() as session:
            url = page.url + path
            async with session.request(method, url, headers=named, data=body) as answer:
                return answer.status, answer.headers, await answer.read()

    return asyncio.run(ask())


async def talk(page, messages, wanted, headers=None):
    """Sends messages by a page's WebSocket; returns what came up to the first of a wanted type."""
    heard = []
    async with aiohttp.ClientSession() as session:
        url = f"{page.url}/api/live"
        async with session.ws_connect(url, headers=headers or {}) as socket_:
            for one in messages:
                await socket_.send_str(one if isinstance(one, str) else json.dumps(one))
            while not heard or heard[-1].get("type") != wanted:
                message = await asyncio.wait_for(socket_.receive(), 60)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    heard.append({"type": "over", "data": message.data, "kind": message.type})
                    break
                heard.append(json.loads(message.data))
    return heard


def test_the_page_and_its_parts_are_served_with_what_browsers_must_hold_to(page):
    for path, (body, kind) in page_files().items():
        status, headers, found = get(page, path)
        assert (status, found) == (200, body)
        assert headers["Content-Type"].startswith(kind)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "aiohttp" not in headers["Server"].lower()


def test_no_asset_comes_from_elsewhere():
    for path, (body, _) in page_files().items():
        text = body.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text.replace('"http:', "") and "https://" not in text, path
        assert "style=" not in text or not path.endswith((".html", "/")), path


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no socket takes both kinds here")
def test_all_addresses_are_those_of_both_kinds(model):
    options = ServeOptions(host="::", port=0, token=TOKEN, tls=False)
    with served([plan_of(options=options)], model) as found:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as channel:
                channel.settimeout(60)
                channel.connect((address, found.port))
                host = f"[{address}]" if ":" in address else address
                channel.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert channel.recv(100).startswith(b"HTTP/1.1 200"), address


def test_the_page_may_lie_in_a_folder_of_a_proxy_s():
    """What it names is beside it, wherever that is."""
    for path, (body, _) in page_files().items():
        named = re.findall(r"""(?:["'`]|url\()(/[a-z][^"'`)]*)""", body.decode())
        assert named == [], path


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/server.py", "/page/../server.py",
     "/style.css/..", "//etc/passwd", "/api/rooms/..%2f..%2fetc/mjpeg", "/api/rooms/pattern/mjpeg",
     "/api/rooms/rtsp:%2f%2fevil/mjpeg", "/%00", "/index.html", "/__init__.py"],
)  # fmt: skip
def test_no_path_leads_to_the_file_system(standing, path):
    async def ask():
        reader, writer = await asyncio.open_connection("127.0.0.1", standing.port)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {standing.host}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = await reader.read()
        writer.close()
        return answer

    answer = asyncio.run(ask())
    assert answer.split(b" ")[1] in (b"404", b"400") and b"root:" not in answer


def test_the_pictures_of_the_source_come_processed(page):
    async def look():
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{page.url}/api/rooms/0/mjpeg") as answer,
        ):
            assert answer.headers["X-Accel-Buffering"] == "no", "a proxy would keep old ones"
            reader = aiohttp.MultipartReader.from_response(answer)
            found = []
            while len(found) < 6:
                part = await asyncio.wait_for(reader.next(), 60)
                found.append(np.frombuffer(await part.read(), np.uint8))
            return found

    pictures = [cv2.imdecode(one, cv2.IMREAD_COLOR) for one in asyncio.run(look())]
    assert all(one.shape == (120, 160, 3) for one in pictures)
    moved = sum(np.abs(pictures[0].astype(int) - one).max() > 60 for one in pictures[1:])
    assert moved >= 4, "they stand still"
    # The bar is 235 bright and so marked by the model: it is no longer white, but the first colour.
    blue = [(one[..., 0].astype(int) - one[..., 2]).max() for one in pictures]
    assert min(blue) > 60


def test_many_viewers_cost_one_inference_and_nobody_none(page):
    room = page.room
    until(lambda: room.run is not None and room.run.counts.frames_out > 5)
    assert "infer" not in room.run.clock.figures(), "nobody has looked"

    async def look(viewers):
        async with aiohttp.ClientSession() as session:

            async def one():
                async with session.get(f"{page.url}/api/rooms/0/mjpeg") as answer:
                    await answer.content.readuntil(b"image/jpeg")
                    await asyncio.sleep(0.3)
                    return (await answer.content.readany())[:0] == b""

            return await asyncio.gather(*(one() for _ in range(viewers)))

    assert all(asyncio.run(look(12)))
    figures = room.run.clock.figures()
    assert 0 < figures["infer"].frames <= room.run.counts.frames_out
    assert figures["composite"].frames <= room.run.counts.frames_out
    until(lambda: not room.slot.viewers)

    def nothing_inferred():
        # What was under way when the last one left may still come out.
        before = room.run.clock.figures()["infer"].frames
        passed = room.run.counts.frames_out
        until(lambda: room.run.counts.frames_out > passed + 10)
        return room.run.clock.figures()["infer"].frames == before

    until(nothing_inferred)
    assert room.slot.frame is None


@pytest.mark.slow
def test_a_viewer_that_does_not_read_slows_nobody_and_is_shown_the_door(page, monkeypatch):
    monkeypatch.setattr("stream.serve.mjpeg._PATIENCE", 1.0)
    with socket.create_connection(("127.0.0.1", page.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.sendall(f"GET /api/rooms/0/mjpeg HTTP/1.1\r\nHost: {page.host}\r\n\r\n".encode())
        until(lambda: page.room.slot.viewers == 1)
        before = page.room.run.counts.frames_out
        until(lambda: page.room.run.counts.frames_out > before + 20)
        until(lambda: page.room.slot.viewers == 0)


def test_who_looked_at_a_source_that_is_gone_and_left_takes_nobody_s_place(model, monkeypatch):
    """As pages that are loaded again and again; one who waits sees it come back."""
    from stream import sources
    from stream.errors import SourceError

    real, back = sources.open, threading.Event()

    def opened(target, options=None):
        if not back.is_set():
            raise SourceError("it is gone")
        return real(target, options)

    monkeypatch.setattr(sources, "open", opened)
    monkeypatch.setattr("stream.serve.mjpeg._LOOKS", 0.05)
    monkeypatch.setattr("stream.serve.room._FIRST_PAUSE", 0.2)
    monkeypatch.setattr("stream.serve.room._LONGEST_PAUSE", 0.2)
    with served([plan_of(options=ServeOptions(port=0, viewers=3))], model) as page:

        def look():
            viewer = socket.create_connection(("127.0.0.1", page.port), 60)
            viewer.sendall(f"GET /api/rooms/0/mjpeg HTTP/1.1\r\nHost: {page.host}\r\n\r\n".encode())
            assert viewer.recv(12) == b"HTTP/1.1 200"
            return viewer

        with look() as waiting:
            for _ in range(6):
                look().close()
                until(lambda: page.room.slot.viewers == 1)
            back.set()
            told = b""
            while b"image/jpeg" not in told:
                told += waiting.recv(4096)
        until(lambda: page.room.slot.viewers == 0)


def test_who_is_gone_before_the_answer_begins_is_not_in_the_log(page, monkeypatch):
    """As viewers that gave up while the machine slept; an error in the log fails this test."""
    send, done = mjpeg.send, threading.Event()

    async def late(request, *given):
        # What the loop finds where the viewer hung up before it came by.
        request.transport.abort()
        try:
            return await send(request, *given)
        finally:
            done.set()

    monkeypatch.setattr(mjpeg, "send", late)
    with socket.create_connection(("127.0.0.1", page.port)) as viewer:
        viewer.sendall(f"GET /api/rooms/0/mjpeg HTTP/1.1\r\nHost: {page.host}\r\n\r\n".encode())
        with suppress(ConnectionError):
            assert viewer.recv(1) == b""
    assert done.wait(60)
    assert page.room.slot.viewers == 0


def test_a_page_is_greeted_and_told_how_it_goes(standing):
    heard = asyncio.run(talk(standing, [], "settings"))
    hello, state = heard[0], next(one for one in heard if one["type"] == "state")
    assert hello["rooms"] == [{"key": "0", "name": "pattern"}]
    assert hello["looks"]["0"][0] == "overlay" and hello["models"] == ["default"]
    assert heard[-1]["names"] == ["person", "car", "dog"] and heard[-1]["look"] == "overlay"
    assert set(state) == {"type", "rooms", "sent"} and set(state["rooms"]) == {"0"}


def test_what_a_page_changes_is_changed_for_all(page):
    wish = {"type": "set", "room": "0", "look": "replace", "background": "00ff00",
            "threshold": 0.7, "classes": ["car"], "labels": False}  # fmt: skip
    before = page.room.plan
    asyncio.run(talk(page, [wish], "state"))
    until(lambda: page.room.picture.look == "replace")
    settings_ = page.room.settings()
    assert settings_["background"] == "00ff00" and settings_["threshold"] == 0.7
    assert settings_["classes"] == ["car"] and settings_["labels"] is False
    assert page.room.plan is before


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"background": "/etc/passwd"}, "colour"),
        ({"background": "file.png"}, "colour"),
        ({"look": "nothing"}, "look"),
        ({"look": "overlay+blur"}, "look"),
        ({"model": "/tmp/evil.onnx"}, "model"),
        ({"classes": ["unicorn"]}, "unicorn"),
        ({"threshold": 7}, "0 to 1"),
        ({"room": "1", "look": "blur"}, "no such source"),
        ({"room": "camera", "look": "blur"}, "camera"),
    ],
)
def test_what_the_operator_did_not_offer_is_refused(standing, wish, why):
    before = standing.room.settings()
    heard = asyncio.run(talk(standing, [{"type": "set", "room": "0", **wish}], "refused"))
    assert why in heard[-1]["why"] and heard[-1]["of"] == "set"
    assert standing.room.settings() == before


def test_nothing_can_be_changed_where_the_operator_says_so(model):
    with served([plan_of(options=ServeOptions(port=0, controls=False, visitors=0))], model) as page:
        wishes = [{"type": "set", "room": "0", "look": "blur"}]
        heard = asyncio.run(talk(page, wishes, "refused"))
        assert "nothing can be changed" in heard[-1]["why"]
        heard = asyncio.run(talk(page, [{"type": "visit", "sdp": "v=0"}], "refused"))
        assert "not taken" in heard[-1]["why"]
        assert heard[0]["controls"] is False and heard[0]["camera"] is False


def test_messages_that_make_no_sense_are_answered_and_nothing_else(page):
    messages = [
        "nonsense", {"type": "fly"}, {"type": "watch"}, {"type": "watch", "room": "0"},
        {"type": "watch", "room": "0", "sdp": "v=0"}, {"type": "leave", "room": "9"},
        {"type": "bye"}, {"type": "snapshot", "room": "0"},
        {"type": "watch", "room": "0", "sdp": "v=0\r\nm=video 9 X 96\r\na=candidate:x"},
        {"type": "visit", "sdp": "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"},
        {"type": "done"},
    ]  # fmt: skip

    async def all_of_them():
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{page.url}/api/live") as socket_,
        ):
            for one in messages:
                await socket_.send_str(one if isinstance(one, str) else json.dumps(one))
            why = []
            while len(why) < len(messages) - 1:
                message = json.loads((await asyncio.wait_for(socket_.receive(), 60)).data)
                if message["type"] == "refused":
                    why.append(message["why"])
            return why

    why = asyncio.run(all_of_them())
    assert all(one and "\n" not in one and "Traceback" not in one for one in why)
    until(lambda: not page.house.sessions)
    assert not page.house.visits and not page.room.slot.viewers


def test_too_large_or_too_many_messages_end_the_page_s_connection(page):
    heard = asyncio.run(talk(page, ["x" * 100_000], "over"))
    assert heard[-1]["kind"] is aiohttp.WSMsgType.CLOSE and heard[-1]["data"] == 1009
    heard = asyncio.run(talk(page, ["{}"] * 300, "over"))
    assert heard[-1]["kind"] in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    assert get(page, "/healthz")[0] == 200


def test_a_snapshot_is_the_whole_picture_and_comes_to_who_asked(page):
    async def snapshot():
        async with aiohttp.ClientSession() as session:
            look = await session.get(f"{page.url}/api/rooms/0/mjpeg")
            await look.content.readuntil(b"image/jpeg")
            async with session.ws_connect(f"{page.url}/api/live") as socket_:
                await socket_.send_str(json.dumps({"type": "snapshot", "room": "0"}))
                name = ""
                while True:
                    message = await asyncio.wait_for(socket_.receive(), 60)
                    if message.type is aiohttp.WSMsgType.BINARY:
                        look.close()
                        return name, message.data
                    found = json.loads(message.data)
                    name = found.get("name", name) if found["type"] == "snapshot" else name

    name, data = asyncio.run(snapshot())
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (120, 160, 3) and name.startswith("pattern-") and name.endswith(".png")


def test_without_the_token_nothing_is_seen(guarded):
    for path in ("/api/live", "/api/rooms/0/mjpeg", "/metrics"):
        assert get(guarded, path)[0] == 401
        assert get(guarded, path, Authorization="Bearer wrong")[0] == 401
    status, _, body = get(guarded, "/api/session", "POST", json.dumps({"token": "wrong"}))
    assert status == 401 and TOKEN.encode() not in body
    assert get(guarded, "/healthz")[0] == 200, "a watchdog needs no token"
    assert get(guarded, "/")[0] == 200, "the page asks for it"


def test_with_the_token_all_is_seen(guarded):
    assert get(guarded, "/metrics", Authorization=f"Bearer {TOKEN}")[0] == 200
    status, headers, _ = get(guarded, "/api/session", "POST", json.dumps({"token": TOKEN}))
    assert status == 200
    cookie = headers["Set-Cookie"].partition(";")[0]
    heard = asyncio.run(talk(guarded, [], "hello", {"Cookie": cookie}))
    assert heard[0]["rooms"][0]["name"] == "pattern"


def test_the_token_is_in_no_log(model, caplog):
    caplog.set_level(logging.DEBUG)
    with served([plan_of(options=ServeOptions(port=0, token=TOKEN))], model) as page:
        get(page, "/api/session", "POST", json.dumps({"token": TOKEN}))
        get(page, "/metrics", Authorization=f"Bearer {TOKEN}")
        get(page, f"/?token={TOKEN}")
        assert not any(TOKEN in line for line in page.said), "a token of one's own is known"
    assert not any(TOKEN in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("path", ["/", "/api/live", "/api/rooms/0/mjpeg", "/metrics"])
def test_foreign_hosts_and_origins_are_refused_everywhere(standing, path):
    assert get(standing, path, Host="evil.example")[0] == 421
    assert get(standing, path, Origin="http://evil.example")[0] == 403
    assert get(standing, path, Sec_Fetch_Site="cross-site")[0] == 403


def test_bodies_are_small_and_what_they_say_is_looked_at(standing):
    for body in (b"", b"[]", b"\xff\xfe", b"[" * 2000, b'{"token": 1'):
        assert get(standing, "/api/session", "POST", body)[0] in (200, 400)
    assert get(standing, "/api/session", "POST", b"x" * 100_000)[0] == 413
    assert get(standing, "/", "POST", b"x")[0] == 405
    assert get(standing, "/api/session")[0] == 405


def test_what_is_no_http_is_hung_up_on(standing):
    async def send(words):
        reader, writer = await asyncio.open_connection("127.0.0.1", standing.port)
        writer.write(words)
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return answer

    for words in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                  b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20000 + b"\r\n\r\n"):  # fmt: skip
        answer = asyncio.run(send(words))
        assert answer == b"" or answer.split(b" ")[1] in (b"400", b"505")
    assert get(standing, "/healthz")[0] == 200


@pytest.mark.slow
def test_who_says_too_little_too_slowly_is_hung_up_on(model):
    async def drip(port, words):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = 0
        try:
            for one in words:
                said += 1
                writer.write(one)
                await writer.drain()
                if await _over(reader, 0.1):
                    break
            else:
                assert await _over(reader, 60)
        except ConnectionError:
            pass
        writer.close()
        return said

    async def _over(reader, seconds):
        try:
            return await asyncio.wait_for(reader.read(1), seconds) == b""
        except (TimeoutError, ConnectionError) as error:
            return not isinstance(error, TimeoutError)

    with served([plan_of()], model, idle=0.6) as page:
        slow = [b"GET / HTTP/1.1\r\n", *[b"X: a\r\n"] * 300]

        async def all_of_them():
            return await asyncio.gather(
                *(drip(page.port, slow) for _ in range(20)),
                *(drip(page.port, []) for _ in range(5)),
            )

        assert max(asyncio.run(all_of_them())) < 300, "nobody has said all that there was"
        assert get(page, "/healthz")[0] == 200


@pytest.mark.slow
def test_two_hundred_connections_at_once_disturb_nobody(page):
    async def crowd():
        held = [await asyncio.open_connection("127.0.0.1", page.port) for _ in range(200)]
        before = page.room.run.counts.frames_out
        await asyncio.to_thread(until, lambda: page.room.run.counts.frames_out > before + 10)
        for _, writer in held:
            writer.write(f"GET /healthz HTTP/1.1\r\nHost: {page.host}\r\n\r\n".encode())
        answers = await asyncio.gather(
            *(asyncio.wait_for(reader.readuntil(b"\r\n"), 60) for reader, _ in held)
        )
        for _, writer in held:
            writer.close()
        return [answer.split(b" ")[1] for answer in answers]

    answers = asyncio.run(crowd())
    assert set(answers) <= {b"200", b"429"} and answers.count(b"200") >= 150


@pytest.mark.slow
def test_more_connections_than_there_is_room_for_are_told_so(page, monkeypatch):
    monkeypatch.setattr("stream.serve.server._CONNECTIONS", 5)

    async def crowd():
        held = [await asyncio.open_connection("127.0.0.1", page.port) for _ in range(12)]

        def refused():
            return sum(reader.at_eof() or bool(reader._buffer) for reader, _ in held)

        await asyncio.to_thread(until, lambda: refused() >= 7)
        await asyncio.sleep(0.3)
        found = refused()
        for _, writer in held:
            writer.close()
        return found

    assert asyncio.run(crowd()) == 7


def test_connections_that_are_over_take_nobody_s_place(page, monkeypatch):
    monkeypatch.setattr("stream.serve.server._CONNECTIONS", 5)
    for _ in range(30):
        assert get(page, "/healthz")[0] == 200


def test_no_more_pages_than_the_operator_allows(model):
    with served([plan_of(options=ServeOptions(port=0, viewers=2))], model) as page:

        async def open_three():
            async with aiohttp.ClientSession() as session:
                url = f"{page.url}/api/live"
                async with session.ws_connect(url), session.ws_connect(url):
                    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                        await session.ws_connect(url)
                    return refused.value.status

        assert asyncio.run(open_three()) == 503


def test_figures_are_what_prometheus_reads(standing):
    from prometheus_client.parser import text_string_to_metric_families

    until(lambda: standing.room.run is not None and standing.room.run.counts.frames_out > 3)
    text = get(standing, "/metrics")[2].decode()
    families = {one.name: one for one in text_string_to_metric_families(text)}
    frames = {one.labels["fate"]: one.value for one in families["stream_frames"].samples}
    assert frames["shown"] > 0 and frames["in"] >= frames["shown"]
    buckets = [
        one.value
        for one in families["stream_stage_seconds"].samples
        if one.name.endswith("_bucket") and one.labels["stage"] == "capture_to_display"
    ]
    assert buckets == sorted(buckets) and buckets[-1] > 0
    assert families["stream_memory_bytes"].samples[0].value > 1e7
    assert families["stream_viewers"].samples[0].labels == {"source": "pattern"}


def test_figures_say_that_a_recording_has_ended_that_nobody_ended(model, tmp_path, monkeypatch):
    def full(self, item):
        raise SinkError("the disk is full")

    monkeypatch.setattr("stream.sinks.video.VideoSink.write", full)
    plan = plan_of()
    plan = replace(plan, outputs=(*plan.outputs, OutputPlan(str(tmp_path / "out.mkv"))))
    ended = b'stream_failed_outputs{source="pattern"} 1.0'
    with suppress(SinkError), served([plan], model) as page:
        until(lambda: ended in get(page, "/metrics")[2])
        assert page.room.state()["stuck"] == 1


def test_a_page_shows_pictures_though_its_recordings_have_no_room_from_the_start(
    model, tmp_path, monkeypatch
):
    for seconds in ("_FIRST_WAIT", "_LOOK_EVERY"):
        monkeypatch.setattr(_again, seconds, 0.2)
    full, write = threading.Event(), Destination.write

    def tried(self, data):
        if full.is_set():
            self.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise self.error
        return write(self, data)

    full.set()
    monkeypatch.setattr(Destination, "write", tried)
    plan, paths = plan_of(), [tmp_path / f"out.{ending}" for ending in ("mp4", "mkv", "ndjson")]
    plan = replace(plan, outputs=(*plan.outputs, *(OutputPlan(str(path)) for path in paths)))
    with served([plan], model) as page:
        until(lambda: page.room.run is not None and page.room.run.counts.shown > 5)
        until(lambda: page.room.state()["stuck"] == 3)
        assert not list(tmp_path.glob("out*"))
        full.clear()
        until(lambda: page.room.state()["stuck"] == 0)
        _, *recorded = page.room.run.outputs
        until(lambda: all(one.figures.frames > 5 for one in recorded))
    made = {one.suffix: one.stat().st_size for one in tmp_path.glob("out-*")}
    assert made.keys() == {path.suffix for path in paths} and all(made.values())
    assert page.room.reconnects == 0
    for one in recorded:
        assert one.figures.missed > 0
        assert any("the disk is full" in said for said in one.remarks)


def test_lines_of_sources_that_call_themselves_alike_can_be_told_apart(model, monkeypatch):
    monkeypatch.setattr("stream.run.status.STATUS_SECONDS", 0.0)
    with served([plan_of(), plan_of()], model) as page:
        for name in ("pattern", "pattern-2"):
            line = re.compile(rf"\d\d:\d\d:\d\d {name}: \d")
            until(lambda line=line: line.search(page.room._console.file.getvalue()))


def test_figures_say_how_often_each_of_several_sources_was_inferred(model):
    from prometheus_client.parser import text_string_to_metric_families

    with served([plan_of(), plan_of()], model) as page:
        rooms = list(page.house.rooms.values())
        for room in rooms:
            room.slot.watch(room, lambda: None)
        try:
            # Late answers, as of several sources nearly all are: no frame is shown with its own.
            for room in rooms:
                room._ready.schedule._way.waits = False
            until(lambda: all(room.inferences > 5 for room in rooms))
            text = get(page, "/metrics")[2].decode()
        finally:
            for room in rooms:
                room.slot.leave(room)
    families = {one.name: one for one in text_string_to_metric_families(text)}
    inferred = {
        one.labels["source"]: one.value
        for one in families["stream_frames"].samples
        if one.labels["fate"] == "inferred"
    }
    assert inferred.keys() == {"pattern", "pattern-2"} and min(inferred.values()) > 5


@pytest.mark.parametrize(
    ("seconds", "rate", "still"),
    [(0.9, None, False), (1.1, None, True), (1.1, 30.0, True), (1.1, 1.0, False),
     (2.6, 1.0, True), (12.0, 0.1, False), (26.0, 0.1, True)],
)  # fmt: skip
def test_a_source_of_few_pictures_does_not_stand_still_between_them(seconds, rate, still):
    assert stands_still(seconds, rate) is still
    assert stands_still(seconds, rate, gone=True) is (seconds > 1), "it has said so itself"


def test_a_picture_that_waits_for_the_model_is_said_to(model):
    with served([plan_of()], model) as page:
        until(lambda: page.room.run is not None and page.room.run.counts.frames_in > 3)
        room = page.room
        # Nobody is asked: the model is busy with another source.
        room._ready.schedule._turn.take = lambda patience=0.0: False
        room.slot.watch(room, lambda: None)
        try:
            until(lambda: room.state()["problem"] == "the model looks at the first picture")
            del room._ready.schedule._turn.take
            until(lambda: room.slot.frame is not None)
            until(lambda: room.state()["problem"] is None)
        finally:
            room.slot.leave(room)


class _Stuck(Scene):
    """Gives ten frames and then none."""

    live = True

    def __iter__(self):
        for index, frame in enumerate(super().__iter__()):
            if index == 10:
                self._closed.wait()
                return
            yield frame


def test_health_fails_when_a_source_stands_still(model, monkeypatch):
    from stream import sources

    def opened(target: object, options: InputOptions | None = None) -> Source:
        from dataclasses import replace

        found = _Stuck()
        found.info = replace(found.info, live=True)
        return found

    monkeypatch.setattr(sources, "open", opened)
    with served([plan_of(options=ServeOptions(port=0, patience=0.5))], model) as page:
        answers = []

        def fails():
            time.sleep(0.05)  # who asks more than fifty times a second is refused
            answers.append(get(page, "/healthz"))
            return answers[-1][0] == 503

        until(fails)
        assert answers[-1][2] == b"1 of 1 source stands still\n"
        heard = asyncio.run(talk(page, [], "state"))
        assert heard[-1]["rooms"]["0"]["problem"] is not None or page.room.still_for() < 1


def test_a_source_that_fails_is_opened_again_and_the_page_says_what_is_wrong(model, monkeypatch):
    from stream import sources
    from stream.errors import SourceError

    tries = []
    real = sources.open

    def opened(target, options=None):
        tries.append(target)
        if len(tries) <= 2:
            raise SourceError("the camera rtsp://user:secret@door/ is gone")
        return real("pattern", options)

    monkeypatch.setattr(sources, "open", opened)
    monkeypatch.setattr("stream.serve.room._FIRST_PAUSE", 0.2)
    with served([plan_of("rtsp://user:secret@door/")], model) as page:
        until(lambda: page.room.problem is not None)
        assert page.room.problem == "the camera rtsp://***@door/ is gone"
        until(lambda: page.room.run is not None)
        until(lambda: page.room.problem is None)
        assert page.room.reconnects == 2 and page.room.name == "door"
        # What it did until it goes once more is told then, and not told again.
        gone: list[RunReport] = []
        page.room.on_away = gone.append
        until(lambda: page.room.run is not None and page.room.run.counts.frames_in > 3)
        page.room.run.stop()
        until(lambda: len(tries) == 4)
        assert [report.frames_in > 3 for report in gone] == [True]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_ctrl_c_waits_for_no_source_that_is_still_being_opened(model, monkeypatch):
    from stream import sources
    from stream.errors import SourceError

    let_go = threading.Event()

    def opened(target, options=None):
        let_go.wait(120)
        raise SourceError("it never answered")

    monkeypatch.setattr(sources, "open", opened)
    began = []

    def interrupt(server) -> None:
        began.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    try:
        rooms = serve(
            [plan_of()] * 2,
            console=Console(file=io.StringIO()),
            say=lambda line: None,
            segmenter=model,
            on_ready=interrupt,
        )
        assert time.monotonic() - began[0] < 60 and all(room.alive for room in rooms)
    finally:
        let_go.set()
    assert all(room.join(60) for room in rooms)


def test_a_page_that_sleeps_does_not_hold_up_the_end(model):
    hello = (
        b"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.socket() as asleep:
        with served([plan_of()], model) as page:
            asleep.connect(("127.0.0.1", page.port))
            asleep.sendall(hello)
            assert asleep.recv(100).startswith(b"HTTP/1.1 101")
            began = time.monotonic()
        assert time.monotonic() - began < 45, "by itself it would be minutes"


def test_a_page_that_could_not_be_told_is_hung_up_on_so_that_it_comes_back(page, monkeypatch):
    monkeypatch.setattr("stream.serve.session._PATIENCE", 0.1)

    async def asleep(text):
        await asyncio.Event().wait()

    async def sleep():
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{page.url}/api/live") as channel,
        ):
            assert (await channel.receive_json(timeout=60))["type"] == "hello"
            (known,) = page.house.sessions
            known._socket.send_str = asleep
            async for _ in channel:
                pass
            return channel.close_code

    assert asyncio.run(asyncio.wait_for(sleep(), 60)) == 1001
    until(lambda: not page.house.sessions)


def test_tls_is_made_and_its_fingerprint_shown(model):
    with served([plan_of(options=ServeOptions(port=0, tls=True))], model) as page:
        shown = next(one for one in page.said if "fingerprint" in one).rpartition(" ")[2]
        found = ssl.get_server_certificate(("127.0.0.1", page.port))
        from stream.serve.certificate import fingerprint

        assert shown == fingerprint(ssl.PEM_cert_to_DER_cert(found))
        assert len(shown.split(":")) == 32 and "https://" in page.said[0]


def test_any_other_address_has_a_token_and_tls(model):
    with served([plan_of(options=ServeOptions(host="0.0.0.0", port=0))], model) as page:
        assert "https://" in page.said[0] and "#token=" in page.said[0]

        async def ask():
            connector = aiohttp.TCPConnector(ssl=False)
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.get(f"https://{page.host}/metrics") as answer,
            ):
                return answer.status

        assert asyncio.run(ask()) == 401


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (ServeOptions(host="203.0.113.7", port=0), "203.0.113.7"),
        (ServeOptions(token="short"), "16"),
    ],
)
def test_what_cannot_be_served_is_said(model, options, words):
    with pytest.raises(UsageError, match=words), served([plan_of(options=options)], model):
        pass


def test_a_port_that_is_taken_is_said(page, model):
    options = ServeOptions(port=page.port)
    with (
        pytest.raises(OutOfReachError, match=f"port {page.port}"),
        served([plan_of(options=options)], model),
    ):
        pass


def test_a_file_that_is_not_there_is_said_at_once(model, tmp_path):
    with (
        pytest.raises(StreamError, match=r"nowhere\.mp4"),
        served([plan_of(str(tmp_path / "nowhere.mp4"))], model),
    ):
        pass


def test_what_is_counted_is_reported_and_drawn_as_without_a_page(model, tmp_path):
    pytest.importorskip("matplotlib")
    report, plot = tmp_path / "r.json", tmp_path / "p.png"
    counts = CountOptions(line=("middle=50%,0,50%,100%",), plot=plot)
    plan = replace(plan_of(), counts=counts, run=RunOptions(report=report))
    with served([plan], model) as page:
        until(lambda: page.room.run is not None and page.room.run.counts.frames_out > 3)
    (run,) = json.loads(report.read_text())["runs"]
    assert [line["name"] for line in run["counts"]["lines"]] == ["middle"]
    assert run["counts"]["frames"] > 3
    assert cv2.imread(str(plot)) is not None


def test_what_cannot_be_written_at_the_end_is_said_by_whomever_it_was_ended(model, tmp_path):
    pytest.importorskip("matplotlib")

    def serve_and_end(plans, folder) -> None:
        with served(plans, model) as page:
            room = page.house.rooms["0"]
            until(lambda: room.run is not None and room.run.counts.frames_out > 3)
            folder.rmdir()

    for what, rooms in (("report", 1), ("plot", 1), ("report", 2), ("plot", 2)):
        folder = tmp_path / f"{what}-{rooms}"
        folder.mkdir()
        counts = CountOptions(plot=folder / "p.png") if what == "plot" else CountOptions()
        said = RunOptions(report=folder / "r.json") if what == "report" else RunOptions()
        plans = [replace(plan_of(), counts=counts, run=said), plan_of()][:rooms]
        with pytest.raises(SinkError, match=folder.name) as told:
            serve_and_end(plans, folder)
        assert str(told.value).startswith("pattern: ") == (rooms == 2), told.value


def test_several_sources_have_names_of_their_own_and_share_the_model(model):
    plans = [plan_of(picture=PictureOptions(look="binary")), plan_of()]
    plans[1] = replace(plans[1], source=replace(plans[1].source, name="door"))
    with served(plans, model) as page:
        # As files are called that are written of it;.
        names = [room.name for room in page.house.rooms.values()]
        assert names == ["pattern", "door"]
        first, second = page.house.rooms.values()
        assert first.settings()["look"] == "binary"
        wish = {"type": "set", "room": "0", "threshold": 0.9}
        asyncio.run(talk(page, [wish], "state"))
        until(lambda: first.settings()["threshold"] == 0.9)
        assert second.settings()["threshold"] != 0.9


messages = st.one_of(
    st.text(max_size=300),
    st.dictionaries(st.sampled_from(["type", "room", "sdp", "look", "threshold", "classes"]),
                    st.text(max_size=30) | st.integers() | st.none(), max_size=5).map(json.dumps),
    st.sampled_from(["watch", "leave", "visit", "bye", "set", "snapshot"]).flatmap(
        lambda kind: st.dictionaries(
            st.sampled_from(["room", "sdp", "look", "model", "background", "labels"]),
            st.sampled_from(["0", "camera", "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "", "x",
                             1, None, [], True]),
        ).map(lambda rest: json.dumps({"type": kind} | rest))
    ),
)  # fmt: skip


def _fuzz(page, examples):
    async def send(batch):
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{page.url}/api/live") as socket_,
        ):
            # Some are done without a word; what comes after them all is answered after them all.
            for one in [*batch, json.dumps({"type": "last"})]:
                await socket_.send_str(one)
            while True:
                message = await asyncio.wait_for(socket_.receive(), 60)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return
                if json.loads(message.data).get("of") == "last":
                    return

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(messages, min_size=1, max_size=10))
    def run(batch):
        asyncio.run(send(batch))

    run()
    assert get(page, "/healthz")[0] == 200
    until(lambda: not page.house.sessions and not page.house.visits)
    assert not page.room.slot.viewers


@pytest.mark.slow
def test_whatever_is_sent_in_whatever_order_disturbs_nothing(page):
    _fuzz(page, 50)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_whatever_is_sent_in_whatever_order_disturbs_nothing_for_long(page):
    _fuzz(page, 1000)
