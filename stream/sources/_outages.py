"""When a network source is gone, and how often it was."""

from __future__ import annotations

from stream.wording.words import counted

_NOTE_SECONDS = 5.0
"""For which it is shown that a source is back."""

_HELD_UP = 2.0
"""Seconds after which an address that is asked for each picture is said to be gone."""


class Outages:
    """Counts how often a source went away and came back, and says what is to be shown of that.

    Cameras also offer addresses of a single picture. Whoever asks for the next one there loses
    nothing in between.

    Attributes:
        count: how often it came back.
    """

    def __init__(self) -> None:
        self.count = 0
        self._since: float | None = None
        self._back_at: float | None = None
        self._attempts = 0
        self._single = False

    @property
    def under_way(self) -> bool:
        """Whether it is gone."""
        return self._since is not None

    def lost(self, now: float, *, single: bool) -> float:
        """A connection is over; returns for how many seconds the source has been gone.

        Args:
            now: seconds that only go forward.
            single: whether it brought its only picture, as it was to.
        """
        if self._since is None:
            self._since, self._attempts, self._single = now, 0, single
        return now - self._since

    def tried(self) -> int:
        """It is tried again; returns how often it was before."""
        self._attempts += 1
        return self._attempts - 1

    def returned(self, now: float) -> None:
        """A picture has come."""
        if self._since is None:
            return
        if not self._single or now - self._since > _HELD_UP:
            self.count += 1
            self._back_at = now
        self._since = None

    def notes(self, now: float, waited: float) -> tuple[str, ...]:
        """What is to be shown.

        Args:
            now: seconds that only go forward.
            waited: seconds without a picture.
        """
        if self._since is not None and not (self._single and now - self._since <= _HELD_UP):
            return (f"no picture for {waited:.0f} s, reconnecting (attempt {self._attempts})",)
        if self._back_at is not None and now - self._back_at < _NOTE_SECONDS:
            return (f"reconnected {counted(self.count, 'time')}",)
        return ()
