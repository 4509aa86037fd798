"""A page that is served for real, under requests that are wrong in every way, beside a viewer.

A thousand of each kind run with `pytest -m soak`, forty with `pytest -m slow`.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.serve import guard
from stream.settings.serve_options import ServeOptions
from tests.run.parts import until
from tests.serve.served import TOKEN, Served, bright, plan_of, served

FEW, MANY = 40, 1000

_CLOCK = [0.0]
"""The guard's, which stands still: how many tries it has seen is no matter of load."""


class Onlooker:
    """A viewer by Motion JPEG who notes when pictures come."""

    def __init__(self, page: Served) -> None:
        self.pictures = 0
        self.longest = 0.0
        self._over = False
        self._socket = socket.create_connection(("127.0.0.1", page.port))
        self._socket.settimeout(30)
        self._socket.sendall(
            f"GET /api/rooms/0/mjpeg HTTP/1.1\r\nHost: {page.host}\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        until(lambda: self.pictures > 2)
        self.longest = 0.0

    def _look(self) -> None:
        last = time.monotonic()
        while not self._over:
            try:
                data = self._socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            if b"--frame" in data:
                now = time.monotonic()
                self.pictures += 1
                self.longest, last = max(self.longest, now - last), now

    def close(self) -> None:
        self._over = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(30)


@contextmanager
def watched(page: Served, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What happens in the block neither stops a viewer's pictures nor says anything secret."""
    caplog.set_level(logging.DEBUG)
    onlooker = Onlooker(page)
    try:
        before = onlooker.pictures
        yield
        until(lambda: onlooker.pictures > before + 5)
    finally:
        onlooker.close()
    print(f"{onlooker.pictures} pictures, {onlooker.longest:.2f} s between two at most")
    assert onlooker.longest < 30
    until(lambda: not page.house.sessions and not page.house.visits)
    assert page.room.settings()["look"] == "overlay"
    assert ask(page, get(page, "/healthz"))[0] == 200
    said = [*page.said, *(record.getMessage() for record in caplog.records)]
    assert not any(TOKEN in one for one in said)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page that wants a token; how often one may ask is left aside, but for tokens."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stream.serve.guard._RATE", 1e6)
        patch.setattr("stream.serve.guard._BURST", 1e6)
        patch.setitem(guard.Guard.__init__.__kwdefaults__, "now", lambda: _CLOCK[0])
        options = ServeOptions(port=0, token=TOKEN)
        with served([plan_of(options=options)], bright(tmp_path_factory.mktemp("m"))) as found:
            # Threads that stay begin with the first who looks.
            wait([found.house.executor.submit(time.sleep, 0.2) for _ in range(4)])
            Onlooker(found).close()
            yield found


def get(page: Served, path: str, **headers: str) -> bytes:
    named = {"Host": page.host, **{k.replace("_", "-"): v for k, v in headers.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"GET {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode("utf-8", "replace")


def post(page: Served, path: str, body: bytes, **headers: str) -> bytes:
    length = headers.pop("Content_Length", str(len(body)))
    return get(page, path, Content_Length=length, **headers).replace(b"GET", b"POST", 1) + body


def ask(page: Served, request: bytes, *, whole: bool = True) -> tuple[int, bytes]:
    """Sends bytes; returns the status, 0 where it was hung up on, and what came.

    Args:
        page: to whom.
        request: all of it.
        whole: whether nothing is missing, so that there must be an answer.
    """
    with socket.create_connection(("127.0.0.1", page.port), timeout=60) as channel:
        found = b""
        try:
            channel.sendall(request)
            if not whole:
                channel.settimeout(0.05)
            while piece := channel.recv(65536):
                found += piece
        except (ConnectionError, TimeoutError):
            pass  # it has read enough, or waits for more
    status = re.match(rb"HTTP/1\.[01] (\d{3}) ", found)
    return (int(status[1]) if status else 0), found


def every(strategy: st.SearchStrategy, check, examples: int) -> None:
    """Tries examples of a strategy."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def run(example) -> None:
        check(example)

    run()


amounts = pytest.mark.parametrize(
    "examples",
    [
        pytest.param(FEW, marks=pytest.mark.slow),
        pytest.param(MANY, marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
    ],
)

near_tokens = st.one_of(
    st.text(max_size=60),
    st.integers(0, len(TOKEN) - 1).map(lambda at: TOKEN[:at]),
    st.tuples(st.integers(0, len(TOKEN) - 1), st.characters()).map(
        lambda one: TOKEN[: one[0]] + one[1] + TOKEN[one[0] + 1 :]
    ),
    st.sampled_from([TOKEN.upper(), f" {TOKEN}", f"{TOKEN}\0", f"{TOKEN}{TOKEN}"]),
).filter(lambda one: one.strip() != TOKEN)


@amounts
def test_wrong_tokens(page: Served, caplog: pytest.LogCaptureFixture, examples: int) -> None:
    def check(token: str) -> None:
        status, _ = ask(page, post(page, "/api/session", json.dumps({"token": token}).encode()))
        assert status in (401, 429)
        plain = "".join(one for one in token if one.isascii() and one.isprintable())
        if plain.strip() == TOKEN:
            return
        status, _ = ask(page, get(page, "/metrics", Authorization=f"Bearer {plain}"))
        assert status in (400, 401, 429)
        status, _ = ask(
            page,
            get(
                page, "/metrics", Cookie=f"stream_session={token.encode('utf-8', 'replace').hex()}"
            ),
        )
        assert status == 401

    with watched(page, caplog):
        every(near_tokens, check, examples)
    right = post(page, "/api/session", json.dumps({"token": TOKEN}).encode())
    assert ask(page, right)[0] == 429, "so many tries were too many even with the right one"
    _CLOCK[0] += 60.0
    assert ask(page, right)[0] == 200, "a minute later it is taken"


names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{2,8}){1,3}", fullmatch=True)
paths = st.sampled_from(["/", "/style.css", "/api/live", "/api/rooms/0/mjpeg", "/metrics"])
ports = st.sampled_from(["", ":80", ":8000", ":99999", ":", ":x"])
strange = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
hosts = st.one_of(
    st.tuples(names, ports).map("".join),
    names.map(lambda name: f"127.0.0.1.{name}"),
    names.map(lambda name: f"localhost@{name}"),
    st.tuples(*[st.integers(0, 255)] * 4).map(lambda one: "{}.{}.{}.{}".format(*one)),
    strange,
).filter(lambda host: not re.match(r"(?i)(127\.|localhost(:\d*)?$|\[::1\])", host))
_TO_FOREIGN = (400, 403, 421)


@amounts
def test_foreign_hosts_and_origins(
    page: Served, caplog: pytest.LogCaptureFixture, examples: int
) -> None:
    bearer = f"Bearer {TOKEN}"

    def check(example: tuple[str, str, str]) -> None:
        host, path, scheme = example
        status, body = ask(page, get(page, path, Host=host, Authorization=bearer))
        assert status in _TO_FOREIGN and b"stream_" not in body
        origin = f"{scheme}://{host}"
        status, body = ask(page, get(page, path, Origin=origin, Authorization=bearer))
        assert status in _TO_FOREIGN and b"stream_" not in body

    with watched(page, caplog):
        every(st.tuples(hosts, paths, st.sampled_from(["http", "https", "null"])), check, examples)


steps = st.sampled_from(
    ["..", ".", "%2e%2e", "%2E.", "..%2f", "..%5c", "..\\", "%00", "%252e%252e", "etc", "passwd",
     "proc", "self", "environ", "server.py", "page", "index.html", "style.css", "api", "rooms", "0",
     "mjpeg", "rtsp:%2f%2fdoor", "file:", "", "~", "C:", "%c0%ae%c0%ae", "live", "session"]
)  # fmt: skip
# What is served to anybody by its own name, and what wants the token.
_KNOWN = re.compile(rb"root:|import annotations|PATH=")


@amounts
def test_paths(page: Served, caplog: pytest.LogCaptureFixture, examples: int) -> None:
    def check(example: list[str]) -> None:
        status, body = ask(page, get(page, "/" + "/".join(example)))
        assert status in (200, 400, 401, 403, 404, 405)
        if status == 200:
            assert "".join(example) == "style.css" or not any(example)
        else:
            assert _KNOWN.search(body) is None

    with watched(page, caplog):
        every(st.lists(steps, min_size=1, max_size=9), check, examples)


@amounts
def test_what_is_too_large(page: Served, caplog: pytest.LogCaptureFixture, examples: int) -> None:
    kinds = st.sampled_from(["body", "line", "header", "headers", "chunks", "length", "lie"])

    def check(example: tuple[str, int]) -> None:
        kind, size = example
        large = b"x" * size
        many = {f"X-{place}": "y" * 100 for place in range(size // 100)}
        request = {
            "body": lambda: post(page, "/api/session", large),
            "line": lambda: get(page, "/" + large.decode()),
            "header": lambda: get(page, "/", X=large.decode()),
            "headers": lambda: get(page, "/", **many),
            "chunks": lambda: get(page, "/api/session", Transfer_Encoding="chunked").replace(
                b"GET", b"POST", 1
            ) + b"%x\r\n%b\r\n" % (size, large) * 3 + b"0\r\n\r\n",
            "length": lambda: post(page, "/api/session", b"{}", Content_Length="9" * (size // 99)),
            "lie": lambda: post(page, "/api/session", large, Content_Length=str(10 * size)),
        }[kind]()  # fmt: skip
        status, _ = ask(page, request, whole=kind not in ("length", "lie"))
        assert status in (0, 400, 413, 431) or (status == 200 and kind == "headers"), (kind, size)
        if kind == "headers":
            assert status != 200 or size < 40_000

    with watched(page, caplog):
        every(st.tuples(kinds, st.integers(9000, 200_000)), check, examples)


words = st.one_of(
    st.binary(min_size=1, max_size=300),
    st.tuples(
        st.sampled_from(
            [b"GET / HTTP/1.1\r\n", b"POST /api/session HTTP/1.1\r\n", b"GET /api/live"]
        ),
        st.binary(max_size=200),
    ).map(lambda one: one[0] + one[1] + b"\r\n\r\n"),
    st.tuples(st.integers(0, 80), st.binary(min_size=1, max_size=4)).map(
        lambda one: _VALID[: one[0]] + one[1] + _VALID[one[0] + len(one[1]) :]
    ),
)
_VALID = (
    b"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@amounts
def test_what_is_no_request(page: Served, caplog: pytest.LogCaptureFixture, examples: int) -> None:
    def check(example: bytes) -> None:
        status, body = ask(page, example, whole=False)
        assert status in (0, 200, 400, 401, 403, 404, 405, 413, 421, 426, 431, 501, 505)
        assert b"stream_" not in body and b"Traceback" not in body

    with watched(page, caplog):
        every(words, check, examples)


SDP = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
kinds = st.sampled_from(["watch", "leave", "visit", "bye", "set", "snapshot", "hello", "answer"])
values = st.sampled_from(
    ["0", "1", "camera", SDP, "v=0", "", "blur", "/etc/passwd", 1, -1, 1e400, None, [], {}, True]
)
keys = st.sampled_from(["room", "sdp", "look", "model", "background", "threshold", "classes"])
# Of what may be set nothing that there is, so that afterwards all is as it was.
sensible = {"set": {"look": "nothing"}}
in_any_order = kinds.flatmap(
    lambda kind: st.dictionaries(keys, values, max_size=4).map(
        lambda rest: json.dumps({"type": kind} | rest | sensible.get(kind, {}))
    )
)
malformed = st.one_of(
    st.text(max_size=200),
    st.integers(1, 40_000).map(lambda size: "[" * size),
    in_any_order.flatmap(lambda text: st.integers(0, len(text)).map(lambda at: text[:at])),
)


@amounts
@pytest.mark.parametrize("what", ["malformed", "in any order"])
def test_messages(page: Served, caplog: pytest.LogCaptureFixture, what: str, examples: int) -> None:
    import asyncio

    import aiohttp

    headers = {"Authorization": f"Bearer {TOKEN}"}

    async def send(batch: list[str]) -> None:
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.ws_connect(f"{page.url}/api/live") as channel,
        ):
            # Some are done without a word; what comes after them all is answered after them all.
            try:
                for one in [*batch, json.dumps({"type": "last"})]:
                    await channel.send_str(one)
            except ConnectionError:
                return  # shown the door
            while True:
                message = await asyncio.wait_for(channel.receive(), 60)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return  # shown the door
                found = json.loads(message.data)
                assert "/etc/passwd" not in found.get("why", "")
                if found.get("of") == "last":
                    return

    with watched(page, caplog):
        one = malformed if what == "malformed" else in_any_order
        every(
            st.lists(one, min_size=1, max_size=6), lambda batch: asyncio.run(send(batch)), examples
        )


@pytest.mark.slow
def test_slow_ones_and_two_hundred_at_once_beside_a_viewer(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    options = ServeOptions(port=0, token=TOKEN)
    with served([plan_of(options=options)], bright(tmp_path_factory.mktemp("m")), idle=2.0) as page:
        caplog.set_level(logging.DEBUG)
        onlooker = Onlooker(page)
        held = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(200)]
        try:
            for place, one in enumerate(held):
                one.settimeout(60)
                if place % 2:
                    one.sendall(b"GET / HTTP/1.1\r\nX")
            before = onlooker.pictures
            until(lambda: onlooker.pictures > before + 10)
            over = 0
            for _ in range(20):
                for one in held[1::2]:
                    with suppress(OSError):
                        one.sendall(b"x")  # one letter at a time
                time.sleep(0.25)
            for one in held:
                try:
                    over += one.recv(1000) == b""
                except ConnectionError:
                    over += 1
            assert over == 200, "all were hung up on"
            before = onlooker.pictures
            until(lambda: onlooker.pictures > before + 5)
        finally:
            for one in held:
                one.close()
            onlooker.close()
        assert onlooker.longest < 30
        until(lambda: ask(page, get(page, "/healthz"))[0] == 200)
