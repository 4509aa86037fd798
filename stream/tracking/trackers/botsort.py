"""BoTSort, from the library `trackers`."""

from __future__ import annotations

from types import ModuleType

from stream.tracking.trackers._library import LibraryTracker, Numbering


class BoTSort(LibraryTracker):
    """ByteTrack with a finer model of motion (Aharon et al., 2022).

    It sees no pictures here, so it does not make up for a camera that moves.
    """

    def _make(self, library: ModuleType, threshold: float) -> Numbering:
        made: Numbering = library.BoTSORTTracker(
            track_activation_threshold=threshold,
            high_conf_det_threshold=threshold,
            enable_cmc=False,
        )
        return made
