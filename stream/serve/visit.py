"""A visitor's own camera: through the model, and back to that visitor alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from stream.run.aside import end_all
from stream.run.plan import OutputPlan, RunPlan
from stream.serve.room import Room
from stream.serve.visitor import VisitorSource
from stream.serve.webrtc import Peer
from stream.settings.count_options import CountOptions
from stream.sinks.browser import BROWSER, Slot

if TYPE_CHECKING:
    import av

    from stream.serve.house import House

KEY = "camera"
"""By what the page names the visitor's own room."""

_SILENCE = 60.0
"""Seconds without a picture after which a visit is over."""


class Visit:
    """One visitor's camera, from the first picture to the last; nothing of it is kept.

    Args:
        house: where the visitor is.
        plan: like which the camera is shown; its own source is not opened.
        address: the local address by which the browser came.
        on_end: called once it has ended by itself.
    """

    def __init__(
        self, house: House, plan: RunPlan, address: str, on_end: Callable[[], None]
    ) -> None:
        self.slot = Slot()
        self.room: Room | None = None
        self._house = house
        self._plan = replace(
            plan,
            outputs=tuple(one for one in plan.outputs if one.target == BROWSER)
            or (OutputPlan(BROWSER),),
            live=replace(plan.live, seconds=None),
            run=replace(plan.run, report=None),
            counts=CountOptions(),
        )
        self._source: VisitorSource | None = None
        self._on_end = on_end
        self._last = time.monotonic()
        broadcast = house.broadcast(self.slot)
        self.peer = Peer(broadcast, address, on_picture=self._take, on_end=on_end)
        house.visits.add(self)

    @property
    def over(self) -> bool:
        """Whether nothing has come for so long that nobody is there."""
        return time.monotonic() - self._last > _SILENCE

    async def _take(self, picture: av.VideoFrame, now: float) -> None:
        self._last = time.monotonic()
        if self._source is not None:
            self._source.put(picture, now)
            return
        self._source = VisitorSource(picture, now)
        room = Room(
            KEY,
            "your camera",
            self._plan,
            self._house.models,
            self._house.turns,
            console=None,
            source=self._source,
        )
        room.slot = self.slot
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._house.executor, room.start)
        self.room = room

    async def close(self) -> None:
        """Ends it; the last picture goes with it."""
        await self.peer.close()
        if self._source is not None:
            self._source.close()
        room = self.room
        if room is not None:
            await asyncio.to_thread(end_all, [room])
        self._house.visits.discard(self)
