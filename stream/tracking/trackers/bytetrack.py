"""ByteTrack, from the library `trackers`."""

from __future__ import annotations

from types import ModuleType

from stream.tracking.trackers._library import LibraryTracker, Numbering


class ByteTrack(LibraryTracker):
    """Associates doubted detections after the sure ones (Zhang et al., ECCV 2022)."""

    def _make(self, library: ModuleType, threshold: float) -> Numbering:
        made: Numbering = library.ByteTrackTracker(
            track_activation_threshold=threshold,
            high_conf_det_threshold=threshold,
        )
        return made
