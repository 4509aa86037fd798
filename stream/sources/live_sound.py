"""Sound of a live source on the time line of its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from av.audio.stream import AudioStream

from stream.frame import Passthrough
from stream.sources._opened import Templates, kind_of
from stream.sources.live_timeline import LARGEST_STEP, TICKS, Timeline
from stream.sources.stream_reader import Sound
from stream.types import AnyPacket

_WAITS = 6.0
"""Seconds in which a clock that was set is expected to be so for sound and pictures: cameras say
how late it is for each alone, every five seconds (RTCP)."""

_FOR_GOOD = 300.0
"""Seconds of sound in another format after which no more is waited for the first: what comes in
between, such as advertising, is shorter, and recordings go on in another file for it."""

_SOON = 0.25
"""Seconds by which a packet may come sooner than the one before says, without being doubted."""
_ALIKE = 8
"""Packets that follow each other, and claim what the one before does not bear out, are believed."""


class LiveSound:
    """Puts packets of all connections on one time line, as those of the first one's streams.

    Where the source's clock is set, sound and pictures say so one after the other. A packet that
    lies far from the present is left out until the pictures follow; where they do not, the sound
    has a clock of its own and goes on from the present.

    Args:
        name: the source's, for people.
        timeline: of the pictures.
        wanted: the streams of the first connection.
    """

    def __init__(self, name: str, timeline: Timeline, wanted: Sequence[AudioStream]) -> None:
        self._name = name
        self._timeline = timeline
        self._wanted = tuple(wanted)
        self._other: float | None = None
        self._looks = self._outdated = False
        self._begun: tuple[AudioStream, ...] = ()
        self._kinds = tuple(kind_of(stream) for stream in wanted)
        self._marks: dict[int, bytes] = {}
        self._last: dict[int, int] = {}
        self._came: dict[int, tuple[Fraction, float]] = {}
        self._doubted: dict[int, tuple[Fraction, list[AnyPacket]]] = {}
        self._own: dict[int, Fraction] = {}
        self._astray: dict[int, float] = {}
        self.remarks: list[str] = []
        """What happened on the way, a sentence each."""

    def place(self, event: Sound, templates: Templates) -> Passthrough | None:
        """A packet with its time on the line; None where it has no place there.

        Args:
            event: as it was read; its packet is changed.
            templates: the streams of its connection.
        """
        position, packet = event.position, event.packet
        dts = packet.dts if packet.dts is not None else packet.pts
        if not self._wanted:
            self._begin(templates)
        if position >= len(self._wanted) or not packet.time_base or dts is None:
            return None
        if self._fits(event, templates):
            self._other, self._looks = None, False
        elif not self._is_other_for_good(event, templates):
            self._say(
                f"the sound of {self._name} had another format for a while and was left out there"
            )
            return None
        shift = self._shift(position, dts * packet.time_base, event.arrived)
        if shift is None:
            return None
        ticks = round(shift / packet.time_base)
        if dts + ticks <= self._last.get(position, dts + ticks - 1):
            return None  # from before a gap that pictures have already passed
        packet.dts = dts + ticks
        packet.pts = (packet.pts if packet.pts is not None else dts) + ticks
        packet.stream = self._wanted[position]
        believed = self._believed(position, packet, dts + ticks, event.arrived)
        if not believed:
            return None
        begun, self._begun = self._begun, ()
        return Passthrough(believed, begun=begun)

    def _begin(self, templates: Templates) -> None:
        """Takes the streams of a source that had none at first, or other ones."""
        before = "sound of another format" if self._wanted else "no sound"
        self._begun = self._wanted = templates.streams
        self._kinds = templates.kinds
        self._last.clear()
        self._say(
            f"{self._name} had {before} at first: recordings went on in another file to have what "
            "came later; what was sent or piped does not, and would have to begin anew"
        )

    def _is_other_for_good(self, event: Sound, templates: Templates) -> bool:
        """Whether another format has come for so long that it is taken; it is then.

        What a connection did not begin with it does not describe, so that the next one is awaited.
        """
        if self._other is None:
            self._other = event.arrived
        long = event.arrived - self._other >= _FOR_GOOD
        if event.as_first and (long or self._looks):
            self._begin(templates)
            self._marks[event.position] = event.mark
            self._other, self._looks = None, False
            return True
        if long:
            self._other, self._looks, self._outdated = event.arrived, True, True
        return False

    def is_outdated(self) -> bool:
        """Whether a connection that begins with the sound of now is wanted; says so once."""
        outdated, self._outdated = self._outdated, False
        return outdated

    def _believed(
        self, position: int, packet: AnyPacket, dts: int, arrived: float
    ) -> list[AnyPacket]:
        """The packet, and those before it that it bears out; none where it is to be doubted.

        A damaged time that was believed would have left no place for what comes next.

        Args:
            position: of its stream.
            packet: on the line.
            dts: where it is there, in its own ticks.
            arrived: seconds, when it came.
        """
        at = dts * packet.time_base
        before, doubted = self._doubted.pop(position, (at, []))
        doubted = [*doubted, packet] if 0 < at - before <= 1 else [packet]
        last = self._came.get(position)
        soon = last is not None and float(at - last[0]) - (arrived - last[1]) > _SOON
        if soon and len(doubted) < _ALIKE:
            self._doubted[position] = at, doubted
            return []
        self._came[position] = at, arrived
        self._last[position] = dts
        return doubted

    def _fits(self, event: Sound, templates: Templates) -> bool:
        """Whether a packet is of the wanted stream's format."""
        position = event.position
        if event.as_first:
            # By what its connection says of all its packets.
            if self._kinds[position] != templates.kinds[position]:
                return False
            self._marks[position] = event.mark
        return event.mark == self._marks.get(position)

    def _say(self, sentence: str) -> None:
        if sentence not in self.remarks:
            self.remarks.append(sentence)

    def _shift(self, position: int, own: Fraction, arrived: float) -> Fraction | None:
        """Seconds to add to a packet's own time; None where it has no place now."""
        common, present = self._timeline.shift, self._timeline.present(arrived)
        if common is None or present is None:
            return None  # before the first picture there is no common time
        for shift in (common, self._own.get(position)):
            if shift is None:
                continue
            off = float(own + shift) - present
            if abs(off) <= LARGEST_STEP or self._goes_on(position, own + shift, off, arrived):
                self._astray.pop(position, None)
                return shift
        if arrived - self._astray.setdefault(position, arrived) < _WAITS:
            return None
        del self._astray[position]
        self._own[position] = round(present / TICKS) * TICKS - own
        return self._own[position]

    def _goes_on(self, position: int, at: Fraction, off: float, arrived: float) -> bool:
        """Whether a packet follows the one before, behind a silence of the pictures too.

        As of a sender that hung: its pictures say only later that they go on.

        Args:
            position: of its stream.
            at: where it would be on the line.
            off: seconds that this is from the present.
            arrived: seconds, when it came.
        """
        last, silence = self._came.get(position), self._timeline.silence(arrived)
        follows = last is not None and 0 < at - last[0] <= 1
        return follows and -LARGEST_STEP - silence <= off <= 0
