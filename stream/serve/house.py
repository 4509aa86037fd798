"""What all pages share: the rooms, the models, who is here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from stream.errors import UsageError
from stream.run.turns import Turns
from stream.serve.encoding import Broadcast
from stream.serve.files import page_version
from stream.serve.models import Models
from stream.serve.pictures import Shared, jpeg_of, video_as_it_is, video_of
from stream.serve.room import Room
from stream.settings.serve_options import ServeOptions
from stream.sinks.browser import Slot
from stream.types import JSON

if TYPE_CHECKING:
    from av import VideoFrame

    from stream.frame import Frame

_FRESH = 0.2
"""Seconds for which the rooms' states stand; pages share them."""


class Page(Protocol):
    """A page that is open, as far as the house must know it."""

    async def end(self) -> None:
        """It is told to go."""


class House:
    """The rooms of a server and the pages that are open.

    Pages and visits know it, and put themselves down in it; it knows neither's module.

    Args:
        rooms: the operator's sources.
        models: what may be chosen.
        turns: inference that all rooms share.
        options: what the operator allows.
    """

    def __init__(
        self, rooms: Sequence[Room], models: Models, turns: Turns, options: ServeOptions
    ) -> None:
        self.rooms = {room.key: room for room in rooms}
        self.models = models
        self.turns = turns
        self.options = options
        self.sessions: set[Page] = set()
        self.visits: set[object] = set()
        """Visitors' cameras that are on, which are only counted here."""
        self.executor = ThreadPoolExecutor(4, "stream-page")
        self._broadcasts: dict[str, Broadcast] = {}
        self._jpeg: dict[str, Shared[bytes]] = {}
        self._states: dict[str, JSON] = {}
        self._stated = 0.0

    def room(self, key: object) -> Room:
        """The operator's room of that name.

        Raises:
            UsageError: there is none.
        """
        room = self.rooms.get(key) if isinstance(key, str) else None
        if room is None:
            raise UsageError("there is no such source here")
        return room

    def broadcast(self, slot: Slot) -> Broadcast:
        """What browsers are sent of a slot by WebRTC."""
        height = self.options.page_height

        def make(frame: Frame) -> VideoFrame:
            return video_of(frame, height, slot.shape)

        def ready(frame: Frame) -> VideoFrame | None:
            return video_as_it_is(frame, height, slot.shape)

        return Broadcast(slot, Shared(make, self.executor, ready), make)

    def broadcast_of(self, room: Room) -> Broadcast:
        """The same of a room, for all its viewers."""
        found = self._broadcasts.get(room.key)
        if found is None:
            found = self._broadcasts[room.key] = self.broadcast(room.slot)
        return found

    def jpeg_for(self, room: Room) -> Shared[bytes]:
        """The same for Motion JPEG."""
        height = self.options.page_height
        made = Shared(lambda frame: jpeg_of(frame, height, room.slot.shape), self.executor)
        return self._jpeg.setdefault(room.key, made)

    def states(self) -> dict[str, JSON]:
        """How it goes in all rooms."""
        now = time.monotonic()
        if now - self._stated >= _FRESH:
            self._stated = now
            self._states = {key: room.state() for key, room in self.rooms.items()}
            self._tidy()
        return self._states

    def _tidy(self) -> None:
        """What nobody looks at any more holds no picture."""
        for key, room in self.rooms.items():
            if not room.slot.viewers:
                broadcast, jpeg = self._broadcasts.get(key), self._jpeg.get(key)
                if broadcast is not None:
                    broadcast.video.forget()
                if jpeg is not None:
                    jpeg.forget()

    def hello(self) -> dict[str, JSON]:
        """What a page needs to know first."""
        return {
            "type": "hello",
            "page": page_version(),
            "rooms": [{"key": room.key, "name": room.name} for room in self.rooms.values()],
            "looks": {room.key: list(room.looks) for room in self.rooms.values()},
            "models": list(self.models.names),
            "controls": self.options.controls,
            "camera": self.options.visitors > 0,
        }

    def still(self) -> list[Room]:
        """Rooms whose source has stood still for longer than its patience."""
        return [room for room in self.rooms.values() if room.still_for() > self.options.patience]

    async def close(self) -> None:
        """All pages are told to go, and all work for them ends."""
        await asyncio.gather(*(one.end() for one in list(self.sessions)), return_exceptions=True)
        await asyncio.to_thread(self.executor.shutdown, cancel_futures=True)
