"""One open page: what it is told and what it asks for, by a WebSocket."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import NoReturn

from aiohttp import WSMsgType, web

from stream.errors import StreamError, UsageError
from stream.serve.guard import Bucket
from stream.serve.house import House
from stream.serve.pictures import png_of
from stream.serve.room import Room
from stream.serve.visit import KEY, Visit
from stream.serve.webrtc import Peer
from stream.serve.wishes import wish_of
from stream.types import JSON

logger = logging.getLogger(__name__)

LARGEST = 32 * 1024
"""Bytes of a message; an offer has about four thousand."""

_RATE, _BURST = 20.0, 60.0
_PEERS = 16
_STATE_SECONDS = 0.25
_PATIENCE = 10.0
_SNAPSHOT_SECONDS = 1.0

Message = Mapping[str, JSON]


def parse(text: str) -> dict[str, JSON]:
    """A page's message.

    Raises:
        UsageError: it is not one.
    """
    try:
        found = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UsageError("a message is JSON") from error
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise UsageError("a message is an object with a type")
    return found


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)


class Session:
    """A page, from its greeting to its end.

    Args:
        house: where it is.
        socket: prepared.
        address: the local address by which the browser came.
    """

    def __init__(self, house: House, socket: web.WebSocketResponse, address: str) -> None:
        self._house = house
        self._socket = socket
        self._address = _plain(address)
        self._peers: dict[str, Peer] = {}
        self._visit: Visit | None = None
        self._bucket = Bucket(_RATE, _BURST)
        self._snapshots = Bucket(1 / _SNAPSHOT_SECONDS, 3)
        self._told: dict[str, JSON] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._does: dict[str, Callable[[Message], Awaitable[None]]] = {
            "watch": self._watch,
            "leave": self._leave,
            "visit": self._begin_visit,
            "bye": self._end_visit,
            "set": self._set,
            "snapshot": self._snapshot,
        }

    async def run(self) -> None:
        """Serves the page until it goes."""
        self._house.sessions.add(self)
        pushing = asyncio.create_task(self._keep_told())
        try:
            await self._send(self._house.hello())
            async for message in self._socket:
                if message.type is not WSMsgType.TEXT or not self._bucket.take():
                    break
                await self._hear(message.data)
        except (ConnectionError, TimeoutError):
            logger.debug("a page went away")
        finally:
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            await self._close()
            self._house.sessions.discard(self)

    async def end(self) -> None:
        """The server ends."""
        await self._socket.close(code=1001, message=b"the server ends")

    async def _hear(self, text: str) -> None:
        kind = ""
        try:
            message = parse(text)
            kind = str(message["type"])
            does = self._does.get(kind)
            if does is None:
                raise UsageError("there is no such message")
            await does(message)
        except StreamError as error:
            # What an error of ours says of the machine is not for visitors.
            said = str(error) if isinstance(error, UsageError) else "that did not work here"
            if not isinstance(error, UsageError):
                logger.warning("%s", error)
            await self._send({"type": "refused", "of": kind[:20], "why": said})

    # What it asks for.

    async def _watch(self, message: Message) -> None:
        room = self._house.room(message.get("room"))
        sdp = _text(message, "sdp")
        await self._drop(room.key)
        if len(self._peers) >= _PEERS:
            raise UsageError("a page shows that many sources and no more")
        peer = Peer(
            self._house.broadcast_of(room),
            self._address,
            on_end=lambda: self._later(self._drop(room.key, peer)),
        )
        self._peers[room.key] = peer
        await self._answer(peer, sdp, room.key)

    async def _answer(self, peer: Peer, sdp: str, key: str) -> None:
        try:
            answer = await peer.answer(sdp)
        except UsageError:
            if key == KEY:
                await self._end_visit({})
            else:
                await self._drop(key, peer)
            raise
        await self._send({"type": "answer", "room": key, "sdp": answer})

    async def _leave(self, message: Message) -> None:
        await self._drop(self._house.room(message.get("room")).key)

    async def _begin_visit(self, message: Message) -> None:
        sdp = _text(message, "sdp")
        await self._end_visit({})
        if len(self._house.visits) >= self._house.options.visitors:
            most = self._house.options.visitors
            raise UsageError(
                "visitors' cameras are not taken here"
                if not most
                else "all places for visitors' cameras are taken; try again in a while"
            )
        plan = next(iter(self._house.rooms.values())).plan
        visit = Visit(
            self._house, plan, self._address, lambda: self._later(self._visit_ended(visit))
        )
        self._visit = visit
        await self._answer(visit.peer, sdp, KEY)

    async def _end_visit(self, message: Message) -> None:
        visit, self._visit = self._visit, None
        if visit is not None:
            await visit.close()

    async def _visit_ended(self, visit: Visit) -> None:
        if self._visit is visit:
            await self._end_visit({})
            with suppress(ConnectionError):
                await self._send({"type": "ended", "room": KEY})

    async def _set(self, message: Message) -> None:
        room = self._room(message)
        if not self._house.options.controls and room.key != KEY:
            raise UsageError("nothing can be changed here")
        wish = wish_of(message)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._house.executor, room.change, wish)
        settings: dict[str, JSON] = room.settings()
        self._told[room.key] = settings
        await self._send({"type": "settings", "room": room.key, "done": True, **settings})

    async def _snapshot(self, message: Message) -> None:
        room = self._room(message)
        frame = room.slot.frame
        if frame is None:
            raise UsageError("there is no picture yet")
        if not self._snapshots.take():
            raise UsageError("one snapshot after the other")
        loop = asyncio.get_running_loop()
        picture = await loop.run_in_executor(self._house.executor, png_of, frame, room.slot.shape)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        await self._send({"type": "snapshot", "name": f"{room.name}-{stamp}.png"})
        async with asyncio.timeout(_PATIENCE):
            await self._socket.send_bytes(picture)

    def _room(self, message: Message) -> Room:
        """A room of the operator's, or the visitor's own."""
        if message.get("room") == KEY:
            room = None if self._visit is None else self._visit.room
            if room is None:
                raise UsageError("your camera is not on")
            return room
        return self._house.room(message.get("room"))

    # What it is told.

    async def _keep_told(self) -> None:
        try:
            await self._push()
        except (ConnectionError, TimeoutError):
            # It has slept. Hung up on, it comes back; else it would go on with old figures.
            await self._socket.close(code=1001, message=b"you were asleep")

    async def _push(self) -> None:
        while True:
            rooms = dict(self._house.states())
            visit = self._visit
            if visit is not None and visit.room is not None:
                rooms[KEY] = visit.room.state()
            peers = dict(self._peers)
            if visit is not None:
                peers[KEY] = visit.peer
            sent: dict[str, JSON] = {
                key: round(1e3 * peer.delay, 1)
                for key, peer in peers.items()
                if peer.delay is not None
            }
            await self._send({"type": "state", "rooms": rooms, "sent": sent})
            for room in [*self._house.rooms.values(), *self._own_rooms()]:
                settings = room.settings()
                if self._told.get(room.key) != settings:
                    self._told[room.key] = settings
                    await self._send({"type": "settings", "room": room.key, **settings})
            if visit is not None and visit.over:
                self._later(self._visit_ended(visit))
            await asyncio.sleep(_STATE_SECONDS)

    def _own_rooms(self) -> list[Room]:
        visit = self._visit
        return [] if visit is None or visit.room is None else [visit.room]

    async def _send(self, message: dict[str, JSON]) -> None:
        async with asyncio.timeout(_PATIENCE):
            await self._socket.send_str(json.dumps(message))

    # Its end.

    def _later(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _drop(self, key: str, only: Peer | None = None) -> None:
        peer = self._peers.get(key)
        if peer is not None and only in (None, peer):
            del self._peers[key]
            await peer.close()

    async def _close(self) -> None:
        await self._end_visit({})
        for key in list(self._peers):
            await self._drop(key)
        await asyncio.gather(*list(self._closing), return_exceptions=True)


def _text(message: Message, key: str) -> str:
    text = message.get(key)
    if not isinstance(text, str):
        raise UsageError(f"the {key} is a text")
    return text


def _plain(address: str) -> str:
    """An address of the socket without its scope, and IPv4 as IPv4."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)
