"""The HTTP server: pages, WebSockets, Motion JPEG, health, figures."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from stream.errors import OutOfReachError, UsageError
from stream.serve import mjpeg
from stream.serve.files import page_files
from stream.serve.guard import Guard
from stream.serve.house import House
from stream.serve.memory import give_back
from stream.serve.metrics import Figures
from stream.serve.session import LARGEST, Session
from stream.wording.words import counted

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler
    from aiohttp.web_protocol import RequestHandler

logger = logging.getLogger(__name__)

_CONNECTIONS = 256
_IDLE = 15.0
"""Seconds within which a connection has to say what it wants."""
_GIVES_BACK = 30.0
"""Seconds after which free memory goes back to the system."""
_LEAVES = 2.0
"""Seconds that a page may take to say goodbye when the server ends; one that sleeps never does."""
_BODY = 2048
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\n"
    b"Connection: close\r\n\r\n"
)


class _NotTheirNonsense(logging.Filter):
    """Leaves out what is wrong with a request: anybody could fill the log with it."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError)


_http_logger = logging.getLogger(f"{__name__}.http")
_http_logger.addFilter(_NotTheirNonsense())


def _everywhere(port: int) -> socket.socket | None:
    """A socket for all addresses, those of IPv4 too, which asyncio leaves out of IPv6's.

    None where the system has none for both.
    """
    if not socket.has_dualstack_ipv6():
        return None
    return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)


class _Refuse(asyncio.Protocol):
    """Says that there are too many connections, and hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_BUSY)
        transport.close()


class Server:
    """Serves a house.

    Args:
        house: what is served.
        guard: who may come in.
        host: the address to listen at.
        port: 0 for any that is free.
        tls: the certificate; None serves plain HTTP.
        idle: seconds that a connection may say nothing.
    """

    def __init__(
        self,
        house: House,
        guard: Guard,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        *,
        idle: float = _IDLE,
    ) -> None:
        self.house = house
        self._guard = guard
        self._host, self._wanted_port = host, port
        self._tls = tls
        self.idle = idle
        self._listening: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._busy: dict[RequestHandler, int] = {}
        self._quiet: dict[RequestHandler, float] = {}
        self._coming: dict[RequestHandler, float] = {}
        self._figures = Figures(
            lambda: list(house.rooms.values()),
            lambda: len(house.sessions),
            lambda: len(house.visits),
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._listening is not None
        return int(self._listening.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Begins to listen.

        Raises:
            OutOfReachError: the port is taken.
            UsageError: the address or the port cannot be used here.
        """
        app = web.Application(
            client_max_size=_BODY, middlewares=[self._note_busy, self._guard.middleware]
        )
        app.on_response_prepare.append(self._guard.add_headers)
        app.router.add_post("/api/session", self._sign_in)
        app.router.add_get("/api/live", self._live, allow_head=False)
        app.router.add_get("/api/rooms/{key}/mjpeg", self._mjpeg, allow_head=False)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/metrics", self._metrics)
        for path in page_files():
            app.router.add_get(path, self._page)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_http_logger,
            keepalive_timeout=self.idle,
            shutdown_timeout=_LEAVES,
        )
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            everywhere = _everywhere(self._wanted_port) if self._host == "::" else None
            where: dict[str, Any] = {"host": self._host, "port": self._wanted_port}
            self._listening = await loop.create_server(
                self._connect,
                ssl=self._tls,
                backlog=128,
                ssl_handshake_timeout=None if self._tls is None else self.idle,
                **(where if everywhere is None else {"sock": everywhere}),
            )
        except (OSError, OverflowError) as error:
            await self._runner.cleanup()
            # asyncio's own words say the address again.
            number = getattr(error, "errno", None)
            reason = os.strerror(number).lower() if number else str(error)
            if isinstance(error, socket.gaierror):  # its numbers are others
                reason = "there is no such address here"
            # It may be free later; what is no address of this machine never is one.
            kind = OutOfReachError if number == errno.EADDRINUSE else UsageError
            raise kind(
                f"nothing can be served at {self._host}, port {self._wanted_port}: {reason}; "
                "choose another with --host and --port"
            ) from error
        self._sweeping = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Ends all connections."""
        if self._listening is not None:
            self._listening.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self.house.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _connect(self) -> asyncio.Protocol:
        assert self._runner is not None
        server = self._runner.server
        assert server is not None
        # Those that were accepted are no connections yet in the moment in which others come; those
        # that are over have no manager any more.
        now = time.monotonic()
        here = set(server.connections)
        self._coming = {
            one: at
            for one, at in self._coming.items()
            if one not in here and one._manager is not None and now - at < 1.0
        }
        if len(here) + len(self._coming) >= _CONNECTIONS:
            return _Refuse()
        made = server()
        self._coming[made] = now
        return made

    async def _sweep(self) -> None:
        """Hangs up on who is connected and asks for nothing, or asks too slowly."""
        assert self._runner is not None
        given_back = time.monotonic()
        while True:
            await asyncio.sleep(min(1.0, self.idle / 4))
            server = self._runner.server
            now = time.monotonic()
            if now - given_back > _GIVES_BACK:
                given_back = now
                asyncio.get_running_loop().run_in_executor(self.house.executor, give_back)
            before, self._quiet = self._quiet, {}
            for one in [] if server is None else server.connections:
                if one in self._busy:
                    continue
                self._quiet[one] = before.get(one, now)
                idle = now - self._quiet[one]
                if idle > self.idle and one.transport is not None:
                    one.transport.abort()

    @web.middleware
    async def _note_busy(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        one = request.protocol
        self._busy[one] = self._busy.get(one, 0) + 1
        try:
            return await handler(request)
        except ConnectionError:
            # Who asked was gone before the answer began, as while the machine slept.
            return web.Response(status=400)
        finally:
            self._busy[one] -= 1
            if not self._busy[one]:
                del self._busy[one]

    async def _page(self, request: web.Request) -> web.StreamResponse:
        body, kind = page_files()[request.path]
        return web.Response(
            body=body, content_type=kind, charset="utf-8", headers={"Cache-Control": "no-cache"}
        )

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        try:
            async with asyncio.timeout(self.idle):
                text = await request.text()
            given = json.loads(text)
        except (ValueError, RecursionError, LookupError, TimeoutError) as error:
            raise web.HTTPBadRequest(text="this is no JSON\n") from error
        token = given.get("token") if isinstance(given, dict) else None
        return self._guard.sign_in(request, token)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        self._guard.admit(request)
        if len(self.house.sessions) >= self.house.options.viewers:
            raise web.HTTPServiceUnavailable(text="too many pages are open\n")
        socket = web.WebSocketResponse(
            timeout=_LEAVES, max_msg_size=LARGEST, heartbeat=20.0, compress=False
        )
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        address = transport.get_extra_info("sockname")[0]
        await Session(self.house, socket, address).run()
        if not socket.closed:
            await socket.close(code=1008)
        return socket

    async def _mjpeg(self, request: web.Request) -> web.StreamResponse:
        self._guard.admit(request)
        try:
            room = self.house.room(request.match_info["key"])
        except UsageError as error:
            raise web.HTTPNotFound(text=f"{error}\n") from error
        if room.slot.viewers >= self.house.options.viewers:
            raise web.HTTPServiceUnavailable(text="too many look at this\n")
        return await mjpeg.send(request, room.slot, self.house.jpeg_for(room))

    async def _healthz(self, request: web.Request) -> web.StreamResponse:
        still = len(self.house.still())
        if still:
            total = len(self.house.rooms)
            return web.Response(
                status=503,
                text=f"{still} of {counted(total, 'source')} stand{'s' * (still == 1)} still\n",
            )
        return web.Response(text="ok\n")

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        self._guard.admit(request)
        text = await asyncio.get_running_loop().run_in_executor(
            self.house.executor, self._figures.text
        )
        return web.Response(
            body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )
