"""One connection to a live source, read in a thread of its own that can be given up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer

from stream.errors import SourceError, StreamError
from stream.queues import Queue, WhenFull
from stream.sources._arrivals import Arrivals, is_known
from stream.sources._connecting import UNTIMED, ChangedError, NoPictureError, NoVideoError
from stream.sources._container import cut_exactly
from stream.sources._damage import Damage, without_meetings
from stream.sources._film import Following, Place, is_finite
from stream.sources._multipart import let_go
from stream.sources._opened import Opened, Templates, opened_as
from stream.sources._pacing import is_hls
from stream.sources._senders import Marks, Sender
from stream.sources._tags import mend_matrix
from stream.sources._variants import chosen
from stream.types import AnyPacket

_PICTURES = 4
"""Pictures that may wait to be taken. More would be latency, less would drop on a hiccup."""

_DAMAGED_SECONDS, _DAMAGED_PACKETS = 3.0, 30
"""For so long, and so many more of them, packets may be damaged, or give no picture, of which three
in four are. A decoder of another codec makes a picture now and then of what is none."""

_NOT_YET = 0.002
"""Seconds until a camera is asked again that had nothing."""

_AHEAD = 64
"""Packets and pictures read ahead of a source that sends in bursts."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, stamped by the connection's own clock.

    `shape` is width over height of one of its samples, where the decoder says so.
    """

    picture: av.VideoFrame
    pts: int | None
    time_base: Fraction | None
    decode_seconds: float
    arrived: float
    shape: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Sound:
    """A packet of the audio stream at `position` of `Opened.audio`, as it was read.

    Attributes:
        arrived: `time.perf_counter()` when it came.
        mark: what it says of its format.
        as_first: whether it says what the connection's first one said.
    """

    position: int
    packet: AnyPacket
    arrived: float
    mark: bytes = b""
    as_first: bool = True


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is over; `error` says why where it was not the source's own end.

    `cause` is what was raised, which may name secrets and is not for people.
    """

    error: BaseException | None = None
    cause: BaseException | None = None


Event = Opened | Picture | Sound | Ended


class StreamReader:
    """Opens, reads and decodes one connection in a thread, into a queue.

    A native call that hangs cannot be ended from outside; the thread can only be left alone. It
    then lets go of the connection by itself as soon as the call returns.

    Args:
        connect: opens the connection; it may raise `SourceError` or what FFmpeg raises.
        describe: makes a sentence of FFmpeg's errors, without secrets.
        paced: the source sends in bursts and waits until it is read, so nothing is dropped here.
        audio: whether sound is read.
        sounds: streams of sound that are wanted. Where fewer are there, and the sender begins anew
            or streams come up, so does the connection: those that come on the way are not read.
        curious: asked, where there is no sound and the sender begins anew, and wherever there is
            less than is wanted and streams come up, whether so does the connection, since it may
            have some now.
        renewed: whether the connection ends where hardly anything of it can be decoded any more,
            as it is opened anew then.
        whole: whether pictures are left out that are scrambled because of a loss, as far as is
            known.
        mend: takes back what a picture says of its colours and cannot be meant, and adds what is.
        place: how far a film was read by another connection; what comes before it is left out.
    """

    def __init__(
        self,
        connect: Callable[[], InputContainer],
        describe: Callable[[BaseException], SourceError],
        *,
        audio: bool,
        sounds: int = 0,
        curious: Callable[[], bool] = lambda: False,
        paced: Callable[[InputContainer], bool] = lambda container: False,
        renewed: bool = False,
        whole: bool = False,
        mend: Callable[[av.VideoFrame], None] = mend_matrix,
        place: Place | None = None,
    ) -> None:
        self._place, self.following = place, None  # type: Place | None, Following | None
        self._connect = connect
        self._mend = mend
        self._describe = describe
        self._paced = paced
        self._wants_audio, self._sounds, self._curious = audio, sounds, curious
        self._stop = threading.Event()
        self.opened: Opened | None = None
        """What the connection brings, once its first picture is there. The event that says so may
        be pushed out by what follows."""
        self.heard, self._waits = 0.0, False
        """`time.monotonic()` of the last packet of the picture; 0 before the first."""
        self._damage = Damage()
        self._pictures = 0
        self._came_to_its_end = False
        self.left_out = 0
        """Pictures that were scrambled and are not handed on."""
        self.unread = False
        """Whether streams have come up that are left out."""
        self._renewed, self._whole = renewed, whole
        self._damaged, self._damaged_since = 0, 0.0
        self.events: Queue[Event] = Queue(
            "connection",
            _PICTURES,
            WhenFull.DROP_OLDEST,
            droppable=lambda event: isinstance(event, Picture),
        )
        self._thread = threading.Thread(target=self._run, name="stream-reader", daemon=True)
        self._thread.start()

    @property
    def corrupt(self) -> int:
        """Packets or pictures that came damaged or could not be decoded."""
        return self._damage.count

    @property
    def sounds(self) -> int:
        """How many streams of sound the connection brings."""
        return len(self.opened.audio.streams) if self.opened else 0

    @property
    def single(self) -> bool:
        """Whether it ended with the one picture that came, as an address of a snapshot does."""
        name = self.opened.container if self.opened else ""
        may_be = name in UNTIMED or name.endswith("_pipe")
        return self._came_to_its_end and self._pictures == 1 and may_be

    @property
    def alive(self) -> bool:
        """Whether the thread still holds the connection."""
        return self._thread.is_alive()

    def silence(self) -> float:
        """Seconds since the last packet of the picture; infinite before the first.

        While it waits until what it read is taken, as where a film's picture stands for long,
        nothing can be heard.
        """
        if self._waits:
            return 0.0
        return time.monotonic() - self.heard if self.heard else float("inf")

    def _give(self, event: Event) -> None:
        """Puts an event where it is taken, once there is room."""
        began, self._waits = time.monotonic(), True
        self.events.put(event)
        self.heard += time.monotonic() - began if self.heard else 0.0
        self._waits = False

    def _hand_on(self, event: Picture, following: Following) -> None:
        if following.is_new(event.picture):
            self._pictures += 1
            self._give(event)

    def stop(self, patience: float = 0.0) -> None:
        """Tells the thread to let go, and waits up to `patience` seconds for it."""
        self._stop.set()
        self.events.close(clear=True)
        if patience > 0:
            self._thread.join(patience)

    def _run(self) -> None:
        error: BaseException | None = None
        cause: BaseException | None = None
        try:
            container = self._connect()
            try:
                self._read(container)
            finally:
                let_go(container)
        except StreamError as known:
            error = known
        except (av.FFmpegError, OSError, LookupError, ValueError, RuntimeError) as raised:
            # Its traceback would keep the connection, and this frame the error: a ring, in which a
            # decoder with its threads and pictures waits for Python's collector, for hours.
            error, cause = self._describe(raised), raised.with_traceback(None)
        except BaseException as unexpected:  # noqa: BLE001 - raised to who takes the events
            error = unexpected
        # Not where it was told to stop, as nothing more came of it.
        self._came_to_its_end = error is None and not self._stop.is_set()
        self.events.put(Ended(error, cause))
        self.events.close()

    def _read(self, container: InputContainer) -> None:
        video, sounds = chosen(container)
        if video is None or video.codec_context is None:
            raise NoVideoError(is_finite(container))
        # Frame threads would hold every picture back by one per thread.
        video.thread_type = "SLICE"
        cut_exactly(video)
        sounds = sounds if self._wants_audio else ()
        audio = tuple(stream for stream in sounds if is_known(stream))
        silent = [stream for stream in sounds if stream.codec_context and not is_known(stream)]
        self._damage = Damage(joined=is_hls(container.format.name))
        if self._paced(container):
            self.events.capacity, self.events.when_full = _AHEAD, WhenFull.BLOCK
        templates = Templates(audio)
        marks, sender = [Marks(stream) for stream in audio], Sender(video)
        lacking = len(audio) < max(1, self._sounds)
        arrivals = Arrivals(container, [video, *audio], silent, looking=self._wants_audio)
        following = self.following = Following(container, video, audio, self._place)
        packets, joined = following.on(self._packets(arrivals)), is_hls(container.format.name)
        for packet in without_meetings(packets, video) if self._whole and joined else packets:
            arrived = time.perf_counter()
            if self._stop.is_set():
                return
            if arrivals.more and self.opened and not self.unread and (lacking or arrivals.mute):
                if not self.opened.finite and self._curious():
                    raise ChangedError
                self.unread = True
            if packet.stream.type == "audio":
                if self.opened and (packet.dts is not None or packet.pts is not None):
                    position = next(i for i, one in enumerate(audio) if one is packet.stream)
                    self._give(Sound(position, packet, arrived, *marks[position].of(packet)))
                continue
            if sender.begins_anew(packet) and self._may_have_more(len(audio)):
                raise ChangedError
            self.heard = time.monotonic() if packet.size else self.heard
            for event in self._decode(packet, video.time_base, arrived):
                if self.opened is None:
                    # Only now is it known what comes: who joins between two key frames finds
                    # streams without a size.
                    self.opened = opened_as(container, video, templates, event.picture, following)
                    self._give(self.opened)
                self._hand_on(event, following)
        if self.opened is None and not following.resumed and not self._stop.is_set():
            raise NoPictureError(container.format.name)

    def _may_have_more(self, sounds: int) -> bool:
        """Whether there may be sound by now that is wanted and not read."""
        return sounds < self._sounds or (self._wants_audio and not sounds and self._curious())

    def _packets(self, packets: Iterable[AnyPacket]) -> Iterator[AnyPacket]:
        """What comes, also of cameras on macOS, which say each time that nothing is there yet."""
        while not self._stop.is_set():
            try:
                yield from packets
            except BlockingIOError:
                self._stop.wait(_NOT_YET)
            except IndexError:
                return  # the end, of a stream too that was not there at first
            else:
                return

    def _decode(
        self, packet: AnyPacket, time_base: Fraction | None, arrived: float
    ) -> Sequence[Picture]:
        start = time.perf_counter()
        if self.opened is not None:
            self._damage.packet(packet)
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            # A damaged packet is usual on a network; the next key frame mends it. Before the
            # first one nothing is damaged, it only cannot be decoded.
            if self.opened is not None:
                self._damage.failed(packet)
                self._note_damage(start)
            return ()
        if not pictures and packet.size and self.opened is not None:
            self._note_damage(start)  # some decoders make nothing of another codec, and say nothing
        self._damaged = max(0, self._damaged - 3 * len(pictures))
        for picture in pictures:
            self._mend(picture)
        share = (time.perf_counter() - start) / max(1, len(pictures))
        return [
            Picture(
                picture,
                picture.pts,
                picture.time_base or time_base,
                share,
                arrived,
                packet.stream.codec_context.sample_aspect_ratio,
            )
            for picture in pictures
            if self._is_shown(picture)
        ]

    def _is_shown(self, picture: av.VideoFrame) -> bool:
        shown = self._damage.picture(picture) or not self._whole
        self.left_out += not shown
        return shown

    def _note_damage(self, now: float) -> None:
        """Counts a packet that is damaged or gave no picture; three go for each picture.

        Raises:
            ChangedError: there are too many.
        """
        if not self._damaged:
            self._damaged_since = now
        self._damaged += 1
        long = now - self._damaged_since > _DAMAGED_SECONDS
        if self._renewed and long and self._damaged > _DAMAGED_PACKETS:
            raise ChangedError
