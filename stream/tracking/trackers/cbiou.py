"""CBIoU, from the library `trackers`."""

from __future__ import annotations

from types import ModuleType

from stream.tracking.trackers._library import LibraryTracker, Numbering


class CBIoU(LibraryTracker):
    """Compares enlarged boxes (Yang et al., WACV 2023)."""

    def _make(self, library: ModuleType, threshold: float) -> Numbering:
        made: Numbering = library.CBIoUTracker(
            track_activation_threshold=threshold,
            high_conf_det_threshold=threshold,
        )
        return made
