"""Parts of Mask R-CNN in a form that exports whole: static shapes, no Loop, no If.

Every converter, and the default model, configures these; a converter differs in names, wiring and
constants, not in copies of this code.
"""

from __future__ import annotations

from stream_export.blocks.boxes import (
    CLAMP,
    AnchorGrid,
    BoxDecoder,
    cell_anchors,
    clip,
    large_enough,
)
from stream_export.blocks.detections import (
    Detections,
    MaskUpsample,
    class_masks,
    class_offsets,
)
from stream_export.blocks.operators import TRANSLATIONS
from stream_export.blocks.pixels import Pixels
from stream_export.blocks.pooling import LevelPool, restore
from stream_export.blocks.proposals import Proposals
from stream_export.blocks.resizing import resize_fixed, resize_shortest

__all__ = [
    "CLAMP",
    "TRANSLATIONS",
    "AnchorGrid",
    "BoxDecoder",
    "Detections",
    "LevelPool",
    "MaskUpsample",
    "Pixels",
    "Proposals",
    "cell_anchors",
    "class_masks",
    "class_offsets",
    "clip",
    "large_enough",
    "resize_fixed",
    "resize_shortest",
    "restore",
]
