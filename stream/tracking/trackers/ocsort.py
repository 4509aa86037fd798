"""OCSort, from the library `trackers`."""

from __future__ import annotations

from types import ModuleType

from stream.tracking.trackers._library import LibraryTracker, Numbering


class OCSort(LibraryTracker):
    """Goes by observations rather than estimates (Cao et al., CVPR 2023)."""

    def _make(self, library: ModuleType, threshold: float) -> Numbering:
        made: Numbering = library.OCSORTTracker(
            high_conf_det_threshold=threshold,
        )
        return made
