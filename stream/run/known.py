"""What is known of identities, and how often they went somewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


class Taken:
    """What an identity is: what it was taken for in most frames, of several the last.

    A car that drives over the picture's edge may be a bus for some frames.
    """

    __slots__ = ("_times", "name")

    def __init__(self) -> None:
        self.name = ""
        self._times: Counter[str] = Counter()

    def take_for(self, name: str) -> None:
        """Notes what it is taken for in a frame."""
        self._times[name] += 1
        if self._times[name] >= self._times[self.name]:
            self.name = name


class Seen(Taken):
    """One identity: what it is, when it was there first and last, for how long in all."""

    __slots__ = ("first", "last", "seconds")

    def __init__(self, now: float) -> None:
        super().__init__()
        self.first = self.last = now
        self.seconds = 0.0


class Went:
    """How often identities went somewhere, by what each is known to be by now."""

    def __init__(self, tracks: Mapping[int, Seen]) -> None:
        self._tracks = tracks
        self._times: Counter[int] = Counter()
        self._added: Counter[str] = Counter()

    def add(self, track: int) -> None:
        """Once more."""
        self._times[track] += 1

    def let_go(self, track: int) -> None:
        """Of an identity that is about to be forgotten only its class stays."""
        if track in self._times:
            self._added[self._tracks[track].name] += self._times.pop(track)

    def by_class(self) -> dict[str, int]:
        """How often, by class."""
        found = Counter(self._added)
        for track, times in self._times.items():
            found[self._tracks[track].name] += times
        return dict(found)


class Gate:
    """What has gone by at a line or a zone."""

    def __init__(self, tracks: Mapping[int, Seen]) -> None:
        self.into, self.out, self.objects = (Went(tracks) for _ in range(3))
        self.seconds: Counter[str] = Counter()
        self.most = 0
