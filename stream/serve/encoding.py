"""Pictures encoded once for all browsers that look at the same source."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import av

from stream.frame import Frame
from stream.serve.encoders import ForWatching
from stream.serve.pictures import Shared
from stream.sinks.browser import Slot

logger = logging.getLogger(__name__)

CLOCK = Fraction(1, 90_000)
"""Of pictures on their way to a browser."""

_PAUSE = 0.5
"""Seconds between two whole pictures: they cost all viewers, and any viewer can ask for one."""

_AT_LEAST = 10.0
"""Seconds after which a whole picture comes unasked: a viewer may have lost the first one while it
connected, and not every one asks again."""

_HELD = 8
"""Encoded pictures that wait for one viewer. None of them can be left out, so that who is further
behind begins again with a whole one."""

_MEASURED = 2.0
"""Seconds over which it is measured how much is sent."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A picture as it is sent.

    Attributes:
        payloads: of its packets.
        whole: whether it can be begun with.
        captured_at: when its frame was born, by `time.perf_counter()`.
    """

    payloads: list[bytes]
    whole: bool
    captured_at: float


class Broadcast:
    """One slot's pictures for browsers: for each codec one encoding, while anybody takes it.

    Args:
        slot: where frames come.
        video: makes of a frame what is encoded, once for all who encode for themselves.
        make: the same, at once.
    """

    def __init__(
        self,
        slot: Slot,
        video: Shared[av.VideoFrame],
        make: Callable[[Frame], av.VideoFrame],
    ) -> None:
        self.slot = slot
        self.video = video
        self._make = make
        self._encodings: dict[type[ForWatching], Encoding] = {}

    def receive(self, kind: type[ForWatching]) -> Reception:
        """One more viewer, for whom a whole picture comes first; called in the server's loop."""
        encoding = self._encodings.get(kind)
        if encoding is None:
            encoding = Encoding(self.slot, self._make, kind(), lambda: self._over(kind))
            self._encodings[kind] = encoding
        return encoding.receive()

    def others(self, kind: type[ForWatching], but: Reception | None) -> float | None:
        """Bits that the other viewers of a codec get in a second; None where there are none."""
        encoding = self._encodings.get(kind)
        return None if encoding is None else encoding.sent_to_all(but)

    def _over(self, kind: type[ForWatching]) -> None:
        self._encodings.pop(kind, None)


class Encoding:
    """Encodes a slot's newest frames in a thread of its own and hands them to all who receive them.

    It begins with its first viewer and ends with its last. All but `_tell` and what works in the
    thread is called in the server's loop.

    Args:
        slot: where frames come.
        make: makes of a frame what is encoded.
        encoder: new.
        on_end: called once the last viewer has left.
        now: seconds on a clock that only goes forward.
    """

    def __init__(
        self,
        slot: Slot,
        make: Callable[[Frame], av.VideoFrame],
        encoder: ForWatching,
        on_end: Callable[[], None],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slot = slot
        self._make = make
        self._encoder = encoder
        self._on_end = on_end
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._executor = ThreadPoolExecutor(1, "stream-video")
        self._lock = threading.Lock()
        self._receptions: list[Reception] = []
        self._busy = self._closed = False
        self._whole = False
        self._whole_at = float("-inf")
        self._later: asyncio.TimerHandle | None = None
        self._last: Frame | None = None
        self._began: float | None = None
        self._pts = -1
        self._sent: deque[tuple[float, int]] = deque()
        self._rate: float | None = None

    def receive(self) -> Reception:
        """One more viewer."""
        reception = Reception(self)
        self._receptions.append(reception)
        self._slot.watch(reception, self._tell)
        return reception

    def leave(self, reception: Reception) -> None:
        """A viewer goes; with the last one the encoding ends."""
        if reception not in self._receptions:
            return
        self._receptions.remove(reception)
        self._slot.leave(reception)
        if self._receptions:
            return
        with self._lock:
            self._closed = True
        self._last = None
        if self._later is not None:
            self._later.cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._on_end()

    def sent_to_all(self, but: Reception | None) -> float | None:
        """Bits a second that viewers get and can take, one left out; None before that is known."""
        able = [one.asked for one in self._receptions if one is not but]
        if not able or self._rate is None:
            return None
        return min(self._rate, max(float("inf") if one is None else one for one in able))

    def suit(self) -> None:
        """Is as large as the viewer who can take most of it; who can take far less leaves."""
        asked = [one.asked for one in self._receptions]
        most = max((one for one in asked if one is not None), default=None)
        if most is not None and None not in asked:
            self._encoder.target_bitrate = most

    def want_whole(self) -> None:
        """The next picture is a whole one, or one soon: many who ask get the same."""
        with self._lock:
            self._whole = True
            left = self._whole_at + _PAUSE - self._now()
        # A source that stands still brings no other picture by which it would be remembered.
        if left > 0 and self._later is None:
            self._later = self._loop.call_later(left, self._due)
        elif left <= 0:
            self._tell()

    def _due(self) -> None:
        self._later = None
        self._tell()

    def _tell(self) -> None:
        """There is something to do; called in any thread, once for each viewer."""
        with self._lock:
            if not (self._busy or self._closed):
                self._busy = True
                self._executor.submit(self._work)

    # In its thread.

    def _work(self) -> None:
        try:
            while (found := self._next()) is not None:
                self._pass_on(self._hand_out, self._encode(*found))
        except Exception:
            logger.exception("pictures could not be encoded")
            self._pass_on(self._fail)

    def _next(self) -> tuple[Frame, bool] | None:
        """The newest frame, if it is another than the last or a whole one is due; and that."""
        with self._lock:
            frame, now = self._slot.frame, self._now()
            since = now - self._whole_at
            whole = (self._whole and since >= _PAUSE) or since >= _AT_LEAST
            if self._closed or frame is None or (frame is self._last and not whole):
                self._busy = False
                return None
            if whole:
                self._whole, self._whole_at = False, now
            self._last = frame
            return frame, whole

    def _encode(self, frame: Frame, whole: bool) -> Encoded:
        picture = self._make(frame)
        if self._began is None:
            self._began = frame.captured_at
        self._pts = max(self._pts + 1, round((frame.captured_at - self._began) / CLOCK))
        picture.pts, picture.time_base = self._pts, CLOCK
        payloads, _ = self._encoder.encode(picture, whole)
        return Encoded(payloads, self._encoder.whole, frame.captured_at)

    def _pass_on(self, to: Callable[..., None], *given: Encoded) -> None:
        with suppress(RuntimeError):  # the loop has ended; who waited in it has too
            self._loop.call_soon_threadsafe(to, *given)

    # In the loop.

    def _hand_out(self, picture: Encoded) -> None:
        now = self._now()
        if picture.whole:
            # Who asked while it was made is served by it.
            with self._lock:
                self._whole = False
        sent = self._sent
        sent.append((now, 8 * sum(map(len, picture.payloads))))
        while now - sent[0][0] > _MEASURED:
            sent.popleft()
        if now - sent[0][0] > _MEASURED / 2:
            self._rate = sum(bits for _, bits in sent) / (now - sent[0][0])
        for reception in self._receptions:
            reception.put(picture)

    def _fail(self) -> None:
        for reception in list(self._receptions):
            reception.close()


class Reception:
    """One viewer's part of an encoding. In the server's loop.

    Args:
        encoding: which it is of.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._waiting: deque[Encoded] = deque()
        self._came = asyncio.Event()
        self._begun = self._closed = False
        self.asked: int | None = None
        """Bits per second that the browser can take; None before it has said so."""

    def ask(self, bitrate: int) -> None:
        """The browser says how many bits per second it can take."""
        self.asked = bitrate
        self._encoding.suit()

    def put(self, picture: Encoded) -> None:
        """The next picture; left out where none can be made of it."""
        if self._begun and len(self._waiting) >= _HELD:
            self._waiting.clear()
            self._begun = False
        if not self._begun and not picture.whole:
            return
        self._begun = True
        self._waiting.append(picture)
        self._came.set()

    def want_whole(self) -> None:
        """The browser cannot go on without a whole picture."""
        self._encoding.want_whole()

    async def next(self) -> Encoded | None:
        """The next picture, once there is one; None once it was closed."""
        while not self._closed:
            if self._waiting:
                return self._waiting.popleft()
            if not self._begun:
                # Not before: who takes nothing must not cost the others whole pictures.
                self.want_whole()
            self._came.clear()
            await self._came.wait()
        return None

    def close(self) -> None:
        """It looks no more; safe to call twice."""
        self._closed = True
        self._waiting.clear()
        self._came.set()
        self._encoding.leave(self)
