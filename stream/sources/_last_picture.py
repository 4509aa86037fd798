"""When a connection brought its last picture."""

from __future__ import annotations

_PAUSE, _AT_ONCE = 0.5, 0.5
"""Seconds without a picture that are a pause, and within which what came behind one was pushed out
by the end of the connection."""


class LastPicture:
    """The moment from which on no picture has come.

    Demuxers and decoders keep the last picture or two until they know that nothing follows, which
    on a silent connection is when its time is out. Such a picture is as old as those before it.

    Args:
        now: seconds on a clock that only goes forward.
    """

    def __init__(self, now: float) -> None:
        self.at = now
        """When the last one came, in the same seconds; before the first, when it was begun with."""
        self._before, self._behind = now, float("-inf")

    def came(self, now: float) -> None:
        """A picture has come."""
        if now - self.at > _PAUSE:
            self._before, self._behind = self.at, now
        self.at = now

    def ended(self, now: float) -> None:
        """The connection is over."""
        if now - self._behind < _AT_ONCE:
            self.at = self._before
